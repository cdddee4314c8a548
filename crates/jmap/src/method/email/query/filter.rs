//! The conditions of a filter (RFC 8621 §4.4.1), in the words of a search.

use mail::search::{Filter, Leaf, Needle, Span};
use serde_json::Value;
use types::{Keyword, Timestamp};

use super::terms::needles;
use crate::error::MethodError;
use crate::method::filter::Filter as Operators;
use crate::wire::arguments::Id;
use crate::wire::{Arguments, id};

/// The fields that a search for text looks at (RFC 8621 §4.4.1).
const TEXT_FIELDS: [&str; 5] = ["from", "to", "cc", "bcc", "subject"];

/// Fields and bodies that are looked through for words, each by itself: a word that may be anywhere counts six times.
const MOST_TEXTS: usize = 400;
/// Mailboxes of `inMailboxOtherThan`.
const MOST_OTHERS: usize = 1_000;

/// Reads a filter.
pub(super) fn read(value: Value, most: usize) -> Result<Filter, MethodError> {
    let filter = Operators::read(value, most, &conditions).map(search)?;
    let is_text = |leaf: &&Leaf| matches!(leaf, Leaf::Field(_, Some(_)) | Leaf::Header(_) | Leaf::Body(_));
    if filter.leaves().into_iter().filter(is_text).count() > MOST_TEXTS {
        return Err(MethodError::UnsupportedFilter("the filter looks for too many words".to_owned()));
    }
    Ok(filter)
}

/// The same under the operators of a search.
fn search(filter: Operators<Filter>) -> Filter {
    let all = |filters: Vec<Operators<Filter>>| filters.into_iter().map(search).collect();
    match filter {
        Operators::And(filters) => Filter::And(all(filters)),
        Operators::Or(filters) => Filter::Or(all(filters)),
        Operators::Not(filters) => Filter::Or(all(filters)).negated(),
        Operators::Is(filter) => filter,
    }
}

fn conditions(arguments: &mut Arguments) -> Result<Vec<Operators<Filter>>, MethodError> {
    let mut found: Vec<Filter> = Vec::new();
    // A condition that is there by mistake would find everything.
    if let Some(name) = arguments.null() {
        return Err(MethodError::argument(name, "must not be null"));
    }
    if let Some(Id(text)) = arguments.optional("inMailbox")? {
        // What is no id of a mailbox names one that cannot be.
        found.push(id::mailbox(&text).map_or(Filter::NONE, |mailbox| Leaf::Mailbox(mailbox).into()));
    }
    if let Some(ids) = arguments.optional::<Vec<Id>>("inMailboxOtherThan")? {
        if ids.len() > MOST_OTHERS {
            let text = format!("inMailboxOtherThan may name {MOST_OTHERS} mailboxes");
            return Err(MethodError::UnsupportedFilter(text));
        }
        let others = ids.iter().filter_map(|Id(text)| id::mailbox(text)).collect();
        found.push(Leaf::OtherThan(others).into());
    }
    let received = |from, to| Filter::Is(Leaf::Received(Span { from, to }));
    let size = |least, below| Filter::Is(Leaf::Size(least, below));
    found.extend(arguments.optional("before")?.map(|moment| received(Timestamp(0), Some(moment))));
    found.extend(arguments.optional("after")?.map(|moment| received(moment, None)));
    found.extend(arguments.optional("minSize")?.map(|least| size(least, None)));
    found.extend(arguments.optional("maxSize")?.map(|below| size(0, Some(below))));
    let all = |keyword| Filter::Is(Leaf::AllInThread(keyword));
    let some = |keyword| Filter::Is(Leaf::SomeInThread(keyword));
    let has = |keyword| Filter::Is(Leaf::Keyword(keyword));
    found.extend(keyword(arguments, "allInThreadHaveKeyword")?.map(all));
    found.extend(keyword(arguments, "someInThreadHaveKeyword")?.map(some));
    found.extend(keyword(arguments, "noneInThreadHaveKeyword")?.map(|none| some(none).negated()));
    found.extend(keyword(arguments, "hasKeyword")?.map(has));
    found.extend(keyword(arguments, "notKeyword")?.map(|lacked| has(lacked).negated()));
    found.extend(arguments.optional("hasAttachment")?.map(|has| Filter::Is(Leaf::Attachment(has))));
    found.extend(terms(arguments, "text", |needle| {
        let fields = TEXT_FIELDS.iter().map(|name| field(name, needle.clone()));
        Filter::Or(fields.chain([body(needle.clone())]).collect())
    })?);
    for name in TEXT_FIELDS {
        found.extend(terms(arguments, name, |needle| field(name, needle))?);
    }
    found.extend(terms(arguments, "body", body)?);
    if let Some(words) = arguments.optional::<Vec<String>>("header")? {
        let (name, needle) = match words.as_slice() {
            [name] => (name, None),
            [name, text] => (name, Some(Box::new(Needle::new(text)))),
            _ => {
                return Err(MethodError::argument(
                    "header",
                    "must be an array of a name, or of a name and a text",
                ));
            }
        };
        found.push(Leaf::Field(name.to_ascii_lowercase(), needle).into());
    }
    Ok(found.into_iter().map(Operators::Is).collect())
}

/// Keywords are compared in lower case (RFC 8621 §4.1.1).
fn keyword(arguments: &mut Arguments, name: &'static str) -> Result<Option<Keyword>, MethodError> {
    let Some(text) = arguments.optional::<String>(name)? else { return Ok(None) };
    let keyword = Keyword::new(&text);
    keyword.map(Some).map_err(|error| MethodError::argument(name, format_args!("is no keyword: {error}")))
}

/// What must hold of each term of a text.
fn terms(
    arguments: &mut Arguments,
    name: &'static str,
    condition: impl Fn(Box<Needle>) -> Filter,
) -> Result<Option<Filter>, MethodError> {
    let text = arguments.optional::<String>(name)?;
    Ok(text.map(|text| {
        Filter::And(needles(&text).into_iter().map(|needle| condition(Box::new(needle))).collect())
    }))
}

fn field(name: &str, needle: Box<Needle>) -> Filter {
    Leaf::Field(name.to_owned(), Some(needle)).into()
}

fn body(needle: Box<Needle>) -> Filter {
    Leaf::Body(needle).into()
}
