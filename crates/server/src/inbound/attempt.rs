//! One attempt to deliver a message from the queue.

use std::time::Instant;

use bytes::Bytes;
use directory::AccountState;
use mail::{Companion, Delivered, Delivery, DeliveryId, Mail, Quota, Word};
use queue::{EntryId, Error, Lease, Outcome, Queue, Recipient, Settled};
use store::kv::Transaction;
use types::{AccountId, Keywords, MailboxId};

use super::examination::{Examination, Examined};
use super::notices::Arrival;
use super::{Inbound, notices};
use crate::junk;
use crate::meters::{self, Became, Why};
use crate::notice::submission_of;
use crate::reporting::Author;

/// Delivers to those recipients of a leg that do not have the message yet, and writes down what became of it.
pub(super) async fn attempt(inbound: &Inbound, lease: &Lease) -> Result<(), Error> {
    let began = Instant::now();
    let queue = &inbound.inner.queue;
    // Memory for the message is not held while DNS is waited for.
    let examination = Examination::begin(inbound, lease).await;
    let size = usize::try_from(lease.size()).unwrap_or(usize::MAX);
    let Some(_memory) = inbound.inner.budget.store(size.saturating_mul(2)).await else {
        return settle(
            inbound,
            lease,
            all(lease, &|| Outcome::Later("too many messages are being stored".into())),
        )
        .await;
    };
    let stored = match read(inbound, lease.id()).await? {
        Ok(stored) => stored,
        Err(error) => return settle(inbound, lease, all(lease, &|| judge(&error))).await,
    };
    let examined = match examination {
        Some(examination) => match examination.finish(inbound, lease, stored).await {
            Ok(examined) => examined,
            Err(outcome) => {
                count(&outcome, Why::SlowChecks);
                return settle(inbound, lease, all(lease, &|| outcome.clone())).await;
            }
        },
        None => Examined { raw: stored, suspicious: false, author: None },
    };
    if let Some(author) = examined.author.clone().filter(|_| !examined.suspicious) {
        read_reports(inbound, lease, &examined.raw, author);
    }
    let message = match inbound.inner.mail.ingest(examined.raw).await {
        Ok(message) => message,
        Err(error) => return settle(inbound, lease, all(lease, &|| judge(&error))).await,
    };
    let mut outcomes = Vec::new();
    let (mut numbers, mut deliveries) = (Vec::new(), Vec::new());
    for (number, recipient) in lease.pending() {
        match delivery(inbound, lease, recipient, examined.suspicious).await {
            Ok(delivery) => {
                numbers.push(number);
                deliveries.push(delivery);
            }
            Err(outcome) => {
                count(&outcome, Why::NoAccount);
                outcomes.push((number, outcome));
            }
        }
    }
    let notices = match notices::due(inbound, lease, &numbers, message.raw()).await {
        Ok(notices) => notices,
        Err(error) => {
            let later = || Outcome::Later(format!("its sender cannot be notified: {error}").into());
            outcomes.extend(numbers.iter().map(|number| (*number, later())));
            return settle(inbound, lease, outcomes).await;
        }
    };
    let mail = &inbound.inner.mail;
    let strike = Strike { queue, mail, lease, numbers: &numbers, deliveries: &deliveries, notices: &notices };
    let results = mail.deliver_with(&message, &deliveries, &strike).await;
    if let Some((account, _)) = submission_of(lease) {
        mail.stir(account).await;
    }
    for ((number, delivery), result) in numbers.iter().zip(&deliveries).zip(results) {
        match result {
            Ok(done) => {
                let why = if done.duplicate { Why::Duplicate } else { Why::New };
                meters::delivered("queue", Became::Delivered(why));
                // Of a delivery that was made before, whoever made it has told.
                if !done.duplicate {
                    let mine = notices.iter().filter(|arrival| arrival.number == *number);
                    mine.for_each(|arrival| arrival.letter.told());
                }
                tracing::info!(
                    id = %lease.id(), account = %delivery.account, attempt = lease.attempt(),
                    ms = began.elapsed().as_millis(), duplicate = done.duplicate, "delivered from the queue"
                );
            }
            Err(mail::Error::Withdrawn(_)) => return Err(Error::LeaseLost(lease.id())),
            Err(error) => {
                let outcome = judge(&error);
                count(&outcome, Why::of(&error));
                outcomes.push((*number, outcome));
            }
        }
    }
    if outcomes.is_empty() {
        // The last delivering transaction has taken the leg along.
        return Ok(());
    }
    settle(inbound, lease, outcomes).await
}

/// Has a message looked at that may be a report on a domain of ours.
fn read_reports(inbound: &Inbound, lease: &Lease, message: &Bytes, author: Author) {
    let reporting = &inbound.inner.reporting;
    if lease.pending().any(|(_, recipient)| reporting.takes_reports(&recipient.address)) {
        reporting.read(lease.id().to_string(), message.clone(), author);
    }
}

/// Takes recipients off the queue in the transaction that delivers to them.
struct Strike<'a> {
    queue: &'a Queue,
    mail: &'a Mail,
    lease: &'a Lease,
    numbers: &'a [usize],
    deliveries: &'a [Delivery],
    /// What senders are told of those who get the message.
    notices: &'a [Arrival],
}

impl Companion for Strike<'_> {
    async fn join(
        &self,
        tx: &Transaction,
        fates: &[(AccountId, Result<Delivered, mail::Error>)],
    ) -> Result<(), mail::Error> {
        let delivered = |account| fates.iter().any(|(other, fate)| *other == account && fate.is_ok());
        let mine = self.numbers.iter().zip(self.deliveries);
        let done: Vec<usize> =
            mine.filter(|(_, delivery)| delivered(delivery.account)).map(|(number, _)| *number).collect();
        let struck = async {
            self.queue.strike(tx, self.lease, &done).await?;
            for arrival in self.notices.iter().filter(|arrival| done.contains(&arrival.number)) {
                arrival.letter.join(tx, arrival.name).await?;
            }
            Ok(())
        };
        match struck.await {
            Ok(()) => self.note(tx, &done).await,
            Err(Error::Kv(error)) => Err(error.into()),
            Err(error) => Err(mail::Error::Withdrawn(error.to_string())),
        }
    }
}

impl Strike<'_> {
    /// Writes down with the submission that some have the message. Their own changes are in the transaction already, so that
    /// this comes after them also where somebody has written to themselves.
    async fn note(&self, tx: &Transaction, done: &[usize]) -> Result<(), mail::Error> {
        let Some((account, submission)) = submission_of(self.lease) else { return Ok(()) };
        let arrived = self.lease.pending().filter(|(number, _)| done.contains(number));
        let words: Vec<Word> = arrived
            .map(|(_, recipient)| Word {
                address: recipient.address.clone(),
                reply: "250 2.1.5 Delivered".to_owned(),
                arrival: mail::Arrival::Yes,
            })
            .collect();
        self.mail.note_submission(tx, account, submission, &words).await
    }
}

/// The message, as it was accepted. The outer error is the queue's, the inner one says that there is none.
async fn read(inbound: &Inbound, id: EntryId) -> Result<Result<Bytes, mail::Error>, Error> {
    let row = match inbound.inner.queue.body(id).await {
        Ok(row) => row,
        Err(Error::NoSuchEntry(id)) => return Err(Error::LeaseLost(id)),
        Err(error) => return Err(error),
    };
    let mail = &inbound.inner.mail;
    let read = async {
        let source = mail.unpack(&row)?;
        source.read(0..source.size()).await
    };
    Ok(read.await)
}

/// What is to be delivered to a recipient, whose account may have changed since the message was accepted.
async fn delivery(
    inbound: &Inbound,
    lease: &Lease,
    recipient: &Recipient,
    suspicious: bool,
) -> Result<Delivery, Outcome> {
    let never = |why: &str| Outcome::Never(format!("{}: {why}", recipient.address).into());
    let account = recipient.account.ok_or_else(|| never("no account was found when it was accepted"))?;
    let found = inbound.inner.directory.account(account).await;
    let found =
        found.map_err(|error| Outcome::Later(format!("the directory cannot be asked: {error}").into()))?;
    let found = found.ok_or_else(|| never("its account was deleted after the message was accepted"))?;
    if found.state == AccountState::Disabled && !lease.is_released() {
        return Err(never("its account was disabled after the message was accepted"));
    }
    let limits = Quota { bytes: found.quota.bytes, emails: found.quota.messages };
    let (suspicious, sender) = (recipient.suspicious || suspicious, &lease.origin().sender);
    Ok(Delivery {
        account,
        mailbox: match suspicious {
            true => junk::mailbox(&inbound.inner.mail, account).await,
            false => MailboxId::INBOX,
        },
        keywords: Keywords::new(),
        received: lease.received(),
        // Who releases a message wants it delivered even where there is no room.
        quota: if lease.is_released() { Quota::default() } else { limits },
        id: recipient.delivery.map(DeliveryId),
        reports_on: lease.origin().reports_on.filter(|(whose, _)| *whose == account).map(|(_, on)| on),
        answer_to: (!suspicious && !sender.is_empty()).then(|| sender.clone()),
    })
}

/// Whether a failure may be over later.
fn judge(error: &mail::Error) -> Outcome {
    match error {
        mail::Error::OverQuota { .. } => Outcome::Later(format!("the mailbox is full: {error}").into()),
        error if error.is_temporary() => Outcome::Later(error.to_string().into()),
        error => Outcome::Never(error.to_string().into()),
    }
}

/// Counts an attempt that did not deliver.
fn count(outcome: &Outcome, why: Why) {
    match outcome {
        Outcome::Done | Outcome::Passed(..) => {}
        Outcome::Later(_) => meters::delivered("queue", Became::Deferred(why)),
        Outcome::Never(_) => meters::delivered("queue", Became::Failed(why)),
    }
}

fn all(lease: &Lease, outcome: &dyn Fn() -> Outcome) -> Vec<(usize, Outcome)> {
    lease.pending().map(|(number, _)| (number, outcome())).collect()
}

/// Ends an attempt. Who has submitted a message here is who they say, and hears what became of it; of other mail
/// nobody knows that, so it goes to the error queue.
async fn settle(inbound: &Inbound, lease: &Lease, outcomes: Vec<(usize, Outcome)>) -> Result<(), Error> {
    let Inbound { inner } = inbound;
    let said: Vec<String> = outcomes
        .iter()
        .filter_map(|(_, outcome)| match outcome {
            Outcome::Done | Outcome::Passed(..) => None,
            Outcome::Later(why) | Outcome::Never(why) => Some(why.text.clone()),
        })
        .collect();
    let why = said.first().map(String::as_str).unwrap_or_default();
    let (id, attempt) = (lease.id(), lease.attempt());
    let settled = if lease.origin().submitter.is_some() {
        inner.notifier.settle(&inner.queue, lease, outcomes).await?
    } else {
        inner.queue.settle(lease, outcomes).await?
    };
    match settled {
        Settled::Failed => tracing::error!(
            %id, attempt, %why,
            "a queued message cannot be delivered and is in the error queue: see `magpie queue inbound show {id}`"
        ),
        Settled::Later => tracing::warn!(%id, attempt, %why, "a queued message is tried again later"),
        Settled::Reported => {
            tracing::warn!(%id, attempt, %why, "a queued message cannot be delivered, and its sender is told");
        }
        Settled::Done | Settled::Open => {}
    }
    Ok(())
}
