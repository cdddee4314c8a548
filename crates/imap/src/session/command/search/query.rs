//! A search made ready: strings in Unicode and folded, sets resolved against the view.

use mail::search::Needle;
use types::{EmailId, Keyword, ModSeq, ThreadId, Timestamp};

use super::super::super::error::Error;
use super::super::super::view::View;
use crate::wire::command::SearchKey;
use crate::wire::{Date, Flag, MessageSet, Unit};

/// What a message must be.
#[derive(Debug)]
pub(super) enum Query {
    All,
    Nothing,
    Deleted,
    Keyword(Keyword),
    /// The field's name, and what it contains.
    Header(String, Needle),
    Body(Needle),
    Text(Needle),
    Before(Date),
    On(Date),
    Since(Date),
    /// Received at this second or before.
    Older(u64),
    /// Received at this second or after.
    Younger(u64),
    SavedBefore(Date),
    SavedOn(Date),
    SavedSince(Date),
    SentBefore(Date),
    SentOn(Date),
    SentSince(Date),
    Larger(u64),
    Smaller(u64),
    ModSeq(ModSeq),
    Email(EmailId),
    Thread(ThreadId),
    /// Messages by sequence number: sorted inclusive ranges.
    Numbers(Vec<(u32, u32)>),
    Not(Box<Self>),
    Or(Box<Self>, Box<Self>),
    And(Vec<Self>),
}

impl Query {
    /// Fails if the strings cannot be understood.
    pub(super) fn new(
        key: &SearchKey,
        charset: Option<&str>,
        view: &View,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let charset = Charset::named(charset)?;
        Self::build(key, &Terms { charset, view, now })
    }

    fn build(key: &SearchKey, terms: &Terms<'_>) -> Result<Self, Error> {
        let charset = &terms.charset;
        let ago = |seconds: u32| terms.now.secs().saturating_sub(seconds.into());
        let numbers = |unit, set: &MessageSet| Self::Numbers(terms.view.pick_leniently(unit, set).numbers());
        Ok(match key {
            SearchKey::All => Self::All,
            SearchKey::Nothing => Self::Nothing,
            SearchKey::Has(flag) => Self::flag(flag),
            SearchKey::Lacks(flag) => Self::Not(Box::new(Self::flag(flag))),
            SearchKey::Header(name, text) => Self::Header(name.clone(), charset.text(text)?),
            SearchKey::Body(text) => Self::Body(charset.text(text)?),
            SearchKey::Text(text) => Self::Text(charset.text(text)?),
            SearchKey::Before(date) => Self::Before(*date),
            SearchKey::On(date) => Self::On(*date),
            SearchKey::Since(date) => Self::Since(*date),
            SearchKey::Older(seconds) => Self::Older(ago(*seconds)),
            SearchKey::Younger(seconds) => Self::Younger(ago(*seconds)),
            SearchKey::SavedBefore(date) => Self::SavedBefore(*date),
            SearchKey::SavedOn(date) => Self::SavedOn(*date),
            SearchKey::SavedSince(date) => Self::SavedSince(*date),
            SearchKey::SentBefore(date) => Self::SentBefore(*date),
            SearchKey::SentOn(date) => Self::SentOn(*date),
            SearchKey::SentSince(date) => Self::SentSince(*date),
            SearchKey::Larger(size) => Self::Larger(*size),
            SearchKey::Smaller(size) => Self::Smaller(*size),
            SearchKey::ModSeq(modseq) => Self::ModSeq(*modseq),
            SearchKey::EmailId(id) => object(id, "M").map_or(Self::Nothing, |id| Self::Email(EmailId(id))),
            SearchKey::ThreadId(id) => object(id, "T").map_or(Self::Nothing, |id| Self::Thread(ThreadId(id))),
            SearchKey::Sequence(set) => numbers(Unit::Sequence, set),
            SearchKey::Uid(set) => numbers(Unit::Uid, set),
            SearchKey::Not(key) => Self::Not(Box::new(Self::build(key, terms)?)),
            SearchKey::Or(one, two) => {
                Self::Or(Box::new(Self::build(one, terms)?), Box::new(Self::build(two, terms)?))
            }
            SearchKey::And(keys) => {
                Self::And(keys.iter().map(|key| Self::build(key, terms)).collect::<Result<_, _>>()?)
            }
        })
    }

    /// Whether modseqs matter; then the answer tells the highest one.
    pub(super) fn names_modseq(&self) -> bool {
        match self {
            Self::ModSeq(_) => true,
            Self::Not(query) => query.names_modseq(),
            Self::Or(one, two) => one.names_modseq() || two.names_modseq(),
            Self::And(queries) => queries.iter().any(Self::names_modseq),
            _ => false,
        }
    }

    fn flag(flag: &Flag) -> Self {
        match flag {
            Flag::Deleted => Self::Deleted,
            Flag::Keyword(keyword) => Self::Keyword(keyword.clone()),
        }
    }
}

/// What a search program means depends on these.
struct Terms<'a> {
    charset: Charset,
    view: &'a View,
    now: Timestamp,
}

/// The number in an object id of ours.
fn object(id: &[u8], kind: &str) -> Option<u64> {
    let digits = std::str::from_utf8(id).ok()?.strip_prefix(kind)?;
    digits.parse().ok().filter(|number: &u64| number.to_string() == digits)
}

/// How the client wrote its strings.
struct Charset(&'static encoding_rs::Encoding);

impl Charset {
    /// Without a name, strings are UTF-8: US-ASCII is part of it, and IMAP4rev2 says so.
    fn named(name: Option<&str>) -> Result<Self, Error> {
        match name {
            None | Some("UTF-8" | "US-ASCII") => Ok(Self(encoding_rs::UTF_8)),
            Some(name) => encoding_rs::Encoding::for_label_no_replacement(name.as_bytes())
                .map(Self)
                .ok_or(Error::Charset),
        }
    }

    fn text(&self, bytes: &[u8]) -> Result<Needle, Error> {
        let text = self.0.decode_without_bom_handling_and_without_replacement(bytes);
        text.map(|text| Needle::new(&text)).ok_or(Error::Charset)
    }
}
