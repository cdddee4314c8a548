//! An email that a client has composed, and the message that is made of it (RFC 8621 §4.6).
//!
//! A client says fields in any of their forms and parts as a tree, or as a text, an HTML text and attachments. All that it
//! may not say is refused before anything is written, with the name of the property.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::Value;
use types::Timestamp;

use super::compose::{self, Field};
use super::header::HeaderProperty;
use crate::error::SetError;
use crate::wire::Object;
use crate::wire::id::BlobId;

/// Parts of a draft.
const MOST_PARTS: usize = 1_000;
/// Multiparts within each other.
const DEEPEST: usize = 20;

/// What shall be a message.
#[derive(Debug)]
pub(crate) struct Draft {
    fields: Vec<Field>,
    root: Part,
}

/// A part of it.
#[derive(Debug)]
pub(crate) struct Part {
    pub(super) media_type: String,
    pub(super) name: Option<String>,
    pub(super) disposition: Option<String>,
    pub(super) cid: Option<String>,
    pub(super) language: Vec<String>,
    pub(super) location: Option<String>,
    pub(super) fields: Vec<Field>,
    /// What it holds.
    pub(crate) body: Body,
}

/// What a part holds.
#[derive(Debug)]
pub(crate) enum Body {
    /// Text, in UTF-8.
    Text(String),
    /// What is still to be read.
    Blob(BlobId),
    /// What cannot be, as the client calls it.
    Missing(String),
    /// What was read.
    Octets(Bytes),
    /// Further parts.
    Parts(Vec<Part>),
}

/// The properties that stand for a header field.
const FIELDS: [(&str, &str); 11] = [
    ("messageId", "header:Message-ID:asMessageIds"),
    ("inReplyTo", "header:In-Reply-To:asMessageIds"),
    ("references", "header:References:asMessageIds"),
    ("sender", "header:Sender:asAddresses"),
    ("from", "header:From:asAddresses"),
    ("to", "header:To:asAddresses"),
    ("cc", "header:Cc:asAddresses"),
    ("bcc", "header:Bcc:asAddresses"),
    ("replyTo", "header:Reply-To:asAddresses"),
    ("subject", "header:Subject:asText"),
    ("sentAt", "header:Date:asDate"),
];

impl Draft {
    /// Reads what is left of an object when its mailboxes, keywords and date of arrival are taken.
    pub(crate) fn read(mut object: Object) -> Result<Self, SetError> {
        let mut values = Values::read(object.remove("bodyValues"))?;
        let mut count = 0;
        let mut read = |part: Value| Part::read(part, &mut values, 0, &mut count);
        let structure = object.remove("bodyStructure").filter(|value| !value.is_null());
        let mut list = |name: &'static str| list(object.remove(name), name);
        let (text, html, attachments) = (list("textBody")?, list("htmlBody")?, list("attachments")?);
        let root = match structure {
            Some(structure) => {
                if text.is_some() || html.is_some() || attachments.is_some() {
                    let names = &["bodyStructure", "textBody", "htmlBody", "attachments"];
                    return Err(SetError::properties(names, "bodyStructure stands for all other bodies"));
                }
                read(structure)?
            }
            None => {
                let text = the_one(text, "textBody", "text/plain", &mut read)?;
                let html = the_one(html, "htmlBody", "text/html", &mut read)?;
                let attachments = attachments.unwrap_or_default();
                let attachments = attachments.into_iter().map(&mut read).collect::<Result<Vec<_>, _>>()?;
                assembled(text, html, attachments)
            }
        };
        let fields = fields(object, false)?;
        let names = |name: &str| fields.iter().any(|field| field.name.eq_ignore_ascii_case(name));
        if let Some(twice) = root.fields.iter().find(|field| names(&field.name)) {
            let text = format!("{} is said of the email and of its outermost part", twice.name);
            return Err(SetError::properties(&["bodyStructure"], text));
        }
        Ok(Self { fields, root })
    }

    /// All parts.
    pub(crate) fn parts_mut(&mut self) -> Vec<&mut Part> {
        let mut leaves = Vec::new();
        let mut rest = vec![&mut self.root];
        while let Some(part) = rest.pop() {
            match part.body {
                Body::Parts(_) => {
                    if let Body::Parts(inner) = &mut part.body {
                        rest.extend(inner);
                    }
                }
                _ => leaves.push(part),
            }
        }
        leaves
    }

    /// The message. `message_id` is its id, if the client has not given it one.
    pub(crate) fn write(&self, now: Timestamp, message_id: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let has = |name: &str| self.fields.iter().any(|field| field.name.eq_ignore_ascii_case(name));
        if !has("Date") {
            compose::line(&mut out, &format!("Date: {}", now.rfc5322()));
        }
        if !has("Message-ID") {
            compose::line(&mut out, &format!("Message-ID: <{message_id}>"));
        }
        self.fields.iter().for_each(|field| field.write(&mut out));
        if !has("MIME-Version") {
            compose::line(&mut out, "MIME-Version: 1.0");
        }
        let mut boundaries = compose::Boundaries::new(message_id);
        compose::part(&self.root, &mut boundaries, &mut out);
        out
    }
}

impl Part {
    /// A multipart of these parts.
    fn multi(kind: &str, parts: Vec<Self>) -> Self {
        Self {
            media_type: format!("multipart/{kind}"),
            name: None,
            disposition: None,
            cid: None,
            language: Vec::new(),
            location: None,
            fields: Vec::new(),
            body: Body::Parts(parts),
        }
    }

    fn read(value: Value, values: &mut Values, depth: usize, count: &mut usize) -> Result<Self, SetError> {
        let bad = |name: &str, what: &str| SetError::properties(&[name], format!("{name} of a part {what}"));
        *count += 1;
        if depth > DEEPEST || *count > MOST_PARTS {
            return Err(SetError::new("tooLarge", "there are more parts than an email may have"));
        }
        let Value::Object(mut members) = value else {
            return Err(bad("bodyStructure", "must be an object"));
        };
        members.retain(|_, value| !value.is_null());
        let mut text = |name: &str| match members.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.chars().any(char::is_control) => Ok(Some(text)),
            Some(_) => Err(bad(name, "must be a string on one line")),
        };
        let (part_id, blob_id) = (text("partId")?, text("blobId")?);
        let (media_type, charset) = (text("type")?, text("charset")?);
        let (name, disposition, cid, location) =
            (text("name")?, text("disposition")?, text("cid")?, text("location")?);
        let language = match members.remove("language") {
            None => Vec::new(),
            Some(value) => strings(&value).ok_or_else(|| bad("language", "must be an array of tags"))?,
        };
        let inner = members.remove("subParts");
        // That of a blob is what it has, whatever the client believes.
        if members.remove("size").is_some() && part_id.is_some() {
            return Err(bad("size", "is the server's to find where there is a partId"));
        }
        let media_type = media_type.map_or_else(
            || if inner.is_some() { "multipart/mixed" } else { "text/plain" }.to_owned(),
            |text| text.to_ascii_lowercase(),
        );
        if !compose::is_media_type(&media_type) {
            return Err(bad("type", "must be a media type"));
        }
        let is_multipart = media_type.starts_with("multipart/");
        let body = match (part_id, blob_id, inner) {
            (None, None, Some(Value::Array(parts))) if is_multipart => {
                let parts = parts.into_iter().map(|part| Self::read(part, values, depth + 1, count));
                Body::Parts(parts.collect::<Result<_, _>>()?)
            }
            (Some(part_id), None, None) if !is_multipart => {
                if charset.is_some() {
                    return Err(bad("charset", "is the server's to choose where there is a partId"));
                }
                Body::Text(values.take(&part_id)?)
            }
            (None, Some(blob_id), None) if !is_multipart => {
                BlobId::parse(&blob_id).map_or(Body::Missing(blob_id), Body::Blob)
            }
            _ => {
                return Err(bad(
                    "partId",
                    "or blobId, and only one of them, must be there; subParts in a multipart",
                ));
            }
        };
        let media_type = match charset {
            Some(charset) if compose::is_token(&charset) => format!("{media_type}; charset={charset}"),
            Some(_) => return Err(bad("charset", "must be the name of a charset")),
            None => media_type,
        };
        let fields = fields(members, true)?;
        Ok(Self { media_type, name, disposition, cid, language, location, fields, body })
    }
}

/// The texts that parts refer to, each of them one: a `partId` is that of one part (RFC 8621 §4.1.4).
struct Values(Object);

impl Values {
    fn read(values: Option<Value>) -> Result<Self, SetError> {
        match values {
            None | Some(Value::Null) => Ok(Self(Object::new())),
            Some(Value::Object(values)) => Ok(Self(values)),
            Some(_) => Err(SetError::properties(&["bodyValues"], "bodyValues must be an object")),
        }
    }

    fn take(&mut self, part_id: &str) -> Result<String, SetError> {
        let bad =
            |what: &str| SetError::properties(&["bodyValues"], format!("the value of {part_id:?} {what}"));
        let mut value = self.0.remove(part_id).ok_or_else(|| bad("is missing, or that of another part"))?;
        for flag in ["isEncodingProblem", "isTruncated"] {
            if value.get(flag).is_some_and(|set| *set != false) {
                return Err(bad("must be whole"));
            }
        }
        match value.get_mut("value").map(Value::take) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(bad("must have a string")),
        }
    }
}

/// Reads header properties; nothing else may be left.
fn fields(object: Object, of_part: bool) -> Result<Vec<Field>, SetError> {
    let mut fields = Vec::new();
    let mut seen = BTreeSet::new();
    for (name, value) in object {
        let unknown = |what: &str| SetError::properties(&[&name], format!("{name} {what}"));
        let text =
            FIELDS.iter().find(|(short, _)| !of_part && *short == name).map_or(&*name, |(_, long)| long);
        let property =
            HeaderProperty::parse(text).ok_or_else(|| unknown("is no property that can be set"))?;
        let lower = property.name.to_ascii_lowercase();
        // What describes the content is said by the parts' own properties.
        let described = lower.starts_with("content-") && !of_part
            || [
                "content-type",
                "content-transfer-encoding",
                "content-disposition",
                "content-id",
                "mime-version",
            ]
            .contains(&lower.as_str());
        if described {
            return Err(unknown("is the server's to write"));
        }
        if !property.all && !seen.insert(lower) {
            return Err(unknown("is said in two ways"));
        }
        if value.is_null() {
            continue;
        }
        let values = match (&value, property.all) {
            (Value::Array(values), true) => values.iter().collect(),
            (_, true) => return Err(unknown("must be an array")),
            (value, false) => vec![value],
        };
        for value in values {
            let written = compose::written(property.form, value);
            let written = written.ok_or_else(|| unknown("does not have the form that its name tells"))?;
            fields.push(Field { name: property.name.clone(), value: written });
        }
    }
    Ok(fields)
}

fn list(value: Option<Value>, name: &'static str) -> Result<Option<Vec<Value>>, SetError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(parts)) => Ok(Some(parts)),
        Some(_) => Err(SetError::properties(&[name], "it must be an array of parts")),
    }
}

fn the_one(
    parts: Option<Vec<Value>>,
    name: &str,
    media_type: &str,
    read: &mut impl FnMut(Value) -> Result<Part, SetError>,
) -> Result<Option<Part>, SetError> {
    let bad = || SetError::properties(&[name], format!("it must be one part of the type {media_type}"));
    let Some(parts) = parts else { return Ok(None) };
    match <[Value; 1]>::try_from(parts) {
        Ok([mut part]) => {
            if let Some(members) = part.as_object_mut() {
                members.entry("type").or_insert_with(|| media_type.into());
            }
            let part = read(part)?;
            let same = part.media_type.split(';').next() == Some(media_type);
            if same { Ok(Some(part)) } else { Err(bad()) }
        }
        Err(_) => Err(bad()),
    }
}

/// Puts the usual parts together: renderings as alternatives, what HTML shows beside it, and files behind them.
fn assembled(text: Option<Part>, html: Option<Part>, attachments: Vec<Part>) -> Part {
    let shown = |part: &Part| part.cid.is_some() && part.disposition.as_deref() == Some("inline");
    let (related, files): (Vec<Part>, Vec<Part>) = match html {
        Some(_) => attachments.into_iter().partition(shown),
        None => (Vec::new(), attachments),
    };
    let html = html.map(|html| match related.is_empty() {
        true => html,
        false => Part::multi("related", [html].into_iter().chain(related).collect()),
    });
    let body = match (text, html) {
        (Some(text), Some(html)) => Some(Part::multi("alternative", vec![text, html])),
        (text, html) => text.or(html),
    };
    match (body, files) {
        (Some(body), files) if files.is_empty() => body,
        (body, files) if body.is_some() || files.len() != 1 => {
            let mut parts: Vec<Part> = body.into_iter().chain(files).collect();
            match parts.len() {
                0 => Part {
                    media_type: "text/plain".into(),
                    body: Body::Text(String::new()),
                    ..Part::multi("", vec![])
                },
                1 => parts.swap_remove(0),
                _ => Part::multi("mixed", parts),
            }
        }
        (_, files) => Part::multi("mixed", files),
    }
}

fn strings(value: &Value) -> Option<Vec<String>> {
    let tag = |value: &Value| value.as_str().filter(|tag| compose::is_token(tag)).map(str::to_owned);
    value.as_array()?.iter().map(tag).collect()
}
