//! `Mailbox/get` (RFC 8621 §2.1).

use std::collections::BTreeMap;

use mail::MailboxInfo;
use serde_json::{Value, json};
use types::MailboxId;

use crate::context::Context;
use crate::error::MethodError;
use crate::method::get::{Get, check_number, response};
use crate::wire::{Arguments, Object, id};

/// The properties of a mailbox.
pub(super) const PROPERTIES: [&str; 11] = [
    "id",
    "name",
    "parentId",
    "role",
    "sortOrder",
    "totalEmails",
    "unreadEmails",
    "totalThreads",
    "unreadThreads",
    "myRights",
    "isSubscribed",
];

/// Those that change with the emails in it.
pub(super) const COUNTERS: [&str; 4] = ["totalEmails", "unreadEmails", "totalThreads", "unreadThreads"];

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let get = Get::read(context, &mut arguments)?;
    arguments.end()?;
    let properties = get.names(&PROPERTIES)?;
    let state = context.state(get.account).await?;
    let tree = context.mail().mailboxes(get.account).await?;
    let (mut list, mut not_found) = (Vec::new(), Vec::new());
    match get.ids {
        None => {
            check_number(tree.len(), context.limits.objects_in_get)?;
            for info in &tree {
                list.push(show(context, info, &properties)?);
            }
        }
        Some(ids) => {
            let by_id: BTreeMap<MailboxId, &MailboxInfo> = tree.iter().map(|info| (info.id, info)).collect();
            for text in ids {
                match id::mailbox(&text).and_then(|mailbox| by_id.get(&mailbox)) {
                    Some(info) => list.push(show(context, info, &properties)?),
                    None => not_found.push(text),
                }
            }
        }
    }
    Ok(response(get.account, state, list, not_found))
}

fn show(context: &mut Context<'_>, info: &MailboxInfo, properties: &[&str]) -> Result<Value, MethodError> {
    let shown = properties.iter().map(|name| ((*name).to_owned(), property(info, name)));
    let shown = Value::Object(shown.collect());
    context.spend(&shown)?;
    Ok(shown)
}

pub(super) fn property(info: &MailboxInfo, name: &str) -> Value {
    match name {
        "id" => id::of_mailbox(info.id).into(),
        "name" => info.name.as_str().into(),
        "parentId" => info.parent.map(id::of_mailbox).into(),
        "role" => info.role.map(|role| role.as_str()).into(),
        "sortOrder" => info.sort_order.into(),
        "totalEmails" => info.total.into(),
        "unreadEmails" => info.unread.into(),
        "totalThreads" => info.threads.into(),
        "unreadThreads" => info.unread_threads.into(),
        "myRights" => rights(info),
        "isSubscribed" => info.subscribed.into(),
        _ => Value::Null,
    }
}

/// What the owner may do; the INBOX stays what and where it is.
fn rights(info: &MailboxInfo) -> Value {
    let movable = info.id != MailboxId::INBOX;
    json!({
        "mayReadItems": true,
        "mayAddItems": true,
        "mayRemoveItems": true,
        "maySetSeen": true,
        "maySetKeywords": true,
        "mayCreateChild": true,
        "mayRename": movable,
        "mayDelete": movable,
        "maySubmit": true,
    })
}
