//! Invariants that hold only if transactions are serialisable, in the shapes that mail depends on: money that
//! moves, names that are unique, rooms that fill up, and whole folders that are replaced.

use std::collections::BTreeSet;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::kv::{Error, KeyRange, Kv, Range, Transaction, counter};

use crate::engines::{Way, seeds};

const TASKS: u64 = 6;

/// Runs `client` from several tasks at once.
async fn together<T, F, Fut>(kv: &Kv, seed: u64, client: F) -> Vec<T>
where
    T: Send + 'static,
    F: Fn(Kv, StdRng) -> Fut,
    Fut: Future<Output = T> + Send + 'static,
{
    let rng = |task| StdRng::seed_from_u64(seed.wrapping_add(task << 32));
    let tasks: Vec<_> = (0..TASKS).map(|task| tokio::spawn(client(kv.clone(), rng(task)))).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

fn account(n: u32) -> Bytes {
    format!("account/{n:02}").into()
}

async fn transfer(tx: Transaction, from: u32, to: u32, amount: i64) -> Result<bool, Error> {
    let balances = tx.get_many(vec![account(from), account(to)]).await?;
    let balance = |at: usize| balances[at].as_deref().map_or(0, counter);
    if from == to || balance(0) < amount {
        return Ok(false);
    }
    if balance(0) == amount {
        tx.clear(account(from))?;
    } else {
        tx.set(account(from), (balance(0) - amount).to_le_bytes().to_vec())?;
    }
    tx.set(account(to), (balance(1) + amount).to_le_bytes().to_vec())?;
    Ok(true)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_keep_the_sum_and_go_below_nothing() {
    for way in Way::all() {
        for seed in seeds(1) {
            let kv = way.open().kv;
            kv.run::<_, Error, _, _>(|tx| async move { (0..4).try_for_each(|n| tx.add(account(n), 10)) })
                .await
                .unwrap();
            together(&kv, seed, |kv, mut rng| async move {
                for _ in 0..25 {
                    let (from, to, amount) =
                        (rng.random_range(0..4), rng.random_range(0..4), rng.random_range(1..12));
                    kv.run(|tx| transfer(tx, from, to, amount)).await.unwrap();
                    let rows = kv
                        .run(|tx| async move { tx.range(Range::prefix(b"account/")).all().await })
                        .await
                        .unwrap();
                    let balances: Vec<_> = rows.iter().map(|(_, value)| counter(value)).collect();
                    assert_eq!(balances.iter().sum::<i64>(), 40, "{balances:?}");
                    assert!(balances.iter().all(|balance| *balance > 0), "{balances:?}");
                }
            })
            .await;
        }
    }
}

/// Takes the number after the highest one that is there: what UIDs do. Two who see the same highest are a
/// phantom for each other.
async fn take_next(tx: Transaction) -> Result<u32, Error> {
    let last = tx.range(Range::prefix(b"uid/").reverse().limit(1)).next().await?;
    let last = last.map_or(0, |(key, _)| u32::from_be_bytes(key[4..].try_into().unwrap()));
    tx.set([b"uid/".as_slice(), &(last + 1).to_be_bytes()].concat(), "")?;
    Ok(last + 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_taken_from_a_range_are_unique() {
    for way in Way::all() {
        let kv = way.open().kv;
        let taken = together(&kv, 0, |kv, _| async move {
            let mut taken = Vec::new();
            for _ in 0..20 {
                taken.push(kv.run(take_next).await.unwrap());
            }
            taken
        })
        .await;
        assert!(taken.iter().all(|own| own.is_sorted()), "{way}: {taken:?}");
        let mut all: Vec<_> = taken.into_iter().flatten().collect();
        all.sort_unstable();
        assert_eq!(all, (1..=TASKS as u32 * 20).collect::<Vec<_>>(), "{way}");
    }
}

/// Takes a seat if fewer than ten are taken; each seat has a name of its own, so only the range tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_never_holds_more_than_it_may() {
    for way in Way::all() {
        let kv = way.open().kv;
        let seated = together(&kv, 0, |kv, mut rng| async move {
            let mut seated = 0;
            for _ in 0..5 {
                let seat = format!("seat/{:016x}", rng.random::<u64>());
                let sit = |tx: Transaction| {
                    let seat = seat.clone();
                    async move {
                        let free = tx.range(Range::prefix(b"seat/")).all().await?.len() < 10;
                        if free {
                            tx.set(seat, "")?;
                        }
                        Ok::<_, Error>(free)
                    }
                };
                seated += u32::from(kv.run(sit).await.unwrap());
            }
            seated
        })
        .await;
        assert_eq!(seated.iter().sum::<u32>(), 10, "{way}");
        let rows = kv.run(|tx| async move { tx.range(Range::prefix(b"seat/")).all().await }).await.unwrap();
        assert_eq!(rows.len(), 10, "{way}");
    }
}

/// Writers that read nothing replace a whole range; readers see one writer's rows or another's, never a mix.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_range_is_replaced_as_a_whole() {
    for way in Way::all() {
        let kv = way.open().kv;
        together(&kv, 7, |kv, mut rng| async move {
            for _ in 0..25 {
                let (name, rows) = (rng.random::<u64>().to_string(), rng.random_range(0..12));
                let replace = |tx: Transaction| {
                    let name = name.clone();
                    async move {
                        tx.clear_range(KeyRange::prefix(b"row/"))?;
                        (0..rows).try_for_each(|n| tx.set(format!("row/{name}/{n}"), rows.to_string()))
                    }
                };
                kv.run(replace).await.unwrap();
                let read =
                    kv.run(|tx| async move { tx.range(Range::prefix(b"row/")).all().await }).await.unwrap();
                let names: BTreeSet<_> =
                    read.iter().map(|(key, _)| key.split(|b| *b == b'/').nth(1)).collect();
                assert!(names.len() <= 1, "rows of {} writers", names.len());
                let expected: Option<usize> =
                    read.first().map(|(_, value)| std::str::from_utf8(value).unwrap().parse().unwrap());
                assert_eq!(read.len(), expected.unwrap_or(0));
            }
        })
        .await;
    }
}
