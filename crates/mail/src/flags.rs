//! STORE: keywords of emails, and `\Deleted` of their place in a mailbox.

use store::kv::{Table, Transaction, decode};
use types::{AccountId, Keyword, Keywords, MailboxId, ModSeq, Timestamp, Uid};

use crate::edit::{Edit, Needs};
use crate::roll::Step;
use crate::steps::{Steps, ascending};
use crate::table::Members;
use crate::view::{Member, members_in};
use crate::{Error, Mail};

/// What to do with flags (RFC 9051 §6.4.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlagAction {
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
    /// `FLAGS`
    Replace,
}

/// A change of flags.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlagChange {
    /// What to do.
    pub action: FlagAction,
    /// With which keywords.
    pub keywords: Keywords,
    /// Whether `\Deleted` is among the flags.
    pub deleted: bool,
}

/// What a change of flags did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stored {
    /// All emails that were asked for and exist, with their flags now; in ascending UIDs.
    pub members: Vec<Member>,
    /// The modseq of each of `members` before.
    pub before: Vec<ModSeq>,
    /// Those left alone because they changed after `unchanged_since` (RFC 7162 §3.1.3), as they are.
    pub conflicting: Vec<Member>,
    /// The account's modseq after it.
    pub modseq: ModSeq,
}

impl Mail {
    /// Emails whose flags change in one transaction.
    const FLAGS_AT_ONCE: usize = 2000;

    /// Changes flags. Emails that do not exist (any more) are skipped. Long lists are done in steps, each of
    /// which is all or nothing.
    pub async fn store(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        change: &FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<Stored, Error> {
        let uids = ascending(uids);
        if uids.is_empty() {
            return Ok(Stored { modseq: self.modseq(account).await?, ..Stored::default() });
        }
        let mut stored = Stored::default();
        let mut steps = Steps::new(&uids, Self::FLAGS_AT_ONCE);
        while let Some(step) = steps.next() {
            let done = match self.store_in(account, mailbox, step, change, unchanged_since).await {
                Ok(done) => done,
                Err(error) if steps.shrink(&error) => continue,
                Err(error) => return Err(error),
            };
            stored.members.extend(done.members);
            stored.before.extend(done.before);
            stored.conflicting.extend(done.conflicting);
            stored.modseq = done.modseq;
            steps.done();
        }
        Ok(stored)
    }

    async fn store_in(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        change: &FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<Stored, Error> {
        let _turn = self.turn(account).await;
        let (done, step) = self
            .kv()
            .run(|tx| async move {
                let (mut edit, members) = open(&tx, account, mailbox, uids, self.now()).await?;
                let mut done = store_step(&mut edit, mailbox, members, change, unchanged_since).await?;
                let (uidvalidity, from) = (edit.uidvalidity(mailbox)?, edit.modseq_before(mailbox));
                let to = edit.modseq();
                done.modseq = edit.finish().await?;
                let step = from.filter(|_| done.modseq == to).map(|from| Step { uidvalidity, from, to });
                Ok::<_, Error>((done, step))
            })
            .await?;
        if let Some(step) = step {
            self.note_changed(account, mailbox, &step, &done.members);
        }
        self.announce(account, done.modseq).await;
        Ok(done)
    }
}

/// Begins a change of some members, and reads them: those of a few messages in the same round.
async fn open(
    tx: &Transaction,
    account: AccountId,
    mailbox: MailboxId,
    uids: &[Uid],
    now: Timestamp,
) -> Result<(Edit, Vec<Member>), Error> {
    const FEW: usize = 16;
    let few = if uids.len() <= FEW { uids } else { &[] };
    let rows = few.iter().map(|uid| Members::key(&(account, mailbox, *uid)));
    let needs = Needs { mailboxes: vec![mailbox], rows: rows.collect(), ..Needs::default() };
    let (mut edit, values) = Edit::open_with(tx, account, now, needs).await?;
    edit.mailbox(mailbox).await?;
    if few.is_empty() {
        let members = members_in(tx, account, mailbox, uids).await?;
        return Ok((edit, members));
    }
    let mut members = Vec::with_capacity(few.len());
    for (uid, value) in few.iter().zip(values) {
        let Some(value) = value else { continue };
        let record = decode::<Members>(&Members::key(&(account, mailbox, *uid)), &value)?;
        members.push(Member::new(*uid, record));
    }
    Ok((edit, members))
}

/// The part of a change that goes into one transaction. Members that change get the modseq of the edit.
async fn store_step(
    edit: &mut Edit,
    mailbox: MailboxId,
    members: Vec<Member>,
    change: &FlagChange,
    unchanged_since: Option<ModSeq>,
) -> Result<Stored, Error> {
    let mut stored = Stored::default();
    let emails: Vec<_> = members.iter().map(|member| member.email).collect();
    edit.read_states(&emails).await?;
    for mut member in members {
        if unchanged_since.is_some_and(|since| change.conflicts(&member, since)) {
            stored.conflicting.push(member);
            continue;
        }
        stored.before.push(member.modseq);
        let (keywords, deleted) = change.apply(&member.keywords, member.deleted);
        if keywords != member.keywords || deleted != member.deleted {
            edit.set_flags(member.email, (mailbox, member.uid), keywords.clone(), deleted)?;
            (member.keywords, member.deleted, member.modseq) = (keywords, deleted, edit.modseq());
        }
        stored.members.push(member);
    }
    Ok(stored)
}

impl FlagChange {
    /// Whether the email has changed since then. Adding keywords that it does not have, on condition that nobody
    /// ever changed them, is a test for their absence (RFC 7162 §3.1.3); system flags always exist.
    fn conflicts(&self, member: &Member, since: ModSeq) -> bool {
        const SYSTEM: [&str; 4] = [Keyword::ANSWERED, Keyword::DRAFT, Keyword::FLAGGED, Keyword::SEEN];
        let exists = |keyword: &str| SYSTEM.contains(&keyword) || member.keywords.contains(keyword);
        let absent = self.action == FlagAction::Add
            && !self.deleted
            && !self.keywords.is_empty()
            && !self.keywords.iter().any(exists);
        member.modseq > since && !(since == ModSeq(0) && absent)
    }

    fn apply(&self, keywords: &Keywords, deleted: bool) -> (Keywords, bool) {
        let named = self.keywords.iter().filter_map(|k| Keyword::new(k).ok());
        let mut result = keywords.clone();
        match self.action {
            FlagAction::Add => {
                named.for_each(|keyword| {
                    result.insert(&keyword);
                });
                (result, deleted || self.deleted)
            }
            FlagAction::Remove => {
                for keyword in self.keywords.iter() {
                    result.remove(keyword);
                }
                (result, deleted && !self.deleted)
            }
            FlagAction::Replace => (self.keywords.clone(), self.deleted),
        }
    }
}
