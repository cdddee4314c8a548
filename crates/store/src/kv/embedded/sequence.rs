//! A numbered, chained trace of commits, by which a store notices at open that acknowledged commits are gone.
//!
//! Every group commit writes a row with its number and a checksum chained to the one before, and removes the
//! row of [`KEPT`] commits ago, in the same atomic batch. So the tree always holds exactly the rows of the last
//! [`KEPT`] numbers: whichever commits get lost, their own rows are missing, or those that they would have
//! removed are left over. A new store begins with that many rows, so that this holds from its first commit on.
//!
//! After the fsync, number and checksum also go to a small file beside the tree, without an fsync of its own:
//! it can lag behind the tree, never run ahead of it. That catches commits lost from the end.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::base::View;
use super::open::OpenError;
use crate::kv::engine::{KeyRange, PageRequest, Version};

/// Engine rows lie behind every key that the contract allows.
pub(super) const RESERVED: u8 = 0xff;
const PREFIX: &[u8] = b"\xffsequence";
const KEPT: Version = 1024;
const SLOT: usize = 32;

type Checksum = [u8; 16];

/// The trace's head.
pub(super) struct Sequence {
    file: File,
    last: Version,
    checksum: Checksum,
}

/// The file beside the tree, and the last commit that it says was acknowledged.
pub(super) struct Note {
    path: PathBuf,
    file: File,
    found: Option<(Version, Checksum)>,
}

impl Note {
    /// Reads the note beside an existing tree, or makes an empty one for a tree that is to be created.
    pub(super) fn open(directory: &Path, tree_exists: bool) -> Result<Self, OpenError> {
        let path = directory.join("sequence");
        let io = |error| OpenError::Io { path: path.clone(), error };
        let opened =
            OpenOptions::new().read(true).write(true).create(!tree_exists).truncate(false).open(&path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let what = "the file that names the last acknowledged commit is missing".to_owned();
                return Err(OpenError::Gap { path: directory.to_owned(), what });
            }
            Err(error) => return Err(io(error)),
        };
        if !tree_exists {
            file.sync_all().map_err(io)?;
        }
        let found = read_slots(&file).map_err(io)?.map_err(|what| damaged(&path, &what))?;
        Ok(Self { path, file, found })
    }

    /// The last commit known to be acknowledged; zero if none is.
    pub(super) fn number(&self) -> Version {
        self.found.map_or(0, |(number, _)| number)
    }

    /// Refuses to begin anew where commits were acknowledged.
    pub(super) fn check_new(&self, directory: &Path) -> Result<(), OpenError> {
        match self.number() {
            0 => Ok(()),
            number => {
                let what = format!("commit {number} was acknowledged, but the whole tree of rows is gone");
                Err(OpenError::Gap { path: directory.to_owned(), what })
            }
        }
    }
}

impl Sequence {
    /// The rows of a new store.
    pub(super) fn first_rows() -> Vec<(Bytes, Bytes)> {
        (1..=KEPT).map(|number| (key(number), Bytes::from_static(&[0; 16]))).collect()
    }

    /// Checks the trace of a store that was just opened.
    pub(super) fn open(directory: &Path, view: &View, note: Note) -> Result<Self, OpenError> {
        let (last, checksum) = newest_row(directory, view)?;
        if let Some((noted, noted_checksum)) = note.found {
            let gap = |what| OpenError::Gap { path: directory.to_owned(), what };
            if noted > last {
                return Err(gap(format!(
                    "commit {noted} was acknowledged, but the newest one stored is {last}"
                )));
            }
            let stored = row(view, noted).map_err(|e| damaged(&note.path, &e))?;
            if stored.is_some_and(|stored| stored != noted_checksum) {
                return Err(gap(format!(
                    "commit {noted} is not the one that was acknowledged under this number"
                )));
            }
        }
        Ok(Self { file: note.file, last, checksum })
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

/// The commit number that a key of this trace holds.
pub(super) fn number(key: &[u8]) -> Option<Version> {
    key.strip_prefix(PREFIX)?.try_into().ok().map(Version::from_be_bytes)
}

/// The newest row, after a look that the last [`KEPT`] numbers are there and no other.
fn newest_row(directory: &Path, view: &View) -> Result<(Version, Checksum), OpenError> {
    let request = PageRequest { rows: usize::MAX, bytes: usize::MAX, reverse: false, drained: false };
    let page = view.page(&KeyRange::prefix(PREFIX), request).map_err(|e| damaged(directory, &e))?;
    let rows = page.rows.len();
    let mut newest: Option<(Version, Checksum)> = None;
    for (row, value) in page.rows {
        let (Some(number), Ok(checksum)) = (number(&row), Checksum::try_from(&value[..])) else {
            return Err(damaged(directory, &"a row of the commit sequence is unreadable"));
        };
        if let Some((before, _)) = newest
            && number != before + 1
        {
            let what = format!("commits are lost: commit {before} is followed by commit {number}");
            return Err(damaged(directory, &what));
        }
        newest = Some((number, checksum));
    }
    match newest {
        Some(newest) if rows as Version == KEPT => Ok(newest),
        _ => Err(damaged(directory, &format!("{rows} rows of the commit sequence instead of {KEPT}"))),
    }
}

fn row(view: &View, number: Version) -> Result<Option<Checksum>, crate::kv::Error> {
    Ok(view.get(&key(number))?.and_then(|value| Checksum::try_from(&value[..]).ok()))
}

fn damaged(path: &Path, what: &dyn std::fmt::Display) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), what: what.to_string() }
}

/// What a slot holds.
enum Slot {
    Empty,
    Torn,
    Whole(Version, Checksum),
}

/// The newer of the two slots that is whole: a crash can tear the one being written, never both.
fn read_slots(file: &File) -> io::Result<Result<Option<(Version, Checksum)>, &'static str>> {
    let mut bytes = [0; SLOT * 2];
    let mut len = 0;
    while len < bytes.len() {
        match file.read_at(&mut bytes[len..], len as u64)? {
            0 => break,
            n => len += n,
        }
    }
    let (first, second) = bytes.split_at(SLOT);
    Ok(match (slot(first), slot(second)) {
        (Slot::Torn, Slot::Torn) => Err("neither of the two commits that it names is readable"),
        (Slot::Whole(a, a_sum), Slot::Whole(b, b_sum)) => {
            Ok(Some(if a > b { (a, a_sum) } else { (b, b_sum) }))
        }
        (Slot::Whole(number, checksum), _) | (_, Slot::Whole(number, checksum)) => {
            Ok(Some((number, checksum)))
        }
        _ => Ok(None),
    })
}

fn slot(slot: &[u8]) -> Slot {
    if slot.iter().all(|byte| *byte == 0) {
        return Slot::Empty;
    }
    let whole = || {
        let (body, crc) = slot.get(..28)?.split_at(24);
        let (number, checksum) = body.split_first_chunk::<8>()?;
        (crc == crc32fast::hash(body).to_be_bytes())
            .then(|| Some(Slot::Whole(Version::from_be_bytes(*number), checksum.try_into().ok()?)))?
    };
    whole().unwrap_or(Slot::Torn)
}
