//! One email, opened as far as somebody asks: the record, the structure, the bytes.

use std::ops::Range;

use bytes::Bytes;

use crate::record::metadata::Cuts;
use crate::record::{Record, Structure};
use crate::{Error, Mail, Sealed, Source};

/// The longest header block that is read as a whole, in octets.
const HEADER: u64 = 8 * 1024 * 1024;

/// An email whose content is being looked at. What was read once is kept.
pub struct Opened {
    record: Record,
    /// Its bytes, if they were read with those of others.
    sealed: Option<Sealed>,
    source: Option<Source>,
    /// The whole tree, once somebody has asked for it.
    tree: Option<Structure>,
}

impl Opened {
    /// An email of which the record is known.
    pub const fn new(record: Record) -> Self {
        Self { record, sealed: None, source: None, tree: None }
    }

    /// Has the bytes at hand, for when somebody asks for them.
    pub fn bring(&mut self, sealed: Sealed) {
        self.sealed = Some(sealed);
    }

    /// What is known without its bytes.
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// The bytes, if they were read with those of others.
    pub fn source_at_hand(&mut self) -> Result<Option<&Source>, Error> {
        if self.source.is_none()
            && let Some(sealed) = self.sealed.take()
        {
            self.source = Some(sealed.open()?);
        }
        Ok(self.source.as_ref())
    }

    /// The bytes, opened once.
    pub async fn source(&mut self, mail: &Mail) -> Result<&Source, Error> {
        let source = match (self.source.take(), self.sealed.take()) {
            (Some(source), _) => source,
            (None, Some(sealed)) => sealed.open()?,
            (None, None) => mail.source(self.record.account(), self.record.email()).await?,
        };
        Ok(self.source.insert(source))
    }

    /// The MIME tree, if the record has all of it.
    pub fn tree_at_hand(&mut self) -> Result<Option<&Structure>, Error> {
        if self.tree.is_none() && !self.record.cuts()?.contains(Cuts::STRUCTURE) {
            self.tree = Some(self.record.structure()?);
        }
        Ok(self.tree.as_ref())
    }

    /// The MIME tree; read anew from the source where the record has only part of it.
    pub async fn tree(&mut self, mail: &Mail) -> Result<&Structure, Error> {
        self.tree_at_hand()?;
        let tree = match self.tree.take() {
            Some(tree) => tree,
            None => {
                let source = self.source(mail).await?;
                let raw = source.read(0..source.size()).await?;
                mail.structure(&raw).await?
            }
        };
        Ok(self.tree.insert(tree))
    }

    /// The message's own header, with the empty line after it.
    pub async fn header(&mut self, mail: &Mail) -> Result<Bytes, Error> {
        let range = match self.tree_at_hand()? {
            Some(tree) => header_of(tree),
            // What was cut from the record is not at its beginning.
            None => header_of(&self.record.structure()?),
        };
        self.read_header(mail, range).await
    }

    /// A header as a whole, or as much of it as anybody would want to read.
    pub async fn read_header(&mut self, mail: &Mail, range: Range<u64>) -> Result<Bytes, Error> {
        let end = range.end.min(range.start.saturating_add(HEADER));
        self.source(mail).await?.read(range.start..end).await
    }
}

/// Where the message's own header is.
fn header_of(tree: &Structure) -> Range<u64> {
    tree.part(0).map_or(0..0, |root| root.header..root.body)
}
