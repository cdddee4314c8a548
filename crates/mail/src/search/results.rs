//! The results of a search, as far as somebody asks.

use std::collections::BTreeSet;
use std::sync::Arc;

use types::{AccountId, EmailId, MailboxId, ModSeq, ThreadId, Timestamp, Uid};

use super::candidates::{Remembered, Source, Uids, Walk};
use super::evidence::Listed;
use super::judge::{Bench, Found, Judge};
use super::order::compare;
use super::plan::{Access, Homes, Plan, Query, Scope, Sorted};
use super::{Filter, Leaf, Span};
use crate::{Email, Error, Mail, Roll};

/// The most candidates that are looked at between two reads.
const PAGE: usize = 1_000;
/// Candidates that are looked at first by whoever does not know how many it takes.
const FEW: usize = 64;
/// Mailboxes whose lists are merged. Of more than these it is less work to look at all emails.
const LANES: usize = 32;

/// An email that matches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hit {
    /// Its id.
    pub email: EmailId,
    /// Its thread.
    pub thread: ThreadId,
    /// When it was received.
    pub received: Timestamp,
    /// Its UID in the mailbox that it was found in; none if all emails were looked through.
    pub uid: Option<Uid>,
    /// The modseq of its last change, if that was asked for or had to be looked at.
    pub modseq: Option<ModSeq>,
}

/// The results of a search: those that are known, and how to go on.
pub struct Results {
    mail: Mail,
    account: AccountId,
    query: Query,
    scope: Scope,
    plan: Plan,
    /// `None` before it begins.
    source: Option<Source>,
    bench: Bench,
    /// Matches that may have others before them.
    pending: Vec<Found>,
    known: Vec<Hit>,
    /// The threads that are among them.
    shown: BTreeSet<ThreadId>,
    /// How many there are, if something counts them.
    counted: Option<u64>,
    looked_at: usize,
    /// How many candidates are looked at next, at least.
    reach: usize,
    /// Candidates of a walk whose rows had to be read; none any more once that is no matter.
    strayed: Option<usize>,
}

impl Mail {
    /// Searches. Nothing is read before somebody asks for results.
    pub fn search(&self, account: AccountId, scope: Scope, query: Query) -> Results {
        let query = Query { filter: query.filter.ordered(), ..query };
        Results {
            plan: Plan::of(&query, &scope),
            mail: self.clone(),
            account,
            query,
            scope,
            source: None,
            bench: Bench::default(),
            pending: Vec::new(),
            known: Vec::new(),
            shown: BTreeSet::new(),
            counted: None,
            looked_at: 0,
            reach: 0,
            strayed: Some(0),
        }
    }
}

impl Results {
    /// Those that are known, from the first on.
    pub fn known(&self) -> &[Hit] {
        &self.known
    }

    /// Whether all are known.
    pub const fn is_over(&self) -> bool {
        matches!(self.source, Some(Source::Over))
    }

    /// How many candidates have been looked at.
    pub const fn looked_at(&self) -> usize {
        self.looked_at
    }

    /// Makes so many known, or all there are.
    pub async fn reach(&mut self, count: usize) -> Result<(), Error> {
        while self.known.len() < count && !self.is_over() {
            self.step(count - self.known.len()).await?;
            // There may be many steps, and none that has to wait.
            tokio::task::consume_budget().await;
        }
        Ok(())
    }

    /// The index of an email, if it is among the results.
    pub async fn find(&mut self, email: EmailId, thread: ThreadId) -> Result<Option<usize>, Error> {
        let mut looked_at = 0;
        loop {
            let new = self.known.get(looked_at..).unwrap_or_default();
            if let Some(at) = new.iter().position(|hit| hit.email == email && hit.thread == thread) {
                return Ok(Some(looked_at + at));
            }
            looked_at = self.known.len();
            if self.is_over() {
                return Ok(None);
            }
            self.step(FEW).await?;
        }
    }

    /// Makes known all that stand before the places of these emails, or at them, whether they match or not: of a list by
    /// date mostly its beginning, and of anything else all.
    pub async fn reach_places(&mut self, emails: &[Email]) -> Result<(), Error> {
        self.begin().await?;
        let (homes, backward) = match &self.plan.access {
            Access::Dates { homes, backward, .. } if self.plan.sorted != Sorted::No => (homes, *backward),
            _ => return self.reach(usize::MAX).await,
        };
        let places = emails.iter().filter(|email| homes.hold(email)).map(|email| email.received);
        let Some(last) = (if backward { places.min() } else { places.max() }) else { return Ok(()) };
        let is_behind = |hit: &Hit| if backward { hit.received < last } else { hit.received > last };
        while !self.known.last().is_some_and(is_behind) && !self.is_over() {
            self.step(FEW).await?;
        }
        Ok(())
    }

    /// How many there are.
    pub async fn total(&mut self) -> Result<u64, Error> {
        self.begin().await?;
        if let Some(counted) = self.counted.filter(|_| !self.is_over()) {
            return Ok(counted);
        }
        self.reach(usize::MAX).await?;
        Ok(self.known.len() as u64)
    }

    /// Looks at some more candidates, of whom `wanted` would be enough if all matched.
    pub async fn step(&mut self, wanted: usize) -> Result<(), Error> {
        self.begin().await?;
        let count = match self.plan.sorted {
            Sorted::No => PAGE,
            // What is equal to the last one that is wanted may come before it.
            Sorted::First => wanted.saturating_add(1).max(self.reach).clamp(1, PAGE),
            Sorted::Exactly => wanted.max(self.reach).clamp(1, PAGE),
        };
        let known = self.known.len();
        let Some(source) = &mut self.source else { return Ok(()) };
        let mut page = source.next(&self.mail, self.account, count).await?;
        let (last, ended) = (page.listed.last().copied(), page.ended);
        self.looked_at += page.listed.len();
        if let Scope::View { uids, .. } = &self.scope {
            let newest = uids.last();
            page.listed.retain(|listed| listed.uid() <= newest);
        }
        let mut judge = Judge::new(&self.mail, self.account, &self.query, &self.plan, &mut self.bench);
        let found = judge.page(page).await?;
        let rows_read = judge.rows_read;
        self.pending.extend(found);
        self.settle(last, ended);
        // Where much does not match, or is hidden, steps grow.
        let enough = self.known.len() - known >= wanted;
        self.reach = if enough { 0 } else { count.saturating_mul(2).min(PAGE) };
        if ended {
            self.source = Some(Source::Over);
        } else if matches!(self.source, Some(Source::Walk(_))) {
            self.stray(rows_read).await?;
        }
        Ok(())
    }

    /// Gives those their places before which nothing can come any more. `last` is the last candidate.
    fn settle(&mut self, last: Option<Listed>, ended: bool) {
        let count = match (self.plan.sorted, last) {
            _ if ended => self.pending.len(),
            (Sorted::No, _) | (Sorted::First, None) => 0,
            (Sorted::Exactly, _) => self.pending.len(),
            (Sorted::First, Some(last)) => {
                self.pending.partition_point(|found| found.hit.received != last.received)
            }
        };
        let mut settled: Vec<Found> = self.pending.drain(..count).collect();
        if self.plan.sorted != Sorted::Exactly {
            settled.sort_by(|one, two| compare(&self.query.sort, &one.values, &two.values));
        }
        let (collapse, shown) = (self.query.collapse, &mut self.shown);
        let hits = settled.into_iter().map(|found| found.hit);
        self.known.extend(hits.filter(|hit| !collapse || shown.insert(hit.thread)));
    }

    /// A walk that has to look at many rows of one mailbox by itself goes on by those in memory, if they fit there.
    async fn stray(&mut self, rows_read: usize) -> Result<(), Error> {
        let Some(strayed) = &mut self.strayed else { return Ok(()) };
        *strayed += rows_read;
        if *strayed < PAGE {
            return Ok(());
        }
        self.strayed = None;
        let Access::Dates { homes: Homes::One(mailbox), span, .. } = self.plan.access else { return Ok(()) };
        if self.plan.asks_for_places(&self.query.filter) {
            return Ok(());
        }
        let roll = match self.mail.current(self.account, mailbox).await {
            // What is left of its list is going away, too.
            Err(Error::NoSuchMailbox) => None,
            current => current?.roll,
        };
        if let Some(roll) = roll
            && let Some(Source::Walk(walk)) = &self.source
        {
            self.source = Some(Source::Remembered(walk.remember(mailbox, roll, span)));
        }
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), Error> {
        if self.source.is_none() {
            let source = match self.open().await {
                // It has no emails; within a view somebody wants to know.
                Err(Error::NoSuchMailbox) if matches!(self.scope, Scope::Account) => Source::Over,
                source => source?,
            };
            self.source = Some(source);
        }
        Ok(())
    }

    async fn open(&mut self) -> Result<Source, Error> {
        match self.plan.access.clone() {
            Access::Nothing => Ok(Source::Over),
            Access::Dates { homes: Homes::One(mailbox), span, backward } => {
                self.open_list(mailbox, span, backward).await
            }
            Access::Dates { homes: Homes::AllBut(others), span, backward } => {
                let infos = self.mail.mailboxes(self.account).await?;
                let mailboxes = infos.iter().map(|info| info.id).filter(|id| !others.contains(id));
                let mailboxes: Vec<MailboxId> = mailboxes.collect();
                if mailboxes.len() > LANES {
                    self.plan = Plan::emails();
                    return Ok(Source::Emails(None));
                }
                Ok(Source::Walk(Walk::new(self.account, &mailboxes, span, backward)))
            }
            Access::Members { mailbox, .. } => {
                let roll = self.mail.current(self.account, mailbox).await?.roll;
                Ok(self.members(mailbox, roll))
            }
            Access::Emails => Ok(Source::Emails(None)),
        }
    }

    /// The list of one mailbox: from its rows, or from memory if that tells more than they do.
    async fn open_list(&mut self, mailbox: MailboxId, span: Span, backward: bool) -> Result<Source, Error> {
        let is_plain = matches!(self.query.filter, Filter::Is(Leaf::Mailbox(_)));
        if matches!(self.scope, Scope::Account) {
            let info = self.mail.mailbox(self.account, mailbox).await?.ok_or(Error::NoSuchMailbox)?;
            let counted = if self.query.collapse { info.threads } else { info.total };
            self.counted = Some(counted).filter(|_| is_plain);
        }
        let by_date = self.query.is_by_date();
        // All rows have to be read: those by date would only come on top.
        let whole = self.query.all && !self.plan.listed && span.is_all();
        let roll = if is_plain || (self.plan.listed && by_date && !self.query.all) {
            None
        } else if whole {
            self.mail.current(self.account, mailbox).await?.roll
        } else {
            self.mail.at_hand(self.account, mailbox).await?
        };
        Ok(match roll {
            Some(roll) if by_date => Source::Remembered(Remembered::new(mailbox, roll, span, backward)),
            None if !whole => Source::Walk(Walk::new(self.account, &[mailbox], span, backward)),
            roll => {
                self.plan = Plan::members(&self.query, mailbox);
                self.members(mailbox, roll)
            }
        })
    }

    /// The members of a mailbox by UID.
    fn members(&self, mailbox: MailboxId, roll: Option<Arc<Roll>>) -> Source {
        let backward = matches!(self.plan.access, Access::Members { backward: true, .. });
        let required = self.query.filter.required();
        let ranges = required.into_iter().find_map(|leaf| match leaf {
            Leaf::Uids(ranges) => Some(ranges.as_slice()),
            _ => None,
        });
        let known = match &self.scope {
            Scope::View { uids, .. } => Some(uids.clone()),
            Scope::Account => roll.as_ref().map(|roll| roll.uids().clone()),
        };
        match known {
            Some(uids) => Source::Uids(Uids::new(mailbox, uids, ranges, backward, roll)),
            None => Source::Members(mailbox, Uid(1)),
        }
    }
}
