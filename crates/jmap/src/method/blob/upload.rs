//! `Blob/upload` (RFC 9404 §4.1): blobs made of what stands in the request, and of ranges of other blobs.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use types::AccountId;

use crate::context::{Context, Unread, object};
use crate::error::{MethodError, SetError};
use crate::method::set::check_number;
use crate::wire::arguments::FromJson;
use crate::wire::id::{self, BlobId};
use crate::wire::{Arguments, Object};

/// The longest media type (RFC 6838 §4.2: two names of 127 octets).
const MEDIA_TYPE: usize = 255;

/// A failure of the call, or why this blob is not made.
type Made<T> = Result<Result<T, SetError>, MethodError>;

/// A part of a blob to be.
enum Piece {
    Octets(Bytes),
    /// Of a blob, `length` octets from `offset` on, or all that are left.
    Range {
        blob: String,
        offset: u64,
        length: Option<u64>,
    },
}

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let account = context.account(&mut arguments)?;
    let mut wanted: BTreeMap<String, Object> = arguments.required("create")?;
    arguments.end()?;
    check_number(wanted.len(), context.limits.objects_in_set)?;
    if wanted.keys().any(|name| !id::is_id(name)) {
        return Err(MethodError::argument("create", "must name what is created as ids are written"));
    }
    let (mut created, mut not_created) = (Object::new(), Object::new());
    for name in order(&wanted) {
        let upload = wanted.remove(&name).unwrap_or_default();
        match create(context, account, upload).await? {
            Ok(shown) => {
                let blob = shown.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
                context.created.insert(name.clone(), blob);
                created.insert(name, Value::Object(shown));
            }
            Err(error) => {
                not_created.insert(name, error.to_json());
            }
        }
    }
    let null_if_none = |map: Object| if map.is_empty() { Value::Null } else { Value::Object(map) };
    Ok(object([
        ("accountId", id::of_account(account).into()),
        ("created", null_if_none(created)),
        ("notCreated", null_if_none(not_created)),
    ]))
}

/// The order in which to make blobs: each after those that it is made of. In a circle each waits for another, and none of
/// them can be made: the first finds no such blob. Each part of a blob is looked at once, however many there are.
fn order(wanted: &BTreeMap<String, Object>) -> Vec<String> {
    let mut waits: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut followers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, upload) in wanted {
        let sources = upload.get("data").and_then(Value::as_array);
        let named = sources.into_iter().flatten().filter_map(|source| source.get("blobId")?.as_str());
        let others = named.filter_map(|blob| blob.strip_prefix('#'));
        let others: BTreeSet<&str> = others.filter(|other| wanted.contains_key(*other)).collect();
        others.iter().for_each(|other| followers.entry(other).or_default().push(name));
        waits.insert(name, others);
    }
    let mut free: BTreeSet<&str> =
        waits.iter().filter(|(_, on)| on.is_empty()).map(|(name, _)| *name).collect();
    let mut order = Vec::with_capacity(wanted.len());
    while let Some(name) = free.pop_first().or_else(|| waits.keys().next().copied()) {
        waits.remove(name);
        order.push(name.to_owned());
        for follower in followers.remove(name).unwrap_or_default() {
            if let Some(on) = waits.get_mut(follower)
                && on.remove(name)
                && on.is_empty()
            {
                free.insert(follower);
            }
        }
    }
    order
}

async fn create(context: &mut Context<'_>, account: AccountId, upload: Object) -> Made<Object> {
    let (pieces, media_type) = match read(context, upload) {
        Ok(read) => read,
        Err(error) => return Ok(Err(error)),
    };
    let content = match assemble(context, account, pieces).await? {
        Ok(content) => content,
        Err(error) => return Ok(Err(error)),
    };
    let media_type = media_type.as_deref().unwrap_or("application/octet-stream");
    match context.mail().upload(account, content, media_type).await {
        Ok(made) => Ok(Ok(object([
            ("id", BlobId::of_upload(made.hash).to_string().into()),
            ("type", made.media_type.into()),
            ("size", made.size.into()),
        ]))),
        Err(error) => SetError::of(error).map(Err),
    }
}

/// Puts a blob together.
async fn assemble(context: &mut Context<'_>, account: AccountId, pieces: Vec<Piece>) -> Made<Bytes> {
    let most = context.limits.size_upload;
    let mut content = BytesMut::new();
    for piece in pieces {
        let octets = match piece {
            Piece::Octets(octets) if !context.spend_blob(octets.len() as u64) => return Ok(Err(used_up())),
            Piece::Octets(octets) => octets,
            Piece::Range { blob, offset, length } => {
                let room = most - content.len() as u64;
                if length.is_some_and(|length| length > room) {
                    return Ok(Err(too_large(most)));
                }
                match range(context, account, &blob, offset, length, room).await? {
                    Ok(octets) => octets,
                    Err(error) => return Ok(Err(error)),
                }
            }
        };
        if (content.len() + octets.len()) as u64 > most {
            return Ok(Err(too_large(most)));
        }
        content.extend_from_slice(&octets);
    }
    Ok(Ok(content.freeze()))
}

/// A range of a blob, which must be there as a whole.
async fn range(
    context: &mut Context<'_>,
    account: AccountId,
    blob: &str,
    offset: u64,
    length: Option<u64>,
    room: u64,
) -> Made<Bytes> {
    let unknown =
        || SetError::new("blobNotFound", format!("there is no blob {blob}")).with("notFound", json!([blob]));
    let Some(id) = context.real_id(blob).and_then(BlobId::parse) else { return Ok(Err(unknown())) };
    // One more than there is room for says that it is too much.
    let end = offset.saturating_add(length.unwrap_or(room + 1));
    let extract = match context.read_blob(account, &id, offset..end).await? {
        Ok(extract) => extract,
        Err(Unread::NotFound) => return Ok(Err(unknown())),
        Err(Unread::UsedUp) => return Ok(Err(used_up())),
    };
    if offset > extract.size || (length.is_some() && end > extract.size) {
        let text = format!("the blob {blob} has {} octets, and the range goes beyond them", extract.size);
        return Ok(Err(SetError::properties(&["data"], text)));
    }
    Ok(Ok(extract.octets))
}

/// What a request may read is used up.
fn used_up() -> SetError {
    SetError::new("rateLimit", "one request puts no more octets together: make this blob in another one")
}

fn too_large(most: u64) -> SetError {
    SetError::new("tooLarge", format!("a blob may have {most} octets"))
}

fn read(context: &Context<'_>, mut upload: Object) -> Result<(Vec<Piece>, Option<String>), SetError> {
    let bad = |what: String| SetError::properties(&["data"], what);
    let Some(Value::Array(sources)) = upload.remove("data") else {
        return Err(bad("data must be an array of sources".to_owned()));
    };
    let most = context.limits.data_sources;
    if sources.len() > most {
        return Err(SetError::new("tooLarge", format!("a blob may be made of {most} sources")));
    }
    let media_type = match upload.remove("type") {
        None | Some(Value::Null) => None,
        Some(Value::String(text))
            if text.len() <= MEDIA_TYPE && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') =>
        {
            Some(text)
        }
        Some(_) => return Err(SetError::properties(&["type"], "type must be a media type or null")),
    };
    if let Some(name) = upload.keys().next() {
        return Err(SetError::properties(&[name], "there is no such property"));
    }
    let pieces = sources.into_iter().map(|source| piece(source).map_err(bad)).collect::<Result<_, _>>()?;
    Ok((pieces, media_type))
}

/// Reads a DataSourceObject: one of text, base64 and a range.
fn piece(source: Value) -> Result<Piece, String> {
    let Value::Object(mut source) = source else { return Err("each source must be an object".to_owned()) };
    source.retain(|_, value| !value.is_null());
    let number = |value: Option<Value>, name: &str| {
        let number =
            value.map(|value| u64::from_json(value).ok_or(format!("{name} must be {}", u64::EXPECTED)));
        number.transpose()
    };
    let text = source.remove("data:asText");
    let base64 = source.remove("data:asBase64");
    let blob = source.remove("blobId");
    let piece = match (text, base64, blob) {
        (Some(Value::String(text)), None, None) => Piece::Octets(text.into()),
        (None, Some(Value::String(text)), None) => Piece::Octets(
            STANDARD.decode(text).map_err(|error| format!("data:asBase64 is none: {error}"))?.into(),
        ),
        (None, None, Some(Value::String(blob))) => Piece::Range {
            blob,
            offset: number(source.remove("offset"), "offset")?.unwrap_or(0),
            length: number(source.remove("length"), "length")?,
        },
        _ => return Err("each source must have one of data:asText, data:asBase64 and blobId".to_owned()),
    };
    match source.keys().next() {
        Some(name) => Err(format!("{name:?} does not belong into such a source")),
        None => Ok(piece),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(wanted: Value) -> Vec<String> {
        let Value::Object(wanted) = wanted else { panic!("an object") };
        let objects = wanted.into_iter().map(|(name, upload)| (name, upload.as_object().cloned().unwrap()));
        order(&objects.collect())
    }

    #[test]
    fn what_is_needed_is_made_first() {
        let of = |names: &[&str]| {
            let sources: Vec<Value> = names.iter().map(|name| json!({"blobId": name})).collect();
            json!({"data": sources})
        };
        assert_eq!(
            ordered(json!({"a": of(&["#c", "#b"]), "b": of(&["#c", "#c"]), "c": of(&["Bx"])})),
            ["c", "b", "a"]
        );
        assert_eq!(ordered(json!({"a": of(&["#a"]), "b": of(&["#c"]), "c": of(&["#b"])})), ["a", "b", "c"]);
        assert_eq!(ordered(json!({"a": of(&["#elsewhere"]), "b": {"data": 3}, "c": {}})), ["a", "b", "c"]);
    }

    /// A chain in the worst order, each blob of which names the next hundreds of times.
    #[test]
    fn fault_49_long_chains_are_put_in_order_in_one_go() {
        let name = |number: usize| format!("n{number:04}");
        let objects: BTreeMap<String, Object> = (0..300)
            .map(|number| {
                let sources = vec![json!({"blobId": format!("#{}", name(number + 1))}); 300];
                (name(number), object([("data", Value::Array(sources))]))
            })
            .collect();
        let reversed: Vec<String> = (0..300).rev().map(name).collect();
        assert_eq!(order(&objects), reversed);
    }
}
