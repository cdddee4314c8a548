//! What `/query` and `/queryChanges` of types have in common of which an account has few (RFC 8620 §5.5, §5.6): all of them are
//! read, filtered and sorted each time, and the change log says which of them may have moved since.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use mail::{Followed, Standing};
use serde_json::Value;
use types::{AccountId, ModSeq};

use super::collation::check_number;
use super::filter::Filter;
use super::query_changes::{Calculated, QueryChanges};
use super::window::Window;
use crate::context::{Context, object};
use crate::error::MethodError;
use crate::wire::{Arguments, Object, id, state};

/// What is asked of a type, without which part of the results.
pub(crate) trait Listing: Sized + Send + Sync {
    /// By what a thing is known.
    type Key: Copy + Ord + Send + Sync;

    /// Takes the arguments that `/query` and `/queryChanges` have in common.
    fn read(context: &Context<'_>, arguments: &mut Arguments) -> Result<Self, MethodError>;

    /// What matches, in its order, and a modseq that is not newer than that.
    fn results(
        &self,
        context: &Context<'_>,
        account: AccountId,
    ) -> impl Future<Output = Result<(ModSeq, Vec<Self::Key>), MethodError>> + Send;

    /// What has changed of all things, whether it matches or not.
    fn changes(
        &self,
        context: &Context<'_>,
        account: AccountId,
        since: Standing,
    ) -> impl Future<Output = Result<Followed<Self::Key>, MethodError>> + Send;

    /// A thing's id.
    fn id(key: Self::Key) -> String;
}

/// The filter and the sort of a listing: conditions `C` and comparators `K`.
pub(crate) struct Sieve<C, K> {
    filter: Option<Filter<C>>,
    sort: Vec<K>,
}

/// Reads the conditions of one filter, all of which must hold.
type Conditions<C> = dyn Fn(&mut Arguments) -> Result<Vec<Filter<C>>, MethodError>;

impl<C, K> Sieve<C, K> {
    /// Takes `filter` and `sort`.
    pub(crate) fn read(
        context: &Context<'_>,
        arguments: &mut Arguments,
        conditions: &Conditions<C>,
        comparator: impl Fn(Object) -> Result<K, MethodError>,
    ) -> Result<Self, MethodError> {
        let filter = arguments.take("filter");
        let filter = filter.map(|filter| Filter::read(filter, context.limits.filter, conditions));
        let sort: Vec<Object> = arguments.or("sort", Vec::new())?;
        check_number(sort.len())?;
        let sort = sort.into_iter().map(comparator).collect::<Result<_, _>>()?;
        Ok(Self { filter: filter.transpose()?, sort })
    }

    /// Whether something matches of which the conditions hold that `holds` says.
    pub(crate) fn matches(&self, holds: impl Fn(&C) -> bool) -> bool {
        let holds = |condition: &C| Some(holds(condition));
        self.filter.as_ref().is_none_or(|filter| filter.holds(&holds) == Some(true))
    }

    /// The order of two things, which `compare` says for one comparator.
    pub(crate) fn compare(&self, compare: impl Fn(&K) -> Ordering) -> Ordering {
        self.sort.iter().map(compare).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}

/// Answers a `/query`.
pub(crate) async fn query<L: Listing>(
    context: &Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let account = context.account(&mut arguments)?;
    let listing = L::read(context, &mut arguments)?;
    let window = Window::read(&mut arguments, context.limits.query)?;
    arguments.end()?;
    context.standing(account).await?;
    let (at, results) = listing.results(context, account).await?;
    let (position, found) = window.of(&results, |key, anchor| L::id(*key) == anchor)?;
    let ids: Vec<Value> = found.iter().map(|key| L::id(*key).into()).collect();
    let mut response = object([
        ("accountId", id::of_account(account).into()),
        ("queryState", state::to_text(at.into()).into()),
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

/// Answers a `/queryChanges`.
pub(crate) async fn query_changes<L: Listing>(
    context: &Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let account = context.account(&mut arguments)?;
    let listing = L::read(context, &mut arguments)?;
    let changes = QueryChanges::read(&mut arguments)?;
    arguments.end()?;
    let followed = listing.changes(context, account, changes.since).await?;
    let (_, results) = listing.results(context, account).await?;
    if followed.more || context.standing(account).await? != followed.to {
        // Something has changed meanwhile: what was read belongs to another state.
        return Err(MethodError::CannotCalculateChanges);
    }
    let lists = [followed.created, followed.updated, followed.destroyed];
    let affected: BTreeSet<L::Key> = lists.into_iter().flatten().collect();
    let added = results.iter().enumerate().filter(|(_, key)| affected.contains(key));
    let calculated = Calculated {
        to: followed.to,
        removed: affected.iter().copied().map(L::id).collect(),
        added: added.map(|(index, key)| (index, L::id(*key))).collect(),
        total: Some(results.len() as u64),
    };
    changes.response(account, calculated)
}
