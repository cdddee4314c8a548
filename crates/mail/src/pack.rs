//! Packed messages: kept by others than accounts, as queues do, in the form that an email has. What is large is in the
//! same blobs that the email will share, so that a message which waits somewhere is not stored twice.

use bytes::Bytes;
use store::blob::Prepared;
use store::kv::encode;

use crate::message::inline;
use crate::source::Holder;
use crate::table::{SourceRecord, Sources};
use crate::{Error, Mail, Message, Source};

/// A message in the form in which it is kept: a row, and blobs that must be linked in the transaction that saves it.
#[derive(Clone, Debug)]
pub struct Packed {
    /// At most 90,000 bytes.
    pub row: Bytes,
    /// What the row refers to.
    pub blobs: Vec<Prepared>,
}

impl Mail {
    /// Packs a message. A short one is compressed and nothing more; of a long one the attachments are cut out, and
    /// what does not fit into a row is made durable.
    pub async fn pack(&self, raw: Bytes) -> Result<Packed, Error> {
        let small = !raw.is_empty() && raw.len() < self.options().attachment_size;
        // Nothing of so short a message can be worth cutting out: it need not be parsed.
        let inline = small.then(|| inline(&raw, self.options().inline_size)).flatten();
        let Some((codec, inline)) = inline else { return Ok(self.ingest(raw).await?.packed()) };
        let size = raw.len() as u64;
        let hash = *blake3::hash(&raw).as_bytes();
        let record =
            SourceRecord { codec, inline, size, literal_size: size, hash, ..SourceRecord::default() };
        Ok(Packed { row: encode::<Sources>(&record)?, blobs: Vec::new() })
    }

    /// Opens a packed message. `row` is [`Packed::row`]; its blobs must be linked by somebody.
    pub fn unpack(&self, row: &[u8]) -> Result<Source, Error> {
        self.open(Holder::Pack, &Bytes::copy_from_slice(row))
    }
}

impl Message {
    /// The message in the form in which it is kept.
    pub fn packed(&self) -> Packed {
        Packed { row: self.source_row(), blobs: self.blobs().to_vec() }
    }
}
