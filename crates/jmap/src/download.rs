//! Downloads (RFC 8620 §6.2): a blob is found first, and then as much of it is read as its reader asks for.
//!
//! Messages, uploads, and parts that lie apart or are not encoded come from the store piece by piece. Everything else has to
//! be decoded as a whole first, which is done for as many readers at once as there is room for.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mail::{Mail, Source, SourceStream, UploadStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use types::AccountId;

use crate::blob;
use crate::email::letter::slice;
use crate::error::TransferError;
use crate::wire::id::{BlobId, BlobRoot};

/// The unit in which room is counted, in octets.
const UNIT: u64 = 1 << 10;
/// How much there may be in memory of what had to be decoded, all readers together, in octets.
const ROOM: u32 = 256 << 20;
/// How long a reader waits for room.
const PATIENCE: Duration = Duration::from_secs(30);

/// Room for what has to be decoded before it can be read.
#[derive(Clone)]
pub(crate) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(units(ROOM.into()) as usize)))
    }
}

/// A blob that somebody may read.
pub struct Download {
    size: u64,
    octets: Octets,
}

enum Octets {
    /// A part of a message as it is stored, or all of it: from where on.
    Plain(Source, u64),
    /// A part that lies apart, decoded; where its body is in the message.
    Apart(Source, Range<u64>),
    Upload(Mail, AccountId, [u8; 32]),
    /// What had to be decoded, and the room that it takes.
    Memory(Bytes, OwnedSemaphorePermit),
}

/// Octets of a blob, piece by piece.
pub struct DownloadStream(Pieces);

enum Pieces {
    Source(Box<SourceStream>),
    Upload(Box<UploadStream>),
    Memory(Option<Bytes>, OwnedSemaphorePermit),
}

impl Download {
    /// Octets of the blob.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// A range of them, of which nothing has been read so far that need not be. A range beyond the end is cut.
    pub fn stream(self, range: Range<u64>) -> DownloadStream {
        let range = range.start.min(self.size)..range.end.min(self.size);
        DownloadStream(match self.octets {
            Octets::Plain(source, begin) => {
                Pieces::Source(Box::new(source.stream(begin + range.start..begin + range.end)))
            }
            Octets::Apart(source, body) => match source.content(body, range) {
                Some(stream) => Pieces::Source(Box::new(stream)),
                None => Pieces::Source(Box::new(source.stream(0..0))),
            },
            Octets::Upload(mail, account, hash) => {
                Pieces::Upload(Box::new(mail.upload_stream(account, hash, range)))
            }
            Octets::Memory(octets, room) => Pieces::Memory(Some(slice(&octets, range)), room),
        })
    }
}

impl DownloadStream {
    /// The next piece, or `None` at the end. No piece is empty.
    pub async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        match &mut self.0 {
            Pieces::Source(stream) => Ok(stream.next().await?),
            Pieces::Upload(stream) => Ok(stream.next().await?),
            Pieces::Memory(octets, _room) => Ok(octets.take().filter(|octets| !octets.is_empty())),
        }
    }
}

/// Finds a blob of an account.
pub(crate) async fn open(
    mail: &Mail,
    room: &Room,
    account: AccountId,
    blob: &str,
) -> Result<Download, TransferError> {
    let blob = BlobId::parse(blob).ok_or(TransferError::NotFound)?;
    let weight = match (blob.root, blob.parts.as_slice()) {
        (BlobRoot::Upload(hash), parts) => {
            let upload = mail.uploaded(account, hash).await?.ok_or(TransferError::NotFound)?;
            if parts.is_empty() {
                return Ok(Download {
                    size: upload.size,
                    octets: Octets::Upload(mail.clone(), account, hash),
                });
            }
            upload.size
        }
        (BlobRoot::Email(email), []) => {
            let source = blob::source(mail, account, email).await?;
            return Ok(Download { size: source.size(), octets: Octets::Plain(source, 0) });
        }
        (BlobRoot::Email(email), [first, rest @ ..]) => {
            let source = blob::source(mail, account, email).await?;
            let (structure, _read) = blob::structure(mail, account, email, &source).await?;
            let part = blob::named(&structure, *first)?;
            let body = part.body..part.end;
            if rest.is_empty() && blob::is_plain(part) {
                return Ok(Download { size: part.size(), octets: Octets::Plain(source, part.body) });
            }
            if rest.is_empty()
                && let Some((_, size)) = source.attachment(body.clone())
            {
                return Ok(Download { size, octets: Octets::Apart(source, body) });
            }
            part.size()
        }
    };
    if weight > blob::UNPACKED {
        return Err(TransferError::NotFound);
    }
    let permit = room.take(weight).await?;
    let octets = blob::read(mail, account, &blob).await?;
    Ok(Download { size: octets.len() as u64, octets: Octets::Memory(octets, permit) })
}

impl Room {
    async fn take(&self, octets: u64) -> Result<OwnedSemaphorePermit, TransferError> {
        match timeout(PATIENCE, self.0.clone().acquire_many_owned(units(octets))).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(TransferError::Unavailable),
        }
    }
}

fn units(octets: u64) -> u32 {
    u32::try_from(octets.div_ceil(UNIT)).unwrap_or(u32::MAX)
}
