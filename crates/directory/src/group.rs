//! Groups: one name that distributes to many.

use std::collections::HashSet;

use store::kv::Transaction;
use types::Timestamp;

use crate::account::{new_row, vacant};
use crate::alias::name_targets;
use crate::directory::Directory;
use crate::error::{Error, check_text};
use crate::name::{Address, DomainName, LocalPart, NameKey};
use crate::options::Options;
use crate::page::{Page, PageRequest, list};
use crate::resolve::{Expansion, Place, locate};
use crate::table::{GroupRow, MemberKey, MemberRow, Members, NameRow, Named, Names, Sequences};

/// A group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// Its name.
    pub address: Address,
    /// What it is for.
    pub description: Option<String>,
    /// How many members it has, those included that are gone.
    pub members: u32,
    /// Since when it is here.
    pub created: Timestamp,
}

/// A member of a group: an account, an alias or another group, or a name at another server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The name that was meant when the member was added.
    pub address: Address,
    /// False if what had the name is gone, whoever has it now: the member gets nothing.
    pub exists: bool,
    /// It is at another server.
    pub elsewhere: bool,
}

const DESCRIPTION: usize = 500;

impl Group {
    fn of(name: &NameKey, row: NameRow) -> Option<Self> {
        let Named::Group(GroupRow { description, members }) = row.named else { return None };
        let address = Address::new(LocalPart::from_row(&row.local), name.domain.clone());
        Some(Self { address, description, members, created: row.created })
    }
}

impl Directory {
    /// Creates a group with its first members, or nothing. The description has up to 500 octets.
    pub async fn create_group(
        &self,
        address: &Address,
        description: Option<&str>,
        members: &[Address],
    ) -> Result<Group, Error> {
        address.check_new()?;
        description.map_or(Ok(()), |text| check_text("a description", text, DESCRIPTION))?;
        let now = self.clock.now();
        self.kv
            .run(|tx| async move {
                let name = vacant(&tx, address).await?;
                let id = Sequences::next_name(&tx).await?;
                let group = GroupRow { description: description.map(str::to_owned), members: 0 };
                let mut row = new_row(id, address, now, Named::Group(group));
                take_in(&tx, &mut row, address, members, &self.options).await?;
                tx.save::<Names>(&name, &row)?;
                Group::of(&name, row).ok_or_else(|| Error::NoSuchGroup(address.clone()))
            })
            .await
    }

    /// A group, if it is here.
    pub async fn group(&self, address: &Address) -> Result<Option<Group>, Error> {
        let name = &address.key();
        let row = self.kv.run(|tx| async move { tx.load::<Names>(name).await }).await?;
        Ok(row.and_then(|row| Group::of(name, row)))
    }

    /// All groups, or those of one domain, in the order of their names.
    pub async fn groups(
        &self,
        domain: Option<&DomainName>,
        page: &PageRequest,
    ) -> Result<Page<Group>, Error> {
        list::<Names, _>(&self.kv, Names::range(domain), page, Group::of).await
    }

    /// The members of a group, in the order of their names. Three reads.
    pub async fn members(&self, address: &Address, page: &PageRequest) -> Result<Page<Member>, Error> {
        let id = self.kv.run(|tx| async move { Ok::<_, Error>(find(&tx, address).await?.1.id) }).await?;
        let target = |_: &MemberKey, row: MemberRow| Some(row.target);
        let Page { items, next } = list::<Members, _>(&self.kv, Members::range(id), page, target).await?;
        let targets = &items;
        let places = self.kv.run(|tx| async move { locate(&tx, targets).await }).await?;
        let members = items.iter().zip(places).map(|(target, place)| Member {
            address: target.address(),
            exists: !matches!(place, Place::Gone),
            elsewhere: matches!(place, Place::Elsewhere(_)),
        });
        Ok(Page { items: members.collect(), next })
    }

    /// Adds a member; false if it was one already. Refused if the member leads back to the group.
    pub async fn add_member(&self, address: &Address, member: &Address) -> Result<bool, Error> {
        Ok(self.add_members(address, std::slice::from_ref(member)).await? > 0)
    }

    /// Adds all of the members, or none of them; tells how many were none before. Refused if one leads back to the
    /// group.
    pub async fn add_members(&self, address: &Address, members: &[Address]) -> Result<usize, Error> {
        self.kv
            .run(|tx| async move {
                let (name, mut row) = find(&tx, address).await?;
                let added = take_in(&tx, &mut row, address, members, &self.options).await?;
                tx.save::<Names>(&name, &row)?;
                Ok(added)
            })
            .await
    }

    /// Removes a member, also one whose account is gone; false if it was none.
    pub async fn remove_member(&self, address: &Address, member: &Address) -> Result<bool, Error> {
        self.kv
            .run(|tx| async move {
                let (name, mut row) = find(&tx, address).await?;
                let key = MemberKey { group: row.id, name: member.key() };
                if tx.load::<Members>(&key).await?.is_none() {
                    return Ok(false);
                }
                if let Named::Group(group) = &mut row.named {
                    group.members = group.members.saturating_sub(1);
                }
                tx.remove::<Members>(&key)?;
                tx.save::<Names>(&name, &row)?;
                Ok(true)
            })
            .await
    }

    /// Removes a group; its name is free then.
    pub async fn delete_group(&self, address: &Address) -> Result<(), Error> {
        self.kv
            .run(|tx| async move {
                let (name, row) = find(&tx, address).await?;
                tx.clear_range(Members::range(row.id))?;
                Ok(tx.remove::<Names>(&name)?)
            })
            .await
    }
}

async fn find(tx: &Transaction, address: &Address) -> Result<(NameKey, NameRow), Error> {
    let name = address.key();
    match tx.load::<Names>(&name).await? {
        Some(row) if matches!(row.named, Named::Group(_)) => Ok((name, row)),
        _ => Err(Error::NoSuchGroup(address.clone())),
    }
}

/// Writes the rows of new members, and counts them in the group's row, which is for the caller to write.
async fn take_in(
    tx: &Transaction,
    row: &mut NameRow,
    address: &Address,
    members: &[Address],
    options: &Options,
) -> Result<usize, Error> {
    let id = row.id;
    let Named::Group(group) = &mut row.named else { return Err(Error::NoSuchGroup(address.clone())) };
    let mut added = HashSet::new();
    for (member, target) in members.iter().zip(name_targets(tx, members).await?) {
        let key = MemberKey { group: id, name: target.key() };
        let before = tx.load::<Members>(&key).await?;
        if before.as_ref().is_some_and(|before| before.target.id == target.id) || added.contains(&key.name) {
            continue;
        }
        // A row of somebody who had the name before is replaced, and was counted.
        if before.is_none() {
            let limit = options.group_members;
            if group.members as usize >= limit {
                return Err(Error::TooMany { what: "members of a group", limit });
            }
            group.members += 1;
        }
        let led = Expansion::of(tx, std::slice::from_ref(&target), options).await?;
        led.check_apart(id, address, member)?;
        added.insert(key.name.clone());
        tx.save::<Members>(&key, &MemberRow { target })?;
    }
    Ok(added.len())
}
