//! Blobs: octets that can be downloaded (RFC 8620 §6).
//!
//! A blob's id says where its octets are, not that anybody may have them: each access reads whether the email is there,
//! in the account that was named and that the user may see.

use std::borrow::Cow;

use bytes::Bytes;
use mail::record::{Part, Structure};
use mail::{Mail, Source, SourceStream, ingest};
use types::{AccountId, EmailId};

use crate::email::body::decoded;
use crate::email::letter::slice;
use crate::error::TransferError;
use crate::wire::id::{BlobId, BlobRoot};

/// The largest message or part that is unpacked in memory to find a part of it.
const UNPACKED: u64 = 128 << 20;

/// A blob that is being downloaded.
pub struct Download {
    size: u64,
    octets: Octets,
}

enum Octets {
    /// A message as it is stored, in pieces.
    Stream(Box<SourceStream>),
    /// What had to be decoded.
    Memory(Option<Bytes>),
}

impl Download {
    fn memory(octets: Bytes) -> Self {
        Self { size: octets.len() as u64, octets: Octets::Memory(Some(octets)) }
    }

    fn stream(source: &Source) -> Self {
        Self { size: source.size(), octets: Octets::Stream(Box::new(source.stream(0..source.size()))) }
    }

    /// Octets of it.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The next piece, or `None` at the end. No piece is empty.
    pub async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        match &mut self.octets {
            Octets::Stream(stream) => Ok(stream.next().await?),
            Octets::Memory(octets) => Ok(octets.take().filter(|octets| !octets.is_empty())),
        }
    }
}

/// Opens a blob of an account.
pub(crate) async fn open(mail: &Mail, account: AccountId, blob: &str) -> Result<Download, TransferError> {
    let blob = BlobId::parse(blob).ok_or(TransferError::NotFound)?;
    match blob.root {
        BlobRoot::Email(email) if blob.parts.is_empty() => {
            Ok(Download::stream(&source(mail, account, email).await?))
        }
        _ => Ok(Download::memory(read(mail, account, &blob).await?)),
    }
}

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
async fn source(mail: &Mail, account: AccountId, email: EmailId) -> Result<Source, TransferError> {
    let found = mail.email(account, &[email]).await?;
    found.into_iter().flatten().next().ok_or(TransferError::NotFound)?;
    Ok(mail.source(account, email).await?)
}

async fn structure(
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

/// A part that has content of its own.
fn named(structure: &Structure, index: u32) -> Result<&Part, TransferError> {
    let part = usize::try_from(index).ok().and_then(|index| structure.part(index));
    part.filter(|part| !part.is_multipart()).ok_or(TransferError::NotFound)
}

fn owned(part: &Part, body: &Bytes) -> Bytes {
    match decoded(part, body) {
        Cow::Borrowed(same) => body.slice_ref(same),
        Cow::Owned(decoded) => decoded.into(),
    }
}
