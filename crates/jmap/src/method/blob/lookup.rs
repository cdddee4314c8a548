//! `Blob/lookup` (RFC 9404 §4.3): what refers to a blob.
//!
//! An id says where a blob's octets are, so this needs no index: the message of an email, and whatever lies in it, belongs
//! to that email, its thread and its mailboxes, and nothing else names it by that id. An upload belongs to nothing: the
//! email that is made of it has blobs of its own.

use serde_json::{Value, json};
use types::AccountId;

use crate::context::{Context, Unread, object};
use crate::error::MethodError;
use crate::method::get::check_number;
use crate::wire::arguments::Id;
use crate::wire::id::{self, BlobId, BlobRoot};
use crate::wire::{Arguments, Capability, Object};

/// The types that blobs are looked up in.
pub(crate) const TYPES: [&str; 3] = ["Email", "Thread", "Mailbox"];

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let account = context.account(&mut arguments)?;
    let types: Vec<String> = arguments.required("typeNames")?;
    let ids: Vec<Id> = arguments.required("ids")?;
    arguments.end()?;
    check_number(ids.len(), context.limits.objects_in_get)?;
    let known = |name: &String| {
        let found = TYPES.iter().find(|known| *known == name);
        let found = found.filter(|_| context.using.contains(Capability::Mail));
        found.copied().ok_or_else(|| MethodError::UnknownDataType(name.clone()))
    };
    let types: Vec<&str> = types.iter().map(known).collect::<Result<_, _>>()?;
    let (mut list, mut not_found) = (Vec::new(), Vec::new());
    for Id(text) in ids {
        let blob = context.real_id(&text).and_then(BlobId::parse);
        let found = match &blob {
            Some(blob) => found(context, account, blob).await?,
            None => None,
        };
        match found {
            None => not_found.push(text),
            Some(mut matched) => {
                matched.retain(|name, _| types.contains(&name.as_str()));
                let name = blob.map_or(text, |blob| blob.to_string());
                let shown = json!({"id": name, "matchedIds": matched});
                context.spend(&shown)?;
                list.push(shown);
            }
        }
    }
    Ok(object([
        ("accountId", id::of_account(account).into()),
        ("list", Value::Array(list)),
        ("notFound", not_found.into()),
    ]))
}

/// What refers to a blob, by types; none if there is no such blob.
async fn found(
    context: &mut Context<'_>,
    account: AccountId,
    blob: &BlobId,
) -> Result<Option<Object>, MethodError> {
    let mail = context.mail();
    let email = match blob.root {
        BlobRoot::Email(email) => mail.email(account, &[email]).await?.into_iter().flatten().next(),
        BlobRoot::Upload(hash) if mail.uploaded(account, hash).await?.is_none() => return Ok(None),
        BlobRoot::Upload(_) => None,
    };
    if !blob.parts.is_empty() {
        match context.read_blob(account, blob, 0..0).await? {
            Ok(_) => {}
            Err(Unread::NotFound) => return Ok(None),
            Err(Unread::UsedUp) => return Err(context.too_much()),
        }
    }
    Ok(match (blob.root, email) {
        (BlobRoot::Email(_), None) => None,
        (_, None) => Some(object(TYPES.map(|name| (name, json!([]))))),
        (_, Some(email)) => {
            let mailboxes: Vec<String> =
                email.mailboxes.iter().map(|(mailbox, _)| id::of_mailbox(*mailbox)).collect();
            Some(object([
                ("Email", json!([id::of_email(email.id, email.thread)])),
                ("Thread", json!([id::of_thread(email.thread)])),
                ("Mailbox", mailboxes.into()),
            ]))
        }
    })
}
