//! How results are put in order (RFC 8621 §4.4.2).

use std::cmp::Ordering;

use mail::Record;
use mail::ingest::address::{Entry, addresses};
use mail::ingest::decode_text;
use mail::ingest::subject::base_subject;
use mail::record::HeaderView;
use types::Keyword;

use super::row::{Row, ThreadKeywords};
use crate::error::MethodError;
use crate::method::collation::Collation;
use crate::wire::{Arguments, Object};

/// The properties that emails can be sorted by, as the session object tells.
pub(crate) const SORTS: [&str; 9] = [
    "receivedAt",
    "size",
    "from",
    "to",
    "subject",
    "sentAt",
    "hasKeyword",
    "allInThreadHaveKeyword",
    "someInThreadHaveKeyword",
];

/// One of the orders, of which each decides where those before it do not.
#[derive(Clone, Debug)]
pub(crate) struct Comparator {
    pub(super) key: SortKey,
    pub(super) ascending: bool,
    collation: Collation,
}

/// What is compared.
#[derive(Clone, Debug)]
pub(crate) enum SortKey {
    ReceivedAt,
    Size,
    From,
    To,
    Subject,
    SentAt,
    Has(String),
    AllInThreadHave(String),
    SomeInThreadHave(String),
}

/// A value to compare.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SortValue {
    Number(i64),
    Text(Box<str>),
}

impl SortKey {
    pub(crate) const fn looks_at_threads(&self) -> bool {
        matches!(self, Self::AllInThreadHave(_) | Self::SomeInThreadHave(_))
    }

    /// Whether more than an email's row is looked at.
    pub(super) const fn reads_record(&self) -> bool {
        matches!(self, Self::From | Self::To | Self::Subject | Self::SentAt)
    }
}

impl Comparator {
    /// The order of a list that nobody has asked for in another.
    pub(super) const fn newest_first() -> Self {
        Self { key: SortKey::ReceivedAt, ascending: false, collation: Collation::Unicode }
    }

    pub(super) fn read(members: Object) -> Result<Self, MethodError> {
        let mut arguments = Arguments::new(members);
        let property: String = arguments.required("property")?;
        let mut keyword = || {
            let text: String = arguments.required("keyword")?;
            let keyword = Keyword::new(&text);
            keyword
                .map(|keyword| keyword.as_str().to_owned())
                .map_err(|error| MethodError::argument("keyword", format_args!("is none: {error}")))
        };
        let key = match property.as_str() {
            "receivedAt" => SortKey::ReceivedAt,
            "size" => SortKey::Size,
            "from" => SortKey::From,
            "to" => SortKey::To,
            "subject" => SortKey::Subject,
            "sentAt" => SortKey::SentAt,
            "hasKeyword" => SortKey::Has(keyword()?),
            "allInThreadHaveKeyword" => SortKey::AllInThreadHave(keyword()?),
            "someInThreadHaveKeyword" => SortKey::SomeInThreadHave(keyword()?),
            _ => {
                return Err(MethodError::UnsupportedSort(format!("emails cannot be sorted by {property:?}")));
            }
        };
        // A comparator may have more properties than it needs (RFC 8620 §5.5), and clients send such.
        let (ascending, collation) = (arguments.or("isAscending", true)?, Collation::read(&mut arguments)?);
        Ok(Self { key, ascending, collation })
    }

    /// What is compared of an email.
    pub(super) fn value(
        &self,
        row: &Row,
        threads: &ThreadKeywords,
        record: Option<&Record>,
    ) -> Result<SortValue, MethodError> {
        let number = |number: u64| SortValue::Number(i64::try_from(number).unwrap_or(i64::MAX));
        let text = |text: &str| SortValue::Text(self.collation.key(text));
        Ok(match &self.key {
            SortKey::ReceivedAt => number(row.received.0),
            SortKey::Size => number(row.size),
            SortKey::Has(keyword) => number(row.keywords.contains(keyword).into()),
            SortKey::AllInThreadHave(keyword) => number(threads.all(row.thread, keyword).into()),
            SortKey::SomeInThreadHave(keyword) => number(threads.some(row.thread, keyword).into()),
            SortKey::SentAt => {
                let sent = record.map(Record::sent).transpose()?.flatten();
                let received = i64::try_from(row.received.secs()).unwrap_or(i64::MAX);
                SortValue::Number(sent.map_or(received, |sent| sent.secs))
            }
            SortKey::From | SortKey::To | SortKey::Subject => {
                let Some(record) = record else { return Ok(text("")) };
                let (header, hint) = (record.header()?, hint(record)?);
                text(&match self.key {
                    SortKey::From => correspondent(header, "from", hint.as_deref()),
                    SortKey::To => correspondent(header, "to", hint.as_deref()),
                    _ => subject(header, hint.as_deref()),
                })
            }
        })
    }
}

/// Which of two comes first.
pub(super) fn compare(comparators: &[Comparator], one: &[SortValue], two: &[SortValue]) -> Ordering {
    for ((comparator, one), two) in comparators.iter().zip(one).zip(two) {
        match one.cmp(two) {
            Ordering::Equal => {}
            order if comparator.ascending => return order,
            order => return order.reverse(),
        }
    }
    Ordering::Equal
}

/// The charset of 8-bit text in the fields that a record keeps.
pub(crate) fn hint(record: &Record) -> Result<Option<String>, MethodError> {
    // Only octets beyond ASCII leave a question open.
    Ok(match record.header()?.fields.is_ascii() {
        true => None,
        false => record.structure()?.charset_hint().map(|hint| hint.into_owned()),
    })
}

/// The name of the first address, or else the address.
fn correspondent(header: HeaderView<'_>, field: &str, hint: Option<&str>) -> String {
    let first = header.last(field).and_then(|value| {
        addresses(value, 2).into_iter().find_map(|entry| match entry {
            Entry::Mailbox(mailbox) => Some(mailbox),
            Entry::GroupStart(_) | Entry::GroupEnd => None,
        })
    });
    first.map_or_else(String::new, |mailbox| mailbox.display_name(hint).unwrap_or_else(|| mailbox.address()))
}

fn subject(header: HeaderView<'_>, hint: Option<&str>) -> String {
    header.last("subject").map(|value| base_subject(value, hint)).unwrap_or_default()
}

/// A subject as it is shown.
pub(crate) fn readable_subject(header: HeaderView<'_>, hint: Option<&str>) -> Option<String> {
    header.last("subject").map(|value| decode_text(value, hint).into_owned())
}
