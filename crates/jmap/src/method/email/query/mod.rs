//! `Email/query` (RFC 8621 §4.4).
//!
//! ```text
//!   one mailbox, newest first   ──> walk: pages of the list by date, no further than the window   ┐
//!                                                                                                ├─> Results
//!   anything else               ──> scan: rows, then records, then messages, each only if needed ┘
//! ```
//!
//! [`results::Results`] is the seam at which an index will come in: nothing else here knows how a match is found. A scan does a bounded
//! part of the work between two reads from the store, but looks at every candidate in the end.

mod filter;
mod results;
mod row;
mod scan;
mod sort;
mod terms;

use serde_json::Value;
use types::MailboxId;

pub(crate) use self::filter::Condition;
pub(crate) use self::results::Results;
use self::sort::{Comparator, SortKey};
pub(crate) use self::sort::{SORTS, hint as record_hint, readable_subject};
use crate::context::{Context, object};
use crate::error::MethodError;
use crate::method::filter::Filter;
use crate::method::window::{Needs, Window};
use crate::wire::{Arguments, Object, id, state};

/// Reads a filter of emails.
pub(crate) fn read_filter(value: Value, most: usize) -> Result<Filter<Condition>, MethodError> {
    filter::read(value, most)
}

/// What is asked, without which part of the results.
pub(crate) struct Query {
    filter: Option<Filter<Condition>>,
    sort: Vec<Comparator>,
    /// Only the first email of each thread.
    collapse: bool,
}

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let account = context.account(&mut arguments)?;
    let query = Query::read(context, &mut arguments)?;
    let window = Window::read(&mut arguments, context.limits.query)?;
    arguments.end()?;
    let standing = context.standing(account).await?;
    let mut results = Results::of(&query, context, account).await?;
    let anchor = match window.needs() {
        Needs::First(count) => {
            results.reach(count).await?;
            None
        }
        Needs::All => {
            results.reach(usize::MAX).await?;
            None
        }
        Needs::UpTo(anchor) => match id::email(anchor) {
            Some(email) => results.find(email).await?,
            None => None,
        },
    };
    let position = window.first(results.known().len(), anchor)?;
    results.reach(position.saturating_add(window.limit())).await?;
    let known = results.known();
    let end = position.saturating_add(window.limit()).min(known.len());
    let found = known.get(position..end).unwrap_or_default();
    let ids: Vec<Value> = found.iter().map(|hit| id::of_email(hit.email, hit.thread).into()).collect();
    let mut response = object([
        ("accountId", id::of_account(account).into()),
        ("queryState", state::to_text(standing).into()),
        ("canCalculateChanges", true.into()),
        ("position", position.min(known.len()).into()),
        ("ids", ids.into()),
    ]);
    if window.total {
        response.insert("total".to_owned(), results.total().await?.into());
    }
    if let Some(limit) = window.told_limit() {
        response.insert("limit".to_owned(), limit.into());
    }
    Ok(response)
}

impl Query {
    /// Takes the arguments that `Email/query` and `Email/queryChanges` have in common.
    pub(crate) fn read(context: &Context<'_>, arguments: &mut Arguments) -> Result<Self, MethodError> {
        let filter = arguments.take("filter").map(|filter| read_filter(filter, context.limits.filter));
        let sort: Vec<Object> = arguments.or("sort", Vec::new())?;
        let mut sort: Vec<Comparator> = sort.into_iter().map(Comparator::read).collect::<Result<_, _>>()?;
        if sort.is_empty() {
            sort.push(Comparator::newest_first());
        }
        Ok(Self { filter: filter.transpose()?, sort, collapse: arguments.or("collapseThreads", false)? })
    }

    /// The mailbox, if all that is asked for is one mailbox with the newest emails first.
    pub(crate) fn is_list(&self) -> Option<MailboxId> {
        let newest_first =
            matches!(self.sort.first(), Some(Comparator { key: SortKey::ReceivedAt, ascending: false, .. }));
        let filter = self.filter.as_ref().filter(|_| newest_first)?;
        match (filter.required().as_slice(), filter.conditions().as_slice()) {
            ([Condition::InMailbox(mailbox)], [_]) => Some(*mailbox),
            _ => None,
        }
    }

    /// The mailbox that all results are in, if there is one.
    fn home(&self) -> Option<MailboxId> {
        self.filter.as_ref()?.required().into_iter().find_map(|condition| match condition {
            Condition::InMailbox(mailbox) => Some(*mailbox),
            _ => None,
        })
    }

    /// Whether other emails of its thread decide on an email.
    pub(crate) fn looks_at_threads(&self) -> bool {
        self.collapse || self.needs_thread_keywords()
    }

    /// Whether the keywords of other emails of its thread decide on an email.
    fn needs_thread_keywords(&self) -> bool {
        let filters = self.filter.iter().flat_map(Filter::conditions).any(Condition::looks_at_threads);
        filters || self.sort.iter().any(|comparator| comparator.key.looks_at_threads())
    }
}
