//! SORT (RFC 5256, RFC 5957) with ESORT's results (RFC 5267 §3), from rows and metadata: no message is opened.

use mail::search::{Collation, Order, SortKey as Key, TextKey};

use super::super::error::Error;
use super::super::user::User;
use super::search::matching::{Matching, Program};
use super::search::{extended, highest, nothing_saved};
use super::{Finished, Outcome, Task};
use crate::wire::Unit;
use crate::wire::command::{SearchReturn, Sort, SortCriterion, SortKey, Tag};
use crate::wire::response::{self, Output, Reply};

/// A SORT in progress.
pub(in super::super) struct Sorting {
    unit: Unit,
    returns: Option<SearchReturn>,
    matching: Matching,
}

pub(super) fn run(command: Sort, user: &mut User, out: &mut Output) -> Result<Outcome, Error> {
    let Sort { unit, returns, criteria, charset, key } = command;
    let sort = criteria.iter().map(order).collect();
    let program = Program { key: &key, charset: Some(&charset), unit, sort, returns, unseen: false };
    let matching = Matching::new(program, user, out);
    let matching = matching.inspect_err(|_| nothing_saved(returns, user))?;
    Ok(Outcome::Task(Task::Sort(Box::new(Sorting { unit, returns, matching }))))
}

impl Sorting {
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
        let sorted = self.matching.found(user.view()?);
        let by_modseq = self.matching.by_modseq;
        match self.returns {
            Some(returns) => extended(&sorted, returns, by_modseq, self.unit, tag, user, out)?,
            None => {
                let highest = highest(&sorted, by_modseq);
                response::search("SORT", sorted.iter().map(|m| m.name(self.unit)), highest, out);
            }
        }
        Ok(Some((Reply::ok("sorted"), self.matching.tell)))
    }
}

/// A criterion in the words of a search.
fn order(criterion: &SortCriterion) -> Order {
    let text = |text| Key::Text(text, Collation::Unicode);
    let key = match criterion.key {
        SortKey::Arrival => Key::Received,
        SortKey::Size => Key::Size,
        // The Date field in UTC, or else INTERNALDATE (RFC 5256 §2.2).
        SortKey::Date => Key::Sent,
        SortKey::Subject => text(TextKey::Subject),
        SortKey::Cc => text(TextKey::LocalPart("cc")),
        SortKey::From => text(TextKey::LocalPart("from")),
        SortKey::To => text(TextKey::LocalPart("to")),
        SortKey::DisplayFrom => text(TextKey::DisplayName("from")),
        SortKey::DisplayTo => text(TextKey::DisplayName("to")),
    };
    Order { key, ascending: !criterion.reverse }
}
