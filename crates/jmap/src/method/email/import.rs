//! `Email/import` (RFC 8621 §4.8): messages as they are, from blobs.

use std::collections::BTreeMap;

use mail::NewEmail;
use mail::ingest::fields::Fields;
use mail::ingest::sent_at;
use serde_json::Value;
use types::{AccountId, ModSeq, Timestamp};

use super::places;
use crate::context::{Context, object};
use crate::error::{MethodError, SetError};
use crate::method::set::{Done, check_number};
use crate::wire::arguments::FromJson;
use crate::wire::id::{self, BlobId};
use crate::wire::{Arguments, Object, state};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let account = context.account(&mut arguments)?;
    let if_in_state: Option<String> = arguments.optional("ifInState")?;
    let emails: BTreeMap<String, Object> = arguments.required("emails")?;
    arguments.end()?;
    check_number(emails.len(), context.limits.objects_in_set)?;
    if emails.keys().any(|name| !id::is_id(name)) {
        return Err(MethodError::argument("emails", "must name what is imported as ids are written"));
    }
    let standing = context.standing(account).await?;
    let before = state::to_text(standing);
    let mut condition = match if_in_state {
        Some(text) if text != before => return Err(MethodError::StateMismatch),
        // What is imported moves the state on: the condition holds for what comes first.
        text => text.map(|_| standing.modseq),
    };
    let mut done = Done::default();
    for (name, email) in emails {
        match import(context, account, email, condition).await.map_err(|error| done.partly(error))? {
            Ok((id, given)) => {
                condition = None;
                done.created(context, name, &id, given);
            }
            Err(error) => done.not_created(name, &error),
        }
    }
    let after = context.state(account).await.map_err(|error| done.partly(error))?;
    let mut response = done.response(account, before, after);
    // There is nothing but what was created.
    response.retain(|name, _| {
        matches!(name.as_str(), "accountId" | "oldState" | "newState" | "created" | "notCreated")
    });
    Ok(response)
}

async fn import(
    context: &mut Context<'_>,
    account: AccountId,
    email: Object,
    unchanged_since: Option<ModSeq>,
) -> Result<Result<(String, Object), SetError>, MethodError> {
    let (blob, mailboxes, keywords, received) = match read(context, email) {
        Ok(read) => read,
        Err(error) => return Ok(Err(error)),
    };
    let raw = match context.read_blob(account, &blob, 0..u64::MAX).await? {
        Ok(extract) => in_lines(extract.octets),
        Err(unread) => return Ok(Err(unread.refusal("blobId", &blob.to_string()))),
    };
    let received = received.or_else(|| arrived(&raw)).unwrap_or_else(|| context.services.clock.now());
    add(context, account, raw, mailboxes, keywords, received, unchanged_since).await
}

/// Makes an email of a message: its id, and what the server has given it.
pub(super) async fn add(
    context: &Context<'_>,
    account: AccountId,
    raw: bytes::Bytes,
    mailboxes: Vec<types::MailboxId>,
    keywords: Vec<types::Keyword>,
    received: Timestamp,
    unchanged_since: Option<ModSeq>,
) -> Result<Result<(String, Object), SetError>, MethodError> {
    let quota = context.quota(account).await?;
    let size = raw.len();
    let adding = async {
        let message = context.mail().ingest(raw).await?;
        let email = NewEmail { message, keywords: keywords.into_iter().collect(), deleted: false, received };
        context.mail().create_email(account, &mailboxes, email, quota, unchanged_since).await
    };
    match adding.await {
        Ok(added) => {
            let id = id::of_email(added.email, added.thread);
            let given = object([
                ("blobId", BlobId::of(added.email).to_string().into()),
                ("threadId", id::of_thread(added.thread).into()),
                ("size", size.into()),
            ]);
            Ok(Ok((id, given)))
        }
        Err(error) => SetError::of(error).map(Err),
    }
}

type Read = (BlobId, Vec<types::MailboxId>, Vec<types::Keyword>, Option<Timestamp>);

fn read(context: &Context<'_>, mut email: Object) -> Result<Read, SetError> {
    let blob = email.remove("blobId").and_then(|value| BlobId::parse(value.as_str()?));
    let blob = blob.ok_or_else(|| SetError::properties(&["blobId"], "blobId must be the id of a blob"))?;
    let mailboxes = places::mailboxes(context, &email.remove("mailboxIds").unwrap_or_default())?;
    let keywords = email.remove("keywords").map_or(Ok(Vec::new()), |value| places::keywords(&value))?;
    let received = match email.remove("receivedAt") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let bad = || SetError::properties(&["receivedAt"], format!("it must be {}", Timestamp::EXPECTED));
            Some(Timestamp::from_json(value).ok_or_else(bad)?)
        }
    };
    match email.keys().next() {
        Some(name) => Err(SetError::properties(&[name], "there is no such property")),
        None => Ok((blob, mailboxes, keywords, received)),
    }
}

/// When the latest server that has taken it says that it came: the first Received field (RFC 8621 §4.8).
fn arrived(raw: &[u8]) -> Option<Timestamp> {
    let field = Fields::new(raw).find(|field| field.name.eq_ignore_ascii_case(b"received"))?;
    let date = field.value.rsplit(|byte| *byte == b';').next()?;
    sent_at(date).map(|sent| Timestamp::from_secs(sent.secs))
}

/// A message whose lines end as they should: files mostly have other ends.
fn in_lines(raw: bytes::Bytes) -> bytes::Bytes {
    let lone = |(at, byte): (usize, &u8)| {
        *byte == b'\n' && at.checked_sub(1).and_then(|before| raw.get(before)) != Some(&b'\r')
    };
    if !raw.iter().enumerate().any(lone) {
        return raw;
    }
    let mut lines = Vec::with_capacity(raw.len() + raw.len() / 32);
    for (at, byte) in raw.iter().enumerate() {
        if lone((at, byte)) {
            lines.push(b'\r');
        }
        lines.push(*byte);
    }
    lines.into()
}
