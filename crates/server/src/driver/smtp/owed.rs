//! What the sender of a submitted message hears of by mail instead of in the answer.
//!
//! One answer stands for all recipients. Where some have the message and others never will (a full mailbox), a refusal would
//! make the client send everything again for nothing; so the message is taken, and a notification names those who do not
//! get it. It also says who has it, where the sender has asked for that (NOTIFY=SUCCESS, RFC 3461). Whoever is reached
//! through a queue is told of from there.

use compose::{Action, Outcome, Status, Wishes};
use queue::Handover;
use smtp::{Notify, Protocol, Recipient};
use types::Randomness;

use super::delivery::{Fate, Incoming, Plan, Safe, Standing, fate_of};
use super::examination::Examined;
use super::retries::Fingerprint;
use crate::notice::About;
use crate::origin::origin;

/// What became of the debt to the sender.
pub(super) enum Debt {
    /// Nothing is owed: the answer says all.
    None,
    /// All that is owed is on its way; by this a retry of the client is recognised.
    Paid(Option<Fingerprint>),
    /// It cannot be put on its way now.
    Open,
}

impl Incoming<'_> {
    /// Notifies the sender of what the answer cannot say, if everybody's fate is known.
    pub(super) async fn pay(
        &self,
        plan: &Plan,
        examined: &Examined,
        fates: &[Fate],
        standings: &[Standing<'_>],
    ) -> Debt {
        let safe = standings.iter().any(|standing| matches!(standing, Standing::Safe));
        let open = standings.iter().any(|standing| matches!(standing, Standing::Open(_)));
        if self.server.config.protocol != Protocol::Submission || open || !safe {
            return Debt::None;
        }
        let both = self.envelope.recipients.iter().zip(standings);
        let outcomes: Vec<Outcome> =
            both.filter_map(|(recipient, standing)| self.outcome(recipient, standing, fates)).collect();
        let fingerprint = plan.recognised.as_ref().map(|hash| {
            // No address is this word.
            let addresses =
                std::iter::once("notification").chain(outcomes.iter().map(|o| o.address.as_str()));
            Fingerprint::of_departure(&self.envelope.origin.sender, addresses, hash)
        });
        let origin = origin(self.envelope);
        let octets = examined.bytes.slice(examined.top.min(examined.bytes.len())..);
        let about = About { id: plan.id, origin: &origin, received: plan.received, octets, outcomes };
        let sent = async {
            let Some(notice) = self.server.notifier.draw_up(about).await? else { return Ok(false) };
            let name = match &fingerprint {
                Some(fingerprint) => Handover(self.server.retries.name(fingerprint).await.0),
                None => Handover(Randomness::bytes()),
            };
            notice.send(name).await.map(|()| true)
        };
        match sent.await {
            Ok(sent) => Debt::Paid(fingerprint.filter(|_| sent)),
            Err(error) => {
                tracing::error!(id = %plan.id, %error, "a sender cannot be notified");
                Debt::Open
            }
        }
    }

    /// What is to be told of a recipient, if its sender wants to hear that.
    fn outcome(&self, recipient: &Recipient, standing: &Standing<'_>, fates: &[Fate]) -> Option<Outcome> {
        let route = self.recipients.route(&recipient.path);
        let (action, status, cause) = match standing {
            Standing::Lost(error) => {
                let (status, cause) = match error {
                    mail::Error::TooLarge { limit, .. } => (
                        Status::permanent(3, 4),
                        Some(format!("It is larger than the {limit} octets allowed there.")),
                    ),
                    _ => (Status::permanent(2, 2), None),
                };
                (Action::Failed, status, cause)
            }
            Standing::Safe if route.is_expanded() => (Action::Expanded, Status::success(0, 0), None),
            Standing::Safe => {
                let only = route.local.first()?;
                let delivered = matches!(fate_of(fates, only.account), Some(Ok(Safe::Delivered { .. })));
                delivered.then_some((Action::Delivered, Status::success(0, 0), None))?
            }
            Standing::Open(_) => return None,
        };
        wishes(recipient.notify).want(action).then(|| Outcome {
            address: recipient.path.mailbox().map_or_else(|| "postmaster".to_owned(), ToString::to_string),
            original: recipient.orcpt.as_ref().map(|orcpt| (orcpt.kind.clone(), orcpt.address.clone())),
            action,
            status,
            reply: None,
            cause,
            tried: Some(self.server.clock.now()),
            until: None,
        })
    }
}

fn wishes(notify: Option<Notify>) -> Wishes {
    notify.map_or_else(Wishes::default, |Notify { success, failure, delay }| Wishes {
        success,
        failure,
        delay,
    })
}
