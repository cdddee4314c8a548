//! `Identity/changes` (RFC 8621 §6.2).

use mail::ObjectKind;

use super::own::Identities;
use crate::context::Context;
use crate::error::MethodError;
use crate::method::changes::Changes;
use crate::wire::{Arguments, Object, id};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    arguments: Arguments,
) -> Result<Object, MethodError> {
    let changes = Changes::read(context, arguments)?;
    // An address that has become the account's own is a change like any other.
    Identities::of(context, changes.account).await?;
    let (kind, since) = (ObjectKind::Identity, changes.since);
    let followed = context.mail().follow_objects(changes.account, kind, since, changes.max).await?;
    Ok(changes.response(followed, id::of_identity))
}
