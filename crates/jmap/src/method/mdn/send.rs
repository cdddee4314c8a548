//! `MDN/send` (RFC 9007 §2.1), and the `Email/set` that follows from it. The keyword `$mdnsent`, which that sets, is there from
//! the moment in which the notification is on its way: they are one transaction.

use std::collections::BTreeMap;

use compose::{Receipt, Reported};
use mail::{Email, EmailChanged, Identity};
use serde_json::{Value, json};
use types::{AccountId, Keyword, Randomness};

use super::letter::Letter;
use super::wish::Wish;
use super::{PROPERTIES, account};
use crate::context::{Context, Unread, object};
use crate::departures::NotAcknowledged;
use crate::error::{MethodError, SetError};
use crate::method::Outcome;
use crate::method::email::set::Succeeded;
use crate::method::set::check_number;
use crate::wire::arguments::Id;
use crate::wire::id::BlobId;
use crate::wire::{Arguments, Capability, Object, id};

pub(in super::super) async fn run(context: &mut Context<'_>, mut arguments: Arguments) -> Outcome {
    // What follows from it is of the other capability.
    if !context.using.contains(Capability::Mail) {
        return Err(MethodError::UnknownMethod);
    }
    let account = account(context, &mut arguments)?;
    let Id(identity) = arguments.required("identityId")?;
    let send: BTreeMap<String, Object> = arguments.required("send")?;
    let updates: BTreeMap<String, Object> = arguments.or("onSuccessUpdateEmail", BTreeMap::new())?;
    arguments.end()?;
    if send.keys().any(|name| !id::is_id(name)) {
        return Err(MethodError::argument("send", "must name what is sent as ids are written"));
    }
    check_number(send.len().max(updates.len()), context.limits.objects_in_set)?;
    if let Some(name) = send.keys().find(|name| !updates.get(&format!("#{name}")).is_some_and(marks)) {
        let what = format!("must set the keyword {} of the email of #{name}", Keyword::MDN_SENT);
        return Err(MethodError::argument("onSuccessUpdateEmail", what));
    }
    let identity = named(context, account, &identity).await?;
    let (mut sent, mut not_sent, mut succeeded) = (Object::new(), Object::new(), Succeeded::default());
    for (name, wanted) in send {
        let acknowledged = acknowledge(context, account, &identity, &wanted).await;
        match acknowledged.map_err(|error| error.after(!succeeded.is_empty()))? {
            Ok((email, given)) => {
                succeeded.add(format!("#{name}"), (email.email, email.thread));
                sent.insert(name, Value::Object(given));
            }
            Err(error) => {
                not_sent.insert(name, error.to_json());
            }
        }
    }
    let map = |map: Object| if map.is_empty() { Value::Null } else { Value::Object(map) };
    let response = object([
        ("accountId", id::of_account(account).into()),
        ("sent", map(sent)),
        ("notSent", map(not_sent)),
    ]);
    let mut responses = vec![("MDN/send", response)];
    if !succeeded.is_empty() {
        responses.push(succeeded.follow(context, account, updates, Vec::new()).await);
    }
    Ok(responses)
}

/// Whether a patch gives an email the keyword.
fn marks(patch: &Object) -> bool {
    let whole = patch.get("keywords").and_then(|keywords| keywords.get(Keyword::MDN_SENT));
    let path = patch.get(&format!("keywords/{}", Keyword::MDN_SENT));
    [whole, path].into_iter().flatten().any(|value| *value == json!(true))
}

/// The identity of that id.
async fn named(context: &Context<'_>, account: AccountId, text: &str) -> Result<Identity, MethodError> {
    let (_, all) = context.mail().identities(account).await?;
    let named = context.real_id(text).and_then(id::identity);
    let found = all.into_iter().find(|(other, _)| Some(*other) == named);
    found.map(|(_, found)| found).ok_or_else(|| MethodError::argument("identityId", "is that of no identity"))
}

/// Sends one MDN: its email, and what of it the client has not said.
async fn acknowledge(
    context: &mut Context<'_>,
    account: AccountId,
    identity: &Identity,
    object: &Object,
) -> Result<Result<(EmailChanged, Object), SetError>, MethodError> {
    let wish = match Wish::read(context, object) {
        Ok(wish) => wish,
        Err(error) => return Ok(Err(error)),
    };
    let found = context.mail().email(account, &[wish.email.email]).await?.into_iter().flatten().next();
    let Some(email) = found.filter(|email| email.thread == wish.email.thread) else {
        return Ok(Err(SetError::not_found()));
    };
    let named = wish.email;
    let receipt = match prepare(context, account, identity, wish, &email).await? {
        Ok(receipt) => receipt,
        Err(error) => return Ok(Err(error)),
    };
    let given = given(object, &receipt);
    match context.services.departures.acknowledge(context.user.login(), named, receipt).await {
        Ok(()) => Ok(Ok((named, given))),
        Err(error) => refused(account, error).map(Err),
    }
}

/// Makes of what a client says what can be sent.
async fn prepare(
    context: &mut Context<'_>,
    account: AccountId,
    identity: &Identity,
    wish: Wish,
    email: &Email,
) -> Result<Result<Receipt, SetError>, MethodError> {
    if email.keywords.contains(Keyword::MDN_SENT) {
        return refused(account, NotAcknowledged::Already).map(Err);
    }
    let Some(letter) = Letter::read(context.mail(), account, email).await? else {
        return Ok(Err(SetError::not_found()));
    };
    let to = match letter.asking(wish.disposition.sending) {
        Ok(to) => to,
        Err(error) => return Ok(Err(error)),
    };
    let from = (Some(identity.name.clone()).filter(|name| !name.is_empty()), identity.email.clone());
    let final_recipient = wish.final_recipient.unwrap_or_else(|| Reported::internet(&identity.email));
    for address in [&identity.email, &final_recipient.address] {
        if !context.services.directory.may_write_as(context.user.login(), address).await? {
            let text = format!("{address} is not one of your addresses");
            return Ok(Err(SetError::new("forbiddenFrom", text)));
        }
    }
    let original = match wish.with_original {
        true => match original(context, account, email).await? {
            Ok(original) => Some(original),
            Err(error) => return Ok(Err(error)),
        },
        false => None,
    };
    let id: [u8; 8] = Randomness::bytes();
    Ok(Ok(Receipt {
        from,
        to,
        subject: wish.subject,
        text: wish.text,
        reporting_ua: wish.reporting_ua,
        original_recipient: letter.original_recipient(),
        final_recipient,
        disposition: wish.disposition,
        extension: wish.extension,
        original,
        about: letter.about(email),
        at: context.services.clock.now(),
        id: format!("{:016x}", u64::from_be_bytes(id)),
    }))
}

/// The message, to go along. What goes along in one request counts among what it may read of blobs.
async fn original(
    context: &mut Context<'_>,
    account: AccountId,
    email: &Email,
) -> Result<Result<bytes::Bytes, SetError>, MethodError> {
    let limit = context.services.departures.terms().message;
    if email.size > limit {
        return refused(account, NotAcknowledged::TooLarge(limit)).map(Err);
    }
    let blob = BlobId::of(email.id);
    Ok(match context.read_blob(account, &blob, 0..u64::MAX).await? {
        Ok(message) => Ok(message.octets),
        Err(Unread::NotFound) => Err(SetError::not_found()),
        Err(unread @ Unread::UsedUp) => Err(unread.refusal("forEmailId", &blob.to_string())),
    })
}

/// The properties that the client has not said.
fn given(object: &Object, receipt: &Receipt) -> Object {
    let id = receipt.about.id.as_ref();
    let value = |name: &str| match name {
        "subject" => receipt.subject_line().into(),
        "textBody" => receipt.words().into(),
        "includeOriginalMessage" => receipt.original.is_some().into(),
        "originalRecipient" => receipt.original_recipient.as_ref().map(ToString::to_string).into(),
        "finalRecipient" => receipt.final_recipient.to_string().into(),
        "originalMessageId" => id.map(|id| format!("<{id}>")).into(),
        _ => Value::Null,
    };
    let is_said = |name: &str| object.get(name).is_some_and(|value| !value.is_null());
    let unsaid = PROPERTIES.into_iter().filter(|name| !is_said(name));
    unsaid.map(|name| (name.to_owned(), value(name))).collect()
}

/// A refusal in the words of RFC 9007 §2.1.
fn refused(account: AccountId, why: NotAcknowledged) -> Result<SetError, MethodError> {
    let text = why.to_string();
    Ok(match why {
        NotAcknowledged::Already => SetError::new("mdnAlreadySent", text),
        NotAcknowledged::Nowhere(_) => SetError::new("notFound", text),
        NotAcknowledged::TooLarge(limit) => SetError::new("tooLarge", text).with("maxSize", limit),
        NotAcknowledged::TooOften(_) => SetError::new("rateLimit", text),
        NotAcknowledged::Forbidden(_) => SetError::new("forbidden", text),
        NotAcknowledged::Mail(error) => SetError::of(error)?,
        NotAcknowledged::Unavailable(why) => {
            tracing::warn!(%account, why, "a receipt cannot be sent now");
            return Err(MethodError::ServerUnavailable);
        }
    })
}
