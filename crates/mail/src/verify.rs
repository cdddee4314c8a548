//! Proof that an account's rows agree with each other: everything that can be derived is derived anew and
//! compared, and every message is put together and hashed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use store::blob::ReferenceTable;
use store::kv::{Range, Transaction, encode};
use types::{AccountId, EmailId, Keyword, MailboxId, ModSeq, ObjectId, ThreadId, Timestamp, Uid};

use crate::edit::thread_keys;
use crate::place::owner;
use crate::record::ThreadKey;
use crate::source::Holder;
use crate::table::{
    AccountState, AccountStates, AnnotationRow, Annotations, Changes, EmailState, Emails, Expungeds,
    Identities, MailboxCounters, MailboxNames, MemberRecord, Members, Metadatas, ObjectTable, ReceivedKey,
    ReceivedRow, Receiveds, Sents, Sources, Submissions, ThreadEmail, ThreadKeys, ThreadState, Threads,
    mailbox_names, read_many,
};
use crate::tree::Tree;
use crate::{Error, Mail};

/// Something that should not be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Finding {
    /// Which rule is broken, in a word or two.
    pub rule: &'static str,
    /// Where: mailbox, email, thread.
    pub place: String,
    /// What is there and what should be.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.rule, self.place, self.what)
    }
}

impl Mail {
    const VERIFY_ATTEMPTS: u32 = 5;

    /// Checks everything that an account has. Writers on this node wait meanwhile; if one on another node
    /// changes the account, the check begins anew.
    pub async fn verify(&self, account: AccountId) -> Result<Vec<Finding>, Error> {
        let _turn = self.turn(account).await;
        for _ in 0..Self::VERIFY_ATTEMPTS {
            let before = self.modseq(account).await?;
            let findings = self.verify_once(account).await?;
            if self.modseq(account).await? == before {
                return Ok(findings);
            }
        }
        Err(Error::Unavailable(
            "the account keeps changing on another node; verify it when it is quieter".into(),
        ))
    }

    async fn verify_once(&self, account: AccountId) -> Result<Vec<Finding>, Error> {
        let begin = |tx: Transaction| async move {
            let state = tx.snapshot_load::<AccountStates>(&account).await?;
            Ok((state, Tree::read(&tx, account, true).await?))
        };
        let (Some(state), tree) = self.look(begin).await? else { return Ok(Vec::new()) };
        let mut check = Check {
            account,
            state,
            tree,
            emails: BTreeMap::new(),
            modseqs: BTreeMap::new(),
            findings: Vec::new(),
        };
        check.emails =
            check.read::<Emails, _>(self, Emails::all(account), |(_, email), state| (email, state)).await?;
        check.account_row();
        check.names(self).await?;
        check.members(self).await?;
        check.received(self).await?;
        check.counters();
        check.threads(self).await?;
        let expunged = check.expunged(self).await?;
        check.content(self, &expunged).await?;
        check.log(self).await?;
        check.annotations(self).await?;
        check.objects::<Identities>(self).await?;
        check.objects::<Submissions>(self).await?;
        check.sent(self).await?;
        check.findings.sort();
        Ok(check.findings)
    }
}

struct Check {
    account: AccountId,
    state: AccountState,
    tree: Tree,
    emails: BTreeMap<EmailId, EmailState>,
    /// The highest modseq of a member of each mailbox.
    modseqs: BTreeMap<MailboxId, ModSeq>,
    findings: Vec<Finding>,
}

impl Check {
    const ROWS_AT_ONCE: usize = 2000;
    const LONG_ROWS_AT_ONCE: usize = 100;

    fn found(&mut self, rule: &'static str, place: impl fmt::Display, what: impl fmt::Display) {
        self.findings.push(Finding { rule, place: place.to_string(), what: what.to_string() });
    }

    /// Reads a whole table, each page in a transaction of its own: it may take longer than one may last.
    async fn read<T, K>(
        &self,
        mail: &Mail,
        range: store::kv::KeyRange,
        entry: impl Fn(T::Key, T::Record) -> (K, T::Record),
    ) -> Result<BTreeMap<K, T::Record>, Error>
    where
        T: store::kv::Table,
        K: Ord,
    {
        let mut all = BTreeMap::new();
        let mut rest = range;
        while let Some(page) = Self::page::<T>(mail, &mut rest, Self::ROWS_AT_ONCE).await? {
            all.extend(page.into_iter().map(|(key, record)| entry(key, record)));
        }
        Ok(all)
    }

    /// The next rows of a table, cut off the rest; `None` behind the last.
    async fn page<T: store::kv::Table>(
        mail: &Mail,
        rest: &mut store::kv::KeyRange,
        rows: usize,
    ) -> Result<Option<Vec<(T::Key, T::Record)>>, Error> {
        let range = &Range::new(rest.clone()).limit(rows).snapshot();
        let page = mail.look(|tx| async move { Ok(tx.rows::<T>(range.clone()).all().await?) }).await?;
        let Some((last, _)) = page.last() else { return Ok(None) };
        rest.begin = store::kv::after_key(&T::key(last));
        Ok(Some(page))
    }

    fn account_row(&mut self) {
        let emails = self.emails.len() as u64;
        let bytes: u64 = self.emails.values().map(|e| e.size).sum();
        let mailboxes = self.tree.infos().len();
        let state = self.state.clone();
        let mut compare = |what: &str, stored: u64, counted: u64| {
            if stored != counted {
                self.found(
                    "account counters",
                    "account",
                    format!("{what}: {stored} stored, {counted} counted"),
                );
            }
        };
        compare("emails", state.emails, emails);
        compare("octets", state.bytes, bytes);
        compare("mailboxes", u64::from(state.mailboxes), mailboxes as u64);
        let deleted = |trash: &MailboxId| self.tree.deleting().any(|id| id == *trash);
        let trash = self.tree.with_role(crate::Role::Trash).or(state.trash.filter(deleted));
        if trash != state.trash {
            self.found("trash", "account", format!("{:?} stored, {trash:?} has the role", state.trash));
        }
        let newest = self.emails.keys().next_back().copied().unwrap_or_default();
        if newest >= state.next_email {
            self.found(
                "ids",
                "account",
                format!("email {newest} is there, but {} is next", state.next_email),
            );
        }
        let orphans: Vec<MailboxId> = self.tree.orphans().collect();
        for mailbox in orphans {
            self.found("mailbox rows", format!("mailbox {mailbox}"), "counters without a mailbox");
        }
    }

    async fn names(&mut self, mail: &Mail) -> Result<(), Error> {
        let range = mailbox_names(self.account);
        let stored =
            self.read::<MailboxNames, _>(mail, range, |(_, parent, name), id| ((parent, name), id)).await?;
        let ids: Vec<MailboxId> = self.tree.ids().collect();
        let records = ids.iter().filter_map(|id| Some((*id, self.tree.record(*id)?)));
        let derived: BTreeMap<_, _> = records.map(|(id, r)| ((r.parent, r.name.clone()), id)).collect();
        self.compare("mailbox name", stored, &derived);
        Ok(())
    }

    async fn members(&mut self, mail: &Mail) -> Result<(), Error> {
        let mut derived = BTreeMap::new();
        for (email, state) in &self.emails {
            for m in &state.memberships {
                let record = MemberRecord {
                    email: *email,
                    thread: state.thread,
                    modseq: state.modseq,
                    keywords: state.keywords.clone(),
                    deleted: m.deleted,
                    size: state.size,
                    received: state.received,
                    saved: m.saved,
                    original: state.original,
                    first_thread: state.first_thread,
                };
                derived.insert((m.mailbox, m.uid), record);
            }
        }
        let mailboxes: Vec<MailboxId> = self.tree.ids().collect();
        let mut stored = BTreeMap::new();
        for mailbox in mailboxes {
            let range = Members::all(self.account, mailbox);
            stored.extend(self.read::<Members, _>(mail, range, |(_, m, uid), r| ((m, uid), r)).await?);
        }
        let homeless = self.emails.iter().filter(|(_, e)| e.memberships.is_empty());
        for email in homeless.map(|(email, _)| *email).collect::<Vec<_>>() {
            self.found("email", format!("email {email}"), "is in no mailbox");
        }
        // A place keeps its modseq when the email changes in another one only, so it may be behind.
        for (place, row) in &stored {
            let highest = self.modseqs.entry(place.0).or_default();
            *highest = (*highest).max(row.modseq);
            if let Some(derived) = derived.get_mut(place).filter(|derived| row.modseq <= derived.modseq) {
                derived.modseq = row.modseq;
            }
        }
        self.compare("member", stored, &derived);
        Ok(())
    }

    async fn received(&mut self, mail: &Mail) -> Result<(), Error> {
        let mut derived = BTreeMap::new();
        for (email, state) in &self.emails {
            for m in &state.memberships {
                derived.insert(
                    (m.mailbox, state.received, *email),
                    ReceivedRow { uid: m.uid, thread: state.thread },
                );
            }
        }
        let mut stored = BTreeMap::new();
        for mailbox in self.tree.ids().collect::<Vec<_>>() {
            let range = Receiveds::all(self.account, mailbox);
            let entry = |key: ReceivedKey, row| ((key.mailbox, key.received, key.email), row);
            stored.extend(self.read::<Receiveds, _>(mail, range, entry).await?);
        }
        self.compare("received", stored, &derived);
        Ok(())
    }

    fn counters(&mut self) {
        let mut derived: BTreeMap<MailboxId, (MailboxCounters, Uid)> = BTreeMap::new();
        for state in self.emails.values() {
            for m in &state.memberships {
                let (counters, highest) = derived.entry(m.mailbox).or_default();
                counters.total += 1;
                counters.size += state.size;
                counters.unread += u64::from(state.keywords.unread());
                counters.unseen += u64::from(!state.keywords.contains(Keyword::SEEN));
                counters.deleted += u64::from(m.deleted);
                *highest = (*highest).max(m.uid);
            }
        }
        for mailbox in self.tree.ids().collect::<Vec<_>>() {
            let (mut derived, highest) = derived.remove(&mailbox).unwrap_or_default();
            let Some((stored, ..)) = self.tree.counters(mailbox) else { continue };
            let stored = stored.clone();
            if stored.uidnext <= highest {
                let what = format!("UID {highest} is there, but {} is next", stored.uidnext);
                self.found("uidnext", format!("mailbox {mailbox}"), what);
            }
            let highest_modseq = self.modseqs.get(&mailbox).copied().unwrap_or_default();
            if stored.modseq < highest_modseq || stored.modseq > self.state.modseq {
                self.found("mailbox modseq", format!("mailbox {mailbox}"), stored.modseq);
            }
            (derived.uidnext, derived.modseq) = (stored.uidnext, stored.modseq);
            if derived != stored {
                self.found(
                    "mailbox counters",
                    format!("mailbox {mailbox}"),
                    format!("{stored:?} stored, {derived:?} counted"),
                );
            }
        }
        for mailbox in derived.into_keys() {
            self.found(
                "membership",
                format!("mailbox {mailbox}"),
                "emails are in a mailbox that does not exist",
            );
        }
    }

    async fn threads(&mut self, mail: &Mail) -> Result<(), Error> {
        let mut derived: BTreeMap<ThreadId, ThreadState> = BTreeMap::new();
        for (email, state) in &self.emails {
            let mailboxes: BTreeSet<MailboxId> = state.memberships.iter().map(|m| m.mailbox).collect();
            let (email, received, unread) = (*email, state.received, state.keywords.unread());
            let entry = ThreadEmail { email, received, unread, mailboxes: mailboxes.into_iter().collect() };
            derived.entry(state.thread).or_default().emails.push(entry);
        }
        let mut counted: BTreeMap<MailboxId, (i64, i64)> = BTreeMap::new();
        for thread in derived.values_mut() {
            thread.emails.sort_by_key(|e| (e.received, e.email));
            for (mailbox, unread) in thread.shown_in(self.state.trash) {
                let (threads, unread_threads) = counted.entry(mailbox).or_default();
                *threads += 1;
                *unread_threads += i64::from(unread);
            }
        }
        for mailbox in self.tree.ids().collect::<Vec<_>>() {
            let (threads, unread) =
                self.tree.counters(mailbox).map_or((0, 0), |(_, threads, unread)| (threads, unread));
            let counted = counted.get(&mailbox).copied().unwrap_or_default();
            if (threads, unread) != counted {
                let what =
                    format!("{:?} stored, {counted:?} counted (threads, unread threads)", (threads, unread));
                self.found("thread counters", format!("mailbox {mailbox}"), what);
            }
        }
        let stored =
            self.read::<Threads, _>(mail, Threads::all(self.account), |(_, id), state| (id, state)).await?;
        self.compare("thread", stored, &derived);
        Ok(())
    }

    async fn expunged(&mut self, mail: &Mail) -> Result<BTreeSet<EmailId>, Error> {
        let range = Expungeds::all(self.account);
        let entry = |(_, at, email): (AccountId, Timestamp, EmailId), row| ((email, at), row);
        let rows = self.read::<Expungeds, _>(mail, range, entry).await?;
        let expunged: BTreeSet<EmailId> = rows.keys().map(|(email, _)| *email).collect();
        if expunged.len() != rows.len() {
            self.found("expunged", "account", "an email is listed twice");
        }
        for email in
            expunged.iter().filter(|email| self.emails.contains_key(email)).copied().collect::<Vec<_>>()
        {
            self.found("expunged", format!("email {email}"), "is in a mailbox too");
        }
        Ok(expunged)
    }

    /// Every email has its content and nothing else has; the content is what came; threads are found by it.
    async fn content(&mut self, mail: &Mail, expunged: &BTreeSet<EmailId>) -> Result<(), Error> {
        let mut wanted: BTreeSet<EmailId> = self.emails.keys().chain(expunged).copied().collect();
        let mut keys: BTreeMap<ThreadKey, u64> = BTreeMap::new();
        let mut listed = BTreeSet::new();
        let mut rest = Metadatas::all(self.account);
        while let Some(page) = Self::page::<Metadatas>(mail, &mut rest, Self::LONG_ROWS_AT_ONCE).await? {
            for ((_, email), metadata) in page {
                thread_keys(&metadata).into_iter().for_each(|key| *keys.entry(key).or_default() += 1);
                if let Some(state) = self.emails.get(&email).filter(|state| state.size != metadata.size) {
                    let what = format!("{} octets by its row, {} by its metadata", state.size, metadata.size);
                    self.found("size", format!("email {email}"), what);
                }
                listed.insert(email);
            }
        }
        for email in wanted.symmetric_difference(&listed).copied().collect::<Vec<_>>() {
            self.found(
                "metadata",
                format!("email {email}"),
                "metadata without an email, or an email without metadata",
            );
        }
        let rows = self
            .read::<ThreadKeys, _>(mail, ThreadKeys::all(self.account), |(_, key), row| (key, row))
            .await?;
        let stored = rows.into_iter().map(|(key, row)| (key, row.emails)).collect();
        self.compare("thread key", stored, &keys);
        let mut rest = Sources::all(self.account);
        while let Some(page) = Self::page::<Sources>(mail, &mut rest, Self::LONG_ROWS_AT_ONCE).await? {
            for ((_, email), record) in page {
                if !wanted.remove(&email) {
                    self.found("source", format!("email {email}"), "a source without an email");
                }
                if let Err(error) = self.whole(mail, email, record).await {
                    self.found("source", format!("email {email}"), error);
                }
            }
        }
        for email in wanted {
            self.found("source", format!("email {email}"), "an email without a source");
        }
        Ok(())
    }

    /// Puts a message together and compares its hash; and that its blobs know who holds them.
    async fn whole(
        &self,
        mail: &Mail,
        email: EmailId,
        record: crate::table::SourceRecord,
    ) -> Result<(), Error> {
        let hashes = record.blobs();
        let source = mail.open(Holder::Email(self.account, email), &encode::<Sources>(&record)?)?;
        let mut hasher = blake3::Hasher::new();
        let mut stream = source.stream(0..source.size());
        while let Some(chunk) = stream.next().await? {
            hasher.update(&chunk);
        }
        if *hasher.finalize().as_bytes() != source.hash() {
            return Err(Error::lost_email(self.account, email, "its bytes are not those that came"));
        }
        let own = Bytes::copy_from_slice(&owner(self.account, email));
        let references = &hashes.iter().map(|hash| (*hash, own.clone())).collect::<Vec<_>>();
        let marks =
            mail.look(|tx| async move { Ok(read_many::<ReferenceTable>(&tx, references).await?) }).await?;
        for (hash, mark) in hashes.iter().zip(marks) {
            if mark.is_none() {
                return Err(Error::lost_email(
                    self.account,
                    email,
                    &format!("it does not hold its blob {hash}"),
                ));
            }
        }
        Ok(())
    }

    async fn log(&mut self, mail: &Mail) -> Result<(), Error> {
        let range = Changes::since(self.account, ModSeq(0));
        let rows = self.read::<Changes, _>(mail, range, |(_, modseq), change| (modseq, change)).await?;
        let mut next = self.state.log_floor.next();
        for modseq in rows.keys() {
            if *modseq != next {
                self.found("change log", format!("modseq {modseq}"), format!("{next} was expected"));
            }
            next = modseq.next();
        }
        if next != self.state.modseq.next() {
            self.found("change log", "account", format!("it ends before modseq {}", self.state.modseq));
        }
        Ok(())
    }

    /// They belong to mailboxes that are there, have names that can be asked for, and keep to their limits.
    async fn annotations(&mut self, mail: &Mail) -> Result<(), Error> {
        let entry = |(_, mailbox, name): (AccountId, Option<MailboxId>, String), row: AnnotationRow| {
            ((mailbox, name), row)
        };
        let rows = self.read::<Annotations, _>(mail, Annotations::all(self.account), entry).await?;
        let there: BTreeSet<MailboxId> = self.tree.ids().collect();
        for (mailbox, name) in rows.keys() {
            if mailbox.is_some_and(|mailbox| !there.contains(&mailbox)) {
                self.found(
                    "annotation",
                    format!("{mailbox:?}"),
                    "annotations of a mailbox that does not exist",
                );
            }
            if crate::EntryName::parse(name).is_err() {
                self.found("annotation", format!("{mailbox:?}"), format!("a name that cannot be: {name:?}"));
            }
        }
        let bytes: usize = rows.iter().map(|((_, name), row)| name.len() + row.value.len()).sum();
        if rows.len() > Mail::ANNOTATIONS || bytes > Mail::ANNOTATION_BYTES {
            self.found("annotation", "account", format!("{} entries of {bytes} octets", rows.len()));
        }
        Ok(())
    }

    /// Each can be read and was made by a change that there has been.
    async fn objects<T: ObjectTable>(&mut self, mail: &Mail) -> Result<(), Error> {
        let range = T::all(self.account);
        let rows = self.read::<T, _>(mail, range, |(_, object), record| (object, record)).await?;
        let last = self.state.modseq;
        for object in rows.keys().filter(|object| object.0 > last.0) {
            self.found(T::NAME, object, format!("the last change is {last}"));
        }
        Ok(())
    }

    /// What comes back for a message is looked for at the submissions that have sent it.
    async fn sent(&mut self, mail: &Mail) -> Result<(), Error> {
        let rows =
            self.read::<Sents, _>(mail, Sents::all(self.account), |(_, name), row| (name, row)).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let all = Submissions::all(self.account);
        let entry = |(_, object), record| (object, record);
        let submissions = self.read::<Submissions, _>(mail, all, entry).await?;
        for (name, row) in rows {
            let sent_it = |one: &ObjectId| submissions.get(one).is_some_and(|s| s.message == Some(name));
            for submission in row.submissions.iter().filter(|one| !sent_it(one)) {
                self.found("sent", submission, "it has not sent the message whose id leads to it");
            }
        }
        Ok(())
    }

    fn compare<K: Ord + fmt::Debug, V: PartialEq + fmt::Debug>(
        &mut self,
        rule: &'static str,
        mut stored: BTreeMap<K, V>,
        derived: &BTreeMap<K, V>,
    ) {
        for (key, derived) in derived {
            match stored.remove(key) {
                None => self.found(rule, format!("{key:?}"), format!("missing: {derived:?}")),
                Some(stored) if stored != *derived => {
                    self.found(rule, format!("{key:?}"), format!("{stored:?} stored, {derived:?} derived"));
                }
                Some(_) => {}
            }
        }
        for (key, stored) in stored {
            self.found(rule, format!("{key:?}"), format!("nothing it belongs to: {stored:?}"));
        }
    }
}
