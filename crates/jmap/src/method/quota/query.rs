//! `Quota/query` (RFC 9425 §4.4). There are at most two of them.

use std::cmp::Ordering;

use mail::{Followed, QuotaKind, Standing};
use types::{AccountId, ModSeq};

use super::{Level, Quotas, TYPES, id_of, name_of};
use crate::context::Context;
use crate::error::MethodError;
use crate::method::collation::{self, Collation};
use crate::method::filter::Filter;
use crate::method::listing::{self, Listing, Sieve};
use crate::wire::{Arguments, Object};

/// What is asked, without which part of the results.
pub(super) struct Query(Sieve<Condition, Comparator>);

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
    arguments: Arguments,
) -> Result<Object, MethodError> {
    listing::query::<Query>(context, arguments).await
}

impl Listing for Query {
    type Key = QuotaKind;

    fn read(context: &Context<'_>, arguments: &mut Arguments) -> Result<Self, MethodError> {
        Sieve::read(context, arguments, &conditions, Comparator::read).map(Self)
    }

    async fn results(
        &self,
        context: &Context<'_>,
        account: AccountId,
    ) -> Result<(ModSeq, Vec<QuotaKind>), MethodError> {
        let quotas = Quotas::read(context, account).await?;
        let mut found = quotas.seen(context);
        found.retain(|level| self.0.matches(|condition| condition.holds(level.kind)));
        found.sort_by(|one, two| {
            self.0.compare(|comparator| comparator.compare(one, two)).then(one.kind.cmp(&two.kind))
        });
        Ok((quotas.at, found.into_iter().map(|level| level.kind).collect()))
    }

    async fn changes(
        &self,
        context: &Context<'_>,
        account: AccountId,
        since: Standing,
    ) -> Result<Followed<QuotaKind>, MethodError> {
        // Whoever looks finds what has become of the limits.
        Quotas::read(context, account).await?;
        Ok(context.mail().follow_quotas(account, since, context.limits.changes).await?.0)
    }

    fn id(kind: QuotaKind) -> String {
        id_of(kind).to_owned()
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
    fn holds(&self, kind: QuotaKind) -> bool {
        match self {
            Self::Name(text) => name_of(kind).contains(text.as_str()),
            Self::Scope(scope) => scope == "account",
            Self::ResourceType(name) => name == id_of(kind),
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
        let (ascending, collation) = (arguments.or("isAscending", true)?, collation::read(&mut arguments)?);
        arguments.end()?;
        Ok(Self { by_name, ascending, collation })
    }

    fn compare(&self, one: &Level, two: &Level) -> Ordering {
        let key = |level: &Level| self.collation.key(name_of(level.kind));
        let order = if self.by_name { key(one).cmp(&key(two)) } else { one.used.cmp(&two.used) };
        if self.ascending { order } else { order.reverse() }
    }
}
