//! The messages that a search program names, found page by page: what SEARCH, SORT and THREAD have in common.

use mail::search::{Hit, Html, Order, Query, Results, Scope, SortKey};
use types::{ModSeq, Uid};

use super::super::super::announce::Tell;
use super::super::super::error::Error;
use super::super::super::user::User;
use super::super::super::view::View;
use super::super::tell_after;
use super::query::Reader;
use crate::wire::Unit;
use crate::wire::command::{SearchKey, SearchReturn};
use crate::wire::response::Output;

/// What is asked.
pub(in super::super) struct Program<'a> {
    pub(in super::super) key: &'a SearchKey,
    pub(in super::super) charset: Option<&'a str>,
    pub(in super::super) unit: Unit,
    /// The order of the results; what it leaves equal stays in the order of the mailbox (RFC 5256 §3).
    pub(in super::super) sort: Vec<Order>,
    /// What is told of them; `None` is all.
    pub(in super::super) returns: Option<SearchReturn>,
    /// Whether messages that the program names, and asks nothing else of, are not looked at.
    pub(in super::super) unseen: bool,
}

/// A search program being run.
pub(in super::super) struct Matching {
    results: Results,
    /// How many messages there were to look at.
    messages: usize,
    part: Part,
    /// What matches without looking, if the program names messages and nothing else.
    named: Option<Vec<Match>>,
    /// Whether the answer tells the highest modseq of what matches (RFC 7162 §3.1.5).
    pub(in super::super) by_modseq: bool,
    /// What may be told after it.
    pub(in super::super) tell: Tell,
}

/// How much of the results has to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    All,
    First(usize),
    Last(usize),
}

/// A message that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Match {
    pub(in super::super) number: u32,
    pub(in super::super) uid: Uid,
    /// Zero unless the search asks for modseqs, or had to look at the row anyway.
    pub(in super::super) modseq: ModSeq,
}

impl Matching {
    pub(in super::super) fn new(
        program: Program<'_>,
        user: &mut User,
        out: &mut Output,
    ) -> Result<Self, Error> {
        let Program { key, charset, unit, mut sort, returns, unseen } = program;
        user.view()?;
        let by_modseq = key.has_modseq();
        if by_modseq {
            user.enable_condstore(out);
        }
        // Numbers in the search program must not shift while it runs (RFC 9051 §7.5.1).
        let tell = if key.has_numbers() { Tell::KeepNumbers } else { tell_after(unit) };
        let (now, mail, account) = (user.clock.now(), user.mail.clone(), user.account);
        let view = user.view()?;
        let filter = Reader::new(charset, view, now)?.read(key)?.ordered();
        let part = Part::of(returns, by_modseq);
        let named = if unseen && !by_modseq { named(view, |uid| filter.by_uid(uid)) } else { None };
        sort.push(Order::ascending(SortKey::Uid));
        if let Part::Last(_) = part {
            sort = sort.into_iter().map(Order::reversed).collect();
        }
        let all = part == Part::All;
        let query = Query { filter, sort, collapse: false, html: Html::Source, modseqs: by_modseq, all };
        let scope = Scope::View { mailbox: view.mailbox, uids: view.known().clone() };
        let results = mail.search(account, scope, query);
        Ok(Self { results, messages: view.len() as usize, part, named, by_modseq, tell })
    }

    /// How many messages are left to look at.
    pub(in super::super) fn left(&self) -> usize {
        match self.named {
            Some(_) => 0,
            None => self.messages.saturating_sub(self.results.looked_at()),
        }
    }

    /// Looks at a page of messages; true when as many have been looked at as it takes.
    pub(in super::super) async fn step(&mut self) -> Result<bool, Error> {
        let wanted = match self.part {
            Part::All => usize::MAX,
            Part::First(count) | Part::Last(count) => count,
        };
        let wanted = wanted.saturating_sub(self.results.known().len());
        if wanted == 0 || self.results.is_over() || self.named.is_some() {
            return Ok(true);
        }
        match self.results.step(wanted).await {
            Err(mail::Error::NoSuchMailbox) => Err(Error::Deleted),
            stepped => Ok(stepped.map(|()| false)?),
        }
    }

    /// What matches and the client knows of, with its number.
    pub(in super::super) fn hits(&self, view: &View) -> Vec<(u32, Hit)> {
        let known = self.results.known().iter();
        known.filter_map(|hit| Some((view.number(hit.uid?)?, *hit))).collect()
    }

    /// What matches, in its order.
    pub(in super::super) fn found(&mut self, view: &View) -> Vec<Match> {
        if let Some(named) = self.named.take() {
            return named;
        }
        let matching = |hit: &Hit| {
            let uid = hit.uid?;
            Some(Match { number: view.number(uid)?, uid, modseq: hit.modseq.unwrap_or_default() })
        };
        let mut found: Vec<Match> = self.results.known().iter().filter_map(matching).collect();
        if let Part::Last(_) = self.part {
            found.reverse();
        }
        found
    }
}

impl Part {
    /// Part of the results has the numbers and ranges from one end that are asked for. A modseq is told of all results
    /// but where it is that of the first or the last.
    fn of(returns: Option<SearchReturn>, by_modseq: bool) -> Self {
        let Some(SearchReturn { min, max, count, all, partial, .. }) = returns else { return Self::All };
        if all || count || partial.is_some() && by_modseq {
            return Self::All;
        }
        let ends = partial.map(|range| (range.is_from_end(), range.farthest()));
        match (min, max, ends) {
            (_, false, Some((false, count))) => Self::First(count),
            (false, _, Some((true, count))) => Self::Last(count),
            (true, false, None) => Self::First(1),
            (false, true, None) => Self::Last(1),
            _ => Self::All,
        }
    }
}

impl Match {
    /// What the client calls it.
    pub(in super::super) const fn name(&self, unit: Unit) -> u32 {
        match unit {
            Unit::Sequence => self.number,
            Unit::Uid => self.uid.0,
        }
    }
}

/// The messages of the view that match, if their UIDs tell.
fn named(view: &View, matches: impl Fn(Uid) -> Option<bool>) -> Option<Vec<Match>> {
    let mut found = Vec::new();
    for (number, uid) in (1..).zip(view.known().iter()) {
        if matches(uid)? {
            found.push(Match { number, uid, modseq: ModSeq(0) });
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Cursor, Frame, ResultRange};

    #[test]
    fn how_much_has_to_be_known() {
        let range = |text: &'static str| ResultRange::parse(&mut Cursor::new(&Frame::line(text))).ok();
        let none = SearchReturn::default();
        let partial = |text| SearchReturn { partial: range(text), ..none };
        let (min, max) = (SearchReturn { min: true, ..none }, SearchReturn { max: true, ..none });
        for (returns, part) in [
            (none, Part::All),
            (SearchReturn { save: true, ..none }, Part::All),
            (min, Part::First(1)),
            (max, Part::Last(1)),
            (SearchReturn { max: true, ..min }, Part::All),
            (SearchReturn { count: true, ..min }, Part::All),
            (partial("11:20"), Part::First(20)),
            (partial("20:11"), Part::First(20)),
            (SearchReturn { min: true, ..partial("1:50") }, Part::First(50)),
            (SearchReturn { max: true, ..partial("1:50") }, Part::All),
            (SearchReturn { max: true, save: true, ..partial("-1:-50") }, Part::Last(50)),
            (SearchReturn { min: true, ..partial("-1:-50") }, Part::All),
            (SearchReturn { count: true, ..partial("1:50") }, Part::All),
        ] {
            assert_eq!(Part::of(Some(returns), false), part, "{returns:?}");
        }
        assert_eq!(Part::of(None, false), Part::All);
        assert_eq!(Part::of(Some(min), true), Part::First(1));
        assert_eq!(Part::of(Some(partial("1:50")), true), Part::All);
    }
}
