//! SORT (RFC 5256, RFC 5957) with ESORT's results (RFC 5267 §3), from rows and metadata: no message is opened.

use std::cmp::Ordering;

use mail::ingest::address::{Entry, addresses};
use mail::ingest::subject::base_subject;
use mail::search::collated;
use mail::{Member, Record};

use super::super::content::Kept;
use super::super::error::Error;
use super::super::user::User;
use super::search::matching::Matching;
use super::search::scan::Match;
use super::search::{extended, highest, nothing_saved};
use super::{Finished, Outcome, Task};
use crate::wire::Unit;
use crate::wire::command::{SearchReturn, Sort, SortCriterion, SortKey, Tag};
use crate::wire::response::{self, Output, Reply};

/// How many messages one step reads.
const PAGE: usize = 200;

/// A SORT in progress.
pub(in super::super) struct Sorting {
    unit: Unit,
    returns: Option<SearchReturn>,
    criteria: Vec<SortCriterion>,
    matching: Matching,
    keyed: Vec<(Vec<Value>, Match)>,
    /// How many of the matches have been looked at.
    read: usize,
}

/// What is compared.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i64),
    Text(Box<str>),
}

pub(super) fn run(command: Sort, user: &mut User, out: &mut Output) -> Result<Outcome, Error> {
    let Sort { unit, returns, criteria, charset, key } = command;
    let matching = Matching::new(&key, Some(&charset), unit, user, out);
    let matching = matching.inspect_err(|_| nothing_saved(returns, user))?;
    let sorting = Sorting { unit, returns, criteria, matching, keyed: Vec::new(), read: 0 };
    Ok(Outcome::Task(Task::Sort(Box::new(sorting))))
}

impl Sorting {
    /// How many messages are left to look at.
    pub(super) fn left(&self) -> usize {
        self.matching.left() + self.matching.found.len().saturating_sub(self.read)
    }

    /// Looks at a page of messages, or answers.
    pub(super) async fn step(
        &mut self,
        user: &mut User,
        tag: &Tag,
        out: &mut Output,
    ) -> Result<Finished, Error> {
        let over = self.go_on(user).await;
        if !over.inspect_err(|_| nothing_saved(self.returns, user))? {
            return Ok(None);
        }
        let criteria = &self.criteria;
        // A stable sort: equal messages stay in the order of the mailbox (RFC 5256 §3).
        self.keyed.sort_by(|(one, _), (two, _)| compare(criteria, one, two));
        let sorted: Vec<Match> = self.keyed.drain(..).map(|(_, found)| found).collect();
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

    async fn go_on(&mut self, user: &mut User) -> Result<bool, Error> {
        if !self.matching.step(user).await? {
            return Ok(false);
        }
        let page = self.matching.found.get(self.read..).unwrap_or_default();
        let page: Vec<Match> = page.iter().take(PAGE).copied().collect();
        if page.is_empty() {
            return Ok(true);
        }
        self.read += page.len();
        let mail = user.mail.clone();
        let numbered: Vec<_> = page.iter().map(|m| (m.number, m.uid)).collect();
        let members = user.view()?.members(&mail, &numbered).await?;
        let records: Vec<Option<Option<Record>>> =
            match self.criteria.iter().any(|criterion| criterion.key.reads_metadata()) {
                true => {
                    let emails: Vec<_> = members.iter().map(|(_, member)| member.email).collect();
                    mail.records(user.account, &emails).await?.into_iter().map(Some).collect()
                }
                false => vec![None; members.len()],
            };
        for ((number, member), record) in members.iter().zip(records) {
            let kept = match &record {
                Some(Some(record)) => Kept::of(record)?,
                // Gone since it was found.
                Some(None) => continue,
                None => Kept::default(),
            };
            let values = self.criteria.iter().map(|c| value(c.key, member, &kept)).collect();
            let found = page.binary_search_by_key(number, |m| m.number).ok().and_then(|at| page.get(at));
            self.keyed.extend(found.map(|found| (values, *found)));
        }
        Ok(false)
    }
}

impl SortKey {
    const fn reads_metadata(self) -> bool {
        !matches!(self, Self::Arrival | Self::Size)
    }
}

fn compare(criteria: &[SortCriterion], one: &[Value], two: &[Value]) -> Ordering {
    for ((criterion, one), two) in criteria.iter().zip(one).zip(two) {
        match one.cmp(two) {
            Ordering::Equal => {}
            order if criterion.reverse => return order.reverse(),
            order => return order,
        }
    }
    Ordering::Equal
}

fn value(key: SortKey, member: &Member, kept: &Kept<'_>) -> Value {
    match key {
        SortKey::Arrival => Value::Number(i64::try_from(member.received.0).unwrap_or(i64::MAX)),
        SortKey::Size => Value::Number(i64::try_from(member.size).unwrap_or(i64::MAX)),
        SortKey::Date => Value::Number(sent(member, kept)),
        SortKey::Subject => Value::Text(collated(&subject(kept))),
        SortKey::Cc => Value::Text(local_part(kept, "cc")),
        SortKey::From => Value::Text(local_part(kept, "from")),
        SortKey::To => Value::Text(local_part(kept, "to")),
        SortKey::DisplayFrom => Value::Text(display_name(kept, "from")),
        SortKey::DisplayTo => Value::Text(display_name(kept, "to")),
    }
}

/// The Date field in UTC, or else INTERNALDATE (RFC 5256 §2.2), in seconds.
pub(super) fn sent(member: &Member, kept: &Kept<'_>) -> i64 {
    let received = i64::try_from(member.received.secs()).unwrap_or(i64::MAX);
    kept.sent.map_or(received, |sent| sent.secs)
}

/// The base subject; empty without one.
pub(super) fn subject(kept: &Kept<'_>) -> String {
    kept.header.last("subject").map(|value| base_subject(value, kept.hint())).unwrap_or_default()
}

fn first_entry<'r>(kept: &Kept<'r>, field: &str) -> Option<Entry<'r>> {
    addresses(kept.header.last(field)?, 1).into_iter().next()
}

/// What ENVELOPE shows as the mailbox of the first address.
fn local_part(kept: &Kept<'_>, field: &str) -> Box<str> {
    match first_entry(kept, field) {
        Some(Entry::Mailbox(mailbox)) => collated(&String::from_utf8_lossy(&mailbox.local)),
        Some(Entry::GroupStart(name)) => collated(&String::from_utf8_lossy(&name)),
        _ => Box::default(),
    }
}

/// The name that a reader sees, or else the address (RFC 5957 §3).
fn display_name(kept: &Kept<'_>, field: &str) -> Box<str> {
    match first_entry(kept, field) {
        Some(Entry::Mailbox(mailbox)) => {
            let name = mailbox.display_name(kept.hint());
            collated(&name.unwrap_or_else(|| mailbox.address()))
        }
        Some(Entry::GroupStart(name)) => collated(&mail::ingest::decode_text(&name, kept.hint())),
        _ => Box::default(),
    }
}
