//! One message, opened as far as it is needed: the row, the metadata, the source.

use std::ops::Range;

use bytes::Bytes;
use mail::ingest::{self, What, header_fields};
use mail::record::NameHash;
use mail::record::metadata::Cuts;
use mail::record::metadata_parts::Structure as Tree;
use mail::{Mail, Record, Sealed, Source};

use super::super::error::Error;
use crate::wire::{Section, SectionText};

/// The longest header block that is read as a whole, in bytes.
const HEADER: u64 = 8 * 1024 * 1024;

/// The header fields that ENVELOPE is made of.
const ENVELOPE: [NameHash; 10] = [
    NameHash::of(b"date"),
    NameHash::of(b"subject"),
    NameHash::of(b"from"),
    NameHash::of(b"sender"),
    NameHash::of(b"reply-to"),
    NameHash::of(b"to"),
    NameHash::of(b"cc"),
    NameHash::of(b"bcc"),
    NameHash::of(b"in-reply-to"),
    NameHash::of(b"message-id"),
];

/// A message whose content is being shown.
pub(in super::super) struct Message {
    /// What is known of its content; none where only the bytes are asked for.
    record: Option<Record>,
    /// Its bytes, if they were read with those of others.
    sealed: Option<Sealed>,
    source: Option<Source>,
    /// The whole tree, once somebody has asked for it.
    tree: Option<Tree>,
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
        Self { record: Some(record), sealed: None, source: None, tree: None }
    }

    /// A message of which nothing will be shown but all of it.
    pub(in super::super) const fn whole(sealed: Sealed) -> Self {
        Self { record: None, sealed: Some(sealed), source: None, tree: None }
    }

    /// Has the bytes at hand, for when somebody asks for them.
    pub(in super::super) fn bring(&mut self, sealed: Sealed) {
        self.sealed = Some(sealed);
    }

    pub(in super::super) fn record(&self) -> Result<&Record, Error> {
        self.record.as_ref().ok_or(Error::Torn)
    }

    /// The bytes, if they were read with those of others.
    pub(in super::super) fn source_at_hand(&mut self) -> Result<Option<&Source>, Error> {
        if self.source.is_none()
            && let Some(sealed) = self.sealed.take()
        {
            self.source = Some(sealed.open()?);
        }
        Ok(self.source.as_ref())
    }

    /// The bytes, opened once.
    pub(in super::super) async fn source(&mut self, mail: &Mail) -> Result<&Source, Error> {
        if self.source_at_hand()?.is_none() {
            let record = self.record()?;
            self.source = Some(mail.source(record.account(), record.email()).await?);
        }
        self.source.as_ref().ok_or(Error::Torn)
    }

    /// The MIME tree, if the record has all of it.
    pub(in super::super) fn tree_at_hand(&mut self) -> Result<Option<&Tree>, Error> {
        if self.tree.is_none() && !self.record()?.cuts()?.contains(Cuts::STRUCTURE) {
            self.tree = Some(self.record()?.structure()?);
        }
        Ok(self.tree.as_ref())
    }

    /// The MIME tree; read anew from the source where the record has only part of it.
    pub(in super::super) async fn tree(&mut self, mail: &Mail) -> Result<&Tree, Error> {
        if self.tree_at_hand()?.is_none() {
            let source = self.source(mail).await?;
            let raw = source.read(0..source.size()).await?;
            self.tree = Some(ingest::structure(&raw, &ingest::Limits::default()).0);
        }
        self.tree.as_ref().ok_or(Error::Torn)
    }

    /// Whether the bytes are needed to show `section`.
    pub(in super::super) fn needs_source(&self, section: &Section) -> Result<bool, Error> {
        Ok(match &section.text {
            SectionText::Fields(names) if section.part.is_empty() => {
                !self.record()?.header()?.covers(names_of(names))
            }
            _ => true,
        })
    }

    /// Header fields, among them all that ENVELOPE is made of, if the record has these.
    pub(in super::super) fn envelope_at_hand(&self) -> Result<Option<Bytes>, Error> {
        Ok(self.record()?.fields_if_covered(&ENVELOPE)?)
    }

    /// The message's own header, with the empty line after it.
    pub(in super::super) async fn header(&mut self, mail: &Mail) -> Result<Bytes, Error> {
        let range = match self.tree_at_hand()? {
            Some(tree) => header_of(tree),
            // What was cut from the record is not at its beginning.
            None => header_of(&self.record()?.structure()?),
        };
        self.read(mail, range).await
    }

    /// A header as a whole, or as much of it as anybody would want to read.
    async fn read(&mut self, mail: &Mail, range: Range<u64>) -> Result<Bytes, Error> {
        let end = range.end.min(range.start.saturating_add(HEADER));
        Ok(self.source(mail).await?.read(range.start..end).await?)
    }

    /// What `section` names.
    pub(in super::super) async fn section(
        &mut self,
        mail: &Mail,
        section: &Section,
    ) -> Result<Content, Error> {
        let (what, names, not): (_, &[Bytes], _) = match &section.text {
            SectionText::All if section.part.is_empty() => {
                return Ok(Content::Range(0..self.source(mail).await?.size()));
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
            && let Some(fields) = self.record()?.header()?.select(&names)
        {
            return Ok(Content::Bytes(fields.into()));
        }
        let wanted = ingest::Section { path: section.part.clone(), what };
        let Some(range) = self.tree(mail).await?.section(&wanted) else { return Ok(Content::Missing) };
        if !by_fields {
            return Ok(Content::Range(range));
        }
        let header = self.read(mail, range).await?;
        Ok(Content::Bytes(header_fields(&header, &names, not).into()))
    }

    /// Where the body of a part is, and its transfer encoding. No numbers: the message as it is.
    pub(in super::super) async fn part(
        &mut self,
        mail: &Mail,
        path: &[u32],
    ) -> Result<Option<(Range<u64>, String)>, Error> {
        if path.is_empty() {
            return Ok(Some((0..self.record()?.size()?, String::new())));
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

/// Where the message's own header is.
fn header_of(tree: &Tree) -> Range<u64> {
    tree.part(0).map_or(0..0, |root| root.header..root.body)
}

fn names_of(names: &[Bytes]) -> impl Iterator<Item = &str> {
    names.iter().filter_map(|name| std::str::from_utf8(name).ok())
}
