//! What the change log tells of mailboxes beyond their rows: who follows it hears what a mailbox was called without
//! having kept the names of all.

use std::collections::BTreeMap;

use types::MailboxId;

use super::Edit;
use crate::MailboxPath;
use crate::table::{AnnotationsChange, Change};

/// How many octets of paths and names a row of the change log takes. A deleted subtree may have more: its mailboxes are
/// in the row all the same, and who follows the log by names has to look for itself.
const ROOM: usize = 32 << 10;

/// What an [`Edit`] has noted.
#[derive(Default)]
pub(super) struct Notes {
    was: BTreeMap<MailboxId, String>,
    subscribed: BTreeMap<MailboxId, bool>,
    annotations: Option<AnnotationsChange>,
    unsubscribed: Option<String>,
}

impl Edit {
    /// A mailbox is renamed or deleted; it had this path.
    pub(crate) fn mailbox_was(&mut self, mailbox: MailboxId, path: &MailboxPath) {
        self.notes.was.insert(mailbox, path.to_string());
    }

    /// Whether a mailbox is subscribed to has changed, or was so when it was deleted.
    pub(crate) fn mailbox_subscribed(&mut self, mailbox: MailboxId, subscribed: bool) {
        self.notes.subscribed.insert(mailbox, subscribed);
    }

    /// A mailbox's annotations, or the account's own, were written or removed.
    pub(crate) fn annotated(&mut self, mailbox: Option<MailboxId>, names: Vec<String>) {
        self.notes.annotations = Some(AnnotationsChange { mailbox, names });
    }

    /// A name that no mailbox has is not subscribed to any more.
    pub(crate) fn unsubscribed(&mut self, path: &MailboxPath) {
        self.notes.unsubscribed = Some(path.to_string());
    }

    /// Adds the notes to the change.
    pub(super) fn write_notes(&mut self, change: &mut Change) {
        let notes = std::mem::take(&mut self.notes);
        if notes.size() > ROOM {
            change.untold = true;
            return;
        }
        for mailbox in &mut change.mailboxes {
            mailbox.was = notes.was.get(&mailbox.mailbox).cloned();
            mailbox.subscribed = notes.subscribed.get(&mailbox.mailbox).copied();
        }
        change.annotations = notes.annotations;
        change.unsubscribed = notes.unsubscribed;
    }
}

impl Notes {
    /// Octets of all paths and names.
    fn size(&self) -> usize {
        let annotations = self.annotations.iter().flat_map(|change| &change.names);
        self.was.values().chain(annotations).chain(&self.unsubscribed).map(String::len).sum()
    }
}
