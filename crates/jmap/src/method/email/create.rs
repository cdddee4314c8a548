//! Making an email of what a client says of it (RFC 8621 §4.6).

use serde_json::Value;
use types::{AccountId, ModSeq, Timestamp};

use super::{import, places};
use crate::context::{Context, Unread};
use crate::email::draft::{Body, Draft};
use crate::error::{MethodError, SetError};
use crate::wire::Object;
use crate::wire::arguments::FromJson;

/// Makes an email: its id, and what the server has given it.
pub(super) async fn create(
    context: &mut Context<'_>,
    account: AccountId,
    mut object: Object,
    unchanged_since: Option<ModSeq>,
) -> Result<Result<(String, Object), SetError>, MethodError> {
    let now = context.services.clock.now();
    let read = (|| {
        let mailboxes = places::mailboxes(context, &object.remove("mailboxIds").unwrap_or_default())?;
        let keywords = object.remove("keywords").map_or(Ok(Vec::new()), |value| places::keywords(&value))?;
        let received = match object.remove("receivedAt") {
            None | Some(Value::Null) => now,
            Some(value) => {
                let bad =
                    || SetError::properties(&["receivedAt"], format!("it must be {}", Timestamp::EXPECTED));
                Timestamp::from_json(value).ok_or_else(bad)?
            }
        };
        Ok((mailboxes, keywords, received, Draft::read(object)?))
    })();
    let (mailboxes, keywords, received, mut draft) = match read {
        Ok(read) => read,
        Err(error) => return Ok(Err(error)),
    };
    if let Err(error) = bring_blobs(context, account, &mut draft).await? {
        return Ok(Err(error));
    }
    let id = format!("{}@{}", random(), context.user.domain());
    let raw = draft.write(now, &id);
    import::add(context, account, raw.into(), mailboxes, keywords, received, unchanged_since).await
}

/// Reads the blobs that the parts are made of.
async fn bring_blobs(
    context: &mut Context<'_>,
    account: AccountId,
    draft: &mut Draft,
) -> Result<Result<(), SetError>, MethodError> {
    let (mut missing, mut octets, mut enclosing) = (Vec::new(), 0_u64, None);
    for part in draft.parts_mut() {
        let blob = match &part.body {
            Body::Blob(blob) => blob,
            Body::Missing(id) => {
                missing.push(id.clone());
                continue;
            }
            Body::Text(_) | Body::Octets(_) | Body::Parts(_) => continue,
        };
        match context.read_next(account, blob, &mut enclosing).await? {
            Ok(content) => {
                octets = octets.saturating_add(content.len() as u64);
                part.body = Body::Octets(content);
            }
            Err(Unread::NotFound) => missing.push(blob.to_string()),
            Err(unread @ Unread::UsedUp) => return Ok(Err(unread.refusal("blobId", &blob.to_string()))),
        }
        if octets > context.limits.size_upload {
            return Ok(Err(SetError::new("tooLarge", "the attachments are too large together")));
        }
    }
    if missing.is_empty() {
        return Ok(Ok(()));
    }
    Ok(Err(SetError::new("blobNotFound", "there are no such blobs").with("notFound", missing)))
}

/// Digits that nobody guesses: ids of messages are unique in the world.
fn random() -> String {
    format!("{:032x}", u128::from_be_bytes(types::Randomness::bytes()))
}
