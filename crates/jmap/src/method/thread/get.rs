//! `Thread/get` (RFC 8621 §3.1).

use std::collections::BTreeSet;

use serde_json::Value;
use types::ThreadId;

use crate::context::Context;
use crate::error::MethodError;
use crate::method::get::{Get, check_number, response};
use crate::wire::{Arguments, Object, id};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let get = Get::read(context, &mut arguments)?;
    arguments.end()?;
    let properties = get.names(&["id", "emailIds"])?;
    let (account, state) = (get.account, context.state(get.account).await?);
    let ids = match get.ids {
        Some(ids) => ids,
        None => all(context, account).await?,
    };
    let named: Vec<(String, Option<ThreadId>)> =
        ids.into_iter().map(|text| (id::thread(&text), text)).map(|(thread, text)| (text, thread)).collect();
    let threads: Vec<ThreadId> = named.iter().filter_map(|(_, thread)| *thread).collect();
    let mut found = context.mail().threads(account, &threads).await?.into_iter();
    let (mut list, mut not_found) = (Vec::new(), Vec::new());
    for (text, thread) in named {
        let emails = thread.and_then(|thread| Some((thread, found.next()??)));
        // A thread is there as long as it has emails.
        let Some((thread, emails)) = emails.filter(|(_, emails)| !emails.is_empty()) else {
            not_found.push(text);
            continue;
        };
        let mut shown = Object::new();
        for name in &properties {
            let value = match *name {
                "emailIds" => emails.iter().map(|email| Value::from(id::of_email(*email, thread))).collect(),
                _ => text.as_str().into(),
            };
            shown.insert((*name).to_owned(), value);
        }
        let shown = Value::Object(shown);
        context.spend(&shown)?;
        list.push(shown);
    }
    Ok(response(account, state, list, not_found))
}

/// All threads, if they are no more than one call may ask for.
async fn all(context: &Context<'_>, account: types::AccountId) -> Result<Vec<String>, MethodError> {
    const PAGE: usize = 1_000;
    let mut threads = BTreeSet::new();
    let mut after = None;
    loop {
        let page = context.mail().emails(account, after, PAGE).await?;
        threads.extend(page.iter().map(|email| email.thread));
        check_number(threads.len(), context.limits.objects_in_get)?;
        after = page.last().map(|email| email.id);
        if page.len() < PAGE {
            return Ok(threads.into_iter().map(id::of_thread).collect());
        }
    }
}
