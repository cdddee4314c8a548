//! COPY and MOVE. A copy is a further place for the same email; only where the email is in the target already
//! does it become a new one that shares its content.

use types::{AccountId, EmailId, MailboxId, ModSeq, Uid, UidValidity};

use crate::deliver::{Failure, Quota};
use crate::edit::{Edit, thread_keys};
use crate::place::owner;
use crate::steps::{Steps, ascending};
use crate::table::{Metadatas, SourceRecord, Sources};
use crate::view::{Member, members_in};
use crate::{Error, Mail, Metadata};

/// What a COPY or MOVE did (RFC 9051 §7.1 COPYUID).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copied {
    /// UIDVALIDITY of the target.
    pub uidvalidity: UidValidity,
    /// UIDs in the source and in the target, ascending in both. Emails that did not exist are left out.
    pub pairs: Vec<(Uid, Uid)>,
    /// The account's modseq after it.
    pub modseq: ModSeq,
}

/// What one transaction does.
#[derive(Clone, Copy)]
struct Step<'a> {
    account: AccountId,
    from: MailboxId,
    uids: &'a [Uid],
    to: MailboxId,
    quota: Quota,
    keep: bool,
}

impl Mail {
    /// Emails that one transaction copies or moves.
    const COPIED_AT_ONCE: usize = 300;

    /// Copies emails to another mailbox (or the same): all or none.
    pub async fn copy(
        &self,
        account: AccountId,
        from: MailboxId,
        uids: &[Uid],
        to: MailboxId,
        quota: Quota,
    ) -> Result<Copied, Error> {
        self.transfer(Step { account, from, uids, to, quota, keep: true }).await
    }

    /// Moves emails to another mailbox. Each email is in one or the other at any moment, never in none; a long
    /// list is moved in steps.
    pub async fn r#move(
        &self,
        account: AccountId,
        from: MailboxId,
        uids: &[Uid],
        to: MailboxId,
    ) -> Result<Copied, Error> {
        self.transfer(Step { account, from, uids, to, quota: Quota::default(), keep: false }).await
    }

    async fn transfer(&self, all: Step<'_>) -> Result<Copied, Error> {
        let uids = ascending(all.uids);
        if uids.is_empty() {
            // It still has to be found out whether the mailboxes exist.
            return self.transfer_step(Step { uids: &uids, ..all }).await;
        }
        let mut copied: Option<Copied> = None;
        let mut steps = Steps::new(&uids, Self::COPIED_AT_ONCE);
        while let Some(uids) = steps.next() {
            match self.transfer_step(Step { uids, ..all }).await {
                Ok(step) => {
                    let mut pairs = copied.take().map(|copied| copied.pairs).unwrap_or_default();
                    pairs.extend(step.pairs);
                    copied = Some(Copied { pairs, ..step });
                    steps.done();
                }
                Err(error) if steps.shrink(&error) => {}
                Err(error) => {
                    let done: Vec<Uid> =
                        copied.iter().flat_map(|c| c.pairs.iter().map(|(_, uid)| *uid)).collect();
                    if all.keep {
                        self.take_back(all.account, all.to, &done).await?;
                    }
                    return Err(error);
                }
            }
        }
        copied.ok_or(Error::NoSuchMailbox)
    }

    async fn transfer_step(&self, step: Step<'_>) -> Result<Copied, Error> {
        let _turn = self.turn(step.account).await;
        let copied = self
            .kv()
            .run(|tx| async move {
                let mut edit = Edit::open(&tx, step.account, self.now()).await?;
                edit.read_mailboxes([step.from, step.to]).await?;
                edit.mailbox(step.from).await?;
                edit.mailbox(step.to).await?;
                let members = members_in(&tx, step.account, step.from, step.uids).await?;
                let emails: Vec<_> = members.iter().map(|member| member.email).collect();
                edit.read_emails(&emails).await?;
                let mut pairs = Vec::with_capacity(members.len());
                for member in members {
                    pairs.push((member.uid, self.transfer_one(&mut edit, &step, &member).await?));
                }
                let uidvalidity = edit.uidvalidity(step.to)?;
                Ok::<_, Failure>(Copied { uidvalidity, pairs, modseq: edit.finish().await? })
            })
            .await
            .map_err(Failure::into_error)?;
        self.announce(step.account, copied.modseq).await;
        Ok(copied)
    }

    async fn transfer_one(&self, edit: &mut Edit, step: &Step<'_>, member: &Member) -> Result<Uid, Failure> {
        let is_there =
            edit.email(member.email).is_some_and(|e| e.memberships.iter().any(|m| m.mailbox == step.to));
        if !step.keep && (!is_there || step.from == step.to) {
            return Ok(edit.move_membership(member.email, (step.from, member.uid), step.to)?);
        }
        let uid = if is_there {
            step.quota.check(edit.state(), member.size)?;
            self.duplicate(edit, member, step.to).await?
        } else {
            edit.add_membership(member.email, step.to, member.deleted)?
        };
        if !step.keep {
            edit.remove_membership(member.email, step.from, member.uid);
        }
        Ok(uid)
    }

    /// Makes a new email with the content of another.
    async fn duplicate(&self, edit: &mut Edit, member: &Member, to: MailboxId) -> Result<Uid, Failure> {
        let content = self.content(edit, member.email).await?;
        let thread = edit.join_thread(&thread_keys(&content.0)).await?;
        let email = edit.create_email(thread, member.keywords.clone(), member.received, member.size)?;
        edit.share_identity(email, member.email);
        let uid = edit.add_membership(email, to, member.deleted)?;
        self.save_content(edit, email, &content).await?;
        Ok(uid)
    }

    /// An email's metadata and source, for a change that carries them over to another email.
    pub(crate) async fn content(
        &self,
        edit: &Edit,
        email: EmailId,
    ) -> Result<(Metadata, SourceRecord), Failure> {
        let key = (edit.account(), email);
        let lost = |what| Error::lost_email(edit.account(), email, what);
        let metadata =
            edit.tx().load::<Metadatas>(&key).await?.ok_or_else(|| lost("its metadata is missing"))?;
        let source = edit.tx().load::<Sources>(&key).await?.ok_or_else(|| lost("its source is missing"))?;
        Ok((metadata, source))
    }

    /// Writes content under a new email, which becomes one more holder of its blobs.
    pub(crate) async fn save_content(
        &self,
        edit: &Edit,
        email: EmailId,
        (metadata, source): &(Metadata, SourceRecord),
    ) -> Result<(), Failure> {
        let key = (edit.account(), email);
        edit.tx().save::<Metadatas>(&key, metadata)?;
        edit.tx().save::<Sources>(&key, source)?;
        let hashes = source.blobs();
        if !hashes.is_empty() {
            self.blobs().share(edit.tx(), &hashes, &owner(edit.account(), email)).await?;
        }
        Ok(())
    }

    /// Removes what a copy that failed later had made.
    async fn take_back(&self, account: AccountId, mailbox: MailboxId, uids: &[Uid]) -> Result<(), Error> {
        let mut steps = Steps::new(uids, Self::COPIED_AT_ONCE);
        while let Some(uids) = steps.next() {
            match self.take_back_step(account, mailbox, uids).await {
                Ok(()) => steps.done(),
                Err(error) if steps.shrink(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn take_back_step(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
    ) -> Result<(), Error> {
        let _turn = self.turn(account).await;
        let modseq = self
            .kv()
            .run(|tx| async move {
                let mut edit = Edit::open(&tx, account, self.now()).await?;
                let members = members_in(&tx, account, mailbox, uids).await?;
                let emails: Vec<_> = members.iter().map(|member| member.email).collect();
                edit.read_emails(&emails).await?;
                for member in members {
                    edit.remove_membership(member.email, mailbox, member.uid);
                }
                edit.finish().await
            })
            .await?;
        self.announce(account, modseq).await;
        Ok(())
    }
}

impl SourceRecord {
    /// The blobs that the source is made of, each once.
    pub(crate) fn blobs(&self) -> Vec<store::blob::Hash> {
        let cuts = self.recipe.iter().flat_map(|recipe| recipe.cuts.iter().map(|cut| cut.hash));
        let mut hashes: Vec<[u8; 32]> = cuts.chain(self.literal).collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes.into_iter().map(store::blob::Hash::from_bytes).collect()
    }
}

impl Failure {
    /// The error of a transaction that prepared nothing and so has nothing to prepare anew.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Mail(error) => error,
            Self::Vanished => {
                Error::Unavailable("an attachment is missing from the blob store; run `magpie verify`".into())
            }
        }
    }
}
