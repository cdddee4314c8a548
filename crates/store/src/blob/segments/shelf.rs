//! Which segments there are, and reading, listing and deleting them.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use types::Timestamp;

use super::format::{self, Address, FORMAT, HEAD, Head, Kind};
use super::{OpenError, SegmentsOptions};
use crate::blob::engine::{EngineError, ExtentInfo, Listed, Listing};

/// The segments of one directory.
pub(super) struct Shelf {
    directory: PathBuf,
    /// To make new names durable.
    directory_file: File,
    small: u64,
    segments: Mutex<BTreeMap<u64, Segment>>,
    next: AtomicU64,
    handles: Cache<u64, Arc<File>>,
    _lock: File,
}

/// What is known of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Segment {
    /// Bytes that are durable.
    pub(super) bytes: u64,
    pub(super) kind: Kind,
    /// When this process last put something into it.
    pub(super) last_put: Timestamp,
    /// Whether it is written to.
    pub(super) open: bool,
}

impl Shelf {
    const PAGE: usize = 1000;

    pub(super) fn open(directory: &Path, options: SegmentsOptions) -> Result<Self, OpenError> {
        let io = |path: &Path, error| OpenError::Io { path: path.to_owned(), error };
        fs::create_dir_all(directory).map_err(|e| io(directory, e))?;
        let lock_path = directory.join("lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&lock_path);
        let lock = lock.map_err(|e| io(&lock_path, e))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::InUse(directory.to_owned()),
            TryLockError::Error(error) => io(&lock_path, error),
        })?;
        let mut segments = BTreeMap::new();
        for entry in fs::read_dir(directory).map_err(|e| io(directory, e))? {
            let entry = entry.map_err(|e| io(directory, e))?;
            if let Some(number) = entry.file_name().to_str().and_then(format::parse_file_name) {
                segments.insert(number, look(&entry.path())?);
            }
        }
        let next = segments.keys().next_back().map_or(1, |last| last + 1);
        Ok(Self {
            directory: directory.to_owned(),
            directory_file: File::open(directory).map_err(|e| io(directory, e))?,
            small: options.segment_bytes / 16,
            segments: Mutex::new(segments),
            next: AtomicU64::new(next),
            handles: Cache::new(options.open_files),
            _lock: lock,
        })
    }

    pub(super) fn path(&self, segment: u64) -> PathBuf {
        self.directory.join(format::file_name(segment))
    }

    /// Makes the file of a new segment, with its head. The caller puts it on the shelf when it is durable.
    pub(super) fn create(&self, kind: Kind, created: Timestamp) -> io::Result<(u64, File)> {
        let number = self.next.fetch_add(1, Relaxed);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(self.path(number))?;
        file.write_all_at(&format::segment_head(number, kind, created), 0)?;
        Ok((number, file))
    }

    /// Makes the names of new segments durable.
    pub(super) fn sync_names(&self) -> io::Result<()> {
        self.directory_file.sync_all()
    }

    /// Says what is durable of a segment.
    pub(super) fn update(&self, number: u64, segment: Segment) {
        self.segments.lock().insert(number, segment);
    }

    /// Whether no segment has a higher number.
    pub(super) fn is_newest(&self, number: u64) -> bool {
        self.segments.lock().keys().next_back().is_none_or(|newest| *newest <= number)
    }

    /// Says that a segment is written to no more.
    pub(super) fn seal(&self, number: u64) {
        if let Some(segment) = self.segments.lock().get_mut(&number) {
            segment.open = false;
        }
    }

    pub(super) fn read(&self, address: Address, range: Range<u64>) -> Result<Bytes, EngineError> {
        let len = range.end.checked_sub(range.start).filter(|_| range.end <= address.len);
        let len = len.and_then(|len| usize::try_from(len).ok()).ok_or_else(|| self.short(address))?;
        let file = self.handle(address.segment)?;
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, address.offset + HEAD + range.start).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => self.short(address),
            _ => self.failed("reading", address.segment, &e),
        })?;
        Ok(bytes.into())
    }

    /// Deletes a segment. Those who have it open read on.
    pub(super) fn delete(&self, number: u64) -> Result<(), EngineError> {
        {
            let mut segments = self.segments.lock();
            // The highest number must not be given out again after a restart.
            let last = segments.keys().next_back().is_some_and(|last| *last == number);
            if last || segments.get(&number).is_some_and(|segment| segment.open) {
                let why = format!("segment {} may still be written to", self.path(number).display());
                return Err(EngineError::Unavailable(why));
            }
            segments.remove(&number);
        }
        self.handles.remove(&number);
        match fs::remove_file(self.path(number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("deleting", number, &error))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn extents(&self) -> Vec<ExtentInfo> {
        let segments = self.segments.lock();
        let last = segments.keys().next_back().copied();
        let deletable = segments.iter().filter(|(number, segment)| !segment.open && Some(**number) != last);
        let info = |(number, segment): (&u64, &Segment)| {
            let start = Address { segment: *number, offset: 0, len: 0 }.place();
            ExtentInfo {
                extent: format::extent_of(&start),
                start,
                bytes: segment.bytes,
                last_put: segment.last_put,
                small: segment.kind == Kind::Shared && segment.bytes < self.small,
            }
        };
        deletable.map(info).collect()
    }

    /// A page is at most the rest of one segment.
    pub(super) fn list(&self, after: Option<Address>) -> Result<Listing, EngineError> {
        let (mut number, mut offset) = match after {
            Some(Address { segment, offset: 0, .. }) => (segment, HEAD),
            Some(Address { segment, offset, len }) => (segment, offset + HEAD + len),
            None => (0, HEAD),
        };
        loop {
            let found = self.segments.lock().range(number..).next().map(|(n, segment)| (*n, *segment));
            let Some((found, segment)) = found else { return Ok(Listing::default()) };
            if found != number {
                (number, offset) = (found, HEAD);
            }
            let entries = match self.records(number, segment, offset) {
                Err(EngineError::Missing(_)) => Vec::new(),
                listed => listed?,
            };
            if let Some(last) = entries.last() {
                let next = Some(last.place.clone());
                return Ok(Listing { entries, next });
            }
            let Some(behind) = number.checked_add(1) else { return Ok(Listing::default()) };
            (number, offset) = (behind, HEAD);
        }
    }

    /// Records from `offset`, up to a page or to where no more are readable.
    fn records(&self, number: u64, segment: Segment, offset: u64) -> Result<Vec<Listed>, EngineError> {
        let file = self.handle(number)?;
        let mut entries = Vec::new();
        let mut offset = offset;
        while entries.len() < Self::PAGE && offset.saturating_add(HEAD) <= segment.bytes {
            let mut head: Head = [0; HEAD as usize];
            file.read_exact_at(&mut head, offset).map_err(|e| self.failed("reading", number, &e))?;
            let Some(record) = format::parse_record_head(&head) else { break };
            let end = offset.saturating_add(HEAD).saturating_add(record.len);
            if end > segment.bytes {
                break;
            }
            let place = Address { segment: number, offset, len: record.len }.place();
            let (hash, created) = (record.hash, record.created);
            entries.push(Listed { place, hash, stored: record.len, created });
            offset = end;
        }
        Ok(entries)
    }

    fn handle(&self, number: u64) -> Result<Arc<File>, EngineError> {
        let opened = self.handles.get_or_insert_with(&number, || File::open(self.path(number)).map(Arc::new));
        opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                EngineError::Missing(format!("segment {}", self.path(number).display()))
            }
            _ => self.failed("opening", number, &error),
        })
    }

    fn short(&self, address: Address) -> EngineError {
        let path = self.path(address.segment);
        let Address { offset, len, .. } = address;
        EngineError::Damaged(format!(
            "the record at offset {offset} of segment {} is shorter than the {len} bytes that it should have",
            path.display()
        ))
    }

    pub(super) fn failed(&self, doing: &str, number: u64, error: &io::Error) -> EngineError {
        EngineError::Unavailable(format!("{doing} segment {} failed: {error}", self.path(number).display()))
    }
}

/// What there is to know of a segment that an earlier process wrote. One whose head is damaged can still be
/// read where rows point into it, and is kept until none does.
fn look(path: &Path) -> Result<Segment, OpenError> {
    let io = |error| OpenError::Io { path: path.to_owned(), error };
    let file = File::open(path).map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    let mut head: Head = [0; HEAD as usize];
    let parsed = match file.read_exact_at(&mut head, 0) {
        Ok(()) => format::parse_segment_head(&head),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
        Err(error) => return Err(io(error)),
    };
    match parsed {
        Some((version, _)) if version > FORMAT => Err(OpenError::Newer { path: path.to_owned(), version }),
        parsed => {
            let kind = parsed.and_then(|(_, kind)| kind).unwrap_or(Kind::Solo);
            Ok(Segment { bytes, kind, last_put: Timestamp(0), open: false })
        }
    }
}
