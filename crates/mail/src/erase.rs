//! Erasing an account: all of its mail, for good.

use store::kv::{Range, Table, after_key};
use types::AccountId;

use crate::deliver::Failure;
use crate::place::owner;
use crate::table::{Sources, account_range};
use crate::vacation::forget_due;
use crate::{Error, Mail};

impl Mail {
    const ERASED_AT_ONCE: usize = 500;

    /// Erases everything that an account has. The account must not be in use any more: a delivery that comes
    /// after would begin its mail life anew. Continues where an earlier run was cut off.
    pub async fn erase_account(&self, account: AccountId) -> Result<(), Error> {
        let _turn = self.turn(account).await;
        let mut rest = Sources::all(account);
        let mut at_once = Self::ERASED_AT_ONCE;
        loop {
            let from = rest.clone();
            let last = self
                .kv()
                .run(|tx| {
                    let from = from.clone();
                    async move {
                        let rows = tx.rows::<Sources>(Range::new(from).limit(at_once)).all().await?;
                        for ((_, email), source) in &rows {
                            for hash in source.blobs() {
                                self.blobs().unlink(&tx, &hash, &owner(account, *email))?;
                            }
                        }
                        Ok::<_, Failure>(rows.last().map(|(key, _)| *key))
                    }
                })
                .await
                .map_err(Failure::into_error);
            match last {
                Ok(Some(key)) => rest.begin = after_key(&Sources::key(&key)),
                Ok(None) => break,
                Err(error) if error.is_too_much() && at_once > 1 => at_once /= 2,
                Err(error) => return Err(error),
            }
        }
        self.drop_uploads(account).await?;
        let all = account_range(account);
        self.kv()
            .run(|tx| {
                let all = all.clone();
                async move {
                    forget_due(&tx, account)?;
                    Ok::<_, Error>(tx.clear_range(all)?)
                }
            })
            .await
    }
}
