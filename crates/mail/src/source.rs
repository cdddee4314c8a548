//! An email's bytes, as they came: any range of them, in bounded chunks, put together from what was kept
//! inline, the literal blob and the attachments.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use store::blob::{BlobReader, Blobs, Hash};
use types::{AccountId, EmailId};

use crate::ingest::recipe::{Encoder, Recipe, Step};
use crate::message::{PLAIN, ZSTD};
use crate::table::SourceView;
use crate::{Error, Mail};

/// Where an email's bytes are. Cheap to clone.
#[derive(Clone)]
pub struct Source(Arc<Place>);

struct Place {
    holder: Holder,
    blobs: Blobs,
    recipe: Option<Recipe>,
    literal: Literal,
    size: u64,
    hash: [u8; 32],
}

/// The literal bytes: all of the message, or what the recipe did not cut out.
enum Literal {
    Inline(Bytes),
    Blob(Hash),
}

/// An email's bytes in the form that its row has: nothing is unpacked before [`Self::open`].
#[derive(Clone)]
pub struct Sealed {
    mail: Mail,
    holder: Holder,
    row: Bytes,
}

/// Whose bytes they are.
#[derive(Clone, Copy)]
pub(crate) enum Holder {
    Email(AccountId, EmailId),
    /// Whoever has packed them.
    Pack,
}

impl Holder {
    fn lost(self, what: &str) -> Error {
        match self {
            Self::Email(account, email) => Error::lost_email(account, email, what),
            Self::Pack => Error::DamagedPack(what.to_owned()),
        }
    }
}

/// A range of a source, chunk by chunk.
pub struct SourceStream {
    source: Source,
    pieces: VecDeque<Piece>,
    open: Option<Open>,
}

enum Piece {
    Literal(Range<u64>),
    Attachment {
        hash: [u8; 32],
        plain: Range<u64>,
        encoder: Encoder,
    },
    /// An attachment's own octets.
    Content(Hash, Range<u64>),
}

/// A blob that is being read.
struct Open {
    reader: BlobReader,
    encoder: Option<Encoder>,
}

impl Mail {
    /// Opens an email's bytes: one row read. Works for expunged emails too, while they can be brought back.
    pub async fn source(&self, account: AccountId, email: EmailId) -> Result<Source, Error> {
        let sealed = self.sources(account, &[email]).await?.pop().flatten();
        sealed.ok_or(Error::NoSuchEmail)?.open()
    }

    /// A source whose row is known. Inline bytes are unpacked once; what is not packed is not copied.
    pub(crate) fn open(&self, holder: Holder, row: &Bytes) -> Result<Source, Error> {
        let view: SourceView<'_> = minicbor::decode(row)
            .map_err(|error| holder.lost(&format!("its row cannot be read: {error}")))?;
        if view.recipe.as_ref().is_some_and(|recipe| !recipe.is_sound() || recipe.size != view.size) {
            return Err(holder.lost("the recipe of its source contradicts itself"));
        }
        let literal = match (view.literal, view.codec) {
            (Some(hash), _) => Literal::Blob(Hash::from_bytes(hash)),
            (None, PLAIN) => Literal::Inline(row.slice_ref(view.inline)),
            (None, ZSTD) => {
                let size = usize::try_from(view.literal_size).unwrap_or(usize::MAX);
                let unpacked = decompress(view.inline, size.min(64 << 20));
                let lost = |e| holder.lost(&format!("its source does not unpack: {e}"));
                Literal::Inline(unpacked.map_err(lost)?.into())
            }
            (None, codec) => {
                let what =
                    format!("its source is stored in a way (codec {codec}) that only a newer release knows");
                return Err(holder.lost(&what));
            }
        };
        let SourceView { recipe, size, hash, .. } = view;
        let blobs = self.blobs().clone();
        Ok(Source(Arc::new(Place { holder, blobs, recipe, literal, size, hash })))
    }
}

impl Sealed {
    pub(crate) const fn new(mail: Mail, holder: Holder, row: Bytes) -> Self {
        Self { mail, holder, row }
    }

    /// Unpacks what the row holds.
    pub fn open(&self) -> Result<Source, Error> {
        self.mail.open(self.holder, &self.row)
    }
}

impl Source {
    /// Octets of the whole message.
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// BLAKE3 of the whole message.
    pub fn hash(&self) -> [u8; 32] {
        self.0.hash
    }

    /// The octets of a range, if they are in memory already: then they are not copied. A range beyond the end is cut.
    pub fn held(&self, range: Range<u64>) -> Option<Bytes> {
        match (&self.0.literal, &self.0.recipe) {
            (Literal::Inline(literal), None) => Some(cut(literal, range)),
            _ => None,
        }
    }

    /// The octets of a range, in one piece. A range beyond the end is cut.
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        if let Some(held) = self.held(range.clone()) {
            return Ok(held);
        }
        let mut stream = self.stream(range);
        let Some(first) = stream.next().await? else { return Ok(Bytes::new()) };
        let Some(second) = stream.next().await? else { return Ok(first) };
        let mut whole = Vec::with_capacity(first.len() + second.len());
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(chunk) = stream.next().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.into())
    }

    /// The octets of a range, in chunks of some hundred kilobytes at most.
    pub fn stream(&self, range: Range<u64>) -> SourceStream {
        let pieces = match &self.0.recipe {
            None => {
                let end = range.end.min(self.0.size);
                VecDeque::from([Piece::Literal(range.start.min(end)..end)])
            }
            Some(recipe) => recipe.steps(range).map(Piece::from).collect(),
        };
        SourceStream { source: self.clone(), pieces, open: None }
    }

    /// A part's decoded content without decoding it, if it was cut out: `body` is where the part's body lies in
    /// the source.
    pub fn attachment(&self, body: Range<u64>) -> Option<(Hash, u64)> {
        let cut = self.0.recipe.as_ref()?.cut_in(body)?;
        Some((Hash::from_bytes(cut.hash), cut.len))
    }

    /// A range of a part's decoded content, in chunks, if the part was cut out; `body` is where its body lies in the source. A
    /// range beyond the end is cut.
    pub fn content(&self, body: Range<u64>, range: Range<u64>) -> Option<SourceStream> {
        let (hash, size) = self.attachment(body)?;
        let end = range.end.min(size);
        let pieces = VecDeque::from([Piece::Content(hash, range.start.min(end)..end)]);
        Some(SourceStream { source: self.clone(), pieces, open: None })
    }

    async fn blob(&self, hash: &Hash, range: Range<u64>) -> Result<BlobReader, Error> {
        self.0.blobs.read_range(hash, range).await.map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, error: &store::blob::Error) -> Error {
        match error {
            store::blob::Error::Unavailable(why) => Error::Unavailable(why.clone()),
            store::blob::Error::Kv(error) => error.clone().into(),
            lost => self.0.holder.lost(&lost.to_string()),
        }
    }
}

/// A range of bytes, without what of it lies beyond their end.
fn cut(bytes: &Bytes, range: Range<u64>) -> Bytes {
    let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(at(range.start.min(range.end))..at(range.end))
}

impl From<Step<'_>> for Piece {
    fn from(step: Step<'_>) -> Self {
        match step {
            Step::Literal(range) => Self::Literal(range),
            Step::Attachment { cut, plain, encoder } => Self::Attachment { hash: cut.hash, plain, encoder },
        }
    }
}

impl SourceStream {
    /// The next chunk, or `None` at the end. No chunk is empty.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let chunk = match &mut self.open {
                Some(open) => match open.next(&self.source).await? {
                    Some(chunk) => chunk,
                    None => {
                        self.open = None;
                        continue;
                    }
                },
                None => match self.pieces.pop_front() {
                    Some(piece) => match self.begin(piece).await? {
                        Some(chunk) => chunk,
                        None => continue,
                    },
                    None => return Ok(None),
                },
            };
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
    }

    /// Begins a piece: inline bytes come at once, blobs are opened.
    async fn begin(&mut self, piece: Piece) -> Result<Option<Bytes>, Error> {
        let source = &self.source;
        match piece {
            Piece::Literal(range) => match &source.0.literal {
                Literal::Inline(literal) => Ok(Some(cut(literal, range))),
                Literal::Blob(hash) => {
                    self.open = Some(Open { reader: source.blob(hash, range).await?, encoder: None });
                    Ok(None)
                }
            },
            Piece::Content(hash, range) => {
                self.open = Some(Open { reader: source.blob(&hash, range).await?, encoder: None });
                Ok(None)
            }
            Piece::Attachment { hash, plain, encoder } => {
                let reader = source.blob(&Hash::from_bytes(hash), plain).await?;
                self.open = Some(Open { reader, encoder: Some(encoder) });
                Ok(None)
            }
        }
    }
}

impl Open {
    async fn next(&mut self, source: &Source) -> Result<Option<Bytes>, Error> {
        let chunk = self.reader.next().await.map_err(|error| source.unreadable(&error))?;
        match (chunk, &mut self.encoder) {
            (Some(chunk), None) => Ok(Some(chunk)),
            (Some(chunk), Some(encoder)) => {
                let mut text = Vec::with_capacity(chunk.len() / 2 * 3);
                encoder.push(&chunk, &mut text);
                Ok(Some(text.into()))
            }
            (None, encoder) => Ok(encoder.take().map(|encoder| {
                let mut text = Vec::new();
                encoder.finish(&mut text);
                text.into()
            })),
        }
    }
}

fn decompress(packed: &[u8], size: usize) -> io::Result<Vec<u8>> {
    thread_local! {
        // Setting up a decompressor costs more than a short message.
        static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
            RefCell::new(zstd::bulk::Decompressor::new().ok());
    }
    DECOMPRESSOR.with_borrow_mut(|decompressor| match decompressor {
        Some(decompressor) => decompressor.decompress(packed, size),
        None => zstd::bulk::decompress(packed, size),
    })
}
