//! Mailboxes and keywords as clients write them: objects whose members are all `true` (RFC 8621 §4.1.1).

use mail::SetChange;
use serde_json::Value;
use types::{Keyword, MailboxId};

use crate::context::Context;
use crate::error::SetError;
use crate::wire::{Object, id};

/// Reads `mailboxIds` whole.
pub(super) fn mailboxes(context: &Context<'_>, value: &Value) -> Result<Vec<MailboxId>, SetError> {
    let bad = || SetError::properties(&["mailboxIds"], "mailboxIds must be an object of ids that are true");
    let members = value.as_object().ok_or_else(bad)?;
    members.iter().map(|(text, is)| mailbox(context, text).filter(|_| *is == true).ok_or_else(bad)).collect()
}

/// Reads `keywords` whole.
pub(super) fn keywords(value: &Value) -> Result<Vec<Keyword>, SetError> {
    let bad = || SetError::properties(&["keywords"], "keywords must be an object of keywords that are true");
    let members = value.as_object().ok_or_else(bad)?;
    members.iter().map(|(text, is)| Keyword::new(text).ok().filter(|_| *is == true).ok_or_else(bad)).collect()
}

/// Reads a patch of an email: of its keywords and its mailboxes; nothing else of it changes.
pub(super) fn read_patch(context: &Context<'_>, members: Object) -> Result<mail::EmailUpdate, SetError> {
    let (mut of_keywords, mut of_mailboxes) = (None, None);
    for (path, value) in crate::method::set::patch(members)? {
        let words: Vec<&str> = path.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["keywords"] => of_keywords = Some(SetChange::Replace(keywords(&value)?)),
            ["mailboxIds"] => of_mailboxes = Some(SetChange::Replace(mailboxes(context, &value)?)),
            ["keywords", text] => {
                let keyword = Keyword::new(text)
                    .map_err(|error| SetError::properties(&["keywords"], format!("{text:?}: {error}")))?;
                put(&mut of_keywords, keyword, is_in(&value, "keywords")?);
            }
            ["mailboxIds", text] => {
                let unknown = || SetError::properties(&["mailboxIds"], format!("{text:?} is no mailbox"));
                let mailbox = mailbox(context, text).ok_or_else(unknown)?;
                put(&mut of_mailboxes, mailbox, is_in(&value, "mailboxIds")?);
            }
            [name, ..] => {
                let text = format!("{name:?} does not change, or does not exist");
                return Err(SetError::properties(&[name], text));
            }
            [] => {}
        }
    }
    Ok(mail::EmailUpdate::Change { keywords: of_keywords, mailboxes: of_mailboxes })
}

fn put<T>(change: &mut Option<SetChange<T>>, item: T, is_in: bool) {
    match change.get_or_insert_with(|| SetChange::Patch(Vec::new())) {
        SetChange::Patch(patch) => patch.push((item, is_in)),
        // The patch has been checked: nothing is said of a whole and of its parts.
        SetChange::Replace(_) => {}
    }
}

fn is_in(value: &Value, property: &str) -> Result<bool, SetError> {
    match value {
        Value::Bool(true) => Ok(true),
        Value::Null => Ok(false),
        _ => Err(SetError::properties(&[property], "what is in a set is true, and what is taken out null")),
    }
}

fn mailbox(context: &Context<'_>, text: &str) -> Option<MailboxId> {
    id::mailbox(context.real_id(text)?)
}
