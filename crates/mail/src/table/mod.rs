//! The tables of an account, one file each: key layout, record, and what the row is for.
//!
//! Every key begins with `a`, the account id (8 bytes, big-endian) and the table's number, so that an account is
//! one range of keys. `docs/keyspace.md` lists them all.

mod account;
mod annotation;
mod answer;
mod change;
mod delivered;
mod email;
mod expunged;
mod identity;
mod mailbox;
mod member;
mod object;
mod quota;
mod sent;
mod submission;
mod subscription;
mod thread;
mod upload;
mod vacation;

use bytes::Bytes;
use store::kv::{Error, KeyRange, KeyReader, KeyWriter, Table, Transaction, decode};
use types::AccountId;

pub(crate) use account::{AccountState, AccountStates};
pub(crate) use annotation::{AnnotationRow, Annotations};
pub(crate) use answer::{AnsweredRow, Answereds, DueRow, Dues};
pub(crate) use change::{
    AnnotationsChange, Change, Changed, Changes, EmailChange, MailboxChange, ObjectChange, ObjectsChange,
    ThreadChange,
};
pub(crate) use delivered::{DeliveredRow, Deliveries, Imports, day};
pub(crate) use email::{EmailState, Emails, Membership, Metadatas, SourceRecord, SourceView, Sources};
pub(crate) use expunged::{ExpungedRow, Expungeds};
pub(crate) use identity::Identities;
pub use identity::{Identity, Person};
pub(crate) use mailbox::{
    MailboxCounters, MailboxNames, MailboxRecord, MailboxRow, MailboxStates, Mailboxes, ThreadCounter,
    mailbox_names, mailbox_range, mailbox_rows, thread_counter,
};
pub(crate) use member::{MemberRecord, Members, ReceivedKey, ReceivedRow, Receiveds};
pub use object::ObjectKind;
pub(crate) use object::ObjectTable;
pub use quota::QuotaKind;
pub(crate) use quota::{QuotaRow, Quotas};
pub(crate) use sent::{SentRow, Sents};
pub use submission::{Addressee, Arrival, Path, QueueEntry, Submission, Undo};
pub(crate) use submission::{Submissions, SubmittedRow, Submitteds};
pub(crate) use subscription::{Subscribed, Subscriptions};
pub(crate) use thread::{ThreadEmail, ThreadKeyRow, ThreadKeys, ThreadState, Threads};
pub(crate) use upload::{UploadRow, Uploads};
pub use vacation::Vacation;
pub(crate) use vacation::Vacations;

/// The first byte of every key of an account.
const ACCOUNT: &[u8] = b"a";

/// The number of each table. Numbers are never reused.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Number {
    Account = 1,
    Mailbox = 2,
    MailboxName = 3,
    Member = 4,
    Received = 5,
    Email = 6,
    Metadata = 7,
    Source = 8,
    Thread = 9,
    ThreadKey = 10,
    Change = 11,
    Expunged = 12,
    Delivered = 13,
    Imported = 14,
    Subscription = 15,
    Annotation = 16,
    Upload = 17,
    Identity = 18,
    Submission = 19,
    Vacation = 20,
    Submitted = 21,
    Answered = 22,
    Quota = 23,
    Sent = 24,
}

/// The beginning of every key of one table of one account.
pub(crate) fn table(account: AccountId, number: Number) -> KeyWriter {
    KeyWriter::new(ACCOUNT).u64(account.0).u8(number as u8)
}

/// Reads a key's account and leaves the rest, if the key is of that table.
pub(crate) fn reader(key: &[u8], number: Number) -> Option<(AccountId, KeyReader<'_>)> {
    let mut reader = KeyReader::new(key, ACCOUNT)?;
    let account = AccountId(reader.u64()?);
    (reader.u8()? == number as u8).then_some((account, reader))
}

/// Records by key, in the order asked, for a reader: one round, and changes by others are no conflict.
pub(crate) async fn read_many<T: Table>(
    tx: &Transaction,
    keys: &[T::Key],
) -> Result<Vec<Option<T::Record>>, Error> {
    let keys: Vec<Bytes> = keys.iter().map(T::key).collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let values = tx.snapshot_get_many(keys.clone()).await?;
    keys.iter()
        .zip(values)
        .map(|(key, value)| value.map(|value| decode::<T>(key, &value)).transpose())
        .collect()
}

/// Everything that an account has in these tables.
pub(crate) fn account_range(account: AccountId) -> KeyRange {
    KeyWriter::new(ACCOUNT).u64(account.0).range()
}
