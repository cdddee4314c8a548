//! A numbered, chained trace of commits, by which a store notices at open that acknowledged commits are gone.
//!
//! Every group commit writes a row with its number and a checksum chained to the one before, in the same
//! atomic batch. After the fsync, number and checksum also go to a small file beside the tree, without an
//! fsync of its own: it can lag behind the tree, never run ahead of it. At open the rows must have no gap, and
//! the row that the file names must be there with the same checksum. The tree's own journal recovery may drop
//! everything after a damaged place in silence; here that becomes an error.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;

use super::base::View;
use super::open::OpenError;
use crate::kv::engine::{KeyRange, PageRequest, Version};

/// Engine rows lie behind every key that the contract allows.
pub(super) const RESERVED: u8 = 0xff;
const PREFIX: &[u8] = b"\xffsequence";
/// Rows kept: more than the journal can hold groups of, at its smallest group size.
const KEPT: Version = 16_384;
const SLOT: usize = 32;

type Checksum = [u8; 16];

/// The trace's head.
pub(super) struct Sequence {
    file: File,
    last: Version,
    checksum: Checksum,
}

impl Sequence {
    /// Checks the trace of a store that was just opened.
    pub(super) fn open(directory: &Path, view: &View) -> Result<Self, OpenError> {
        let path = directory.join("sequence");
        let io = |error| OpenError::Io { path: path.clone(), error };
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(io)?;
        let (last, checksum) = newest_row(directory, view)?;
        if let Some((noted, noted_checksum)) = read_slots(&file).map_err(io)? {
            let gap = |what| OpenError::Gap { path: directory.to_owned(), what };
            if noted > last {
                return Err(gap(format!(
                    "commit {noted} was acknowledged, but the newest one stored is {last}"
                )));
            }
            let stored = row(view, noted).map_err(|e| damaged(directory, &e))?;
            if stored.is_some_and(|stored| stored != noted_checksum) {
                return Err(gap(format!(
                    "commit {noted} is not the one that was acknowledged under this number"
                )));
            }
        }
        Ok(Self { file, last, checksum })
    }

    /// The number of the last commit.
    pub(super) const fn last(&self) -> Version {
        self.last
    }

    /// The rows to write with the next group, whose content has the checksum `content`: a new one, and an old
    /// one to remove.
    pub(super) fn next(&self, content: u32) -> (Version, Checksum, [(Bytes, Option<Bytes>); 2]) {
        let number = self.last + 1;
        let chained = [&self.checksum[..], &number.to_be_bytes(), &content.to_be_bytes()].concat();
        let mut checksum = [0; 16];
        checksum.copy_from_slice(&blake3::hash(&chained).as_bytes()[..16]);
        let new = (key(number), Some(Bytes::copy_from_slice(&checksum)));
        (number, checksum, [new, (key(number.saturating_sub(KEPT)), None)])
    }

    /// Notes that the group is durable. A failure here loses no mail, only the proof; it is reported.
    pub(super) fn acknowledged(&mut self, number: Version, checksum: Checksum) -> io::Result<()> {
        (self.last, self.checksum) = (number, checksum);
        let mut slot = [0; SLOT];
        slot[..8].copy_from_slice(&number.to_be_bytes());
        slot[8..24].copy_from_slice(&checksum);
        let crc = crc32fast::hash(&slot[..24]);
        slot[24..28].copy_from_slice(&crc.to_be_bytes());
        self.file.write_all_at(&slot, (number % 2) * SLOT as u64)
    }
}

fn key(number: Version) -> Bytes {
    [PREFIX, &number.to_be_bytes()].concat().into()
}

/// The newest row, after a look that no number before it is missing.
fn newest_row(directory: &Path, view: &View) -> Result<(Version, Checksum), OpenError> {
    let request = PageRequest { rows: usize::MAX, bytes: usize::MAX, reverse: false };
    let page = view.page(&KeyRange::prefix(PREFIX), request).map_err(|e| damaged(directory, &e))?;
    let mut newest: Option<(Version, Checksum)> = None;
    for (row, value) in page.rows {
        let number = row.strip_prefix(PREFIX).and_then(|n| n.try_into().ok()).map(Version::from_be_bytes);
        let (Some(number), Ok(checksum)) = (number, Checksum::try_from(&value[..])) else {
            return Err(damaged(directory, &"a row of the commit sequence is unreadable"));
        };
        if let Some((before, _)) = newest
            && number != before + 1
        {
            let what = format!("commit {before} is followed by commit {number}");
            return Err(OpenError::Gap { path: directory.to_owned(), what });
        }
        newest = Some((number, checksum));
    }
    Ok(newest.unwrap_or_default())
}

fn row(view: &View, number: Version) -> Result<Option<Checksum>, crate::kv::Error> {
    Ok(view.get(&key(number))?.and_then(|value| Checksum::try_from(&value[..]).ok()))
}

fn damaged(directory: &Path, what: &dyn std::fmt::Display) -> OpenError {
    OpenError::Damaged { path: directory.to_owned(), what: what.to_string() }
}

/// The newer of the two slots that is whole: a crash can tear the one being written.
fn read_slots(file: &File) -> io::Result<Option<(Version, Checksum)>> {
    let mut bytes = [0; SLOT * 2];
    let mut len = 0;
    while len < bytes.len() {
        match file.read_at(&mut bytes[len..], len as u64)? {
            0 => break,
            n => len += n,
        }
    }
    Ok(bytes.chunks_exact(SLOT).filter_map(whole_slot).max_by_key(|(number, _)| *number))
}

fn whole_slot(slot: &[u8]) -> Option<(Version, Checksum)> {
    let (body, crc) = slot.get(..28)?.split_at(24);
    if crc != crc32fast::hash(body).to_be_bytes() {
        return None;
    }
    let (number, checksum) = body.split_first_chunk::<8>()?;
    let number = Version::from_be_bytes(*number);
    (number > 0).then_some((number, checksum.try_into().ok()?))
}
