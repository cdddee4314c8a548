//! Appending: whoever finds no leader leads. The leader takes all that wait, writes them one behind the other,
//! makes one fsync, and wakes them; while it works the next group gathers.
//!
//! One leader waits for one fsync at a time, and a disk can do more than that. So when much has gathered behind
//! a leader at work, another one leads beside it, in a segment of its own: a lane. Little that waits is better
//! off in one large group.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use types::Clock;

use super::format::{self, Address, HEAD, Head, Kind, Record};
use super::shelf::{Segment, Shelf};
use super::{OpenError, SegmentsOptions, full, stopping};
use crate::blob::Hash;
use crate::blob::engine::{EngineError, Place};
use crate::disk::FreeSpace;
use crate::meters::METERS;

/// The log and the shelf that its segments go to.
pub(super) struct Log {
    pub(super) shelf: Shelf,
    pub(super) clock: Clock,
    options: SegmentsOptions,
    waiting: Mutex<Waiting>,
    lanes: [Mutex<Lane>; LANES],
    poisoned: Mutex<Option<String>>,
    free_space: FreeSpace,
}

/// How many leaders may work at once.
const LANES: usize = 4;
/// So many bytes must wait before another lane is opened.
const CROWD: u64 = 1 << 20;
/// What a leader takes at once; what is larger alone is taken alone.
const GROUP: u64 = 8 << 20;

#[derive(Default)]
struct Waiting {
    requests: VecDeque<Request>,
    bytes: u64,
    led: [bool; LANES],
}

/// The segment that a lane writes to, if it has one.
type Lane = Option<Current>;

type Answer = Result<Vec<Place>, EngineError>;

struct Request {
    records: Vec<Pending>,
    bytes: u64,
    answer: oneshot::Sender<Answer>,
}

/// A record that is to be written.
struct Pending {
    head: Head,
    chunks: Vec<Bytes>,
    len: u64,
}

/// The segment that is written to.
struct Current {
    number: u64,
    file: File,
    end: u64,
}

impl Log {
    pub(super) fn open(directory: &Path, clock: Clock, options: SegmentsOptions) -> Result<Self, OpenError> {
        let shelf = Shelf::open(directory, options)?;
        let free_space = FreeSpace::new(directory, options.reserve_bytes);
        Ok(Self {
            shelf,
            clock,
            options,
            waiting: Mutex::default(),
            lanes: Default::default(),
            poisoned: Mutex::default(),
            free_space,
        })
    }

    /// Appends records, in a group with whoever else is waiting.
    pub(super) async fn append(self: &Arc<Self>, objects: Vec<(Hash, Vec<Bytes>)>) -> Answer {
        let created = self.clock.now();
        let record = |(hash, chunks): (Hash, Vec<Bytes>)| {
            let len = chunks.iter().map(|chunk| chunk.len() as u64).sum();
            Pending { head: format::record_head(&Record { hash, len, created }), chunks, len }
        };
        let records: Vec<Pending> = objects.into_iter().map(record).collect();
        let bytes = records.iter().map(|record| HEAD + record.len).sum();
        let (answer, answered) = oneshot::channel();
        let lead = self.waiting.lock().join(Request { records, bytes, answer });
        if let Some(lane) = lead {
            let log = self.clone();
            tokio::task::spawn_blocking(move || log.lead(lane));
        }
        answered.await.unwrap_or_else(|_| Err(stopping()))
    }

    pub(super) fn health(&self) -> Result<(), EngineError> {
        match &*self.poisoned.lock() {
            Some(why) => Err(EngineError::Unavailable(why.clone())),
            None => self.free_space.check().map_err(EngineError::Full),
        }
    }

    /// Ends the current segment, if there is anything in it, and begins another at once, so that all others may
    /// be deleted.
    pub(super) fn seal(&self) -> Result<(), EngineError> {
        self.health()?;
        let mut lanes: Vec<_> = self.lanes.iter().map(|lane| lane.lock()).collect();
        let newest = |current: &Current| current.end == HEAD && self.shelf.is_newest(current.number);
        if lanes.iter().any(|lane| lane.as_ref().is_some_and(newest)) {
            return Ok(());
        }
        lanes.iter_mut().for_each(|lane| self.end(lane));
        lanes.first_mut().map_or(Ok(()), |lane| self.ready(lane).map(|_begun| ()))
    }

    /// Makes what was written to a file durable.
    pub(super) fn sync(&self, file: &File) -> io::Result<()> {
        METERS.blob_syncs.increment(1);
        if self.options.sync { file.sync_data() } else { Ok(()) }
    }

    /// Takes no more puts: what is on disk is unknown.
    pub(super) fn poison(&self, number: u64, error: &io::Error) -> EngineError {
        let path = self.shelf.path(number);
        let why = format!(
            "writing segment {} failed ({error}); what is on disk is unknown, so no more blobs are taken: check \
             the disk and restart",
            path.display()
        );
        tracing::error!(segment = %path.display(), %error, "the blob store is poisoned: a write or fsync failed");
        *self.poisoned.lock() = Some(why.clone());
        EngineError::Unavailable(why)
    }

    fn lead(&self, number: usize) {
        let Some(lane) = self.lanes.get(number) else {
            return;
        };
        let mut lane = lane.lock();
        loop {
            let group = self.waiting.lock().take(number);
            if group.is_empty() {
                return;
            }
            match self.write(&mut lane, &group) {
                Ok(places) => {
                    for (request, places) in group.into_iter().zip(places) {
                        let _gone = request.answer.send(Ok(places));
                    }
                }
                Err(error) => {
                    for request in group {
                        let _gone = request.answer.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    /// Writes a group and makes it durable.
    fn write(&self, current: &mut Lane, requests: &[Request]) -> Result<Vec<Vec<Place>>, EngineError> {
        self.health()?;
        if current.as_ref().is_some_and(|c| c.end >= self.options.segment_bytes) {
            self.end(current);
        }
        let segment = self.ready(current)?;
        let (number, mut end) = (segment.number, segment.end);
        let mut slices = Vec::new();
        let mut places = Vec::with_capacity(requests.len());
        for request in requests {
            let mut own = Vec::with_capacity(request.records.len());
            for Pending { head, chunks, len } in &request.records {
                own.push(Address { segment: number, offset: end, len: *len }.place());
                slices.push(IoSlice::new(head));
                slices
                    .extend(chunks.iter().filter(|chunk| !chunk.is_empty()).map(|chunk| IoSlice::new(chunk)));
                end += HEAD + len;
            }
            places.push(own);
        }
        let written = write_all(&segment.file, &mut slices).and_then(|()| self.sync(&segment.file));
        if let Err(error) = written {
            // Nothing in the segment behind its durable end is pointed to; it is left as it is.
            self.end(current);
            let path = self.shelf.path(number);
            return Err(full(&error, &path).unwrap_or_else(|| self.poison(number, &error)));
        }
        segment.end = end;
        self.shelf.update(number, shared(end, self.clock.now()));
        Ok(places)
    }

    /// The segment to write to, begun if there is none.
    fn ready<'c>(&self, current: &'c mut Lane) -> Result<&'c mut Current, EngineError> {
        if let Some(current) = current {
            return Ok(current);
        }
        let created = self.clock.now();
        let begin = || -> io::Result<Current> {
            let (number, mut file) = self.shelf.create(Kind::Shared, created)?;
            file.seek(SeekFrom::Start(HEAD))?;
            self.sync(&file)?;
            self.shelf.sync_names()?;
            Ok(Current { number, file, end: HEAD })
        };
        let begun = begin().map_err(|error| {
            let directory = self.shelf.path(0).with_file_name("");
            let what = format!("beginning a segment in {} failed: {error}", directory.display());
            full(&error, &directory).unwrap_or(EngineError::Unavailable(what))
        })?;
        self.shelf.update(begun.number, shared(begun.end, created));
        Ok(current.insert(begun))
    }

    fn end(&self, current: &mut Lane) {
        if let Some(Current { number, .. }) = current.take() {
            self.shelf.seal(number);
        }
    }
}

impl Waiting {
    /// Queues a request; returns a lane that it should lead, if that is called for.
    fn join(&mut self, request: Request) -> Option<usize> {
        self.bytes += request.bytes;
        self.requests.push_back(request);
        let crowded = self.bytes >= CROWD || self.led.iter().all(|led| !led);
        let lane = self.led.iter().position(|led| !led).filter(|_| crowded)?;
        self.led[lane] = true;
        Some(lane)
    }

    /// The next group; if there is none, the lane has no leader any more.
    fn take(&mut self, lane: usize) -> Vec<Request> {
        let mut bytes = 0;
        let fits = |request: &&Request| {
            let first = bytes == 0;
            bytes += request.bytes;
            first || bytes <= GROUP
        };
        let count = self.requests.iter().take_while(fits).count();
        let group: Vec<Request> = self.requests.drain(..count).collect();
        self.bytes -= group.iter().map(|request| request.bytes).sum::<u64>();
        if group.is_empty() {
            self.led[lane] = false;
        }
        group
    }
}

const fn shared(bytes: u64, last_put: types::Timestamp) -> Segment {
    Segment { bytes, kind: Kind::Shared, last_put, open: true }
}

/// Writes all slices at the file's position.
fn write_all(mut file: &File, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    // What one system call takes at most.
    const MOST: usize = 1024;
    let mut rest = slices;
    while !rest.is_empty() {
        let now = rest.len().min(MOST);
        match file.write_vectored(&rest[..now]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(bytes: u64) -> Request {
        Request { records: Vec::new(), bytes, answer: oneshot::channel().0 }
    }

    #[test]
    fn another_lane_is_opened_for_a_crowd_only() {
        let mut waiting = Waiting::default();
        assert_eq!(waiting.join(request(100)), Some(0), "somebody must lead");
        assert_eq!(waiting.take(0).len(), 1);
        assert_eq!(waiting.join(request(100)), None, "the leader will take it");
        assert_eq!(waiting.join(request(CROWD)), Some(1));
        assert_eq!(waiting.take(1).len(), 2);
        assert!(waiting.take(0).is_empty());
        assert_eq!(waiting.join(request(100)), None, "the second lane is still led");
        assert_eq!(waiting.take(1).len(), 1);
        assert!(waiting.take(1).is_empty());
        assert_eq!(waiting.join(request(100)), Some(0));
    }

    #[test]
    fn a_group_is_bounded_but_never_empty() {
        let mut waiting = Waiting::default();
        let sizes = [GROUP * 2, GROUP / 2, GROUP / 2, 1, 1];
        let lanes: Vec<_> = sizes.into_iter().filter_map(|bytes| waiting.join(request(bytes))).collect();
        assert_eq!(lanes, [0, 1, 2, 3]);
        let groups: Vec<usize> = (0..4).map(|_| waiting.take(0).len()).collect();
        assert_eq!((groups, waiting.bytes), (vec![1, 2, 2, 0], 0));
    }

    fn log(directory: &Path) -> Arc<Log> {
        Arc::new(Log::open(directory, Clock::system(), SegmentsOptions::default()).unwrap())
    }

    fn object() -> Vec<(Hash, Vec<Bytes>)> {
        vec![(Hash::of(b"content"), vec![Bytes::from_static(b"content")])]
    }

    async fn put_and_read(log: &Arc<Log>) {
        let place = log.append(object()).await.unwrap().remove(0);
        let address = format::address(&place).unwrap();
        assert_eq!(log.shelf.read(address, 0..7).unwrap(), Bytes::from_static(b"content"));
    }

    fn break_current(log: &Log, file: File) {
        let mut current = log.lanes[0].lock();
        let number = current.as_ref().unwrap().number;
        *current = Some(Current { number, file, end: 1000 });
    }

    #[tokio::test]
    async fn a_full_disk_costs_the_put_and_not_the_store() {
        let directory = tempfile::tempdir().unwrap();
        let log = log(directory.path());
        put_and_read(&log).await;
        break_current(&log, File::options().write(true).open("/dev/full").unwrap());
        let refused = log.append(object()).await.unwrap_err();
        assert!(matches!(refused, EngineError::Full(_)), "{refused}");
        log.health().unwrap();
        put_and_read(&log).await;
    }

    #[tokio::test]
    async fn after_any_other_failed_write_no_more_is_taken_but_all_can_be_read() {
        let directory = tempfile::tempdir().unwrap();
        let log = log(directory.path());
        let place = log.append(object()).await.unwrap().remove(0);
        break_current(&log, File::open("/dev/zero").unwrap());
        for _ in 0..2 {
            let refused = log.append(object()).await.unwrap_err();
            assert!(
                matches!(&refused, EngineError::Unavailable(why) if why.contains("restart")),
                "{refused}"
            );
            assert_eq!(log.health(), Err(refused));
        }
        assert!(log.seal().is_err());
        let solo = super::super::solo::put(&log, Hash::of(b"x"), std::iter::empty());
        assert!(matches!(solo, Err(EngineError::Unavailable(_))));
        assert_eq!(log.shelf.read(format::address(&place).unwrap(), 0..7).unwrap(), "content");
    }
}
