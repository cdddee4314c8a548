//! A message made ready: parsed once, its attachments durable, its rows encoded. It can then be put into any
//! number of mailboxes without looking at its bytes again.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use store::blob::{Blobs, Content, Prepared};

use crate::ingest::recipe::Recipe;
use crate::ingest::{DeliveryReport, Notification};
use crate::record::Structure;
use crate::table::{SourceRecord, Sources};
use crate::{Error, Mail, Metadata, ingest};

/// A message that is ready to be delivered, appended or imported. Cheap to clone.
#[derive(Clone)]
pub struct Message(Arc<Inner>);

struct Inner {
    raw: Bytes,
    metadata: Metadata,
    metadata_row: Bytes,
    source_row: Bytes,
    blobs: Vec<Prepared>,
}

/// What parsing and cutting make of a message, before anything is stored.
struct Cut {
    metadata: Metadata,
    recipe: Option<Recipe>,
    /// Compressed, if it fits into the row.
    inline: Option<(u8, Vec<u8>)>,
    literal: Bytes,
    attachments: Vec<ingest::Attachment>,
    hash: [u8; 32],
}

/// How inline bytes are stored.
pub(crate) const PLAIN: u8 = 0;
pub(crate) const ZSTD: u8 = 1;
const ZSTD_LEVEL: i32 = 1;
/// From this size on parsing runs beside the async workers, not on them.
const LARGE: usize = 128 << 10;

impl Mail {
    /// Parses a message and makes its large parts durable. Nothing refers to them yet: a message that is not
    /// placed within the blob store's grace period is collected.
    pub async fn ingest(&self, raw: Bytes) -> Result<Message, Error> {
        let size = raw.len() as u64;
        if size == 0 {
            return Err(Error::Empty);
        }
        if size > self.options().message_size {
            return Err(Error::TooLarge { size, limit: self.options().message_size });
        }
        let (limits, attachment_size, inline_size) =
            (self.options().ingest, self.options().attachment_size, self.options().inline_size);
        let cut = parsed(&raw, move |raw| cut(raw, &limits, attachment_size, inline_size)).await?;
        self.ready(raw, cut).await
    }

    /// The record of a message that is not stored, from its source.
    pub async fn parse(&self, raw: &Bytes) -> Result<Metadata, Error> {
        let limits = self.options().ingest;
        parsed(raw, move |raw| ingest::metadata(raw, &limits)).await
    }

    /// How a message is made up that is not stored, from its source: as [`Mail::parse`] finds it.
    pub async fn structure(&self, raw: &Bytes) -> Result<Structure, Error> {
        let limits = self.options().ingest;
        parsed(raw, move |raw| ingest::structure(raw, &limits).0).await
    }

    async fn ready(&self, raw: Bytes, cut: Cut) -> Result<Message, Error> {
        let mut contents: Vec<(blake3::Hash, Bytes)> =
            cut.attachments.into_iter().map(|a| (a.hash.into(), Bytes::from(a.bytes))).collect();
        let mut record = SourceRecord {
            recipe: cut.recipe,
            size: raw.len() as u64,
            literal_size: cut.literal.len() as u64,
            hash: cut.hash,
            ..SourceRecord::default()
        };
        match cut.inline {
            Some((codec, inline)) => (record.codec, record.inline) = (codec, inline),
            None => {
                let hash = blake3::hash(&cut.literal);
                record.literal = Some(hash.into());
                contents.push((hash, cut.literal));
            }
        }
        let blobs = prepare(self.blobs(), contents).await?;
        Ok(Message(Arc::new(Inner {
            metadata_row: cut.metadata.to_bytes().into(),
            source_row: store::kv::encode::<Sources>(&record)?,
            metadata: cut.metadata,
            raw,
            blobs,
        })))
    }
}

impl Message {
    /// The message as it came.
    pub fn raw(&self) -> &Bytes {
        &self.0.raw
    }

    /// What is known of its content.
    pub fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// What it tells of another message, if it is a disposition notification.
    pub(crate) fn notification(&self) -> Option<Notification> {
        ingest::notification(&self.0.raw, &self.0.metadata.structure)
    }

    /// What it tells of the delivery of another message, if it is a delivery report.
    pub(crate) fn delivery_report(&self) -> Option<DeliveryReport> {
        ingest::delivery_report(&self.0.raw, &self.0.metadata.structure)
    }

    /// Its length in octets.
    pub fn size(&self) -> u64 {
        self.0.raw.len() as u64
    }

    pub(crate) fn metadata_row(&self) -> Bytes {
        self.0.metadata_row.clone()
    }

    pub(crate) fn source_row(&self) -> Bytes {
        self.0.source_row.clone()
    }

    pub(crate) fn blobs(&self) -> &[Prepared] {
        &self.0.blobs
    }

    /// About how many bytes of rows one placing writes.
    pub(crate) fn row_bytes(&self) -> usize {
        2_000 + self.0.metadata_row.len() + self.0.source_row.len()
    }
}

/// What parsing a source gives. A large one is parsed beside the async workers.
async fn parsed<T: Send + 'static>(
    raw: &Bytes,
    parse: impl FnOnce(&Bytes) -> T + Send + 'static,
) -> Result<T, Error> {
    if raw.len() < LARGE {
        return Ok(parse(raw));
    }
    let raw = raw.clone();
    let work = tokio::task::spawn_blocking(move || parse(&raw)).await;
    work.map_err(|error| Error::Unavailable(format!("parsing a message was cut short: {error}")))
}

fn cut(raw: &Bytes, limits: &ingest::Limits, attachment_size: usize, inline_size: usize) -> Cut {
    let metadata = ingest::metadata(raw, limits);
    let split = ingest::split(raw, &metadata.structure, attachment_size);
    let whole = split.recipe.cuts.is_empty();
    let literal = if whole { raw.clone() } else { split.literal(raw).into() };
    Cut {
        metadata,
        inline: inline(&literal, inline_size),
        literal,
        recipe: (!whole).then_some(split.recipe),
        attachments: split.attachments,
        hash: *blake3::hash(raw).as_bytes(),
    }
}

/// The literal bytes as the row holds them, if they fit.
pub(crate) fn inline(literal: &[u8], most: usize) -> Option<(u8, Vec<u8>)> {
    // Mail text seldom shrinks to less than a tenth: no need to try with a long one.
    if literal.len() > most * 10 {
        return None;
    }
    let packed = compress(literal).filter(|packed| packed.len() < literal.len());
    let (codec, bytes) = match packed {
        Some(packed) => (ZSTD, packed),
        None => (PLAIN, literal.to_vec()),
    };
    (bytes.len() <= most).then_some((codec, bytes))
}

fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    thread_local! {
        // Setting up a compressor costs more than a short message.
        static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> =
            RefCell::new(zstd::bulk::Compressor::new(ZSTD_LEVEL).ok());
    }
    COMPRESSOR.with_borrow_mut(|compressor| compressor.as_mut()?.compress(bytes).ok())
}

async fn prepare(blobs: &Blobs, contents: Vec<(blake3::Hash, Bytes)>) -> Result<Vec<Prepared>, Error> {
    if contents.is_empty() {
        return Ok(Vec::new());
    }
    let contents = contents.into_iter().map(|(hash, bytes)| Content::memory(bytes).with_hash(hash.into()));
    Ok(blobs.prepare_all(contents.collect()).await?)
}
