//! A message that is being shown: one that is stored, or one that was only parsed.

use std::ops::Range;

use bytes::Bytes;
use mail::record::{Metadata, NameHash, Structure};
use mail::{Error, Mail, Opened};

/// A message, opened as far as somebody asks.
pub(crate) enum Letter {
    /// An email's.
    Stored(Box<Opened>),
    /// Somebody's octets.
    Parsed {
        /// The message.
        raw: Bytes,
        /// What was found in it.
        metadata: Box<Metadata>,
    },
}

impl Letter {
    /// Octets of the message.
    pub(crate) fn size(&self) -> Result<u64, Error> {
        match self {
            Self::Stored(opened) => opened.record().size(),
            Self::Parsed { metadata, .. } => Ok(metadata.size),
        }
    }

    /// The beginning of its text.
    pub(crate) fn preview(&self) -> Result<&str, Error> {
        match self {
            Self::Stored(opened) => opened.record().preview(),
            Self::Parsed { metadata, .. } => Ok(&metadata.preview),
        }
    }

    /// Whether a reader would say that it has an attachment.
    pub(crate) fn has_attachment(&self) -> Result<bool, Error> {
        match self {
            Self::Stored(opened) => opened.record().has_attachment(),
            Self::Parsed { metadata, .. } => Ok(metadata.has_attachment),
        }
    }

    /// Its MIME tree.
    pub(crate) async fn structure(&mut self, mail: &Mail) -> Result<&Structure, Error> {
        match self {
            Self::Stored(opened) => opened.tree(mail).await,
            Self::Parsed { metadata, .. } => Ok(&metadata.structure),
        }
    }

    /// Header fields, among them all of these names.
    pub(crate) async fn fields(&mut self, names: &[&str], mail: &Mail) -> Result<Bytes, Error> {
        if let Self::Stored(opened) = self {
            let hashes: Vec<NameHash> = names.iter().map(|name| NameHash::of(name.as_bytes())).collect();
            if let Some(fields) = opened.record().fields_if_covered(&hashes)? {
                return Ok(fields);
            }
        }
        self.header(mail).await
    }

    /// The whole header.
    pub(crate) async fn header(&mut self, mail: &Mail) -> Result<Bytes, Error> {
        match self {
            Self::Stored(opened) => opened.header(mail).await,
            Self::Parsed { raw, metadata } => {
                let range = metadata.structure.part(0).map_or(0..0, |root| root.header..root.body);
                Ok(slice(raw, range))
            }
        }
    }

    /// Octets of the message.
    pub(crate) async fn read(&mut self, range: Range<u64>, mail: &Mail) -> Result<Bytes, Error> {
        match self {
            Self::Stored(opened) => opened.source(mail).await?.read(range).await,
            Self::Parsed { raw, .. } => Ok(slice(raw, range)),
        }
    }

    /// How long the content of a part is that lies apart, decoded.
    pub(crate) async fn stored_size(&mut self, body: Range<u64>, mail: &Mail) -> Result<Option<u64>, Error> {
        match self {
            Self::Stored(opened) => Ok(opened.source(mail).await?.attachment(body).map(|(_, size)| size)),
            Self::Parsed { .. } => Ok(None),
        }
    }
}

/// A range of octets, as far as they are there.
pub(crate) fn slice(raw: &Bytes, range: Range<u64>) -> Bytes {
    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(raw.len());
    raw.slice(at(range.start.min(range.end))..at(range.end))
}
