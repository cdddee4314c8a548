//! What the sender of a submitted message hears of by mail instead of in the answer.
//!
//! One answer stands for all recipients. Where some have the message and others never will (a full mailbox), a refusal would
//! make the client send everything again for nothing; so the message is taken, and a notification names those who do not
//! get it. It also says who has it, where the sender has asked for that (NOTIFY=SUCCESS, RFC 3461). Whoever is reached
//! through a queue is told of from there.

use compose::{Action, Outcome, Status, Wishes};
use mail::Recorded;
use queue::Handover;
use smtp::{Notify, Protocol, Recipient};
use types::{AccountId, Randomness};

use super::delivery::{Fate, Incoming, Plan, Safe, Standing, fate_of};
use super::examination::Examined;
use super::retries::Fingerprint;
use crate::notice::{About, of_arrival};
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
        booked: Option<Recorded>,
    ) -> Debt {
        let safe = standings.iter().any(|standing| matches!(standing, Standing::Safe));
        let open = standings.iter().any(|standing| matches!(standing, Standing::Open(_)));
        if self.carrier.protocol != Protocol::Submission || open || !safe {
            return Debt::None;
        }
        let both = self.envelope.recipients.iter().zip(standings);
        let outcomes = both.filter_map(|(recipient, standing)| self.outcome(recipient, standing, fates));
        let mut due = Vec::new();
        let mut others = Vec::new();
        for (outcome, delivered) in outcomes {
            match delivered.and_then(|account| plan.delivery(account)) {
                Some(delivery) => {
                    let name = of_arrival(&delivery.0, &outcome.address);
                    due.push((vec![outcome], name));
                }
                None => others.push(outcome),
            }
        }
        let mut fingerprint = None;
        if !others.is_empty() {
            fingerprint = plan.recognised.as_ref().map(|hash| {
                // No address is this word.
                let addresses =
                    std::iter::once("notification").chain(others.iter().map(|o| o.address.as_str()));
                Fingerprint::of_departure(&self.envelope.origin.sender, addresses, hash)
            });
            let name = match (&fingerprint, self.booking) {
                (Some(fingerprint), _) => Handover(self.carrier.retries.name(fingerprint).await.0),
                (None, Some(booking)) => Handover(booking.name_of(b"notification")),
                (None, None) => Handover(Randomness::bytes()),
            };
            due.push((others, name));
        }
        let mut origin = origin(self.envelope);
        origin.submission = booked.map(|booked| booked.submission);
        let octets = examined.bytes.slice(examined.top.min(examined.bytes.len())..);
        for (outcomes, name) in due {
            let (id, received, octets) = (plan.id, plan.received, octets.clone());
            let about = About { id, origin: &origin, received, octets, whole: true, outcomes };
            let sent = async { self.carrier.notifier.write(about).await?.send(name).await };
            if let Err(error) = sent.await {
                tracing::error!(%id, %error, "a sender cannot be notified");
                return Debt::Open;
            }
        }
        Debt::Paid(fingerprint)
    }

    /// What is to be told of a recipient, if its sender wants to hear that; with the account, where the message was put into its mailbox.
    fn outcome(
        &self,
        recipient: &Recipient,
        standing: &Standing<'_>,
        fates: &[Fate],
    ) -> Option<(Outcome, Option<AccountId>)> {
        let route = self.recipients.route(&recipient.path);
        let mut placed = None;
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
                if !matches!(fate_of(fates, only.account), Some(Ok(Safe::Delivered { .. }))) {
                    return None;
                }
                placed = Some(only.account);
                (Action::Delivered, Status::success(0, 0), None)
            }
            Standing::Open(_) => return None,
        };
        let outcome = Outcome {
            address: recipient.path.mailbox().map_or_else(|| "postmaster".to_owned(), ToString::to_string),
            original: recipient.orcpt.as_ref().map(|orcpt| (orcpt.kind.clone(), orcpt.address.clone())),
            action,
            status,
            reply: None,
            cause,
            tried: Some(self.carrier.clock.now()),
            until: None,
        };
        wishes(recipient.notify).want(action).then_some((outcome, placed))
    }
}

fn wishes(notify: Option<Notify>) -> Wishes {
    notify.map_or_else(Wishes::default, |Notify { success, failure, delay }| Wishes {
        success,
        failure,
        delay,
    })
}
