//! How a mailbox is now: asked of the store, answered from memory where that is still true.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use store::kv::{Range, Table, Transaction, decode};
use types::{AccountId, MailboxId, ModSeq, Uid, UidValidity};

use super::chunk::Builder;
use super::{Moment, Roll};
use crate::changes::log_since;
use crate::table::{
    AccountState, AccountStates, MailboxCounters, MailboxRecord, MailboxStates, Mailboxes, Members,
};
use crate::view::{Member, members_now};
use crate::{Error, Mail, MailboxPath};

/// A mailbox as it was when the store was asked, or a moment later.
#[derive(Clone)]
pub struct Current {
    /// Names this life of the mailbox.
    pub uidvalidity: UidValidity,
    /// The UID that the next email gets.
    pub uidnext: Uid,
    /// The modseq of the last change to any email in it.
    pub modseq: ModSeq,
    /// Its members; `None` if they are too many to be kept in memory.
    pub roll: Option<Arc<Roll>>,
}

/// A change of members by one transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    pub(crate) uidvalidity: UidValidity,
    /// The mailbox's modseq before.
    pub(crate) from: ModSeq,
    /// The modseq of the change, which is that of all members that it has changed.
    pub(crate) to: ModSeq,
}

/// The rows that say whether a roll is as new as its mailbox.
struct Head {
    state: AccountState,
    record: MailboxRecord,
    counters: MailboxCounters,
}

impl Mail {
    /// How a mailbox is now. Whatever was acknowledged on any node before this was called is seen. One read round
    /// if this node knows the mailbox and it has not changed; else the work follows the number of changes.
    pub async fn current(&self, account: AccountId, mailbox: MailboxId) -> Result<Current, Error> {
        let head = match self.head(account, mailbox).await? {
            Some(head) => head,
            None => {
                self.ensure_born(account).await?;
                self.head(account, mailbox).await?.ok_or(Error::NoSuchMailbox)?
            }
        };
        let roll = self.roll(account, mailbox, &head).await?;
        let Head { record, counters, .. } = head;
        // The roll may be newer than what was read before it.
        let last = roll.as_ref().and_then(|roll| roll.uids().last()).map_or(Uid(1), Uid::next);
        let latest = roll.as_ref().map_or(ModSeq(0), |roll| roll.moment.latest);
        Ok(Current {
            uidvalidity: record.uidvalidity,
            uidnext: counters.uidnext.max(last),
            modseq: counters.modseq.max(latest),
            roll,
        })
    }

    /// A mailbox's members as they are now, if this node has had them in memory: else nothing is read.
    pub(crate) async fn at_hand(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Option<Arc<Roll>>, Error> {
        match self.shelf().get((account, mailbox)) {
            Some(_) => Ok(self.current(account, mailbox).await?.roll),
            None => Ok(None),
        }
    }

    /// The id of the mailbox with a path: a point read for each name of it, and none for the INBOX.
    pub async fn mailbox_at(
        &self,
        account: AccountId,
        path: &MailboxPath,
    ) -> Result<Option<MailboxId>, Error> {
        match path.names() {
            [name] if name.is_inbox() => Ok(Some(MailboxId::INBOX)),
            _ => {
                self.ensure_born(account).await?;
                self.look(|tx| crate::mailboxes::id_of(tx, account, path)).await
            }
        }
    }

    async fn head(&self, account: AccountId, mailbox: MailboxId) -> Result<Option<Head>, Error> {
        let head = self.look(|tx| async move { Head::read(&tx, account, mailbox).await }).await;
        if matches!(head, Err(Error::NoSuchMailbox)) {
            self.shelf().remove((account, mailbox));
        }
        head
    }

    async fn roll(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        head: &Head,
    ) -> Result<Option<Arc<Roll>>, Error> {
        let key = (account, mailbox);
        let kept = || self.shelf().get(key).filter(|roll| head.is_told_by(roll));
        if let Some(roll) = kept() {
            return Ok(Some(roll));
        }
        if !self.shelf().fits(key, head.counters.total) {
            return Ok(None);
        }
        let gate = self.shelf().gate(key);
        let _turn = gate.lock().await;
        if let Some(roll) = kept() {
            return Ok(Some(roll));
        }
        let known = self.shelf().get(key);
        let known = known.as_ref();
        let roll = self.look(|tx| brought_up(tx, account, mailbox, known)).await?;
        self.shelf().put(key, &roll);
        Ok(Some(roll))
    }

    /// Flags were changed by a transaction of this node that was committed: nobody has to read them again.
    pub(crate) fn note_changed(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        step: &Step,
        members: &[Member],
    ) {
        let key = (account, mailbox);
        let Some(before) = self.shelf().get(key) else { return };
        // Where the mailbox has changed otherwise, the change log tells how.
        let follows = before.modseq() >= step.from && before.modseq() < step.to;
        if before.moment.uidvalidity != step.uidvalidity || !follows {
            return;
        }
        let changed = members.iter().filter(|member| member.modseq == step.to);
        let edits = changed.map(|member| (member.uid, Some(member.clone()))).collect();
        let moment = Moment { modseq: step.to, latest: step.to, ..before.moment };
        self.shelf().replace(key, &before, &Arc::new(before.with(moment, edits)));
    }
}

impl Head {
    /// `None` if the account has no rows yet.
    async fn read(tx: &Transaction, account: AccountId, mailbox: MailboxId) -> Result<Option<Self>, Error> {
        let place = (account, mailbox);
        let keys = [AccountStates::key(&account), Mailboxes::key(&place), MailboxStates::key(&place)];
        let values = tx.snapshot_get_many(keys.to_vec()).await?;
        let [state, record, counters] = &values[..] else { return Ok(None) };
        let Some(state) = read::<AccountStates>(&keys[0], state.as_ref())? else { return Ok(None) };
        let record = read::<Mailboxes>(&keys[1], record.as_ref())?.filter(|record| !record.deleting);
        let counters = read::<MailboxStates>(&keys[2], counters.as_ref())?;
        let (record, counters) = record.zip(counters).ok_or(Error::NoSuchMailbox)?;
        Ok(Some(Self { state, record, counters }))
    }

    /// Whether nothing has happened to the mailbox that the roll does not know. Each change of a member gives its
    /// mailbox a modseq, and no two mailboxes of an account ever have one UIDVALIDITY.
    fn is_told_by(&self, roll: &Roll) -> bool {
        roll.moment.uidvalidity == self.record.uidvalidity && roll.modseq() >= self.counters.modseq
    }

    const fn moment(&self) -> Moment {
        let Self { state, record, counters } = self;
        Moment { uidvalidity: record.uidvalidity, modseq: state.modseq, latest: counters.modseq }
    }
}

fn read<T: Table>(key: &[u8], value: Option<&Bytes>) -> Result<Option<T::Record>, Error> {
    Ok(value.map(|value| decode::<T>(key, value)).transpose()?)
}

/// The roll as of this transaction, from an older one if there is one.
async fn brought_up(
    tx: Transaction,
    account: AccountId,
    mailbox: MailboxId,
    known: Option<&Arc<Roll>>,
) -> Result<Arc<Roll>, Error> {
    let head = Head::read(&tx, account, mailbox).await?.ok_or(Error::NoSuchMailbox)?;
    if let Some(known) = known.filter(|known| known.moment.uidvalidity == head.record.uidvalidity) {
        if head.is_told_by(known) {
            return Ok(known.clone());
        }
        if let Some(edits) = edits_since(&tx, account, mailbox, known.modseq(), &head).await? {
            return Ok(Arc::new(known.with(head.moment(), edits)));
        }
    }
    let mut rows =
        tx.rows::<Members>(Range::new(Members::all(account, mailbox)).limit(usize::MAX).snapshot());
    let mut builder = Builder::default();
    while let Some(((.., uid), record)) = rows.next().await? {
        // Many rows come without waiting.
        tokio::task::consume_budget().await;
        builder.push(Member::new(uid, record));
    }
    Ok(Arc::new(Roll::made(head.moment(), builder, None)))
}

/// The members that the change log names, as they are; `None` if it is less work to read all, or the only way.
async fn edits_since(
    tx: &Transaction,
    account: AccountId,
    mailbox: MailboxId,
    since: ModSeq,
    head: &Head,
) -> Result<Option<BTreeMap<Uid, Option<Member>>>, Error> {
    /// Changes that are followed even in a mailbox that has fewer members.
    const FEW: u64 = 1000;
    let most = head.counters.total / 4 + FEW;
    if head.state.modseq.0.saturating_sub(since.0) > most {
        return Ok(None);
    }
    let mut log = match log_since(tx, account, since).await {
        Ok((_, log)) => log,
        Err(Error::CannotCalculateChanges) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut touched = BTreeSet::new();
    while let Some((_, change)) = log.next().await? {
        let places = change.emails.iter().flat_map(|e| [&e.added, &e.removed, &e.kept]).flatten();
        touched.extend(places.filter(|(place, _)| *place == mailbox).map(|(_, uid)| *uid));
        if touched.len() as u64 > most {
            return Ok(None);
        }
    }
    let touched: Vec<Uid> = touched.into_iter().collect();
    let mut edits: BTreeMap<_, _> = touched.iter().map(|uid| (*uid, None)).collect();
    for member in members_now(tx, account, mailbox, &touched).await? {
        edits.insert(member.uid, Some(member));
    }
    Ok(Some(edits))
}
