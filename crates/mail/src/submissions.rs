//! Submissions: what an account has given up for sending, and what became of it (RFC 8621 §7). How it is sent is not known
//! here: whoever sends has the rows written in the transactions in which it moves mail on, so that what they say is so.
//!
//! A client that does not hear that something was sent sends it again. So what it sends has a *marker*, and what is sent
//! under a marker has a *name* that a repetition has too, for a day: made of the marker, and of how often something was sent
//! under it before that has come to an end, undone or destroyed.

use std::time::Duration;

use store::kv::{Range, Table, Transaction, decode};
use types::{AccountId, ModSeq, ObjectId, Timestamp};

use crate::edit::Edit;
use crate::returned::forget_sent;
use crate::table::{
    Addressee, Arrival, SentRow, Sents, Submission, Submissions, SubmittedRow, Submitteds, Undo,
};
use crate::{Error, Mail};

/// What is known of what was sent under a marker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Submitted {
    /// The name of what is sent now: equal for a repetition, different for everything else.
    pub name: [u8; 16],
    /// What was sent already under this name.
    pub submission: Option<ObjectId>,
}

/// What became of a submission that was written down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recorded {
    /// Its id.
    pub submission: ObjectId,
    /// It was there already: the transaction must add nothing else.
    pub repeated: bool,
}

/// News of a recipient, by the address that the queues know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
    /// The address.
    pub address: String,
    /// What was said, as a reply of SMTP.
    pub reply: String,
    /// Whether it has the message.
    pub arrival: Arrival,
}

impl Mail {
    /// How long submissions are kept, counted from when they were or should be sent.
    pub const SUBMISSIONS_KEPT: Duration = Duration::from_hours(30 * 24);
    /// How long a repetition is recognised.
    pub const SUBMITTED_KEPT: Duration = Duration::from_hours(24);
    /// The most submissions of an account: of more, the oldest that are over go first.
    pub const SUBMISSIONS: usize = 10_000;
    const SUBMISSIONS_AT_ONCE: usize = 200;

    /// All submissions, the oldest first, and the modseq at which they are so.
    pub async fn submissions(
        &self,
        account: AccountId,
    ) -> Result<(ModSeq, Vec<(ObjectId, Submission)>), Error> {
        self.all_objects::<Submissions>(account).await
    }

    /// Submissions in the order asked; none for those that are not there.
    pub async fn submissions_at(
        &self,
        account: AccountId,
        submissions: &[ObjectId],
    ) -> Result<Vec<Option<Submission>>, Error> {
        self.objects_at::<Submissions>(account, submissions).await
    }

    /// What was sent under a marker. One read.
    pub async fn submitted(&self, account: AccountId, marker: &[u8; 16]) -> Result<Submitted, Error> {
        let key = &(account, *marker);
        let row = self.look(|tx| async move { Ok(tx.snapshot_load::<Submitteds>(key).await?) }).await?;
        let row = current(row, self.now());
        Ok(Submitted { name: name(account, marker, row.ended), submission: row.submission })
    }

    /// Writes a submission down, in the transaction that sends it. If it is a repetition, or if something else was sent
    /// under its name meanwhile, nothing is written.
    pub async fn record_submission(
        &self,
        tx: &Transaction,
        account: AccountId,
        new: &Submission,
        sent_as: &[u8; 16],
    ) -> Result<Recorded, Error> {
        let key = (account, new.marker);
        let sent_key = new.message.map(|message| (account, message));
        let (row, sent) = read_sent(tx, &key, sent_key.as_ref()).await?;
        let row = current(row, self.now());
        if name(account, &new.marker, row.ended) != *sent_as {
            return Err(Error::Changed);
        }
        if let Some(submission) = row.submission {
            return Ok(Recorded { submission, repeated: true });
        }
        let mut edit = Edit::open(tx, account, self.now()).await?;
        let submission = edit.new_object();
        edit.put_object::<Submissions>(submission, None, new)?;
        let row = SubmittedRow { submission: Some(submission), at: self.now(), ..row };
        tx.save::<Submitteds>(&key, &row)?;
        if let Some(key) = sent_key {
            tx.save::<Sents>(&key, &sent.unwrap_or_default().with(submission))?;
        }
        edit.finish().await?;
        Ok(Recorded { submission, repeated: false })
    }

    /// Writes down what became of a submission, in the transaction in which it did. A submission that is not there any more
    /// is nobody's concern. With the first word of any recipient it is too late to undo it.
    pub async fn note_submission(
        &self,
        tx: &Transaction,
        account: AccountId,
        submission: ObjectId,
        words: &[Word],
    ) -> Result<(), Error> {
        let Some(before) = tx.load::<Submissions>(&(account, submission)).await? else { return Ok(()) };
        let mut after = before.clone();
        for addressee in &mut after.recipients {
            let address = addressee.queued_as.as_ref();
            let word = words.iter().find(|word| address.is_some_and(|address| *address == word.address));
            if let Some(word) = word {
                (addressee.reply, addressee.arrival) = (word.reply.clone(), word.arrival);
            }
        }
        if after.undo == Undo::Pending && !words.is_empty() {
            after.undo = Undo::Final;
        }
        if after == before {
            return Ok(());
        }
        let mut edit = Edit::open(tx, account, self.now()).await?;
        edit.put_object::<Submissions>(submission, Some(&before), &after)?;
        edit.finish().await?;
        Ok(())
    }

    /// The submission that can be undone in this transaction; none if that is too late.
    ///
    /// # Errors
    /// [`Error::NoSuchObject`].
    pub async fn pending_submission(
        &self,
        tx: &Transaction,
        account: AccountId,
        submission: ObjectId,
    ) -> Result<Option<Submission>, Error> {
        let found = tx.load::<Submissions>(&(account, submission)).await?.ok_or(Error::NoSuchObject)?;
        Ok(Some(found).filter(|submission| submission.undo == Undo::Pending))
    }

    /// Writes down that a submission was undone, in the transaction that takes it out of the queues.
    pub async fn cancel_submission(
        &self,
        tx: &Transaction,
        account: AccountId,
        submission: ObjectId,
        before: &Submission,
    ) -> Result<(), Error> {
        let mut after = before.clone();
        after.undo = Undo::Canceled;
        for addressee in &mut after.recipients {
            let Addressee { reply, arrival, .. } = addressee;
            (*reply, *arrival) = ("550 5.7.0 Canceled by its sender".to_owned(), Arrival::No);
        }
        let mut edit = Edit::open(tx, account, self.now()).await?;
        edit.put_object::<Submissions>(submission, Some(before), &after)?;
        self.end_marker(tx, account, submission, before).await?;
        edit.finish().await?;
        Ok(())
    }

    /// Forgets a submission. What it has sent, or is about to send, is sent all the same.
    pub async fn destroy_submission(&self, account: AccountId, submission: ObjectId) -> Result<(), Error> {
        let _turn = self.turn(account).await;
        let work = |tx: Transaction| async move {
            let mut edit = Edit::open(&tx, account, self.now()).await?;
            let before = edit.object::<Submissions>(submission).await?.ok_or(Error::NoSuchObject)?;
            edit.remove_object::<Submissions>(submission)?;
            forget_sent(&edit, submission, &before).await?;
            self.end_marker(&tx, account, submission, &before).await?;
            edit.finish().await
        };
        let modseq = self.kv().run(work).await?;
        self.announce(account, modseq).await;
        Ok(())
    }

    /// Tells followers of an account that it may have changed, after a transaction of somebody else's was committed that
    /// has written into it.
    pub async fn stir(&self, account: AccountId) {
        // A lost notification costs time, nothing else.
        if let Ok(modseq) = self.modseq(account).await {
            self.announce(account, modseq).await;
        }
    }

    /// What comes after it under the same marker is something else.
    async fn end_marker(
        &self,
        tx: &Transaction,
        account: AccountId,
        submission: ObjectId,
        of: &Submission,
    ) -> Result<(), Error> {
        let key = (account, of.marker);
        let Some(row) = tx.load::<Submitteds>(&key).await? else { return Ok(()) };
        if row.submission == Some(submission) {
            let ended = row.ended.saturating_add(1);
            tx.save::<Submitteds>(&key, &SubmittedRow { ended, submission: None, at: self.now() })?;
        }
        Ok(())
    }

    /// Forgets submissions that are over, once they are old or there are too many, and old markers. Returns how many
    /// submissions went.
    pub(crate) async fn trim_submissions(&self, account: AccountId) -> Result<u64, Error> {
        let (_, all) = self.submissions(account).await?;
        let old = self.now().minus(Self::SUBMISSIONS_KEPT);
        let mut excess = all.len().saturating_sub(Self::SUBMISSIONS);
        let mut gone = Vec::new();
        for (submission, record) in &all {
            let is_over = record.undo != Undo::Pending;
            let waits = record.recipients.iter().any(|one| one.arrival == Arrival::Queued);
            if is_over && (record.send_at < old || (excess > 0 && !waits)) {
                excess = excess.saturating_sub(1);
                gone.push(*submission);
            }
        }
        for some in gone.chunks(Self::SUBMISSIONS_AT_ONCE) {
            let _turn = self.turn(account).await;
            let work = |tx: Transaction| async move {
                let mut edit = Edit::open(&tx, account, self.now()).await?;
                for submission in some {
                    if let Some(before) = edit.object::<Submissions>(*submission).await? {
                        edit.remove_object::<Submissions>(*submission)?;
                        forget_sent(&edit, *submission, &before).await?;
                    }
                }
                edit.finish().await
            };
            let modseq = self.kv().run(work).await?;
            self.announce(account, modseq).await;
        }
        self.forget_markers(account).await?;
        Ok(gone.len() as u64)
    }

    /// Markers are kept for three times as long as a repetition is recognised: longer than the names of deliveries that were
    /// made of them.
    async fn forget_markers(&self, account: AccountId) -> Result<(), Error> {
        let before = self.now().minus(Self::SUBMITTED_KEPT * 3);
        let work = |tx: Transaction| async move {
            let mut rows = tx.rows::<Submitteds>(Range::new(Submitteds::all(account)).snapshot());
            while let Some((key, row)) = rows.next().await? {
                if row.at < before && tx.load::<Submitteds>(&key).await?.is_some_and(|row| row.at < before) {
                    tx.remove::<Submitteds>(&key)?;
                }
            }
            Ok::<_, Error>(())
        };
        self.kv().run(work).await
    }
}

/// A row as it counts now: one that is too old for a repetition has ended.
fn current(row: Option<SubmittedRow>, now: Timestamp) -> SubmittedRow {
    match row {
        Some(row) if row.at.plus(Mail::SUBMITTED_KEPT) > now => row,
        Some(row) => SubmittedRow { ended: row.ended.saturating_add(1), submission: None, ..row },
        None => SubmittedRow::default(),
    }
}

fn name(account: AccountId, marker: &[u8; 16], ended: u32) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key("magpie 2026-11 jmap submission");
    hasher.update(&account.to_be_bytes()).update(marker).update(&ended.to_be_bytes());
    let mut name = [0; 16];
    hasher.finalize_xof().fill(&mut name);
    name
}

/// What was sent under a marker, and under a message's id: one round.
async fn read_sent(
    tx: &Transaction,
    marker: &(AccountId, [u8; 16]),
    message: Option<&(AccountId, [u8; 16])>,
) -> Result<(Option<SubmittedRow>, Option<SentRow>), Error> {
    let (first, second) = (Submitteds::key(marker), message.map(Sents::key));
    let keys = std::iter::once(first.clone()).chain(second.clone()).collect();
    let mut values = tx.get_many(keys).await?.into_iter();
    let submitted = values.next().flatten().map(|value| decode::<Submitteds>(&first, &value)).transpose()?;
    let sent = second.zip(values.next().flatten()).map(|(key, value)| decode::<Sents>(&key, &value));
    Ok((submitted, sent.transpose()?))
}
