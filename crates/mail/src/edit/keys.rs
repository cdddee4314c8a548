//! Which thread an email belongs to (RFC 8621 §3): one that shares a message id and the base subject. When the
//! email shares keys with several threads, it is the missing link between them, and they become one.

use std::collections::BTreeSet;

use bytes::Bytes;
use store::kv::{Table, decode};
use types::{EmailId, ThreadId};

use super::{Edit, Touched};
use crate::Error;
use crate::record::{Metadata, ThreadKey};
use crate::table::{Metadatas, ThreadKeyRow, ThreadKeys, ThreadState};

/// Keys used of an email's: the own one, the thread's root, and the newest references.
const NEWEST: usize = 12;

/// The keys by which an email is threaded. The same for the same metadata, now and when it is purged.
pub(crate) fn thread_keys(metadata: &Metadata) -> Vec<ThreadKey> {
    let all: Vec<ThreadKey> = metadata.thread_keys.iter().collect();
    let newest = all.len().saturating_sub(NEWEST).max(2).min(all.len());
    let mut seen = BTreeSet::new();
    let chosen = all.iter().take(2).chain(&all[newest..]);
    chosen.filter(|key| seen.insert(**key)).copied().collect()
}

impl Edit {
    /// Places of emails that one new email moves to another thread at most: each is a row and a log entry of the
    /// same transaction. Threads that would be too much to move stay by themselves.
    const MERGED_PLACES: usize = 2500;

    pub(super) fn thread_key_was_read(&mut self, key: ThreadKey, value: Option<&Bytes>) -> Result<(), Error> {
        let row_key = ThreadKeys::key(&(self.account, key));
        let row = value.map(|value| decode::<ThreadKeys>(&row_key, value)).transpose()?;
        self.thread_keys.entry(key).or_insert_with(|| Touched::loaded(row));
        Ok(())
    }

    async fn read_thread_keys(&mut self, keys: impl IntoIterator<Item = ThreadKey>) -> Result<(), Error> {
        let unknown: Vec<ThreadKey> =
            keys.into_iter().filter(|k| !self.thread_keys.contains_key(k)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let rows = unknown.iter().map(|key| ThreadKeys::key(&(self.account, *key))).collect();
        for (key, value) in unknown.iter().zip(self.tx.get_many(rows).await?) {
            self.thread_key_was_read(*key, value.as_ref())?;
        }
        Ok(())
    }

    /// Finds or makes the thread of an email that is about to be created with these keys, and counts it in.
    pub(crate) async fn join_thread(&mut self, keys: &[ThreadKey]) -> Result<ThreadId, Error> {
        self.read_thread_keys(keys.iter().copied()).await?;
        let known = keys.iter().filter_map(|key| self.thread_keys.get(key)?.after.as_ref());
        let known: BTreeSet<ThreadId> = known.map(|row| row.thread).collect();
        self.read_threads(known.iter().copied()).await?;
        let length = |edit: &Self, thread: &ThreadId| {
            let state: Option<&ThreadState> = edit.threads.get(thread).and_then(|t| t.after.as_ref());
            state.map_or(0, |state| state.emails.len())
        };
        let mut living: Vec<ThreadId> = known.into_iter().filter(|t| length(self, t) > 0).collect();
        // The longest one stays, so that the fewest emails change their thread; of equals the oldest.
        living.sort_by_key(|thread| (std::cmp::Reverse(length(self, thread)), *thread));
        let thread = match living.first() {
            Some(first) if length(self, first) < ThreadState::MOST_EMAILS => *first,
            _ => self.new_thread(),
        };
        let mut places = Self::MERGED_PLACES;
        for other in living.into_iter().filter(|other| *other != thread) {
            let state = self.threads.get(&other).and_then(|t| t.after.as_ref());
            let of_other: usize =
                state.map_or(0, |state| state.emails.iter().map(|e| e.mailboxes.len()).sum());
            let fits = length(self, &thread) + length(self, &other) < ThreadState::MOST_EMAILS;
            if fits && of_other <= places {
                places -= of_other;
                self.merge_thread(other, thread).await?;
            }
        }
        for key in keys {
            let row = self.thread_keys.entry(*key).or_insert_with(|| Touched::loaded(None));
            let emails = row.after.as_ref().map_or(0, |row| row.emails) + 1;
            row.after = Some(ThreadKeyRow { thread, emails });
        }
        Ok(thread)
    }

    fn new_thread(&mut self) -> ThreadId {
        let thread = self.state.next_thread;
        self.state.next_thread = thread.next();
        // It cannot be there yet: no need to look.
        self.threads.insert(thread, Touched::loaded(None));
        thread
    }

    /// Moves all emails of `from` to `to`.
    async fn merge_thread(&mut self, from: ThreadId, to: ThreadId) -> Result<(), Error> {
        let state = self.threads.get(&from).and_then(|t| t.after.clone()).unwrap_or_default();
        let emails: Vec<EmailId> = state.emails.iter().map(|e| e.email).collect();
        self.read_emails(&emails).await?;
        let rows: Vec<_> = emails.iter().map(|email| (self.account, *email)).collect();
        let metadata = self.tx.load_many::<Metadatas>(&rows).await?;
        let keys: Vec<ThreadKey> = metadata.iter().flatten().flat_map(thread_keys).collect();
        self.read_thread_keys(keys.iter().copied()).await?;
        for key in keys {
            if let Some(row) = self.thread_keys.get_mut(&key).and_then(|k| k.after.as_mut()) {
                row.thread = to;
            }
        }
        for entry in state.emails {
            // One that the same change takes away goes with its old thread.
            let Some(email) = self.emails.get_mut(&entry.email).and_then(|e| e.after.as_mut()) else {
                continue;
            };
            email.first_thread.get_or_insert(email.thread);
            email.thread = to;
            // Counted here so that the next merge sees the new length; `finish` puts in the same entry.
            self.thread_mut(to).put(entry);
        }
        // At once, for the emails that this change has created: `finish` knows of no thread that they left.
        self.thread_mut(from).emails.clear();
        Ok(())
    }

    /// An email's content is purged: its keys lose one holder each.
    pub(crate) async fn leave_thread_keys(&mut self, metadata: &Metadata) -> Result<(), Error> {
        let keys = thread_keys(metadata);
        self.read_thread_keys(keys.iter().copied()).await?;
        for key in keys {
            if let Some(touched) = self.thread_keys.get_mut(&key) {
                touched.after = touched
                    .after
                    .take()
                    .filter(|row| row.emails > 1)
                    .map(|row| ThreadKeyRow { emails: row.emails - 1, ..row });
            }
        }
        Ok(())
    }

    pub(super) fn apply_thread_keys(&self) -> Result<(), Error> {
        for (key, touched) in self.thread_keys.iter().filter(|(_, t)| t.before != t.after) {
            let row_key = (self.account, *key);
            match &touched.after {
                Some(row) => self.tx.save::<ThreadKeys>(&row_key, row)?,
                None => self.tx.remove::<ThreadKeys>(&row_key)?,
            }
        }
        Ok(())
    }
}
