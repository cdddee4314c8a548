//! Random questions, and their answers found by looking at everything.

use std::cmp::Ordering;

use mail::search::{Collation, Filter, Html, Leaf, Needle, Order, SortKey, Span, TextKey, collated};
use mail::{Email, Member};
use rand::RngExt;
use rand::rngs::StdRng;
use types::{Keyword, MailboxId, ModSeq, ThreadId, Timestamp, Uid};

use crate::letters::{Letter, WORDS, pick};
use crate::support::START;

pub const KEYWORDS: [&str; 3] = ["$seen", "$flagged", "work"];
/// Minutes over which emails are received.
pub const MINUTES: u64 = 12;

/// All that is known of an email.
#[derive(Clone, Debug)]
pub struct Known {
    pub letter: Letter,
    pub email: Email,
    /// How it is in the mailbox that is looked at, if one is.
    pub member: Option<Member>,
}

impl Known {
    /// That of its last change in the mailbox that is looked at.
    pub fn modseq(&self) -> Option<ModSeq> {
        self.member.as_ref().map(|member| member.modseq)
    }
}

/// A filter whose texts can be read.
#[derive(Clone, Debug)]
pub enum Ask {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Is(Leaf),
    Field(&'static str, Option<&'static str>),
    Header(&'static str),
    Body(&'static str),
}

/// Where a question is asked: what emails there are, and what of HTML counts.
pub struct Case<'c> {
    pub all: &'c [Known],
    pub html: Html,
}

impl Ask {
    pub fn random(depth: usize, in_view: bool, rng: &mut StdRng) -> Self {
        let some = |rng: &mut StdRng| -> Vec<Self> {
            (0..rng.random_range(0..4)).map(|_| Self::random(depth - 1, in_view, rng)).collect()
        };
        match rng.random_range(0..10) {
            0..=3 if depth > 0 => Self::And(some(rng)),
            4..=5 if depth > 0 => Self::Or(some(rng)),
            6 if depth > 0 => Self::Not(Box::new(Self::random(depth - 1, in_view, rng))),
            _ => Self::leaf(in_view, rng),
        }
    }

    fn leaf(in_view: bool, rng: &mut StdRng) -> Self {
        let keyword = |rng: &mut StdRng| Keyword::new(pick(&KEYWORDS, rng)).unwrap();
        let mailbox = |rng: &mut StdRng| MailboxId(rng.random_range(1..10));
        let word = |rng: &mut StdRng| WORDS[rng.random_range(0..WORDS.len())];
        match rng.random_range(0..if in_view { 19 } else { 13 }) {
            0 | 1 => Self::Is(Leaf::Received(span(rng))),
            2 if !in_view => Self::Is(Leaf::Mailbox(mailbox(rng))),
            3 if !in_view => Self::Is(Leaf::OtherThan(vec![mailbox(rng), mailbox(rng)])),
            2..=4 => Self::Is(Leaf::Keyword(keyword(rng))),
            5 => Self::Is(Leaf::Size(rng.random_range(0..600), Some(rng.random_range(0..900)))),
            6 => Self::Is(Leaf::AllInThread(keyword(rng))),
            7 => Self::Is(Leaf::SomeInThread(keyword(rng))),
            8 => Self::Is(Leaf::Attachment(rng.random())),
            9 => {
                let day = 1_767_225_600 + rng.random_range(0..5) * 86_400;
                Self::Is(Leaf::Sent(day, day + 86_400 * rng.random_range(0..3)))
            }
            10 => {
                let field = ["from", "to", "cc", "subject", "x-label", "in-reply-to"][rng.random_range(0..6)];
                Self::Field(field, rng.random_bool(0.7).then(|| word(rng)))
            }
            11 => Self::Header(if rng.random() { word(rng) } else { "x-label: " }),
            12 => Self::Body(if rng.random_bool(0.8) { word(rng) } else { "hidden" }),
            17 => Self::Is(Leaf::Since(ModSeq(rng.random_range(1..200)))),
            13 => {
                let mut at = 0;
                let ranges = (0..rng.random_range(0..4)).map(|_| {
                    let first = at + rng.random_range(1..20);
                    at = first + rng.random_range(0..20);
                    (Uid(first), Uid(at))
                });
                Self::Is(Leaf::Uids(ranges.collect()))
            }
            14 => Self::Is(Leaf::Saved(span(rng))),
            15 => Self::Is(Leaf::Content(types::EmailId(rng.random_range(1..40)))),
            16 => Self::Is(Leaf::FirstThread(ThreadId(rng.random_range(1..40)))),
            _ => Self::Is(Leaf::Deleted),
        }
    }

    pub fn filter(&self) -> Filter {
        let needle = |text: &str| Box::new(Needle::new(text));
        match self {
            Self::And(asks) => Filter::And(asks.iter().map(Self::filter).collect()),
            Self::Or(asks) => Filter::Or(asks.iter().map(Self::filter).collect()),
            Self::Not(ask) => ask.filter().negated(),
            Self::Is(leaf) => leaf.clone().into(),
            Self::Field(name, text) => Leaf::Field((*name).to_owned(), text.map(needle)).into(),
            Self::Header(text) => Leaf::Header(needle(text)).into(),
            Self::Body(text) => Leaf::Body(needle(text)).into(),
        }
    }

    pub fn holds(&self, known: &Known, case: &Case<'_>) -> bool {
        match self {
            Self::And(asks) => asks.iter().all(|ask| ask.holds(known, case)),
            Self::Or(asks) => asks.iter().any(|ask| ask.holds(known, case)),
            Self::Not(ask) => !ask.holds(known, case),
            Self::Is(leaf) => leaf_holds(leaf, known, case),
            Self::Field(name, text) => known.letter.fields.iter().any(|(field, value)| {
                field.eq_ignore_ascii_case(name)
                    && text.is_none_or(|text| value.to_lowercase().contains(text))
            }),
            Self::Header(text) => {
                let lines = known.letter.fields.iter();
                lines.map(|(name, value)| format!("{name}: {value}").to_lowercase()).any(|l| l.contains(text))
            }
            Self::Body("hidden") => known.letter.html && case.html == Html::Source,
            Self::Body(text) => known.letter.body.contains(text),
        }
    }
}

fn leaf_holds(leaf: &Leaf, known: &Known, case: &Case<'_>) -> bool {
    let Known { letter, email, member } = known;
    let has = |keyword: &Keyword| email.keywords.contains(keyword.as_str());
    match leaf {
        Leaf::Uids(ranges) => {
            member.as_ref().is_some_and(|m| ranges.iter().any(|(a, b)| (*a..=*b).contains(&m.uid)))
        }
        Leaf::Mailbox(mailbox) => email.mailboxes.iter().any(|(m, _)| m == mailbox),
        Leaf::OtherThan(others) => email.mailboxes.iter().any(|(m, _)| !others.contains(m)),
        Leaf::Received(span) => span.holds(email.received),
        Leaf::Saved(span) => member.as_ref().is_some_and(|m| span.holds(m.saved)),
        Leaf::Deleted => member.as_ref().is_some_and(|m| m.deleted),
        Leaf::Content(content) => member.as_ref().is_some_and(|m| m.content == *content),
        Leaf::FirstThread(thread) => member.as_ref().is_some_and(|m| m.first_thread == *thread),
        Leaf::Size(least, below) => email.size >= *least && below.is_none_or(|below| email.size < below),
        Leaf::Keyword(keyword) => has(keyword),
        Leaf::Since(modseq) => known.modseq() >= Some(*modseq),
        Leaf::AllInThread(keyword) => {
            in_thread(known, case).all(|k| k.email.keywords.contains(keyword.as_str()))
        }
        Leaf::SomeInThread(keyword) => {
            in_thread(known, case).any(|k| k.email.keywords.contains(keyword.as_str()))
        }
        Leaf::Attachment(has) => letter.attachment == *has,
        Leaf::Sent(from, to) => {
            letter.sent.is_some_and(|(secs, zone)| (*from..*to).contains(&(secs + zone * 60)))
        }
        Leaf::Field(..) | Leaf::Header(_) | Leaf::Body(_) => panic!("has a text that cannot be read"),
    }
}

fn in_thread<'c>(known: &'c Known, case: &Case<'c>) -> impl Iterator<Item = &'c Known> {
    case.all.iter().filter(|other| other.email.thread == known.email.thread)
}

fn span(rng: &mut StdRng) -> Span {
    let minute = |rng: &mut StdRng| Timestamp(START.0 + rng.random_range(0..=MINUTES) * 60_000);
    let (from, to) = (minute(rng), minute(rng));
    match rng.random_range(0..3) {
        0 => Span { from, to: None },
        1 => Span { from: Timestamp(0), to: Some(to) },
        _ => Span { from, to: Some(to) },
    }
}

/// An order by which no two emails are equal.
pub fn sort(in_view: bool, rng: &mut StdRng) -> Vec<Order> {
    let keyword = |rng: &mut StdRng| Keyword::new(pick(&KEYWORDS, rng)).unwrap();
    let mut sort = Vec::new();
    for _ in 0..rng.random_range(0..3) {
        let key = match rng.random_range(0..12) {
            0..=4 => SortKey::Received,
            5 => SortKey::Size,
            6 => SortKey::Sent,
            7 => SortKey::Keyword(keyword(rng)),
            8 => SortKey::AllInThread(keyword(rng)),
            9 => SortKey::SomeInThread(keyword(rng)),
            10 => SortKey::Text(TextKey::Subject, Collation::Unicode),
            _ => SortKey::Text(TextKey::Correspondent("from"), Collation::Octet),
        };
        sort.push(Order { key, ascending: rng.random() });
    }
    let last = if in_view { SortKey::Uid } else { SortKey::Email };
    sort.push(Order { key: last, ascending: rng.random() });
    sort
}

/// Which of two comes first.
pub fn compare(sort: &[Order], one: &Known, two: &Known, case: &Case<'_>) -> Ordering {
    let has = |k: &Known, keyword: &Keyword| k.email.keywords.contains(keyword.as_str());
    for Order { key, ascending } in sort {
        let sent = |k: &Known| {
            k.letter.sent.map_or(i64::try_from(k.email.received.secs()).unwrap(), |(secs, _)| secs)
        };
        let order = match key {
            SortKey::Received => one.email.received.cmp(&two.email.received),
            SortKey::Email => one.email.id.cmp(&two.email.id),
            SortKey::Uid => one.member.as_ref().map(|m| m.uid).cmp(&two.member.as_ref().map(|m| m.uid)),
            SortKey::Size => one.email.size.cmp(&two.email.size),
            SortKey::Sent => sent(one).cmp(&sent(two)),
            SortKey::Keyword(keyword) => has(one, keyword).cmp(&has(two, keyword)),
            SortKey::AllInThread(keyword) => {
                let all = |k| in_thread(k, case).all(|k| has(k, keyword));
                all(one).cmp(&all(two))
            }
            SortKey::SomeInThread(keyword) => {
                let some = |k| in_thread(k, case).any(|k| has(k, keyword));
                some(one).cmp(&some(two))
            }
            SortKey::Text(TextKey::Subject, _) => {
                collated(&one.letter.subject).cmp(&collated(&two.letter.subject))
            }
            SortKey::Text(..) => one.letter.from.cmp(&two.letter.from),
        };
        if order.is_ne() {
            return if *ascending { order } else { order.reverse() };
        }
    }
    Ordering::Equal
}
