//! What was seen since it was last written down, in memory: a message costs no commit.
//!
//! Every minute, and when the server stops, all of it is added to the rows of its day. Whoever is killed in between loses
//! what it has seen since: reports are statistics, and a commit for each message would cost more than that minute is
//! worth.

use std::collections::HashMap;
use std::time::Duration;

use store::kv::{self, Transaction};
use types::{Randomness, Timestamp};

use crate::Error;
use crate::day::Day;
use crate::observed::{DmarcRow, PublishedPolicy, TlsDay};
use crate::service::{Limits, Reports};
use crate::table::{
    Counted, CountedRow, DmarcDay, DmarcDays, DmarcRows, DueKey, DueRow, Dues, Kind, RowKey, Settleds,
    TlsDays, count_key,
};

/// How many domains are written in one transaction: of the largest rows, a few megabytes.
const BATCH: usize = 32;
/// How many rows of DMARC are written in one transaction.
const ROWS: usize = 1_000;
/// How long after midnight a report is sent at the earliest: all nodes have written down by then what they saw before.
const SETTLE: Duration = Duration::from_mins(10);
/// Over how much time the reports of a day are spread (RFC 8460 §5.3 wants up to four hours).
const SPREAD: Duration = Duration::from_hours(4);

/// What was seen of mail in a domain's name.
#[derive(Clone, Debug)]
pub(crate) struct DmarcTally {
    policy: PublishedPolicy,
    rows: HashMap<DmarcRow, u64>,
}

/// Everything that is not written down yet.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    tls: HashMap<(Day, String), TlsDay>,
    dmarc: HashMap<(Day, String), DmarcTally>,
    /// Rows of `dmarc`.
    rows: usize,
    /// Messages and sessions for which there was no room.
    pub(crate) dropped: u64,
}

impl Pending {
    pub(crate) fn tls(&mut self, limits: &Limits, day: Day, domain: &str, seen: &TlsDay) {
        let key = (day, domain.to_owned());
        if self.tls.len() >= limits.pending && !self.tls.contains_key(&key) {
            self.dropped += 1;
            return;
        }
        self.tls.entry(key).or_default().merge(seen);
    }

    pub(crate) fn dmarc(
        &mut self,
        limits: &Limits,
        day: Day,
        domain: &str,
        policy: PublishedPolicy,
        (row, count): (DmarcRow, u64),
    ) {
        let key = (day, domain.to_owned());
        let known = self.dmarc.get(&key).is_some_and(|tally| tally.rows.contains_key(&row));
        if self.rows >= limits.pending && !known {
            self.dropped += count;
            return;
        }
        self.rows += usize::from(!known);
        let tally = self
            .dmarc
            .entry(key)
            .or_insert_with(|| DmarcTally { policy: policy.clone(), rows: HashMap::new() });
        tally.policy = policy;
        *tally.rows.entry(row).or_default() += count;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tls.is_empty() && self.dmarc.is_empty()
    }
}

/// What was written down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flushed {
    /// Domains.
    pub domains: usize,
    /// Sessions and messages for which there was no room, in memory or in the domain's day.
    pub dropped: u64,
}

impl Reports {
    /// Writes down what was seen since the last time. A failure keeps it for the next time, unless it is not known whether
    /// it was written: then it is forgotten rather than counted twice.
    ///
    /// # Errors
    /// That of the store; what was written before it stays written.
    pub async fn flush(&self) -> Result<Flushed, Error> {
        let Pending { tls, dmarc, dropped, .. } = std::mem::take(&mut *self.pending().lock());
        let mut flushed = Flushed { domains: 0, dropped };
        let mut failure = None;
        let tls: Vec<_> = tls.into_iter().collect();
        for batch in tls.chunks(BATCH) {
            match self.kv().run(|tx| async move { add_tls(&tx, batch).await }).await {
                Ok(()) => flushed.domains += batch.len(),
                Err(error) => failure = Some(self.keep_tls(batch, error)),
            }
        }
        for batch in batches(dmarc) {
            let (rows, limits) = (&batch, self.limits());
            match self.kv().run(|tx| async move { add_all_dmarc(&tx, rows, limits).await }).await {
                Ok(dropped) => {
                    flushed.domains += batch.len();
                    flushed.dropped += dropped;
                }
                Err(error) => failure = Some(self.keep_dmarc(batch, error)),
            }
        }
        failure.map_or(Ok(flushed), Err)
    }

    fn keep_tls(&self, batch: &[((Day, String), TlsDay)], error: Error) -> Error {
        if may_not_have_happened(&error) {
            let mut pending = self.pending().lock();
            batch.iter().for_each(|((day, domain), seen)| pending.tls(self.limits(), *day, domain, seen));
        }
        error
    }

    fn keep_dmarc(&self, batch: Vec<Added>, error: Error) -> Error {
        if may_not_have_happened(&error) {
            let mut pending = self.pending().lock();
            for Added { key: (day, domain), policy, rows } in batch {
                for row in rows {
                    pending.dmarc(self.limits(), day, &domain, policy.clone(), row);
                }
            }
        }
        error
    }
}

/// Rows that are added to a domain's day.
struct Added {
    key: (Day, String),
    policy: PublishedPolicy,
    rows: Vec<(DmarcRow, u64)>,
}

/// Parts that each fit into a transaction.
fn batches(dmarc: HashMap<(Day, String), DmarcTally>) -> Vec<Vec<Added>> {
    let mut batches: Vec<Vec<Added>> = Vec::new();
    let mut room = 0;
    for (key, DmarcTally { policy, rows }) in dmarc {
        let rows: Vec<_> = rows.into_iter().collect();
        for rows in rows.chunks(ROWS) {
            let added = Added { key: key.clone(), policy: policy.clone(), rows: rows.to_vec() };
            match batches.last_mut().filter(|batch| rows.len() <= room && batch.len() < BATCH) {
                Some(batch) => batch.push(added),
                None => {
                    room = ROWS;
                    batches.push(vec![added]);
                }
            }
            room -= rows.len();
        }
    }
    batches
}

fn may_not_have_happened(error: &Error) -> bool {
    !matches!(error, Error::Store(kv::Error::CommitUnknown))
}

/// When the report on a domain's day is sent. Every node comes to the same.
pub(crate) fn due(kind: Kind, day: Day, domain: &str) -> Timestamp {
    let hash = blake3::hash(format!("{} {day} {domain}", kind.as_str()).as_bytes());
    let lot = hash.as_bytes().iter().take(4).fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    day.end().plus(SETTLE).plus(Duration::from_millis(lot % u64::try_from(SPREAD.as_millis()).unwrap_or(1)))
}

fn plan(tx: &Transaction, kind: Kind, day: Day, domain: &str) -> Result<(), kv::Error> {
    let key = DueKey { due: due(kind, day, domain), kind, day, domain: domain.to_owned() };
    tx.save::<Dues>(&key, &DueRow::default())
}

async fn add_tls(tx: &Transaction, batch: &[((Day, String), TlsDay)]) -> Result<(), Error> {
    let keys: Vec<(Day, String)> = batch.iter().map(|(key, _)| key.clone()).collect();
    let settled: Vec<_> = keys.iter().map(|(day, domain)| (*day, Kind::Tls, domain.clone())).collect();
    let before = tx.load_many::<TlsDays>(&keys).await?;
    let settled = tx.load_many::<Settleds>(&settled).await?;
    for (((key, seen), before), settled) in batch.iter().zip(before).zip(settled) {
        if settled.is_some() {
            continue;
        }
        if before.is_none() {
            plan(tx, Kind::Tls, key.0, &key.1)?;
        }
        let mut day = before.unwrap_or_default();
        day.merge(seen);
        tx.save::<TlsDays>(key, &day)?;
    }
    Ok(())
}

/// Adds rows to the days of several domains; returns how many messages there was no room for.
async fn add_all_dmarc(tx: &Transaction, batch: &[Added], limits: &Limits) -> Result<u64, Error> {
    let mut dropped = 0;
    for Added { key, policy, rows } in batch {
        dropped += add_dmarc(tx, key, policy, rows, limits).await?;
    }
    Ok(dropped)
}

/// Adds rows to a domain's day; returns how many messages there was no room for.
async fn add_dmarc(
    tx: &Transaction,
    key: &(Day, String),
    policy: &PublishedPolicy,
    rows: &[(DmarcRow, u64)],
    limits: &Limits,
) -> Result<u64, Error> {
    let (day, domain) = key;
    let all = || rows.iter().map(|(_, count)| count).sum::<u64>();
    let before = tx.load::<DmarcDays>(key).await?;
    if tx.load::<Settleds>(&(*day, Kind::Dmarc, domain.clone())).await?.is_some() {
        return Ok(all());
    }
    let mut head = match before {
        Some(head) => DmarcDay { policy: policy.clone(), ..head },
        None => {
            // Read without conflict: a few more than the limit do no harm.
            let domains = count_key(*day, Counted::DmarcDomains);
            let there = tx.snapshot_get(domains.clone()).await?.map_or(0, |value| kv::counter(&value));
            if there >= limits.domains {
                return Ok(all());
            }
            tx.add(domains, 1)?;
            plan(tx, Kind::Dmarc, *day, domain)?;
            DmarcDay { policy: policy.clone(), rows: 0, dropped: 0 }
        }
    };
    let keys: Vec<RowKey> = rows.iter().map(|(row, _)| (*day, domain.clone(), row.hash())).collect();
    let there = tx.load_many::<DmarcRows>(&keys).await?;
    let mut dropped = 0;
    for (((row, count), key), there) in rows.iter().zip(&keys).zip(there) {
        let before = there.map_or(0, |there| there.count);
        if before == 0 {
            if head.rows >= limits.rows {
                dropped += count;
                continue;
            }
            head.rows += 1;
        }
        tx.save::<DmarcRows>(key, &CountedRow { row: row.clone(), count: before.saturating_add(*count) })?;
    }
    head.dropped = head.dropped.saturating_add(dropped);
    tx.save::<DmarcDays>(key, &head)?;
    Ok(dropped)
}

/// A number that nobody else has.
pub(crate) fn token() -> u64 {
    u64::from_be_bytes(Randomness::bytes()).max(1)
}
