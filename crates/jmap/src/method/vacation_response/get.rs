//! `VacationResponse/get` (RFC 8621 §8.1).

use mail::Vacation;
use serde_json::Value;

use super::{ID, PROPERTIES};
use crate::context::Context;
use crate::error::MethodError;
use crate::method::get::{Get, response};
use crate::wire::{Arguments, Object, date};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let get = Get::read(context, &mut arguments)?;
    arguments.end()?;
    let properties = get.names(&PROPERTIES)?;
    let state = context.state(get.account).await?;
    let (_, vacation) = context.mail().vacation(get.account).await?;
    let mut list = Vec::new();
    if get.ids.as_ref().is_none_or(|ids| ids.iter().any(|id| id == ID)) {
        let shown = properties.iter().map(|name| ((*name).to_owned(), property(&vacation, name)));
        let shown = Value::Object(shown.collect());
        context.spend(&shown)?;
        list.push(shown);
    }
    let not_found = get.ids.into_iter().flatten().filter(|id| id != ID).collect();
    Ok(response(get.account, state, list, not_found))
}

fn property(vacation: &Vacation, name: &str) -> Value {
    match name {
        "id" => ID.into(),
        "isEnabled" => vacation.enabled.into(),
        "fromDate" => vacation.from.map(date::utc).into(),
        "toDate" => vacation.until.map(date::utc).into(),
        "subject" => vacation.subject.as_deref().into(),
        "textBody" => vacation.text.as_deref().into(),
        "htmlBody" => vacation.html.as_deref().into(),
        _ => Value::Null,
    }
}
