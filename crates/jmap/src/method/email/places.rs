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
    if value.is_null() {
        // The default (RFC 8620 §5.3).
        return Ok(Vec::new());
    }
    let members = value.as_object().ok_or_else(bad)?;
    members.iter().map(|(text, is)| Keyword::new(text).ok().filter(|_| *is == true).ok_or_else(bad)).collect()
}

/// A patch of an email, of which nothing changes but its keywords and its mailboxes.
#[derive(Default)]
pub(super) struct Patch {
    keywords: Option<SetChange<Keyword>>,
    mailboxes: Option<SetChange<MailboxId>>,
    /// What else it says. That is no mistake if it is so already: a whole object is a patch, too.
    pub(super) fixed: Vec<(String, Value)>,
    /// All that is wrong with it.
    pub(super) wrong: Option<SetError>,
}

impl Patch {
    /// Reads it. What is no patch at all is an error.
    pub(super) fn read(context: &Context<'_>, members: Object) -> Result<Self, SetError> {
        let mut patch = Self::default();
        for (path, value) in crate::method::set::patch(members)? {
            let words: Vec<&str> = path.iter().map(String::as_str).collect();
            if let Err(error) = patch.hear(context, &words, value) {
                patch.is_wrong(error);
            }
        }
        Ok(patch)
    }

    /// Something is wrong with it.
    pub(super) fn is_wrong(&mut self, error: SetError) {
        self.wrong = Some(match self.wrong.take() {
            Some(first) => first.and(error),
            None => error,
        });
    }

    /// What it changes, if nothing is wrong with it.
    pub(super) fn update(self) -> Result<mail::EmailUpdate, SetError> {
        match self.wrong {
            Some(error) => Err(error),
            None => Ok(mail::EmailUpdate::Change { keywords: self.keywords, mailboxes: self.mailboxes }),
        }
    }

    fn hear(&mut self, context: &Context<'_>, path: &[&str], value: Value) -> Result<(), SetError> {
        match path {
            ["keywords"] => self.keywords = Some(SetChange::Replace(keywords(&value)?)),
            ["mailboxIds"] => self.mailboxes = Some(SetChange::Replace(mailboxes(context, &value)?)),
            ["keywords", text] => {
                let keyword = Keyword::new(text)
                    .map_err(|error| SetError::properties(&["keywords"], format!("{text:?}: {error}")))?;
                put(&mut self.keywords, keyword, is_in(&value, "keywords")?);
            }
            ["mailboxIds", text] => {
                let unknown = || SetError::properties(&["mailboxIds"], format!("{text:?} is no mailbox"));
                let mailbox = mailbox(context, text).ok_or_else(unknown)?;
                put(&mut self.mailboxes, mailbox, is_in(&value, "mailboxIds")?);
            }
            [name] => self.fixed.push(((*name).to_owned(), value)),
            [name, ..] => {
                let text = format!("{name:?} does not change, or does not exist");
                return Err(SetError::properties(&[name], text));
            }
            [] => {}
        }
        Ok(())
    }
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
