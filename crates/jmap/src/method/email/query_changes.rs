//! `Email/queryChanges` (RFC 8621 §4.5).

use std::collections::BTreeSet;

use mail::EmailChanged;
use mail::search::Query;
use types::{AccountId, EmailId, ThreadId};

use super::query;
use crate::context::Context;
use crate::error::MethodError;
use crate::method::query_changes::{Calculated, QueryChanges};
use crate::wire::{Arguments, Object, id};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let account = context.account(&mut arguments)?;
    let query = query::read(context, &mut arguments)?;
    let changes = QueryChanges::read(&mut arguments)?;
    arguments.end()?;
    let followed = context.mail().follow_emails(account, changes.since, context.limits.changes).await?;
    if followed.more {
        return Err(MethodError::CannotCalculateChanges);
    }
    let lists = [followed.created, followed.updated, followed.destroyed];
    let mut affected: BTreeSet<EmailChanged> = lists.into_iter().flatten().collect();
    if query.looks_at_threads() {
        with_their_threads(context, account, &mut affected).await?;
    }
    let mut results = query::search(context, account, Query { all: changes.total, ..query });
    if !affected.is_empty() {
        // As far as any of them can stand among the results: what is not there any more stands nowhere.
        let ids: Vec<EmailId> = affected.iter().map(|email| email.email).collect();
        let states = context.mail().email(account, &ids).await?;
        results.reach_places(&states.into_iter().flatten().collect::<Vec<_>>()).await?;
    }
    let added = results.known().iter().enumerate().filter_map(|(index, hit)| {
        let named = EmailChanged { email: hit.email, thread: hit.thread };
        affected.contains(&named).then(|| (index, id::of_email(hit.email, hit.thread)))
    });
    let added = added.collect();
    let total = if changes.total { Some(results.total().await?) } else { None };
    if context.standing(account).await? != followed.to {
        // Something has changed meanwhile: what was read belongs to another state.
        return Err(MethodError::CannotCalculateChanges);
    }
    let removed = affected.iter().map(|email| id::of_email(email.email, email.thread)).collect();
    changes.response(account, Calculated { to: followed.to, removed, added, total })
}

/// Adds all emails of the threads that some emails are in: when one of them changes, another may come to stand for its
/// thread, or match because of it.
async fn with_their_threads(
    context: &Context<'_>,
    account: AccountId,
    affected: &mut BTreeSet<EmailChanged>,
) -> Result<(), MethodError> {
    let threads: BTreeSet<ThreadId> = affected.iter().map(|email| email.thread).collect();
    let threads: Vec<ThreadId> = threads.into_iter().collect();
    let emails = context.mail().threads(account, &threads).await?;
    for (thread, emails) in threads.into_iter().zip(emails) {
        affected.extend(emails.into_iter().flatten().map(|email| EmailChanged { email, thread }));
    }
    Ok(())
}
