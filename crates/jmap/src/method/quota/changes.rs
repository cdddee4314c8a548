//! `Quota/changes` (RFC 9425 §4.3).

use serde_json::{Value, json};

use super::{Quotas, id_of};
use crate::context::Context;
use crate::error::MethodError;
use crate::method::changes::Changes;
use crate::wire::{Arguments, Object};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    arguments: Arguments,
) -> Result<Object, MethodError> {
    let changes = Changes::read(context, arguments)?;
    // Whoever looks finds what has become of the limits.
    Quotas::read(context, changes.account).await?;
    let (followed, only_used) =
        context.mail().follow_quotas(changes.account, changes.since, changes.max).await?;
    let properties = if only_used { json!(["used"]) } else { Value::Null };
    let mut response = changes.response(followed, |kind| id_of(kind).to_owned());
    response.insert("updatedProperties".to_owned(), properties);
    Ok(response)
}
