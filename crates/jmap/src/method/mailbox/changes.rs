//! `Mailbox/changes` (RFC 8621 §2.2).

use serde_json::{Value, json};

use super::get::COUNTERS;
use crate::context::Context;
use crate::error::MethodError;
use crate::method::changes::Changes;
use crate::wire::{Arguments, Object, id};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    arguments: Arguments,
) -> Result<Object, MethodError> {
    let changes = Changes::read(context, arguments)?;
    let (followed, counters_only) =
        context.mail().follow_mailboxes(changes.account, changes.since, changes.max).await?;
    let updated = if counters_only { json!(COUNTERS) } else { Value::Null };
    let mut response = changes.response(followed, id::of_mailbox);
    response.insert("updatedProperties".to_owned(), updated);
    Ok(response)
}
