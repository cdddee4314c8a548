//! Blobs: octets that can be downloaded (RFC 8620 §6).
//!
//! A blob's id says where its octets are, not that anybody may have them: each access reads whether the email is there,
//! in the account that was named and that the user may see.

use std::borrow::Cow;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use mail::record::{Part, Structure};
use mail::{Mail, Source};
use types::{AccountId, EmailId};

use crate::email::body::decoded;
use crate::email::letter::slice;
use crate::error::TransferError;
use crate::wire::id::{BlobId, BlobRoot};

/// The largest message or part that is unpacked in memory to find a part of it.
pub(crate) const UNPACKED: u64 = 128 << 20;

/// Octets of a blob that somebody has asked for.
pub(crate) struct Extract {
    /// Octets of the whole blob.
    pub(crate) size: u64,
    /// Those of the range that are there.
    pub(crate) octets: Bytes,
    /// How many had to be read for that.
    pub(crate) read: u64,
}

impl Extract {
    /// A range of octets that are all in memory.
    fn of(content: &Bytes, range: Range<u64>) -> Self {
        let size = content.len() as u64;
        Self { size, octets: slice(content, range), read: size }
    }

    /// A range that was read by itself.
    fn range(size: u64, octets: Bytes) -> Self {
        Self { size, read: octets.len() as u64, octets }
    }

    /// The same, when so many octets had to be read before.
    const fn after(mut self, octets: u64) -> Self {
        self.read = self.read.saturating_add(octets);
        self
    }
}

/// A message in memory, parts of which are wanted one after the other.
pub(crate) struct Enclosing {
    blob: BlobId,
    content: Bytes,
    structure: Structure,
}

impl Enclosing {
    /// The message that a part has to be looked for in, if that must be in memory for it: one that lies in another, or in
    /// an upload. The index of the part in it.
    pub(crate) fn of(blob: &BlobId) -> Option<(BlobId, u32)> {
        let (index, outer) = blob.parts.split_last()?;
        let alone = matches!(blob.root, BlobRoot::Email(_)) && outer.is_empty();
        (!alone).then(|| (BlobId { root: blob.root, parts: outer.to_vec() }, *index))
    }

    /// From its octets.
    pub(crate) async fn read(mail: &Mail, blob: BlobId, content: Bytes) -> Result<Self, TransferError> {
        let structure = mail.structure(&content).await?;
        Ok(Self { blob, content, structure })
    }

    /// Whether it is this one.
    pub(crate) fn is(&self, blob: &BlobId) -> bool {
        self.blob == *blob
    }

    /// What a part holds.
    pub(crate) fn part(&self, index: u32) -> Result<Bytes, TransferError> {
        let part = named(&self.structure, index)?;
        Ok(owned(part, &slice(&self.content, part.body..part.end)))
    }
}

/// All octets of a blob.
pub(crate) async fn read(mail: &Mail, account: AccountId, blob: &BlobId) -> Result<Bytes, TransferError> {
    Ok(extract(mail, account, blob, 0..u64::MAX).await?.octets)
}

/// A range of a blob's octets; what of it lies beyond the end is left out. No more is read than the range, unless it lies in
/// what has to be decoded as a whole: a part that is encoded and does not lie apart, or a message within a message.
pub(crate) async fn extract(
    mail: &Mail,
    account: AccountId,
    blob: &BlobId,
    range: Range<u64>,
) -> Result<Extract, TransferError> {
    let email = match (blob.root, blob.parts.as_slice()) {
        (BlobRoot::Email(email), _) => email,
        (BlobRoot::Upload(hash), []) => {
            let upload = mail.uploaded(account, hash).await?.ok_or(TransferError::NotFound)?;
            let mut stream = mail.upload_stream(account, hash, range);
            let mut octets = BytesMut::new();
            while let Some(piece) = stream.next().await? {
                octets.extend_from_slice(&piece);
            }
            return Ok(Extract::range(upload.size, octets.freeze()));
        }
        (BlobRoot::Upload(hash), parts) => {
            let content = mail.upload_content(account, hash).await?.ok_or(TransferError::NotFound)?;
            let whole = content.len() as u64;
            return Ok(Extract { read: whole, ..Extract::of(&inwards(mail, content, parts).await?, range) });
        }
    };
    let source = source(mail, account, email).await?;
    let Some((first, rest)) = blob.parts.split_first() else {
        return Ok(Extract::range(source.size(), source.read(range).await?));
    };
    let (structure, looked_at) = structure(mail, account, email, &source).await?;
    let part = named(&structure, *first)?;
    if rest.is_empty() && is_plain(part) {
        let place = |at: u64| part.body.saturating_add(at).min(part.end);
        let octets = source.read(place(range.start)..place(range.end)).await?;
        return Ok(Extract::range(part.size(), octets).after(looked_at));
    }
    let body = part.body..part.end;
    if rest.is_empty()
        && let Some((_, size)) = source.attachment(body.clone())
        && let Some(mut stream) = source.content(body.clone(), range.clone())
    {
        let mut octets = BytesMut::new();
        while let Some(piece) = stream.next().await? {
            octets.extend_from_slice(&piece);
        }
        return Ok(Extract::range(size, octets.freeze()).after(looked_at));
    }
    if part.size() > UNPACKED {
        return Err(TransferError::NotFound);
    }
    let body = source.read(body).await?;
    let mut extract = Extract::of(&inwards(mail, owned(part, &body), rest).await?, range);
    extract.read = body.len() as u64;
    Ok(extract.after(looked_at))
}

/// The message of an email that is there: expunged ones are not, though their octets may still be.
pub(crate) async fn source(mail: &Mail, account: AccountId, email: EmailId) -> Result<Source, TransferError> {
    let found = mail.email(account, &[email]).await?;
    found.into_iter().flatten().next().ok_or(TransferError::NotFound)?;
    Ok(mail.source(account, email).await?)
}

/// How a message is made up, and how many octets had to be read for that.
pub(crate) async fn structure(
    mail: &Mail,
    account: AccountId,
    email: EmailId,
    source: &Source,
) -> Result<(Structure, u64), TransferError> {
    let records = mail.records(account, &[email]).await?;
    let record = records.into_iter().flatten().next().ok_or(TransferError::NotFound)?;
    if record.cuts()?.contains(mail::record::Cuts::STRUCTURE) {
        let raw = source.read(0..source.size()).await?;
        return Ok((mail.structure(&raw).await?, raw.len() as u64));
    }
    Ok((record.structure()?, 0))
}

/// Goes from part to part, each in the message that the one before holds.
async fn inwards(mail: &Mail, mut content: Bytes, parts: &[u32]) -> Result<Bytes, TransferError> {
    for index in parts {
        let structure = mail.structure(&content).await?;
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
