//! `change`: the change log, one row per modseq. IMAP sessions, JMAP `*/changes`, push and indexes all follow it.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, Table, after_key};
use types::{AccountId, EmailId, MailboxId, ModSeq, ObjectId, ThreadId, Timestamp, Uid};

use super::{Number, ObjectKind, reader, table};

/// Key: account, modseq.
pub(crate) struct Changes;

/// What one transaction changed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub(crate) struct Change {
    #[n(0)]
    pub(crate) at: Timestamp,
    #[n(1)]
    pub(crate) emails: Vec<EmailChange>,
    #[n(2)]
    pub(crate) threads: Vec<ThreadChange>,
    #[n(3)]
    pub(crate) mailboxes: Vec<MailboxChange>,
    #[n(4)]
    pub(crate) annotations: Option<AnnotationsChange>,
    /// A name that is not subscribed to any more and that no mailbox has.
    #[n(5)]
    pub(crate) unsubscribed: Option<String>,
    /// There was more to tell of mailboxes than a row has room for.
    #[n(6)]
    #[cbor(default)]
    pub(crate) untold: bool,
    /// Things that are neither emails nor mailboxes; none if nothing happened to any.
    #[n(7)]
    pub(crate) objects: Option<ObjectsChange>,
}

/// What became of a thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Changed {
    #[n(0)]
    Created,
    #[n(1)]
    Updated,
    #[n(2)]
    Destroyed,
}

/// A changed email, with its places in mailboxes so that a reader of one mailbox needs no further row.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct EmailChange {
    #[n(0)]
    pub(crate) email: EmailId,
    #[n(1)]
    pub(crate) thread: ThreadId,
    #[n(2)]
    pub(crate) changed: Changed,
    /// The thread that it was in before, if it moved: a JMAP email id ends there and another begins.
    #[n(3)]
    pub(crate) old_thread: Option<ThreadId>,
    #[n(4)]
    pub(crate) added: Vec<(MailboxId, Uid)>,
    #[n(5)]
    pub(crate) removed: Vec<(MailboxId, Uid)>,
    /// Where it was before and still is, and what a listing by UID shows of it changed.
    #[n(6)]
    pub(crate) kept: Vec<(MailboxId, Uid)>,
}

/// A changed thread.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct ThreadChange {
    #[n(0)]
    pub(crate) thread: ThreadId,
    #[n(1)]
    pub(crate) changed: Changed,
}

/// A changed mailbox.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct MailboxChange {
    #[n(0)]
    pub(crate) mailbox: MailboxId,
    #[n(1)]
    pub(crate) changed: Changed,
    /// Only counters changed (RFC 8621 §2.2 `updatedProperties`).
    #[n(2)]
    pub(crate) counters_only: bool,
    /// The path that it had before, if it was renamed or deleted.
    #[n(3)]
    pub(crate) was: Option<String>,
    /// Whether it is subscribed to, if that has changed; of one that was deleted, whether it was.
    #[n(4)]
    pub(crate) subscribed: Option<bool>,
}

/// Annotations that were written or removed.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct AnnotationsChange {
    /// Whose; none is the account itself.
    #[n(0)]
    pub(crate) mailbox: Option<MailboxId>,
    /// Their names.
    #[n(1)]
    pub(crate) names: Vec<String>,
}

/// Changed objects, by their kind. A list of its own for each, so that a node that does not know a kind skips it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub(crate) struct ObjectsChange {
    #[n(0)]
    #[cbor(default)]
    identities: Vec<ObjectChange>,
    #[n(1)]
    #[cbor(default)]
    submissions: Vec<ObjectChange>,
    #[n(2)]
    #[cbor(default)]
    vacation_responses: Vec<ObjectChange>,
    #[n(3)]
    #[cbor(default)]
    quotas: Vec<ObjectChange>,
}

/// A changed object.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct ObjectChange {
    #[n(0)]
    pub(crate) object: ObjectId,
    #[n(1)]
    pub(crate) changed: Changed,
}

impl ObjectsChange {
    /// The changed objects of a kind.
    pub(crate) fn of(&self, kind: ObjectKind) -> &[ObjectChange] {
        match kind {
            ObjectKind::Identity => &self.identities,
            ObjectKind::Submission => &self.submissions,
            ObjectKind::VacationResponse => &self.vacation_responses,
            ObjectKind::Quota => &self.quotas,
        }
    }

    /// Adds a changed object.
    pub(crate) fn push(&mut self, kind: ObjectKind, change: ObjectChange) {
        match kind {
            ObjectKind::Identity => self.identities.push(change),
            ObjectKind::Submission => self.submissions.push(change),
            ObjectKind::VacationResponse => self.vacation_responses.push(change),
            ObjectKind::Quota => self.quotas.push(change),
        }
    }

    /// Whether nothing has changed.
    pub(crate) fn is_empty(&self) -> bool {
        ObjectKind::ALL.iter().all(|kind| self.of(*kind).is_empty())
    }
}

impl Change {
    /// Whether the account holds more or less than before: nothing else counts there than emails that came or went.
    pub(crate) fn counts(&self) -> bool {
        self.emails.iter().any(|email| email.changed != Changed::Updated)
    }

    /// The changed objects of a kind.
    pub(crate) fn objects_of(&self, kind: ObjectKind) -> &[ObjectChange] {
        self.objects.as_ref().map_or(&[], |objects| objects.of(kind))
    }
}

impl Changes {
    /// The rows after `since`.
    pub(crate) fn since(account: AccountId, since: ModSeq) -> KeyRange {
        let begin = after_key(&Self::key(&(account, since)));
        KeyRange { begin, end: table(account, Number::Change).range().end }
    }

    /// The rows up to `last`, included.
    pub(crate) fn until(account: AccountId, last: ModSeq) -> KeyRange {
        let begin = table(account, Number::Change).range().begin;
        KeyRange { begin, end: after_key(&Self::key(&(account, last))) }
    }
}

impl Table for Changes {
    type Key = (AccountId, ModSeq);
    type Record = Change;
    const NAME: &'static str = "change";

    fn key((account, modseq): &Self::Key) -> Bytes {
        table(*account, Number::Change).u64(modseq.0).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let (account, mut rest) = reader(key, Number::Change)?;
        let modseq = ModSeq(rest.u64()?);
        rest.end().map(|()| (account, modseq))
    }
}

#[cfg(test)]
mod tests {
    use store::kv::{decode, encode};

    use super::*;

    #[test]
    fn rows_of_older_nodes_are_read_and_rows_without_objects_are_as_short_as_theirs() {
        // As it was written before there were objects.
        #[derive(Encode)]
        struct Before {
            #[n(0)]
            at: Timestamp,
            #[n(1)]
            emails: Vec<EmailChange>,
            #[n(2)]
            threads: Vec<ThreadChange>,
            #[n(3)]
            mailboxes: Vec<MailboxChange>,
            #[n(4)]
            annotations: Option<AnnotationsChange>,
            #[n(5)]
            unsubscribed: Option<String>,
            #[n(6)]
            untold: bool,
        }
        let before = Before {
            at: Timestamp(7),
            emails: Vec::new(),
            threads: vec![ThreadChange { thread: ThreadId(3), changed: Changed::Updated }],
            mailboxes: Vec::new(),
            annotations: None,
            unsubscribed: None,
            untold: false,
        };
        let old = minicbor::to_vec(&before).unwrap();
        let change = decode::<Changes>(b"", &old).unwrap();
        assert_eq!((change.threads.len(), &change.objects), (1, &None));
        assert_eq!(encode::<Changes>(&change).unwrap(), old);
    }

    #[test]
    fn a_kind_that_is_not_known_is_skipped() {
        #[derive(Encode)]
        struct Later {
            #[n(0)]
            identities: Vec<ObjectChange>,
            #[n(1)]
            submissions: Vec<ObjectChange>,
            #[n(2)]
            vacation_responses: Vec<ObjectChange>,
            #[n(3)]
            quotas: Vec<ObjectChange>,
            #[n(4)]
            later: Vec<ObjectChange>,
        }
        let one = ObjectChange { object: ObjectId(5), changed: Changed::Created };
        let none = Vec::new;
        let (identities, vacation_responses, quotas) = (none(), none(), none());
        let later =
            Later { identities, submissions: vec![one], vacation_responses, quotas, later: vec![one] };
        let later = minicbor::to_vec(later).unwrap();
        let objects: ObjectsChange = minicbor::decode(&later).unwrap();
        assert_eq!(objects.of(ObjectKind::Submission), [one]);
        assert!(objects.of(ObjectKind::Identity).is_empty() && !objects.is_empty());
    }
}
