//! Uploads (RFC 8620 §6.1): a file comes in pieces, which go to the store's spool, and is kept when all of it is there.

use bytes::Bytes;
use mail::{Incoming, Mail};
use serde_json::json;
use types::AccountId;

use crate::error::TransferError;
use crate::service::to_bytes;
use crate::wire::id::{self, BlobId};

/// A file that is being uploaded.
pub struct Upload {
    incoming: Incoming,
    account: AccountId,
    media_type: String,
    /// Octets that may still come.
    left: u64,
    limit: u64,
}

impl Upload {
    pub(crate) fn new(mail: &Mail, account: AccountId, media_type: &str, limit: u64) -> Self {
        let incoming = mail.receive_upload(account);
        Self { incoming, account, media_type: media_type.to_owned(), left: limit, limit }
    }

    /// Takes the next piece. After an error the file is lost.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), TransferError> {
        let left = self.left.checked_sub(piece.len() as u64);
        self.left = left.ok_or(TransferError::TooLarge(self.limit))?;
        Ok(self.incoming.write(piece).await?)
    }

    /// Keeps the file, and says what it is called now. Durable when it returns.
    pub async fn finish(self) -> Result<Bytes, TransferError> {
        let upload = self.incoming.finish(&self.media_type).await?;
        Ok(to_bytes(&json!({
            "accountId": id::of_account(self.account),
            "blobId": BlobId::of_upload(upload.hash).to_string(),
            "type": upload.media_type,
            "size": upload.size,
        })))
    }
}
