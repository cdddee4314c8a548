//! The limits of FoundationDB, on every engine.

use std::time::Duration;

use bytes::Bytes;
use store::kv::{Error, KeyRange, Range, Transaction, limits};

use crate::engines::Way;

fn too_large<T>(result: &Result<T, Error>, what: &str) -> bool {
    matches!(result, Err(Error::TooLarge { what: w, size, limit }) if *w == what && size > limit)
}

#[tokio::test]
async fn sizes_are_limited() {
    for way in Way::all() {
        let opened = way.open();
        let key = |size| Bytes::from(vec![b'k'; size]);
        let value = |size| Bytes::from(vec![b'v'; size]);
        let largest = |tx: Transaction| async move {
            tx.set(key(limits::KEY), value(limits::VALUE))?;
            assert!(too_large(&tx.set(key(limits::KEY + 1), ""), "a key"));
            assert!(too_large(&tx.clear(key(limits::KEY + 1)), "a key"));
            assert!(too_large(&tx.add(key(limits::KEY + 1), 1), "a key"));
            assert!(too_large(&tx.set("k", value(limits::VALUE + 1)), "a value"));
            assert!(too_large(&tx.get(key(limits::KEY + 1)).await, "a key"));
            Ok::<(), Error>(())
        };
        opened.kv.run(largest).await.unwrap();
        let read = opened.kv.run(|tx| async move { tx.get(key(limits::KEY)).await }).await.unwrap();
        assert_eq!(read.unwrap().len(), limits::VALUE, "{way}");

        let too_much: Result<(), Error> = opened
            .kv
            .run(|tx| async move {
                (0..=limits::TRANSACTION / limits::VALUE)
                    .try_for_each(|n| tx.set(n.to_string(), value(limits::VALUE)))
            })
            .await;
        assert!(too_large(&too_much, "a transaction"), "{way}: {too_much:?}");
        let nothing = opened.kv.run(|tx| async move { tx.get("0").await }).await.unwrap();
        assert_eq!(nothing, None, "{way}");
    }
}

#[tokio::test]
async fn what_is_read_counts_towards_the_size() {
    let opened = Way::Embedded.open();
    let result: Result<(), Error> = opened
        .kv
        .run(|tx| async move {
            for n in 0..2000_u32 {
                tx.get([vec![b'k'; 5000], n.to_be_bytes().to_vec()].concat()).await?;
            }
            Ok(())
        })
        .await;
    assert!(too_large(&result, "a transaction"), "{result:?}");
}

#[tokio::test]
async fn reserved_keys_belong_to_the_engine() {
    for way in Way::all() {
        let opened = way.open();
        let nothing_else = |tx: Transaction| async move {
            assert_eq!(tx.set(vec![0xff], "v"), Err(Error::Reserved));
            assert_eq!(tx.clear(b"\xffsequence".to_vec()), Err(Error::Reserved));
            assert_eq!(tx.add(vec![0xff, 1], 1), Err(Error::Reserved));
            assert_eq!(tx.get(vec![0xff]).await, Err(Error::Reserved));
            tx.set(vec![0xfe; 100], "highest")?;
            let everything = KeyRange { begin: Bytes::from_static(&[0xfe]), end: vec![0xff; 20_000].into() };
            tx.range(Range::new(everything)).all().await
        };
        let rows = opened.kv.run(nothing_else).await.unwrap();
        assert_eq!(rows.len(), 1, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_grows_too_old() {
    for way in Way::exact() {
        let opened = way.open();
        let tx = opened.kv.read().await.unwrap();
        tokio::time::advance(limits::AGE - Duration::from_millis(1)).await;
        assert_eq!(tx.get("k").await, Ok(None), "{way}");
        tokio::time::advance(Duration::from_millis(2)).await;
        assert_eq!(tx.get("k").await, Err(Error::TooOld), "{way}");
        assert_eq!(tx.range(Range::prefix(b"k")).next().await, Err(Error::TooOld), "{way}");

        let mut attempts = 0;
        let written = opened
            .kv
            .run(|tx| {
                attempts += 1;
                let slow = attempts < 3;
                async move {
                    if slow {
                        tokio::time::advance(limits::AGE * 2).await;
                    }
                    tx.set("k", "v")
                }
            })
            .await;
        assert_eq!((written, attempts), (Ok(()), 3), "{way}: a slow attempt is repeated");
    }
}
