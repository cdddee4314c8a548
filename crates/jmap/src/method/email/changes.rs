//! `Email/changes` (RFC 8621 §4.3).

use crate::context::Context;
use crate::error::MethodError;
use crate::method::changes::Changes;
use crate::wire::{Arguments, Object, id};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    arguments: Arguments,
) -> Result<Object, MethodError> {
    let changes = Changes::read(context, arguments)?;
    let followed = context.mail().follow_emails(changes.account, changes.since, changes.max).await?;
    Ok(changes.response(followed, |email| id::of_email(email.email, email.thread)))
}
