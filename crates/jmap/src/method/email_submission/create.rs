//! Sending an email (RFC 8621 §7.5).

use mail::{Identity, Path, Submission};
use serde_json::Value;
use types::{AccountId, Header, ObjectId};

use super::envelope::Envelope;
use super::get::{PROPERTIES, property};
use crate::context::{Context, Unread};
use crate::departures::{Departure, NotSent};
use crate::error::{MethodError, SetError};
use crate::wire::id::BlobId;
use crate::wire::{Object, id};

/// Sends an email: the submission, and what of it the client has not said.
pub(super) async fn create(
    context: &mut Context<'_>,
    account: AccountId,
    name: &str,
    object: Object,
) -> Result<Result<(ObjectId, Submission, Object), SetError>, MethodError> {
    let departure = match prepare(context, account, name, &object).await? {
        Ok(departure) => departure,
        Err(error) => return Ok(Err(error)),
    };
    let departures = &context.services.departures;
    let submission = match departures.depart(context.user.login(), departure).await {
        Ok(submission) => submission,
        Err(NotSent::Unavailable(why)) => {
            tracing::warn!(%account, why, "a message cannot be sent now");
            return Err(MethodError::ServerUnavailable);
        }
        Err(why) => return Ok(Err(refused(why))),
    };
    // It is on its way, whatever comes of looking at it.
    let sent = |why: String| MethodError::ServerPartialFail(why);
    let found = context.mail().submissions_at(account, &[submission]).await;
    let found = found.map_err(|error| sent(error.to_string()))?.into_iter().next().flatten();
    let record = found.ok_or_else(|| sent("the submission was forgotten at once".to_owned()))?;
    let is_said = |name: &str| name != "undoStatus" && object.get(name).is_some_and(|value| !value.is_null());
    let given = PROPERTIES.iter().filter(|property| !is_said(property));
    let given = given.map(|name| ((*name).to_owned(), property(submission, &record, name))).collect();
    Ok(Ok((submission, record, given)))
}

/// Makes of what a client says what can be sent.
async fn prepare(
    context: &mut Context<'_>,
    account: AccountId,
    name: &str,
    object: &Object,
) -> Result<Result<Departure, SetError>, MethodError> {
    let can_be_given = |name: &str| match name {
        "identityId" | "emailId" | "envelope" => true,
        "undoStatus" => is_foreseen(object),
        _ => false,
    };
    if let Some(name) = object.keys().find(|name| !can_be_given(name)) {
        let text = "only the identity, the email and the envelope of a submission can be given";
        return Ok(Err(SetError::properties(&[name], text)));
    }
    let real =
        |property: &str| object.get(property).and_then(Value::as_str).and_then(|id| context.real_id(id));
    let no_email = || SetError::properties(&["emailId"], "there is no such email");
    let no_identity = || SetError::properties(&["identityId"], "there is no such identity");
    let Some(named) = real("emailId").and_then(id::email) else { return Ok(Err(no_email())) };
    let Some(identity) = real("identityId").and_then(id::identity) else { return Ok(Err(no_identity())) };
    let (_, identities) = context.mail().identities(account).await?;
    let Some((_, from)) = identities.into_iter().find(|(other, _)| *other == identity) else {
        return Ok(Err(no_identity()));
    };
    if let Err(error) = check_identity(context, &from).await? {
        return Ok(Err(error));
    }
    let found = context.mail().email(account, &[named.email]).await?.into_iter().flatten().next();
    let Some(email) = found.filter(|email| email.thread == named.thread) else { return Ok(Err(no_email())) };
    let terms = context.services.departures.terms();
    if email.size > terms.message {
        return Ok(Err(too_large(terms.message)));
    }
    let blob = BlobId::of(named.email);
    let message = match context.read_blob(account, &blob, 0..u64::MAX).await? {
        Ok(extract) => extract.octets,
        Err(Unread::NotFound) => return Ok(Err(no_email())),
        Err(unread @ Unread::UsedUp) => return Ok(Err(unread.refusal("emailId", &blob.to_string()))),
    };
    let Envelope { sender, recipients } =
        match envelope(context, object.get("envelope"), &message, &from).await? {
            Ok(envelope) => envelope,
            Err(error) => return Ok(Err(error)),
        };
    if recipients.is_empty() {
        return Ok(Err(SetError::new("noRecipients", "the message is for nobody")));
    }
    if recipients.len() > terms.recipients {
        let text = format!("a message may have {} recipients at once", terms.recipients);
        return Ok(Err(SetError::new("tooManyRecipients", text).with("maxRecipients", terms.recipients)));
    }
    let marker = marker(name, identity, &message, &sender, &recipients);
    let (email, thread) = (named.email, named.thread);
    Ok(Ok(Departure { identity, email, thread, message, sender, recipients, marker }))
}

/// Whether `undoStatus` is what it will be, seen from whether the message is to be held at all: that may be said, as there are
/// clients that do; it cannot be chosen (RFC 8620 §5.3 `invalidProperties`).
fn is_foreseen(object: &Object) -> bool {
    let parameters =
        object.get("envelope").and_then(|envelope| envelope.get("mailFrom")?.get("parameters")?.as_object());
    let holds = |name: &String| ["HOLDFOR", "HOLDUNTIL"].iter().any(|hold| name.eq_ignore_ascii_case(hold));
    let status = if parameters.is_some_and(|all| all.keys().any(holds)) { "pending" } else { "final" };
    object.get("undoStatus").is_none_or(|said| said.is_null() || said == status)
}

/// Whether an identity can be used: its address may have become somebody else's.
async fn check_identity(
    context: &Context<'_>,
    identity: &Identity,
) -> Result<Result<(), SetError>, MethodError> {
    if context.services.directory.may_write_as(context.user.login(), &identity.email).await? {
        return Ok(Ok(()));
    }
    let text = format!("{} is not one of your addresses any more: use another identity", identity.email);
    Ok(Err(SetError::new("forbiddenFrom", text)))
}

/// The envelope that the client gives, or that which follows from the message.
async fn envelope(
    context: &Context<'_>,
    given: Option<&Value>,
    message: &[u8],
    identity: &Identity,
) -> Result<Result<Envelope, SetError>, MethodError> {
    let (mut envelope, named) = match given {
        Some(value) if !value.is_null() => return Ok(Envelope::read(value)),
        _ => match Envelope::derive(message, &identity.email) {
            Ok(derived) => derived,
            Err(error) => return Ok(Err(error)),
        },
    };
    let directory = &context.services.directory;
    if named && !directory.may_write_as(context.user.login(), &envelope.sender.address).await? {
        envelope.sender.address.clone_from(&identity.email);
    }
    Ok(Ok(envelope))
}

/// What a repetition of the same has too: the name under which the client creates it, and all that makes the message another
/// one. Its Message-ID stands for the email: a client that chooses that itself may even have the email made again.
fn marker(name: &str, identity: ObjectId, message: &[u8], sender: &Path, recipients: &[Path]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key("magpie 2026-11 jmap submission marker");
    let mut part = |octets: &[u8]| {
        hasher.update(&(octets.len() as u64).to_be_bytes()).update(octets);
    };
    part(name.as_bytes());
    part(&identity.to_be_bytes());
    let header = Header::parse(message);
    match header.named("message-id").next() {
        Some(field) => part(field.value().trim_ascii()),
        None => part(message),
    }
    for path in std::iter::once(sender).chain(recipients) {
        part(path.address.as_bytes());
        for (name, value) in path.parameters.iter().flatten() {
            part(name.as_bytes());
            part(value.as_deref().unwrap_or_default().as_bytes());
        }
        part(b"");
    }
    let mut marker = [0; 16];
    hasher.finalize_xof().fill(&mut marker);
    marker
}

fn too_large(limit: u64) -> SetError {
    SetError::new("tooLarge", format!("a message may have {limit} octets")).with("maxSize", limit)
}

/// A refusal in the words of RFC 8621 §7.5.
fn refused(why: NotSent) -> SetError {
    let text = why.to_string();
    match why {
        NotSent::Email(_) => SetError::new("invalidEmail", text).with("properties", Vec::<String>::new()),
        NotSent::TooLarge(limit) => too_large(limit),
        NotSent::Recipients(bad) => {
            let addresses: Vec<String> = bad.into_iter().map(|(address, _)| address).collect();
            SetError::new("invalidRecipients", text).with("invalidRecipients", addresses)
        }
        NotSent::Parameters(_) => SetError::properties(&["envelope"], text),
        NotSent::Sender(_) => SetError::new("forbiddenMailFrom", text),
        NotSent::Author(_) => SetError::new("forbiddenFrom", text),
        NotSent::Forbidden(_) | NotSent::Unavailable(_) => SetError::new("forbiddenToSend", text),
    }
}
