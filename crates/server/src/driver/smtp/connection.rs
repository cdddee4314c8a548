//! One connection: does what its session asks for, one action after the other.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use checks::Pending;
use compose::Submitted;
use directory::sasl::ChannelBindings;
use smtp::{
    Action, AuthRefusal, AuthStep, AuthVerdict, BeginVerdict, Envelope, HeaderVerdict, Origin, OutOfTurn,
    Peer, Protocol, RecipientVerdict, SenderVerdict, Session, Tls,
};
use thiserror::Error;
use tokio::time::{Instant, sleep_until, timeout};

use super::SmtpServer;
use super::pace::{Pace, Verdict};
use super::submission::Submission;
use crate::carriage::{Fingerprint, Incoming, Recipients, Spool, no_room, refuse_all, try_again};
use crate::net::{Encryption, Lifecycle, Link, LinkError};

/// Why a connection ends without the session having said so.
#[derive(Debug, Error)]
enum Ended {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the client hung up")]
    HungUp,
    #[error(transparent)]
    Driver(#[from] OutOfTurn),
}

/// One connection and what is under way on it.
pub(crate) struct Connection<'a> {
    server: &'a SmtpServer,
    link: Link,
    session: Session,
    pace: Pace,
    /// Where the present transaction's recipients lead.
    recipients: Recipients,
    /// The message that is being received.
    spool: Option<Spool>,
    /// What is being found out about the client and the sender meanwhile.
    checks: Option<Pending>,
    /// What was delivered and acknowledged, but where nothing shows yet that the client has got our 250.
    unconfirmed: Vec<Fingerprint>,
    /// Who has logged in and what they send; only on a listener for submission.
    submission: Option<Submission>,
    told_to_leave: bool,
    client: IpAddr,
}

impl<'a> Connection<'a> {
    /// A connection that is encrypted already, or is not.
    pub(crate) fn new(
        server: &'a SmtpServer,
        link: Link,
        client: IpAddr,
        encryption: Option<Encryption>,
    ) -> Self {
        let bindings = link.channel_bindings();
        let peer = Peer {
            address: Some(client),
            name: None,
            tls: encryption.as_ref().map(|encryption| tls(encryption, &bindings)),
            since: server.carrier.clock.now(),
        };
        let submission = (server.config.protocol == Protocol::Submission).then(|| {
            let mut submission = Submission::default();
            submission.secured(bindings);
            submission
        });
        Self {
            session: Session::new(server.config.clone(), peer),
            server,
            link,
            pace: Pace::default(),
            recipients: Recipients::default(),
            spool: None,
            checks: None,
            unconfirmed: Vec::new(),
            submission,
            told_to_leave: false,
            client,
        }
    }

    /// Serves the connection to its end.
    pub(crate) async fn run(mut self, lifecycle: &Lifecycle) {
        if let Err(why) = self.serve(lifecycle).await {
            tracing::debug!(client = %self.client, %why, "smtp connection ended");
        }
        self.link.close().await;
    }

    async fn serve(&mut self, lifecycle: &Lifecycle) -> Result<(), Ended> {
        loop {
            match self.session.next() {
                Action::Send(replies) => self.link.send(&replies).await?,
                Action::NeedInput => self.receive(lifecycle).await?,
                Action::StartTls => self.start_tls().await?,
                Action::VerifySender(origin) => self.verify_sender(&origin).await?,
                Action::VerifyRecipient(_, recipient) => {
                    let patience = self.session.waiting().timeout;
                    let asked = self.recipients.resolve(&self.server.carrier, &recipient);
                    let verdict = timeout(patience, asked).await.unwrap_or(RecipientVerdict::Unavailable);
                    self.session.recipient(verdict)?;
                }
                Action::Authenticate(step) => self.authenticate(step).await?,
                Action::VerifyHeader(envelope, header) => self.verify_header(&envelope, header).await?,
                Action::Begin(envelope) => self.begin(&envelope).await?,
                Action::Body(chunk) => self.body(chunk).await?,
                Action::End(envelope) => self.end(&envelope).await?,
                Action::Abandon => self.abandon(),
                Action::Close => return Ok(()),
            }
        }
    }

    /// Waits for the client, but not for ever, and not when the server goes down.
    async fn receive(&mut self, lifecycle: &Lifecycle) -> Result<(), Ended> {
        let began = Instant::now();
        let deadline = self.pace.deadline(self.session.waiting(), began);
        tokio::select! {
            biased;
            () = lifecycle.stopping(), if !self.told_to_leave => {
                self.told_to_leave = true;
                self.session.shutdown();
            }
            received = self.link.receive(self.session.input()) => {
                if received? == 0 {
                    return Err(Ended::HungUp);
                }
                self.pace.waited(began.elapsed());
                self.session.at(self.server.carrier.clock.now());
                self.confirm().await;
            }
            () = sleep_until(deadline.at) => match deadline.verdict {
                Verdict::TimedOut => self.session.timed_out(),
                Verdict::TooSlow => self.session.too_slow(),
            },
        }
        Ok(())
    }

    /// The client goes on after our 250 was sent, so it has got it.
    async fn confirm(&mut self) {
        for fingerprint in self.unconfirmed.drain(..) {
            self.server.carrier.retries.acknowledged(&fingerprint).await;
        }
    }

    async fn start_tls(&mut self) -> Result<(), Ended> {
        let encryption = self.server.port.encrypt(&mut self.link).await?;
        let bindings = self.link.channel_bindings();
        if let Some(submission) = &mut self.submission {
            submission.secured(bindings);
        }
        Ok(self.session.tls_started(tls(&encryption, &bindings))?)
    }

    async fn authenticate(&mut self, step: AuthStep) -> Result<(), Ended> {
        let patience = self.session.waiting().timeout;
        let asked = match &mut self.submission {
            Some(submission) => {
                timeout(patience, submission.authenticate(self.server, self.client, step)).await.ok()
            }
            None => None,
        };
        let unavailable = AuthVerdict::Refuse(AuthRefusal::Unavailable);
        Ok(self.session.authenticated(asked.unwrap_or(unavailable))?)
    }

    async fn verify_sender(&mut self, origin: &Origin) -> Result<(), Ended> {
        self.recipients.begin(origin);
        let patience = self.session.waiting().timeout;
        let verdict = match &mut self.submission {
            Some(submission) => timeout(patience, submission.sender(self.server, origin))
                .await
                .unwrap_or_else(|_late| SenderVerdict::Refuse(try_again())),
            None => SenderVerdict::Accept,
        };
        Ok(self.session.sender(verdict)?)
    }

    async fn verify_header(&mut self, envelope: &Envelope, header: Arc<Submitted>) -> Result<(), Ended> {
        if let Some(spool) = &mut self.spool {
            // The spool gets the body alone, but a retry is recognised by all of the message.
            spool.passes(header.octets());
        }
        let patience = self.session.waiting().timeout;
        let verdict = match &mut self.submission {
            Some(submission) => timeout(patience, submission.header(self.server, envelope, header))
                .await
                .unwrap_or(HeaderVerdict::Unavailable),
            None => HeaderVerdict::Unavailable,
        };
        Ok(self.session.header(verdict)?)
    }

    async fn begin(&mut self, envelope: &Envelope) -> Result<(), Ended> {
        let verdict = match (self.server.carrier.kv.health(), &self.submission) {
            (Ok(()), Some(submission)) => submission.begin(self.server, envelope).await,
            (Ok(()), None) => BeginVerdict::Proceed,
            (Err(error), _) => {
                tracing::error!(%error, "mail is turned away: the store refuses writes");
                match error {
                    store::kv::Error::Full(_) => BeginVerdict::InsufficientStorage,
                    _ => BeginVerdict::Unavailable,
                }
            }
        };
        if matches!(verdict, BeginVerdict::Proceed) {
            self.spool = Some(Spool::new(self.server.spool.clone(), self.server.carrier.budget.clone()));
            self.checks = self.begin_checks(envelope);
        }
        Ok(self.session.begin(verdict)?)
    }

    /// What can be found out before the message is there is found out while it comes.
    fn begin_checks(&self, envelope: &Envelope) -> Option<Pending> {
        let origin = &envelope.origin;
        let client = checks::Client {
            address: self.client,
            hello: origin.client.hello.name().to_owned(),
            sender: origin.sender.mailbox().map(ToString::to_string),
        };
        self.server.carrier.checks.as_ref().map(|checks| checks.begin(client))
    }

    async fn body(&mut self, chunk: Bytes) -> Result<(), Ended> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        if let Some(submission) = &mut self.submission {
            submission.body(&chunk);
        }
        if let Err(error) = spool.write(&chunk).await {
            tracing::error!(%error, "a message is turned away: it cannot be written to the spool");
            self.spool = None;
            self.session.fail_body(no_room())?;
        }
        Ok(())
    }

    fn abandon(&mut self) {
        (self.spool, self.checks) = (None, None);
        if let Some(submission) = &mut self.submission {
            submission.take_draft();
        }
    }

    async fn end(&mut self, envelope: &Envelope) -> Result<(), Ended> {
        let verdicts = match self.spool.take() {
            Some(spool) => {
                let patience = self.session.waiting().timeout;
                let incoming = Incoming {
                    carrier: &self.server.carrier,
                    envelope,
                    recipients: &self.recipients,
                    client: Some(self.client),
                    checks: self.checks.take(),
                    draft: self.submission.as_mut().and_then(Submission::take_draft),
                    booking: None,
                };
                match timeout(patience, incoming.deliver(spool)).await {
                    Ok(outcome) => {
                        self.unconfirmed = outcome.settled;
                        outcome.verdicts
                    }
                    Err(_late) => refuse_all(envelope, &try_again()),
                }
            }
            None => refuse_all(envelope, &try_again()),
        };
        Ok(self.session.delivered(verdicts)?)
    }
}

/// The protection of a connection in the session's words.
fn tls(encryption: &Encryption, bindings: &ChannelBindings) -> Tls {
    Tls::new(&encryption.version, &encryption.cipher).bindable(bindings.any())
}
