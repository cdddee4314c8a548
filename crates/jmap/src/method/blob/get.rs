//! `Blob/get` (RFC 9404 §4.2): octets of blobs in the answer itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::digest::Digest;
use crate::blob::Extract;
use crate::context::{Context, Unread, object};
use crate::error::MethodError;
use crate::method::get::Get;
use crate::wire::id::{self, BlobId};
use crate::wire::{Arguments, Object};

/// What of each blob is wanted.
#[derive(Default)]
struct Wanted {
    text: bool,
    base64: bool,
    /// As text if it is text, else in base64.
    either: bool,
    size: bool,
    digests: Vec<(String, Digest)>,
}

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let get = Get::read(context, &mut arguments)?;
    let offset = arguments.or("offset", 0_u64)?;
    let length: Option<u64> = arguments.optional("length")?;
    arguments.end()?;
    let wanted = Wanted::read(get.properties.as_deref())?;
    // Nobody can be given all blobs: there is no list of them.
    let ids = get.ids.ok_or_else(|| MethodError::argument("ids", "is missing: name the blobs"))?;
    let end = length.map_or(u64::MAX, |length| offset.saturating_add(length));
    // Nothing is read where only the size is wanted, unless the blob has to be decoded.
    let range = if wanted.octets() { offset..end } else { 0..0 };
    let (mut list, mut not_found) = (Vec::new(), Vec::new());
    for text in ids {
        let Some(blob) = BlobId::parse(&text) else {
            not_found.push(text);
            continue;
        };
        match context.read_blob(get.account, &blob, range.clone()).await? {
            Ok(extract) => {
                let beyond = offset > extract.size || (length.is_some() && end > extract.size);
                let truncated = wanted.octets() && beyond;
                list.push(wanted.show(context, &text, &extract, truncated)?);
            }
            Err(Unread::NotFound) => not_found.push(text),
            Err(Unread::UsedUp) => return Err(context.too_much()),
        }
    }
    Ok(object([
        ("accountId", id::of_account(get.account).into()),
        ("list", Value::Array(list)),
        ("notFound", not_found.into()),
    ]))
}

impl Wanted {
    /// Reads `properties`; without them it is the octets and their number.
    fn read(properties: Option<&[String]>) -> Result<Self, MethodError> {
        let Some(names) = properties else { return Ok(Self { either: true, size: true, ..Self::default() }) };
        let mut wanted = Self::default();
        for name in names {
            match name.as_str() {
                "id" => {}
                "data" => wanted.either = true,
                "data:asText" => wanted.text = true,
                "data:asBase64" => wanted.base64 = true,
                "size" => wanted.size = true,
                _ => {
                    let digest = name.strip_prefix("digest:").and_then(Digest::named);
                    let unknown = || {
                        MethodError::argument(
                            "properties",
                            format_args!("names {name:?}, which there is not"),
                        )
                    };
                    let digest = digest.ok_or_else(unknown)?;
                    // Each is over all octets.
                    if !wanted.digests.iter().any(|(other, _)| other == name) {
                        wanted.digests.push((name.clone(), digest));
                    }
                }
            }
        }
        Ok(wanted)
    }

    /// Whether any octets have to be read.
    fn octets(&self) -> bool {
        self.text || self.base64 || self.either || !self.digests.is_empty()
    }

    fn show(
        &self,
        context: &mut Context<'_>,
        id: &str,
        extract: &Extract,
        truncated: bool,
    ) -> Result<Value, MethodError> {
        let Extract { size, octets, .. } = extract;
        // Before anything is copied.
        context.has_room(octets.len())?;
        let mut shown = object([("id", id.into())]);
        let text = std::str::from_utf8(octets).ok();
        if self.text || (self.either && text.is_some()) {
            shown.insert("data:asText".to_owned(), text.into());
        }
        if self.base64 || (self.either && text.is_none()) {
            shown.insert("data:asBase64".to_owned(), STANDARD.encode(octets).into());
        }
        if (self.text || self.either) && text.is_none() {
            shown.insert("isEncodingProblem".to_owned(), true.into());
        }
        if truncated {
            shown.insert("isTruncated".to_owned(), true.into());
        }
        for (name, digest) in &self.digests {
            shown.insert(name.clone(), digest.of(octets).into());
        }
        if self.size {
            shown.insert("size".to_owned(), (*size).into());
        }
        let shown = Value::Object(shown);
        context.spend(&shown)?;
        Ok(shown)
    }
}
