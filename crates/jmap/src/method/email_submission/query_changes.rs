//! `EmailSubmission/queryChanges` (RFC 8621 §7.4).

use std::collections::BTreeSet;

use mail::{ObjectKind, Standing};
use types::ObjectId;

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
    let (kind, most) = (ObjectKind::Submission, context.limits.changes);
    let followed = context.mail().follow_objects(account, kind, changes.since, most).await?;
    let (at, results) = query.results(context, account).await?;
    if followed.more || Standing::from(at) != followed.to {
        // Something has changed meanwhile: what was read belongs to another state.
        return Err(MethodError::CannotCalculateChanges);
    }
    let lists = [followed.created, followed.updated, followed.destroyed];
    let affected: BTreeSet<ObjectId> = lists.into_iter().flatten().collect();
    let added = results.iter().enumerate().filter(|(_, one)| affected.contains(one));
    let calculated = Calculated {
        to: followed.to,
        removed: affected.iter().copied().map(id::of_submission).collect(),
        added: added.map(|(index, one)| (index, id::of_submission(*one))).collect(),
        total: Some(results.len() as u64),
    };
    changes.response(account, calculated)
}
