use types::ModSeq;

use crate::wire::{Cursor, MessageSet, Partial, ResultRange, Section, Syntax, Unit};

/// `FETCH` (RFC 9051 §6.4.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// What the numbers name.
    pub unit: Unit,
    /// Which messages.
    pub messages: MessageSet,
    /// What of them, macros resolved, each thing once.
    pub items: Vec<FetchItem>,
    /// `CHANGEDSINCE`: only what has changed since (RFC 7162 §3.1.4.1).
    pub changed_since: Option<ModSeq>,
    /// `PARTIAL`: only some of them (RFC 9394 §3.3).
    pub partial: Option<ResultRange>,
    /// `VANISHED`: tell too what has left since (RFC 7162 §3.2.6).
    pub vanished: bool,
}

/// A data item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchItem {
    /// `BODY`: the structure without extension data.
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `EMAILID` (RFC 8474)
    EmailId,
    /// `ENVELOPE`
    Envelope,
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `MODSEQ` (RFC 7162)
    ModSeq,
    /// `PREVIEW`; with LAZY or without, it is at hand (RFC 8970)
    Preview,
    /// `RFC822`, `RFC822.HEADER`, `RFC822.TEXT` (IMAP4rev1)
    Rfc822(Rfc822),
    /// `SAVEDATE` (RFC 8514)
    SaveDate,
    /// `RFC822.SIZE`
    Size,
    /// `THREADID` (RFC 8474)
    ThreadId,
    /// `UID`
    Uid,
    /// `BODY[…]<…>`, `BODY.PEEK[…]<…>`
    Section {
        /// What of the message.
        section: Section,
        /// Which bytes of that.
        partial: Option<Partial>,
        /// Whether `\Seen` stays as it is.
        peek: bool,
    },
    /// `BINARY[…]<…>`, `BINARY.PEEK[…]<…>`: without its transfer encoding
    Binary {
        /// Which part.
        part: Vec<u32>,
        /// Which bytes of that.
        partial: Option<Partial>,
        /// Whether `\Seen` stays as it is.
        peek: bool,
    },
    /// `BINARY.SIZE[…]`
    BinarySize(Vec<u32>),
}

/// What of a message under its IMAP4rev1 name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rfc822 {
    /// `RFC822`: everything
    Whole,
    /// `RFC822.HEADER`
    Header,
    /// `RFC822.TEXT`
    Text,
}

impl Fetch {
    pub(super) fn parse(unit: Unit, cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        let messages = MessageSet::parse(cursor)?;
        cursor.space()?;
        let mut items = if cursor.peek() == Some(b'(') {
            cursor.list1(FetchItem::parse)?
        } else {
            match take_macro(cursor) {
                Some(items) => items,
                None => vec![FetchItem::parse(cursor)?],
            }
        };
        let Modifiers { changed_since, partial, vanished } = Modifiers::parse(unit, cursor)?;
        if unit == Unit::Uid {
            items.insert(0, FetchItem::Uid);
        }
        if changed_since.is_some() {
            items.push(FetchItem::ModSeq);
        }
        let mut once: Vec<FetchItem> = Vec::with_capacity(items.len().min(32));
        for item in items {
            if !once.contains(&item) {
                once.push(item);
            }
        }
        Ok(Self { unit, messages, items: once, changed_since, partial, vanished })
    }
}

impl FetchItem {
    /// Whether reading it sets `\Seen`.
    pub fn marks_seen(&self) -> bool {
        match self {
            Self::Section { peek, .. } | Self::Binary { peek, .. } => !peek,
            Self::Rfc822(what) => *what != Rfc822::Header,
            _ => false,
        }
    }

    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        let name = cursor.run(|b| b.is_ascii_alphanumeric() || b == b'.').to_ascii_uppercase();
        let bracket = cursor.peek() == Some(b'[');
        Ok(match (&name[..], bracket) {
            (b"BODY", true) => Self::section(cursor, false)?,
            (b"BODY.PEEK", true) => Self::section(cursor, true)?,
            (b"BINARY", true) => Self::binary(cursor, false)?,
            (b"BINARY.PEEK", true) => Self::binary(cursor, true)?,
            (b"BINARY.SIZE", true) => Self::BinarySize(Section::parse_part(cursor)?),
            (b"BODY", false) => Self::Body,
            (b"BODYSTRUCTURE", false) => Self::BodyStructure,
            (b"EMAILID", false) => Self::EmailId,
            (b"ENVELOPE", false) => Self::Envelope,
            (b"FLAGS", false) => Self::Flags,
            (b"INTERNALDATE", false) => Self::InternalDate,
            (b"MODSEQ", false) => Self::ModSeq,
            (b"PREVIEW", false) => {
                let _ = cursor.take_word(" (LAZY)");
                Self::Preview
            }
            (b"SAVEDATE", false) => Self::SaveDate,
            (b"RFC822", false) => Self::Rfc822(Rfc822::Whole),
            (b"RFC822.HEADER", false) => Self::Rfc822(Rfc822::Header),
            (b"RFC822.TEXT", false) => Self::Rfc822(Rfc822::Text),
            (b"RFC822.SIZE", false) => Self::Size,
            (b"THREADID", false) => Self::ThreadId,
            (b"UID", false) => Self::Uid,
            _ => return Err(cursor.expected("a data item of FETCH")),
        })
    }

    fn section(cursor: &mut Cursor<'_>, peek: bool) -> Result<Self, Syntax> {
        let section = Section::parse(cursor)?;
        Ok(Self::Section { section, partial: Partial::parse(cursor)?, peek })
    }

    fn binary(cursor: &mut Cursor<'_>, peek: bool) -> Result<Self, Syntax> {
        let part = Section::parse_part(cursor)?;
        Ok(Self::Binary { part, partial: Partial::parse(cursor)?, peek })
    }
}

/// `fetch-modifiers` (RFC 4466 §2.4).
#[derive(Default)]
struct Modifiers {
    changed_since: Option<ModSeq>,
    partial: Option<ResultRange>,
    vanished: bool,
}

impl Modifiers {
    /// `[SP fetch-modifiers]`, each once. VANISHED belongs to UID FETCH with CHANGEDSINCE, PARTIAL to UID FETCH.
    fn parse(unit: Unit, cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        let mut modifiers = Self::default();
        if !cursor.take(b' ') {
            return Ok(modifiers);
        }
        cursor.list1(|c| {
            match c.atom("a modifier of FETCH")?.to_ascii_uppercase().as_str() {
                "CHANGEDSINCE" if modifiers.changed_since.is_none() => {
                    c.space()?;
                    modifiers.changed_since = Some(c.modseq()?);
                }
                "PARTIAL" if unit == Unit::Uid && modifiers.partial.is_none() => {
                    c.space()?;
                    modifiers.partial = Some(ResultRange::parse(c)?);
                }
                "VANISHED" if unit == Unit::Uid => modifiers.vanished = true,
                _ => return Err(c.expected("CHANGEDSINCE, or PARTIAL or VANISHED in UID FETCH, once")),
            }
            Ok(())
        })?;
        if modifiers.vanished && modifiers.changed_since.is_none() {
            return Err(cursor.expected("CHANGEDSINCE beside VANISHED"));
        }
        Ok(modifiers)
    }
}

/// `ALL`, `FAST` and `FULL` stand alone.
fn take_macro(cursor: &mut Cursor<'_>) -> Option<Vec<FetchItem>> {
    use FetchItem::{Body, Envelope, Flags, InternalDate, Size};
    if cursor.take_word("ALL") {
        Some(vec![Flags, InternalDate, Size, Envelope])
    } else if cursor.take_word("FAST") {
        Some(vec![Flags, InternalDate, Size])
    } else if cursor.take_word("FULL") {
        Some(vec![Flags, InternalDate, Size, Envelope, Body])
    } else {
        None
    }
}
