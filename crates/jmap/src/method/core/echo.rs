//! `Core/echo` (RFC 8620 §4).

use crate::context::Context;
use crate::error::MethodError;
use crate::wire::json::weight;
use crate::wire::{Arguments, Object};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    arguments: Arguments,
) -> Result<Object, MethodError> {
    let echo = arguments.rest();
    let octets = echo.values().map(|value| weight(value, context.room)).fold(0, usize::saturating_add);
    context.has_room(octets)?;
    context.room -= octets;
    Ok(echo)
}
