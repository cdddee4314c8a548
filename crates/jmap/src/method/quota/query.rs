//! `Quota/query` (RFC 9425 §4.4). There are at most two of them.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Kind, Level, Quotas, TYPES};
use crate::context::{Context, object};
use crate::error::MethodError;
use crate::method::collation::Collation;
use crate::method::filter::Filter;
use crate::method::window::Window;
use crate::wire::{Arguments, Object, id};

/// What is asked, without which part of the results.
pub(super) struct Query {
    filter: Option<Filter<Condition>>,
    sort: Vec<Comparator>,
}

#[derive(Clone, Debug)]
enum Condition {
    Name(String),
    Scope(String),
    ResourceType(String),
    Type(String),
}

struct Comparator {
    by_name: bool,
    ascending: bool,
    collation: Collation,
}

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let account = context.account(&mut arguments)?;
    let query = Query::read(context, &mut arguments)?;
    let window = Window::read(&mut arguments, context.limits.query)?;
    arguments.end()?;
    let quotas = Quotas::read(context, account).await?;
    let results = query.results(context, quotas);
    let (position, found) = window.of(&results, |kind, anchor| kind.id() == anchor)?;
    let ids: Vec<Value> = found.iter().map(|kind| kind.id().into()).collect();
    let mut response = object([
        ("accountId", id::of_account(account).into()),
        ("queryState", quotas.to_string().into()),
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
    /// Takes the arguments that `Quota/query` and `Quota/queryChanges` have in common.
    pub(super) fn read(context: &Context<'_>, arguments: &mut Arguments) -> Result<Self, MethodError> {
        let filter = arguments.take("filter");
        let filter = filter.map(|filter| Filter::read(filter, context.limits.filter, &conditions));
        let sort: Vec<Object> = arguments.or("sort", Vec::new())?;
        let sort = sort.into_iter().map(Comparator::read).collect::<Result<_, _>>()?;
        Ok(Self { filter: filter.transpose()?, sort })
    }

    /// Those that match, in their order.
    pub(super) fn results(&self, context: &Context<'_>, quotas: Quotas) -> Vec<Kind> {
        let matches = |(kind, _): &(Kind, Level)| {
            let holds = |condition: &Condition| Some(condition.holds(*kind));
            self.filter.as_ref().is_none_or(|filter| filter.holds(&holds) == Some(true))
        };
        let mut found: Vec<(Kind, Level)> = quotas.seen(context).into_iter().filter(matches).collect();
        found.sort_by(|one, two| {
            let orders = self.sort.iter().map(|comparator| comparator.compare(*one, *two));
            orders.fold(Ordering::Equal, Ordering::then).then(one.0.cmp(&two.0))
        });
        found.into_iter().map(|(kind, _)| kind).collect()
    }
}

fn conditions(arguments: &mut Arguments) -> Result<Vec<Filter<Condition>>, MethodError> {
    let mut conditions = Vec::new();
    conditions.extend(arguments.optional("name")?.map(Condition::Name));
    conditions.extend(arguments.optional("scope")?.map(Condition::Scope));
    conditions.extend(arguments.optional("resourceType")?.map(Condition::ResourceType));
    conditions.extend(arguments.optional("type")?.map(Condition::Type));
    Ok(conditions.into_iter().map(Filter::Is).collect())
}

impl Condition {
    fn holds(&self, kind: Kind) -> bool {
        match self {
            Self::Name(text) => kind.name().contains(text.as_str()),
            Self::Scope(scope) => scope == "account",
            Self::ResourceType(name) => name == kind.id(),
            Self::Type(name) => TYPES.contains(&name.as_str()),
        }
    }
}

impl Comparator {
    fn read(members: Object) -> Result<Self, MethodError> {
        let mut arguments = Arguments::new(members);
        let property: String = arguments.required("property")?;
        let by_name = match property.as_str() {
            "name" => true,
            "used" => false,
            _ => {
                return Err(MethodError::UnsupportedSort(format!("quotas cannot be sorted by {property:?}")));
            }
        };
        let (ascending, collation) = (arguments.or("isAscending", true)?, Collation::read(&mut arguments)?);
        arguments.end()?;
        Ok(Self { by_name, ascending, collation })
    }

    fn compare(&self, one: (Kind, Level), two: (Kind, Level)) -> Ordering {
        let key = |kind: Kind| self.collation.key(kind.name());
        let order = if self.by_name { key(one.0).cmp(&key(two.0)) } else { one.1.used.cmp(&two.1.used) };
        if self.ascending { order } else { order.reverse() }
    }
}
