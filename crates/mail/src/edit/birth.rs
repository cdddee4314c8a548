//! The first rows of an account: the INBOX and the mailboxes that every mail app looks for.

use store::kv::Transaction;
use types::{AccountId, EmailId, MailboxId, ModSeq, ThreadId, Timestamp, UidValidity};

use super::Edit;
use crate::table::{AccountState, MailboxRecord};
use crate::{Error, Role};

const FIRST: [(&str, Role); 6] = [
    ("INBOX", Role::Inbox),
    ("Drafts", Role::Drafts),
    ("Sent", Role::Sent),
    ("Archive", Role::Archive),
    ("Junk", Role::Junk),
    ("Trash", Role::Trash),
];

impl Edit {
    /// The change in which an account begins. Nothing is written before [`Self::finish`], so that what is refused
    /// leaves no trace.
    pub(super) fn born(tx: Transaction, account: AccountId, now: Timestamp) -> Self {
        // UIDVALIDITY must differ from that of an earlier account of the same name: RFC 9051 §2.3.1.1
        // recommends the time.
        let uidvalidity = u32::try_from(now.secs()).unwrap_or(u32::MAX / 2).max(1);
        let state = AccountState {
            modseq: ModSeq(0),
            next_email: EmailId(1),
            next_thread: ThreadId(1),
            next_mailbox: MailboxId::INBOX,
            next_uidvalidity: UidValidity(uidvalidity),
            bytes: 0,
            emails: 0,
            trash: None,
            log_floor: ModSeq(0),
            mailboxes: 0,
        };
        let mut edit = Self::new(tx, account, now, state);
        for (name, role) in FIRST {
            let uidvalidity = edit.new_uidvalidity();
            let mailbox = edit.add_mailbox(MailboxRecord {
                name: name.to_owned(),
                parent: None,
                role: Some(role.number()),
                subscribed: true,
                uidvalidity,
                deleting: false,
                sort_order: 0,
            });
            if role == Role::Trash {
                edit.state.trash = Some(mailbox);
            }
        }
        edit.born = true;
        edit
    }

    /// Writes what [`Self::born`] has made, once it is certain that anything is to be written.
    pub(super) fn write_birth(&self) -> Result<(), Error> {
        let made = self.records.iter().filter_map(|(id, record)| Some((*id, record.as_ref()?)));
        made.filter(|_| self.born).try_for_each(|(mailbox, record)| self.write_mailbox(mailbox, record))
    }
}
