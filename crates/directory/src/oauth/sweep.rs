//! What is over goes.

use store::kv::{self, Range};

use super::client::sweep_client;
use super::grant::remove_grant;
use crate::directory::Directory;
use crate::table::{AccessTokens, Codes, Devices, Due, DueRows, Grants, UserCodes};

/// How many rows one transaction looks at.
const ROWS: usize = 200;

impl Directory {
    /// Removes tokens, codes and grants that are over; how many. Run now and then.
    pub async fn sweep_grants(&self) -> Result<usize, kv::Error> {
        let mut swept = 0;
        loop {
            let some = self.sweep_some().await?;
            swept += some;
            if some < ROWS {
                return Ok(swept);
            }
        }
    }

    async fn sweep_some(&self) -> Result<usize, kv::Error> {
        let now = self.clock.now();
        self.kv
            .run(|tx| async move {
                let due = tx.rows::<DueRows>(Range::new(DueRows::until(now)).limit(ROWS)).all().await?;
                let count = due.len();
                for (key, _) in due {
                    match &key.1 {
                        Due::Token(hash) => tx.remove::<AccessTokens>(hash)?,
                        Due::Code(hash) => tx.remove::<Codes>(hash)?,
                        Due::Device(hash) => {
                            if let Some(device) = tx.load::<Devices>(hash).await? {
                                let code = tx.load::<UserCodes>(&device.user_code).await?;
                                if code.is_some_and(|code| *code.device == *hash) {
                                    tx.remove::<UserCodes>(&device.user_code)?;
                                }
                            }
                            tx.remove::<Devices>(hash)?;
                        }
                        Due::Client(number) => sweep_client(&tx, *number, now).await?,
                        Due::Grant(grant) => match tx.load::<Grants>(grant).await? {
                            Some(row) if row.expires <= now => remove_grant(&tx, grant, &row)?,
                            _ => {}
                        },
                    }
                    tx.remove::<DueRows>(&key)?;
                }
                Ok(count)
            })
            .await
    }
}
