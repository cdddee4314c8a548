//! Downloads (RFC 8620 §6.2): a blob is found first, and then as much of it is read as its reader asks for.
//!
//! Messages, uploads, and parts that lie apart or are not encoded come from the store piece by piece. Everything else has to
//! be decoded as a whole first, which is done for as many readers at once as there is room for. Readers may be slow, and each
//! account has a share of the room, so that those of one account do not keep out everybody else's.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mail::{Mail, Source, SourceStream, UploadStream};
use parking_lot::Mutex;
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
/// How much of it the readers of one account may have, in octets. What is larger by itself takes all of that, and is read while
/// the account has nothing else there.
const SHARE: u32 = ROOM / 4;
/// How long a reader waits for room.
const PATIENCE: Duration = Duration::from_secs(30);

/// Room for what has to be decoded before it can be read. All clones are the same.
#[derive(Clone)]
pub(crate) struct Room {
    all: Arc<Semaphore>,
    shares: Arc<Mutex<HashMap<AccountId, Share>>>,
}

/// What an account has of the room, as long as there is somebody who has some of it or waits for it.
struct Share {
    readers: usize,
    room: Arc<Semaphore>,
}

/// One reader of an account; the last takes the share with it.
struct Reader {
    room: Room,
    account: AccountId,
}

/// Room that is taken; it is given back when this is dropped.
struct Taken {
    _all: OwnedSemaphorePermit,
    _share: OwnedSemaphorePermit,
    _reader: Reader,
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
    Memory(Bytes, Taken),
}

/// Octets of a blob, piece by piece.
pub struct DownloadStream(Pieces);

enum Pieces {
    Source(Box<SourceStream>),
    Upload(Box<UploadStream>),
    Memory(Option<Bytes>, Taken),
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
    let taken = room.take(account, weight).await?;
    let octets = blob::read(mail, account, &blob).await?;
    Ok(Download { size: octets.len() as u64, octets: Octets::Memory(octets, taken) })
}

impl Default for Room {
    fn default() -> Self {
        Self { all: semaphore(ROOM), shares: Arc::default() }
    }
}

impl Room {
    async fn take(&self, account: AccountId, octets: u64) -> Result<Taken, TransferError> {
        match timeout(PATIENCE, self.wait(account, units(octets))).await {
            Ok(Some(taken)) => Ok(taken),
            _ => Err(TransferError::Unavailable),
        }
    }

    /// Waits for so many units, for as long as it takes. An account waits for its share first: whoever waits for the room as a
    /// whole stands in line before everybody else.
    async fn wait(&self, account: AccountId, size: u32) -> Option<Taken> {
        let (reader, share) = self.enter(account);
        let share = share.acquire_many_owned(size.min(units(SHARE.into()))).await.ok()?;
        let all = self.all.clone().acquire_many_owned(size).await.ok()?;
        Some(Taken { _all: all, _share: share, _reader: reader })
    }

    fn enter(&self, account: AccountId) -> (Reader, Arc<Semaphore>) {
        let mut shares = self.shares.lock();
        let share = shares.entry(account).or_insert_with(|| Share { readers: 0, room: semaphore(SHARE) });
        share.readers += 1;
        (Reader { room: self.clone(), account }, share.room.clone())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut shares = self.room.shares.lock();
        match shares.get_mut(&self.account) {
            Some(share) if share.readers > 1 => share.readers -= 1,
            _ => {
                shares.remove(&self.account);
            }
        }
    }
}

fn semaphore(octets: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(units(octets.into()) as usize))
}

fn units(octets: u64) -> u32 {
    u32::try_from(octets.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::future::BoxFuture;

    use super::*;

    const ALICE: AccountId = AccountId(1);
    const HALF: u64 = SHARE as u64 / 2;

    impl Room {
        fn ask(&self, account: AccountId, octets: u64) -> BoxFuture<'_, Result<Taken, TransferError>> {
            self.take(account, octets).boxed()
        }

        /// Takes room that is there.
        fn have(&self, account: AccountId, octets: u64) -> Taken {
            self.ask(account, octets).now_or_never().unwrap().unwrap()
        }
    }

    #[tokio::test]
    async fn readers_of_one_account_keep_out_nobody_else() {
        let room = Room::default();
        let (first, second) = (room.have(ALICE, HALF), room.have(ALICE, HALF));
        let mut third = room.ask(ALICE, HALF);
        assert!((&mut third).now_or_never().is_none(), "there is a share of the room for one account");
        // Who waits for a share does not stand in the way of others.
        let others: Vec<Taken> = (2..5).map(|account| room.have(AccountId(account), SHARE.into())).collect();
        let mut last = room.ask(AccountId(5), 1);
        assert!((&mut last).now_or_never().is_none(), "the room is full");
        drop(first);
        assert!(last.now_or_never().is_some_and(|taken| taken.is_ok()));
        drop(second);
        assert!(third.now_or_never().is_some_and(|taken| taken.is_ok()));
        drop(others);
        assert!(room.shares.lock().is_empty());
        assert_eq!(room.all.available_permits(), units(ROOM.into()) as usize);
    }

    #[tokio::test]
    async fn what_is_larger_than_a_share_is_alone() {
        let room = Room::default();
        let large = room.have(ALICE, blob::UNPACKED);
        assert_eq!(room.all.available_permits(), units(u64::from(ROOM) - blob::UNPACKED) as usize);
        assert!(room.ask(ALICE, 1).now_or_never().is_none());
        assert_eq!(room.shares.lock()[&ALICE].readers, 1, "who does not wait any more is forgotten");
        drop(large);
        room.have(ALICE, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let room = Room::default();
        let _all_of_it = room.have(ALICE, SHARE.into());
        assert!(matches!(room.take(ALICE, 1).await, Err(TransferError::Unavailable)));
    }
}
