//! A watch is never deaf: whatever changes after the snapshot that it was taken from wakes it.

use std::time::Duration;

use bytes::Bytes;
use store::kv::{Error, KeyRange, Kv, Transaction, counter};
use tokio::time::timeout;

use crate::engines::Way;

const SOON: Duration = Duration::from_secs(10);

async fn set(kv: &Kv, key: &'static str, value: &'static str) {
    kv.run::<_, Error, _, _>(|tx| async move { tx.set(key, value) }).await.unwrap();
}

#[tokio::test]
async fn every_kind_of_change_wakes() {
    type Change = fn(&Transaction) -> Result<(), Error>;
    let changes: [(&str, Change); 5] = [
        ("set", |tx| tx.set("k", "v")),
        ("set to the same", |tx| tx.set("k", "v")),
        ("add", |tx| tx.add("k", 1)),
        ("clear", |tx| tx.clear("k")),
        ("clear range", |tx| {
            tx.set("k", "v")?;
            tx.clear_range(KeyRange::prefix(b"j"))?;
            tx.clear_range(KeyRange::prefix(b"k"))
        }),
    ];
    for way in Way::exact() {
        let kv = way.open().kv;
        for (name, change) in changes {
            set(&kv, "k", "before").await;
            let tx = kv.read().await.unwrap();
            let (early, late) = (tx.watch(b"k"), tx.watch(b"other"));
            kv.run::<_, Error, _, _>(|tx| async move { change(&tx) }).await.unwrap();
            timeout(SOON, early.changed()).await.unwrap_or_else(|_| panic!("{way}: {name} did not wake"));
            let already = tx.watch(b"k").changed();
            timeout(SOON, already).await.unwrap_or_else(|_| panic!("{way}: {name} was missed"));
            assert!(
                timeout(Duration::from_millis(1), late.changed()).await.is_err(),
                "{way}: {name} woke all"
            );
        }
    }
}

#[tokio::test]
async fn a_watch_from_an_old_snapshot_misses_nothing() {
    let kv = Way::Embedded.open().kv;
    let tx = kv.read().await.unwrap();
    set(&kv, "k", "changed").await;
    for _ in 0..300 {
        set(&kv, "other", "many groups later").await;
    }
    timeout(SOON, tx.watch(b"k").changed()).await.unwrap();
}

#[tokio::test]
async fn a_watch_ends_with_its_engine() {
    let opened = Way::Embedded.open();
    let watch = opened.kv.read().await.unwrap().watch(b"k");
    drop(opened);
    timeout(SOON, watch.changed()).await.unwrap();
}

/// The reader waits only on watches; were one change missed, it would wait for ever.
async fn follow(kv: Kv, last: i64) {
    loop {
        let tx = kv.read().await.unwrap();
        let watch = tx.watch(b"n");
        let value = tx.get("n").await;
        if let Ok(value) = value {
            if counter(&value.unwrap_or_default()) >= last {
                return;
            }
            timeout(SOON, watch.changed()).await.expect("a change was missed");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_see_the_last_change() {
    for way in Way::all() {
        let kv = way.open().kv;
        let followers: Vec<_> = (0..8).map(|_| tokio::spawn(follow(kv.clone(), 200))).collect();
        for _ in 0..200 {
            kv.run::<_, Error, _, _>(|tx| async move { tx.add(Bytes::from("n"), 1) }).await.unwrap();
        }
        for follower in followers {
            follower.await.unwrap();
        }
    }
}
