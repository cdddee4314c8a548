//! What is different on a connection for submission (RFC 6409): who has logged in, in whose name they may write, how much
//! they may send, and what becomes of the header before the message goes the way of all others.

mod login;

use std::net::IpAddr;

use directory::Authenticated;
use directory::sasl::{ChannelBindings, Exchange};
use smtp::{
    AuthStep, AuthVerdict, BeginVerdict, Envelope, HeaderVerdict, Origin, Refusal, RefusalCode, SenderVerdict,
};

use super::SmtpServer;
use crate::carriage::{self, Draft};
use crate::meters::{self, Refused};

/// The submitting side of one connection.
#[derive(Default)]
pub(super) struct Submission {
    /// What the server knows of the TLS channel.
    bindings: ChannelBindings,
    /// A login that is under way.
    exchange: Option<Exchange>,
    /// Who has logged in.
    who: Option<Authenticated>,
    /// The message that is being received, once its header has come.
    draft: Option<Draft>,
}

impl Submission {
    /// The channel is another one from here on, and nobody has logged in over it (RFC 3207 §4.2).
    pub(super) fn secured(&mut self, bindings: ChannelBindings) {
        *self = Self { bindings, ..Self::default() };
    }

    /// The client wants to log in, or goes on with it.
    pub(super) async fn authenticate(
        &mut self,
        server: &SmtpServer,
        client: IpAddr,
        step: AuthStep,
    ) -> AuthVerdict {
        match login::answer(server, client, &self.bindings, self.exchange.take(), step).await {
            Ok(login::Answer::Challenge(exchange)) => {
                let challenge = exchange.challenge();
                self.exchange = Some(exchange);
                AuthVerdict::Challenge(challenge)
            }
            Ok(login::Answer::Admitted(who)) => {
                let submitter = smtp::Submitter::proven(who.account().0, who.address().to_string());
                tracing::info!(account = %who.account(), address = submitter.address(), %client, "logged in to send");
                self.who = Some(who);
                AuthVerdict::Admitted(submitter)
            }
            Err(refusal) => AuthVerdict::Refuse(refusal),
        }
    }

    /// Whether this may be the sender in the envelope.
    pub(super) async fn sender(&mut self, server: &SmtpServer, origin: &Origin) -> SenderVerdict {
        self.draft = None;
        match &self.who {
            Some(who) => match carriage::sender(&server.carrier.directory, who, origin).await {
                Ok(()) => SenderVerdict::Accept,
                Err(why) => SenderVerdict::Refuse(why.refusal()),
            },
            None => SenderVerdict::Refuse(nobody()),
        }
    }

    /// Counts the message that is about to come, or refuses it because there were too many.
    pub(super) async fn begin(&self, server: &SmtpServer, envelope: &Envelope) -> BeginVerdict {
        let Some(who) = &self.who else { return BeginVerdict::Refuse(nobody()) };
        let recipients = envelope.recipients.len() as u64;
        let counted =
            server.carrier.directory.count_sending(who.account(), recipients, &server.carrier.sending).await;
        match counted {
            Ok(()) => BeginVerdict::Proceed,
            Err(too_much) => {
                tracing::warn!(account = %who.account(), recipients, why = %too_much, "not sent: over a limit");
                meters::refused("submission", Refused::Limit);
                let (subject, detail) = if too_much.is_of_recipients() { (5, 3) } else { (7, 1) };
                let text = format!("Not now: {too_much}; send the rest later, or ask the postmaster");
                BeginVerdict::Refuse(Refusal::new(RefusalCode::MailboxBusy, subject, detail, &text))
            }
        }
    }

    /// The header is there: whether its authors are whoever has logged in.
    pub(super) async fn header(
        &mut self,
        server: &SmtpServer,
        envelope: &Envelope,
        header: std::sync::Arc<compose::Submitted>,
    ) -> HeaderVerdict {
        let Some(who) = &self.who else { return HeaderVerdict::Refuse(nobody()) };
        match carriage::own(&server.carrier.directory, who, &header).await {
            Ok(own) => {
                self.draft = Some(Draft::new(who, header, own, envelope.origin.body));
                HeaderVerdict::Accept
            }
            Err(verdict) => {
                let (account, sender) = (who.account(), &envelope.origin.sender);
                tracing::info!(%account, %sender, ?verdict, "not sent: its authors are not whoever sends it");
                meters::refused("submission", Refused::Policy);
                verdict
            }
        }
    }

    /// The next octets of the body.
    pub(super) fn body(&mut self, chunk: &[u8]) {
        if let Some(draft) = &mut self.draft {
            draft.body(chunk);
        }
    }

    /// The message has come whole, or will not.
    pub(super) fn take_draft(&mut self) -> Option<Draft> {
        self.draft.take()
    }
}

/// For a session that lets somebody send who has not logged in: it does not.
fn nobody() -> Refusal {
    Refusal::new(RefusalCode::MailboxUnavailable, 7, 1, "Log in first")
}

#[cfg(test)]
mod tests;
