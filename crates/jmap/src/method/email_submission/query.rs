//! `EmailSubmission/query` (RFC 8621 §7.3). Submissions are trimmed, so that an account has few: they are read, filtered and
//! sorted each time.

use std::cmp::Ordering;

use mail::{Followed, ObjectKind, Standing, Submission, Undo};
use types::{AccountId, EmailId, ModSeq, ObjectId, ThreadId, Timestamp};

use super::get::undo_status;
use crate::context::Context;
use crate::error::MethodError;
use crate::method::filter::Filter;
use crate::method::listing::{self, Listing, Sieve};
use crate::wire::arguments::Id;
use crate::wire::{Arguments, Object, id};

/// What is asked, without which part of the results.
pub(super) struct Query(Sieve<Condition, (SortKey, bool)>);

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
    arguments: Arguments,
) -> Result<Object, MethodError> {
    listing::query::<Query>(context, arguments).await
}

impl Listing for Query {
    type Key = ObjectId;

    fn read(context: &Context<'_>, arguments: &mut Arguments) -> Result<Self, MethodError> {
        Sieve::read(context, arguments, &conditions, comparator).map(Self)
    }

    async fn results(
        &self,
        context: &Context<'_>,
        account: AccountId,
    ) -> Result<(ModSeq, Vec<ObjectId>), MethodError> {
        let (at, mut all) = context.mail().submissions(account).await?;
        all.retain(|(_, submission)| self.0.matches(|condition| condition.holds(submission)));
        all.sort_by(|one, two| {
            self.0.compare(|(key, ascending)| key.compare(one, two, *ascending)).then(one.0.cmp(&two.0))
        });
        Ok((at, all.into_iter().map(|(id, _)| id).collect()))
    }

    async fn changes(
        &self,
        context: &Context<'_>,
        account: AccountId,
        since: Standing,
    ) -> Result<Followed<ObjectId>, MethodError> {
        let (kind, most) = (ObjectKind::Submission, context.limits.changes);
        Ok(context.mail().follow_objects(account, kind, since, most).await?)
    }

    fn id(submission: ObjectId) -> String {
        id::of_submission(submission)
    }
}

impl SortKey {
    fn compare(
        self,
        one: &(ObjectId, Submission),
        two: &(ObjectId, Submission),
        ascending: bool,
    ) -> Ordering {
        let order = match self {
            Self::Email => one.1.email.cmp(&two.1.email),
            Self::Thread => one.1.thread.cmp(&two.1.thread),
            Self::SentAt => one.1.send_at.cmp(&two.1.send_at),
        };
        if ascending { order } else { order.reverse() }
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
