//! Blobs: octets that can be downloaded (RFC 8620 §6).
//!
//! A blob's id says where its octets are, not that anybody may have them: each access reads whether the email is there,
//! in the account that was named and that the user may see.

use std::borrow::Cow;

use bytes::Bytes;
use mail::record::{Part, Structure};
use mail::{Mail, Source, ingest};
use types::{AccountId, EmailId};

use crate::email::body::decoded;
use crate::email::letter::slice;
use crate::error::TransferError;
use crate::wire::id::{BlobId, BlobRoot};

/// The largest message or part that is unpacked in memory to find a part of it.
pub(crate) const UNPACKED: u64 = 128 << 20;

/// All octets of a blob.
pub(crate) async fn read(mail: &Mail, account: AccountId, blob: &BlobId) -> Result<Bytes, TransferError> {
    let email = match blob.root {
        BlobRoot::Email(email) => email,
        BlobRoot::Upload(hash) => {
            let content = mail.upload_content(account, hash).await?.ok_or(TransferError::NotFound)?;
            return inwards(content, &blob.parts);
        }
    };
    let source = source(mail, account, email).await?;
    let Some((first, rest)) = blob.parts.split_first() else {
        return Ok(source.read(0..source.size()).await?);
    };
    let structure = structure(mail, account, email, &source).await?;
    let part = named(&structure, *first)?;
    if part.size() > UNPACKED {
        return Err(TransferError::NotFound);
    }
    let body = source.read(part.body..part.end).await?;
    inwards(owned(part, &body), rest)
}

/// The message of an email that is there: expunged ones are not, though their octets may still be.
pub(crate) async fn source(mail: &Mail, account: AccountId, email: EmailId) -> Result<Source, TransferError> {
    let found = mail.email(account, &[email]).await?;
    found.into_iter().flatten().next().ok_or(TransferError::NotFound)?;
    Ok(mail.source(account, email).await?)
}

pub(crate) async fn structure(
    mail: &Mail,
    account: AccountId,
    email: EmailId,
    source: &Source,
) -> Result<Structure, TransferError> {
    let records = mail.records(account, &[email]).await?;
    let record = records.into_iter().flatten().next().ok_or(TransferError::NotFound)?;
    if record.cuts()?.contains(mail::record::Cuts::STRUCTURE) {
        let raw = source.read(0..source.size()).await?;
        return Ok(ingest::structure(&raw, &ingest::Limits::default()).0);
    }
    Ok(record.structure()?)
}

/// Goes from part to part, each in the message that the one before holds.
fn inwards(mut content: Bytes, parts: &[u32]) -> Result<Bytes, TransferError> {
    for index in parts {
        let (structure, _) = ingest::structure(&content, &ingest::Limits::default());
        let part = named(&structure, *index)?;
        content = owned(part, &slice(&content, part.body..part.end));
    }
    Ok(content)
}

/// Whether a part's octets are what it holds.
pub(crate) fn is_plain(part: &Part) -> bool {
    part.is_message() || ["", "7bit", "8bit", "binary"].contains(&part.encoding.as_str())
}

/// A part that has content of its own.
pub(crate) fn named(structure: &Structure, index: u32) -> Result<&Part, TransferError> {
    let part = usize::try_from(index).ok().and_then(|index| structure.part(index));
    part.filter(|part| !part.is_multipart()).ok_or(TransferError::NotFound)
}

fn owned(part: &Part, body: &Bytes) -> Bytes {
    match decoded(part, body) {
        Cow::Borrowed(same) => body.slice_ref(same),
        Cow::Owned(decoded) => decoded.into(),
    }
}
