//! `Email/copy` (RFC 8621 §4.7): from one account to another, of which the user sees only one. What is here is the seam at
//! which accounts that are shared will come in.

use std::collections::BTreeMap;

use crate::context::Context;
use crate::error::MethodError;
use crate::method::blob::copy::not_from;
use crate::wire::arguments::Id;
use crate::wire::{Arguments, Object};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let Id(from) = arguments.required("fromAccountId")?;
    let account = context.account(&mut arguments)?;
    let _create: BTreeMap<String, Object> = arguments.required("create")?;
    let _states: [Option<String>; 3] = [
        arguments.optional("ifFromInState")?,
        arguments.optional("ifInState")?,
        arguments.optional("destroyFromIfInState")?,
    ];
    let _destroy = arguments.or("onSuccessDestroyOriginal", false)?;
    arguments.end()?;
    Err(not_from(context, &from, account))
}
