//! `Identity/get` (RFC 8621 §6.1).

use mail::{Identity, Person};
use serde_json::{Value, json};
use types::ObjectId;

use super::own::Identities;
use crate::context::Context;
use crate::error::MethodError;
use crate::method::get::{Get, check_number, response};
use crate::wire::{Arguments, Object, id, state};

/// The properties of an identity.
pub(super) const PROPERTIES: [&str; 8] =
    ["id", "name", "email", "replyTo", "bcc", "textSignature", "htmlSignature", "mayDelete"];

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let get = Get::read(context, &mut arguments)?;
    arguments.end()?;
    let properties = get.names(&PROPERTIES)?;
    let identities = Identities::of(context, get.account).await?;
    let (mut wanted, mut not_found) = (Vec::new(), Vec::new());
    match get.ids {
        None => wanted.extend(&identities.list),
        Some(ids) => {
            for text in ids {
                match id::identity(&text).and_then(|id| identities.list.iter().find(|(i, _)| *i == id)) {
                    Some(found) => wanted.push(found),
                    None => not_found.push(text),
                }
            }
        }
    }
    check_number(wanted.len(), context.limits.objects_in_get)?;
    let mut list = Vec::with_capacity(wanted.len());
    for (id, identity) in wanted {
        let may_delete = identities.may_delete(identity);
        let shown: Object = properties
            .iter()
            .map(|name| ((*name).to_owned(), property(*id, identity, may_delete, name)))
            .collect();
        let shown = Value::Object(shown);
        context.spend(&shown)?;
        list.push(shown);
    }
    Ok(response(get.account, state::to_text(identities.at.into()), list, not_found))
}

/// The value of a property.
pub(super) fn property(id: ObjectId, identity: &Identity, may_delete: bool, name: &str) -> Value {
    let people = |people: &Option<Vec<Person>>| match people {
        None => Value::Null,
        Some(people) => {
            people.iter().map(|one| json!({"name": one.name, "email": one.email})).collect::<Value>()
        }
    };
    match name {
        "id" => id::of_identity(id).into(),
        "name" => identity.name.as_str().into(),
        "email" => identity.email.as_str().into(),
        "replyTo" => people(&identity.reply_to),
        "bcc" => people(&identity.bcc),
        "textSignature" => identity.text_signature.as_str().into(),
        "htmlSignature" => identity.html_signature.as_str().into(),
        "mayDelete" => may_delete.into(),
        _ => Value::Null,
    }
}
