//! What an email must be, as any protocol may ask it, and what it takes to find out.

use types::{EmailId, Keyword, MailboxId, ModSeq, ThreadId, Timestamp, Uid};

use super::Needle;

/// Conditions under operators.
#[derive(Clone, Debug)]
pub enum Filter {
    /// All must hold; without any, everything matches.
    And(Vec<Self>),
    /// One must hold; without any, nothing matches.
    Or(Vec<Self>),
    /// This must not hold.
    Not(Box<Self>),
    /// A condition.
    Is(Leaf),
}

/// A condition. Protocols put together from these what they mean by theirs.
#[derive(Clone, Debug)]
pub enum Leaf {
    /// Its UID is in one of these sorted, inclusive ranges. Only within a view.
    Uids(Vec<(Uid, Uid)>),
    /// It is in this mailbox.
    Mailbox(MailboxId),
    /// It is in a mailbox that is none of these.
    OtherThan(Vec<MailboxId>),
    /// When it was received.
    Received(Span),
    /// When it was put into the mailbox. Only within a view.
    Saved(Span),
    /// `\Deleted` in the mailbox. Only within a view.
    Deleted,
    /// At least so many octets, and fewer than so many.
    Size(u64, Option<u64>),
    /// It has a keyword.
    Keyword(Keyword),
    /// Changed at this modseq or later, as the mailbox tells it. Only within a view.
    Since(ModSeq),
    /// Its content is that of this email (RFC 8474 §5.1). Only within a view.
    Content(EmailId),
    /// Its content began in this thread (RFC 8474 §5.2). Only within a view.
    FirstThread(ThreadId),
    /// All emails of its thread have a keyword.
    AllInThread(Keyword),
    /// An email of its thread has a keyword.
    SomeInThread(Keyword),
    /// It has an attachment (RFC 8621 §4.1.4), or has none.
    Attachment(bool),
    /// When it was sent, as the sender's clock showed it: seconds since 1970-01-01T00:00:00 there, from the first and
    /// below the second. An email without a date that can be read was never sent.
    Sent(i64, i64),
    /// A header field of this name, in lower case, is there, and one of them contains this.
    Field(String, Option<Box<Needle>>),
    /// A line of the header contains this, the names of fields included.
    Header(Box<Needle>),
    /// A text part of the body contains this.
    Body(Box<Needle>),
}

/// Moments from the first on, and before the second.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// The first moment.
    pub from: Timestamp,
    /// The first moment behind it; `None` without end.
    pub to: Option<Timestamp>,
}

/// What has to be known of an email to decide, the cheapest first: what costs more contains what costs less.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Depth {
    /// What a list by date tells: id, thread, UID, when it was received.
    Listed,
    /// Its row: flags, size, modseq.
    Row,
    /// The rows of all emails of its thread.
    Thread,
    /// Its record: the fields of its header that lists show, when it was sent, whether it has attachments.
    Record,
    /// Its header, as it came.
    Header,
    /// Its text.
    Body,
}

impl Span {
    /// What both have in common.
    pub fn and(self, other: Self) -> Self {
        let to = [self.to, other.to].into_iter().flatten().min();
        Self { from: self.from.max(other.from), to }
    }

    /// Whether a moment is in it.
    pub fn holds(self, moment: Timestamp) -> bool {
        moment >= self.from && self.to.is_none_or(|to| moment < to)
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(self) -> bool {
        self.to.is_some_and(|to| to <= self.from)
    }

    /// Whether it has all moments.
    pub(super) fn is_all(self) -> bool {
        self == Self::default()
    }

    /// What is not in it, if that is one span.
    fn not(self) -> Option<Self> {
        match self {
            Self { from: Timestamp(0), to: Some(to) } => Some(Self { from: to, to: None }),
            Self { from, to: None } => Some(Self { from: Timestamp(0), to: Some(from) }),
            _ => None,
        }
    }
}

impl Filter {
    /// What everything meets.
    pub const ALL: Self = Self::And(Vec::new());
    /// What nothing meets.
    pub const NONE: Self = Self::Or(Vec::new());

    /// What does not meet this.
    #[must_use]
    pub fn negated(self) -> Self {
        let rest = match &self {
            Self::Is(Leaf::Received(span)) => span.not(),
            _ => None,
        };
        match (self, rest) {
            (_, Some(rest)) => Self::Is(Leaf::Received(rest)),
            (Self::Not(filter), None) => *filter,
            (filter, None) if filter.is_all() => Self::NONE,
            (filter, None) if filter.is_none() => Self::ALL,
            (filter, None) => Self::Not(Box::new(filter)),
        }
    }

    /// The same without operators that say nothing, and with what costs less first.
    #[must_use]
    pub fn ordered(self) -> Self {
        match self {
            Self::And(filters) => {
                let filters: Vec<Self> = filters.into_iter().map(Self::ordered).collect();
                if filters.iter().any(Self::is_none) {
                    return Self::NONE;
                }
                let flat = filters.into_iter().flat_map(|filter| match filter {
                    Self::And(inner) => inner,
                    filter => vec![filter],
                });
                one_or(flat.collect(), Self::And)
            }
            Self::Or(filters) => {
                let filters: Vec<Self> = filters.into_iter().map(Self::ordered).collect();
                if filters.iter().any(Self::is_all) {
                    return Self::ALL;
                }
                let flat = filters.into_iter().flat_map(|filter| match filter {
                    Self::Or(inner) => inner,
                    filter => vec![filter],
                });
                one_or(flat.collect(), Self::Or)
            }
            Self::Not(filter) => filter.ordered().negated(),
            Self::Is(leaf) => Self::Is(leaf),
        }
    }

    /// Whether it is met by everything, as can be seen from its form.
    pub(super) fn is_all(&self) -> bool {
        matches!(self, Self::And(filters) if filters.is_empty())
    }

    /// Whether it is met by nothing, as can be seen from its form.
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::Or(filters) if filters.is_empty())
    }

    /// Whether an email of that UID matches, if no more need be known.
    pub fn by_uid(&self, uid: Uid) -> Option<bool> {
        self.holds(&|leaf| match leaf {
            Leaf::Uids(ranges) => Some(within(ranges, uid)),
            _ => None,
        })
    }

    /// Whether it matches, if `holds` knows enough of the conditions to tell.
    pub(super) fn holds(&self, holds: &dyn Fn(&Leaf) -> Option<bool>) -> Option<bool> {
        match self {
            Self::Is(leaf) => holds(leaf),
            Self::And(filters) => all(filters.iter().map(|filter| filter.holds(holds))),
            Self::Or(filters) => any(filters.iter().map(|filter| filter.holds(holds))),
            Self::Not(filter) => filter.holds(holds).map(|holds| !holds),
        }
    }

    /// What has to be known at most.
    pub(super) fn depth(&self) -> Depth {
        self.leaves().into_iter().map(Leaf::depth).max().unwrap_or(Depth::Listed)
    }

    /// All conditions.
    pub fn leaves(&self) -> Vec<&Leaf> {
        match self {
            Self::Is(leaf) => vec![leaf],
            Self::And(filters) | Self::Or(filters) => filters.iter().flat_map(Self::leaves).collect(),
            Self::Not(filter) => filter.leaves(),
        }
    }

    /// The conditions that are not denied: what holds of a match holds because of some of them.
    pub fn asserted(&self) -> Vec<&Leaf> {
        match self {
            Self::Is(leaf) => vec![leaf],
            Self::And(filters) | Self::Or(filters) => filters.iter().flat_map(Self::asserted).collect(),
            Self::Not(_) => Vec::new(),
        }
    }

    /// The conditions that must hold whatever else does.
    pub(super) fn required(&self) -> Vec<&Leaf> {
        match self {
            Self::Is(leaf) => vec![leaf],
            Self::And(filters) => filters.iter().flat_map(Self::required).collect(),
            Self::Or(_) | Self::Not(_) => Vec::new(),
        }
    }

    /// When all matches were received.
    pub(super) fn span(&self) -> Span {
        self.required().into_iter().fold(Span::default(), |span, leaf| match leaf {
            Leaf::Received(other) => span.and(*other),
            _ => span,
        })
    }
}

impl From<Leaf> for Filter {
    fn from(leaf: Leaf) -> Self {
        Self::Is(leaf)
    }
}

impl Leaf {
    /// What has to be known, at least as a rule.
    pub(super) const fn depth(&self) -> Depth {
        match self {
            Self::Uids(_) | Self::Received(_) => Depth::Listed,
            Self::Mailbox(_)
            | Self::OtherThan(_)
            | Self::Saved(_)
            | Self::Deleted
            | Self::Size(..)
            | Self::Keyword(_)
            | Self::Since(_)
            | Self::Content(_)
            | Self::FirstThread(_) => Depth::Row,
            Self::AllInThread(_) | Self::SomeInThread(_) => Depth::Thread,
            Self::Attachment(_) | Self::Sent(..) | Self::Field(..) => Depth::Record,
            Self::Header(_) => Depth::Header,
            Self::Body(_) => Depth::Body,
        }
    }
}

/// The filters under an operator, what costs less first; one alone needs no operator.
fn one_or(mut filters: Vec<Filter>, operator: fn(Vec<Filter>) -> Filter) -> Filter {
    filters.sort_by_key(Filter::depth);
    match filters.pop() {
        Some(only) if filters.is_empty() => only,
        Some(last) => {
            filters.push(last);
            operator(filters)
        }
        None => operator(filters),
    }
}

/// Whether sorted, inclusive ranges hold a UID.
pub(super) fn within(ranges: &[(Uid, Uid)], uid: Uid) -> bool {
    let at = ranges.partition_point(|(_, last)| *last < uid);
    ranges.get(at).is_some_and(|(first, _)| *first <= uid)
}

/// Whether all hold; what is not known is asked for only where it matters.
pub fn all(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    any(answers.map(|answer| answer.map(|holds| !holds))).map(|any| !any)
}

/// Whether any holds.
pub fn any(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut known = true;
    for answer in answers {
        match answer {
            Some(true) => return Some(true),
            Some(false) => {}
            None => known = false,
        }
    }
    known.then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(size: u64) -> Filter {
        Leaf::Size(size, None).into()
    }

    /// Which conditions hold is said by their sizes.
    fn holds(filter: &Filter, known: &[u64], not: &[u64]) -> Option<bool> {
        filter.holds(&|leaf| match leaf {
            Leaf::Size(size, None) if known.contains(size) => Some(true),
            Leaf::Size(size, None) if not.contains(size) => Some(false),
            _ => None,
        })
    }

    #[test]
    fn what_is_not_known_is_asked_for_only_where_it_matters() {
        let neither = Filter::Or(vec![is(2), is(3)]).negated();
        let either = Filter::Or(vec![Filter::And(vec![is(4), is(5)]), is(6)]);
        let filter = Filter::And(vec![is(1), neither, either]);
        for filter in [filter.clone(), filter.ordered()] {
            assert_eq!(holds(&filter, &[1, 6], &[2, 3]), Some(true));
            assert_eq!(holds(&filter, &[1, 6], &[2]), None);
            assert_eq!(holds(&filter, &[3], &[]), Some(false));
            assert_eq!(holds(&filter, &[], &[1]), Some(false));
            assert_eq!(holds(&filter, &[1, 4, 5], &[2, 3]), Some(true));
        }
        assert_eq!(holds(&Filter::ALL.ordered(), &[], &[]), Some(true));
        assert_eq!(holds(&Filter::NONE.ordered(), &[], &[]), Some(false));
    }

    #[test]
    fn what_costs_less_comes_first() {
        let body = || Filter::from(Leaf::Body(Box::new(Needle::new("x"))));
        let field = || Filter::from(Leaf::Field("from".to_owned(), None));
        let uids = || Filter::from(Leaf::Uids(Vec::new()));
        let filter = Filter::And(vec![
            body(),
            Filter::And(vec![Filter::Or(vec![field(), body()]), is(1)]),
            Filter::And(vec![uids()]),
        ]);
        let Filter::And(filters) = filter.ordered() else { panic!() };
        let depths: Vec<Depth> = filters.iter().map(Filter::depth).collect();
        assert_eq!(depths, [Depth::Listed, Depth::Row, Depth::Body, Depth::Body]);
        assert!(matches!(
            Filter::And(vec![Filter::Or(vec![is(7)])]).ordered(),
            Filter::Is(Leaf::Size(7, None))
        ));
    }

    #[test]
    fn spans_of_what_is_required() {
        let since = |from| Filter::from(Leaf::Received(Span { from: Timestamp(from), to: None }));
        let span = |from, to: Option<u64>| Span { from: Timestamp(from), to: to.map(Timestamp) };
        let filter = Filter::And(vec![since(5), since(9).negated(), Filter::Or(vec![since(7), is(1)])]);
        assert_eq!(filter.clone().ordered().span(), span(5, Some(9)));
        assert!(Filter::And(vec![since(9), since(9).negated()]).ordered().span().is_empty());
        assert!(filter.negated().ordered().span().is_all());
        assert!(span(5, Some(9)).holds(Timestamp(5)) && !span(5, Some(9)).holds(Timestamp(9)));
        assert_eq!(span(5, Some(9)).not(), None);
    }
}
