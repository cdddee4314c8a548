//! `MDN/parse` (RFC 9007 §2.2): what others tell of messages.

use mail::Mail;
use mail::ingest::{self, Notification};
use serde_json::{Value, json};
use types::AccountId;

use super::account;
use crate::context::Context;
use crate::error::MethodError;
use crate::method::parse::{Parsing, Source};
use crate::wire::{Arguments, Object, id};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let account = account(context, &mut arguments)?;
    let mut parsing = Parsing::read(context, account, &mut arguments)?;
    arguments.end()?;
    let mail = context.mail().clone();
    while let Some(Source { name, raw, .. }) = parsing.next(context).await? {
        let metadata = mail.parse(&raw).await?;
        match ingest::notification(&raw, &metadata.structure) {
            Some(notification) => {
                let shown = shown(&mail, account, notification, metadata.subject()).await?;
                parsing.tell(context, name, shown)?;
            }
            None => parsing.refuse(name),
        }
    }
    Ok(parsing.answer())
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
