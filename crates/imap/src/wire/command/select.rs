use types::{ModSeq, UidValidity};

use crate::wire::{Cursor, MailboxName, SequenceSet, Syntax};

/// `SELECT` (RFC 9051 §6.3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    /// Which mailbox.
    pub mailbox: MailboxName,
    /// How.
    pub options: SelectOptions,
}

/// `EXAMINE`: SELECT for reading only (RFC 9051 §6.3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examine {
    /// Which mailbox.
    pub mailbox: MailboxName,
    /// How.
    pub options: SelectOptions,
}

/// The parameters of SELECT and EXAMINE (RFC 4466 §2.1).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SelectOptions {
    /// `CONDSTORE` (RFC 7162 §3.1.8)
    pub condstore: bool,
    /// `QRESYNC (…)` (RFC 7162 §3.2.5)
    pub known: Option<Known>,
}

/// What a client that comes back knows of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The UIDVALIDITY that it saw.
    pub uidvalidity: UidValidity,
    /// Up to where it has seen changes.
    pub modseq: ModSeq,
    /// The UIDs that it knows, without `*`; all if absent.
    pub uids: Option<SequenceSet>,
    /// Some sequence numbers and the UIDs that they stood for, as many of each.
    pub sample: Option<(SequenceSet, SequenceSet)>,
}

impl Select {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        Ok(Self { mailbox: MailboxName::parse(cursor)?, options: SelectOptions::parse(cursor)? })
    }
}

impl Examine {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        Ok(Self { mailbox: MailboxName::parse(cursor)?, options: SelectOptions::parse(cursor)? })
    }
}

impl SelectOptions {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        let mut options = Self::default();
        if !cursor.take(b' ') {
            return Ok(options);
        }
        cursor.list1(|c| {
            match c.atom("CONDSTORE or QRESYNC")?.to_ascii_uppercase().as_str() {
                "CONDSTORE" => options.condstore = true,
                "QRESYNC" if options.known.is_none() => {
                    c.space()?;
                    options.known = Some(c.nested(Known::parse)?);
                }
                _ => return Err(c.expected("CONDSTORE or QRESYNC, once")),
            }
            Ok(())
        })?;
        Ok(options)
    }
}

impl Known {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.demand(b'(', "an opening parenthesis")?;
        let uidvalidity = UidValidity(cursor.positive()?);
        cursor.space()?;
        let modseq = cursor.modseq()?;
        if modseq == ModSeq(0) {
            return Err(cursor.expected("a mod-sequence above zero"));
        }
        let mut known = Self { uidvalidity, modseq, uids: None, sample: None };
        let mut more = cursor.take(b' ');
        if more && cursor.peek() != Some(b'(') {
            known.uids = Some(without_star(cursor)?);
            more = cursor.take(b' ');
        }
        if more {
            cursor.demand(b'(', "an opening parenthesis")?;
            let numbers = without_star(cursor)?;
            cursor.space()?;
            let uids = without_star(cursor)?;
            if numbers.len() != uids.len() {
                return Err(cursor.expected("as many UIDs as sequence numbers"));
            }
            cursor.demand(b')', "a closing parenthesis")?;
            known.sample = Some((numbers, uids));
        }
        cursor.demand(b')', "a closing parenthesis")?;
        Ok(known)
    }
}

fn without_star(cursor: &mut Cursor<'_>) -> Result<SequenceSet, Syntax> {
    let set = SequenceSet::parse(cursor)?;
    if set.has_star() { Err(cursor.expected("a set without *")) } else { Ok(set) }
}
