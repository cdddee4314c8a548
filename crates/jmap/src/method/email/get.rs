//! `Email/get` (RFC 8621 §4.2). Each email is read no further than its properties ask for: its row, its record, its
//! message; each of these in one round for a page of emails.

use mail::{Email, EmailChanged, Opened};
use serde_json::Value;
use types::{AccountId, EmailId};

use crate::context::Context;
use crate::email::letter::Letter;
use crate::email::property::Property;
use crate::email::show::Plan;
use crate::error::MethodError;
use crate::method::get::{Get, check_number, response};
use crate::wire::id::BlobId;
use crate::wire::{Arguments, Object, id};

/// Emails whose records are read at once.
const RECORDS: usize = 100;
/// Emails whose messages are read at once.
const SOURCES: usize = 32;

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let get = Get::read(context, &mut arguments)?;
    let plan = Plan::read(Property::read_all(get.properties)?, &mut arguments)?;
    arguments.end()?;
    let account = get.account;
    let state = context.state(account).await?;
    let (emails, not_found) = match get.ids {
        Some(ids) => named(context, account, ids).await?,
        None => (all(context, account).await?, Vec::new()),
    };
    let mut list = Vec::with_capacity(emails.len());
    let page = if plan.needs_source() { SOURCES } else { RECORDS };
    for emails in emails.chunks(page) {
        show(context, account, emails, &plan, &mut list).await?;
    }
    Ok(response(account, state, list, not_found))
}

/// Some properties of one email, if it is there.
pub(super) async fn shown(
    context: &mut Context<'_>,
    account: AccountId,
    id: &str,
    properties: Vec<String>,
) -> Result<Option<Object>, MethodError> {
    let properties = Property::read_all(Some(properties))?;
    let plan = Plan::read(properties, &mut Arguments::new(Object::new()))?;
    let (emails, _) = named(context, account, vec![id.to_owned()]).await?;
    let mut list = Vec::new();
    show(context, account, &emails, &plan, &mut list).await?;
    Ok(match list.pop() {
        Some(Value::Object(shown)) => Some(shown),
        _ => None,
    })
}

/// The emails of these ids, and the ids of those that are not there.
async fn named(
    context: &Context<'_>,
    account: AccountId,
    ids: Vec<String>,
) -> Result<(Vec<Email>, Vec<String>), MethodError> {
    let named: Vec<(String, Option<EmailChanged>)> = ids
        .into_iter()
        .map(|text| {
            let named = id::email(&text);
            (text, named)
        })
        .collect();
    let asked: Vec<EmailId> = named.iter().filter_map(|(_, named)| Some((*named)?.email)).collect();
    let mut states = context.mail().email(account, &asked).await?.into_iter();
    let (mut emails, mut not_found) = (Vec::new(), Vec::new());
    for (text, named) in named {
        let state = named.and_then(|named| states.next().flatten().filter(|s| s.thread == named.thread));
        match state {
            Some(state) => emails.push(state),
            None => not_found.push(text),
        }
    }
    Ok((emails, not_found))
}

/// All emails, if they are no more than one call may ask for.
async fn all(context: &Context<'_>, account: AccountId) -> Result<Vec<Email>, MethodError> {
    let most = context.limits.objects_in_get;
    let emails = context.mail().emails(account, None, most.saturating_add(1)).await?;
    check_number(emails.len(), most)?;
    Ok(emails)
}

async fn show(
    context: &mut Context<'_>,
    account: AccountId,
    emails: &[Email],
    plan: &Plan,
    list: &mut Vec<Value>,
) -> Result<(), MethodError> {
    let mail = context.mail().clone();
    let ids: Vec<EmailId> = emails.iter().map(|email| email.id).collect();
    let records = if plan.needs_record() { mail.records(account, &ids).await? } else { Vec::new() };
    let sources = if plan.needs_source() { mail.sources(account, &ids).await? } else { Vec::new() };
    let (mut records, mut sources) = (records.into_iter(), sources.into_iter());
    for email in emails {
        let mut shown = plan.show_state(email);
        if plan.needs_record() {
            let (record, sealed) = (records.next().flatten(), sources.next().flatten());
            // Purged since its row was read: it is gone.
            let Some(record) = record else { continue };
            let mut opened = Opened::new(record);
            sealed.into_iter().for_each(|sealed| opened.bring(sealed));
            if plan.reads_values() {
                context
                    .has_room(usize::try_from(email.size.min(plan.longest_values())).unwrap_or(usize::MAX))?;
            }
            let mut letter = Letter::Stored(Box::new(opened));
            plan.show_content(&mut shown, &mut letter, &BlobId::of(email.id), &mail).await?;
        }
        let shown = Value::Object(shown);
        context.spend(&shown)?;
        list.push(shown);
    }
    Ok(())
}
