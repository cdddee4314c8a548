//! `Mailbox/query` (RFC 8621 §2.3). An account has few mailboxes: they are read, filtered and sorted each time.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use mail::search::{Folded, Needle};
use mail::{Followed, MailboxInfo, Standing};
use types::{AccountId, MailboxId, ModSeq};

use crate::context::Context;
use crate::error::MethodError;
use crate::method::collation::{self, Collation};
use crate::method::filter::Filter;
use crate::method::listing::{self, Listing, Sieve};
use crate::wire::arguments::Id;
use crate::wire::{Arguments, Object, id};

/// What is asked, without which part of the results.
pub(super) struct Query {
    sieve: Sieve<Condition, Comparator>,
    /// Children stand behind their parents.
    sort_as_tree: bool,
    /// What has a parent that does not match does not match.
    filter_as_tree: bool,
}

#[derive(Clone, Debug)]
enum Condition {
    Parent(Option<MailboxId>),
    /// A parent that cannot be.
    Nowhere,
    Name(Box<Needle>),
    Role(Option<String>),
    HasAnyRole(bool),
    IsSubscribed(bool),
}

struct Comparator {
    key: SortKey,
    ascending: bool,
    collation: Collation,
}

enum SortKey {
    Name,
    SortOrder,
}

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    arguments: Arguments,
) -> Result<Object, MethodError> {
    listing::query::<Query>(context, arguments).await
}

impl Listing for Query {
    type Key = MailboxId;

    fn read(context: &Context<'_>, arguments: &mut Arguments) -> Result<Self, MethodError> {
        Ok(Self {
            sieve: Sieve::read(context, arguments, &conditions, Comparator::read)?,
            sort_as_tree: arguments.or("sortAsTree", false)?,
            filter_as_tree: arguments.or("filterAsTree", false)?,
        })
    }

    async fn results(
        &self,
        context: &Context<'_>,
        account: AccountId,
    ) -> Result<(ModSeq, Vec<MailboxId>), MethodError> {
        let at = context.standing(account).await?.modseq;
        let tree = context.mail().mailboxes(account).await?;
        let matches = |info: &&MailboxInfo| self.sieve.matches(|condition| condition.holds(info));
        let mut matching: BTreeSet<MailboxId> = tree.iter().filter(matches).map(|info| info.id).collect();
        if self.filter_as_tree {
            // Parents come before their children.
            for info in &tree {
                if info.parent.is_some_and(|parent| !matching.contains(&parent)) {
                    matching.remove(&info.id);
                }
            }
        }
        let mut sorted: Vec<&MailboxInfo> = tree.iter().collect();
        sorted.sort_by(|one, two| {
            self.sieve.compare(|comparator| comparator.compare(one, two)).then(one.id.cmp(&two.id))
        });
        let mut ordered =
            if self.sort_as_tree { as_tree(&sorted) } else { sorted.iter().map(|i| i.id).collect() };
        ordered.retain(|mailbox| matching.contains(mailbox));
        Ok((at, ordered))
    }

    async fn changes(
        &self,
        context: &Context<'_>,
        account: AccountId,
        since: Standing,
    ) -> Result<Followed<MailboxId>, MethodError> {
        let most = context.limits.changes;
        let (followed, counters_only) = context.mail().follow_mailboxes(account, since, most).await?;
        // Where children stand and whether they match depends on their parents, then.
        let trees = self.sort_as_tree || self.filter_as_tree;
        if trees && !followed.updated.is_empty() && !counters_only {
            return Err(MethodError::CannotCalculateChanges);
        }
        Ok(followed)
    }

    fn id(mailbox: MailboxId) -> String {
        id::of_mailbox(mailbox)
    }
}

/// Each mailbox before those below it, siblings in the order given (RFC 8621 §2.3 `sortAsTree`).
fn as_tree(sorted: &[&MailboxInfo]) -> Vec<MailboxId> {
    let mut children: BTreeMap<Option<MailboxId>, Vec<MailboxId>> = BTreeMap::new();
    for info in sorted {
        children.entry(info.parent).or_default().push(info.id);
    }
    let mut ordered = Vec::with_capacity(sorted.len());
    let mut rest: Vec<MailboxId> = children.remove(&None).unwrap_or_default().into_iter().rev().collect();
    while let Some(mailbox) = rest.pop() {
        ordered.push(mailbox);
        rest.extend(children.remove(&Some(mailbox)).unwrap_or_default().into_iter().rev());
    }
    ordered
}

fn conditions(arguments: &mut Arguments) -> Result<Vec<Filter<Condition>>, MethodError> {
    let mut conditions = Vec::new();
    // `null` means something here: no parent, no role.
    if let Some(parent) = arguments.nullable::<Id>("parentId")? {
        conditions.push(match parent {
            None => Condition::Parent(None),
            Some(Id(text)) => {
                id::mailbox(&text).map_or(Condition::Nowhere, |parent| Condition::Parent(Some(parent)))
            }
        });
    }
    if let Some(role) = arguments.nullable::<String>("role")? {
        conditions.push(Condition::Role(role));
    }
    let name: Option<String> = arguments.optional("name")?;
    conditions.extend(name.map(|name| Condition::Name(Box::new(Needle::new(&name)))));
    conditions.extend(arguments.optional("hasAnyRole")?.map(Condition::HasAnyRole));
    conditions.extend(arguments.optional("isSubscribed")?.map(Condition::IsSubscribed));
    Ok(conditions.into_iter().map(Filter::Is).collect())
}

impl Condition {
    fn holds(&self, info: &MailboxInfo) -> bool {
        match self {
            Self::Parent(parent) => info.parent == *parent,
            Self::Nowhere => false,
            Self::Name(needle) => {
                let mut name = Folded::default();
                name.push(info.name.as_str());
                needle.is_in(&name)
            }
            Self::Role(role) => info.role.map(|role| role.as_str()) == role.as_deref(),
            Self::HasAnyRole(has) => info.role.is_some() == *has,
            Self::IsSubscribed(is) => info.subscribed == *is,
        }
    }
}

impl Comparator {
    fn read(members: Object) -> Result<Self, MethodError> {
        let mut arguments = Arguments::new(members);
        let property: String = arguments.required("property")?;
        let key = match property.as_str() {
            "name" => SortKey::Name,
            "sortOrder" => SortKey::SortOrder,
            _ => {
                return Err(MethodError::UnsupportedSort(format!(
                    "mailboxes cannot be sorted by {property:?}"
                )));
            }
        };
        // A comparator may have more properties than it needs (RFC 8620 §5.5), and clients send such.
        let (ascending, collation) = (arguments.or("isAscending", true)?, collation::read(&mut arguments)?);
        Ok(Self { key, ascending, collation })
    }

    fn compare(&self, one: &MailboxInfo, two: &MailboxInfo) -> Ordering {
        let order = match self.key {
            SortKey::Name => {
                self.collation.key(one.name.as_str()).cmp(&self.collation.key(two.name.as_str()))
            }
            SortKey::SortOrder => one.sort_order.cmp(&two.sort_order),
        };
        if self.ascending { order } else { order.reverse() }
    }
}
