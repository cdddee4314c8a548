//! The results of a query, as far as somebody asks.

use std::collections::BTreeSet;

use mail::{Cursor, EmailChanged, ListRequest, Mail};
use types::{AccountId, EmailId, MailboxId, ThreadId, Timestamp};

use super::{Query, scan};
use crate::context::Context;
use crate::error::MethodError;

/// The most rows of a list that are read at once.
const PAGE: usize = 1_000;

/// An email that matches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hit {
    pub(crate) email: EmailId,
    pub(crate) thread: ThreadId,
    pub(crate) received: Timestamp,
}

/// The results of a query: those that are known, and how to go on.
pub(crate) struct Results {
    known: Vec<Hit>,
    walk: Option<Walk>,
    /// How many there are, if something counts them.
    counted: Option<u64>,
}

/// A list that is being read page by page.
struct Walk {
    mail: Mail,
    account: AccountId,
    mailbox: MailboxId,
    collapse: bool,
    after: Option<Cursor>,
}

impl Results {
    /// Begins. Of a list nothing is read yet; anything else is known when this returns.
    pub(crate) async fn of(
        query: &Query,
        context: &Context<'_>,
        account: AccountId,
    ) -> Result<Self, MethodError> {
        let mail = context.mail().clone();
        if let Some(mailbox) = query.is_list() {
            let Some(info) = mail.mailbox(account, mailbox).await? else {
                return Ok(Self { known: Vec::new(), walk: None, counted: Some(0) });
            };
            let counted = Some(if query.collapse { info.threads } else { info.total });
            let walk = Walk { mail, account, mailbox, collapse: query.collapse, after: None };
            return Ok(Self { known: Vec::new(), walk: Some(walk), counted });
        }
        let mut known = scan::all(query, &mail, account).await?;
        if query.collapse {
            let mut seen = BTreeSet::new();
            known.retain(|hit| seen.insert(hit.thread));
        }
        Ok(Self { known, walk: None, counted: None })
    }

    /// Those that are known, from the first on.
    pub(crate) fn known(&self) -> &[Hit] {
        &self.known
    }

    /// Makes so many known, or all there are.
    pub(crate) async fn reach(&mut self, count: usize) -> Result<(), MethodError> {
        while self.known.len() < count && self.more(count - self.known.len()).await? {}
        Ok(())
    }

    /// The index of an email, if it is among the results.
    pub(crate) async fn find(&mut self, email: EmailChanged) -> Result<Option<usize>, MethodError> {
        let is = |hit: &Hit| hit.email == email.email && hit.thread == email.thread;
        let mut looked_at = 0;
        loop {
            let new = self.known.get(looked_at..).unwrap_or_default();
            if let Some(at) = new.iter().position(is) {
                return Ok(Some(looked_at + at));
            }
            looked_at = self.known.len();
            if !self.more(PAGE).await? {
                return Ok(None);
            }
        }
    }

    /// Makes those known that stand before the place of an email in a list by date, newest first, or at it.
    pub(crate) async fn reach_place(
        &mut self,
        received: Timestamp,
        email: EmailId,
    ) -> Result<(), MethodError> {
        let before = |hit: &Hit| (hit.received, hit.email) > (received, email);
        while self.known.last().is_none_or(before) && self.more(PAGE).await? {}
        Ok(())
    }

    /// How many there are.
    pub(crate) async fn total(&mut self) -> Result<u64, MethodError> {
        if let Some(counted) = self.counted.filter(|_| self.walk.is_some()) {
            return Ok(counted);
        }
        self.reach(usize::MAX).await?;
        Ok(self.known.len() as u64)
    }

    /// Reads another page; false if there is none.
    async fn more(&mut self, wanted: usize) -> Result<bool, MethodError> {
        let Some(walk) = &mut self.walk else { return Ok(false) };
        let request =
            ListRequest { after: walk.after, limit: wanted.clamp(1, PAGE), collapse: walk.collapse };
        let page = walk.mail.list(walk.account, walk.mailbox, request).await?;
        self.known.extend(page.rows.iter().map(|row| Hit {
            email: row.email,
            thread: row.thread,
            received: row.received,
        }));
        walk.after = page.next;
        if page.next.is_none() {
            self.walk = None;
        }
        Ok(true)
    }
}
