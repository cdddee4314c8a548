//! What users of blobs rely on: on both engines, plain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod blob_store;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use blob_store::{Faults, GRACE, Kind, Store, noise, text};
use bytes::Bytes;
use store::blob::{ChaosRates, Content, Error, Hash, LinkError, Prepared, SweepLimits};
use store::kv;

const FRAME: usize = 256 << 10;
const SIZES: [usize; 8] = [0, 1, 1000, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME, 5 << 20];

#[tokio::test]
async fn what_was_put_is_read_back_whole_and_in_parts() {
    for kind in Kind::ALL {
        let store = Store::new(kind);
        for size in SIZES {
            for content in [text(size), noise(size, size as u64)] {
                let hash = store.keep(content.clone(), b"owner").await;
                assert_eq!(hash, Hash::of(&content));
                assert_eq!(store.blobs.get(&hash).await.unwrap(), content);
                assert_eq!(store.blobs.stat(&hash).await.unwrap().unwrap().size, size as u64);
                check_ranges(&store, &hash, &content).await;
            }
        }
        store.assert_sound().await;
    }
}

async fn check_ranges(store: &Store, hash: &Hash, content: &Bytes) {
    let len = content.len();
    let cuts = [0, 1, len / 3, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, len.saturating_sub(1), len, len + 9];
    for from in cuts {
        for to in cuts {
            let reader = store.blobs.read_range(hash, from as u64..to as u64).await.unwrap();
            assert_eq!(reader.size(), len as u64);
            let part = reader.collect().await.unwrap();
            let (begin, end) = (from.min(to).min(len), to.min(len));
            let expected = if from < to { content.slice(begin..end) } else { Bytes::new() };
            assert_eq!(part, expected, "{from}..{to} of {len}");
        }
    }
}

#[tokio::test]
async fn a_part_of_a_large_blob_costs_the_frames_that_it_lies_in() {
    for kind in Kind::ALL {
        let store = Store::new(kind);
        let content = noise(20 * FRAME, 7);
        let hash = store.keep(content.clone(), b"owner").await;
        store.meter.take();
        let range = 7 * FRAME as u64 + 5..7 * FRAME as u64 + 50;
        let part = store.blobs.read_range(&hash, range).await.unwrap().collect().await.unwrap();
        assert_eq!(part, content.slice(7 * FRAME + 5..7 * FRAME + 50));
        let counts = store.meter.take();
        assert_eq!((counts.reads, counts.bytes_read), (1, FRAME as u64));
    }
}

#[tokio::test]
async fn content_that_is_known_is_not_written_again() {
    for kind in Kind::ALL {
        let store = Store::new(kind);
        let content = noise(50_000, 1);
        store.keep(content.clone(), b"one").await;
        assert_eq!(store.meter.take().puts, 1);
        let again = store.blobs.prepare(Content::memory(content.clone())).await.unwrap();
        assert!(!again.is_fresh());
        let named = Content::memory(content.clone()).with_hash(Hash::of(&content));
        let named = store.blobs.prepare(named).await.unwrap();
        store.link(&[again, named], b"two").await.unwrap();
        assert_eq!(store.meter.take(), store::blob::Counts::default());
    }
}

#[tokio::test]
async fn many_contents_are_prepared_in_one_round_and_equal_ones_put_once() {
    for kind in Kind::ALL {
        let store = Store::new(kind);
        store.keep(text(100), b"before").await;
        store.meter.take();
        store.kv_meter.take();
        let contents: Vec<Content> =
            [text(100), noise(9, 1), noise(9, 1), text(200)].map(Content::memory).into();
        let prepared = store.blobs.prepare_all(contents).await.unwrap();
        let fresh: Vec<bool> = prepared.iter().map(Prepared::is_fresh).collect();
        assert_eq!(fresh, [false, true, true, true]);
        assert_eq!((store.meter.take().put_rounds, store.kv_meter.take().read_rounds), (1, 1));
        let (blobs, prepared) = (&store.blobs, &prepared);
        store
            .kv
            .run(|tx| async move {
                blobs.link(&tx, prepared, b"owner").await?;
                Ok::<_, LinkError>(())
            })
            .await
            .unwrap();
        let counts = store.kv_meter.take();
        assert_eq!((counts.read_rounds, counts.commits), (1, 1));
        store.assert_sound().await;
    }
}

#[tokio::test]
async fn compression_is_used_where_it_pays() {
    let store = Store::new(Kind::Segments);
    for size in [5000, FRAME, 4 * FRAME, 6 << 20] {
        let shrinks = store.keep(text(size), b"owner").await;
        let stat = store.blobs.stat(&shrinks).await.unwrap().unwrap();
        assert!(stat.stored < stat.size / 2, "{stat:?}");
        let random = store.keep(noise(size, 3), b"owner").await;
        let stat = store.blobs.stat(&random).await.unwrap().unwrap();
        assert_eq!(stat.stored, stat.size);
    }
}

#[tokio::test]
async fn files_and_pieces_become_blobs_too() {
    for kind in Kind::ALL {
        let store = Store::new(kind);
        for size in [0, 10, FRAME, FRAME + 1, 5 << 20] {
            let content = noise(size + 20, size as u64);
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&content).unwrap();
            let part = content.slice(10..10 + size);
            let from_file = Content::file(Arc::new(file), 10..10 + size as u64);
            assert_eq!(from_file.size(), size as u64);
            let prepared = store.blobs.prepare(from_file.clone()).await.unwrap();
            assert_eq!(prepared.hash(), Hash::of(&part));
            store.link(&[prepared], b"owner").await.unwrap();
            assert_eq!(store.blobs.get(&Hash::of(&part)).await.unwrap(), part);

            let content = noise(size, 99 + size as u64);
            let mut spool = store.blobs.spool();
            for piece in content.chunks(100_000) {
                spool.write(piece).await.unwrap();
            }
            assert_eq!(spool.size(), size as u64);
            let spooled = spool.finish().await.unwrap();
            assert_eq!(spooled.hash(), Some(Hash::of(&content)));
            let prepared = store.blobs.prepare(spooled).await.unwrap();
            store.link(&[prepared], b"owner").await.unwrap();
            assert_eq!(store.blobs.get(&Hash::of(&content)).await.unwrap(), content);
        }
        store.assert_sound().await;
    }
}

#[tokio::test]
async fn a_file_that_is_not_what_it_was_said_to_be_is_not_stored() {
    for kind in Kind::ALL {
        let store = Store::new(kind);
        for size in [1000, 5 << 20] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&noise(size, 1)).unwrap();
            let wrong = Content::file(Arc::new(file), 0..size as u64).with_hash(Hash::of(b"something else"));
            let refused = store.blobs.prepare(wrong).await.unwrap_err();
            assert!(matches!(refused, Error::Content(_)), "{refused}");
        }
        let short = Content::file(Arc::new(tempfile::tempfile().unwrap()), 0..10);
        assert!(matches!(store.blobs.prepare(short).await.unwrap_err(), Error::Content(_)));
        let huge = Content::file(Arc::new(tempfile::tempfile().unwrap()), 0..(1 << 30) + 1);
        assert!(matches!(store.blobs.prepare(huge).await.unwrap_err(), Error::TooLarge { .. }));
    }
}

#[tokio::test]
async fn a_blob_lives_as_long_as_somebody_needs_it() {
    for kind in Kind::ALL {
        let store = Store::new(kind);
        let hash = store.keep(text(100_000), b"one").await;
        store.share(&[hash], b"two").await.unwrap();
        store.unlink(&hash, b"one").await;
        store.later(GRACE);
        assert_eq!(store.blobs.sweep(SweepLimits::default()).await.unwrap().removed, 0);
        assert_eq!(store.blobs.get(&hash).await.unwrap(), text(100_000));

        store.unlink(&hash, b"two").await;
        store.later(GRACE - Duration::from_secs(1));
        assert_eq!(store.blobs.sweep(SweepLimits::default()).await.unwrap().candidates, 0, "not yet");
        store.later(Duration::from_secs(1));
        assert_eq!(store.blobs.sweep(SweepLimits::default()).await.unwrap().removed, 1);
        assert_eq!(store.blobs.get(&hash).await.unwrap_err(), Error::NotFound(hash));
        store.collect_garbage().await;
        store.assert_empty().await;
    }
}

#[tokio::test]
async fn what_was_known_and_is_swept_before_the_link_is_reported() {
    for kind in Kind::ALL {
        let store = Store::new(kind);
        let hash = store.keep(text(1000), b"one").await;
        let known = store.blobs.prepare(Content::memory(text(1000))).await.unwrap();
        assert!(!known.is_fresh());
        store.unlink(&hash, b"one").await;
        store.collect_garbage().await;
        assert_eq!(store.link(&[known], b"two").await, Err(LinkError::Vanished(hash)));
        assert_eq!(store.share(&[hash], b"two").await, Err(LinkError::Vanished(hash)));
        let again = store.blobs.prepare(Content::memory(text(1000))).await.unwrap();
        store.link(&[again], b"two").await.unwrap();
        store.assert_sound().await;
    }
}

#[tokio::test]
async fn what_was_prepared_too_long_ago_cannot_be_linked() {
    for kind in Kind::ALL {
        let store = Store::new(kind);
        let prepared = store.blobs.prepare(Content::memory(text(1000))).await.unwrap();
        store.later(GRACE / 2);
        let hash = prepared.hash();
        assert_eq!(store.link(&[prepared], b"owner").await, Err(LinkError::Vanished(hash)));
        store.collect_garbage().await;
        store.assert_empty().await;
    }
}

#[tokio::test]
async fn of_two_that_put_the_same_one_place_is_used_and_the_other_collected() {
    for kind in Kind::ALL {
        let store = Store::new(kind);
        let content = || Content::memory(text(1000));
        let first = store.blobs.prepare(content()).await.unwrap();
        let second = store.blobs.prepare(content()).await.unwrap();
        assert!(first.is_fresh() && second.is_fresh());
        let hash = first.hash();
        store.link(std::slice::from_ref(&first), b"one").await.unwrap();
        store.link(std::slice::from_ref(&second), b"two").await.unwrap();
        store.link(&[second.clone(), first], b"three").await.unwrap();
        assert_eq!(store.blobs.get(&hash).await.unwrap(), text(1000));
        store.collect_garbage().await;
        assert_eq!(store.blobs.get(&hash).await.unwrap(), text(1000));
        assert_eq!(store.kept().await, 1);
        store.assert_sound().await;

        // The second one's place is gone: it may not be linked when the first one's is gone too.
        for owner in [b"one".as_slice(), b"two", b"three"] {
            store.unlink(&hash, owner).await;
        }
        store.collect_garbage().await;
        assert_eq!(store.link(&[second], b"four").await, Err(LinkError::Vanished(hash)));
    }
}

#[tokio::test]
async fn what_no_transaction_links_is_collected() {
    for kind in Kind::ALL {
        let store = Store::new(kind);
        let kept = store.keep(noise(1000, 1), b"owner").await;
        for n in 2..120 {
            drop(store.blobs.prepare(Content::memory(noise(100, n))).await.unwrap());
        }
        drop(store.blobs.prepare(Content::memory(noise(5 << 20, 200))).await.unwrap());
        let aborted: Result<(), LinkError> = {
            let prepared = [store.blobs.prepare(Content::memory(noise(1000, 201))).await.unwrap()];
            let (blobs, prepared) = (&store.blobs, &prepared);
            store
                .kv
                .run(|tx| async move {
                    blobs.link(&tx, prepared, b"owner").await?;
                    Err(LinkError::Kv(kv::Error::Unavailable("the caller changed its mind".into())))
                })
                .await
        };
        assert!(aborted.is_err());
        store.collect_garbage().await;
        assert_eq!(store.kept().await, 1);
        assert_eq!(store.blobs.get(&kept).await.unwrap(), noise(1000, 1));
        store.assert_sound().await;
    }
}

#[tokio::test]
async fn a_sweep_keeps_to_its_limit_and_says_so() {
    for kind in Kind::ALL {
        let store = Store::new(kind);
        for n in 0..50 {
            let hash = store.keep(noise(100, n), b"owner").await;
            store.unlink(&hash, b"owner").await;
        }
        store.later(GRACE);
        let mut removed = 0;
        for _ in 0..100 {
            let report = store.blobs.sweep(SweepLimits { candidates: 7 }).await.unwrap();
            assert!(report.candidates <= 7);
            removed += report.removed;
            if !report.more {
                break;
            }
        }
        assert_eq!(removed, 50);
    }
}

#[tokio::test]
async fn wrong_bytes_from_an_engine_are_never_handed_out() {
    let wrong = ChaosRates { delay: 0.0, unavailable: 0.0, lost_answer: 0.0, wrong_bytes: 1.0 };
    for kind in Kind::ALL {
        let store = Store::with_faults(kind, Faults { blob: Some((wrong, 1)), kv: None });
        for content in [text(1000), noise(1000, 1), text(3 * FRAME), noise(3 * FRAME, 2)] {
            let hash = store.keep(content.clone(), b"owner").await;
            let refused = store.blobs.get(&hash).await.unwrap_err();
            assert!(matches!(refused, Error::Corrupt { .. }), "{refused}");
            let middle = content.len() as u64 / 2;
            let part = store.blobs.read_range(&hash, middle..middle + 1).await.unwrap();
            assert!(matches!(part.collect().await, Err(Error::Corrupt { .. })));
            assert_eq!(store.calm().blobs.get(&hash).await.unwrap(), content);
        }
    }
}
