//! `Quota/get` (RFC 9425 §4.2).

use serde_json::Value;

use super::{Kind, PROPERTIES, Quotas, property};
use crate::context::Context;
use crate::error::MethodError;
use crate::method::get::{Get, response};
use crate::wire::{Arguments, Object};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let get = Get::read(context, &mut arguments)?;
    arguments.end()?;
    let properties = get.names(&PROPERTIES)?;
    let quotas = Quotas::read(context, get.account).await?;
    let seen = quotas.seen(context);
    let wanted = |kind: Kind| get.ids.as_ref().is_none_or(|ids| ids.iter().any(|id| id == kind.id()));
    let mut list = Vec::new();
    for (kind, level) in seen.iter().filter(|(kind, _)| wanted(*kind)) {
        let shown = properties.iter().map(|name| ((*name).to_owned(), property(*kind, *level, name)));
        let shown = Value::Object(shown.collect());
        context.spend(&shown)?;
        list.push(shown);
    }
    let is_there = |id: &String| seen.iter().any(|(kind, _)| kind.id() == id);
    let not_found = get.ids.iter().flatten().filter(|id| !is_there(id)).cloned().collect();
    Ok(response(get.account, quotas.to_string(), list, not_found))
}
