//! Random concurrent transactions, recorded by their clients and checked for strict serialisability.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::kv::{Error, Kv, Range, Transaction};

use crate::engines::{Way, seeds};
use crate::serial::{self, Anomaly, Fate, Number, Record};

const TASKS: u64 = 6;
const EACH: usize = 25;
/// Few, so that transactions meet.
const LISTS: u8 = 5;
const COUNTERS: u8 = 3;

#[derive(Clone, Copy)]
enum Step {
    Read(u8),
    Append(u8),
    /// All lists: those that are not there count as read, too.
    ReadAll {
        reverse: bool,
    },
    /// Lists as far as the first `n` that are there.
    ReadFirst(usize),
    Count(u8),
    Add(u8),
    Yield,
}

fn list_key(list: u8) -> Bytes {
    format!("list/{list:03}").into()
}

/// A counter is 8 bytes, which is too few for a bit per transaction: each 32 numbers have a row of their own.
fn counter_key(counter: u8, row: usize) -> Bytes {
    format!("counter/{counter:03}/{row:03}").into()
}

fn step(rng: &mut StdRng) -> Step {
    match rng.random_range(0..12) {
        0..=2 => Step::Append(rng.random_range(0..LISTS)),
        3..=4 => Step::Read(rng.random_range(0..LISTS)),
        5 => Step::ReadAll { reverse: rng.random() },
        6 => Step::ReadFirst(rng.random_range(1..3)),
        7..=8 => Step::Add(rng.random_range(0..COUNTERS)),
        9 => Step::Count(rng.random_range(0..COUNTERS)),
        _ => Step::Yield,
    }
}

fn numbers(value: &[u8]) -> Vec<Number> {
    value.chunks_exact(4).map(|n| u32::from_le_bytes(n.try_into().unwrap()) as Number).collect()
}

/// What one attempt read and wrote.
#[derive(Default)]
struct Attempt {
    lists: BTreeMap<u8, Vec<Number>>,
    appended: BTreeSet<u8>,
    counters: BTreeMap<u8, BTreeSet<Number>>,
    added: BTreeSet<u8>,
}

struct Client {
    kv: Kv,
    /// Reads of the snapshot kind: the negative control.
    snapshot_reads: bool,
    ticks: Arc<AtomicU64>,
    numbers: Arc<AtomicUsize>,
}

impl Attempt {
    /// A read after an own append shows that as well; what counts is what was there before.
    fn saw(&mut self, list: u8, own: Number, mut seen: Vec<Number>) {
        seen.retain(|number| *number != own);
        let before = self.lists.entry(list).or_insert_with(|| seen.clone());
        assert_eq!(*before, seen, "transaction {own} read list {list} twice and saw two things");
    }
}

impl Client {
    async fn perform(
        &self,
        step: Step,
        own: Number,
        tx: &Transaction,
        into: &mut Attempt,
    ) -> Result<(), Error> {
        match step {
            Step::Read(list) => {
                let value = self.get(tx, list_key(list)).await?;
                into.saw(list, own, numbers(&value));
            }
            Step::Append(list) => {
                let value = self.get(tx, list_key(list)).await?;
                if into.appended.insert(list) {
                    into.saw(list, own, numbers(&value));
                    tx.set(list_key(list), [&value[..], &(own as u32).to_le_bytes()].concat())?;
                }
            }
            Step::ReadAll { reverse } => {
                let range = if reverse { Range::prefix(b"list/").reverse() } else { Range::prefix(b"list/") };
                let found = self.lists(tx, range).await?;
                for list in 0..LISTS {
                    into.saw(list, own, found.get(&list).cloned().unwrap_or_default());
                }
            }
            Step::ReadFirst(count) => {
                let found = self.lists(tx, Range::prefix(b"list/").limit(count)).await?;
                let last = if found.len() == count { *found.keys().last().unwrap() } else { LISTS - 1 };
                for list in 0..=last {
                    into.saw(list, own, found.get(&list).cloned().unwrap_or_default());
                }
            }
            Step::Count(counter) => {
                let mut seen = BTreeSet::new();
                for row in 0..=(TASKS as usize * EACH / 32) {
                    let value = self.get(tx, counter_key(counter, row)).await?;
                    let bits = store::kv::counter(&value);
                    seen.extend((0..32).filter(|bit| bits >> bit & 1 == 1).map(|bit| row * 32 + bit));
                }
                seen.remove(&own);
                into.counters.entry(counter).or_insert(seen);
            }
            Step::Add(counter) => {
                if into.added.insert(counter) {
                    tx.add(counter_key(counter, own / 32), 1 << (own % 32))?;
                }
            }
            Step::Yield => tokio::task::yield_now().await,
        }
        Ok(())
    }

    async fn get(&self, tx: &Transaction, key: Bytes) -> Result<Bytes, Error> {
        let value = if self.snapshot_reads { tx.snapshot_get(key).await } else { tx.get(key).await };
        Ok(value?.unwrap_or_default())
    }

    async fn lists(&self, tx: &Transaction, range: Range) -> Result<BTreeMap<u8, Vec<Number>>, Error> {
        let range = if self.snapshot_reads { range.snapshot() } else { range };
        let rows = tx.range(range).all().await?;
        let list = |key: &[u8]| std::str::from_utf8(&key[5..]).unwrap().parse().unwrap();
        Ok(rows.into_iter().map(|(key, value)| (list(&key), numbers(&value))).collect())
    }

    async fn transact(&self, rng: &mut StdRng) -> (Number, Record) {
        let own = self.numbers.fetch_add(1, Ordering::SeqCst);
        let steps: Vec<_> = (0..rng.random_range(1..7)).map(|_| step(rng)).collect();
        let steps = &steps;
        let began = self.ticks.fetch_add(1, Ordering::SeqCst);
        let result = self
            .kv
            .run(|tx| async move {
                let mut attempt = Attempt::default();
                for step in steps {
                    self.perform(*step, own, &tx, &mut attempt).await?;
                }
                Ok::<_, Error>(attempt)
            })
            .await;
        let ended = self.ticks.fetch_add(1, Ordering::SeqCst);
        let (fate, attempt) = match result {
            Ok(attempt) => (Fate::Committed, attempt),
            Err(Error::CommitUnknown) => (Fate::Unknown, Attempt::default()),
            Err(Error::Conflict { .. } | Error::TooOld) => (Fate::Failed, Attempt::default()),
            Err(error) => panic!("{error}"),
        };
        let Attempt { lists, appended, counters, added } = attempt;
        (own, Record { began, ended, fate, lists, appended, counters, added })
    }
}

async fn history(kv: &Kv, seed: u64, snapshot_reads: bool) -> Vec<Record> {
    let (ticks, numbers) = (Arc::<AtomicU64>::default(), Arc::<AtomicUsize>::default());
    let client =
        |_| Client { kv: kv.clone(), snapshot_reads, ticks: ticks.clone(), numbers: numbers.clone() };
    let tasks = (0..TASKS).map(client).zip(0..).map(|(client, task)| {
        tokio::spawn(async move {
            let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(TASKS).wrapping_add(task));
            let mut records = Vec::new();
            for _ in 0..EACH {
                records.push(client.transact(&mut rng).await);
            }
            records
        })
    });
    let mut records = BTreeMap::new();
    for task in tasks.collect::<Vec<_>>() {
        records.extend(task.await.unwrap());
    }
    records.into_values().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_strictly_serialisable() {
    for way in Way::all() {
        for seed in seeds(3) {
            let opened = way.open();
            let history = history(&opened.kv, seed, false).await;
            let committed = history.iter().filter(|record| record.fate == Fate::Committed).count();
            assert!(committed * 10 > history.len() * 9, "{way}, seed {seed}: only {committed} committed");
            if let Err(anomaly) = serial::check(&history) {
                let involved = match &anomaly {
                    Anomaly::Cycle(members) => members.iter().map(|n| (*n, &history[*n])).collect(),
                    _ => Vec::new(),
                };
                panic!("{way}, seed {seed}: {anomaly:?}\n{involved:#?}");
            }
        }
    }
}

/// The negative control: without conflict ranges on what was read, the same clients make histories that the
/// checker must refuse.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_snapshot_reads_are_not() {
    let found = async |seed| serial::check(&history(&Way::Embedded.open().kv, seed, true).await).is_err();
    let mut refused = 0;
    for seed in seeds(3) {
        refused += u32::from(found(seed).await);
    }
    assert!(refused > 0, "the checker accepted three histories of snapshot reads");
}
