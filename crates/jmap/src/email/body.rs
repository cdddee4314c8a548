//! The parts of a message (RFC 8621 §4.1.4 `EmailBodyPart`).

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use mail::ingest::transfer;
use mail::record::{Part, Raw, Structure};
use mail::{Error, Mail};
use serde_json::{Value, json};

use super::header::all_fields;
use super::letter::Letter;
use super::property::{Named, PartProperty};
use crate::error::MethodError;
use crate::wire::Object;
use crate::wire::id::BlobId;
use crate::wire::json::{MEMBER, weight};

/// Multiparts within each other that are shown.
const DEPTH: usize = 100;
/// Memory that the parts of one email may take in all properties and lists that are asked for, in octets.
const ROOM: usize = 64 << 20;
/// The longest header of a part that is read.
const HEADER: u64 = 256 << 10;

/// What has to be read of a part before it can be shown.
#[derive(Clone, Default)]
struct Facts {
    /// Octets of its content, decoded.
    size: u64,
    header: Bytes,
}

/// A message's parts, ready to be shown.
pub(crate) struct Parts<'p> {
    structure: Structure,
    facts: BTreeMap<usize, Facts>,
    properties: &'p [Named<PartProperty>],
    blob: &'p BlobId,
    /// What texts of unknown charset are in, if other parts tell.
    hint: Option<String>,
    /// Memory that what is shown of them may still take, in octets.
    room: usize,
}

impl<'p> Parts<'p> {
    /// Reads what it takes to show these parts.
    pub(crate) async fn read(
        letter: &mut Letter,
        indexes: impl IntoIterator<Item = usize>,
        properties: &'p [Named<PartProperty>],
        blob: &'p BlobId,
        mail: &Mail,
    ) -> Result<Self, Error> {
        let structure = letter.structure(mail).await?.clone();
        let hint = structure.charset_hint().map(Cow::into_owned);
        let mut parts = Self { structure, facts: BTreeMap::new(), properties, blob, hint, room: ROOM };
        let sizes = properties.iter().any(|(_, p)| *p == PartProperty::Size);
        let headers =
            properties.iter().any(|(_, p)| matches!(p, PartProperty::Headers | PartProperty::Header(_)));
        if !sizes && !headers {
            return Ok(parts);
        }
        for index in indexes {
            let Some(part) = parts.structure.part(index) else { continue };
            let mut facts = Facts::default();
            if sizes && !part.is_multipart() {
                facts.size = decoded_size(letter, part, mail).await?;
            }
            if headers {
                let end = part.body.min(part.header.saturating_add(HEADER));
                facts.header = letter.read(part.header..end, mail).await?;
            }
            parts.facts.insert(index, facts);
        }
        Ok(parts)
    }

    /// `bodyStructure`: the tree from its root.
    pub(crate) fn tree(&mut self) -> Result<Value, MethodError> {
        self.part(0, Some(DEPTH))
    }

    /// Parts without those inside them.
    pub(crate) fn list(&mut self, indexes: &[usize]) -> Result<Value, MethodError> {
        indexes.iter().map(|index| self.part(*index, None)).collect()
    }

    /// `depth`: how many levels of parts are shown inside it; none in a list.
    fn part(&mut self, index: usize, depth: Option<usize>) -> Result<Value, MethodError> {
        let Some(part) = self.structure.part(index) else { return Ok(Value::Null) };
        let is_multipart = part.is_multipart();
        let mut shown = Object::new();
        for (name, property) in self.properties {
            let value = self.value(index, part, property);
            // Many parts may be asked for in many forms, and in several lists.
            let taken = weight(&value, self.room) + MEMBER + name.len();
            self.room = self.room.checked_sub(taken).ok_or_else(too_many_parts)?;
            shown.insert(name.clone(), value);
        }
        // A tree shows its branches, whether they are named among the properties or not.
        if let Some(depth) = depth.filter(|_| is_multipart) {
            let children: Vec<usize> = self.structure.children(index).filter(|_| depth > 0).collect();
            let inside = Some(depth.saturating_sub(1));
            let children = children.into_iter().map(|child| self.part(child, inside));
            shown.insert("subParts".to_owned(), Value::Array(children.collect::<Result<_, _>>()?));
        }
        Ok(Value::Object(shown))
    }

    fn value(&self, index: usize, part: &Part, property: &PartProperty) -> Value {
        let facts = || self.facts.get(&index).cloned().unwrap_or_default();
        let hint = self.hint.as_deref();
        match property {
            PartProperty::PartId if part.is_multipart() => Value::Null,
            PartProperty::BlobId if part.is_multipart() => Value::Null,
            PartProperty::PartId => index.to_string().into(),
            PartProperty::BlobId => self.blob.part(index).to_string().into(),
            PartProperty::Size => facts().size.into(),
            PartProperty::Headers => all_fields(&facts().header),
            PartProperty::Header(property) => property.value(&facts().header, hint),
            PartProperty::Name => part.file_name(hint).into(),
            PartProperty::Type => part.media_type.as_str().into(),
            PartProperty::Charset => charset(part).map(Cow::into_owned).into(),
            PartProperty::Disposition => part.disposition().into(),
            PartProperty::Cid => part.id.as_ref().map(content_id).into(),
            PartProperty::Language => part.language.as_ref().map_or(Value::Null, languages),
            PartProperty::Location => part.location.as_ref().map(text).into(),
            PartProperty::SubParts => Value::Null,
        }
    }
}

/// What is asked for of parts is more than is shown.
fn too_many_parts() -> MethodError {
    MethodError::RequestTooLarge("the email has too many parts to be shown in so many forms".to_owned())
}

/// The parts that `bodyStructure` shows: those of embedded messages are behind their blobs.
pub(crate) fn shown(structure: &Structure) -> Vec<usize> {
    let mut shown = Vec::new();
    let mut index = 0;
    while let Some(part) = structure.part(index) {
        shown.push(index);
        index = if part.is_multipart() { index + 1 } else { structure.subtree(index).end };
    }
    shown
}

/// What a part holds, decoded.
pub(crate) fn decoded<'b>(part: &Part, body: &'b [u8]) -> Cow<'b, [u8]> {
    // A container is not encoded; what it holds is.
    let encoding = if part.is_multipart() || part.is_message() { "" } else { &part.encoding };
    transfer::decode(body, encoding, usize::MAX)
}

async fn decoded_size(letter: &mut Letter, part: &Part, mail: &Mail) -> Result<u64, Error> {
    let is_plain = ["", "7bit", "8bit", "binary"].contains(&part.encoding.as_str());
    if is_plain || part.is_message() {
        return Ok(part.size());
    }
    let body = part.body..part.end;
    if let Some(size) = letter.stored_size(body.clone(), mail).await? {
        return Ok(size);
    }
    let body = letter.read(body, mail).await?;
    Ok(decoded(part, &body).len() as u64)
}

/// RFC 8621 §4.1.4 `charset`: text that names none is in US-ASCII.
fn charset(part: &Part) -> Option<Cow<'_, str>> {
    let is_text = part.media_type.starts_with("text/");
    part.charset().filter(|_| is_text).or_else(|| is_text.then_some(Cow::Borrowed("us-ascii")))
}

fn content_id(raw: &Raw) -> String {
    match mail::ingest::message_ids(raw).next() {
        Some(id) => String::from_utf8_lossy(&id).into_owned(),
        None => text(raw).trim_matches(['<', '>', ' ']).to_owned(),
    }
}

fn languages(raw: &Raw) -> Value {
    let text = text(raw);
    let tags: Vec<&str> = text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect();
    json!(tags)
}

fn text(raw: &Raw) -> String {
    String::from_utf8_lossy(raw).trim().to_owned()
}
