//! What has to be done now and then, a step at a time, and can be cut off between any two.

use store::kv::Range;
use types::{AccountId, ModSeq};

use crate::deliver::Failure;
use crate::edit::Edit;
use crate::table::{AccountStates, Changes, Deliveries, Expungeds};
use crate::tree::Tree;
use crate::{Error, Mail};

/// What upkeep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UpkeepReport {
    /// Expunged emails whose content is gone now.
    pub purged: u64,
    /// Rows of the change log that were forgotten.
    pub log_trimmed: u64,
    /// Mailboxes whose deletion was finished.
    pub mailboxes_removed: u64,
    /// Uploads whose time was over.
    pub uploads_forgotten: u64,
    /// Submissions that were over for long.
    pub submissions_forgotten: u64,
    /// Senders who may be told again that somebody is away.
    pub answered_forgotten: u64,
}

impl Mail {
    const PURGED_AT_ONCE: usize = 100;
    const TRIMMED_AT_ONCE: usize = 1000;

    /// Finishes deletions, purges expunged emails whose time is up, trims the change log, and forgets old
    /// delivery markers. Safe to cancel and to run on several nodes at once.
    pub async fn upkeep(&self, account: AccountId) -> Result<UpkeepReport, Error> {
        let mut report = UpkeepReport::default();
        let tree = self.look(|tx| async move { Tree::read(&tx, account, true).await }).await?;
        if tree.ids().next().is_none() {
            return Ok(report);
        }
        let deleting: Vec<_> = tree.deleting().collect();
        for mailbox in deleting {
            self.finish_deletion(account, mailbox).await?;
            report.mailboxes_removed += 1;
        }
        report.purged = self.purge(account).await?;
        report.uploads_forgotten = self.forget_uploads(account).await?;
        report.submissions_forgotten = self.trim_submissions(account).await?;
        report.answered_forgotten = self.forget_answered(account).await?;
        report.log_trimmed = self.trim_log(account).await?;
        let old = Deliveries::forgotten(account, self.now());
        self.kv()
            .run(|tx| {
                let old = old.clone();
                async move { Ok::<_, Error>(tx.clear_range(old)?) }
            })
            .await?;
        Ok(report)
    }

    async fn purge(&self, account: AccountId) -> Result<u64, Error> {
        let before = self.now().minus(self.options().retention);
        let mut purged = 0;
        let mut at_once = Self::PURGED_AT_ONCE;
        loop {
            let _turn = self.turn(account).await;
            let step = self
                .kv()
                .run(|tx| async move {
                    let mut edit = Edit::open(&tx, account, self.now()).await?;
                    let range = Range::new(Expungeds::before(account, before)).limit(at_once);
                    let rows = tx.rows::<Expungeds>(range).all().await?;
                    for (key, _) in &rows {
                        let content = self.content(&edit, key.2).await?;
                        self.drop_content(&mut edit, key.2, &content).await?;
                        tx.remove::<Expungeds>(key)?;
                    }
                    edit.finish().await?;
                    Ok::<_, Failure>(rows.len())
                })
                .await
                .map_err(Failure::into_error);
            match step {
                Ok(count) if count < at_once => return Ok(purged + count as u64),
                Ok(count) => purged += count as u64,
                Err(error) if error.is_too_much() && at_once > 1 => at_once /= 2,
                Err(error) => return Err(error),
            }
        }
    }

    async fn trim_log(&self, account: AccountId) -> Result<u64, Error> {
        let before = self.now().minus(self.options().change_log);
        let mut trimmed = 0;
        loop {
            let _turn = self.turn(account).await;
            let count = self
                .kv()
                .run(|tx| async move {
                    let Some(mut state) = tx.load::<AccountStates>(&account).await? else { return Ok(0) };
                    let range = Changes::since(account, ModSeq(0));
                    let rows =
                        tx.rows::<Changes>(Range::new(range).limit(Self::TRIMMED_AT_ONCE)).all().await?;
                    let old: Vec<ModSeq> = rows
                        .iter()
                        .take_while(|(_, change)| change.at < before)
                        .map(|((_, m), _)| *m)
                        .collect();
                    let Some(last) = old.last() else { return Ok(0) };
                    state.log_floor = *last;
                    tx.clear_range(Changes::until(account, *last))?;
                    tx.save::<AccountStates>(&account, &state)?;
                    Ok::<_, Error>(old.len())
                })
                .await?;
            trimmed += count as u64;
            if count < Self::TRIMMED_AT_ONCE {
                return Ok(trimmed);
            }
        }
    }
}
