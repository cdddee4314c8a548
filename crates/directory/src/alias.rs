//! Aliases: further names for accounts, groups and other aliases of this service, and for names at other servers, to
//! which their mail is sent on.

use store::kv::{Range, Transaction};
use types::{AccountId, Timestamp};

use crate::account::{new_row, vacant};
use crate::directory::Directory;
use crate::error::Error;
use crate::name::{Address, DomainName, LocalPart, NameKey};
use crate::page::{Cursor, Page, PageRequest, list};
use crate::resolve::{Expansion, Place, locate};
use crate::table::{
    AliasRow, NameRow, Named, Names, ReferrerRow, Referrers, Sequences, Target, load_names_and_domains,
};

/// An alias.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alias {
    /// Its name.
    pub address: Address,
    /// Where it leads.
    pub targets: Vec<Address>,
    /// Since when it is here.
    pub created: Timestamp,
}

/// Where an alias leads, and whether that is still there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AliasTarget {
    /// The name that was meant.
    pub address: Address,
    /// False if what had the name is gone, whoever has it now: the target gets nothing.
    pub exists: bool,
    /// It is at another server.
    pub elsewhere: bool,
}

impl Alias {
    /// The most targets. More are a group.
    pub const MAX_TARGETS: usize = 50;

    fn of(name: &NameKey, row: NameRow) -> Option<Self> {
        let Named::Alias(AliasRow { targets }) = row.named else { return None };
        let address = Address::new(LocalPart::from_row(&row.local), name.domain.clone());
        Some(Self { address, targets: targets.iter().map(Target::address).collect(), created: row.created })
    }
}

impl Directory {
    /// Creates an alias for 1 to [`Alias::MAX_TARGETS`] names that are here, or in domains that are not ours. What is at
    /// another server now is looked for here as soon as its domain becomes ours.
    pub async fn create_alias(&self, address: &Address, targets: &[Address]) -> Result<Alias, Error> {
        address.check_new()?;
        let now = self.clock.now();
        self.kv
            .run(|tx| async move {
                let name = vacant(&tx, address).await?;
                let targets = find_targets(&tx, targets).await?;
                let id = Sequences::next_name(&tx).await?;
                refer(&tx, &name, &[], &targets)?;
                let row = new_row(id, address, now, Named::Alias(AliasRow { targets }));
                tx.save::<Names>(&name, &row)?;
                Alias::of(&name, row).ok_or_else(|| Error::NoSuchAlias(address.clone()))
            })
            .await
    }

    /// Lets an alias lead elsewhere.
    pub async fn set_alias(&self, address: &Address, targets: &[Address]) -> Result<Alias, Error> {
        self.kv
            .run(|tx| async move {
                let (name, mut row) = find(&tx, address).await?;
                let found = find_targets(&tx, targets).await?;
                for target in &found {
                    let led = Expansion::of(&tx, std::slice::from_ref(target), &self.options).await?;
                    led.check_apart(row.id, address, &target.address())?;
                }
                let before = targets_of(&row).to_vec();
                refer(&tx, &name, &before, &found)?;
                row.named = Named::Alias(AliasRow { targets: found });
                tx.save::<Names>(&name, &row)?;
                Alias::of(&name, row).ok_or_else(|| Error::NoSuchAlias(address.clone()))
            })
            .await
    }

    /// An alias, if it is here.
    pub async fn alias(&self, address: &Address) -> Result<Option<Alias>, Error> {
        let name = &address.key();
        let row = self.kv.run(|tx| async move { tx.load::<Names>(name).await }).await?;
        Ok(row.and_then(|row| Alias::of(name, row)))
    }

    /// Where an alias leads, which of that is gone, and which elsewhere. Two reads.
    pub async fn alias_targets(&self, address: &Address) -> Result<Vec<AliasTarget>, Error> {
        self.kv
            .run(|tx| async move {
                let (_, row) = find(&tx, address).await?;
                let Named::Alias(AliasRow { targets }) = row.named else {
                    return Err(Error::NoSuchAlias(address.clone()));
                };
                let places = locate(&tx, &targets).await?;
                let shown = targets.iter().zip(places).map(|(target, place)| AliasTarget {
                    address: target.address(),
                    exists: !matches!(place, Place::Gone),
                    elsewhere: matches!(place, Place::Elsewhere(_)),
                });
                Ok(shown.collect())
            })
            .await
    }

    /// All aliases, or those of one domain, in the order of their names.
    pub async fn aliases(
        &self,
        domain: Option<&DomainName>,
        page: &PageRequest,
    ) -> Result<Page<Alias>, Error> {
        list::<Names, _>(&self.kv, Names::range(domain), page, Alias::of).await
    }

    /// The addresses of an account: its own, and those of aliases that lead to it, perhaps over other aliases. At most
    /// [`Self::ADDRESSES`]. Two rounds of reading, and one for each alias that leads further.
    pub async fn addresses_of(&self, account: AccountId) -> Result<Vec<Address>, Error> {
        let Some(found) = self.account(account).await? else { return Ok(Vec::new()) };
        let own = found.address;
        self.kv
            .run(|tx| {
                let own = own.clone();
                async move {
                    let (mut addresses, mut led) = (vec![own], vec![account.0]);
                    let mut next = 0;
                    while let Some(id) = led.get(next).copied() {
                        next += 1;
                        let range = Range::new(Referrers::of(id)).limit(Self::ADDRESSES).snapshot();
                        let names: Vec<NameKey> = tx
                            .rows::<Referrers>(range)
                            .all()
                            .await?
                            .into_iter()
                            .map(|((_, name), _)| name)
                            .collect();
                        if names.is_empty() {
                            continue;
                        }
                        let rows = tx.load_many::<Names>(&names).await?;
                        for (name, row) in names.iter().zip(rows) {
                            let Some(row) = row.filter(|row| targets_of(row).iter().any(|t| t.id == id))
                            else {
                                continue;
                            };
                            if addresses.len() < Self::ADDRESSES && !led.contains(&row.id) {
                                led.push(row.id);
                                addresses.extend(Alias::of(name, row).map(|alias| alias.address));
                            }
                        }
                    }
                    Ok(addresses)
                }
            })
            .await
    }

    /// The most addresses of an account that [`Self::addresses_of`] finds.
    pub const ADDRESSES: usize = 100;

    /// Writes down which names a page of aliases leads to: for aliases that were made before that was done. Returns where to
    /// go on, if there may be more.
    pub async fn index_aliases(&self, page: &PageRequest) -> Result<Option<Cursor>, Error> {
        let aliases = self.aliases(None, page).await?;
        for alias in aliases.items {
            let name = &alias.address.key();
            let index = |tx: Transaction| async move {
                let Some(row) = tx.load::<Names>(name).await? else { return Ok(()) };
                for target in targets_of(&row).iter().filter(|target| !target.is_elsewhere()) {
                    let key = (target.id, name.clone());
                    if tx.load::<Referrers>(&key).await?.is_none() {
                        tx.save::<Referrers>(&key, &ReferrerRow {})?;
                    }
                }
                Ok::<_, Error>(())
            };
            self.kv.run(index).await?;
        }
        Ok(aliases.next)
    }

    /// Removes an alias; its name is free then.
    pub async fn delete_alias(&self, address: &Address) -> Result<(), Error> {
        self.kv
            .run(|tx| async move {
                let (name, row) = find(&tx, address).await?;
                refer(&tx, &name, targets_of(&row), &[])?;
                Ok(tx.remove::<Names>(&name)?)
            })
            .await
    }
}

fn targets_of(row: &NameRow) -> &[Target] {
    match &row.named {
        Named::Alias(AliasRow { targets }) => targets,
        Named::Account(_) | Named::Group(_) => &[],
    }
}

/// Notes that an alias leads to other names than before.
fn refer(tx: &Transaction, alias: &NameKey, before: &[Target], after: &[Target]) -> Result<(), Error> {
    for target in before.iter().filter(|target| !target.is_elsewhere()) {
        tx.remove::<Referrers>(&(target.id, alias.clone()))?;
    }
    for target in after.iter().filter(|target| !target.is_elsewhere()) {
        tx.save::<Referrers>(&(target.id, alias.clone()), &ReferrerRow {})?;
    }
    Ok(())
}

async fn find(tx: &Transaction, address: &Address) -> Result<(NameKey, NameRow), Error> {
    let name = address.key();
    match tx.load::<Names>(&name).await? {
        Some(row) if matches!(row.named, Named::Alias(_)) => Ok((name, row)),
        _ => Err(Error::NoSuchAlias(address.clone())),
    }
}

/// What the addresses name now, each once. One read.
async fn find_targets(tx: &Transaction, addresses: &[Address]) -> Result<Vec<Target>, Error> {
    if addresses.is_empty() || addresses.len() > Alias::MAX_TARGETS {
        return Err(Error::TooMany { what: "targets of an alias (at least one)", limit: Alias::MAX_TARGETS });
    }
    let mut targets: Vec<Target> = Vec::with_capacity(addresses.len());
    for target in name_targets(tx, addresses).await? {
        if !targets.iter().any(|known| known.is_same(&target)) {
            targets.push(target);
        }
    }
    Ok(targets)
}

/// References to the addresses: to what has the name here, or to another server if the domain is not ours. One read.
pub(crate) async fn name_targets(tx: &Transaction, addresses: &[Address]) -> Result<Vec<Target>, Error> {
    let names: Vec<_> = addresses.iter().map(Address::key).collect();
    let mut domains: Vec<_> = addresses.iter().map(|address| address.domain().clone()).collect();
    domains.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    domains.dedup();
    let (rows, domain_rows) = load_names_and_domains(tx, &names, &domains).await?;
    let ours: Vec<_> = domains.iter().zip(domain_rows).filter_map(|(name, row)| row.map(|_| name)).collect();
    let found = addresses.iter().zip(&names).zip(rows).map(|((address, name), row)| match row {
        Some(row) => Ok(Target::new(name, &row)),
        None if ours.contains(&address.domain()) => Err(Error::NoSuchTarget(address.clone())),
        None => address.check_elsewhere().map(|()| Target::elsewhere(address)).map_err(Error::Name),
    });
    found.collect()
}
