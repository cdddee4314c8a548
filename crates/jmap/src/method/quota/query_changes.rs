//! `Quota/queryChanges` (RFC 9425 §4.5): what has changed may have moved among the results, and is told as removed and added.

use serde_json::{Value, json};

use super::query::Query;
use super::{Kind, Quotas};
use crate::context::{Context, object};
use crate::error::MethodError;
use crate::method::changes::max_changes;
use crate::wire::arguments::Id;
use crate::wire::{Arguments, Object, id};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let account = context.account(&mut arguments)?;
    let query = Query::read(context, &mut arguments)?;
    let since_text: String = arguments.required("sinceQueryState")?;
    let max = max_changes(&mut arguments)?;
    let _up_to: Option<Id> = arguments.optional("upToId")?;
    let total = arguments.or("calculateTotal", false)?;
    arguments.end()?;
    let since = Quotas::parse(&since_text).ok_or(MethodError::CannotCalculateChanges)?;
    let now = Quotas::read(context, account).await?;
    let has_changed = |kind: &Kind| since.level(*kind) != now.level(*kind);
    let results = query.results(context, now);
    let removed: Vec<&str> =
        Kind::ALL.iter().filter(|kind| has_changed(kind)).map(|kind| kind.id()).collect();
    let added = results.iter().enumerate().filter(|(_, kind)| has_changed(kind));
    let added: Vec<Value> = added.map(|(index, kind)| json!({"id": kind.id(), "index": index})).collect();
    if max.is_some_and(|max| removed.len() + added.len() > max) {
        return Err(MethodError::TooManyChanges);
    }
    let mut response = object([
        ("accountId", id::of_account(account).into()),
        ("oldQueryState", since_text.into()),
        ("newQueryState", now.to_string().into()),
        ("removed", removed.into()),
        ("added", added.into()),
    ]);
    if total {
        response.insert("total".to_owned(), results.len().into());
    }
    Ok(response)
}
