//! One message, opened as far as it is needed: the row, the metadata, the source.

use std::ops::Range;

use bytes::Bytes;
use mail::ingest::{self, What, header_fields};
use mail::record::metadata_parts::Structure as Tree;
use mail::{Mail, Opened, Record, Sealed, Source};

use super::super::error::Error;
use crate::wire::{Section, SectionText};

/// The header fields that ENVELOPE is made of.
const ENVELOPE: [&str; 10] =
    ["date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc", "in-reply-to", "message-id"];

/// A message whose content is being shown.
pub(in super::super) struct Message {
    opened: Opened,
}

/// What a section names.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Content {
    /// A range of the source.
    Range(Range<u64>),
    /// Bytes that were put together.
    Bytes(Bytes),
    /// There is no such part.
    Missing,
}

impl Message {
    pub(in super::super) const fn new(record: Record) -> Self {
        Self { opened: Opened::new(record) }
    }

    /// Has the bytes at hand, for when somebody asks for them.
    pub(in super::super) fn bring(&mut self, sealed: Sealed) {
        self.opened.bring(sealed);
    }

    pub(in super::super) const fn record(&self) -> &Record {
        self.opened.record()
    }

    /// The bytes, opened once.
    pub(in super::super) async fn source(&mut self, mail: &Mail) -> Result<&Source, Error> {
        Ok(self.opened.source(mail).await?)
    }

    /// The MIME tree; read anew from the source where the record has only part of it.
    pub(in super::super) async fn tree(&mut self, mail: &Mail) -> Result<&Tree, Error> {
        Ok(self.opened.tree(mail).await?)
    }

    /// Whether the bytes are needed to show `section`.
    pub(in super::super) fn needs_source(&self, section: &Section) -> Result<bool, Error> {
        Ok(match &section.text {
            SectionText::Fields(names) if section.part.is_empty() => {
                !self.record().header()?.covers(names_of(names))
            }
            _ => true,
        })
    }

    /// Header fields, among them all that ENVELOPE is made of.
    pub(in super::super) async fn envelope(&mut self, mail: &Mail) -> Result<Bytes, Error> {
        if self.record().header()?.covers(ENVELOPE) {
            return Ok(self.record().kept_fields()?);
        }
        self.header(mail).await
    }

    /// The message's own header, with the empty line after it.
    pub(in super::super) async fn header(&mut self, mail: &Mail) -> Result<Bytes, Error> {
        Ok(self.opened.header(mail).await?)
    }

    /// What `section` names.
    pub(in super::super) async fn section(
        &mut self,
        mail: &Mail,
        section: &Section,
    ) -> Result<Content, Error> {
        let (what, names, not): (_, &[Bytes], _) = match &section.text {
            SectionText::All if section.part.is_empty() => {
                return Ok(Content::Range(0..self.record().size()?));
            }
            SectionText::All => (What::Body, &[], false),
            SectionText::Header => (What::Header, &[], false),
            SectionText::Text => (What::Text, &[], false),
            SectionText::Mime => (What::Mime, &[], false),
            SectionText::Fields(names) => (What::Header, names, false),
            SectionText::FieldsNot(names) => (What::Header, names, true),
        };
        let names: Vec<&str> = names_of(names).collect();
        let by_fields = matches!(section.text, SectionText::Fields(_) | SectionText::FieldsNot(_));
        if by_fields
            && !not
            && section.part.is_empty()
            && let Some(fields) = self.record().header()?.select(&names)
        {
            return Ok(Content::Bytes(fields.into()));
        }
        let wanted = ingest::Section { path: section.part.clone(), what };
        let Some(range) = self.tree(mail).await?.section(&wanted) else { return Ok(Content::Missing) };
        if !by_fields {
            return Ok(Content::Range(range));
        }
        let header = self.opened.read_header(mail, range).await?;
        Ok(Content::Bytes(header_fields(&header, &names, not).into()))
    }

    /// Where the body of a part is, and its transfer encoding. No numbers: the message as it is.
    pub(in super::super) async fn part(
        &mut self,
        mail: &Mail,
        path: &[u32],
    ) -> Result<Option<(Range<u64>, String)>, Error> {
        if path.is_empty() {
            return Ok(Some((0..self.record().size()?, String::new())));
        }
        let tree = self.tree(mail).await?;
        let part = tree.index_of(path).and_then(|index| tree.part(index));
        Ok(part.map(|part| {
            // A container is not encoded; what it holds is.
            let plain = part.is_multipart() || part.is_message();
            (part.body..part.end, if plain { String::new() } else { part.encoding.clone() })
        }))
    }
}

fn names_of(names: &[Bytes]) -> impl Iterator<Item = &str> {
    names.iter().filter_map(|name| std::str::from_utf8(name).ok())
}
