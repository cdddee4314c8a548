//! `submission`: messages that an account has given up for sending (RFC 8621 §7); and `submitted`, by which the repetition
//! of one is recognised.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, Table};
use types::{AccountId, EmailId, ObjectId, ThreadId, Timestamp};

use super::{Number, ObjectKind, ObjectTable, reader, table};

/// Key: account, object (8 bytes).
pub(crate) struct Submissions;

/// A message that was given up for sending.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Submission {
    /// From whom.
    #[n(0)]
    pub identity: ObjectId,
    /// The email that was sent, which may be gone since.
    #[n(1)]
    pub email: EmailId,
    /// The thread that it was in.
    #[n(2)]
    pub thread: ThreadId,
    /// The sender in the envelope; the address is empty for `<>`.
    #[n(3)]
    pub sender: Path,
    /// Whom it is for, in the order of the envelope.
    #[n(4)]
    pub recipients: Vec<Addressee>,
    /// When it was given up for sending.
    #[n(5)]
    pub made: Timestamp,
    /// When it was or will be sent.
    #[n(6)]
    pub send_at: Timestamp,
    /// Whether that can be undone.
    #[n(7)]
    pub undo: Undo,
    /// Its entry in the inbound queue, if some of it waits there.
    #[cbor(n(8), with = "minicbor::bytes")]
    pub inbound: Option<[u8; 8]>,
    /// Its entries in the outbound queue.
    #[n(9)]
    #[cbor(default)]
    pub outbound: Vec<QueueEntry>,
    /// By what its repetition is recognised.
    #[cbor(n(10), with = "minicbor::bytes")]
    pub marker: [u8; 16],
    /// Reports on it that have come, the oldest first.
    #[n(11)]
    #[cbor(default)]
    pub reports: Vec<EmailId>,
    /// What recipients, or others in their name, have told that they did with it, the oldest first.
    #[n(12)]
    #[cbor(default)]
    pub receipts: Vec<EmailId>,
    /// The name of the message's id, by which receipts are found to be for it.
    #[cbor(n(13), with = "minicbor::bytes")]
    pub message: Option<[u8; 16]>,
}

/// The id of an entry in a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(transparent)]
pub struct QueueEntry(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 8]);

/// An address in an envelope, with its parameters as the client has given them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub struct Path {
    /// The address.
    #[n(0)]
    pub address: String,
    /// Parameters by their names; some have no value. None if the client has given none.
    #[n(1)]
    pub parameters: Option<Vec<(String, Option<String>)>>,
}

/// A recipient and what became of the message there.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub struct Addressee {
    /// The recipient.
    #[n(0)]
    pub path: Path,
    /// The address as the queues know it, if it is another; none where the recipient leads to several.
    #[n(1)]
    pub queued_as: Option<String>,
    /// What was said about it last, as a reply of SMTP.
    #[n(2)]
    #[cbor(default)]
    pub reply: String,
    /// Whether it has the message.
    #[n(3)]
    #[cbor(default)]
    pub arrival: Arrival,
    /// A receipt says that it was displayed there.
    #[n(4)]
    #[cbor(default)]
    pub displayed: bool,
}

/// Whether a message has arrived.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Encode, Decode)]
#[cbor(index_only)]
pub enum Arrival {
    /// It waits in a queue of ours.
    #[default]
    #[n(0)]
    Queued,
    /// It is in the mailbox.
    #[n(1)]
    Yes,
    /// It will not arrive.
    #[n(2)]
    No,
    /// It has left, and nobody tells what becomes of it.
    #[n(3)]
    Unknown,
}

/// Whether sending can be undone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum Undo {
    /// Perhaps: nobody has it yet.
    #[n(0)]
    Pending,
    /// No.
    #[n(1)]
    Final,
    /// It was.
    #[n(2)]
    Canceled,
}

impl ObjectTable for Submissions {
    const KIND: ObjectKind = ObjectKind::Submission;

    fn all(account: AccountId) -> KeyRange {
        table(account, Number::Submission).range()
    }
}

impl Table for Submissions {
    type Key = (AccountId, ObjectId);
    type Record = Submission;
    const NAME: &'static str = "submission";

    fn key((account, object): &Self::Key) -> Bytes {
        table(*account, Number::Submission).u64(object.0).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let (account, mut rest) = reader(key, Number::Submission)?;
        let object = ObjectId(rest.u64()?);
        rest.end().map(|()| (account, object))
    }
}

/// Key: account, marker (16 bytes).
pub(crate) struct Submitteds;

/// What was sent last under a marker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub(crate) struct SubmittedRow {
    /// How often something was sent under it that came to an end: what is sent now is something else.
    #[n(0)]
    pub(crate) ended: u32,
    /// The submission that a repetition means; none if it was undone or destroyed.
    #[n(1)]
    pub(crate) submission: Option<ObjectId>,
    /// When this was written.
    #[n(2)]
    pub(crate) at: Timestamp,
}

impl Submitteds {
    /// All rows of an account.
    pub(crate) fn all(account: AccountId) -> KeyRange {
        table(account, Number::Submitted).range()
    }
}

impl Table for Submitteds {
    type Key = (AccountId, [u8; 16]);
    type Record = SubmittedRow;
    const NAME: &'static str = "submitted";

    fn key((account, marker): &Self::Key) -> Bytes {
        table(*account, Number::Submitted).bytes(marker).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let (account, mut rest) = reader(key, Number::Submitted)?;
        let marker = rest.take()?;
        rest.end().map(|()| (account, marker))
    }
}

#[cfg(test)]
mod tests {
    use store::kv::{decode, encode};

    use super::*;

    /// As rows were written before there were receipts.
    #[derive(Encode)]
    #[cbor(map)]
    struct Before {
        #[n(0)]
        identity: ObjectId,
        #[n(1)]
        email: EmailId,
        #[n(2)]
        thread: ThreadId,
        #[n(3)]
        sender: Path,
        #[n(4)]
        recipients: Vec<AddresseeBefore>,
        #[n(5)]
        made: Timestamp,
        #[n(6)]
        send_at: Timestamp,
        #[n(7)]
        undo: Undo,
        #[cbor(n(10), with = "minicbor::bytes")]
        marker: [u8; 16],
    }

    #[derive(Encode)]
    #[cbor(map)]
    struct AddresseeBefore {
        #[n(0)]
        path: Path,
        #[n(2)]
        reply: String,
        #[n(3)]
        arrival: Arrival,
    }

    #[test]
    fn rows_of_older_nodes_are_read() {
        let before = Before {
            identity: ObjectId(1),
            email: EmailId(2),
            thread: ThreadId(3),
            sender: Path::default(),
            recipients: vec![AddresseeBefore {
                path: Path::default(),
                reply: "250".to_owned(),
                arrival: Arrival::Yes,
            }],
            made: Timestamp(4),
            send_at: Timestamp(5),
            undo: Undo::Final,
            marker: [6; 16],
        };
        let read = decode::<Submissions>(b"", &minicbor::to_vec(before).unwrap()).unwrap();
        assert_eq!((read.receipts.len(), read.reports.len(), read.message), (0, 0, None));
        assert!(!read.recipients[0].displayed && read.recipients[0].arrival == Arrival::Yes);
        let now = Submission { message: Some([7; 16]), receipts: vec![EmailId(8)], ..read };
        assert_eq!(decode::<Submissions>(b"", &encode::<Submissions>(&now).unwrap()).unwrap(), now);
    }
}
