//! `Quota/queryChanges` (RFC 9425 §4.5).

use super::query::Query;
use crate::context::Context;
use crate::error::MethodError;
use crate::method::listing;
use crate::wire::{Arguments, Object};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    arguments: Arguments,
) -> Result<Object, MethodError> {
    listing::query_changes::<Query>(context, arguments).await
}
