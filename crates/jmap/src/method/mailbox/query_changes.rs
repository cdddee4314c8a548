//! `Mailbox/queryChanges` (RFC 8621 §2.4).

use std::collections::BTreeSet;

use types::MailboxId;

use super::query::Query;
use crate::context::Context;
use crate::error::MethodError;
use crate::method::query_changes::{Calculated, QueryChanges};
use crate::wire::{Arguments, Object, id};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let account = context.account(&mut arguments)?;
    let query = Query::read(context, &mut arguments)?;
    let changes = QueryChanges::read(&mut arguments)?;
    arguments.end()?;
    let most = context.limits.changes;
    let (followed, counters_only) = context.mail().follow_mailboxes(account, changes.since, most).await?;
    // Where children stand and whether they match depends on their parents, then.
    let trees = query.sort_as_tree || query.filter_as_tree;
    if followed.more || (trees && !followed.updated.is_empty() && !counters_only) {
        return Err(MethodError::CannotCalculateChanges);
    }
    let results = query.results(context, account).await?;
    if context.standing(account).await? != followed.to {
        // Something has changed meanwhile: what was read belongs to another state.
        return Err(MethodError::CannotCalculateChanges);
    }
    let lists = [followed.created, followed.updated, followed.destroyed];
    let affected: BTreeSet<MailboxId> = lists.into_iter().flatten().collect();
    let added = results.iter().enumerate().filter(|(_, mailbox)| affected.contains(mailbox));
    let calculated = Calculated {
        to: followed.to,
        removed: affected.iter().copied().map(id::of_mailbox).collect(),
        added: added.map(|(index, mailbox)| (index, id::of_mailbox(*mailbox))).collect(),
        total: Some(results.len() as u64),
    };
    changes.response(account, calculated)
}
