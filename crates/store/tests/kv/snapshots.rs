//! A transaction reads one consistent state however long it takes, while others go on writing.

use bytes::Bytes;
use store::kv::{Error, Kv, Range, counter};

use crate::engines::Way;

const ROWS: u32 = 3000;

fn row(n: u32) -> Bytes {
    format!("row/{n:08}").into()
}

async fn move_units(kv: Kv, task: u32) -> Result<(), Error> {
    for n in 0.. {
        let (from, to) = ((n * 7919 + task * 31) % ROWS, (n * 104_729 + 13) % ROWS);
        if kv.read().await?.get("stop").await.ok().flatten().is_some() {
            break;
        }
        kv.run(|tx| async move {
            tx.add(row(from), -1)?;
            tx.add(row(to), 1)
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_range_read_sees_one_state() {
    for way in [Way::Embedded, Way::Metered] {
        let opened = way.open();
        let kv = opened.kv.clone();
        kv.run::<_, Error, _, _>(|tx| async move { (0..ROWS).try_for_each(|n| tx.add(row(n), 100)) })
            .await
            .unwrap();
        let writers: Vec<_> = (0..4).map(|task| tokio::spawn(move_units(kv.clone(), task))).collect();
        let mut versions = Vec::new();
        for round in 0..12 {
            let tx = kv.read().await.unwrap();
            versions.push(tx.version());
            let range = Range::prefix(b"row/");
            let mut rows = tx.range(if round % 2 == 0 { range } else { range.reverse() });
            let (mut total, mut count) = (0, 0);
            while let Some((_, value)) = rows.next().await.unwrap() {
                total += counter(&value);
                count += 1;
                if count % 200 == 0 {
                    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                }
            }
            assert_eq!((count, total), (ROWS, i64::from(ROWS) * 100), "{way}");
        }
        assert!(versions.is_sorted(), "{way}: {versions:?}");
        assert!(versions.first() < versions.last(), "{way}: nothing was written meanwhile");
        kv.run::<_, Error, _, _>(|tx| async move { tx.set("stop", "") }).await.unwrap();
        for writer in writers {
            writer.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn a_snapshot_holds_every_commit_acknowledged_before_it() {
    for way in Way::all() {
        let kv = way.open().kv;
        for n in 0..50_u8 {
            kv.run::<_, Error, _, _>(|tx| async move { tx.set("k", vec![n]) }).await.unwrap();
            let read = kv.run(|tx| async move { tx.get("k").await }).await.unwrap();
            assert_eq!(read.unwrap(), vec![n], "{way}");
        }
    }
}
