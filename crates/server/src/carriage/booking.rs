//! Submissions of JMAP: what is put on its way and what says so are one transaction.
//!
//! Copies for mailboxes here are delivered before, under names that are made of the submission's, so that a repetition makes
//! no second ones. All that waits, for other servers or for its time, enters the queues in the transaction that
//! writes the submission down: there is none without the other, and what a repetition finds written down is on its way.

use std::time::Duration;

use mail::ingest::message_ids;
use mail::{Addressee, Arrival, QueueEntry, Recorded, Submission, Undo};
use queue::{EntryId, Error, NewEntry};
use store::kv;
use store::kv::Transaction;
use types::{AccountId, Header, ObjectId};

use super::delivery::{Fate, Incoming, Plan, Safe, fate_of};
use super::departure::{Bound, Grounded};
use super::examination::Examined;
use super::recipients::Route;
use crate::meters::Why;

/// How often a message is packed anew because what it shares with others was swept meanwhile.
const ATTEMPTS: u32 = 3;

/// A submission that is written down when its message is put on its way.
pub(crate) struct Booking {
    /// Whose it is.
    pub(crate) account: AccountId,
    /// The name that a repetition has too.
    pub(crate) name: [u8; 16],
    /// What is written down, but for what becomes of the message.
    pub(crate) submission: Submission,
}

/// Why a transaction that books was given up.
enum Failure {
    Queue(Error),
    Mail(mail::Error),
}

impl From<kv::Error> for Failure {
    fn from(error: kv::Error) -> Self {
        Self::Queue(error.into())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Queue(error)
    }
}

impl From<mail::Error> for Failure {
    fn from(error: mail::Error) -> Self {
        Self::Mail(error)
    }
}

impl Booking {
    /// A name for something that belongs to this submission, such as the delivery to an account.
    pub(super) fn name_of(&self, what: &[u8]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_derive_key("magpie 2026-11 part of a submission");
        hasher.update(&self.name).update(what);
        let mut name = [0; 16];
        hasher.finalize_xof().fill(&mut name);
        name
    }
}

impl Incoming<'_> {
    /// Whether the message can be put on its way: nobody has to be tried again first, and somebody gets it.
    pub(super) fn can_be_booked(&self, plan: &Plan, fates: &[Fate]) -> bool {
        let lost = |error: &mail::Error| {
            matches!(error, mail::Error::OverQuota { .. } | mail::Error::TooLarge { .. })
        };
        let is_open = |fate: &Fate| fate.1.as_ref().is_err_and(|error| !lost(error));
        let is_safe = |fate: &Fate| fate.1.is_ok();
        !fates.iter().any(is_open) && (fates.iter().any(is_safe) || plan.leaves())
    }

    /// Puts on its way all that is not in its mailbox, and writes the submission down. When this returns `Ok`, both are
    /// durable; or it is the repetition of one that is.
    pub(super) async fn book(
        &self,
        booking: &Booking,
        plan: &Plan,
        examined: &Examined,
        fates: &[Fate],
    ) -> Result<Recorded, Grounded> {
        let bound = Bound {
            envelope: self.envelope,
            received: plan.received,
            bytes: examined.bytes.slice(examined.top.min(examined.bytes.len())..),
            results: None,
            after: plan.after,
        };
        let mut attempt = 0;
        loop {
            attempt += 1;
            let home = self.entry_here(plan, examined, fates).await?;
            let mut away = Vec::with_capacity(plan.departures.len());
            for departure in &plan.departures {
                away.push(departure.entry(self.carrier, &bound).await?);
            }
            let mut submission = self.submission(booking, plan, fates, home.as_ref(), &away);
            submission.message = message_of(&examined.bytes);
            let work = |tx: Transaction| self.book_in(tx, booking, &submission, home.as_ref(), &away);
            match self.carrier.kv.run(work).await {
                Ok(recorded) => {
                    self.carrier.mail.stir(booking.account).await;
                    return Ok(recorded);
                }
                Err(Failure::Queue(Error::Vanished)) if attempt < ATTEMPTS => {}
                Err(Failure::Queue(error)) => return Err(error.into()),
                Err(Failure::Mail(error)) => return Err(error.into()),
            }
        }
    }

    async fn book_in(
        &self,
        tx: Transaction,
        booking: &Booking,
        submission: &Submission,
        home: Option<&NewEntry>,
        away: &[NewEntry],
    ) -> Result<Recorded, Failure> {
        let mail = &self.carrier.mail;
        let recorded = mail.record_submission(&tx, booking.account, submission, &booking.name).await?;
        if recorded.repeated {
            return Ok(recorded);
        }
        if let Some(entry) = home {
            self.carrier.inbound.queue().enqueue_with(&tx, &named(entry, recorded.submission)).await?;
        }
        for entry in away {
            self.carrier.outbound.enqueue_with(&tx, &named(entry, recorded.submission)).await?;
        }
        Ok(recorded)
    }

    /// What waits for mailboxes here.
    async fn entry_here(
        &self,
        plan: &Plan,
        examined: &Examined,
        fates: &[Fate],
    ) -> Result<Option<NewEntry>, mail::Error> {
        let queued = |account| match fate_of(fates, account) {
            Some(Ok(Safe::Queued(why))) => Some(*why),
            _ => None,
        };
        let waiting = plan.deliveries.iter().filter(|delivery| queued(delivery.account).is_some());
        let waiting: Vec<_> = waiting.map(|delivery| self.waiting(delivery, None)).collect();
        let Some(why) = waiting.first().and_then(|first| queued(first.delivery.account)) else {
            return Ok(None);
        };
        let why = match why {
            Why::Held => "its sender wants it to be delivered later",
            Why::Load => "there was too much to do",
            _ => "its delivery failed for now",
        };
        let packed = self.carrier.mail.pack(examined.bytes.clone()).await?;
        Ok(Some(self.taking(plan, packed, None, why, waiting).entry()))
    }

    /// The submission with what became of its message so far.
    fn submission(
        &self,
        booking: &Booking,
        plan: &Plan,
        fates: &[Fate],
        home: Option<&NewEntry>,
        away: &[NewEntry],
    ) -> Submission {
        let mut submission = booking.submission.clone();
        for (addressee, recipient) in submission.recipients.iter_mut().zip(&self.envelope.recipients) {
            let route = self.recipients.route(&recipient.path);
            stands(addressee, route, fates);
            if let ([only], Arrival::Queued) = (route.local.as_slice(), addressee.arrival) {
                // Where several lead to one mailbox, the queue knows the first of them.
                let leads_there = |other: &&smtp::Recipient| {
                    self.recipients.route(&other.path).local.iter().any(|to| to.account == only.account)
                };
                let first = self.envelope.recipients.iter().find(leads_there);
                addressee.queued_as = Some(self.address_of(first));
            }
        }
        let held = plan.after > Duration::ZERO;
        submission.undo = if held { Undo::Pending } else { Undo::Final };
        submission.send_at = plan.received.plus(plan.after);
        submission.inbound = home.map(|entry| entry.id.0);
        submission.outbound = away.iter().map(|entry| QueueEntry(entry.id.0)).collect();
        submission
    }
}

/// The name of the message's id, by which receipts for it are recognised.
fn message_of(message: &[u8]) -> Option<[u8; 16]> {
    let header = Header::parse(message);
    let id = message_ids(header.named("message-id").next()?.value()).next()?;
    Some(Submission::name_of(&String::from_utf8_lossy(&id)))
}

/// The entry under the submission's name.
fn named(entry: &NewEntry, submission: ObjectId) -> NewEntry {
    let mut entry = entry.clone();
    entry.origin.submission = Some(submission);
    entry
}

/// How the message stands with a recipient that leads there. Where one leads to several, nobody can say in a word what
/// becomes of it.
fn stands(addressee: &mut Addressee, route: &Route, fates: &[Fate]) {
    let (arrival, reply) = match (route.local.as_slice(), route.remote.as_slice(), route.forwards.as_slice())
    {
        ([only], [], []) => match fate_of(fates, only.account) {
            Some(Ok(Safe::Delivered { .. })) => (Arrival::Yes, "250 2.1.5 Delivered"),
            Some(Ok(Safe::Queued(_))) => (Arrival::Queued, "250 2.0.0 Queued"),
            Some(Err(mail::Error::TooLarge { .. })) => {
                (Arrival::No, "552 5.3.4 The message is too large for this mailbox")
            }
            Some(Err(_)) | None => (Arrival::No, "552 5.2.2 This mailbox is full"),
        },
        ([], [only], []) => {
            addressee.queued_as = Some(only.clone());
            (Arrival::Queued, "250 2.0.0 Queued")
        }
        ([], [], [only]) => {
            addressee.queued_as = Some(only.address.to_string());
            (Arrival::Queued, "250 2.0.0 Queued")
        }
        _ => (Arrival::Unknown, "250 2.1.5 It leads to several, who get it"),
    };
    (addressee.arrival, addressee.reply) = (arrival, reply.to_owned());
}

/// The ids of the entries of a submission.
pub(crate) fn entries(submission: &Submission) -> (Option<EntryId>, Vec<EntryId>) {
    let outbound = submission.outbound.iter().map(|QueueEntry(id)| EntryId(*id)).collect();
    (submission.inbound.map(EntryId), outbound)
}
