//! SEARCH (RFC 9051 §6.4.4) with ESEARCH's results (§7.3.4), ranges of them (RFC 9394) and the saved result `$`
//! (§6.4.4.1).
//!
//! What matches is found by [`mail::search`], page by page over the messages of the view, and no further than what is
//! asked for.

pub(super) mod matching;
mod query;

use std::ops::Range;

use types::{ModSeq, Uid};

use self::matching::{Match, Matching, Program};
use super::super::error::Error;
use super::super::user::User;
use super::{Finished, Outcome, Task};
use crate::wire::command::{Search, SearchReturn, Tag};
use crate::wire::response::{self, EsearchResult, Output, Reply};
use crate::wire::{Dialect, Unit};

/// A SEARCH in progress.
pub(in super::super) struct Searching {
    unit: Unit,
    returns: Option<SearchReturn>,
    matching: Matching,
}

pub(super) fn run(command: Search, user: &mut User, out: &mut Output) -> Result<Outcome, Error> {
    let Search { unit, returns, charset, key } = command;
    if user.utf8_accept && charset.is_some() {
        return Err(Error::Bad("UTF8=ACCEPT is enabled: strings are in UTF-8, and CHARSET is not said"));
    }
    let sort = Vec::new();
    let program = Program { key: &key, charset: charset.as_deref(), unit, sort, returns, unseen: true };
    let matching = Matching::new(program, user, out);
    let matching = matching.inspect_err(|_| nothing_saved(returns, user))?;
    Ok(Outcome::Task(Task::Search(Box::new(Searching { unit, returns, matching }))))
}

/// A search that fails leaves nothing saved (RFC 9051 §6.4.4.1).
pub(super) fn nothing_saved(returns: Option<SearchReturn>, user: &mut User) {
    if let Some(view) = user.view.as_mut().filter(|_| returns.is_some_and(|returns| returns.save)) {
        view.saved.clear();
    }
}

impl Searching {
    /// How many messages are left to look at.
    pub(super) fn left(&self) -> usize {
        self.matching.left()
    }

    /// Looks at a page of messages, or answers.
    pub(super) async fn step(
        &mut self,
        user: &mut User,
        tag: &Tag,
        out: &mut Output,
    ) -> Result<Finished, Error> {
        let over = self.matching.step().await;
        if !over.inspect_err(|_| nothing_saved(self.returns, user))? {
            return Ok(None);
        }
        // IMAP4rev2 knows no other answer than ESEARCH (RFC 9051 §6.4.4).
        let returns = match (self.returns, user.dialect) {
            (Some(returns), _) => Some(returns),
            (None, Dialect::Rev2) => Some(SearchReturn { all: true, ..SearchReturn::default() }),
            (None, Dialect::Rev1 | Dialect::Utf8) => None,
        };
        let found = self.matching.found(user.view()?);
        let Matching { by_modseq, tell, .. } = &self.matching;
        match returns {
            Some(returns) => extended(&found, returns, *by_modseq, self.unit, tag, user, out)?,
            None => {
                let highest = highest(&found, *by_modseq);
                response::search("SEARCH", found.iter().map(|m| m.name(self.unit)), highest, out);
            }
        }
        Ok(Some((Reply::ok("searched"), *tell)))
    }
}

/// The answer with result options: `found` is in the order of the results.
pub(super) fn extended(
    found: &[Match],
    returns: SearchReturn,
    by_modseq: bool,
    unit: Unit,
    tag: &Tag,
    user: &mut User,
    out: &mut Output,
) -> Result<(), Error> {
    let SearchReturn { min, max, count, all, partial, save } = returns;
    if save {
        user.view()?.saved = to_save(found, returns);
    }
    if !(min || max || count || all || partial.is_some()) {
        return Ok(());
    }
    let names = |range: Range<usize>| found.get(range).unwrap_or_default().iter().map(|m| m.name(unit));
    let result = EsearchResult {
        min: found.first().map(|m| m.name(unit)).filter(|_| min),
        max: found.last().map(|m| m.name(unit)).filter(|_| max),
        count: count.then_some(found.len() as u64),
        all: all.then(|| names(0..found.len()).collect()),
        partial: partial.map(|range| (range, names(range.of(found.len())).collect())),
        modseq: told_modseq(found, returns).filter(|_| by_modseq),
    };
    response::esearch(tag, unit, &result, out);
    Ok(())
}

/// The highest modseq of all that matches, if that was searched for.
pub(super) fn highest(found: &[Match], by_modseq: bool) -> Option<ModSeq> {
    found.iter().map(|m| m.modseq).max().filter(|_| by_modseq)
}

/// The highest modseq of what is told (RFC 4731 §3.2).
fn told_modseq(found: &[Match], returns: SearchReturn) -> Option<ModSeq> {
    if returns.all || returns.count || returns.partial.is_some() {
        return highest(found, true);
    }
    let first = found.first().filter(|_| returns.min);
    let last = found.last().filter(|_| returns.max);
    first.into_iter().chain(last).map(|m| m.modseq).max()
}

/// What `$` becomes: with MIN, MAX or PARTIAL alone only these (RFC 9051 §6.4.4.1, RFC 9394 §3.2).
fn to_save(found: &[Match], returns: SearchReturn) -> Vec<Uid> {
    let SearchReturn { min, max, count, all, partial, .. } = returns;
    let mut uids: Vec<Uid> = if all || count || !(min || max || partial.is_some()) {
        found.iter().map(|m| m.uid).collect()
    } else {
        let part = partial.and_then(|range| found.get(range.of(found.len()))).unwrap_or_default();
        let first = found.first().filter(|_| min);
        let last = found.last().filter(|_| max);
        part.iter().chain(first).chain(last).map(|m| m.uid).collect()
    };
    uids.sort_unstable();
    uids.dedup();
    uids
}
