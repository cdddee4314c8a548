//! `Quota/get` (RFC 9425 §4.2).

use serde_json::Value;

use super::{Level, PROPERTIES, Quotas, id_of, property};
use crate::context::Context;
use crate::error::MethodError;
use crate::method::get::{Get, response};
use crate::wire::{Arguments, Object, state};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let get = Get::read(context, &mut arguments)?;
    arguments.end()?;
    let properties = get.names(&PROPERTIES)?;
    let quotas = Quotas::read(context, get.account).await?;
    let seen = quotas.seen(context);
    let wanted =
        |level: &&Level| get.ids.as_ref().is_none_or(|ids| ids.iter().any(|id| id == id_of(level.kind)));
    let mut list = Vec::new();
    for level in seen.iter().filter(wanted) {
        let shown = properties.iter().map(|name| ((*name).to_owned(), property(level, name)));
        let shown = Value::Object(shown.collect());
        context.spend(&shown)?;
        list.push(shown);
    }
    let is_there = |id: &String| seen.iter().any(|level| id_of(level.kind) == id);
    let not_found = get.ids.iter().flatten().filter(|id| !is_there(id)).cloned().collect();
    Ok(response(get.account, state::to_text(quotas.at.into()), list, not_found))
}
