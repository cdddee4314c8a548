//! One changing transaction of one account. Operations change the states of emails; every row, counter and log
//! entry that follows from that is derived here, in one place, by comparing before and after:
//!
//! ```text
//!   deliver  store  copy  move  expunge  restore …      say what an email shall be
//!        \     |     |     |     /
//!                  Edit                                 before/after of emails
//!        ┌────────┬──┴─────┬─────────┬────────┐
//!     member  received  counters  threads  change log   rows that follow
//! ```

mod apply;
mod birth;
mod keys;
mod notes;
mod objects;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use store::kv::{KeyRange, Range, Table, Transaction, after_key, decode};
use types::{AccountId, EmailId, Keywords, MailboxId, ModSeq, ThreadId, Timestamp, Uid, UidValidity};

use crate::Error;
use crate::record::ThreadKey;
use crate::table::{
    AccountState, AccountStates, Annotations, Changed, EmailState, Emails, MailboxCounters, MailboxNames,
    MailboxRecord, MailboxStates, Mailboxes, Membership, ObjectsChange, ThreadEmail, ThreadKeyRow, ThreadKeys, ThreadState,
    Threads, mailbox_range,
};

/// A transaction in which one account changes.
pub(crate) struct Edit {
    tx: Transaction,
    account: AccountId,
    now: Timestamp,
    state: AccountState,
    state_before: AccountState,
    emails: BTreeMap<EmailId, Touched<EmailState>>,
    threads: BTreeMap<ThreadId, Touched<ThreadState>>,
    mailboxes: BTreeMap<MailboxId, Touched<MailboxCounters>>,
    records: BTreeMap<MailboxId, Option<MailboxRecord>>,
    mailbox_changes: BTreeMap<MailboxId, Changed>,
    thread_keys: BTreeMap<ThreadKey, Touched<ThreadKeyRow>>,
    notes: notes::Notes,
    objects: ObjectsChange,
    /// The account has no rows yet.
    born: bool,
}

/// What a change is known to need before it begins.
#[derive(Clone, Default)]
pub(crate) struct Needs {
    pub(crate) mailboxes: Vec<MailboxId>,
    pub(crate) thread_keys: Vec<ThreadKey>,
    pub(crate) rows: Vec<Bytes>,
}

/// Something as it was stored and as it shall be; `None` is absent.
#[derive(Clone, Debug)]
struct Touched<T> {
    before: Option<T>,
    after: Option<T>,
}

impl<T: Clone> Touched<T> {
    fn loaded(stored: Option<T>) -> Self {
        Self { before: stored.clone(), after: stored }
    }
}

pub(crate) use keys::thread_keys;

impl Edit {
    /// The most keywords of an email.
    pub(crate) const MOST_KEYWORDS: usize = 128;
    /// The most mailboxes that an email is in: a full thread whose emails are all in as many fits its row.
    pub(crate) const MOST_PLACES: usize = 32;

    /// Begins a change of `account`. An account without mail rows gets its first ones.
    pub(crate) async fn open(tx: &Transaction, account: AccountId, now: Timestamp) -> Result<Self, Error> {
        Self::open_with(tx, account, now, Needs::default()).await.map(|(edit, _)| edit)
    }

    /// Begins a change and reads all that it is known to need in the same round trip. Also returns the values of
    /// `needs.rows`.
    pub(crate) async fn open_with(
        tx: &Transaction,
        account: AccountId,
        now: Timestamp,
        needs: Needs,
    ) -> Result<(Self, Vec<Option<Bytes>>), Error> {
        let own = AccountStates::key(&account);
        let mailbox_keys = needs.mailboxes.iter().flat_map(|m| {
            let key = (account, *m);
            [Mailboxes::key(&key), MailboxStates::key(&key)]
        });
        let thread_keys = needs.thread_keys.iter().map(|key| ThreadKeys::key(&(account, *key)));
        let asked =
            std::iter::once(own.clone()).chain(mailbox_keys).chain(thread_keys).chain(needs.rows.clone());
        let mut values = tx.get_many(asked.collect()).await?.into_iter();
        let stored =
            values.next().flatten().map(|value| decode::<AccountStates>(&own, &value)).transpose()?;
        let mut edit = match stored {
            Some(state) => Self::new(tx.clone(), account, now, state),
            None => Self::born(tx.clone(), account, now),
        };
        for mailbox in needs.mailboxes {
            let (record, counters) = (values.next().flatten(), values.next().flatten());
            edit.mailbox_was_read(mailbox, record.as_ref(), counters.as_ref())?;
        }
        for key in needs.thread_keys {
            edit.thread_key_was_read(key, values.next().flatten().as_ref())?;
        }
        Ok((edit, values.collect()))
    }

    fn new(tx: Transaction, account: AccountId, now: Timestamp, before: AccountState) -> Self {
        let mut state = before.clone();
        state.modseq = state.modseq.next();
        Self {
            tx,
            account,
            now,
            state,
            state_before: before,
            emails: BTreeMap::new(),
            threads: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            records: BTreeMap::new(),
            mailbox_changes: BTreeMap::new(),
            thread_keys: BTreeMap::new(),
            notes: notes::Notes::default(),
            objects: ObjectsChange::default(),
            born: false,
        }
    }

    /// The modseq that this change gets if it changes anything.
    pub(crate) const fn modseq(&self) -> ModSeq {
        self.state.modseq
    }

    pub(crate) const fn account(&self) -> AccountId {
        self.account
    }

    pub(crate) const fn tx(&self) -> &Transaction {
        &self.tx
    }

    pub(crate) const fn state(&self) -> &AccountState {
        &self.state
    }

    pub(crate) const fn state_mut(&mut self) -> &mut AccountState {
        &mut self.state
    }

    fn mailbox_was_read(
        &mut self,
        mailbox: MailboxId,
        record: Option<&Bytes>,
        counters: Option<&Bytes>,
    ) -> Result<(), Error> {
        let key = (self.account, mailbox);
        let record = record.map(|v| decode::<Mailboxes>(&Mailboxes::key(&key), v)).transpose()?;
        let counters = counters.map(|v| decode::<MailboxStates>(&MailboxStates::key(&key), v)).transpose()?;
        self.records.entry(mailbox).or_insert(record);
        self.mailboxes.entry(mailbox).or_insert_with(|| Touched::loaded(counters));
        Ok(())
    }

    /// Reads the rows of mailboxes that are not known yet: one round trip, or none.
    pub(crate) async fn read_mailboxes(
        &mut self,
        mailboxes: impl IntoIterator<Item = MailboxId>,
    ) -> Result<(), Error> {
        let unknown: Vec<MailboxId> =
            mailboxes.into_iter().filter(|m| !self.mailboxes.contains_key(m)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let keys = unknown.iter().flat_map(|m| {
            let key = (self.account, *m);
            [Mailboxes::key(&key), MailboxStates::key(&key)]
        });
        let values = self.tx.get_many(keys.collect()).await?;
        for (mailbox, pair) in unknown.iter().zip(values.as_chunks::<2>().0) {
            self.mailbox_was_read(*mailbox, pair[0].as_ref(), pair[1].as_ref())?;
        }
        Ok(())
    }

    /// What a mailbox is; refuses one that is not there, or is being deleted.
    pub(crate) async fn mailbox(&mut self, mailbox: MailboxId) -> Result<&MailboxRecord, Error> {
        self.read_mailboxes([mailbox]).await?;
        match self.records.get(&mailbox) {
            Some(Some(record)) if !record.deleting => Ok(record),
            _ => Err(Error::NoSuchMailbox),
        }
    }

    /// The UIDVALIDITY of a mailbox that was read.
    pub(crate) fn uidvalidity(&self, mailbox: MailboxId) -> Result<UidValidity, Error> {
        let record = self.records.get(&mailbox).and_then(Option::as_ref);
        record.map(|record| record.uidvalidity).ok_or(Error::NoSuchMailbox)
    }

    /// Reads emails with their threads and mailboxes: three round trips for any number.
    pub(crate) async fn read_emails(&mut self, emails: &[EmailId]) -> Result<(), Error> {
        let threads = self.read_states(emails).await?;
        self.read_threads(threads).await
    }

    /// Reads emails with their mailboxes, for a change that leaves most threads as they are: [`Self::finish`] reads
    /// those that it does change. Two round trips for any number; returns the emails' threads.
    pub(crate) async fn read_states(&mut self, emails: &[EmailId]) -> Result<BTreeSet<ThreadId>, Error> {
        let unknown: Vec<_> =
            emails.iter().filter(|e| !self.emails.contains_key(e)).map(|e| (self.account, *e)).collect();
        if unknown.is_empty() {
            return Ok(BTreeSet::new());
        }
        let states = self.load_states(&unknown).await?;
        let threads: BTreeSet<ThreadId> = states.iter().flatten().map(|state| state.thread).collect();
        let mailboxes: BTreeSet<MailboxId> =
            states.iter().flatten().flat_map(|s| s.memberships.iter().map(|m| m.mailbox)).collect();
        for ((_, email), state) in unknown.into_iter().zip(states) {
            self.emails.insert(email, Touched::loaded(state));
        }
        self.read_mailboxes(mailboxes).await?;
        Ok(threads)
    }

    /// The states of emails in the order asked. Emails that came one after the other are read as one range, which is
    /// read and validated faster than its rows one by one.
    async fn load_states(&self, keys: &[(AccountId, EmailId)]) -> Result<Vec<Option<EmailState>>, Error> {
        const FEW: usize = 16;
        let (first, last) = (keys.iter().min(), keys.iter().max());
        let Some((first, last)) = first.zip(last).filter(|_| keys.len() > FEW) else {
            return Ok(self.tx.load_many::<Emails>(keys).await?);
        };
        let width = usize::try_from(last.1.0 - first.1.0).map_or(usize::MAX, |width| width.saturating_add(1));
        if width > keys.len() * 2 {
            return Ok(self.tx.load_many::<Emails>(keys).await?);
        }
        let range = KeyRange { begin: Emails::key(first), end: after_key(&Emails::key(last)) };
        let rows = self.tx.rows::<Emails>(Range::new(range).limit(width)).all().await?;
        let mut states: BTreeMap<(AccountId, EmailId), EmailState> = rows.into_iter().collect();
        Ok(keys.iter().map(|key| states.remove(key)).collect())
    }

    /// Reads threads that are not known yet: one round trip, or none.
    pub(crate) async fn read_threads(
        &mut self,
        threads: impl IntoIterator<Item = ThreadId>,
    ) -> Result<(), Error> {
        let unknown: Vec<_> = threads
            .into_iter()
            .filter(|t| !self.threads.contains_key(t))
            .map(|t| (self.account, t))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let states = self.tx.load_many::<Threads>(&unknown).await?;
        for ((_, thread), state) in unknown.into_iter().zip(states) {
            self.threads.insert(thread, Touched::loaded(state));
        }
        Ok(())
    }

    /// An email's state as this transaction has it so far.
    pub(crate) fn email(&self, email: EmailId) -> Option<&EmailState> {
        self.emails.get(&email)?.after.as_ref()
    }

    /// Adds a new email that is in no mailbox yet.
    pub(crate) fn create_email(
        &mut self,
        thread: ThreadId,
        keywords: Keywords,
        received: Timestamp,
        size: u64,
    ) -> Result<EmailId, Error> {
        check_keywords(&keywords)?;
        let email = self.state.next_email;
        self.state.next_email = email.next();
        self.state.emails += 1;
        self.state.bytes += size;
        let modseq = self.modseq();
        // In its thread at once, so that the next email of the same change finds it there.
        let entry = ThreadEmail { email, received, unread: keywords.unread(), mailboxes: Vec::new() };
        self.thread_mut(thread).put(entry);
        let memberships = Vec::new();
        let state = EmailState {
            thread,
            modseq,
            keywords,
            memberships,
            received,
            size,
            original: None,
            first_thread: None,
        };
        self.emails.insert(email, Touched { before: None, after: Some(state) });
        Ok(email)
    }

    /// A new email with another's content keeps the ids by which IMAP knows that content (RFC 8474 §5).
    pub(crate) fn share_identity(&mut self, email: EmailId, with: EmailId) {
        let Some(other) = self.email(with) else { return };
        let original = other.original.unwrap_or(with);
        let first_thread = other.first_thread.unwrap_or(other.thread);
        if let Some(state) = self.emails.get_mut(&email).and_then(|e| e.after.as_mut()) {
            state.original = Some(original);
            state.first_thread = Some(first_thread).filter(|thread| *thread != state.thread);
        }
    }

    /// Puts an email into a mailbox (both read before) under a new UID.
    pub(crate) fn add_membership(
        &mut self,
        email: EmailId,
        mailbox: MailboxId,
        deleted: bool,
    ) -> Result<Uid, Error> {
        let uid = self.new_uid(mailbox)?;
        let saved = Some(self.now);
        let memberships = self.memberships(email)?;
        if memberships.len() >= Self::MOST_PLACES {
            return Err(Error::TooManyPlaces { limit: Self::MOST_PLACES });
        }
        memberships.push(Membership { mailbox, uid, deleted, saved });
        Ok(uid)
    }

    /// Puts an email into another mailbox, or the same, instead of where it is, under a new UID.
    pub(crate) fn move_membership(
        &mut self,
        email: EmailId,
        (from, old): (MailboxId, Uid),
        to: MailboxId,
    ) -> Result<Uid, Error> {
        let uid = self.new_uid(to)?;
        let now = self.now;
        let (account, memberships) = (self.account, self.memberships(email)?);
        let place = memberships.iter_mut().find(|m| (m.mailbox, m.uid) == (from, old));
        let place = place.ok_or_else(|| Error::lost_email(account, email, "it is not where it was found"))?;
        (place.mailbox, place.uid, place.saved) = (to, uid, Some(now));
        Ok(uid)
    }

    fn memberships(&mut self, email: EmailId) -> Result<&mut Vec<Membership>, Error> {
        let account = self.account;
        let state = self.emails.get_mut(&email).and_then(|e| e.after.as_mut());
        let state = state.ok_or_else(|| Error::lost_email(account, email, "its row is missing"))?;
        Ok(&mut state.memberships)
    }

    /// Refuses what would refuse a new email of a mailbox (read before) once it has been threaded and counted.
    pub(crate) fn check_placing(&self, mailbox: MailboxId, keywords: &Keywords) -> Result<(), Error> {
        check_keywords(keywords)?;
        let counters =
            self.mailboxes.get(&mailbox).and_then(|m| m.after.as_ref()).ok_or(Error::NoSuchMailbox)?;
        counters.uidnext.0.checked_add(1).map(|_| ()).ok_or(Error::OutOfUids)
    }

    fn new_uid(&mut self, mailbox: MailboxId) -> Result<Uid, Error> {
        let counters = self.mailboxes.get_mut(&mailbox).and_then(|m| m.after.as_mut());
        let counters = counters.ok_or(Error::NoSuchMailbox)?;
        let uid = counters.uidnext;
        counters.uidnext = Uid(uid.0.checked_add(1).ok_or(Error::OutOfUids)?);
        Ok(uid)
    }

    /// Takes an email out of a mailbox; the last one destroys it.
    pub(crate) fn remove_membership(&mut self, email: EmailId, mailbox: MailboxId, uid: Uid) {
        let Some(touched) = self.emails.get_mut(&email) else { return };
        let Some(state) = touched.after.as_mut() else { return };
        state.memberships.retain(|m| (m.mailbox, m.uid) != (mailbox, uid));
        if state.memberships.is_empty() {
            self.state.emails = self.state.emails.saturating_sub(1);
            self.state.bytes = self.state.bytes.saturating_sub(state.size);
            touched.after = None;
        }
    }

    /// Changes an email's keywords and its `\Deleted` in one mailbox.
    pub(crate) fn set_flags(
        &mut self,
        email: EmailId,
        (mailbox, uid): (MailboxId, Uid),
        keywords: Keywords,
        deleted: bool,
    ) -> Result<(), Error> {
        check_keywords(&keywords)?;
        if let Some(state) = self.emails.get_mut(&email).and_then(|e| e.after.as_mut()) {
            state.keywords = keywords;
            for membership in state.memberships.iter_mut().filter(|m| (m.mailbox, m.uid) == (mailbox, uid)) {
                membership.deleted = deleted;
            }
        }
        Ok(())
    }

    /// Changes an email's keywords.
    pub(crate) fn set_keywords(&mut self, email: EmailId, keywords: Keywords) -> Result<(), Error> {
        check_keywords(&keywords)?;
        if let Some(state) = self.emails.get_mut(&email).and_then(|e| e.after.as_mut()) {
            state.keywords = keywords;
        }
        Ok(())
    }

    /// The modseq that a mailbox, which was read, had before this change.
    pub(crate) fn modseq_before(&self, mailbox: MailboxId) -> Option<ModSeq> {
        self.mailboxes.get(&mailbox)?.before.as_ref().map(|counters| counters.modseq)
    }

    /// Gives a mailbox that was read the modseq of this change, whatever else happens to it.
    pub(crate) fn touch(&mut self, mailbox: MailboxId) {
        let modseq = self.modseq();
        if let Some(counters) = self.mailboxes.get_mut(&mailbox).and_then(|m| m.after.as_mut()) {
            counters.modseq = modseq;
        }
    }

    /// Notes that a mailbox itself (not only its counters) was created, changed or destroyed.
    pub(crate) fn mailbox_changed(&mut self, mailbox: MailboxId, changed: Changed) {
        self.mailbox_changes.insert(mailbox, changed);
    }

    /// Removes a mailbox's rows. It must be empty.
    pub(crate) fn remove_mailbox(&mut self, mailbox: MailboxId) -> Result<(), Error> {
        self.tx.clear_range(mailbox_range(self.account, mailbox))?;
        self.tx.clear_range(Annotations::of(self.account, Some(mailbox)))?;
        self.mailboxes.insert(mailbox, Touched { before: None, after: None });
        self.records.insert(mailbox, None);
        Ok(())
    }

    /// Takes a mailbox's new record, which the caller has written.
    pub(crate) fn mailbox_is(&mut self, mailbox: MailboxId, record: MailboxRecord) {
        let before = self.records.get(&mailbox).and_then(Option::as_ref).map(|record| record.subscribed);
        if before.is_some_and(|before| before != record.subscribed) {
            self.mailbox_subscribed(mailbox, record.subscribed);
        }
        self.records.insert(mailbox, Some(record));
    }

    /// Adds a mailbox that counts nothing yet.
    pub(crate) fn create_mailbox(&mut self, record: MailboxRecord) -> Result<MailboxId, Error> {
        let mailbox = self.state.next_mailbox;
        self.write_mailbox(mailbox, &record)?;
        Ok(self.add_mailbox(record))
    }

    /// A mailbox that counts nothing yet, whose record the caller has written or will write.
    fn add_mailbox(&mut self, record: MailboxRecord) -> MailboxId {
        let mailbox = self.state.next_mailbox;
        self.state.next_mailbox = mailbox.next();
        self.state.mailboxes += 1;
        let counters =
            MailboxCounters { uidnext: Uid(1), modseq: self.modseq(), ..MailboxCounters::default() };
        self.records.insert(mailbox, Some(record));
        self.mailboxes.insert(mailbox, Touched { before: None, after: Some(counters) });
        self.mailbox_changed(mailbox, Changed::Created);
        mailbox
    }

    /// Writes a new mailbox's record and name.
    fn write_mailbox(&self, mailbox: MailboxId, record: &MailboxRecord) -> Result<(), Error> {
        self.tx.save::<Mailboxes>(&(self.account, mailbox), record)?;
        let name = (self.account, record.parent, record.name.clone());
        Ok(self.tx.save::<MailboxNames>(&name, &mailbox)?)
    }

    /// A UIDVALIDITY that no mailbox of the account ever had.
    pub(crate) const fn new_uidvalidity(&mut self) -> UidValidity {
        let uidvalidity = self.state.next_uidvalidity;
        self.state.next_uidvalidity = uidvalidity.next();
        uidvalidity
    }
}

fn check_keywords(keywords: &Keywords) -> Result<(), Error> {
    let limit = Edit::MOST_KEYWORDS;
    if keywords.len() > limit { Err(Error::TooManyKeywords { limit }) } else { Ok(()) }
}
