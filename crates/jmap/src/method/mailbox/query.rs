//! `Mailbox/query` (RFC 8621 §2.3). An account has few mailboxes: they are read, filtered and sorted each time.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use mail::MailboxInfo;
use mail::search::{Folded, Needle};
use serde_json::Value;
use types::{AccountId, MailboxId};

use crate::context::{Context, object};
use crate::error::MethodError;
use crate::method::collation::Collation;
use crate::method::filter::Filter;
use crate::method::window::Window;
use crate::wire::arguments::Id;
use crate::wire::{Arguments, Object, id};

/// What is asked, without which part of the results.
pub(super) struct Query {
    filter: Option<Filter<Condition>>,
    sort: Vec<Comparator>,
    /// Children stand behind their parents.
    pub(super) sort_as_tree: bool,
    /// What has a parent that does not match does not match.
    pub(super) filter_as_tree: bool,
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
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let account = context.account(&mut arguments)?;
    let query = Query::read(context, &mut arguments)?;
    let window = Window::read(&mut arguments, context.limits.query)?;
    arguments.end()?;
    let state = context.state(account).await?;
    let results = query.results(context, account).await?;
    let (position, found) = window.of(&results, |mailbox, anchor| id::mailbox(anchor) == Some(*mailbox))?;
    let ids: Vec<Value> = found.iter().map(|mailbox| id::of_mailbox(*mailbox).into()).collect();
    let mut response = object([
        ("accountId", id::of_account(account).into()),
        ("queryState", state.into()),
        ("canCalculateChanges", true.into()),
        ("position", position.min(results.len()).into()),
        ("ids", ids.into()),
    ]);
    if window.total {
        response.insert("total".to_owned(), results.len().into());
    }
    if let Some(limit) = window.told_limit() {
        response.insert("limit".to_owned(), limit.into());
    }
    Ok(response)
}

impl Query {
    /// Takes the arguments that `Mailbox/query` and `Mailbox/queryChanges` have in common.
    pub(super) fn read(context: &Context<'_>, arguments: &mut Arguments) -> Result<Self, MethodError> {
        let filter = arguments.take("filter");
        let filter = filter.map(|filter| Filter::read(filter, context.limits.filter, &conditions));
        let sort: Vec<Object> = arguments.or("sort", Vec::new())?;
        Ok(Self {
            filter: filter.transpose()?,
            sort: sort.into_iter().map(Comparator::read).collect::<Result<_, _>>()?,
            sort_as_tree: arguments.or("sortAsTree", false)?,
            filter_as_tree: arguments.or("filterAsTree", false)?,
        })
    }

    /// The mailboxes that match, in their order.
    pub(super) async fn results(
        &self,
        context: &Context<'_>,
        account: AccountId,
    ) -> Result<Vec<MailboxId>, MethodError> {
        let tree = context.mail().mailboxes(account).await?;
        let mut matching: BTreeSet<MailboxId> =
            tree.iter().filter(|info| self.matches(info)).map(|info| info.id).collect();
        if self.filter_as_tree {
            // Parents come before their children.
            for info in &tree {
                if info.parent.is_some_and(|parent| !matching.contains(&parent)) {
                    matching.remove(&info.id);
                }
            }
        }
        let mut sorted: Vec<&MailboxInfo> = tree.iter().collect();
        sorted.sort_by(|one, two| self.compare(one, two));
        let ordered =
            if self.sort_as_tree { as_tree(&sorted) } else { sorted.iter().map(|i| i.id).collect() };
        Ok(ordered.into_iter().filter(|mailbox| matching.contains(mailbox)).collect())
    }

    fn matches(&self, info: &MailboxInfo) -> bool {
        let holds = |condition: &Condition| Some(condition.holds(info));
        self.filter.as_ref().is_none_or(|filter| filter.holds(&holds) == Some(true))
    }

    fn compare(&self, one: &MailboxInfo, two: &MailboxInfo) -> Ordering {
        let orders = self.sort.iter().map(|comparator| comparator.compare(one, two));
        orders.fold(Ordering::Equal, Ordering::then).then(one.id.cmp(&two.id))
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
        let (ascending, collation) = (arguments.or("isAscending", true)?, Collation::read(&mut arguments)?);
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
