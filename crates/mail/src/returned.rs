//! What comes back for a submission: reports of servers on its delivery, and receipts of those who got it (RFC 8621 §7
//! `dsnBlobIds`, `mdnBlobIds`). Reports of our own say which submission they are on; others are found to be by the id of the
//! message that was sent, which they name or bring along.

use types::{AccountId, EmailId, ObjectId};

use crate::edit::Edit;
use crate::ingest::{DeliveryReport, Notification};
use crate::table::{Arrival, SentRow, Sents, Submission, Submissions};
use crate::{Error, Mail};

/// The most submissions of one message of which receipts are noted: the last ones.
const MOST_SENT: usize = 8;
/// The most receipts that are noted of a submission, and the most reports of other servers.
const MOST_RETURNED: usize = 1_000;

impl Mail {
    /// The submission that has sent the message with this Message-ID, without brackets, last.
    pub async fn sent(
        &self,
        account: AccountId,
        message_id: &str,
    ) -> Result<Option<(ObjectId, Submission)>, Error> {
        let key = &(account, Submission::name_of(message_id));
        self.look(|tx| async move {
            let row = tx.snapshot_load::<Sents>(key).await?.unwrap_or_default();
            let Some(last) = row.submissions.last().copied() else { return Ok(None) };
            let found = tx.snapshot_load::<Submissions>(&(account, last)).await?;
            Ok(found.map(|submission| (last, submission)))
        })
        .await
    }
}

impl SentRow {
    /// The same with one more submission.
    pub(crate) fn with(mut self, submission: ObjectId) -> Self {
        self.submissions.push(submission);
        if self.submissions.len() > MOST_SENT {
            self.submissions.remove(0);
        }
        self
    }
}

impl Submission {
    /// The name of a Message-ID, without brackets.
    pub fn name_of(message_id: &str) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_derive_key("magpie 2026-11 message that was submitted");
        hasher.update(message_id.as_bytes());
        let mut name = [0; 16];
        hasher.finalize_xof().fill(&mut name);
        name
    }
}

/// The message that a submission has sent is not known by its id any more. Of one that another submission has sent too,
/// that one is.
pub(crate) async fn forget_sent(edit: &Edit, submission: ObjectId, of: &Submission) -> Result<(), Error> {
    let Some(message) = of.message else { return Ok(()) };
    let key = (edit.account(), message);
    let mut row: SentRow = edit.tx().load::<Sents>(&key).await?.unwrap_or_default();
    row.submissions.retain(|other| *other != submission);
    match row.submissions.is_empty() {
        true => edit.tx().remove::<Sents>(&key)?,
        false => edit.tx().save::<Sents>(&key, &row)?,
    }
    Ok(())
}

/// The submissions that have sent the message with this id, without brackets.
async fn sent_as(edit: &Edit, message_id: &str) -> Result<Vec<(ObjectId, Submission)>, Error> {
    let key = (edit.account(), Submission::name_of(message_id));
    let row = edit.tx().load::<Sents>(&key).await?.unwrap_or_default();
    let mut found = Vec::with_capacity(row.submissions.len());
    for submission in row.submissions {
        found.extend(edit.object::<Submissions>(submission).await?.map(|record| (submission, record)));
    }
    Ok(found)
}

/// Notes that a receipt has come, in the change that delivers it: on the submissions that have sent the message which it is for.
/// Anybody who knows the message's id can write one; so no more than so many are kept.
pub(crate) async fn receipt_came(
    edit: &mut Edit,
    receipt: &Notification,
    email: EmailId,
) -> Result<(), Error> {
    let Some(id) = &receipt.original_message_id else { return Ok(()) };
    for (submission, before) in sent_as(edit, id).await? {
        let mut after = before.clone();
        if after.receipts.len() < MOST_RETURNED {
            after.receipts.push(email);
            for addressee in &mut after.recipients {
                addressee.displayed |= receipt.says_displayed(&addressee.path.address);
            }
        }
        edit.put_object::<Submissions>(submission, Some(&before), &after)?;
    }
    Ok(())
}

/// The same of another server's report. It is believed of those of whom nothing else is known, as the message has left.
pub(crate) async fn delivery_was_told(
    edit: &mut Edit,
    report: &DeliveryReport,
    email: EmailId,
) -> Result<(), Error> {
    for (submission, before) in sent_as(edit, &report.message_id).await? {
        let mut after = before.clone();
        if after.reports.len() < MOST_RETURNED {
            after.reports.push(email);
            for addressee in after.recipients.iter_mut().filter(|one| one.arrival == Arrival::Unknown) {
                let outcome = report.outcomes.iter().find(|outcome| {
                    let queued_as = addressee.queued_as.as_ref();
                    outcome.is_of(&addressee.path.address) || queued_as.is_some_and(|a| outcome.is_of(a))
                });
                if let Some(outcome) = outcome {
                    addressee.arrival = if outcome.delivered { Arrival::Yes } else { Arrival::No };
                }
            }
        }
        edit.put_object::<Submissions>(submission, Some(&before), &after)?;
    }
    Ok(())
}

/// Notes that a report on a submission has come, in the change that delivers it.
pub(crate) async fn report_came(edit: &mut Edit, submission: ObjectId, email: EmailId) -> Result<(), Error> {
    let Some(before) = edit.object::<Submissions>(submission).await? else { return Ok(()) };
    let mut after = before.clone();
    after.reports.push(email);
    edit.put_object::<Submissions>(submission, Some(&before), &after)
}
