//! Reports as their users hold them.

use std::sync::Arc;
use std::time::Duration;

use checks::{Action, Results};
use dns::Name;
use parking_lot::Mutex;
use store::kv::{KeyRange, Kv};
use types::Clock;

use crate::Error;
use crate::day::Day;
use crate::observed::{self, Sessions, Treatment};
use crate::table::{DmarcDays, DmarcRows, Receiveds, Settleds, TlsDays, counts_before};
use crate::tally::Pending;

/// How much is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Rows in memory, of each kind, until they are written down.
    pub pending: usize,
    /// Domains a day with observations on DMARC.
    pub domains: i64,
    /// Rows of one domain's day of DMARC.
    pub rows: u32,
    /// Reports a day that others send.
    pub received: i64,
    /// How long those are kept.
    pub keep: u32,
    /// How long a node may take to send a report, before another one does.
    pub lease: Duration,
    /// How often it is tried to send a report.
    pub tries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pending: 20_000,
            domains: 20_000,
            rows: 2_000,
            received: 2_000,
            keep: 90,
            lease: Duration::from_mins(30),
            tries: 10,
        }
    }
}

/// For how many days it is remembered that a report was sent, and observations wait that were not.
const SETTLED: u32 = 7;

/// What was observed, what others have reported, and what becomes of both. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Reports {
    inner: Arc<Inner>,
}

struct Inner {
    kv: Kv,
    clock: Clock,
    limits: Limits,
    pending: Mutex<Pending>,
}

impl Reports {
    /// Reports in a store.
    pub fn new(kv: Kv, clock: Clock, limits: Limits) -> Self {
        Self { inner: Arc::new(Inner { kv, clock, limits, pending: Mutex::default() }) }
    }

    /// Notes how TLS went on an attempt to deliver to a domain. Costs no commit.
    pub fn saw_delivery(&self, destination: &str, sessions: Sessions<'_>) {
        let Some(domain) = Name::parse(destination).filter(|name| name.is_qualified()) else { return };
        if destination.starts_with('[') {
            return;
        }
        let seen = observed::of_delivery(sessions);
        if !seen.is_empty() {
            let day = self.today();
            self.inner.pending.lock().tls(&self.inner.limits, day, domain.as_str(), &seen);
        }
    }

    /// Notes what became of a message that was checked. Costs no commit.
    pub fn saw_message(&self, results: &Results, action: &Action, treatment: Treatment) {
        let seen = observed::of_message(results, action, treatment);
        if seen.is_empty() {
            return;
        }
        let day = self.today();
        let mut pending = self.inner.pending.lock();
        for (domain, policy, row) in seen {
            pending.dmarc(&self.inner.limits, day, &domain, policy, (row, 1));
        }
    }

    /// Whether something was seen that is not written down yet.
    pub fn is_idle(&self) -> bool {
        self.inner.pending.lock().is_empty()
    }

    /// Removes what is too old: received reports, and observations and marks of a week ago. Each table is a transaction
    /// of its own.
    ///
    /// # Errors
    /// That of the store.
    pub async fn trim(&self) -> Result<(), Error> {
        let today = self.today();
        let (old, received) = (today.earlier(SETTLED), today.earlier(self.inner.limits.keep));
        for range in [
            TlsDays::before(old),
            DmarcDays::before(old),
            DmarcRows::before(old),
            Settleds::before(old),
            counts_before(received),
            Receiveds::before(received),
        ] {
            self.clear(range).await?;
        }
        Ok(())
    }

    async fn clear(&self, range: KeyRange) -> Result<(), Error> {
        let there = self.inner.kv.read().await?;
        let first = store::kv::Range::new(range.clone()).limit(1).snapshot();
        if there.range(first).next().await?.is_none() {
            return Ok(());
        }
        let range = &range;
        self.inner.kv.run(|tx| async move { Ok::<_, Error>(tx.clear_range(range.clone())?) }).await
    }

    pub(crate) fn today(&self) -> Day {
        Day::of(self.inner.clock.now())
    }

    pub(crate) fn kv(&self) -> &Kv {
        &self.inner.kv
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    pub(crate) fn pending(&self) -> &Mutex<Pending> {
        &self.inner.pending
    }
}
