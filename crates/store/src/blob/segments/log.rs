//! Appending: whoever finds no leader leads. The leader takes all that wait, writes them one behind the other,
//! makes one fsync, and wakes them; while it works the next group gathers.

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

/// The log and the shelf that its segments go to.
pub(super) struct Log {
    pub(super) shelf: Shelf,
    pub(super) clock: Clock,
    options: SegmentsOptions,
    waiting: Mutex<Waiting>,
    current: Mutex<Option<Current>>,
    poisoned: Mutex<Option<String>>,
    free_space: FreeSpace,
}

#[derive(Default)]
struct Waiting {
    requests: Vec<Request>,
    led: bool,
}

type Answer = Result<Vec<Place>, EngineError>;

struct Request {
    records: Vec<Pending>,
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
            current: Mutex::default(),
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
        let records = objects.into_iter().map(record).collect();
        let (answer, answered) = oneshot::channel();
        let lead = {
            let mut waiting = self.waiting.lock();
            waiting.requests.push(Request { records, answer });
            !std::mem::replace(&mut waiting.led, true)
        };
        if lead {
            let log = self.clone();
            tokio::task::spawn_blocking(move || log.lead());
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
        let mut current = self.current.lock();
        let in_the_way = |current: &Current| current.end > HEAD || !self.shelf.is_newest(current.number);
        if current.as_ref().is_some_and(in_the_way) {
            self.end(&mut current);
        }
        self.ready(&mut current).map(|_begun| ())
    }

    /// Makes what was written to a file durable.
    pub(super) fn sync(&self, file: &File) -> io::Result<()> {
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

    fn lead(&self) {
        let mut current = self.current.lock();
        loop {
            let requests = {
                let mut waiting = self.waiting.lock();
                if waiting.requests.is_empty() {
                    waiting.led = false;
                    return;
                }
                std::mem::take(&mut waiting.requests)
            };
            match self.write(&mut current, &requests) {
                Ok(places) => {
                    for (request, places) in requests.into_iter().zip(places) {
                        let _gone = request.answer.send(Ok(places));
                    }
                }
                Err(error) => {
                    for request in requests {
                        let _gone = request.answer.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    /// Writes a group and makes it durable.
    fn write(
        &self,
        current: &mut Option<Current>,
        requests: &[Request],
    ) -> Result<Vec<Vec<Place>>, EngineError> {
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
    fn ready<'c>(&self, current: &'c mut Option<Current>) -> Result<&'c mut Current, EngineError> {
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

    fn end(&self, current: &mut Option<Current>) {
        if let Some(Current { number, .. }) = current.take() {
            self.shelf.seal(number);
        }
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
        let mut current = log.current.lock();
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
