//! One message, opened as far as it is needed: the row, the metadata, the source.

use std::ops::Range;

use bytes::Bytes;
use mail::ingest::{self, What, header_fields};
use mail::record::NameHash;
use mail::record::metadata_parts::Structure as Tree;
use mail::{Mail, Opened, Record, Sealed, Source};

use super::super::error::Error;
use crate::wire::{Section, SectionText};

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
pub(in super::super) struct Message(Kept);

/// What is known of it.
enum Kept {
    /// Its record, and whatever else was asked for.
    Opened(Opened),
    /// Only its bytes: nothing else will be asked for.
    Whole(Source),
    /// The same, before anybody has asked.
    Sealed(Sealed),
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
        Self(Kept::Opened(Opened::new(record)))
    }

    /// A message of which nothing will be shown but all of it.
    pub(in super::super) const fn whole(sealed: Sealed) -> Self {
        Self(Kept::Sealed(sealed))
    }

    /// Has the bytes at hand, for when somebody asks for them.
    pub(in super::super) fn bring(&mut self, sealed: Sealed) {
        match &mut self.0 {
            Kept::Opened(opened) => opened.bring(sealed),
            kept => *kept = Kept::Sealed(sealed),
        }
    }

    pub(in super::super) fn record(&self) -> Result<&Record, Error> {
        match &self.0 {
            Kept::Opened(opened) => Ok(opened.record()),
            Kept::Whole(_) | Kept::Sealed(_) => Err(Error::Torn),
        }
    }

    fn opened(&mut self) -> Result<&mut Opened, Error> {
        match &mut self.0 {
            Kept::Opened(opened) => Ok(opened),
            Kept::Whole(_) | Kept::Sealed(_) => Err(Error::Torn),
        }
    }

    /// The bytes, if they were read with those of others.
    pub(in super::super) fn source_at_hand(&mut self) -> Result<Option<&Source>, Error> {
        self.unseal()?;
        match &mut self.0 {
            Kept::Opened(opened) => Ok(opened.source_at_hand()?),
            Kept::Whole(source) => Ok(Some(source)),
            Kept::Sealed(_) => Ok(None),
        }
    }

    /// The bytes, opened once.
    pub(in super::super) async fn source(&mut self, mail: &Mail) -> Result<&Source, Error> {
        self.unseal()?;
        match &mut self.0 {
            Kept::Opened(opened) => Ok(opened.source(mail).await?),
            Kept::Whole(source) => Ok(source),
            Kept::Sealed(_) => Err(Error::Torn),
        }
    }

    fn unseal(&mut self) -> Result<(), Error> {
        if let Kept::Sealed(sealed) = &self.0 {
            self.0 = Kept::Whole(sealed.clone().open()?);
        }
        Ok(())
    }

    /// The MIME tree, if the record has all of it.
    pub(in super::super) fn tree_at_hand(&mut self) -> Result<Option<&Tree>, Error> {
        Ok(self.opened()?.tree_at_hand()?)
    }

    /// The MIME tree; read anew from the source where the record has only part of it.
    pub(in super::super) async fn tree(&mut self, mail: &Mail) -> Result<&Tree, Error> {
        Ok(self.opened()?.tree(mail).await?)
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
        Ok(self.opened()?.header(mail).await?)
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
        let header = self.opened()?.read_header(mail, range).await?;
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

fn names_of(names: &[Bytes]) -> impl Iterator<Item = &str> {
    names.iter().filter_map(|name| std::str::from_utf8(name).ok())
}
