//! `MDN/parse` (RFC 9007 §2.2): what others tell of messages.

use mail::Mail;
use mail::ingest::{self, Notification};
use serde_json::{Value, json};
use types::AccountId;

use super::account;
use crate::blob;
use crate::context::{Context, object};
use crate::error::{MethodError, TransferError};
use crate::method::get::check_number;
use crate::wire::arguments::Id;
use crate::wire::id::{self, BlobId};
use crate::wire::{Arguments, Object};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let account = account(context, &mut arguments)?;
    let ids: Vec<Id> = arguments.required("blobIds")?;
    check_number(ids.len(), context.limits.objects_in_get)?;
    arguments.end()?;
    let mail = context.mail().clone();
    let (mut parsed, mut not_parsable, mut not_found) = (Object::new(), Vec::new(), Vec::new());
    for Id(text) in ids {
        let Some(blob) = BlobId::parse(&text) else {
            not_found.push(text);
            continue;
        };
        let raw = match blob::read(&mail, account, &blob).await {
            Ok(raw) => raw,
            Err(TransferError::NotFound) => {
                not_found.push(text);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let metadata = ingest::metadata(&raw, &ingest::Limits::default());
        match ingest::notification(&raw, &metadata.structure) {
            Some(notification) => {
                let shown = shown(&mail, account, notification, metadata.subject()).await?;
                context.spend(&shown)?;
                parsed.insert(text, shown);
            }
            None => not_parsable.push(text),
        }
    }
    let null_if_none = |list: Vec<String>| if list.is_empty() { Value::Null } else { list.into() };
    Ok(object([
        ("accountId", id::of_account(account).into()),
        ("parsed", if parsed.is_empty() { Value::Null } else { Value::Object(parsed) }),
        ("notParsable", null_if_none(not_parsable)),
        ("notFound", null_if_none(not_found)),
    ]))
}

/// An MDN object.
async fn shown(
    mail: &Mail,
    account: AccountId,
    notification: Notification,
    subject: Option<String>,
) -> Result<Value, MethodError> {
    let Notification { disposition, errors, extension, .. } = notification;
    let id = notification.original_message_id;
    let extension: Object = extension.into_iter().map(|(name, value)| (name, value.into())).collect();
    Ok(json!({
        "forEmailId": about(mail, account, id.as_deref()).await?,
        "subject": subject,
        "textBody": notification.text,
        "includeOriginalMessage": notification.has_original,
        "reportingUA": notification.reporting_ua,
        "disposition": {
            "actionMode": disposition.action.as_str(),
            "sendingMode": disposition.sending.as_str(),
            "type": disposition.kind.as_str(),
        },
        "mdnGateway": notification.gateway,
        "originalRecipient": notification.original_recipient,
        "finalRecipient": notification.final_recipient,
        "originalMessageId": id.map(|id| format!("<{id}>")),
        "error": if errors.is_empty() { Value::Null } else { errors.into() },
        "extensionFields": if extension.is_empty() { Value::Null } else { Value::Object(extension) },
    }))
}

/// The email that it is about, if the account has it and has sent it as a submission: others are not known by their Message-ID.
async fn about(mail: &Mail, account: AccountId, id: Option<&str>) -> Result<Option<String>, MethodError> {
    let Some(id) = id else { return Ok(None) };
    let Some((_, submission)) = mail.sent(account, id).await? else { return Ok(None) };
    let found = mail.email(account, &[submission.email]).await?.into_iter().flatten().next();
    Ok(found.map(|email| id::of_email(email.id, email.thread)))
}
