//! Uploads: octets that a client has sent to make something of them, such as an attachment of an email that is still being
//! written. They are kept for a while, for the account that they were sent to and for nobody else; of too many the ones
//! that would go first go at once.

use std::ops::Range as Octets;
use std::time::Duration;

use bytes::Bytes;
use store::blob::{BlobReader, Content, Hash, Spool};
use store::kv::{Range, Transaction};
use types::{AccountId, Timestamp};

use crate::deliver::Failure;
use crate::table::{UploadRow, Uploads};
use crate::{Error, Mail};

/// An upload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upload {
    /// Names it within its account: equal content has an equal name.
    pub hash: [u8; 32],
    /// Octets.
    pub size: u64,
    /// What the client says that it is.
    pub media_type: String,
    /// When it goes.
    pub expires: Timestamp,
}

/// An upload that is being received: what has come is on disk, but for a little.
pub struct Incoming {
    mail: Mail,
    account: AccountId,
    spool: Spool,
}

/// Octets of an upload, chunk by chunk.
pub struct UploadStream {
    mail: Mail,
    account: AccountId,
    hash: Hash,
    range: Octets<u64>,
    reader: Option<BlobReader>,
}

impl Mail {
    /// How long an upload is kept after it was last sent (RFC 8620 §6.1: at least an hour).
    const UPLOAD_LIFE: Duration = Duration::from_hours(24);
    /// The most uploads of an account.
    const UPLOADS: usize = 1_000;
    /// Octets that the uploads of an account may have together, in messages of the greatest length.
    const UPLOAD_MESSAGES: u64 = 8;

    /// Keeps an upload that is in memory. Durable when it returns.
    pub async fn upload(
        &self,
        account: AccountId,
        content: Bytes,
        media_type: &str,
    ) -> Result<Upload, Error> {
        self.keep_upload(account, Content::memory(content), media_type).await
    }

    /// Begins to receive an upload, piece by piece.
    pub fn receive_upload(&self, account: AccountId) -> Incoming {
        Incoming { mail: self.clone(), account, spool: self.blobs().spool() }
    }

    async fn keep_upload(
        &self,
        account: AccountId,
        content: Content,
        media_type: &str,
    ) -> Result<Upload, Error> {
        let (size, limit) = (content.size(), self.options().message_size);
        if size > limit {
            return Err(Error::TooLarge { size, limit });
        }
        self.ensure_born(account).await?;
        loop {
            let prepared = &self.blobs().prepare(content.clone()).await?;
            let hash = *prepared.hash().as_bytes();
            let work = |tx: Transaction| async move {
                let (now, most) = (self.now(), limit.saturating_mul(Self::UPLOAD_MESSAGES));
                let mut others = tx.rows::<Uploads>(Range::new(Uploads::all(account))).all().await?;
                others.retain(|((_, other), _)| *other != hash);
                others.sort_by_key(|(_, row)| row.expires);
                let mut octets = others.iter().fold(size, |sum, (_, row)| sum.saturating_add(row.size));
                let mut count = others.len() + 1;
                for ((_, other), row) in others {
                    if row.expires > now && count <= Self::UPLOADS && octets <= most {
                        break;
                    }
                    self.forget_upload(&tx, account, &other)?;
                    octets = octets.saturating_sub(row.size);
                    count -= 1;
                }
                self.blobs().link(&tx, std::slice::from_ref(prepared), &holder(account)).await?;
                let expires = now.plus(Self::UPLOAD_LIFE);
                let media_type = media_type.to_owned();
                tx.save::<Uploads>(&(account, hash), &UploadRow { size, media_type, expires })?;
                Ok::<_, Failure>(expires)
            };
            match self.kv().run(work).await {
                Ok(expires) => return Ok(Upload { hash, size, media_type: media_type.to_owned(), expires }),
                Err(Failure::Mail(error)) => return Err(error),
                // Its content was known and has been swept meanwhile.
                Err(Failure::Vanished) => {}
            }
        }
    }

    /// An upload of the account, if it is still there.
    pub async fn uploaded(&self, account: AccountId, hash: [u8; 32]) -> Result<Option<Upload>, Error> {
        let key = &(account, hash);
        let row = self.look(|tx| async move { Ok(tx.snapshot_load::<Uploads>(key).await?) }).await?;
        let alive = row.filter(|row| row.expires > self.now());
        Ok(alive.map(|UploadRow { size, media_type, expires }| Upload { hash, size, media_type, expires }))
    }

    /// The octets of an upload of the account.
    pub async fn upload_content(&self, account: AccountId, hash: [u8; 32]) -> Result<Option<Bytes>, Error> {
        if self.uploaded(account, hash).await?.is_none() {
            return Ok(None);
        }
        let content = self.blobs().get(&Hash::from_bytes(hash)).await;
        content.map(Some).map_err(|error| unreadable(account, error))
    }

    /// A range of the octets of an upload that [`Self::uploaded`] has found. Nothing is read before the first chunk is asked
    /// for, and nothing but the range. A range beyond the end is cut.
    pub fn upload_stream(&self, account: AccountId, hash: [u8; 32], range: Octets<u64>) -> UploadStream {
        UploadStream { mail: self.clone(), account, hash: Hash::from_bytes(hash), range, reader: None }
    }

    /// Forgets uploads whose time is over.
    pub(crate) async fn forget_uploads(&self, account: AccountId) -> Result<u64, Error> {
        let work = |tx: Transaction| async move {
            let mut forgotten = 0;
            let mut rows = tx.rows::<Uploads>(Range::new(Uploads::all(account)).snapshot());
            while let Some(((_, hash), row)) = rows.next().await? {
                if row.expires <= self.now() {
                    // Read again, so that one which is sent once more at this moment stays.
                    let again = tx.load::<Uploads>(&(account, hash)).await?;
                    if again.is_some_and(|row| row.expires <= self.now()) {
                        self.forget_upload(&tx, account, &hash)?;
                        forgotten += 1;
                    }
                }
            }
            Ok::<_, Error>(forgotten)
        };
        self.kv().run(work).await
    }

    /// Forgets all uploads, whatever their time: for an account that is erased.
    pub(crate) async fn drop_uploads(&self, account: AccountId) -> Result<(), Error> {
        let work = |tx: Transaction| async move {
            for ((_, hash), _) in tx.rows::<Uploads>(Range::new(Uploads::all(account))).all().await? {
                self.forget_upload(&tx, account, &hash)?;
            }
            Ok::<_, Error>(())
        };
        self.kv().run(work).await
    }

    fn forget_upload(&self, tx: &Transaction, account: AccountId, hash: &[u8; 32]) -> Result<(), Error> {
        tx.remove::<Uploads>(&(account, *hash))?;
        Ok(self.blobs().unlink(tx, &Hash::from_bytes(*hash), &holder(account))?)
    }
}

impl Incoming {
    /// Takes the next piece. After an error nothing can be made of what came.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        let limit = self.mail.options().message_size;
        let size = self.spool.size().saturating_add(piece.len() as u64);
        if size > limit {
            return Err(Error::TooLarge { size, limit });
        }
        Ok(self.spool.write(piece).await?)
    }

    /// Keeps what has come, of this type. Durable when it returns.
    pub async fn finish(self, media_type: &str) -> Result<Upload, Error> {
        let content = self.spool.finish().await?;
        self.mail.keep_upload(self.account, content, media_type).await
    }
}

impl UploadStream {
    /// The next chunk, or `None` at the end. No chunk is empty.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => {
                let opened = self.mail.blobs().read_range(&self.hash, self.range.clone()).await;
                opened.map_err(|error| unreadable(self.account, error))?
            }
        };
        let chunk = self.reader.insert(reader).next().await;
        chunk.map_err(|error| unreadable(self.account, error))
    }
}

fn unreadable(account: AccountId, error: store::blob::Error) -> Error {
    match error {
        error @ (store::blob::Error::Unavailable(_) | store::blob::Error::Kv(_)) => error.into(),
        error => Error::Corrupt { account, what: format!("an upload: {error}") },
    }
}

/// Who needs the blob of an upload: the account as such.
fn holder(account: AccountId) -> [u8; 9] {
    let mut holder = [b'u'; 9];
    holder[..8].copy_from_slice(&account.to_be_bytes());
    holder
}
