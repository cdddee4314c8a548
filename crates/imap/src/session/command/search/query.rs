//! A search program in the words of a search: strings in Unicode and folded, days as spans of time, sets of numbers as
//! UIDs of the view.

use mail::search::{Filter, Leaf, Needle, Span};
use types::{EmailId, ThreadId, Timestamp, Uid};

use super::super::super::error::Error;
use super::super::super::view::View;
use crate::wire::command::SearchKey;
use crate::wire::{Date, Flag, MessageSet, Unit};

/// What a search program means depends on these.
pub(super) struct Reader<'a> {
    charset: Charset,
    view: &'a View,
    now: Timestamp,
}

impl<'a> Reader<'a> {
    /// Fails if the charset is not known.
    pub(super) fn new(charset: Option<&str>, view: &'a View, now: Timestamp) -> Result<Self, Error> {
        Ok(Self { charset: Charset::named(charset)?, view, now })
    }

    /// Fails if the strings cannot be understood.
    pub(super) fn read(&self, key: &SearchKey) -> Result<Filter, Error> {
        let seconds = |seconds: u64| Timestamp(seconds.saturating_mul(1000));
        let ago = |by: u32| self.now.secs().saturating_sub(by.into());
        let text = |text| self.charset.text(text).map(Box::new);
        Ok(match key {
            SearchKey::All => Filter::ALL,
            SearchKey::Nothing => Filter::NONE,
            SearchKey::Has(flag) => flagged(flag),
            SearchKey::Lacks(flag) => flagged(flag).negated(),
            SearchKey::Header(name, wanted) => Leaf::Field(name.clone(), Some(text(wanted)?)).into(),
            SearchKey::Body(wanted) => Leaf::Body(text(wanted)?).into(),
            SearchKey::Text(wanted) => {
                let needle = text(wanted)?;
                Filter::Or(vec![Leaf::Header(needle.clone()).into(), Leaf::Body(needle).into()])
            }
            SearchKey::Before(date) => Leaf::Received(before(*date)).into(),
            SearchKey::On(date) => Leaf::Received(on(*date)).into(),
            SearchKey::Since(date) => Leaf::Received(since(*date)).into(),
            SearchKey::Older(by) => {
                let to = Some(seconds(ago(*by).saturating_add(1)));
                Leaf::Received(Span { to, ..Span::default() }).into()
            }
            SearchKey::Younger(by) => Leaf::Received(Span { from: seconds(ago(*by)), to: None }).into(),
            SearchKey::SavedBefore(date) => Leaf::Saved(before(*date)).into(),
            SearchKey::SavedOn(date) => Leaf::Saved(on(*date)).into(),
            SearchKey::SavedSince(date) => Leaf::Saved(since(*date)).into(),
            // The day that the Date field names, in the sender's own zone (RFC 9051 §6.4.4).
            SearchKey::SentBefore(date) => Leaf::Sent(i64::MIN, date.begins()).into(),
            SearchKey::SentOn(date) => Leaf::Sent(date.begins(), date.next().begins()).into(),
            SearchKey::SentSince(date) => Leaf::Sent(date.begins(), i64::MAX).into(),
            SearchKey::Larger(size) => match size.checked_add(1) {
                Some(least) => Leaf::Size(least, None).into(),
                None => Filter::NONE,
            },
            SearchKey::Smaller(size) => Leaf::Size(0, Some(*size)).into(),
            SearchKey::ModSeq(modseq) => Leaf::Since(*modseq).into(),
            SearchKey::EmailId(id) => {
                object(id, "M").map_or(Filter::NONE, |id| Leaf::Content(EmailId(id)).into())
            }
            SearchKey::ThreadId(id) => {
                object(id, "T").map_or(Filter::NONE, |id| Leaf::FirstThread(ThreadId(id)).into())
            }
            SearchKey::Sequence(set) => self.set(Unit::Sequence, set),
            SearchKey::Uid(set) => self.set(Unit::Uid, set),
            SearchKey::Not(key) => self.read(key)?.negated(),
            SearchKey::Or(one, two) => Filter::Or(vec![self.read(one)?, self.read(two)?]),
            SearchKey::And(keys) => {
                Filter::And(keys.iter().map(|key| self.read(key)).collect::<Result<_, _>>()?)
            }
        })
    }

    /// Between the first and the last of messages in a row, the mailbox has no others.
    fn set(&self, unit: Unit, set: &MessageSet) -> Filter {
        let picked = self.view.pick_leniently(unit, set);
        if picked.len() == self.view.len() as usize {
            return Filter::ALL;
        }
        let uid = |number| self.view.uid_at(number);
        let ranges = picked.numbers().into_iter();
        let ranges: Vec<(Uid, Uid)> = ranges.filter_map(|(first, last)| uid(first).zip(uid(last))).collect();
        if ranges.is_empty() { Filter::NONE } else { Leaf::Uids(ranges).into() }
    }
}

fn flagged(flag: &Flag) -> Filter {
    match flag {
        Flag::Deleted => Leaf::Deleted.into(),
        Flag::Keyword(keyword) => Leaf::Keyword(keyword.clone()).into(),
    }
}

/// Days are those of UTC.
fn before(date: Date) -> Span {
    Span { from: Timestamp(0), to: Some(Timestamp::from_secs(date.begins())) }
}

fn on(date: Date) -> Span {
    since(date).and(before(date.next()))
}

fn since(date: Date) -> Span {
    Span { from: Timestamp::from_secs(date.begins()), to: None }
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
