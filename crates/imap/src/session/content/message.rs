//! One message, opened as far as it is needed: the row, the metadata, the source.

use std::ops::Range;

use bytes::Bytes;
use mail::ingest::{self, What, header_fields};
use mail::record::metadata::{Cuts, Metadata};
use mail::record::metadata_parts::Structure as Tree;
use mail::{Mail, Source};
use types::{AccountId, EmailId};

use super::super::error::Error;
use super::envelope;
use crate::wire::response::Envelope;
use crate::wire::{Section, SectionText};

/// The longest header block that is read as a whole, in bytes.
const HEADER: u64 = 8 * 1024 * 1024;

/// The header fields that ENVELOPE is made of.
const ENVELOPE: [&str; 10] =
    ["date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc", "in-reply-to", "message-id"];

/// A message whose content is being shown.
pub(in super::super) struct Message {
    account: AccountId,
    email: EmailId,
    metadata: Metadata,
    source: Option<Source>,
    /// The whole tree, if the metadata's is cut.
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
    pub(in super::super) const fn new(account: AccountId, email: EmailId, metadata: Metadata) -> Self {
        Self { account, email, metadata, source: None, tree: None }
    }

    pub(in super::super) const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The bytes, opened once.
    pub(in super::super) async fn source(&mut self, mail: &Mail) -> Result<&Source, Error> {
        if self.source.is_none() {
            self.source = Some(mail.source(self.account, self.email).await?);
        }
        self.source.as_ref().ok_or(Error::Torn)
    }

    /// The MIME tree; read anew from the source where the record has only part of it.
    pub(in super::super) async fn tree(&mut self, mail: &Mail) -> Result<&Tree, Error> {
        if self.metadata.cuts.contains(Cuts::STRUCTURE) && self.tree.is_none() {
            let source = self.source(mail).await?;
            let raw = source.read(0..source.size()).await?;
            self.tree = Some(ingest::structure(&raw, &ingest::Limits::default()).0);
        }
        Ok(self.tree.as_ref().unwrap_or(&self.metadata.structure))
    }

    pub(in super::super) async fn envelope(&mut self, mail: &Mail) -> Result<Envelope, Error> {
        if self.metadata.header.covers(ENVELOPE) {
            return Ok(envelope(&self.metadata.header.fields));
        }
        Ok(envelope(&self.header(mail).await?))
    }

    /// The message's own header, with the empty line after it.
    pub(in super::super) async fn header(&mut self, mail: &Mail) -> Result<Bytes, Error> {
        let range = self.metadata.structure.part(0).map_or(0..0, |root| root.header..root.body);
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
            SectionText::All if section.part.is_empty() => return Ok(Content::Range(0..self.metadata.size)),
            SectionText::All => (What::Body, &[], false),
            SectionText::Header => (What::Header, &[], false),
            SectionText::Text => (What::Text, &[], false),
            SectionText::Mime => (What::Mime, &[], false),
            SectionText::Fields(names) => (What::Header, names, false),
            SectionText::FieldsNot(names) => (What::Header, names, true),
        };
        let names: Vec<&str> = names.iter().filter_map(|name| std::str::from_utf8(name).ok()).collect();
        let by_fields = matches!(section.text, SectionText::Fields(_) | SectionText::FieldsNot(_));
        if by_fields
            && !not
            && section.part.is_empty()
            && let Some(fields) = self.metadata.header.select(&names)
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
            return Ok(Some((0..self.metadata.size, String::new())));
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
