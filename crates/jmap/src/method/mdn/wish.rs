//! An MDN object as a client sends it (RFC 9007 §2).

use compose::{Receipt, Reported};
use mail::EmailChanged;
use serde_json::Value;
use types::{ActionMode, Disposition, DispositionType, SendingMode};

use super::PROPERTIES;
use crate::context::Context;
use crate::error::SetError;
use crate::wire::{Object, id};

/// Octets of what a receipt says to people.
const TEXT: usize = 64 << 10;
/// The most further fields, and the longest name of one.
const FIELDS: usize = 32;
const NAME: usize = 60;
/// The fields that RFC 8098 knows.
const KNOWN: [&str; 7] = [
    "reporting-ua",
    "mdn-gateway",
    "original-recipient",
    "final-recipient",
    "original-message-id",
    "disposition",
    "error",
];

/// What a client wants to tell of an email.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) email: EmailChanged,
    pub(super) subject: Option<String>,
    pub(super) text: Option<String>,
    pub(super) with_original: bool,
    pub(super) reporting_ua: Option<String>,
    pub(super) disposition: Disposition,
    pub(super) final_recipient: Option<Reported>,
    pub(super) extension: Vec<(String, String)>,
}

impl Wish {
    /// Reads one.
    pub(super) fn read(context: &Context<'_>, object: &Object) -> Result<Self, SetError> {
        if let Some(name) = object.keys().find(|name| !PROPERTIES.contains(&name.as_str())) {
            return Err(SetError::properties(&[name], "an MDN has no such property"));
        }
        let set = ["mdnGateway", "originalRecipient", "originalMessageId", "error"];
        if let Some(name) = set.into_iter().find(|name| object.get(*name).is_some_and(|v| !v.is_null())) {
            return Err(SetError::properties(&[name], "this is said by the server"));
        }
        let needed = || SetError::properties(&["forEmailId"], "an MDN is for an email");
        let email = string(object, "forEmailId")?.ok_or_else(needed)?;
        let email = context.real_id(&email).and_then(id::email).ok_or_else(SetError::not_found)?;
        let with_original = match object.get("includeOriginalMessage") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(with)) => *with,
            Some(_) => return Err(SetError::properties(&["includeOriginalMessage"], "it is true or false")),
        };
        let text = string(object, "textBody")?;
        if text.as_ref().is_some_and(|text| text.len() > TEXT) {
            let error = SetError::new("tooLarge", format!("the text of an MDN may have {TEXT} octets"));
            return Err(error.with("maxSize", TEXT));
        }
        Ok(Self {
            email,
            subject: line(object, "subject")?,
            text,
            with_original,
            reporting_ua: line(object, "reportingUA")?,
            disposition: disposition(object)?,
            final_recipient: final_recipient(object)?,
            extension: extension(object)?,
        })
    }
}

fn string(object: &Object, name: &str) -> Result<Option<String>, SetError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(SetError::properties(&[name], format!("{name} is a string"))),
    }
}

/// A string that stands in one field.
fn line(object: &Object, name: &str) -> Result<Option<String>, SetError> {
    let found = string(object, name)?;
    if found.as_deref().is_some_and(|text| !is_line(text)) {
        let text = format!("{name} is one line of {} octets at most", Receipt::VALUE);
        return Err(SetError::properties(&[name], text));
    }
    Ok(found)
}

fn is_line(text: &str) -> bool {
    text.len() <= Receipt::VALUE && !text.chars().any(char::is_control)
}

fn disposition(object: &Object) -> Result<Disposition, SetError> {
    let bad = || {
        let text = "a disposition has actionMode, sendingMode and type, each one of the words of RFC 9007 §2, \
                    and nothing else";
        SetError::properties(&["disposition"], text)
    };
    let Some(Value::Object(members)) = object.get("disposition") else { return Err(bad()) };
    let word = |name: &str| members.get(name).and_then(Value::as_str).ok_or_else(bad);
    let (action, sending, kind) = (word("actionMode")?, word("sendingMode")?, word("type")?);
    if members.len() > 3 {
        return Err(bad());
    }
    Ok(Disposition {
        action: ActionMode::ALL.into_iter().find(|mode| mode.as_str() == action).ok_or_else(bad)?,
        sending: SendingMode::ALL.into_iter().find(|mode| mode.as_str() == sending).ok_or_else(bad)?,
        kind: DispositionType::ALL.into_iter().find(|known| known.as_str() == kind).ok_or_else(bad)?,
    })
}

/// An address of the Internet: whether it is the user's is decided where that can be asked.
fn final_recipient(object: &Object) -> Result<Option<Reported>, SetError> {
    let Some(text) = line(object, "finalRecipient")? else { return Ok(None) };
    let found = Reported::parse(&text).filter(|found| ["rfc822", "utf-8"].contains(&found.kind.as_str()));
    let bad = || {
        let text = "finalRecipient is an address, or one behind its type such as \"rfc822; a@example.com\"";
        SetError::properties(&["finalRecipient"], text)
    };
    found.map(Some).ok_or_else(bad)
}

fn extension(object: &Object) -> Result<Vec<(String, String)>, SetError> {
    let bad = |what: String| SetError::properties(&["extensionFields"], what);
    let fields = match object.get("extensionFields") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err(bad("extensionFields are names and values".to_owned())),
    };
    if fields.len() > FIELDS {
        return Err(bad(format!("an MDN may have {FIELDS} further fields")));
    }
    let mut found = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let fits = (1..=NAME).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !fits || KNOWN.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(bad(format!(
                "{name:?} is no name of a further field: those have letters, digits and -"
            )));
        }
        match value {
            Value::String(text) if is_line(text) => found.push((name.clone(), text.clone())),
            _ => return Err(bad(format!("{name} is one line of {} octets at most", Receipt::VALUE))),
        }
    }
    Ok(found)
}
