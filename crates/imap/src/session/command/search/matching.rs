//! The messages that a search program names, found page by page: what SEARCH, SORT and THREAD have in common.

use super::super::super::announce::Tell;
use super::super::super::error::Error;
use super::super::super::user::User;
use super::super::super::view::Picked;
use super::super::tell_after;
use super::query::Query;
use super::scan::{self, Match};
use crate::wire::Unit;
use crate::wire::command::SearchKey;
use crate::wire::response::Output;

/// A search program being run.
pub(in super::super) struct Matching {
    query: Query,
    candidates: Picked,
    /// What matches, in the order of the mailbox.
    pub(in super::super) found: Vec<Match>,
    /// Whether the answer tells the highest modseq of what matches (RFC 7162 §3.1.5).
    pub(in super::super) by_modseq: bool,
    /// What may be told after it.
    pub(in super::super) tell: Tell,
}

impl Matching {
    pub(in super::super) fn new(
        key: &SearchKey,
        charset: Option<&str>,
        unit: Unit,
        user: &mut User,
        out: &mut Output,
    ) -> Result<Self, Error> {
        user.view()?;
        let by_modseq = key.has_modseq();
        if by_modseq {
            user.enable_condstore(out);
        }
        // Numbers in the search program must not shift while it runs (RFC 9051 §7.5.1).
        let tell = if key.has_numbers() { Tell::KeepNumbers } else { tell_after(unit) };
        let now = user.clock.now();
        let view = user.view()?;
        let query = Query::new(key, charset, view, now)?;
        let candidates = view.all();
        Ok(Self { query, candidates, found: Vec::new(), by_modseq, tell })
    }

    /// How many messages are left to look at.
    pub(in super::super) fn left(&self) -> usize {
        self.candidates.len()
    }

    /// Looks at a page of messages; true when all have been looked at.
    pub(in super::super) async fn step(&mut self, user: &mut User) -> Result<bool, Error> {
        if self.candidates.is_empty() {
            return Ok(true);
        }
        self.found.extend(scan::page(&self.query, &mut self.candidates, user).await?);
        Ok(false)
    }
}
