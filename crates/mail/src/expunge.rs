//! EXPUNGE: emails with `\Deleted` leave a mailbox. One that is in no other stays for the undelete window.

use store::kv::{Range, Transaction};
use types::{AccountId, EmailId, MailboxId, ModSeq, Uid};

use crate::edit::Edit;
use crate::roll::Entry;
use crate::steps::{Steps, ascending};
use crate::table::{Emails, MailboxStates, Members, read_many};
use crate::view::members_in;
use crate::{Error, Mail};

/// What an EXPUNGE did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Expunged {
    /// The UIDs that are gone, ascending.
    pub uids: Vec<Uid>,
    /// The account's modseq after it.
    pub modseq: ModSeq,
}

impl Mail {
    /// Emails that leave in one transaction.
    const EXPUNGED_AT_ONCE: usize = 500;

    /// Takes emails with `\Deleted` out of a mailbox: all, or those among `only`.
    pub async fn expunge(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        only: Option<&[Uid]>,
    ) -> Result<Expunged, Error> {
        let uids = match only {
            Some(uids) => ascending(uids),
            None => self.deleted_in(account, mailbox).await?,
        };
        let mut expunged = Expunged { modseq: self.modseq(account).await?, ..Expunged::default() };
        let mut steps = Steps::new(&uids, Self::EXPUNGED_AT_ONCE);
        while let Some(step) = steps.next() {
            let done = match self.expunge_step(account, mailbox, step).await {
                Ok(done) => done,
                Err(error) if steps.shrink(&error) => continue,
                Err(error) => return Err(error),
            };
            expunged.uids.extend(done.uids);
            expunged.modseq = done.modseq;
            steps.done();
        }
        Ok(expunged)
    }

    async fn expunge_step(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
    ) -> Result<Expunged, Error> {
        let _turn = self.turn(account).await;
        let done = self
            .kv()
            .run(|tx| async move {
                let mut edit = Edit::open(&tx, account, self.now()).await?;
                edit.mailbox(mailbox).await?;
                // Looked at again in the transaction: the flag may have been taken off meanwhile.
                let members = members_in(&tx, account, mailbox, uids).await?;
                let members: Vec<_> = members.into_iter().filter(|member| member.deleted).collect();
                let emails: Vec<EmailId> = members.iter().map(|member| member.email).collect();
                edit.read_emails(&emails).await?;
                for member in &members {
                    edit.remove_membership(member.email, mailbox, member.uid);
                }
                let uids: Vec<Uid> = members.iter().map(|member| member.uid).collect();
                Ok::<_, Error>(Expunged { uids, modseq: edit.finish().await? })
            })
            .await?;
        self.announce(account, done.modseq).await;
        Ok(done)
    }

    /// Octets that an EXPUNGE of a mailbox would free: of emails with `\Deleted` that are in no other mailbox.
    pub async fn reclaimable(&self, account: AccountId, mailbox: MailboxId) -> Result<u64, Error> {
        let deleted = self.deleted_in(account, mailbox).await?;
        let mut octets = 0;
        for step in deleted.chunks(Self::EXPUNGED_AT_ONCE) {
            let members = self.members_at(account, mailbox, step).await?;
            let keys: Vec<_> = members.iter().map(|member| (account, member.email)).collect();
            let keys = &keys;
            let states = self.look(|tx| async move { Ok(read_many::<Emails>(&tx, keys).await?) }).await?;
            let alone = states.iter().flatten().filter(|state| state.memberships.len() == 1);
            octets += alone.map(|state| state.size).sum::<u64>();
        }
        Ok(octets)
    }

    /// The UIDs with `\Deleted`. The counter says when all are found, and that mostly none need be looked for.
    async fn deleted_in(&self, account: AccountId, mailbox: MailboxId) -> Result<Vec<Uid>, Error> {
        self.ensure_born(account).await?;
        let counters = self
            .look(|tx| async move { Ok(tx.snapshot_load::<MailboxStates>(&(account, mailbox)).await?) })
            .await?;
        if counters.ok_or(Error::NoSuchMailbox)?.deleted == 0 {
            return Ok(Vec::new());
        }
        match self.current(account, mailbox).await?.roll {
            Some(roll) => Ok(roll.iter().filter(Entry::deleted).map(|entry| entry.uid()).collect()),
            None => self.look(|tx| deleted_in(tx, account, mailbox)).await,
        }
    }
}

async fn deleted_in(tx: Transaction, account: AccountId, mailbox: MailboxId) -> Result<Vec<Uid>, Error> {
    let counters = tx.snapshot_load::<MailboxStates>(&(account, mailbox)).await?;
    let mut left = counters.ok_or(Error::NoSuchMailbox)?.deleted;
    let mut found = Vec::new();
    let mut rows = tx.rows::<Members>(Range::new(Members::all(account, mailbox)).snapshot());
    while left > 0 {
        let Some(((.., uid), member)) = rows.next().await? else { break };
        if member.deleted {
            found.push(uid);
            left -= 1;
        }
    }
    Ok(found)
}
