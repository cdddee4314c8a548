//! `EmailSubmission/query` (RFC 8621 §7.3). Submissions are trimmed, so that an account has few: they are read, filtered and
//! sorted each time.

use std::cmp::Ordering;

use mail::{Submission, Undo};
use serde_json::Value;
use types::{AccountId, EmailId, ObjectId, ThreadId, Timestamp};

use super::get::undo_status;
use crate::context::{Context, object};
use crate::error::MethodError;
use crate::method::filter::Filter;
use crate::method::window::Window;
use crate::wire::arguments::Id;
use crate::wire::{Arguments, Object, id, state};

/// What is asked, without which part of the results.
pub(super) struct Query {
    filter: Option<Filter<Condition>>,
    sort: Vec<(SortKey, bool)>,
}

#[derive(Clone, Debug)]
enum Condition {
    Identities(Vec<ObjectId>),
    Emails(Vec<EmailId>),
    Threads(Vec<ThreadId>),
    Undo(String),
    Before(Timestamp),
    After(Timestamp),
}

#[derive(Clone, Copy)]
enum SortKey {
    Email,
    Thread,
    SentAt,
}

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let account = context.account(&mut arguments)?;
    let query = Query::read(context, &mut arguments)?;
    let window = Window::read(&mut arguments, context.limits.query)?;
    arguments.end()?;
    context.standing(account).await?;
    let (at, results) = query.results(context, account).await?;
    let (position, found) = window.of(&results, |one, anchor| id::submission(anchor) == Some(*one))?;
    let ids: Vec<Value> = found.iter().map(|one| id::of_submission(*one).into()).collect();
    let mut response = object([
        ("accountId", id::of_account(account).into()),
        ("queryState", state::to_text(at.into()).into()),
        ("canCalculateChanges", true.into()),
        ("position", position.min(results.len()).into()),
        ("ids", ids.into()),
    ]);
    if window.total {
        response.insert("total".to_owned(), results.len().into());
    }
    if let Some(limit) = window.told_limit() {
        response.insert("limit".to_owned(), limit.into());
    }
    Ok(response)
}

impl Query {
    /// Takes the arguments that `EmailSubmission/query` and `EmailSubmission/queryChanges` have in common.
    pub(super) fn read(context: &Context<'_>, arguments: &mut Arguments) -> Result<Self, MethodError> {
        let filter = arguments.take("filter");
        let filter = filter.map(|filter| Filter::read(filter, context.limits.filter, &conditions));
        let sort: Vec<Object> = arguments.or("sort", Vec::new())?;
        Ok(Self {
            filter: filter.transpose()?,
            sort: sort.into_iter().map(comparator).collect::<Result<_, _>>()?,
        })
    }

    /// The submissions that match, in their order, and the modseq at which they do.
    pub(super) async fn results(
        &self,
        context: &Context<'_>,
        account: AccountId,
    ) -> Result<(types::ModSeq, Vec<ObjectId>), MethodError> {
        let (at, mut all) = context.mail().submissions(account).await?;
        all.retain(|(_, submission)| self.matches(submission));
        all.sort_by(|one, two| self.compare(one, two));
        Ok((at, all.into_iter().map(|(id, _)| id).collect()))
    }

    fn matches(&self, submission: &Submission) -> bool {
        let holds = |condition: &Condition| Some(condition.holds(submission));
        self.filter.as_ref().is_none_or(|filter| filter.holds(&holds) == Some(true))
    }

    fn compare(&self, one: &(ObjectId, Submission), two: &(ObjectId, Submission)) -> Ordering {
        let orders = self.sort.iter().map(|(key, ascending)| {
            let order = match key {
                SortKey::Email => one.1.email.cmp(&two.1.email),
                SortKey::Thread => one.1.thread.cmp(&two.1.thread),
                SortKey::SentAt => one.1.send_at.cmp(&two.1.send_at),
            };
            if *ascending { order } else { order.reverse() }
        });
        orders.fold(Ordering::Equal, Ordering::then).then(one.0.cmp(&two.0))
    }
}

impl Condition {
    fn holds(&self, submission: &Submission) -> bool {
        match self {
            Self::Identities(ids) => ids.contains(&submission.identity),
            Self::Emails(ids) => ids.contains(&submission.email),
            Self::Threads(ids) => ids.contains(&submission.thread),
            Self::Undo(status) => undo_status(submission.undo) == status,
            Self::Before(moment) => submission.send_at < *moment,
            Self::After(moment) => submission.send_at >= *moment,
        }
    }
}

/// The conditions of one filter, all of which must hold.
fn conditions(arguments: &mut Arguments) -> Result<Vec<Filter<Condition>>, MethodError> {
    // An id that cannot be is that of nothing.
    fn ids<T>(ids: Option<Vec<Id>>, read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
        ids.map(|ids| ids.iter().filter_map(|Id(text)| read(text)).collect())
    }
    let identities = ids(arguments.optional("identityIds")?, id::identity).map(Condition::Identities);
    let email = |text: &str| id::email(text).map(|named| named.email);
    let emails = ids(arguments.optional("emailIds")?, email).map(Condition::Emails);
    let threads = ids(arguments.optional("threadIds")?, id::thread).map(Condition::Threads);
    let undo = arguments.optional::<String>("undoStatus")?;
    if let Some(status) = &undo
        && ![Undo::Pending, Undo::Final, Undo::Canceled].iter().any(|undo| undo_status(*undo) == status)
    {
        return Err(MethodError::argument("undoStatus", "must be pending, final or canceled"));
    }
    let before = arguments.optional("before")?.map(Condition::Before);
    let after = arguments.optional("after")?.map(Condition::After);
    let all = [identities, emails, threads, undo.map(Condition::Undo), before, after];
    Ok(all.into_iter().flatten().map(Filter::Is).collect())
}

fn comparator(object: Object) -> Result<(SortKey, bool), MethodError> {
    let mut arguments = Arguments::new(object);
    let property: String = arguments.required("property")?;
    let ascending = arguments.or("isAscending", true)?;
    let _all_are_numbers: Option<String> = arguments.optional("collation")?;
    arguments.end()?;
    let key = match property.as_str() {
        "emailId" => SortKey::Email,
        "threadId" => SortKey::Thread,
        "sentAt" => SortKey::SentAt,
        _ => return Err(MethodError::UnsupportedSort(format!("submissions are not sorted by {property:?}"))),
    };
    Ok((key, ascending))
}
