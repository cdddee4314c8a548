//! Random transactions against a model: reads see the transaction's own writes and one snapshot, a failed
//! closure writes nothing, and what is stored in the end is what the model holds.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::kv::{Error, KeyRange, Kv, Range, Transaction};

use crate::engines::{Way, seeds};

type Model = BTreeMap<Bytes, Bytes>;

#[derive(Clone, Debug)]
enum Step {
    Get(Vec<Bytes>),
    SnapshotGet(Vec<Bytes>),
    Read { keys: KeyRange, reverse: bool, limit: Option<usize>, snapshot: bool, drained: bool },
    Set(Bytes, Bytes),
    SetMany(Vec<(Bytes, Bytes)>),
    Clear(Bytes),
    ClearRange(KeyRange),
    Add(Bytes, i64),
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Seen {
    Values(Vec<Option<Bytes>>),
    Rows(Vec<(Bytes, Bytes)>),
    Nothing,
}

#[derive(PartialEq, Eq, Debug)]
enum Stop {
    OnPurpose,
    Store(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// 400 keys in which some begin others; none with the first byte of the markers.
fn key(rng: &mut StdRng) -> Bytes {
    let length = rng.random_range(1..=4);
    (0..length)
        .map(|_| *b"ab\x00\xfe".get(rng.random_range(0..4)).unwrap())
        .fold(vec![b'k'], |mut key, byte| {
            key.push(byte);
            key
        })
        .into()
}

fn keys(rng: &mut StdRng) -> KeyRange {
    match rng.random_range(0..4) {
        0 => KeyRange::prefix(b"k"),
        1 => KeyRange::prefix(&key(rng)),
        _ => KeyRange { begin: key(rng), end: key(rng) },
    }
}

fn value(rng: &mut StdRng) -> Bytes {
    (0..rng.random_range(0..12)).map(|_| rng.random::<u8>()).collect()
}

fn step(rng: &mut StdRng) -> Step {
    match rng.random_range(0..16) {
        0..=2 => Step::Get((0..rng.random_range(1..6)).map(|_| key(rng)).collect()),
        3 => Step::SnapshotGet((0..rng.random_range(1..6)).map(|_| key(rng)).collect()),
        4..=6 => Step::Read {
            keys: keys(rng),
            reverse: rng.random(),
            limit: rng.random::<bool>().then(|| rng.random_range(0..200)),
            snapshot: rng.random(),
            drained: rng.random(),
        },
        7..=9 => Step::Set(key(rng), value(rng)),
        10 => Step::SetMany((0..rng.random_range(20..150)).map(|_| (key(rng), value(rng))).collect()),
        11 => Step::Clear(key(rng)),
        12 => Step::ClearRange(keys(rng)),
        _ => Step::Add(key(rng), rng.random_range(-5..i64::MAX)),
    }
}

fn inside(keys: &KeyRange) -> Option<(Bound<Bytes>, Bound<Bytes>)> {
    (!keys.is_empty()).then(|| (Bound::Included(keys.begin.clone()), Bound::Excluded(keys.end.clone())))
}

fn apply(step: &Step, model: &mut Model) -> Seen {
    match step {
        Step::Get(keys) | Step::SnapshotGet(keys) => {
            return Seen::Values(keys.iter().map(|key| model.get(key).cloned()).collect());
        }
        Step::Read { keys, reverse, limit, .. } => {
            let rows = inside(keys).map(|keys| model.range(keys)).into_iter().flatten();
            let mut rows: Vec<_> = rows.map(|(key, value)| (key.clone(), value.clone())).collect();
            if *reverse {
                rows.reverse();
            }
            rows.truncate(limit.unwrap_or(usize::MAX));
            return Seen::Rows(rows);
        }
        Step::Set(key, value) => {
            model.insert(key.clone(), value.clone());
        }
        Step::SetMany(rows) => model.extend(rows.iter().cloned()),
        Step::Clear(key) => {
            model.remove(key);
        }
        Step::ClearRange(keys) => model.retain(|key, _| !keys.contains(key)),
        Step::Add(key, amount) => {
            let mut counter = [0; 8];
            let before = model.get(key).cloned().unwrap_or_default();
            let length = before.len().min(8);
            counter[..length].copy_from_slice(&before[..length]);
            let sum = i64::from_le_bytes(counter).wrapping_add(*amount);
            model.insert(key.clone(), Bytes::copy_from_slice(&sum.to_le_bytes()));
        }
    }
    Seen::Nothing
}

async fn perform(step: &Step, tx: &Transaction) -> Result<Seen, Error> {
    match step.clone() {
        Step::Get(mut keys) if keys.len() == 1 => {
            return Ok(Seen::Values(vec![tx.get(keys.pop().unwrap()).await?]));
        }
        Step::Get(keys) => return Ok(Seen::Values(tx.get_many(keys).await?)),
        Step::SnapshotGet(keys) => return Ok(Seen::Values(tx.snapshot_get_many(keys).await?)),
        Step::Read { keys, reverse, limit, snapshot, drained } => {
            let mut range = Range::new(keys);
            range = if reverse { range.reverse() } else { range };
            range = limit.map_or(range.clone(), |rows| range.limit(rows));
            range = if snapshot { range.snapshot() } else { range };
            range = if drained { range.drained() } else { range };
            return Ok(Seen::Rows(tx.range(range).all().await?));
        }
        Step::Set(key, value) => tx.set(key, value)?,
        Step::SetMany(rows) => rows.into_iter().try_for_each(|(key, value)| tx.set(key, value))?,
        Step::Clear(key) => tx.clear(key)?,
        Step::ClearRange(keys) => tx.clear_range(keys)?,
        Step::Add(key, amount) => tx.add(key, amount)?,
    }
    Ok(Seen::Nothing)
}

async fn transact(kv: &Kv, steps: &[Step], fails: bool) -> Result<Vec<Seen>, Stop> {
    kv.run(|tx| async move {
        let mut seen = Vec::new();
        for step in steps {
            seen.push(perform(step, &tx).await?);
        }
        if fails { Err(Stop::OnPurpose) } else { Ok(seen) }
    })
    .await
}

async fn stored(tx: &Transaction) -> Model {
    tx.range(Range::prefix(b"k")).all().await.unwrap().into_iter().collect()
}

async fn run(way: Way, seed: u64, transactions: usize) {
    let opened = way.open();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut model = Model::new();
    for number in 0..transactions {
        let steps: Vec<_> = (0..rng.random_range(1..25)).map(|_| step(&mut rng)).collect();
        let fails = rng.random_bool(0.1);
        let mut after = model.clone();
        let expected: Vec<_> = steps.iter().map(|step| apply(step, &mut after)).collect();
        let context = format!("{way}, seed {seed}, transaction {number}: {steps:#?}");
        match transact(&opened.kv, &steps, fails).await {
            Ok(seen) => {
                for ((seen, expected), step) in seen.iter().zip(&expected).zip(&steps) {
                    assert_eq!(seen, expected, "at {step:?} {context}");
                }
                model = after;
            }
            Err(stop) => assert_eq!((stop, fails), (Stop::OnPurpose, true), "{context}"),
        }
        if !matches!(way, Way::Chaos(..)) {
            assert_eq!(stored(&opened.kv.read().await.unwrap()).await, model, "stored after {context}");
        }
    }
    let read = opened.kv.run(|tx| async move { tx.range(Range::prefix(b"k")).all().await }).await.unwrap();
    assert_eq!(read.into_iter().collect::<Model>(), model, "{way}, seed {seed}");
}

#[tokio::test]
async fn random_transactions_do_what_the_model_does() {
    for way in Way::all() {
        for seed in seeds(6) {
            run(way, seed, 40).await;
        }
    }
}
