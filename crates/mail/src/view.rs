//! IMAP's view of a mailbox: UIDs, flags, and what has changed since a modseq.

use std::collections::BTreeSet;

use store::kv::{Range, Transaction};
use types::{AccountId, EmailId, Keywords, MailboxId, ModSeq, ThreadId, Timestamp, Uid};

use crate::changes::log_since;
use crate::table::{AccountStates, EmailChange, MemberRecord, Members, read_many};
use crate::tree::{MailboxInfo, Tree};
use crate::{Error, Mail};

/// An email in a mailbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its UID in the mailbox.
    pub uid: Uid,
    /// The email.
    pub email: EmailId,
    /// Its thread.
    pub thread: ThreadId,
    /// The modseq of the email's last change.
    pub modseq: ModSeq,
    /// The email's keywords.
    pub keywords: Keywords,
    /// `\Deleted` in this mailbox.
    pub deleted: bool,
    /// Octets of the message.
    pub size: u64,
    /// When it was received.
    pub received: Timestamp,
    /// When it was put into the mailbox (RFC 8514).
    pub saved: Timestamp,
    /// Names its content: that of a copy is the same (RFC 8474 §5.1).
    pub content: EmailId,
    /// The thread that its content began in: unlike `thread` it never changes (RFC 8474 §5.2).
    pub first_thread: ThreadId,
}

/// A mailbox at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selected {
    /// The mailbox.
    pub info: MailboxInfo,
    /// The account's modseq at that moment: follow [`Mail::mailbox_changes`] from here.
    pub modseq: ModSeq,
    /// The UIDs of all emails, ascending.
    pub uids: Vec<Uid>,
}

/// What has changed in a mailbox.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MailboxChanges {
    /// The account's modseq that this reaches to.
    pub to: ModSeq,
    /// UIDs that were added and are still there.
    pub added: Vec<Uid>,
    /// UIDs that were there and are not any more.
    pub removed: Vec<Uid>,
    /// UIDs that were there, still are, and whose flags may have changed.
    pub changed: Vec<Uid>,
    /// The mailbox itself was deleted.
    pub gone: bool,
    /// The modseq of the last change to any email in the mailbox; `None` if there was none.
    pub modseq: Option<ModSeq>,
}

/// What a client that was away since a modseq has missed in a mailbox (RFC 7162 §3.2.5).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Missed {
    /// UIDs that left the mailbox, ascending; those too that came only after the modseq.
    pub vanished: Vec<Uid>,
    /// UIDs that are new or whose flags may have changed, and that are still there; ascending.
    pub changed: Vec<Uid>,
}

type MemberKey = (AccountId, MailboxId, Uid);

impl Mail {
    /// Reads a mailbox's UIDs at one moment.
    pub async fn select(&self, account: AccountId, mailbox: MailboxId) -> Result<Selected, Error> {
        self.ensure_born(account).await?;
        self.look(|tx| select_in(tx, account, mailbox)).await
    }

    /// The emails with UIDs in a range, ascending, at most `limit`: one range read.
    pub async fn members(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        from: Uid,
        to: Uid,
        limit: usize,
    ) -> Result<Vec<Member>, Error> {
        let range = &Range::new(Members::between(account, mailbox, from, to)).limit(limit).snapshot();
        let rows = self.look(|tx| async move { Ok(tx.rows::<Members>(range.clone()).all().await?) }).await?;
        Ok(rows.into_iter().map(|((.., uid), record)| Member::new(uid, record)).collect())
    }

    /// The emails with these UIDs, ascending; those that do not exist are left out. One read round.
    pub async fn members_at(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
    ) -> Result<Vec<Member>, Error> {
        let keys = &member_keys(account, mailbox, uids);
        let records = self.look(|tx| async move { Ok(read_many::<Members>(&tx, keys).await?) }).await?;
        Ok(members_of(keys, records))
    }

    /// What has changed in a mailbox since a modseq. Work follows the number of changes, not of emails.
    pub async fn mailbox_changes(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: ModSeq,
    ) -> Result<MailboxChanges, Error> {
        self.look(|tx| mailbox_changes_in(tx, account, mailbox, since)).await
    }

    /// What a client has missed since a modseq, from at most `most` rows of the change log. Fails with
    /// [`Error::CannotCalculateChanges`] if that takes more, or if the log does not reach back.
    pub async fn missed(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: ModSeq,
        most: u64,
    ) -> Result<Missed, Error> {
        self.look(|tx| missed_in(tx, account, mailbox, since, most)).await
    }
}

async fn select_in(tx: Transaction, account: AccountId, mailbox: MailboxId) -> Result<Selected, Error> {
    let info = Tree::read(&tx, account, true).await?.info(mailbox).ok_or(Error::NoSuchMailbox)?;
    let state = tx.snapshot_load::<AccountStates>(&account).await?;
    let modseq = state.map_or(ModSeq(0), |state| state.modseq);
    let mut rows = tx.range(Range::new(Members::all(account, mailbox)).snapshot());
    let mut uids = Vec::with_capacity(usize::try_from(info.total).unwrap_or(0).min(1 << 20));
    while let Some((key, _)) = rows.next().await? {
        uids.extend(uid_of(&key));
    }
    Ok(Selected { info, modseq, uids })
}

async fn mailbox_changes_in(
    tx: Transaction,
    account: AccountId,
    mailbox: MailboxId,
    since: ModSeq,
) -> Result<MailboxChanges, Error> {
    let (state, mut log) = log_since(&tx, account, since).await?;
    let mut changes = MailboxChanges { to: state.modseq, ..MailboxChanges::default() };
    let (mut added, mut removed, mut changed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    while let Some(((_, modseq), change)) = log.next().await? {
        let here =
            |places: Vec<(MailboxId, Uid)>| places.into_iter().filter(|(m, _)| *m == mailbox).map(|(_, u)| u);
        let touches = |e: &EmailChange| {
            [&e.added, &e.removed, &e.kept].into_iter().flatten().any(|(place, _)| *place == mailbox)
        };
        if change.emails.iter().any(touches) {
            changes.modseq = Some(modseq);
        }
        for email in change.emails {
            changed.extend(here(email.kept));
            added.extend(here(email.added));
            for uid in here(email.removed) {
                if !added.remove(&uid) {
                    removed.insert(uid);
                }
                changed.remove(&uid);
            }
        }
        let destroyed = |m: &crate::table::MailboxChange| m.changed == crate::table::Changed::Destroyed;
        changes.gone |= change.mailboxes.iter().any(|m| m.mailbox == mailbox && destroyed(m));
    }
    changes.changed = changed.difference(&added).copied().collect();
    changes.added = added.into_iter().collect();
    changes.removed = removed.into_iter().collect();
    Ok(changes)
}

async fn missed_in(
    tx: Transaction,
    account: AccountId,
    mailbox: MailboxId,
    since: ModSeq,
    most: u64,
) -> Result<Missed, Error> {
    let (state, mut log) = log_since(&tx, account, since).await?;
    // Each change has a row, so this is how many there are.
    if state.modseq.0.saturating_sub(since.0) > most {
        return Err(Error::CannotCalculateChanges);
    }
    let (mut vanished, mut changed) = (BTreeSet::new(), BTreeSet::new());
    while let Some((_, change)) = log.next().await? {
        let here = |place: &(MailboxId, Uid)| (place.0 == mailbox).then_some(place.1);
        for email in change.emails {
            changed.extend(email.added.iter().chain(&email.kept).filter_map(here));
            vanished.extend(email.removed.iter().filter_map(here));
        }
    }
    let changed = changed.difference(&vanished).copied().collect();
    Ok(Missed { vanished: vanished.into_iter().collect(), changed })
}

impl Member {
    pub(crate) fn new(uid: Uid, record: MemberRecord) -> Self {
        let MemberRecord { email, thread, modseq, keywords, deleted, size, received, .. } = record;
        Self {
            uid,
            email,
            thread,
            modseq,
            keywords,
            deleted,
            size,
            received,
            saved: record.saved.unwrap_or(received),
            content: record.original.unwrap_or(email),
            first_thread: record.first_thread.unwrap_or(thread),
        }
    }
}

/// Reads the members of some UIDs, ascending, each once.
pub(crate) async fn members_in(
    tx: &Transaction,
    account: AccountId,
    mailbox: MailboxId,
    uids: &[Uid],
) -> Result<Vec<Member>, Error> {
    let keys = member_keys(account, mailbox, uids);
    if let Some(range) = dense(&keys) {
        // As long as the mailbox: one range is read and validated faster than its rows one by one.
        let mut rows = tx.rows::<Members>(range).all().await?;
        rows.retain(|(key, _)| keys.binary_search(key).is_ok());
        return Ok(rows.into_iter().map(|((.., uid), record)| Member::new(uid, record)).collect());
    }
    let records = tx.load_many::<Members>(&keys).await?;
    Ok(members_of(&keys, records))
}

/// Reads the members of some UIDs, ascending, each once, for a reader: changes by others are no conflict.
pub(crate) async fn members_now(
    tx: &Transaction,
    account: AccountId,
    mailbox: MailboxId,
    uids: &[Uid],
) -> Result<Vec<Member>, Error> {
    const AT_ONCE: usize = 4096;
    let keys = member_keys(account, mailbox, uids);
    if let Some(range) = dense(&keys) {
        let mut rows = tx.rows::<Members>(range.snapshot()).all().await?;
        rows.retain(|(key, _)| keys.binary_search(key).is_ok());
        return Ok(rows.into_iter().map(|((.., uid), record)| Member::new(uid, record)).collect());
    }
    let mut members = Vec::with_capacity(keys.len());
    for keys in keys.chunks(AT_ONCE) {
        members.extend(members_of(keys, read_many::<Members>(tx, keys).await?));
    }
    Ok(members)
}

/// The range from the first to the last of some members, if they are most of what can lie in it.
fn dense(keys: &[MemberKey]) -> Option<Range> {
    const FEW: usize = 16;
    let (&(account, mailbox, first), &(.., last)) = (keys.first()?, keys.last()?);
    let width = last.0.abs_diff(first.0) as usize + 1;
    let dense = keys.len() > FEW && width <= keys.len() * 2;
    dense.then(|| Range::new(Members::between(account, mailbox, first, last)).limit(width))
}

fn member_keys(account: AccountId, mailbox: MailboxId, uids: &[Uid]) -> Vec<MemberKey> {
    let uids: BTreeSet<Uid> = uids.iter().copied().collect();
    uids.into_iter().map(|uid| (account, mailbox, uid)).collect()
}

fn members_of(keys: &[MemberKey], records: Vec<Option<MemberRecord>>) -> Vec<Member> {
    let found = keys.iter().zip(records).filter_map(|((.., uid), record)| Some(Member::new(*uid, record?)));
    found.collect()
}

/// The UID at the end of a member's key.
fn uid_of(key: &[u8]) -> Option<Uid> {
    key.last_chunk::<4>().map(|uid| Uid::from_be_bytes(*uid))
}
