//! What the owner of an account may send: in whose name, and how much.

use std::time::Duration;

use store::kv::Transaction;
use thiserror::Error as ThisError;
use types::AccountId;

use crate::directory::Directory;
use crate::error::Error;
use crate::login::Authenticated;
use crate::name::Address;
use crate::resolve::{Search, find};
use crate::table::{NameRow, Named, Names, Target};

/// How much one account may send. What is over a limit is refused for now, and counts for nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SendingLimits {
    /// Messages within an hour. `None`: no limit.
    pub messages_per_hour: Option<u64>,
    /// Recipients within an hour. `None`: no limit.
    pub recipients_per_hour: Option<u64>,
    /// Recipients within a day. `None`: no limit.
    pub recipients_per_day: Option<u64>,
}

impl Default for SendingLimits {
    fn default() -> Self {
        Self {
            messages_per_hour: Some(300),
            recipients_per_hour: Some(1_000),
            recipients_per_day: Some(5_000),
        }
    }
}

/// An account has sent as much as it may.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ThisError)]
#[error("this account has sent as many {what} as it may: {limit} in {} h", window.as_secs() / 3_600)]
pub struct SentTooMuch {
    what: &'static str,
    limit: u64,
    window: Duration,
}

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

impl SentTooMuch {
    /// Whether it was too many recipients, not too many messages.
    pub fn is_of_recipients(&self) -> bool {
        self.what == RECIPIENTS
    }
}

const MESSAGES: &str = "messages";
const RECIPIENTS: &str = "recipients";

impl Directory {
    /// Whether whoever has logged in may write as an address: their own, with or without a detail, an alias that leads
    /// to them, perhaps over other aliases, and what the domain's catch-all gives them. A group is not its
    /// members': what is written in its name is meant for all of them, or by all.
    ///
    /// What is no address is nobody's. Reads: as [`Directory::resolve`].
    pub async fn may_write_as(&self, who: &Authenticated, address: &str) -> Result<bool, Error> {
        self.is_address_of(who.account(), address).await
    }

    /// Whether an address is an account's: the same as [`Self::may_write_as`], for what the server does in the name of
    /// somebody who has not logged in now.
    pub async fn is_address_of(&self, account: AccountId, address: &str) -> Result<bool, Error> {
        let Ok(address) = Address::parse(address) else { return Ok(false) };
        let nesting = self.options.nesting;
        let address = &address;
        self.kv
            .run(|tx| async move {
                match find(&tx, Some(address.local()), address.domain()).await? {
                    Search::Name(found) => leads_to(&tx, found.into_row(), account, nesting).await,
                    Search::UnknownUser | Search::NotLocal => Ok(false),
                }
            })
            .await
    }

    /// Counts a message that an account is about to send, or refuses it. The counters are on the bus: all nodes share
    /// them, and if they vanish, an account may send once more what it has sent.
    pub async fn count_sending(
        &self,
        account: AccountId,
        recipients: u64,
        limits: &SendingLimits,
    ) -> Result<(), SentTooMuch> {
        let counters = [
            (MESSAGES, HOUR, limits.messages_per_hour, 1),
            (RECIPIENTS, HOUR, limits.recipients_per_hour, recipients),
            (RECIPIENTS, DAY, limits.recipients_per_day, recipients),
        ];
        let bus = self.logins.bus();
        let key = |name: &str| format!("sending/{name}/{}", account.0).into_bytes();
        for (what, window, limit, amount) in counters {
            let Some(limit) = limit else { continue };
            if bus.count(&key(what), 0, window).await.saturating_add(amount) > limit {
                return Err(SentTooMuch { what, limit, window });
            }
        }
        for (what, window, limit, amount) in counters {
            if limit.is_some() {
                bus.count(&key(what), amount, window).await;
            }
        }
        Ok(())
    }
}

/// Whether a name is an account's, or an alias that leads there.
async fn leads_to(tx: &Transaction, row: NameRow, account: AccountId, nesting: usize) -> Result<bool, Error> {
    let mut rows = vec![row];
    let mut passed = Vec::new();
    for _ in 0..=nesting {
        let mut targets: Vec<Target> = Vec::new();
        for row in rows {
            match row.named {
                Named::Account(_) if row.id == account.0 => return Ok(true),
                Named::Alias(alias) if !passed.contains(&row.id) => {
                    passed.push(row.id);
                    // What was elsewhere when it was named gives nobody here the right to this name.
                    targets.extend(alias.targets.into_iter().filter(|target| !target.is_elsewhere()));
                }
                Named::Account(_) | Named::Alias(_) | Named::Group(_) => {}
            }
        }
        if targets.is_empty() {
            break;
        }
        let names: Vec<_> = targets.iter().map(Target::key).collect();
        let found = tx.load_many::<Names>(&names).await?.into_iter().zip(&targets);
        // A freed name that somebody else has now is not what was meant.
        rows = found.filter_map(|(row, target)| row.filter(|row| row.id == target.id)).collect();
    }
    Ok(false)
}
