//! `EmailSubmission/changes` (RFC 8621 §7.2).

use mail::ObjectKind;

use crate::context::Context;
use crate::error::MethodError;
use crate::method::changes::Changes;
use crate::wire::{Arguments, Object, id};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    arguments: Arguments,
) -> Result<Object, MethodError> {
    let changes = Changes::read(context, arguments)?;
    let (kind, since) = (ObjectKind::Submission, changes.since);
    let followed = context.mail().follow_objects(changes.account, kind, since, changes.max).await?;
    Ok(changes.response(followed, id::of_submission))
}
