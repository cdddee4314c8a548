//! What all `/get` methods have in common (RFC 8620 §5.1).

use std::collections::BTreeSet;

use serde_json::Value;
use types::AccountId;

use crate::context::{Context, object};
use crate::error::MethodError;
use crate::wire::arguments::Id;
use crate::wire::{Arguments, Object, id};

/// The arguments of a `/get`.
pub(crate) struct Get {
    pub(crate) account: AccountId,
    /// Each once, in their order; none for all.
    pub(crate) ids: Option<Vec<String>>,
    /// By their names.
    pub(crate) properties: Option<Vec<String>>,
}

impl Get {
    /// Takes them.
    pub(crate) fn read(context: &Context<'_>, arguments: &mut Arguments) -> Result<Self, MethodError> {
        let account = context.account(arguments)?;
        let ids: Option<Vec<Id>> = arguments.optional("ids")?;
        if let Some(ids) = &ids {
            check_number(ids.len(), context.limits.objects_in_get)?;
        }
        let ids = ids.map(|ids| wanted_ids(context, ids));
        Ok(Self { account, ids, properties: arguments.optional("properties")? })
    }

    /// The properties that the client has named among these, or all of them; `id` is always there.
    pub(crate) fn names(&self, known: &[&'static str]) -> Result<Vec<&'static str>, MethodError> {
        names(self.properties.as_deref(), known)
    }
}

/// Each id once, in their order.
pub(crate) fn wanted_ids(context: &Context<'_>, ids: Vec<Id>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    // What was created in this request is known by its name, too.
    let real = |Id(id): Id| context.real_id(&id).map_or_else(|| id.clone(), str::to_owned);
    ids.into_iter().map(real).filter(|id| seen.insert(id.clone())).collect()
}

/// The properties of these names among those that there are, or all of them; `id` is always there.
pub(crate) fn names(
    asked: Option<&[String]>,
    known: &[&'static str],
) -> Result<Vec<&'static str>, MethodError> {
    let Some(asked) = asked else { return Ok(known.to_vec()) };
    let mut wanted = vec!["id"];
    for name in asked {
        let found = known.iter().find(|known| *known == name);
        let unknown =
            || MethodError::argument("properties", format_args!("names {name:?}, which there is not"));
        let found = found.ok_or_else(unknown)?;
        if !wanted.contains(found) {
            wanted.push(found);
        }
    }
    Ok(wanted)
}

/// Refuses to get more objects than one call may ask for.
pub(crate) fn check_number(asked: usize, limit: usize) -> Result<(), MethodError> {
    if asked > limit {
        return Err(MethodError::RequestTooLarge(format!(
            "{asked} objects are asked for; maxObjectsInGet is {limit}"
        )));
    }
    Ok(())
}

/// The response.
pub(crate) fn response(
    account: AccountId,
    state: String,
    list: Vec<Value>,
    not_found: Vec<String>,
) -> Object {
    object([
        ("accountId", id::of_account(account).into()),
        ("state", state.into()),
        ("list", Value::Array(list)),
        ("notFound", not_found.into()),
    ])
}
