//! Follows aliases and groups, level by level, to the accounts that they lead to, and to addresses at other servers.
//! What leads in a circle is passed once; there is an end to the number of levels and of recipients.

use std::collections::HashSet;

use futures::future::try_join_all;
use store::kv::{self, Range, Transaction};
use types::AccountId;

use super::{Forward, Found, Place, Recipient, Refusal, Resolution, locate};
use crate::account::{AccountState, Quota};
use crate::error::Error;
use crate::name::{Address, LocalPart, NameKey};
use crate::options::Options;
use crate::table::{AliasRow, MemberRow, Members, NameRow, Named, Target};

/// Where names lead.
pub(crate) struct Expansion {
    accounts: Vec<Reached>,
    forwards: Vec<Forward>,
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

/// A reference on the way, and the alias or group that holds it.
struct Lead {
    target: Target,
    via: Address,
}

impl Expansion {
    /// Follows a name that was read already.
    pub(super) async fn from(tx: &Transaction, found: Found, options: &Options) -> Result<Self, kv::Error> {
        let Found { name, row, .. } = found;
        Self::follow(tx, vec![Step { name, row }], options).await
    }

    /// Follows references, to see how far they lead.
    pub(crate) async fn of(
        tx: &Transaction,
        targets: &[Target],
        options: &Options,
    ) -> Result<Self, kv::Error> {
        let here = |place| match place {
            Place::Here(name, row) => Some(Step { name, row }),
            Place::Elsewhere(_) | Place::Gone => None,
        };
        let steps = locate(tx, targets).await?.into_iter().filter_map(here).collect();
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
        if self.accounts.is_empty() && self.forwards.is_empty() {
            return Resolution::Refused(if self.disabled { Refusal::Disabled } else { Refusal::Empty });
        }
        let recipients = self.accounts.into_iter().map(|reached| Recipient {
            account: reached.account,
            address: reached.address,
            delivered_to: address.to_owned(),
            detail: detail.map(str::to_owned),
            limits: reached.limits,
        });
        Resolution::Local { recipients: recipients.collect(), forwards: self.forwards }
    }

    async fn follow(tx: &Transaction, mut level: Vec<Step>, options: &Options) -> Result<Self, kv::Error> {
        let mut way = Self {
            accounts: Vec::new(),
            forwards: Vec::new(),
            disabled: false,
            too_large: false,
            passed: HashSet::new(),
        };
        for _ in 0..=options.nesting {
            let (mut leads, groups) = way.pass(level);
            let members = groups.into_iter().map(|group| members(tx, group, options.recipients));
            leads.extend(try_join_all(members).await?.into_iter().flatten());
            let mut once = HashSet::new();
            leads.retain(|Lead { target, .. }| match target.is_elsewhere() {
                true => once.insert((target.id, Some(target.key()))),
                false => !way.passed.contains(&target.id) && once.insert((target.id, None)),
            });
            if leads.is_empty() {
                way.too_large = way.reached() > options.recipients;
                return Ok(way);
            }
            if way.reached() + leads.len() > options.recipients {
                break;
            }
            level = way.read(tx, leads).await?;
        }
        way.too_large = true;
        Ok(way)
    }

    /// How many recipients there are so far.
    fn reached(&self) -> usize {
        self.accounts.len() + self.forwards.len()
    }

    /// Reads what references lead to here, and takes what is elsewhere. One round.
    async fn read(&mut self, tx: &Transaction, leads: Vec<Lead>) -> Result<Vec<Step>, kv::Error> {
        let targets: Vec<_> = leads.iter().map(|lead| lead.target.clone()).collect();
        let mut steps = Vec::new();
        for (place, lead) in locate(tx, &targets).await?.into_iter().zip(leads) {
            match place {
                Place::Here(name, row) => steps.push(Step { name, row }),
                Place::Elsewhere(address) => {
                    if self.forwards.iter().all(|known| known.address != address) {
                        self.forwards.push(Forward { address, via: lead.via });
                    }
                }
                Place::Gone => {}
            }
        }
        Ok(steps)
    }

    /// Takes the accounts of a level, and tells what its aliases lead to, and which groups there are.
    fn pass(&mut self, level: Vec<Step>) -> (Vec<Lead>, Vec<(u64, Address)>) {
        let (mut leads, mut groups) = (Vec::new(), Vec::new());
        for step in level {
            if !self.passed.insert(step.row.id) {
                continue;
            }
            let address = Address::new(LocalPart::from_row(&step.row.local), step.name.domain);
            match step.row.named {
                Named::Account(account) if account.state == AccountState::Disabled => self.disabled = true,
                Named::Account(account) => self.accounts.push(Reached {
                    account: AccountId(step.row.id),
                    address,
                    limits: account.quota,
                }),
                Named::Alias(AliasRow { targets }) => {
                    leads.extend(targets.into_iter().map(|target| Lead { target, via: address.clone() }));
                }
                Named::Group(_) => groups.push((step.row.id, address)),
            }
        }
        (leads, groups)
    }
}

/// The members of a group, as far as they matter: one more than may be is as good as all.
async fn members(
    tx: &Transaction,
    (group, via): (u64, Address),
    most: usize,
) -> Result<Vec<Lead>, kv::Error> {
    let range = Range::new(Members::range(group)).limit(most.saturating_add(1));
    let rows = tx.rows::<Members>(range).all().await?;
    Ok(rows.into_iter().map(|(_, MemberRow { target })| Lead { target, via: via.clone() }).collect())
}
