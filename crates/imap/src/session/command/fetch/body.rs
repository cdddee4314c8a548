//! The items of FETCH that carry a body: announced with their size, then sent chunk by chunk.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use mail::{Mail, Source, SourceStream};

use super::super::super::content::{Content, Decoder, Message};
use super::super::super::error::Error;
use crate::wire::command::{FetchItem, Rfc822};
use crate::wire::response::{FetchLine, Output};
use crate::wire::{Partial, Section, SectionText};

/// Bytes of a body that are read before its size is announced.
const READ_AHEAD: usize = 512 << 10;

/// A body on its way out.
pub(super) struct Body {
    /// `None` if there is no such part.
    size: Option<u64>,
    /// How many bytes are still owed to the client.
    left: u64,
    /// How many decoded bytes come before the first that is wanted.
    skip: u64,
    from: Supply,
}

enum Supply {
    Nothing,
    Bytes(Bytes),
    /// Chunks that were read before the size was announced, and the rest.
    Source(VecDeque<Bytes>, Box<SourceStream>),
    Decoded(Box<(SourceStream, Decoder)>),
}

impl Body {
    /// Opens what `item` names, if that is all of the message or a stretch of it, and in memory.
    pub(super) fn at_hand(item: &FetchItem, message: &mut Message) -> Result<Option<Self>, Error> {
        let partial = match item {
            FetchItem::Section { partial, .. } if is_whole(item) => *partial,
            item if is_whole(item) => None,
            _ => return Ok(None),
        };
        let Some(source) = message.source_at_hand()? else { return Ok(None) };
        let range = part_of(0..source.size(), partial);
        let size = range.end - range.start;
        let held = source.held(range);
        Ok(held.map(|bytes| Self { size: Some(size), left: size, skip: 0, from: Supply::Bytes(bytes) }))
    }

    /// Opens what `item` names; `None` if its transfer encoding is unknown.
    pub(super) async fn open(
        item: &FetchItem,
        message: &mut Message,
        mail: &Mail,
    ) -> Result<Option<Self>, Error> {
        match item {
            FetchItem::Section { section, partial, .. } => {
                Self::section(section, *partial, message, mail).await.map(Some)
            }
            FetchItem::Rfc822(what) => Self::section(&rfc822(*what), None, message, mail).await.map(Some),
            FetchItem::Binary { part, partial, .. } => Self::decoded(part, *partial, message, mail).await,
            FetchItem::BinarySize(part) => {
                let decoded = Self::decoded(part, None, message, mail).await?;
                Ok(decoded.map(|body| Self { left: 0, from: Supply::Nothing, ..body }))
            }
            _ => Ok(Some(Self { size: None, left: 0, skip: 0, from: Supply::Nothing })),
        }
    }

    /// Writes what comes before the bytes.
    pub(super) fn announce(&self, item: &FetchItem, line: &mut FetchLine, out: &mut Output) {
        match item {
            FetchItem::Section { section, partial, .. } => {
                line.section(section, partial.map(|p| p.origin), self.size, out)
            }
            FetchItem::Rfc822(what) => line.rfc822(*what, self.size.unwrap_or(0), out),
            FetchItem::Binary { part, partial, .. } => {
                line.binary(part, partial.map(|p| p.origin), self.size, out)
            }
            FetchItem::BinarySize(part) => line.binary_size(part, self.size.unwrap_or(0), out),
            _ => {}
        }
    }

    /// Sends all of it, if it is in memory; false if it has to be read.
    pub(super) fn send_at_once(&mut self, out: &mut Output) -> bool {
        let Supply::Bytes(bytes) = &mut self.from else { return self.left == 0 };
        if self.skip > 0 || self.left != bytes.len() as u64 {
            return false;
        }
        self.left = 0;
        out.body(std::mem::take(bytes));
        true
    }

    /// Sends the next chunk; true when all is sent. What was announced must come: a body that cannot be read to its
    /// end is the end of the connection.
    pub(super) async fn send(&mut self, out: &mut Output) -> Result<bool, Error> {
        if self.left == 0 {
            return Ok(true);
        }
        let chunk = self.next().await.inspect_err(|error| tracing::error!(%error, "message unreadable"));
        let Ok(Some(mut chunk)) = chunk else { return Err(Error::Torn) };
        let skipped = self.skip.min(chunk.len() as u64);
        self.skip -= skipped;
        chunk = chunk.split_off(usize::try_from(skipped).unwrap_or(usize::MAX));
        chunk.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= chunk.len() as u64;
        out.body(chunk);
        Ok(self.left == 0)
    }

    async fn next(&mut self) -> Result<Option<Bytes>, mail::Error> {
        match &mut self.from {
            Supply::Nothing => Ok(None),
            Supply::Bytes(bytes) => Ok(Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty())),
            Supply::Source(ready, stream) => match ready.pop_front() {
                Some(chunk) => Ok(Some(chunk)),
                None => stream.next().await,
            },
            Supply::Decoded(decoded) => {
                let (stream, decoder) = &mut **decoded;
                let mut plain = Vec::new();
                match stream.next().await? {
                    Some(chunk) => decoder.push(&chunk, &mut plain),
                    None => {
                        decoder.finish(&mut plain);
                        if plain.is_empty() {
                            return Ok(None);
                        }
                    }
                }
                Ok(Some(plain.into()))
            }
        }
    }

    async fn section(
        section: &Section,
        partial: Option<Partial>,
        message: &mut Message,
        mail: &Mail,
    ) -> Result<Self, Error> {
        Ok(match message.section(mail, section).await? {
            Content::Missing => Self { size: None, left: 0, skip: 0, from: Supply::Nothing },
            Content::Bytes(bytes) => Self::of(bytes, partial),
            Content::Range(range) => {
                let range = part_of(range, partial);
                let size = range.end - range.start;
                let source = message.source(mail).await?;
                let from = match source.held(range.clone()) {
                    Some(bytes) => Supply::Bytes(bytes),
                    None => {
                        let mut stream = source.stream(range);
                        let ready = read_ahead(&mut stream).await?;
                        Supply::Source(ready, Box::new(stream))
                    }
                };
                Self { size: Some(size), left: size, skip: 0, from }
            }
        })
    }

    /// A body that is in memory.
    fn of(bytes: Bytes, partial: Option<Partial>) -> Self {
        let range = part_of(0..bytes.len() as u64, partial);
        let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
        let bytes = bytes.slice(at(range.start)..at(range.end));
        let size = bytes.len() as u64;
        Self { size: Some(size), left: size, skip: 0, from: Supply::Bytes(bytes) }
    }

    /// The size has to be announced first, so a long encoded part is read twice rather than held in memory.
    async fn decoded(
        path: &[u32],
        partial: Option<Partial>,
        message: &mut Message,
        mail: &Mail,
    ) -> Result<Option<Self>, Error> {
        let Some((range, encoding)) = message.part(mail, path).await? else {
            return Ok(Some(Self { size: None, left: 0, skip: 0, from: Supply::Nothing }));
        };
        let Some(decoder) = Decoder::new(&encoding) else { return Ok(None) };
        let source = message.source(mail).await?;
        if let Some(bytes) = source.held(range.clone()) {
            return Ok(Some(Self::of(decoded_at_once(bytes, decoder), partial)));
        }
        let whole = decoded_size(source, range.clone(), decoder.clone()).await?;
        let wanted = part_of(0..whole, partial);
        let size = wanted.end - wanted.start;
        let from = Supply::Decoded(Box::new((source.stream(range), decoder)));
        Ok(Some(Self { size: Some(size), left: size, skip: wanted.start, from }))
    }
}

/// Whether an item shows a message as it is, or a stretch of it.
pub(super) fn is_whole(item: &FetchItem) -> bool {
    match item {
        FetchItem::Section { section, .. } => section.part.is_empty() && section.text == SectionText::All,
        FetchItem::Rfc822(what) => *what == Rfc822::Whole,
        _ => false,
    }
}

/// Reads the beginning before anything is announced: a short message that is damaged is then refused with a NO,
/// where afterwards only the end of the connection is left.
async fn read_ahead(stream: &mut SourceStream) -> Result<VecDeque<Bytes>, Error> {
    let (mut ready, mut length) = (VecDeque::new(), 0);
    while length < READ_AHEAD {
        let Some(chunk) = stream.next().await? else { break };
        length += chunk.len();
        ready.push_back(chunk);
    }
    Ok(ready)
}

fn decoded_at_once(bytes: Bytes, mut decoder: Decoder) -> Bytes {
    if matches!(decoder, Decoder::Identity) {
        return bytes;
    }
    let mut plain = Vec::with_capacity(bytes.len());
    decoder.push(&bytes, &mut plain);
    decoder.finish(&mut plain);
    plain.into()
}

async fn decoded_size(source: &Source, range: Range<u64>, mut decoder: Decoder) -> Result<u64, Error> {
    if matches!(decoder, Decoder::Identity) {
        return Ok(range.end.min(source.size()).saturating_sub(range.start));
    }
    let mut stream = source.stream(range);
    let (mut size, mut plain) = (0, Vec::new());
    while let Some(chunk) = stream.next().await? {
        plain.clear();
        decoder.push(&chunk, &mut plain);
        size += plain.len() as u64;
    }
    plain.clear();
    decoder.finish(&mut plain);
    Ok(size + plain.len() as u64)
}

/// `<origin.length>` of a range; beyond its end there is nothing.
fn part_of(range: Range<u64>, partial: Option<Partial>) -> Range<u64> {
    let Some(partial) = partial else { return range };
    let start = range.start.saturating_add(partial.origin).min(range.end);
    start..start.saturating_add(partial.length).min(range.end)
}

fn rfc822(what: Rfc822) -> Section {
    let text = match what {
        Rfc822::Whole => SectionText::All,
        Rfc822::Header => SectionText::Header,
        Rfc822::Text => SectionText::Text,
    };
    Section { part: Vec::new(), text }
}
