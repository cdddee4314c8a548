//! How results are put in order.

use std::cmp::Ordering;

use types::Keyword;

use super::evidence::{Listed, Row, ThreadKeywords};
use super::{Collation, Depth, Kept};
use crate::ingest::address::{Entry, addresses};
use crate::ingest::decode_text;
use crate::ingest::subject::base_subject;

/// One of the orders, of which each decides where those before it do not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// What is compared.
    pub key: SortKey,
    /// Whether the smallest comes first.
    pub ascending: bool,
}

/// What is compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SortKey {
    /// When it was received.
    Received,
    /// Its UID: the order of a mailbox. Only within a view.
    Uid,
    /// Its id: about the order in which emails came to the account.
    Email,
    /// Its octets.
    Size,
    /// Its Date field, or else when it was received, in seconds.
    Sent,
    /// Whether it has a keyword.
    Keyword(Keyword),
    /// Whether all emails of its thread have a keyword.
    AllInThread(Keyword),
    /// Whether an email of its thread has a keyword.
    SomeInThread(Keyword),
    /// A text of its header.
    Text(TextKey, Collation),
}

/// Which text of a header is compared; it is empty where there is none. Fields are named in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TextKey {
    /// The base subject (RFC 5256 §2.1).
    Subject,
    /// What ENVELOPE shows as the mailbox of the first address, which may be a group's name (RFC 5256 §3).
    LocalPart(&'static str),
    /// The name of the first address, which may be a group's, or else the address (RFC 5957 §3).
    DisplayName(&'static str),
    /// The name of the first address that is not a group's, or else the address (RFC 8621 §4.4.2).
    Correspondent(&'static str),
}

/// A value to compare.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SortValue {
    Number(i64),
    Text(Box<str>),
}

impl Order {
    /// The smallest first.
    pub const fn ascending(key: SortKey) -> Self {
        Self { key, ascending: true }
    }

    /// The largest first.
    pub const fn descending(key: SortKey) -> Self {
        Self { key, ascending: false }
    }

    /// The same from its end.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { ascending: !self.ascending, ..self }
    }

    /// What is compared of an email of which as much is known as the key takes.
    pub(super) fn value(
        &self,
        listed: &Listed,
        row: Option<&Row<'_>>,
        threads: &ThreadKeywords,
        kept: Option<&Kept<'_>>,
    ) -> SortValue {
        let number = |number: u64| SortValue::Number(i64::try_from(number).unwrap_or(i64::MAX));
        match &self.key {
            SortKey::Received => number(listed.received.0),
            SortKey::Uid => number(listed.uid().map_or(0, |uid| uid.0.into())),
            SortKey::Email => number(listed.email.0),
            SortKey::Size => number(row.map_or(0, |row| row.size)),
            SortKey::Keyword(keyword) => {
                number(row.is_some_and(|row| row.keywords.contains(keyword.as_str())).into())
            }
            SortKey::AllInThread(keyword) => number(threads.all(listed.thread, keyword).into()),
            SortKey::SomeInThread(keyword) => number(threads.some(listed.thread, keyword).into()),
            SortKey::Sent => {
                let received = i64::try_from(listed.received.secs()).unwrap_or(i64::MAX);
                SortValue::Number(kept.and_then(|kept| kept.sent).map_or(received, |sent| sent.secs))
            }
            SortKey::Text(text, collation) => {
                SortValue::Text(collation.key(&kept.map_or_else(String::new, |kept| text.of(kept))))
            }
        }
    }
}

impl SortKey {
    /// What has to be known of an email to compare it.
    pub(super) const fn depth(&self) -> Depth {
        match self {
            Self::Received | Self::Uid | Self::Email => Depth::Listed,
            Self::Size | Self::Keyword(_) => Depth::Row,
            Self::AllInThread(_) | Self::SomeInThread(_) => Depth::Thread,
            Self::Sent | Self::Text(..) => Depth::Record,
        }
    }
}

impl TextKey {
    /// The text.
    pub fn of(self, kept: &Kept<'_>) -> String {
        match self {
            Self::Subject => {
                kept.header.last("subject").map(|value| base_subject(value, kept.hint())).unwrap_or_default()
            }
            Self::LocalPart(field) => match first(kept, field) {
                Some(Entry::Mailbox(mailbox)) => String::from_utf8_lossy(&mailbox.local).into_owned(),
                Some(Entry::GroupStart(name)) => String::from_utf8_lossy(&name).into_owned(),
                _ => String::new(),
            },
            Self::DisplayName(field) => match first(kept, field) {
                Some(Entry::Mailbox(mailbox)) => {
                    mailbox.display_name(kept.hint()).unwrap_or_else(|| mailbox.address())
                }
                Some(Entry::GroupStart(name)) => decode_text(&name, kept.hint()).into_owned(),
                _ => String::new(),
            },
            Self::Correspondent(field) => {
                let entries = kept.header.last(field).map(|value| addresses(value, 2)).unwrap_or_default();
                let first = entries.into_iter().find_map(|entry| match entry {
                    Entry::Mailbox(mailbox) => Some(mailbox),
                    Entry::GroupStart(_) | Entry::GroupEnd => None,
                });
                first.map_or_else(String::new, |mailbox| {
                    mailbox.display_name(kept.hint()).unwrap_or_else(|| mailbox.address())
                })
            }
        }
    }
}

/// Which of two comes first.
pub(super) fn compare(sort: &[Order], one: &[SortValue], two: &[SortValue]) -> Ordering {
    for ((order, one), two) in sort.iter().zip(one).zip(two) {
        match one.cmp(two) {
            Ordering::Equal => {}
            compared if order.ascending => return compared,
            compared => return compared.reverse(),
        }
    }
    Ordering::Equal
}

fn first<'r>(kept: &Kept<'r>, field: &str) -> Option<Entry<'r>> {
    addresses(kept.header.last(field)?, 1).into_iter().next()
}
