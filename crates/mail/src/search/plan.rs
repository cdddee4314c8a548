//! Which rows a search reads, decided by what is asked alone. `docs/search.md` has the table of plans and their costs.

use types::MailboxId;

use super::{Depth, Filter, Html, Leaf, Order, SortKey, Span};
use crate::{Email, UidList};

/// What is asked.
#[derive(Clone, Debug)]
pub struct Query {
    /// What an email must be.
    pub filter: Filter,
    /// The order of the results. The last key should be one by which no two emails are equal.
    pub sort: Vec<Order>,
    /// Only the first email of each thread (RFC 8621 §4.4.3).
    pub collapse: bool,
    /// What of HTML is searched.
    pub html: Html,
    /// Whether results tell the modseqs of their emails. Only within a view.
    pub modseqs: bool,
    /// Whether all results will be asked for, or their number: then nothing is won by looking at the first ones only.
    pub all: bool,
}

/// Where is searched.
#[derive(Clone, Debug)]
pub enum Scope {
    /// In all mail of the account.
    Account,
    /// In a mailbox, among the messages that somebody knows of.
    View {
        /// The mailbox.
        mailbox: MailboxId,
        /// The UIDs that are known. What has come since is behind the last.
        uids: UidList,
    },
}

/// Which candidates are looked at, and in which order they come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Plan {
    /// Where they come from.
    pub(super) access: Access,
    /// How far their order is the order of the results.
    pub(super) sorted: Sorted,
    /// Whether what a list by date tells of them decides everything: no other row is read.
    pub(super) listed: bool,
}

/// Where candidates come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Access {
    /// There are none.
    Nothing,
    /// The rows by date of some mailboxes.
    Dates {
        /// Which mailboxes.
        homes: Homes,
        /// From which time.
        span: Span,
        /// Whether the newest come first.
        backward: bool,
    },
    /// The members of a mailbox by UID.
    Members {
        /// Which mailbox.
        mailbox: MailboxId,
        /// Whether the highest UIDs come first.
        backward: bool,
    },
    /// All emails of the account by their ids.
    Emails,
}

/// Mailboxes whose lists by date are read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Homes {
    /// One.
    One(MailboxId),
    /// All but these, merged.
    AllBut(Vec<MailboxId>),
}

/// How far candidates come in the order of the results.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sorted {
    /// Not at all: the first result is known when the last candidate has been looked at.
    No,
    /// By the first key: what is equal by it has to be sorted among itself.
    First,
    /// Entirely.
    Exactly,
}

impl Plan {
    /// The plan for a query whose filter is ordered.
    pub(super) fn of(query: &Query, scope: &Scope) -> Self {
        let (filter, span) = (&query.filter, query.filter.span());
        if span.is_empty() || filter.is_none() {
            return Self { access: Access::Nothing, sorted: Sorted::Exactly, listed: true };
        }
        let required = filter.required();
        let home = match scope {
            Scope::View { mailbox, .. } => Some(*mailbox),
            Scope::Account => required.iter().find_map(|leaf| match leaf {
                Leaf::Mailbox(mailbox) => Some(*mailbox),
                _ => None,
            }),
        };
        // Nothing is narrower than a set of UIDs.
        let by_uid = required.iter().any(|leaf| matches!(leaf, Leaf::Uids(_)));
        let by_date = query.is_by_date();
        let backward = by_date && query.sort.first().is_some_and(|order| !order.ascending);
        let access = match home {
            Some(mailbox) if !by_uid && (by_date || !span.is_all()) => {
                Access::Dates { homes: Homes::One(mailbox), span, backward }
            }
            Some(mailbox) => return Self::members(query, mailbox),
            None if by_date && !query.all => {
                let others = required.iter().find_map(|leaf| match leaf {
                    Leaf::OtherThan(others) => Some(others.clone()),
                    _ => None,
                });
                Access::Dates { homes: Homes::AllBut(others.unwrap_or_default()), span, backward }
            }
            None => Access::Emails,
        };
        let sorted = match (&access, &query.sort[..]) {
            (Access::Dates { .. }, [first, second, ..])
                if by_date && second.key == SortKey::Email && second.ascending == first.ascending =>
            {
                Sorted::Exactly
            }
            (Access::Dates { .. }, _) if by_date => Sorted::First,
            _ => Sorted::No,
        };
        let listed = access.list(query);
        Self { access, sorted, listed }
    }

    /// The plan that looks at the members of a mailbox by UID.
    pub(super) fn members(query: &Query, mailbox: MailboxId) -> Self {
        let (sorted, backward) = match query.sort.first() {
            Some(Order { key: SortKey::Uid, ascending }) => (Sorted::Exactly, !ascending),
            _ => (Sorted::No, false),
        };
        Self { access: Access::Members { mailbox, backward }, sorted, listed: false }
    }

    /// The plan that looks at all emails.
    pub(super) const fn emails() -> Self {
        Self { access: Access::Emails, sorted: Sorted::No, listed: false }
    }

    /// The mailbox that all candidates are found in, if it is one.
    pub(super) const fn home(&self) -> Option<MailboxId> {
        match &self.access {
            Access::Members { mailbox, .. } | Access::Dates { homes: Homes::One(mailbox), .. } => {
                Some(*mailbox)
            }
            _ => None,
        }
    }

    /// Whether it matters in which mailboxes an email is besides the one that it is found in.
    pub(super) fn asks_for_places(&self, filter: &Filter) -> bool {
        let decided = |leaf: &Leaf| match &self.access {
            Access::Members { mailbox, .. } => Homes::One(*mailbox).decide(leaf),
            Access::Dates { homes, .. } => homes.decide(leaf),
            Access::Nothing | Access::Emails => false,
        };
        let places = |leaf: &&Leaf| matches!(leaf, Leaf::Mailbox(_) | Leaf::OtherThan(_));
        filter.leaves().into_iter().filter(places).any(|leaf| !decided(leaf))
    }
}

impl Query {
    /// Whether results come by when they were received, before anything else.
    pub(super) fn is_by_date(&self) -> bool {
        self.sort.first().is_some_and(|order| order.key == SortKey::Received)
    }

    /// What has to be known of a match to put it in its place.
    pub(super) fn sort_depth(&self, sorted: Sorted) -> Depth {
        let keys = self.sort.iter().filter(|_| sorted != Sorted::Exactly).map(|order| order.key.depth());
        let tells = if self.modseqs { Depth::Row } else { Depth::Listed };
        keys.max().unwrap_or(Depth::Listed).max(tells)
    }

    /// Whether the keywords of other emails of its thread decide on an email, or where it stands.
    pub(super) fn reads_threads(&self) -> bool {
        let sorts = self.sort.iter().any(|order| order.key.depth() == Depth::Thread);
        sorts || self.filter.leaves().into_iter().any(|leaf| leaf.depth() == Depth::Thread)
    }

    /// Whether other emails of its thread have a say in what becomes of an email.
    pub fn looks_at_threads(&self) -> bool {
        self.collapse || self.reads_threads()
    }
}

impl Access {
    /// Whether the list alone decides a query.
    fn list(&self, query: &Query) -> bool {
        let Self::Dates { homes, .. } = self else { return false };
        let decides = |leaf: &Leaf| leaf.depth() == Depth::Listed || homes.decide(leaf);
        query.sort_depth(Sorted::First) == Depth::Listed && query.filter.leaves().into_iter().all(decides)
    }
}

impl Homes {
    /// Whether it is known of whatever is found there that it meets a condition.
    fn decide(&self, leaf: &Leaf) -> bool {
        match (self, leaf) {
            (Self::One(home), Leaf::Mailbox(mailbox)) => home == mailbox,
            (Self::One(home), Leaf::OtherThan(others)) => !others.contains(home),
            (Self::AllBut(others), Leaf::OtherThan(asked)) => asked.iter().all(|one| others.contains(one)),
            _ => false,
        }
    }

    /// Whether an email is in one of them.
    pub(super) fn hold(&self, email: &Email) -> bool {
        email.mailboxes.iter().any(|(mailbox, _)| match self {
            Self::One(home) => home == mailbox,
            Self::AllBut(others) => !others.contains(mailbox),
        })
    }
}

#[cfg(test)]
mod tests {
    use types::{Timestamp, Uid};

    use super::*;
    use crate::search::Needle;

    fn newest() -> Vec<Order> {
        vec![Order::descending(SortKey::Received), Order::descending(SortKey::Email)]
    }

    fn plan(leaves: Vec<Leaf>, sort: Vec<Order>, all: bool, scope: &Scope) -> Plan {
        let filter = Filter::And(leaves.into_iter().map(Filter::Is).collect()).ordered();
        let query = Query { filter, sort, collapse: false, html: Html::Text, modseqs: false, all };
        Plan::of(&query, scope)
    }

    fn dates(homes: Homes, span: Span, backward: bool) -> Access {
        Access::Dates { homes, span, backward }
    }

    #[test]
    fn of_the_account() {
        let (here, there) = (MailboxId(1), MailboxId(2));
        let needle = Box::new(Needle::new("x"));
        let since = Span { from: Timestamp(5), to: None };
        let size = || vec![Order::ascending(SortKey::Size), Order::descending(SortKey::Email)];
        let one = |span, backward| dates(Homes::One(here), span, backward);
        for (leaves, sort, all, access, sorted, listed) in [
            (vec![Leaf::Mailbox(here)], newest(), false, one(Span::default(), true), Sorted::Exactly, true),
            (
                vec![Leaf::Mailbox(here), Leaf::Received(since)],
                newest(),
                true,
                one(since, true),
                Sorted::Exactly,
                true,
            ),
            (
                vec![Leaf::Mailbox(here), Leaf::Body(needle.clone())],
                newest(),
                false,
                one(Span::default(), true),
                Sorted::Exactly,
                false,
            ),
            (
                vec![Leaf::Mailbox(here), Leaf::Received(since)],
                size(),
                true,
                one(since, false),
                Sorted::No,
                false,
            ),
            (
                vec![Leaf::Mailbox(here)],
                size(),
                true,
                Access::Members { mailbox: here, backward: false },
                Sorted::No,
                false,
            ),
            (
                vec![],
                newest(),
                false,
                dates(Homes::AllBut(vec![]), Span::default(), true),
                Sorted::Exactly,
                true,
            ),
            (vec![], newest(), true, Access::Emails, Sorted::No, false),
            (
                vec![Leaf::OtherThan(vec![there])],
                newest(),
                false,
                dates(Homes::AllBut(vec![there]), Span::default(), true),
                Sorted::Exactly,
                true,
            ),
            (vec![Leaf::Body(needle)], size(), true, Access::Emails, Sorted::No, false),
        ] {
            let what = format!("{leaves:?} {sort:?}");
            assert_eq!(plan(leaves, sort, all, &Scope::Account), Plan { access, sorted, listed }, "{what}");
        }
        let never = vec![Leaf::Received(Span { from: Timestamp(5), to: Some(Timestamp(5)) })];
        assert_eq!(plan(never, newest(), true, &Scope::Account).access, Access::Nothing);
    }

    #[test]
    fn of_a_view() {
        let mailbox = MailboxId(1);
        let view = Scope::View { mailbox, uids: UidList::new(&[Uid(1), Uid(2)]) };
        let by_uid = || vec![Order::ascending(SortKey::Uid)];
        let arrival = || vec![Order::ascending(SortKey::Received), Order::ascending(SortKey::Uid)];
        let span = Span { from: Timestamp(5), to: Some(Timestamp(9)) };
        let members = |backward| Access::Members { mailbox, backward };
        for (leaves, sort, access, sorted, listed) in [
            (vec![Leaf::Deleted], by_uid(), members(false), Sorted::Exactly, false),
            (vec![], vec![Order::descending(SortKey::Uid)], members(true), Sorted::Exactly, false),
            (vec![], arrival(), dates(Homes::One(mailbox), Span::default(), false), Sorted::First, true),
            (vec![Leaf::Received(span)], by_uid(), dates(Homes::One(mailbox), span, false), Sorted::No, true),
            (
                vec![Leaf::Received(span), Leaf::Uids(vec![(Uid(2), Uid(2))])],
                arrival(),
                members(false),
                Sorted::No,
                false,
            ),
        ] {
            let what = format!("{leaves:?} {sort:?}");
            assert_eq!(plan(leaves, sort, true, &view), Plan { access, sorted, listed }, "{what}");
        }
    }
}
