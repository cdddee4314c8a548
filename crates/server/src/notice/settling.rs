//! What a queue has to tell when an attempt ends.
//!
//! The queue says inside a transaction who is to be told what, and what tells them goes on its way in the same one. But a
//! report is a message, with blobs perhaps, which has to be made before. So a transaction in which somebody is to be
//! told is run twice: the first time it only says what there is to tell, and changes nothing.

use bytes::Bytes;
use compose::{Action, Reply, Status};
use mail::{Arrival, Mail, Word};
use parking_lot::Mutex;
use queue::{
    Companion, Error, Facts, Fate, Kind, Lease, Notice, Outcome, Queue, Recipient, RecipientState, Report,
    Settled,
};
use store::kv;
use store::kv::Transaction;
use types::{AccountId, ObjectId};

use super::{About, Letter, Notifier, RETURNED, original};

/// How often what there is to tell may change while it is written.
const ROUNDS: usize = 5;

/// A report on what a queue has to tell.
struct Written {
    about: Vec<(usize, Fate)>,
    letter: Letter,
}

/// Joins a settling transaction: puts the letter into it, or finds out that another one is needed.
struct Messenger<'a> {
    written: Option<&'a Written>,
    wanted: Mutex<Option<Report>>,
    mail: &'a Mail,
    kind: Kind,
    lease: &'a Lease,
}

impl Notifier {
    /// Ends an attempt or another errand, and puts a report on its way in the same transaction if there is anything to
    /// tell. One commit; what there is to tell costs a round that reads, and the look-up of the sender, in addition.
    ///
    /// # Errors
    /// Those of [`Queue::settle_with`]. Then nothing is written down, and nobody is told.
    pub(crate) async fn settle(
        &self,
        queue: &Queue,
        lease: &Lease,
        outcomes: Vec<(usize, Outcome)>,
    ) -> Result<Settled, Error> {
        let mut written: Option<Written> = None;
        for _ in 0..ROUNDS {
            let (mail, kind) = (&self.mail, queue.kind());
            let messenger =
                Messenger { written: written.as_ref(), wanted: Mutex::default(), mail, kind, lease };
            let settled = queue.settle_with(lease, outcomes.clone(), &messenger).await;
            let wanted = messenger.wanted.into_inner();
            match (settled, wanted) {
                (Err(Error::Vanished), Some(report)) => {
                    written = Some(self.write_down(queue, lease, &report).await?);
                }
                (settled, _) => {
                    if settled.is_ok() {
                        written.iter().for_each(|written| written.letter.told());
                        if let Some((account, _)) = submission_of(lease) {
                            self.mail.stir(account).await;
                        }
                    }
                    return settled;
                }
            }
        }
        Err(Error::Vanished)
    }

    async fn write_down(&self, queue: &Queue, lease: &Lease, report: &Report) -> Result<Written, Error> {
        let (octets, whole) = self.beginning(queue, lease).await?;
        let outcomes = report.notices.iter().map(|notice| outcome(notice, report)).collect();
        let (id, origin, received) = (lease.id(), lease.origin(), lease.received());
        let letter = self.write(About { id, origin, received, octets, whole, outcomes }).await?;
        Ok(Written { about: about(report), letter })
    }

    /// As much of the message as may come back, and whether that is all. What cannot be read does not keep its sender
    /// from being told.
    async fn beginning(&self, queue: &Queue, lease: &Lease) -> Result<(Bytes, bool), Error> {
        let row = match queue.body(lease.id()).await {
            Ok(row) => row,
            Err(Error::NoSuchEntry(id)) => return Err(Error::LeaseLost(id)),
            Err(error) => return Err(error),
        };
        let read = async {
            let source = self.mail.unpack(&row)?;
            let octets = source.read(0..RETURNED as u64).await?;
            Ok::<_, mail::Error>((octets, source.size() <= RETURNED as u64))
        };
        Ok(read.await.unwrap_or_else(|error| {
            tracing::error!(id = %lease.id(), %error, "a message cannot be returned to its sender");
            (Bytes::new(), false)
        }))
    }
}

impl Companion for Messenger<'_> {
    async fn join(&self, tx: &Transaction, report: &Report) -> Result<(), Error> {
        if let Some((account, submission)) = submission_of(self.lease) {
            let words: Vec<Word> = report.recipients.iter().filter_map(|one| word(self.kind, one)).collect();
            self.mail
                .note_submission(tx, account, submission, &words)
                .await
                .or_else(|error| unnoted(&error))?;
        }
        if report.notices.is_empty() {
            return Ok(());
        }
        let sent = match self.written.filter(|written| written.about == about(report)) {
            None => Err(Error::Vanished),
            Some(written) => written.letter.enclose(tx).await,
        };
        if sent == Err(Error::Vanished) {
            *self.wanted.lock() = Some(report.clone());
        }
        sent
    }
}

/// The submission with which is written down what becomes of a message, and whose that is.
pub(crate) fn submission_of(lease: &Lease) -> Option<(AccountId, ObjectId)> {
    let origin = lease.origin();
    origin.submitter.zip(origin.submission)
}

/// What there is to say of a recipient, if anybody has said something.
fn word(kind: Kind, recipient: &Recipient) -> Option<Word> {
    let facts = recipient.facts.clone().unwrap_or_default();
    let said = recipient.said.clone();
    let reply = |code: u16, class: u8, said: String| match (&facts.reply, &facts.status) {
        (Some(_), _) => said,
        (None, Some(status)) => format!("{code} {status} {said}"),
        (None, None) => format!("{code} {class}.0.0 {said}"),
    };
    let (arrival, reply) = match (recipient.state, kind) {
        (RecipientState::Done, Kind::Inbound) => (Arrival::Yes, "250 2.1.5 Delivered".to_owned()),
        (RecipientState::Done, Kind::Outbound) => {
            (Arrival::Unknown, reply(250, 2, said.unwrap_or_else(|| "Relayed".to_owned())))
        }
        (RecipientState::Failed, _) => (Arrival::No, reply(550, 5, said.unwrap_or_default())),
        (RecipientState::Pending, _) => (Arrival::Queued, reply(450, 4, said?)),
    };
    Some(Word { address: recipient.address.clone(), reply, arrival })
}

/// What cannot be written down for good must not keep a message from leaving the queue.
fn unnoted(error: &mail::Error) -> Result<(), Error> {
    if error.is_temporary() {
        return Err(Error::Kv(kv::Error::Unavailable(error.to_string())));
    }
    tracing::error!(%error, "what became of a message cannot be written down with its submission");
    Ok(())
}

fn about(report: &Report) -> Vec<(usize, Fate)> {
    report.notices.iter().map(|notice| (notice.number, notice.fate)).collect()
}

const fn action(fate: Fate) -> Action {
    match fate {
        Fate::Delivered => Action::Delivered,
        Fate::Relayed => Action::Relayed,
        Fate::Expanded => Action::Expanded,
        Fate::Delayed => Action::Delayed,
        Fate::Failed | Fate::Expired => Action::Failed,
    }
}

fn outcome(notice: &Notice, report: &Report) -> compose::Outcome {
    let recipient = &notice.recipient;
    let action = action(notice.fate);
    let facts = recipient.facts.clone().unwrap_or_default();
    let status = facts.status.as_deref().and_then(|status| status.parse::<Status>().ok());
    let status = match (action, notice.fate) {
        // What is not delivered in time fails for that, whatever it was each time.
        (Action::Failed, Fate::Expired) => status.unwrap_or(Status::permanent(4, 7)).given_up(),
        (Action::Failed, _) => status.unwrap_or(Status::permanent(0, 0)).given_up(),
        (Action::Delayed, _) => status.unwrap_or(Status::temporary(0, 0)),
        _ => Status::success(0, 0),
    };
    let said = recipient.said.clone().unwrap_or_default();
    let tried = facts.at;
    let (reply, cause) = match facts {
        Facts { reply: Some(_), host: Some(server), .. } => (Some(Reply { server, text: said }), None),
        _ => (None, Some(said).filter(|said| !said.is_empty())),
    };
    let is_success = !matches!(action, Action::Failed | Action::Delayed);
    compose::Outcome {
        address: recipient.address.clone(),
        original: original(recipient),
        action,
        status,
        reply,
        cause: cause.filter(|_| !is_success),
        tried,
        until: report.until.filter(|_| action == Action::Delayed),
    }
}
