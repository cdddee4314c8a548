//! Segments after a crash, and segments that were damaged: what was committed is read back or reported, and
//! nothing else suffers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod blob_store;

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use blob_store::{GRACE, Kind, Store, noise, open_segments, text};
use bytes::Bytes;
use store::blob::{CompactLimits, Content, Error, Finding, Hash, OpenError};

const SIZES: [usize; 6] = [0, 100, 20_000, 90_000, 300_000, 700_000];

/// A store with a few blobs, and their contents.
async fn filled() -> (Store, Vec<(Hash, Bytes)>) {
    let store = Store::new(Kind::Segments);
    let mut blobs = Vec::new();
    for size in SIZES {
        for content in [noise(size, size as u64), text(size)] {
            blobs.push((store.keep(content.clone(), b"owner").await, content));
        }
    }
    blobs.sort();
    blobs.dedup();
    (store, blobs)
}

fn segments(store: &Store) -> Vec<PathBuf> {
    let files = fs::read_dir(store.directory.path().join("blobs")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "segment"));
    files.sort();
    files
}

fn change(path: &Path, offset: u64, by: impl Fn(u8) -> u8) {
    let mut file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(&[by(byte[0])]).unwrap();
}

#[tokio::test]
async fn a_torn_tail_is_ignored_and_collected() {
    let (mut store, blobs) = filled().await;
    let whole = noise(1000, 77);
    let tails: [&[u8]; 4] = [b"M", b"MREC", &[0; 64], &whole];
    for tail in tails {
        let last = segments(&store).pop().unwrap();
        store = store.restart();
        OpenOptions::new().append(true).open(&last).unwrap().write_all(tail).unwrap();
        store = store.restart();
        for (hash, content) in &blobs {
            assert_eq!(store.blobs.get(hash).await.unwrap(), content);
        }
        let after = store.keep(noise(500, tail.len() as u64), b"owner").await;
        assert_ne!(segments(&store).pop().unwrap(), last, "a fresh segment is begun after a crash");
        assert!(store.blobs.get(&after).await.is_ok());
        store.assert_sound().await;
    }
    let kept = blobs.len() + tails.len();
    store.collect_garbage().await;
    store.assert_sound().await;
    assert_eq!(store.kept().await, kept);
}

#[tokio::test]
async fn a_put_that_a_crash_cut_short_leaves_no_trace() {
    let store = Store::new(Kind::Segments);
    let kept = store.keep(noise(1000, 1), b"owner").await;
    let lost = store.blobs.prepare(Content::memory(noise(50_000, 2))).await.unwrap().hash();
    let path = segments(&store).pop().unwrap();
    let len = fs::metadata(&path).unwrap().len();
    let store = store.restart();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 10_000).unwrap();
    let store = store.restart();
    assert_eq!(store.blobs.get(&lost).await.unwrap_err(), Error::NotFound(lost));
    assert_eq!(store.blobs.get(&kept).await.unwrap(), noise(1000, 1));
    assert_eq!(store.keep(noise(50_000, 2), b"owner").await, lost);
    store.collect_garbage().await;
    store.assert_sound().await;
    assert_eq!(store.kept().await, 2);
}

#[tokio::test]
async fn every_flipped_byte_is_noticed_or_does_no_harm() {
    let (mut store, blobs) = filled().await;
    for path in segments(&store) {
        let len = fs::metadata(&path).unwrap().len();
        for n in 0..40 {
            let offset = n * len / 40;
            change(&path, offset, |byte| byte ^ 0x40);
            store = store.restart();
            let mut damaged = Vec::new();
            for (hash, content) in &blobs {
                match store.blobs.get(hash).await {
                    Ok(read) => assert_eq!(read, content),
                    Err(error) => {
                        let text = error.to_string();
                        assert!(matches!(error, Error::Corrupt { .. }), "{text}");
                        assert!(text.contains(&hash.to_string()) && text.contains("offset"), "{text}");
                        assert!(text.contains(path.to_str().unwrap()) && text.contains("restore"), "{text}");
                        damaged.push(*hash);
                    }
                }
                // What is handed out of a part is right, or refused.
                let middle = content.len() as u64 / 2;
                let part = store.blobs.read_range(hash, middle..middle + 10).await.unwrap().collect().await;
                if let Ok(part) = part {
                    assert_eq!(
                        part,
                        content.slice(content.len() / 2..content.len().min(content.len() / 2 + 10))
                    );
                }
            }
            assert!(damaged.len() <= 1);
            let found: Vec<Hash> = store.findings().await.into_iter().map(|f| damaged_blob(&f)).collect();
            assert_eq!(found, damaged);
            change(&path, offset, |byte| byte ^ 0x40);
        }
    }
}

fn damaged_blob(finding: &Finding) -> Hash {
    match finding {
        Finding::Damaged { hash, .. } => *hash,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_missing_and_a_short_segment_are_reported_by_name() {
    let (store, blobs) = filled().await;
    let paths = segments(&store);
    let (missing, short) = (paths[0].clone(), paths[1].clone());
    let store = store.restart();
    fs::remove_file(&missing).unwrap();
    OpenOptions::new().write(true).open(&short).unwrap().set_len(100).unwrap();
    let store = store.restart();
    let (mut of_missing, mut of_short) = (0, 0);
    for (hash, content) in &blobs {
        match store.blobs.get(hash).await {
            Ok(read) => assert_eq!(read, content),
            Err(error) => {
                let text = error.to_string();
                assert!(matches!(error, Error::Corrupt { .. }), "{text}");
                of_missing +=
                    usize::from(text.contains(missing.to_str().unwrap()) && text.contains("missing"));
                of_short += usize::from(text.contains(short.to_str().unwrap()) && text.contains("shorter"));
            }
        }
    }
    assert!(of_missing > 0 && of_short > 0, "{of_missing} {of_short}");
    assert_eq!(store.findings().await.len(), of_missing + of_short);
}

#[tokio::test]
async fn compaction_copies_nothing_damaged_and_keeps_what_it_cannot_copy() {
    let (store, blobs) = filled().await;
    let path = segments(&store).into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let store = store.restart();
    let middle = fs::metadata(&path).unwrap().len() / 2;
    change(&path, middle, |byte| byte ^ 1);
    let store = store.restart();
    store.later(GRACE * 2);
    store.segments.as_ref().unwrap().seal().await.unwrap();
    let all = CompactLimits { dead_percent: 0, ..CompactLimits::default() };
    let report = store.blobs.compact(all).await.unwrap();
    assert!(report.moved > 0);
    assert_eq!(report.damaged, 1);
    assert!(path.exists(), "the segment with the damaged blob is kept");
    assert_eq!(store.findings().await.len(), 1);
    change(&path, middle, |byte| byte ^ 1);
    for (hash, content) in &blobs {
        assert_eq!(store.blobs.get(hash).await.unwrap(), content);
    }
    store.assert_sound().await;
}

#[tokio::test]
async fn segments_whose_heads_are_all_damaged_are_still_read_and_never_deleted() {
    let (store, blobs) = filled().await;
    let store = store.restart();
    for path in segments(&store) {
        change(&path, 3, |byte| byte ^ 1);
        change(&path, 64 + 3, |byte| byte ^ 1);
    }
    let store = store.restart();
    for _ in 0..3 {
        store.keep(noise(100, 5), b"owner").await;
        store.segments.as_ref().unwrap().seal().await.unwrap();
        store.later(GRACE);
        store.blobs.compact(CompactLimits { dead_percent: 0, ..CompactLimits::default() }).await.unwrap();
    }
    for (hash, content) in &blobs {
        assert_eq!(store.blobs.get(hash).await.unwrap(), content);
    }
    store.assert_sound().await;
}

#[tokio::test]
async fn a_reader_goes_on_when_the_blob_is_moved_under_it() {
    let store = Store::new(Kind::Segments);
    let content = noise(2 << 20, 1);
    let hash = store.keep(content.clone(), b"owner").await;
    let mut reader = store.blobs.read(&hash).await.unwrap();
    let mut read = reader.next().await.unwrap().unwrap().to_vec();

    let before = segments(&store);
    store.segments.as_ref().unwrap().seal().await.unwrap();
    store.later(GRACE);
    let report =
        store.blobs.compact(CompactLimits { dead_percent: 0, ..CompactLimits::default() }).await.unwrap();
    assert_eq!((report.moved, report.removed), (1, 1));
    assert!(!before[0].exists());

    while let Some(chunk) = reader.next().await.unwrap() {
        read.extend_from_slice(&chunk);
    }
    assert_eq!(read, content);
}

#[tokio::test]
async fn a_second_process_is_refused_and_so_is_a_newer_format() {
    let (store, _) = filled().await;
    let directory = store.directory.clone();
    let path = directory.path().join("blobs");
    let second = store::blob::Segments::open(&path, store.clock.clone(), Default::default());
    assert!(matches!(second.err().unwrap(), OpenError::InUse(_)));

    let newest = segments(&store).pop().unwrap();
    let clock = store.clock.clone();
    drop(store);
    let mut head = [0; 64];
    let mut file = OpenOptions::new().read(true).write(true).open(&newest).unwrap();
    file.read_exact(&mut head).unwrap();
    head[8] = 2;
    let crc = crc32fast::hash(&head[..60]);
    head[60..].copy_from_slice(&crc.to_be_bytes());
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&head).unwrap();
    let newer = store::blob::Segments::open(&path, clock.clone(), Default::default());
    assert!(matches!(newer.err().unwrap(), OpenError::Newer { version: 2, .. }));

    fs::remove_file(&newest).unwrap();
    drop(open_segments(&directory, &clock));
}
