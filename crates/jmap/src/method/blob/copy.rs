//! `Blob/copy` (RFC 8620 §6.3). Who sees a single account has none to copy from: what is here is the seam at which
//! accounts that are shared will come in.

use crate::context::Context;
use crate::error::MethodError;
use crate::wire::arguments::Id;
use crate::wire::{Arguments, Object};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let Id(from) = arguments.required("fromAccountId")?;
    let account = context.account(&mut arguments)?;
    let _blobs: Vec<Id> = arguments.required("blobIds")?;
    arguments.end()?;
    Err(not_from(context, &from, account))
}

/// Why nothing is copied from an account.
pub(in super::super) fn not_from(context: &Context<'_>, from: &str, to: types::AccountId) -> MethodError {
    match context.user.open(from) {
        Ok(from) if from == to => {
            MethodError::argument("fromAccountId", "must be another account than accountId")
        }
        _ => MethodError::FromAccountNotFound,
    }
}
