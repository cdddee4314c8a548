//! `EmailSubmission/get` (RFC 8621 §7.1).

use mail::{Addressee, Arrival, Path, Submission, Undo};
use serde_json::{Value, json};
use types::{EmailId, ObjectId};

use crate::context::Context;
use crate::error::MethodError;
use crate::method::get::{Get, check_number, response};
use crate::wire::id::BlobId;
use crate::wire::{Arguments, Object, date, id};

/// The properties of a submission.
pub(super) const PROPERTIES: [&str; 10] = [
    "id",
    "identityId",
    "emailId",
    "threadId",
    "envelope",
    "sendAt",
    "undoStatus",
    "deliveryStatus",
    "dsnBlobIds",
    "mdnBlobIds",
];

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let get = Get::read(context, &mut arguments)?;
    arguments.end()?;
    let properties = get.names(&PROPERTIES)?;
    let (account, state) = (get.account, context.state(get.account).await?);
    let (mut found, mut not_found) = (Vec::new(), Vec::new());
    match get.ids {
        None => {
            let (_, all) = context.mail().submissions(account).await?;
            check_number(all.len(), context.limits.objects_in_get)?;
            found = all;
        }
        Some(texts) => {
            let named: Vec<Option<ObjectId>> = texts.iter().map(|text| id::submission(text)).collect();
            let ids: Vec<ObjectId> = named.iter().copied().flatten().collect();
            let mut records = context.mail().submissions_at(account, &ids).await?.into_iter();
            for (text, named) in texts.into_iter().zip(named) {
                match named.and_then(|named| Some((named, records.next().flatten()?))) {
                    Some(submission) => found.push(submission),
                    None => not_found.push(text),
                }
            }
        }
    }
    let mut list = Vec::with_capacity(found.len());
    for (id, submission) in &found {
        let members = properties.iter().map(|name| ((*name).to_owned(), property(*id, submission, name)));
        let shown = Value::Object(members.collect::<Object>());
        context.spend(&shown)?;
        list.push(shown);
    }
    Ok(response(account, state, list, not_found))
}

/// The value of a property.
pub(super) fn property(id: ObjectId, submission: &Submission, name: &str) -> Value {
    match name {
        "id" => id::of_submission(id).into(),
        "identityId" => id::of_identity(submission.identity).into(),
        "emailId" => id::of_email(submission.email, submission.thread).into(),
        "threadId" => id::of_thread(submission.thread).into(),
        "envelope" => {
            let recipients: Vec<Value> = submission.recipients.iter().map(|one| path(&one.path)).collect();
            json!({"mailFrom": path(&submission.sender), "rcptTo": recipients})
        }
        "sendAt" => date::utc(submission.send_at).into(),
        "undoStatus" => undo_status(submission.undo).into(),
        "deliveryStatus" => {
            let status = |one: &Addressee| (one.path.address.clone(), delivery_status(one));
            Value::Object(submission.recipients.iter().map(status).collect())
        }
        "dsnBlobIds" => blobs(&submission.reports),
        "mdnBlobIds" => blobs(&submission.receipts),
        _ => Value::Null,
    }
}

fn blobs(emails: &[EmailId]) -> Value {
    emails.iter().map(|email| BlobId::of(*email).to_string()).collect()
}

pub(super) const fn undo_status(undo: Undo) -> &'static str {
    match undo {
        Undo::Pending => "pending",
        Undo::Final => "final",
        Undo::Canceled => "canceled",
    }
}

fn path(path: &Path) -> Value {
    let parameters = path.parameters.as_ref().map(|parameters| {
        let members = parameters.iter().map(|(name, value)| (name.clone(), json!(value)));
        Value::Object(members.collect())
    });
    json!({"email": path.address, "parameters": parameters})
}

fn delivery_status(one: &Addressee) -> Value {
    let delivered = match one.arrival {
        Arrival::Queued => "queued",
        Arrival::Yes => "yes",
        Arrival::No => "no",
        Arrival::Unknown => "unknown",
    };
    let displayed = if one.displayed { "yes" } else { "unknown" };
    json!({"smtpReply": one.reply, "delivered": delivered, "displayed": displayed})
}
