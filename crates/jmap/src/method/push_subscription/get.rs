//! `PushSubscription/get` (RFC 8620 §7.2.1)

use serde_json::Value;

use super::{PROPERTIES, show};
use crate::context::{Context, object};
use crate::error::MethodError;
use crate::method::get::{check_number, names, wanted_ids};
use crate::wire::arguments::Id;
use crate::wire::{Arguments, Object, id};

pub(crate) async fn run(context: &mut Context<'_>, mut arguments: Arguments) -> Result<Object, MethodError> {
    let ids: Option<Vec<Id>> = arguments.optional("ids")?;
    check_number(ids.as_ref().map_or(0, Vec::len), context.limits.objects_in_get)?;
    let ids = ids.map(|ids| wanted_ids(context, ids));
    let properties: Option<Vec<String>> = arguments.optional("properties")?;
    arguments.end()?;
    if properties.iter().flatten().any(|name| name == "url" || name == "keys") {
        return Err(MethodError::Forbidden("url and keys are told to nobody".into()));
    }
    let properties = names(properties.as_deref(), &PROPERTIES)?;
    let all = match &context.services.push {
        Some(push) => push.list(context.user.login()).await?,
        None => Vec::new(),
    };
    let mut list = Vec::new();
    let mut not_found = Vec::new();
    match ids {
        None => list.extend(all.iter().map(|subscription| Value::Object(show(subscription, &properties)))),
        Some(ids) => {
            for text in ids {
                let found = id::subscription(&text).and_then(|id| all.iter().find(|s| s.id == id));
                match found {
                    Some(subscription) => list.push(Value::Object(show(subscription, &properties))),
                    None => not_found.push(text),
                }
            }
        }
    }
    for shown in &list {
        context.spend(shown)?;
    }
    Ok(object([("list", Value::Array(list)), ("notFound", not_found.into())]))
}
