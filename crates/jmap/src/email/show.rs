//! An email as the client wants to see it.

use std::collections::BTreeSet;

use mail::{Email, Mail};
use serde_json::{Value, json};
use types::Timestamp;

use super::body::{Parts, shown};
use super::header::all_fields;
use super::letter::Letter;
use super::property::{Named, PartProperty, Property};
use super::value::body_value;
use crate::error::MethodError;
use crate::wire::id::{self, BlobId};
use crate::wire::json::weight;
use crate::wire::{Arguments, Object, date};

/// Memory that the header fields of one email may take, in all forms that are asked for, in octets.
const HEADER_VALUES: usize = 64 << 20;

/// What the client wants to see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Plan {
    pub(crate) properties: Vec<Named<Property>>,
    part_properties: Vec<Named<PartProperty>>,
    text_values: bool,
    html_values: bool,
    all_values: bool,
    max_value: usize,
}

impl Plan {
    /// Takes the arguments that `Email/get` and `Email/parse` have in common.
    pub(crate) fn read(
        properties: Vec<Named<Property>>,
        arguments: &mut Arguments,
    ) -> Result<Self, MethodError> {
        let part_properties = PartProperty::read_all(arguments.optional("bodyProperties")?)?;
        Ok(Self {
            properties,
            part_properties,
            text_values: arguments.or("fetchTextBodyValues", false)?,
            html_values: arguments.or("fetchHTMLBodyValues", false)?,
            all_values: arguments.or("fetchAllBodyValues", false)?,
            max_value: usize::try_from(arguments.or("maxBodyValueBytes", 0_u64)?).unwrap_or(usize::MAX),
        })
    }

    /// Whether more than an email's state has to be known.
    pub(crate) fn needs_record(&self) -> bool {
        use Property as P;
        let of_state = |property: &P| {
            matches!(
                property,
                P::Id | P::BlobId | P::ThreadId | P::MailboxIds | P::Keywords | P::Size | P::ReceivedAt
            )
        };
        !self.properties.iter().all(|(_, property)| of_state(property))
    }

    /// Whether the message itself has to be read in any case.
    pub(crate) fn needs_source(&self) -> bool {
        use PartProperty as Q;
        use Property as P;
        let lists =
            |property: &P| matches!(property, P::BodyStructure | P::TextBody | P::HtmlBody | P::Attachments);
        let reads = |property: &Q| matches!(property, Q::Size | Q::Headers | Q::Header(_));
        let values = self.reads_values();
        let wants = |wanted: &dyn Fn(&P) -> bool| self.properties.iter().any(|(_, p)| wanted(p));
        wants(&|p| *p == P::Headers)
            || (values && wants(&|p| *p == P::BodyValues))
            || (self.part_properties.iter().any(|(_, p)| reads(p)) && wants(&lists))
    }

    /// Whether the text of parts is wanted.
    pub(crate) const fn reads_values(&self) -> bool {
        self.text_values || self.html_values || self.all_values
    }

    /// Octets that the text of one part may have.
    pub(crate) const fn longest_values(&self) -> u64 {
        if self.max_value == 0 { u64::MAX } else { self.max_value as u64 }
    }

    /// What is known of an email by its state alone.
    pub(crate) fn show_state(&self, email: &Email) -> Object {
        let value = |property: &Property| {
            Some(match property {
                Property::Id => id::of_email(email.id, email.thread).into(),
                Property::BlobId => BlobId::of(email.id).to_string().into(),
                Property::ThreadId => id::of_thread(email.thread).into(),
                Property::MailboxIds => email
                    .mailboxes
                    .iter()
                    .map(|(mailbox, _)| (id::of_mailbox(*mailbox), Value::Bool(true)))
                    .collect::<Object>()
                    .into(),
                Property::Keywords => {
                    let keywords = email.keywords.iter().map(|k| (k.to_owned(), Value::Bool(true)));
                    keywords.collect::<Object>().into()
                }
                Property::Size => email.size.into(),
                Property::ReceivedAt => received_at(email.received).into(),
                _ => return None,
            })
        };
        let known = self.properties.iter();
        known.filter_map(|(name, property)| Some((name.clone(), value(property)?))).collect()
    }

    /// What is known of a message that is not stored as an email (RFC 8621 §4.9): it has a blob and a size.
    pub(crate) fn show_unstored(&self, blob: &BlobId, size: u64) -> Object {
        let value = |property: &Property| {
            Some(match property {
                Property::BlobId => blob.to_string().into(),
                Property::Size => size.into(),
                Property::Id
                | Property::ThreadId
                | Property::MailboxIds
                | Property::Keywords
                | Property::ReceivedAt => Value::Null,
                _ => return None,
            })
        };
        let known = self.properties.iter();
        known.filter_map(|(name, property)| Some((name.clone(), value(property)?))).collect()
    }

    /// Adds what the message itself tells. `blob` names it.
    pub(crate) async fn show_content(
        &self,
        out: &mut Object,
        letter: &mut Letter,
        blob: &BlobId,
        mail: &Mail,
    ) -> Result<(), MethodError> {
        self.show_header(out, letter, mail).await?;
        self.show_bodies(out, letter, blob, mail).await?;
        for (name, property) in &self.properties {
            let value = match property {
                Property::HasAttachment => letter.has_attachment()?.into(),
                Property::Preview => letter.preview()?.into(),
                _ => continue,
            };
            out.insert(name.clone(), value);
        }
        Ok(())
    }

    async fn show_header(
        &self,
        out: &mut Object,
        letter: &mut Letter,
        mail: &Mail,
    ) -> Result<(), MethodError> {
        let names: Vec<&str> = self
            .properties
            .iter()
            .filter_map(|(_, property)| match property {
                Property::Header(header) => Some(header.name.as_str()),
                _ => None,
            })
            .collect();
        let all = self.properties.iter().any(|(_, property)| *property == Property::Headers);
        if names.is_empty() && !all {
            return Ok(());
        }
        let block = if all { letter.header(mail).await? } else { letter.fields(&names, mail).await? };
        let hint = match block.is_ascii() {
            true => None,
            false => letter.structure(mail).await?.charset_hint().map(|hint| hint.into_owned()),
        };
        let mut room = HEADER_VALUES;
        for (name, property) in &self.properties {
            let value = match property {
                Property::Header(header) => header.value(&block, hint.as_deref()),
                Property::Headers => all_fields(&block),
                _ => continue,
            };
            // One field may be asked for in many forms.
            room = room.checked_sub(weight(&value, room)).ok_or_else(too_many_fields)?;
            out.insert(name.clone(), value);
        }
        Ok(())
    }

    async fn show_bodies(
        &self,
        out: &mut Object,
        letter: &mut Letter,
        blob: &BlobId,
        mail: &Mail,
    ) -> Result<(), MethodError> {
        let wants = |wanted: Property| self.properties.iter().any(|(_, property)| *property == wanted);
        let (tree, values) = (wants(Property::BodyStructure), wants(Property::BodyValues));
        let lists = [Property::TextBody, Property::HtmlBody, Property::Attachments].into_iter().any(wants);
        if !(tree || values || lists) {
            return Ok(());
        }
        let structure = letter.structure(mail).await?;
        let bodies = structure.bodies();
        let all = shown(structure);
        let listed = bodies.text.iter().chain(&bodies.html).chain(&bodies.attachments).copied();
        let indexes: BTreeSet<usize> = match (tree, lists) {
            (true, _) => all.iter().copied().collect(),
            (false, true) => listed.collect(),
            (false, false) => BTreeSet::new(),
        };
        let mut parts = Parts::read(letter, indexes, &self.part_properties, blob, mail).await?;
        for (name, property) in &self.properties {
            let value = match property {
                Property::BodyStructure => parts.tree()?,
                Property::TextBody => parts.list(&bodies.text)?,
                Property::HtmlBody => parts.list(&bodies.html)?,
                Property::Attachments => parts.list(&bodies.attachments)?,
                _ => continue,
            };
            out.insert(name.clone(), value);
        }
        if values {
            let mut wanted = BTreeSet::new();
            wanted.extend(all.iter().filter(|_| self.all_values));
            wanted.extend(bodies.text.iter().filter(|_| self.text_values));
            wanted.extend(bodies.html.iter().filter(|_| self.html_values));
            let values = self.values(letter, wanted, mail).await?;
            let names = self.properties.iter().filter(|(_, property)| *property == Property::BodyValues);
            names.for_each(|(name, _)| {
                out.insert(name.clone(), values.clone());
            });
        }
        Ok(())
    }

    /// The text of parts, by their ids. What is no text has no value.
    async fn values(
        &self,
        letter: &mut Letter,
        wanted: BTreeSet<usize>,
        mail: &Mail,
    ) -> Result<Value, MethodError> {
        let mut values = json!({});
        for index in wanted {
            let part = letter.structure(mail).await?.part(index).cloned();
            let Some(part) = part.filter(|part| part.media_type.starts_with("text/")) else { continue };
            let body = letter.read(part.body..part.end, mail).await?;
            if let Some(values) = values.as_object_mut() {
                values.insert(index.to_string(), body_value(&part, &body, self.max_value));
            }
        }
        Ok(values)
    }
}

/// In whole seconds, as IMAP's INTERNALDATE: there are clients that cannot read a fraction, though they should (RFC 8620 §1.4).
fn received_at(received: Timestamp) -> String {
    date::utc(Timestamp(received.0 - received.0 % 1000))
}

/// What is asked for of a header is more than is shown.
fn too_many_fields() -> MethodError {
    MethodError::RequestTooLarge("the header of an email is too long to be shown in so many forms".to_owned())
}
