//! The contract of blob engines: each test runs on every engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod blob_store;

use std::collections::BTreeSet;
use std::sync::Arc;

use blob_store::{noise, open_segments, text};
use bytes::Bytes;
use store::blob::{Body, Engine, EngineError, Extent, Hash, Memory, Object, Place, Segments};
use tempfile::TempDir;
use types::{Clock, Timestamp};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const FRAME: usize = 256 << 10;

struct Subject {
    engine: Arc<dyn Engine>,
    segments: Option<Arc<Segments>>,
    directory: TempDir,
    clock: Clock,
}

impl Subject {
    fn all() -> [Self; 2] {
        let subject = |packs: bool| {
            let (clock, _) = Clock::manual(NOW);
            let directory = tempfile::tempdir().unwrap();
            let segments = packs.then(|| Arc::new(open_segments(&directory, &clock)));
            let engine: Arc<dyn Engine> = match &segments {
                Some(segments) => segments.clone(),
                None => Arc::new(Memory::new(clock.clone())),
            };
            Self { engine, segments, directory, clock }
        };
        [subject(false), subject(true)]
    }

    /// Makes sure that everything put so far can be deleted.
    async fn settle(&self) {
        if let Some(segments) = &self.segments {
            self.engine.put(vec![object(b"begin a segment")]).await.unwrap();
            segments.seal().await.unwrap();
        }
    }

    async fn listed(&self) -> Vec<(Place, Hash, u64)> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let listing = self.engine.list(after.as_ref()).await.unwrap();
            assert!(listing.entries.iter().all(|entry| entry.created == NOW));
            all.extend(listing.entries.into_iter().map(|e| (e.place, e.hash, e.stored)));
            after = listing.next;
            if after.is_none() {
                assert!(all.is_sorted());
                return all;
            }
        }
    }
}

fn object(content: &[u8]) -> Object {
    Object { hash: Hash::of(content), body: Body::Memory(vec![Bytes::copy_from_slice(content)]) }
}

/// The same content, drawn in chunks.
fn drawn(content: &Bytes) -> Object {
    let chunks: Vec<_> = content.chunks(70_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    Object { hash: Hash::of(content), body: Body::Chunks(Box::new(chunks.into_iter())) }
}

#[tokio::test]
async fn what_is_put_can_be_read_in_whole_and_in_part() {
    for subject in Subject::all() {
        for size in [0, 1, 1000, FRAME - 1, FRAME, FRAME + 1, 5 << 20] {
            let content = noise(size, size as u64);
            for object in [object(&content), drawn(&content)] {
                let places = subject.engine.put(vec![object]).await.unwrap();
                let [place] = &places[..] else { panic!("one object, one place") };
                let read = |from: usize, to: usize| subject.engine.read(place, from as u64..to as u64);
                assert_eq!(read(0, size).await.unwrap(), content);
                assert_eq!(read(size / 3, size / 2).await.unwrap(), content.slice(size / 3..size / 2));
                assert_eq!(read(size, size).await.unwrap(), Bytes::new());
                assert!(matches!(read(0, size + 1).await, Err(EngineError::Damaged(_))));
                assert!(matches!(read(size + 1, size + 1).await, Err(EngineError::Damaged(_))));
            }
        }
    }
}

#[tokio::test]
async fn places_come_in_the_order_of_the_objects_and_are_all_fresh() {
    for subject in Subject::all() {
        let contents: Vec<Bytes> = (0..50).map(|n| noise(n * 100, n as u64 % 7)).collect();
        let mixed = contents.iter().enumerate();
        let mixed = mixed.map(|(n, content)| if n % 5 == 0 { drawn(content) } else { object(content) });
        let places = subject.engine.put(mixed.collect()).await.unwrap();
        for (place, content) in places.iter().zip(&contents) {
            assert_eq!(subject.engine.read(place, 0..content.len() as u64).await.unwrap(), content);
        }
        assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), 50);
        assert!(subject.engine.put(Vec::new()).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_listing_shows_everything_once_in_order_and_goes_on_where_it_ended() {
    for subject in Subject::all() {
        assert_eq!(subject.listed().await, []);
        let mut put = BTreeSet::new();
        for n in 0..40 {
            let contents: Vec<Bytes> = (0..80).map(|m| noise(m * 10, n * 100 + m as u64)).collect();
            let places = subject.engine.put(contents.iter().map(|c| object(c)).collect()).await.unwrap();
            put.extend(places.into_iter().zip(&contents).map(|(p, c)| (p, Hash::of(c), c.len() as u64)));
        }
        let listed = subject.listed().await;
        assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), put);
        assert_eq!(listed.len(), put.len());
        let (middle, ..) = &listed[1234];
        let rest = subject.engine.list(Some(middle)).await.unwrap();
        assert_eq!(rest.entries[0].place, listed[1235].0);
    }
}

#[tokio::test]
async fn a_deleted_extent_is_gone_and_nothing_else_is() {
    for subject in Subject::all() {
        let gone = subject.engine.put(vec![object(&noise(1000, 1)), drawn(&noise(2000, 2))]).await.unwrap();
        subject.settle().await;
        let kept = subject.engine.put(vec![object(&noise(1000, 1))]).await.unwrap();
        subject.settle().await;
        for place in &gone {
            let extent = subject.engine.extent(place);
            subject.engine.delete(&extent).await.unwrap();
            subject.engine.delete(&extent).await.unwrap();
            assert!(matches!(subject.engine.read(place, 0..9).await, Err(EngineError::Missing(_))));
        }
        assert_eq!(subject.engine.read(&kept[0], 0..1000).await.unwrap(), noise(1000, 1));
        let listed = subject.listed().await;
        assert!(listed.iter().any(|(place, ..)| *place == kept[0]));
        assert!(listed.iter().all(|(place, ..)| !gone.contains(place)));
    }
}

#[tokio::test]
async fn an_object_whose_content_ends_in_an_error_is_not_kept() {
    for subject in Subject::all() {
        let chunks = vec![Ok(noise(1000, 1)), Err(std::io::Error::other("the disk of the sender burnt"))];
        let broken = Object { hash: Hash::of(b""), body: Body::Chunks(Box::new(chunks.into_iter())) };
        let error = subject.engine.put(vec![broken]).await.unwrap_err();
        assert!(matches!(&error, EngineError::Content(why) if why.contains("burnt")), "{error}");
        assert_eq!(subject.listed().await, []);
        subject.engine.health().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_put_and_read_at_once() {
    for subject in Subject::all() {
        let task = |engine: Arc<dyn Engine>, task: u64| async move {
            let mut kept = Vec::new();
            for n in 0..20 {
                let content = if n % 3 == 0 { text(50_000) } else { noise(3000 * n, task * 100 + n as u64) };
                let object = if n == 7 { drawn(&content) } else { object(&content) };
                let place = engine.put(vec![object]).await.unwrap().remove(0);
                kept.push((place, content));
                for (place, content) in &kept {
                    assert_eq!(engine.read(place, 0..content.len() as u64).await.unwrap(), content);
                }
            }
            kept
        };
        let tasks: Vec<_> = (0..16).map(|n| tokio::spawn(task(subject.engine.clone(), n))).collect();
        let mut places = BTreeSet::new();
        for task in tasks {
            places.extend(task.await.unwrap().into_iter().map(|(place, _)| place));
        }
        assert_eq!(places.len(), 16 * 20);
        assert_eq!(subject.listed().await.len(), 16 * 20);
    }
}

#[tokio::test]
async fn words_for_an_operator_and_refusals_of_nonsense() {
    for subject in Subject::all() {
        let place = subject.engine.put(vec![object(b"x")]).await.unwrap().remove(0);
        assert!(!subject.engine.describe(&place).is_empty());
        for nonsense in [Place(vec![]), Place(vec![1; 7]), Place(vec![9; 24]), Place(vec![0xff; 24])] {
            assert!(!subject.engine.describe(&nonsense).is_empty());
            assert!(subject.engine.read(&nonsense, 0..1).await.is_err());
        }
        let _any_answer = subject.engine.delete(&Extent(vec![1; 3])).await;
        assert_eq!(subject.engine.read(&place, 0..1).await.unwrap(), Bytes::from_static(b"x"));
    }
}

#[tokio::test]
async fn segments_are_sealed_when_they_are_full_and_never_numbered_twice() {
    let [_, subject] = Subject::all();
    let Subject { engine, segments, directory, clock } = subject;
    let mut seen = BTreeSet::new();
    for n in 0..20 {
        let place = engine.put(vec![object(&noise(100_000, n))]).await.unwrap().remove(0);
        seen.insert(engine.extent(&place));
    }
    assert!(seen.len() >= 6, "{} segments of 256 KiB for 2 MB", seen.len());
    let extents = engine.extents().await.unwrap();
    assert_eq!(extents.len(), seen.len() - 1, "the one that is written to cannot be deleted");
    assert!(extents.iter().all(|info| seen.contains(&info.extent) && info.bytes >= 256 << 10));
    let open = seen.iter().find(|e| extents.iter().all(|info| info.extent != **e)).unwrap();
    assert!(engine.delete(open).await.is_err());

    for info in extents {
        engine.delete(&info.extent).await.unwrap();
    }
    drop((engine, segments));
    for _ in 0..3 {
        let engine = open_segments(&directory, &clock);
        let place = engine.put(vec![object(b"after a restart")]).await.unwrap().remove(0);
        assert!(seen.insert(engine.extent(&place)), "a segment's number was used again");
    }
}
