//! The conditions of a filter (RFC 8621 §4.4.1), and whether an email meets them.

use mail::ingest::fields::{Field, Fields};
use mail::search::{Needle, field_contains};
use serde_json::Value;
use types::{Keyword, MailboxId, Timestamp};

use super::row::{Row, ThreadKeywords};
use super::terms::Terms;
use crate::error::MethodError;
use crate::method::filter::{Filter, all};
use crate::wire::arguments::Id;
use crate::wire::{Arguments, id};

/// A condition.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    InMailbox(MailboxId),
    /// In a mailbox that cannot be.
    Nowhere,
    InMailboxOtherThan(Vec<MailboxId>),
    Before(Timestamp),
    After(Timestamp),
    MinSize(u64),
    MaxSize(u64),
    AllInThreadHave(String),
    SomeInThreadHave(String),
    NoneInThreadHave(String),
    Has(String),
    Lacks(String),
    HasAttachment(bool),
    /// In the address and subject fields, or in the body.
    Text(Terms),
    /// In fields of these names.
    Field(&'static str, Terms),
    Body(Terms),
    /// A field of this name is there, and contains this.
    Header(String, Option<Box<Needle>>),
}

/// The fields that a search for text looks at (RFC 8621 §4.4.1).
pub(super) const TEXT_FIELDS: [&str; 5] = ["from", "to", "cc", "bcc", "subject"];

/// What is known of an email so far.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'a> {
    pub(super) row: &'a Row,
    pub(super) threads: Option<&'a ThreadKeywords>,
    pub(super) record: Option<RecordSeen<'a>>,
    pub(super) header: Option<HeaderSeen<'a>>,
    pub(super) body: Option<BodySeen<'a>>,
}

/// What its record tells.
#[derive(Clone, Copy)]
pub(super) struct RecordSeen<'a> {
    pub(super) header: mail::record::HeaderView<'a>,
    pub(super) hint: Option<&'a str>,
    pub(super) has_attachment: bool,
}

/// Its whole header.
#[derive(Clone, Copy)]
pub(super) struct HeaderSeen<'a> {
    pub(super) block: &'a [u8],
    pub(super) hint: Option<&'a str>,
}

/// Which texts its body contains.
#[derive(Clone, Copy)]
pub(super) struct BodySeen<'a> {
    pub(super) needles: &'a [&'a Needle],
    pub(super) contained: &'a [bool],
}

/// Reads a filter.
pub(super) fn read(value: Value, most: usize) -> Result<Filter<Condition>, MethodError> {
    Filter::read(value, most, &conditions)
}

fn conditions(arguments: &mut Arguments) -> Result<Vec<Filter<Condition>>, MethodError> {
    use Condition as C;
    let mut found = Vec::new();
    // A condition that is there by mistake would find everything.
    if let Some(name) = arguments.null() {
        return Err(MethodError::argument(name, "must not be null"));
    }
    if let Some(Id(text)) = arguments.optional("inMailbox")? {
        found.push(id::mailbox(&text).map_or(C::Nowhere, C::InMailbox));
    }
    if let Some(ids) = arguments.optional::<Vec<Id>>("inMailboxOtherThan")? {
        found.push(C::InMailboxOtherThan(ids.iter().filter_map(|Id(text)| id::mailbox(text)).collect()));
    }
    found.extend(arguments.optional("before")?.map(C::Before));
    found.extend(arguments.optional("after")?.map(C::After));
    found.extend(arguments.optional("minSize")?.map(C::MinSize));
    found.extend(arguments.optional("maxSize")?.map(C::MaxSize));
    found.extend(keyword(arguments, "allInThreadHaveKeyword")?.map(C::AllInThreadHave));
    found.extend(keyword(arguments, "someInThreadHaveKeyword")?.map(C::SomeInThreadHave));
    found.extend(keyword(arguments, "noneInThreadHaveKeyword")?.map(C::NoneInThreadHave));
    found.extend(keyword(arguments, "hasKeyword")?.map(C::Has));
    found.extend(keyword(arguments, "notKeyword")?.map(C::Lacks));
    found.extend(arguments.optional("hasAttachment")?.map(C::HasAttachment));
    found.extend(terms(arguments, "text")?.map(C::Text));
    for name in TEXT_FIELDS {
        found.extend(terms(arguments, name)?.map(|terms| C::Field(name, terms)));
    }
    found.extend(terms(arguments, "body")?.map(C::Body));
    if let Some(words) = arguments.optional::<Vec<String>>("header")? {
        found.push(match words.as_slice() {
            [name] => C::Header(name.clone(), None),
            [name, text] => C::Header(name.clone(), Some(Box::new(Needle::new(text)))),
            _ => {
                return Err(MethodError::argument(
                    "header",
                    "must be an array of a name, or of a name and a text",
                ));
            }
        });
    }
    Ok(found.into_iter().map(Filter::Is).collect())
}

/// Keywords are compared in lower case (RFC 8621 §4.1.1).
fn keyword(arguments: &mut Arguments, name: &'static str) -> Result<Option<String>, MethodError> {
    let Some(text) = arguments.optional::<String>(name)? else { return Ok(None) };
    match Keyword::new(&text) {
        Ok(keyword) => Ok(Some(keyword.as_str().to_owned())),
        Err(error) => Err(MethodError::argument(name, format_args!("is no keyword: {error}"))),
    }
}

fn terms(arguments: &mut Arguments, name: &'static str) -> Result<Option<Terms>, MethodError> {
    Ok(arguments.optional::<String>(name)?.map(|text| Terms::new(&text)))
}

impl Condition {
    /// Whether other emails of the thread decide.
    pub(crate) const fn looks_at_threads(&self) -> bool {
        matches!(self, Self::AllInThreadHave(_) | Self::SomeInThreadHave(_) | Self::NoneInThreadHave(_))
    }

    /// Whether the mailboxes of an email decide.
    pub(super) const fn looks_at_mailboxes(&self) -> bool {
        matches!(self, Self::InMailbox(_) | Self::InMailboxOtherThan(_))
    }

    /// The texts that it looks for in a body.
    pub(super) fn body_needles(&self) -> &[Needle] {
        match self {
            Self::Text(terms) | Self::Body(terms) => terms.needles(),
            _ => &[],
        }
    }

    /// The texts that it looks for anywhere but in a subject, and those that it looks for there: for snippets.
    pub(crate) fn highlighted(&self) -> (&[Needle], &[Needle]) {
        match self {
            Self::Text(terms) => (terms.needles(), terms.needles()),
            Self::Body(terms) => (terms.needles(), &[]),
            Self::Field("subject", terms) => (&[], terms.needles()),
            _ => (&[], &[]),
        }
    }

    /// Whether the email meets it, if what is known of it is enough to tell.
    pub(super) fn holds(&self, evidence: &Evidence<'_>) -> Option<bool> {
        let row = evidence.row;
        match self {
            Self::Nowhere => Some(false),
            Self::InMailbox(mailbox) => Some(row.mailboxes.contains(mailbox)),
            Self::InMailboxOtherThan(mailboxes) => {
                Some(row.mailboxes.iter().any(|mailbox| !mailboxes.contains(mailbox)))
            }
            Self::Before(moment) => Some(row.received < *moment),
            Self::After(moment) => Some(row.received >= *moment),
            Self::MinSize(size) => Some(row.size >= *size),
            Self::MaxSize(size) => Some(row.size < *size),
            Self::Has(keyword) => Some(row.keywords.contains(keyword)),
            Self::Lacks(keyword) => Some(!row.keywords.contains(keyword)),
            Self::AllInThreadHave(keyword) => evidence.threads.map(|t| t.all(row.thread, keyword)),
            Self::SomeInThreadHave(keyword) => evidence.threads.map(|t| t.some(row.thread, keyword)),
            Self::NoneInThreadHave(keyword) => evidence.threads.map(|t| !t.some(row.thread, keyword)),
            Self::HasAttachment(has) => evidence.record.map(|record| record.has_attachment == *has),
            Self::Field(name, terms) => {
                all(terms.needles().iter().map(|needle| evidence.field_has(name, Some(needle))))
            }
            Self::Header(name, needle) => evidence.field_has(name, needle.as_deref()),
            Self::Body(terms) => all(terms.needles().iter().map(|needle| evidence.body_has(needle))),
            Self::Text(terms) => all(terms.needles().iter().map(|needle| {
                let fields = TEXT_FIELDS.iter().map(|name| evidence.field_has(name, Some(needle)));
                crate::method::filter::any(fields.chain([evidence.body_has(needle)]))
            })),
        }
    }
}

impl Evidence<'_> {
    /// Whether there is a field of that name, with that text in it if one is given.
    fn field_has(&self, name: &str, needle: Option<&Needle>) -> Option<bool> {
        if let Some(HeaderSeen { block, hint }) = self.header {
            let named = |field: &Field<'_>| field.name.eq_ignore_ascii_case(name.as_bytes());
            let mut values = Fields::new(block).filter(named).map(|field| field.value);
            return Some(match needle {
                Some(needle) => field_contains(values, hint, needle),
                None => values.next().is_some(),
            });
        }
        let RecordSeen { header, hint, .. } = self.record.filter(|record| record.header.covers([name]))?;
        Some(match needle {
            Some(needle) => field_contains(header.all(name), hint, needle),
            None => header.all(name).next().is_some(),
        })
    }

    fn body_has(&self, needle: &Needle) -> Option<bool> {
        let BodySeen { needles, contained } = self.body?;
        let at = needles.iter().position(|known| known.is(needle));
        Some(at.and_then(|at| contained.get(at)).copied().unwrap_or(false))
    }
}
