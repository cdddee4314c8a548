//! SEARCH (RFC 9051 §6.4.4) with ESEARCH's results (§7.3.4) and the saved result `$` (§6.4.4.1).
//!
//! What matches is decided in [`scan`], page by page over the messages of the view. That is the seam at which an
//! index will narrow down the candidates: nothing else here knows how a match is found.

mod query;
mod scan;
mod text;

use types::Uid;

use self::query::Query;
use super::super::error::Error;
use super::super::user::User;
use super::super::view::Picked;
use super::{Finished, Outcome, Task, tell_after};
use crate::wire::command::{Search, SearchReturn, Tag};
use crate::wire::response::{self, EsearchResult, Output, Reply};
use crate::wire::{Dialect, SequenceSet, Unit};

/// A SEARCH in progress.
pub(in super::super) struct Searching {
    unit: Unit,
    returns: Option<SearchReturn>,
    query: Query,
    candidates: Picked,
    /// Matches so far, ascending.
    found: Vec<(u32, Uid)>,
}

pub(super) fn run(command: Search, user: &mut User) -> Result<Outcome, Error> {
    let view = user.view()?;
    let saves = command.returns.is_some_and(|returns| returns.save);
    let query = match Query::new(&command.key, command.charset.as_deref(), view) {
        Ok(query) => query,
        Err(error) => {
            // A search that fails leaves nothing saved (RFC 9051 §6.4.4.1).
            if saves {
                view.saved.clear();
            }
            return Err(error);
        }
    };
    let candidates = view.all();
    let Search { unit, returns, .. } = command;
    Ok(Outcome::Task(Task::Search(Box::new(Searching {
        unit,
        returns,
        query,
        candidates,
        found: Vec::new(),
    }))))
}

impl Searching {
    /// How many messages are left to look at.
    pub(super) fn left(&self) -> usize {
        self.candidates.len()
    }

    /// Looks at a page of messages, or answers.
    pub(super) async fn step(
        &mut self,
        user: &mut User,
        tag: &Tag,
        out: &mut Output,
    ) -> Result<Finished, Error> {
        if self.candidates.is_empty() {
            return Ok(Some(self.answer(user, tag, out)?));
        }
        match scan::page(&self.query, &mut self.candidates, user).await {
            Ok(found) => self.found.extend(found),
            Err(error) => {
                if self.returns.is_some_and(|returns| returns.save) {
                    user.view()?.saved.clear();
                }
                return Err(error);
            }
        }
        Ok(None)
    }

    fn answer(
        &mut self,
        user: &mut User,
        tag: &Tag,
        out: &mut Output,
    ) -> Result<(Reply, super::Tell), Error> {
        let reply = (Reply::ok("searched"), tell_after(self.unit));
        let dialect = user.dialect;
        let numbers: Vec<u32> = self.found.iter().map(|(number, uid)| self.name(*number, *uid)).collect();
        // IMAP4rev2 knows no other answer than ESEARCH (RFC 9051 §6.4.4).
        let returns = match (self.returns, dialect) {
            (Some(returns), _) => returns,
            (None, Dialect::Rev2) => SearchReturn { all: true, ..SearchReturn::default() },
            (None, Dialect::Rev1) => {
                response::search(numbers, out);
                return Ok(reply);
            }
        };
        if returns.save {
            user.view()?.saved = self.to_save(returns);
        }
        let SearchReturn { min, max, count, all, save: _ } = returns;
        if min || max || count || all {
            let result = EsearchResult {
                min: numbers.first().copied().filter(|_| min),
                max: numbers.last().copied().filter(|_| max),
                count: count.then_some(numbers.len() as u64),
                all: all.then(|| SequenceSet::from_ascending(numbers)),
            };
            response::esearch(tag, self.unit, &result, out);
        }
        Ok(reply)
    }

    const fn name(&self, number: u32, uid: Uid) -> u32 {
        match self.unit {
            Unit::Sequence => number,
            Unit::Uid => uid.0,
        }
    }

    /// With MIN or MAX alone, only these are saved (RFC 9051 §6.4.4.1).
    fn to_save(&self, returns: SearchReturn) -> Vec<Uid> {
        let uids = self.found.iter().map(|(_, uid)| *uid);
        if returns.all || returns.count || !(returns.min || returns.max) {
            return uids.collect();
        }
        let first = self.found.first().filter(|_| returns.min);
        let last = self.found.last().filter(|_| returns.max && (self.found.len() > 1 || !returns.min));
        first.into_iter().chain(last).map(|(_, uid)| *uid).collect()
    }
}
