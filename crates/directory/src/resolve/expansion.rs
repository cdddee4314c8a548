//! Follows aliases and groups, level by level, to the accounts that they lead to. What leads in a circle is
//! passed once; there is an end to the number of levels and of accounts.

use std::collections::HashSet;

use futures::future::try_join_all;
use store::kv::{self, Range, Transaction};
use types::AccountId;

use super::{Found, Recipient, Refusal, Resolution};
use crate::account::{AccountState, Quota};
use crate::error::Error;
use crate::name::{Address, LocalPart, NameKey};
use crate::options::Options;
use crate::table::{AliasRow, MemberRow, Members, NameRow, Named, Names, Target};

/// Where names lead.
pub(crate) struct Expansion {
    accounts: Vec<Reached>,
    disabled: bool,
    too_large: bool,
    passed: HashSet<u64>,
}

/// An account that takes mail.
struct Reached {
    account: AccountId,
    address: Address,
    limits: Quota,
}

/// A name on the way.
struct Step {
    name: NameKey,
    row: NameRow,
}

impl Expansion {
    /// Follows a name that was read already.
    pub(super) async fn from(tx: &Transaction, found: Found, options: &Options) -> Result<Self, kv::Error> {
        let Found { name, row, .. } = found;
        Self::follow(tx, vec![Step { name, row }], options).await
    }

    /// Follows references.
    pub(crate) async fn of(
        tx: &Transaction,
        targets: Vec<Target>,
        options: &Options,
    ) -> Result<Self, kv::Error> {
        let steps = read(tx, &targets).await?;
        Self::follow(tx, steps, options).await
    }

    /// Refuses a reference from `name`, whose row has the number `id`, to `target`, from where this way led: if it
    /// led back, or so far that it was not followed to its end.
    pub(crate) fn check_apart(&self, id: u64, name: &Address, target: &Address) -> Result<(), Error> {
        if self.passed.contains(&id) {
            return Err(Error::Circle { name: name.to_string(), target: target.to_string() });
        }
        if self.too_large {
            return Err(Error::TooLarge(target.clone()));
        }
        Ok(())
    }

    /// What mail to `address` comes to.
    pub(super) fn resolution(self, address: &str, detail: Option<&str>) -> Resolution {
        if self.too_large {
            return Resolution::Refused(Refusal::TooLarge);
        }
        if self.accounts.is_empty() {
            return Resolution::Refused(if self.disabled { Refusal::Disabled } else { Refusal::Empty });
        }
        let recipients = self.accounts.into_iter().map(|reached| Recipient {
            account: reached.account,
            address: reached.address,
            delivered_to: address.to_owned(),
            detail: detail.map(str::to_owned),
            limits: reached.limits,
        });
        Resolution::Local { recipients: recipients.collect() }
    }

    async fn follow(tx: &Transaction, mut level: Vec<Step>, options: &Options) -> Result<Self, kv::Error> {
        let mut way =
            Self { accounts: Vec::new(), disabled: false, too_large: false, passed: HashSet::new() };
        for _ in 0..=options.nesting {
            let (mut targets, groups) = way.pass(level);
            let members = groups.into_iter().map(|group| members(tx, group, options.recipients));
            targets.extend(try_join_all(members).await?.into_iter().flatten());
            let mut once = HashSet::new();
            targets.retain(|target| !way.passed.contains(&target.id) && once.insert(target.id));
            if targets.is_empty() {
                way.too_large = way.accounts.len() > options.recipients;
                return Ok(way);
            }
            if way.accounts.len() + targets.len() > options.recipients {
                break;
            }
            level = read(tx, &targets).await?;
        }
        way.too_large = true;
        Ok(way)
    }

    /// Takes the accounts of a level, and tells what its aliases and groups lead to.
    fn pass(&mut self, level: Vec<Step>) -> (Vec<Target>, Vec<u64>) {
        let (mut targets, mut groups) = (Vec::new(), Vec::new());
        for step in level {
            if !self.passed.insert(step.row.id) {
                continue;
            }
            match step.row.named {
                Named::Account(account) if account.state == AccountState::Disabled => self.disabled = true,
                Named::Account(account) => self.accounts.push(Reached {
                    account: AccountId(step.row.id),
                    address: Address::new(LocalPart::from_row(&step.row.local), step.name.domain),
                    limits: account.quota,
                }),
                Named::Alias(AliasRow { targets: further }) => targets.extend(further),
                Named::Group(_) => groups.push(step.row.id),
            }
        }
        (targets, groups)
    }
}

/// The members of a group, as far as they matter: one more than may be is as good as all.
async fn members(tx: &Transaction, group: u64, most: usize) -> Result<Vec<Target>, kv::Error> {
    let range = Range::new(Members::range(group)).limit(most.saturating_add(1));
    let rows = tx.rows::<Members>(range).all().await?;
    Ok(rows.into_iter().map(|(_, MemberRow { target })| target).collect())
}

/// Reads what references lead to, those left out whose name is gone or has become somebody else's. One round.
async fn read(tx: &Transaction, targets: &[Target]) -> Result<Vec<Step>, kv::Error> {
    let names: Vec<_> = targets.iter().map(Target::key).collect();
    let rows = tx.load_many::<Names>(&names).await?;
    let steps = names.into_iter().zip(rows).zip(targets).filter_map(|((name, row), target)| {
        let row = row.filter(|row| row.id == target.id)?;
        Some(Step { name, row })
    });
    Ok(steps.collect())
}
