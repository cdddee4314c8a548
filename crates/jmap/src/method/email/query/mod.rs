//! `Email/query` (RFC 8621 §4.4): its filter and sort in the words of a search, and the window into what that finds.
//! [`mail::search`] decides how it is found, and looks no further than the window goes.

mod filter;
mod sort;
mod terms;

use mail::search::{Filter, Html, Query, Results, Scope};
use serde_json::Value;
use types::AccountId;

pub(crate) use self::sort::SORTS;
use crate::context::{Context, object};
use crate::error::MethodError;
use crate::method::window::{Needs, Window};
use crate::wire::{Arguments, Object, id, state};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let account = context.account(&mut arguments)?;
    let query = read(context, &mut arguments)?;
    let window = Window::read(&mut arguments, context.limits.query)?;
    arguments.end()?;
    let standing = context.standing(account).await?;
    let all = window.total || window.needs() == Needs::All;
    let mut results = search(context, account, Query { all, ..query });
    let anchor = match window.needs() {
        Needs::First(count) => {
            results.reach(count).await?;
            None
        }
        Needs::All => {
            results.reach(usize::MAX).await?;
            None
        }
        Needs::UpTo(anchor) => match id::email(anchor) {
            Some(named) => results.find(named.email, named.thread).await?,
            None => None,
        },
    };
    let position = window.first(results.known().len(), anchor)?;
    results.reach(position.saturating_add(window.limit())).await?;
    let known = results.known();
    let end = position.saturating_add(window.limit()).min(known.len());
    let found = known.get(position..end).unwrap_or_default();
    let ids: Vec<Value> = found.iter().map(|hit| id::of_email(hit.email, hit.thread).into()).collect();
    let mut response = object([
        ("accountId", id::of_account(account).into()),
        ("queryState", state::to_text(standing).into()),
        ("canCalculateChanges", true.into()),
        ("position", position.min(known.len()).into()),
        ("ids", ids.into()),
    ]);
    if window.total {
        response.insert("total".to_owned(), results.total().await?.into());
    }
    if let Some(limit) = window.told_limit() {
        response.insert("limit".to_owned(), limit.into());
    }
    Ok(response)
}

/// Takes the arguments that `Email/query` and `Email/queryChanges` have in common.
pub(crate) fn read(context: &Context<'_>, arguments: &mut Arguments) -> Result<Query, MethodError> {
    let filter = read_filter(context, arguments)?.unwrap_or(Filter::ALL);
    let sort = sort::read(arguments.or("sort", Vec::new())?)?;
    let collapse = arguments.or("collapseThreads", false)?;
    Ok(Query { filter, sort, collapse, html: Html::Text, modseqs: false, all: false })
}

/// Takes `filter`.
pub(crate) fn read_filter(
    context: &Context<'_>,
    arguments: &mut Arguments,
) -> Result<Option<Filter>, MethodError> {
    arguments.take("filter").map(|value| filter::read(value, context.limits.filter)).transpose()
}

/// The results of a query.
pub(crate) fn search(context: &Context<'_>, account: AccountId, query: Query) -> Results {
    context.mail().search(account, Scope::Account, query)
}
