//! The end of a change: what follows from the emails' states before and after.

use std::collections::{BTreeMap, BTreeSet};

use types::{EmailId, MailboxId, ModSeq, ThreadId, Uid};

use super::{Edit, Touched};
use crate::Error;
use crate::table::{
    AccountStates, Change, Changed, Changes, EmailChange, EmailState, Emails, ExpungedRow, Expungeds,
    MailboxChange, MailboxCounters, MailboxStates, MemberRecord, Members, Membership, ReceivedKey,
    ReceivedRow, Receiveds, ThreadChange, ThreadCounter, ThreadEmail, ThreadState, Threads, thread_counter,
};

impl Edit {
    /// Writes all rows. Returns the account's modseq: a new one if anything changed, else the old one.
    pub(crate) async fn finish(mut self) -> Result<ModSeq, Error> {
        let mut change = Change { at: self.now, ..Change::default() };
        let touched: Vec<EmailId> = self.emails.keys().copied().collect();
        // Whatever moves the trash counts all threads anew that were touched.
        let all = self.state_before.trash != self.state.trash;
        let touches = |e: &&Touched<EmailState>| all || changes_thread(e.before.as_ref(), e.after.as_ref());
        let changed = self.emails.values().filter(touches);
        let threads: Vec<ThreadId> =
            changed.flat_map(|e| [&e.before, &e.after]).flatten().map(|e| e.thread).collect();
        self.read_threads(threads).await?;
        for email in touched {
            change.emails.extend(self.apply_email(email)?);
        }
        let counted = self.apply_threads(&mut change)?;
        self.apply_mailboxes(&mut change, counted)?;
        self.apply_thread_keys()?;
        self.write_notes(&mut change);
        change.objects = Some(std::mem::take(&mut self.objects)).filter(|objects| !objects.is_empty());
        let noted = change.annotations.is_some() || change.unsubscribed.is_some() || change.untold;
        let said = noted || change.objects.is_some();
        if change.emails.is_empty() && change.mailboxes.is_empty() && !said && self.state_is_as_before() {
            return Ok(self.state_before.modseq);
        }
        self.write_birth()?;
        self.tx.save::<Changes>(&(self.account, self.state.modseq), &change)?;
        self.tx.save::<AccountStates>(&self.account, &self.state)?;
        Ok(self.state.modseq)
    }

    fn state_is_as_before(&self) -> bool {
        let mut state = self.state.clone();
        state.modseq = self.state_before.modseq;
        state == self.state_before
    }

    /// Rows, counters and log entry of one email; `None` if it has not changed.
    fn apply_email(&mut self, email: EmailId) -> Result<Option<EmailChange>, Error> {
        let Some(Touched { before, after }) = self.emails.get(&email).cloned() else { return Ok(None) };
        if before == after || (before.is_none() && after.is_none()) {
            return Ok(None);
        }
        let empty = Vec::new();
        let old = before.as_ref().map_or(&empty, |e| &e.memberships);
        let new = after.as_ref().map_or(&empty, |e| &e.memberships);
        let place = |m: &Membership| (m.mailbox, m.uid);
        let is_in = |list: &[Membership], m: &Membership| list.iter().any(|other| place(other) == place(m));
        let removed: Vec<_> = old.iter().filter(|m| !is_in(new, m)).map(place).collect();
        let added: Vec<_> = new.iter().filter(|m| !is_in(old, m)).map(place).collect();
        // A place whose row says the same as before keeps it, and its modseq: a copy elsewhere is no change here.
        let same_row = |m: &Membership| {
            let shown = |e: &EmailState| (e.thread, e.keywords.clone());
            before.as_ref().map(shown) == after.as_ref().map(shown) && old.contains(m)
        };
        let kept: Vec<_> = new.iter().filter(|m| is_in(old, m) && !same_row(m)).map(place).collect();
        let modseq = self.state.modseq;
        if let Some(state) = &before {
            self.count(state, -1)?;
            for (mailbox, uid) in &removed {
                self.tx.remove::<Members>(&(self.account, *mailbox, *uid))?;
            }
            self.remove_received(email, state, after.as_ref())?;
        }
        match after.clone() {
            Some(mut state) => {
                state.modseq = modseq;
                self.count(&state, 1)?;
                let rows = [&added[..], &kept[..]].concat();
                self.write_email(email, &state, &rows, before.as_ref())?;
            }
            None => self.remove_email(email, before.as_ref())?,
        }
        for mailbox in removed.iter().chain(&added).chain(&kept).map(|(mailbox, _)| *mailbox) {
            self.counters(mailbox)?.modseq = modseq;
        }
        self.rethread(email, before.as_ref(), after.as_ref());
        let changed = match (&before, &after) {
            (None, _) => Changed::Created,
            (_, None) => Changed::Destroyed,
            _ => Changed::Updated,
        };
        let (old_thread, new_thread) = (before.map(|e| e.thread), after.map(|e| e.thread));
        let thread = new_thread.or(old_thread).unwrap_or_default();
        let old_thread = old_thread.filter(|old| *old != thread);
        Ok(Some(EmailChange { email, thread, changed, old_thread, added, removed, kept }))
    }

    /// Writes an email's row and those of the places that changed.
    fn write_email(
        &self,
        email: EmailId,
        state: &EmailState,
        places: &[(MailboxId, Uid)],
        before: Option<&EmailState>,
    ) -> Result<(), Error> {
        self.tx.save::<Emails>(&(self.account, email), state)?;
        let changed = |m: &&Membership| places.contains(&(m.mailbox, m.uid));
        for membership in state.memberships.iter().filter(changed) {
            let row = MemberRecord {
                email,
                thread: state.thread,
                modseq: state.modseq,
                keywords: state.keywords.clone(),
                deleted: membership.deleted,
                size: state.size,
                received: state.received,
                saved: membership.saved,
                original: state.original,
                first_thread: state.first_thread,
            };
            self.tx.save::<Members>(&(self.account, membership.mailbox, membership.uid), &row)?;
            let listed = |b: &EmailState| {
                let here = |m: &Membership| (m.mailbox, m.uid) == (membership.mailbox, membership.uid);
                b.thread == state.thread && b.memberships.iter().any(here)
            };
            if !before.is_some_and(listed) {
                let key = self.received_key(email, membership.mailbox, state);
                self.tx
                    .save::<Receiveds>(&key, &ReceivedRow { uid: membership.uid, thread: state.thread })?;
            }
        }
        Ok(())
    }

    /// Removes the by-date rows of mailboxes that the email has left.
    fn remove_received(
        &self,
        email: EmailId,
        before: &EmailState,
        after: Option<&EmailState>,
    ) -> Result<(), Error> {
        for membership in &before.memberships {
            let stays = after.is_some_and(|e| e.memberships.iter().any(|m| m.mailbox == membership.mailbox));
            if !stays {
                self.tx.remove::<Receiveds>(&self.received_key(email, membership.mailbox, before))?;
            }
        }
        Ok(())
    }

    fn received_key(&self, email: EmailId, mailbox: MailboxId, state: &EmailState) -> ReceivedKey {
        ReceivedKey { account: self.account, mailbox, received: state.received, email }
    }

    /// The email is in no mailbox any more: its state goes, its content stays for the undelete window.
    fn remove_email(&self, email: EmailId, before: Option<&EmailState>) -> Result<(), Error> {
        self.tx.remove::<Emails>(&(self.account, email))?;
        if let Some(state) = before {
            let row = ExpungedRow {
                mailboxes: state.memberships.iter().map(|m| m.mailbox).collect(),
                keywords: state.keywords.clone(),
                received: state.received,
                size: state.size,
            };
            self.tx.save::<Expungeds>(&(self.account, self.now, email), &row)?;
        }
        Ok(())
    }

    /// Adds or takes an email's share of the counters of its mailboxes.
    fn count(&mut self, state: &EmailState, sign: i64) -> Result<(), Error> {
        let unread = state.keywords.unread();
        let unseen = !state.keywords.contains(types::Keyword::SEEN);
        for membership in &state.memberships {
            let deleted = membership.deleted;
            let size = state.size;
            let counters = self.counters(membership.mailbox)?;
            let add = |counter: &mut u64, n: u64| {
                *counter = if sign > 0 { counter.saturating_add(n) } else { counter.saturating_sub(n) };
            };
            add(&mut counters.total, 1);
            add(&mut counters.size, size);
            add(&mut counters.unread, unread.into());
            add(&mut counters.unseen, unseen.into());
            add(&mut counters.deleted, deleted.into());
        }
        Ok(())
    }

    fn counters(&mut self, mailbox: MailboxId) -> Result<&mut MailboxCounters, Error> {
        let account = self.account;
        let touched = self.mailboxes.get_mut(&mailbox).and_then(|m| m.after.as_mut());
        touched.ok_or_else(|| Error::lost_mailbox(account, mailbox, "its counters are missing"))
    }

    fn rethread(&mut self, email: EmailId, before: Option<&EmailState>, after: Option<&EmailState>) {
        if !changes_thread(before, after) {
            return;
        }
        if let Some(before) = before
            && after.is_none_or(|after| after.thread != before.thread)
        {
            self.thread_mut(before.thread).remove(email);
        }
        if let Some(after) = after {
            let mut mailboxes: Vec<MailboxId> = after.memberships.iter().map(|m| m.mailbox).collect();
            mailboxes.sort_unstable();
            mailboxes.dedup();
            let entry =
                ThreadEmail { email, received: after.received, unread: after.keywords.unread(), mailboxes };
            self.thread_mut(after.thread).put(entry);
        }
    }

    pub(super) fn thread_mut(&mut self, thread: ThreadId) -> &mut ThreadState {
        let touched = self.threads.entry(thread).or_insert_with(|| Touched::loaded(None));
        touched.after.get_or_insert_default()
    }

    /// Thread rows, log entries, and by how much each mailbox's thread counters change.
    fn apply_threads(&mut self, change: &mut Change) -> Result<BTreeMap<MailboxId, (i64, i64)>, Error> {
        let mut counted: BTreeMap<MailboxId, (i64, i64)> = BTreeMap::new();
        let trash = (self.state_before.trash, self.state.trash);
        for (thread, touched) in &mut self.threads {
            if touched.after.as_ref().is_some_and(|t| t.emails.is_empty()) {
                touched.after = None;
            }
            if touched.before == touched.after && trash.0 == trash.1 {
                continue;
            }
            for (state, trash, sign) in [(&touched.before, trash.0, -1), (&touched.after, trash.1, 1)] {
                for (mailbox, unread) in state.iter().flat_map(|t| t.shown_in(trash)) {
                    let (threads, unread_threads) = counted.entry(mailbox).or_default();
                    *threads += sign;
                    *unread_threads += sign * i64::from(unread);
                }
            }
            if touched.before == touched.after {
                continue;
            }
            let changed = match (&touched.before, &touched.after) {
                (None, _) => Changed::Created,
                (_, None) => Changed::Destroyed,
                _ => Changed::Updated,
            };
            let ids = |state: &Option<ThreadState>| -> Vec<EmailId> {
                state.iter().flat_map(|t| t.emails.iter().map(|e| e.email)).collect()
            };
            if changed != Changed::Updated || ids(&touched.before) != ids(&touched.after) {
                change.threads.push(ThreadChange { thread: *thread, changed });
            }
            match &touched.after {
                Some(state) => self.tx.save::<Threads>(&(self.account, *thread), state)?,
                None => self.tx.remove::<Threads>(&(self.account, *thread))?,
            }
        }
        counted.retain(|_, delta| *delta != (0, 0));
        Ok(counted)
    }

    fn apply_mailboxes(
        &mut self,
        change: &mut Change,
        counted: BTreeMap<MailboxId, (i64, i64)>,
    ) -> Result<(), Error> {
        let mut changes: BTreeMap<MailboxId, (Changed, bool)> =
            self.mailbox_changes.iter().map(|(mailbox, changed)| (*mailbox, (*changed, false))).collect();
        for (mailbox, touched) in &self.mailboxes {
            if touched.before == touched.after {
                continue;
            }
            if let Some(counters) = &touched.after {
                self.tx.save::<MailboxStates>(&(self.account, *mailbox), counters)?;
                changes.entry(*mailbox).or_insert((Changed::Updated, true));
            }
        }
        for (mailbox, (threads, unread)) in counted {
            for (counter, amount) in [(ThreadCounter::Threads, threads), (ThreadCounter::Unread, unread)] {
                if amount != 0 {
                    self.tx.add(thread_counter(self.account, mailbox, counter), amount)?;
                }
            }
            changes.entry(mailbox).or_insert((Changed::Updated, true));
        }
        let shown = |mailbox: &MailboxId| {
            !self.records.get(mailbox).is_some_and(|r| r.as_ref().is_none_or(|r| r.deleting))
        };
        change.mailboxes = changes
            .into_iter()
            .filter(|(mailbox, (_, counters_only))| !counters_only || shown(mailbox))
            .map(|(mailbox, (changed, counters_only))| MailboxChange {
                mailbox,
                changed,
                counters_only,
                was: None,
                subscribed: None,
            })
            .collect();
        Ok(())
    }
}

/// Whether a thread's row says anything else of an email than before.
fn changes_thread(before: Option<&EmailState>, after: Option<&EmailState>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return before.is_some() || after.is_some() };
    let places = |state: &EmailState| state.memberships.iter().map(|m| m.mailbox).collect::<BTreeSet<_>>();
    before.thread != after.thread
        || before.received != after.received
        || before.keywords.unread() != after.keywords.unread()
        || places(before) != places(after)
}
