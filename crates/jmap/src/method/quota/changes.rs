//! `Quota/changes` (RFC 9425 §4.3).

use serde_json::{Value, json};

use super::{Kind, Quotas};
use crate::context::{Context, object};
use crate::error::MethodError;
use crate::method::changes::max_changes;
use crate::wire::{Arguments, Object, id};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let account = context.account(&mut arguments)?;
    let since_text: String = arguments.required("sinceState")?;
    let max = max_changes(&mut arguments)?.unwrap_or(usize::MAX);
    arguments.end()?;
    let since = Quotas::parse(&since_text).ok_or(MethodError::CannotCalculateChanges)?;
    let now = Quotas::read(context, account).await?;
    let [mut created, mut updated, mut destroyed] = [const { Vec::new() }; 3];
    let mut only_used = true;
    let mut to = since;
    let changed: Vec<Kind> =
        Kind::ALL.into_iter().filter(|kind| since.level(*kind) != now.level(*kind)).collect();
    for kind in changed.iter().take(max) {
        to.set(*kind, now.level(*kind));
        match (since.level(*kind), now.level(*kind)) {
            (None, _) => created.push(kind.id()),
            (_, None) => destroyed.push(kind.id()),
            (Some(before), Some(after)) => {
                only_used &= before.limit == after.limit;
                updated.push(kind.id());
            }
        }
    }
    let properties = if only_used && !updated.is_empty() { json!(["used"]) } else { Value::Null };
    Ok(object([
        ("accountId", id::of_account(account).into()),
        ("oldState", since_text.into()),
        ("newState", to.to_string().into()),
        ("hasMoreChanges", (changed.len() > max).into()),
        ("created", created.into()),
        ("updated", updated.into()),
        ("destroyed", destroyed.into()),
        ("updatedProperties", properties),
    ]))
}
