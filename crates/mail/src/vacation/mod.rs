//! Being away: what an account answers by itself, and whom (RFC 8621 §8, RFC 3834, RFC 5230 §4).
//!
//! ```text
//!   delivery ── one more key in its round: is anybody away? ──> no: that is all
//!      └─ yes; may the message be answered, was its sender not told lately? ──> a row: due
//!   whoever answers: answers_due ──> writes the answer ──> answer: due ─> answered, and the answer in its queue,
//!                                                          in one transaction
//! ```
//!
//! So a delivery neither waits for an answer nor fails with one, and an answer that is due outlives a crash and is sent once.
//! How an answer is written and sent is not known here.

mod answers;
mod manners;

use store::kv::Transaction;
use types::{AccountId, ModSeq};

use crate::edit::Edit;
use crate::table::{AccountStates, Vacation, Vacations};
use crate::{Error, Mail};

pub use answers::Due;
pub(crate) use answers::forget_due;

impl Mail {
    /// Octets that the texts of an answer may have together.
    pub const VACATION_SIZE: usize = 64 << 10;

    /// What an account answers, and the modseq at which it is so. Two reads in one round.
    pub async fn vacation(&self, account: AccountId) -> Result<(ModSeq, Vacation), Error> {
        self.look(|tx| async move {
            let state = tx.snapshot_load::<AccountStates>(&account).await?;
            let vacation = tx.snapshot_load::<Vacations>(&(account, Vacations::ONLY)).await?;
            Ok((state.map_or(ModSeq(0), |state| state.modseq), vacation.unwrap_or_default()))
        })
        .await
    }

    /// Changes what an account answers: `change` says what it shall be, from what it is. It may be asked again. Whoever turns
    /// answers on tells everybody anew: who was told of another absence does not know of this one.
    pub async fn set_vacation(
        &self,
        account: AccountId,
        change: &(dyn Fn(&Vacation) -> Vacation + Sync),
    ) -> Result<(), Error> {
        let _turn = self.turn(account).await;
        let work = |tx: Transaction| async move {
            let mut edit = Edit::open(&tx, account, self.now()).await?;
            let stored = edit.object::<Vacations>(Vacations::ONLY).await?;
            let before = stored.clone().unwrap_or_default();
            let after = change(&before);
            let (size, limit) = (after.size(), Self::VACATION_SIZE);
            if size > limit {
                return Err(Error::ObjectTooLarge { size, limit });
            }
            if after != before {
                edit.put_object::<Vacations>(Vacations::ONLY, stored.as_ref(), &after)?;
            }
            if after.enabled && !before.enabled {
                answers::forget_all(&tx, account)?;
            }
            edit.finish().await
        };
        let modseq = self.kv().run(work).await?;
        self.announce(account, modseq).await;
        Ok(())
    }
}
