//! Where candidates come from, page by page.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use store::kv::{KeyRange, Range as Reading, Table, Transaction};
use types::{AccountId, EmailId, MailboxId, Timestamp, Uid};

use super::Span;
use super::evidence::{Listed, Row};
use crate::table::{ReceivedKey, ReceivedRow, Receiveds};
use crate::{Email, Error, Finder, Mail, Member, Roll, UidList};

/// Where candidates come from.
pub(super) enum Source {
    /// There are no more.
    Over,
    /// The rows by date of some mailboxes.
    Walk(Walk),
    /// The members of a mailbox in memory, by date.
    Remembered(Remembered),
    /// The members of a mailbox that somebody can name, by UID.
    Uids(Uids),
    /// The members of a mailbox by UID, from this one on, read from the store.
    Members(MailboxId, Uid),
    /// All emails behind this one.
    Emails(Option<EmailId>),
}

/// Some candidates.
pub(super) struct Page {
    pub(super) listed: Vec<Listed>,
    /// Their rows, if they came with them.
    pub(super) rows: Option<Rows>,
    /// Whether these were the last.
    pub(super) ended: bool,
}

/// Rows of candidates.
pub(super) enum Rows {
    Members(Arc<Roll>),
    Emails(BTreeMap<EmailId, Email>),
}

/// Finds the rows of candidates; quickly, if they are asked for in their order.
pub(super) enum RowFinder<'r> {
    Members(Finder<'r>),
    Emails(&'r BTreeMap<EmailId, Email>),
}

/// Lists by date, merged.
pub(super) struct Walk {
    lanes: Vec<Lane>,
    backward: bool,
    /// Where it has come to.
    last: Option<(Timestamp, EmailId)>,
}

/// The list of one mailbox.
struct Lane {
    rest: KeyRange,
    ready: VecDeque<Listed>,
    ended: bool,
    /// How many rows were read at once last.
    reach: usize,
}

/// Members in memory, by date.
pub(super) struct Remembered {
    mailbox: MailboxId,
    roll: Arc<Roll>,
    order: Vec<(Timestamp, EmailId, Uid)>,
    at: usize,
}

/// Members that a list names.
pub(super) struct Uids {
    mailbox: MailboxId,
    uids: UidList,
    /// Ascending ranges of indexes that are left.
    ranges: VecDeque<Range<usize>>,
    backward: bool,
    roll: Option<Arc<Roll>>,
}

impl Source {
    /// The next candidates, about so many.
    pub(super) async fn next(
        &mut self,
        mail: &Mail,
        account: AccountId,
        count: usize,
    ) -> Result<Page, Error> {
        match self {
            Self::Over => Ok(Page { listed: Vec::new(), rows: None, ended: true }),
            Self::Walk(walk) => walk.next(mail, account, count).await,
            Self::Remembered(remembered) => Ok(remembered.next(count)),
            Self::Uids(uids) => uids.next(mail, account, count).await,
            Self::Members(mailbox, from) => {
                let members = mail.members(account, *mailbox, *from, Uid(u32::MAX), count).await?;
                let next = members.last().and_then(|member| member.uid.0.checked_add(1));
                let ended = members.len() < count || next.is_none();
                *from = next.map_or(*from, Uid);
                let roll = Roll::of(members);
                let listed = roll.iter().map(|entry| Listed::member(&entry, *mailbox)).collect();
                Ok(Page { listed, rows: Some(Rows::Members(Arc::new(roll))), ended })
            }
            Self::Emails(after) => {
                let emails = mail.emails(account, *after, count).await?;
                let ended = emails.len() < count;
                *after = emails.last().map(|email| email.id);
                let listed = emails.iter().map(|email| Listed::email(email, None)).collect();
                Ok(Page { listed, rows: Some(Rows::of_emails(emails.into_iter())), ended })
            }
        }
    }
}

impl Rows {
    pub(super) fn of_members(members: Vec<Member>) -> Self {
        Self::Members(Arc::new(Roll::of(members)))
    }

    pub(super) fn of_emails(emails: impl Iterator<Item = Email>) -> Self {
        Self::Emails(emails.map(|email| (email.id, email)).collect())
    }

    pub(super) fn finder(&self) -> RowFinder<'_> {
        match self {
            Self::Members(roll) => RowFinder::Members(roll.finder()),
            Self::Emails(emails) => RowFinder::Emails(emails),
        }
    }
}

impl<'r> RowFinder<'r> {
    /// A candidate as its row tells of it, if it is still there.
    pub(super) fn find(&mut self, listed: &Listed) -> Option<(Listed, Row<'r>)> {
        match self {
            Self::Members(finder) => {
                let (mailbox, uid) = listed.place?;
                let entry = finder.find(uid).filter(|entry| entry.email() == listed.email)?;
                Some((Listed::member(&entry, mailbox), Row::member(&entry)))
            }
            Self::Emails(emails) => {
                let email = emails.get(&listed.email)?;
                Some((Listed::email(email, listed.place), Row::email(email)))
            }
        }
    }
}

impl Walk {
    pub(super) fn new(account: AccountId, mailboxes: &[MailboxId], span: Span, backward: bool) -> Self {
        let lane = |mailbox: &MailboxId| Lane {
            rest: Receiveds::within(account, *mailbox, span),
            ready: VecDeque::new(),
            ended: false,
            reach: 0,
        };
        Self { lanes: mailboxes.iter().map(lane).collect(), backward, last: None }
    }

    /// What is left of it for a mailbox whose members are in memory, if it goes through one alone.
    pub(super) fn remember(&self, mailbox: MailboxId, roll: Arc<Roll>, span: Span) -> Remembered {
        let mut rest = Remembered::new(mailbox, roll, span, self.backward);
        rest.order.retain(|(received, email, _)| match (self.last, self.backward) {
            (Some(last), true) => (*received, *email) < last,
            (Some(last), false) => (*received, *email) > last,
            (None, _) => true,
        });
        rest
    }

    async fn next(&mut self, mail: &Mail, account: AccountId, count: usize) -> Result<Page, Error> {
        let mut listed = Vec::new();
        while listed.len() < count {
            self.fill(mail, account, count - listed.len()).await?;
            let heads = self.lanes.iter_mut().filter(|lane| !lane.ready.is_empty());
            let place = |lane: &&mut Lane| lane.ready.front().map(|next| (next.received, next.email));
            let first = match self.backward {
                true => heads.max_by_key(place),
                false => heads.min_by_key(place),
            };
            let Some(next) = first.and_then(|lane| lane.ready.pop_front()) else { break };
            // What is in several mailboxes stands at the same place in each of their lists.
            if self.last != Some((next.received, next.email)) {
                self.last = Some((next.received, next.email));
                listed.push(next);
            }
        }
        let ended = self.lanes.iter().all(|lane| lane.ended && lane.ready.is_empty());
        Ok(Page { listed, rows: None, ended })
    }

    /// Reads on where the next row is not known, one range for each mailbox.
    async fn fill(&mut self, mail: &Mail, account: AccountId, count: usize) -> Result<(), Error> {
        /// Rows of one mailbox among several that are read at once, at least.
        const FEW: usize = 8;
        let (lanes, backward) = (self.lanes.len(), self.backward);
        for lane in self.lanes.iter_mut().filter(|lane| lane.ready.is_empty() && !lane.ended) {
            // The one that runs dry first is the one in which most is.
            let limit = if lanes == 1 { count } else { (lane.reach * 2).max(FEW).min(count.max(FEW)) };
            lane.reach = limit;
            let reading = Reading::new(lane.rest.clone()).limit(limit).snapshot();
            let reading = &if backward { reading.reverse() } else { reading };
            let read =
                |tx: Transaction| async move { Ok(tx.rows::<Receiveds>(reading.clone()).all().await?) };
            let rows: Vec<(ReceivedKey, ReceivedRow)> = mail.look(read).await?;
            lane.ended = rows.len() < limit;
            if let Some((last, _)) = rows.last() {
                let key = Receiveds::key(&ReceivedKey { account, ..*last });
                match backward {
                    true => lane.rest.end = key,
                    false => lane.rest.begin = store::kv::after_key(&key),
                }
            }
            lane.ready.extend(rows.into_iter().map(|(key, row)| Listed {
                email: key.email,
                thread: row.thread,
                received: key.received,
                place: Some((key.mailbox, row.uid)),
            }));
        }
        Ok(())
    }
}

impl Remembered {
    pub(super) fn new(mailbox: MailboxId, roll: Arc<Roll>, span: Span, backward: bool) -> Self {
        let within = roll.iter().filter(|entry| span.holds(entry.received()));
        let mut order: Vec<_> = within.map(|entry| (entry.received(), entry.email(), entry.uid())).collect();
        order.sort_unstable();
        if backward {
            order.reverse();
        }
        Self { mailbox, roll, order, at: 0 }
    }

    fn next(&mut self, count: usize) -> Page {
        let end = self.at.saturating_add(count).min(self.order.len());
        let mut finder = self.roll.finder();
        let page = self.order.get(self.at..end).unwrap_or_default().iter();
        let entries = page.filter_map(|(.., uid)| finder.find(*uid));
        let listed = entries.map(|entry| Listed::member(&entry, self.mailbox)).collect();
        self.at = end;
        Page { listed, rows: Some(Rows::Members(self.roll.clone())), ended: end == self.order.len() }
    }
}

impl Uids {
    /// Those of a list that lie in any of the ranges, which are sorted and inclusive; all, if there are none. Their rows
    /// are in the roll, if there is one.
    pub(super) fn new(
        mailbox: MailboxId,
        uids: UidList,
        ranges: Option<&[(Uid, Uid)]>,
        backward: bool,
        roll: Option<Arc<Roll>>,
    ) -> Self {
        let behind = |last: Uid| last.0.checked_add(1).map_or(uids.len(), |next| uids.below(Uid(next)));
        let ranges: VecDeque<Range<usize>> = match ranges {
            Some(ranges) => ranges.iter().map(|(first, last)| uids.below(*first)..behind(*last)).collect(),
            None => std::iter::once(0..uids.len()).collect(),
        };
        let ranges = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        Self { mailbox, uids, ranges, backward, roll }
    }

    async fn next(&mut self, mail: &Mail, account: AccountId, count: usize) -> Result<Page, Error> {
        let (mut uids, in_a_row) = self.take(count);
        let roll = match &self.roll {
            Some(roll) => roll.clone(),
            None => {
                let (lowest, highest) = (uids.iter().min().copied(), uids.iter().max().copied());
                let members = match lowest.zip(highest) {
                    Some((from, to)) if in_a_row => {
                        mail.members(account, self.mailbox, from, to, uids.len()).await?
                    }
                    _ => mail.members_at(account, self.mailbox, &uids).await?,
                };
                Arc::new(Roll::of(members))
            }
        };
        let mut finder = roll.finder();
        let entries = uids.drain(..).filter_map(|uid| finder.find(uid));
        let listed = entries.map(|entry| Listed::member(&entry, self.mailbox)).collect();
        Ok(Page { listed, rows: Some(Rows::Members(roll)), ended: self.ranges.is_empty() })
    }

    /// Takes the next ones, and whether no others lie between them.
    fn take(&mut self, count: usize) -> (Vec<Uid>, bool) {
        let (mut taken, mut pieces) = (Vec::new(), 0);
        while taken.len() < count {
            let range = if self.backward { self.ranges.back_mut() } else { self.ranges.front_mut() };
            let Some(range) = range else { break };
            let some = range.len().min(count - taken.len());
            let part = match self.backward {
                true => range.end - some..range.end,
                false => range.start..range.start + some,
            };
            (*range, pieces) = match self.backward {
                true => (range.start..part.start, pieces + 1),
                false => (part.end..range.end, pieces + 1),
            };
            if range.start >= range.end {
                let _empty = if self.backward { self.ranges.pop_back() } else { self.ranges.pop_front() };
            }
            let from = taken.len();
            taken.extend(self.uids.range(part));
            if self.backward
                && let Some(new) = taken.get_mut(from..)
            {
                new.reverse();
            }
        }
        (taken, pieces == 1)
    }
}
