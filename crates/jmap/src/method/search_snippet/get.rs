//! `SearchSnippet/get` (RFC 8621 §5.1).

use mail::ingest::{decode_text, decoded_text, html};
use mail::search::{Kept, Leaf, Needle};
use mail::{EmailChanged, Opened, Record};
use serde_json::{Value, json};
use types::EmailId;

use super::mark;
use crate::context::{Context, object};
use crate::error::MethodError;
use crate::method::email::query::read_filter;
use crate::method::get::check_number;
use crate::wire::arguments::Id;
use crate::wire::{Arguments, Object, id};

/// Octets of one part that are looked at.
const PART: usize = 256 << 10;

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let account = context.account(&mut arguments)?;
    let filter = read_filter(context, &mut arguments)?;
    let ids: Vec<Id> = arguments.required("emailIds")?;
    arguments.end()?;
    check_number(ids.len(), context.limits.objects_in_get)?;
    let (mut in_body, mut in_subject): (Vec<&Needle>, Vec<&Needle>) = (Vec::new(), Vec::new());
    for leaf in filter.iter().flat_map(|filter| filter.asserted()) {
        match leaf {
            Leaf::Body(needle) => in_body.push(needle),
            Leaf::Field(name, Some(needle)) if name == "subject" => in_subject.push(needle),
            _ => {}
        }
    }

    let mail = context.mail().clone();
    let named: Vec<(String, Option<EmailChanged>)> = ids
        .into_iter()
        .map(|Id(text)| {
            let named = id::email(&text);
            (text, named)
        })
        .collect();
    let asked: Vec<EmailId> = named.iter().filter_map(|(_, named)| Some((*named)?.email)).collect();
    let states = mail.email(account, &asked).await?;
    let records = mail.records(account, &asked).await?;
    let mut found = states.into_iter().zip(records);
    let (mut list, mut not_found) = (Vec::new(), Vec::new());
    for (text, named) in named {
        let record = named.and_then(|named| {
            let (state, record) = found.next()?;
            state.filter(|state| state.thread == named.thread).and(record)
        });
        let Some(record) = record else {
            not_found.push(text);
            continue;
        };
        let subject = subject(&record)?.and_then(|subject| mark::whole(&subject, &in_subject));
        let preview = match in_body.is_empty() {
            true => None,
            false => preview(&mut Opened::new(record), &in_body, context).await?,
        };
        let shown = json!({"emailId": text, "subject": subject, "preview": preview});
        context.spend(&shown)?;
        list.push(shown);
    }
    Ok(object([
        ("accountId", id::of_account(account).into()),
        ("list", Value::Array(list)),
        ("notFound", if not_found.is_empty() { Value::Null } else { not_found.into() }),
    ]))
}

/// A subject as it is shown.
fn subject(record: &Record) -> Result<Option<String>, MethodError> {
    let kept = Kept::of(record)?;
    Ok(kept.header.last("subject").map(|value| decode_text(value, kept.hint()).into_owned()))
}

/// The first part of a message's text in which something is found.
async fn preview(
    opened: &mut Opened,
    needles: &[&Needle],
    context: &Context<'_>,
) -> Result<Option<String>, MethodError> {
    let mail = context.mail();
    let tree = opened.tree(mail).await?.clone();
    let bodies = tree.bodies();
    let mut indexes: Vec<usize> = bodies.text.iter().chain(&bodies.html).copied().collect();
    indexes.dedup();
    for index in indexes {
        let Some(part) = tree.part(index).filter(|part| part.media_type.starts_with("text/")) else {
            continue;
        };
        let end = part.end.min(part.body.saturating_add(PART as u64 * 4));
        let body = opened.source(mail).await?.read(part.body..end).await?;
        let text = decoded_text(&body, &part.encoding, part.charset().as_deref(), PART);
        let found = match part.media_type.as_str() {
            "text/html" => mark::part(&html::text(&text, PART), needles),
            _ => mark::part(&text, needles),
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
