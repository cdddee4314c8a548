//! A look at the tree's journals before the tree opens them.
//!
//! The tree drops whatever follows a damaged place in a journal and truncates the file there: right after a
//! power loss that tore the batch being written, a silent loss of acknowledged commits after anything else. It
//! also refuses to open over a torn batch whose last page reached the disk before an inner one. So this file
//! tells the two apart first. A group is written only after the one before it is durable, so only the very last
//! batch may be torn. It was never acknowledged: it is cut off here, and the tree never sees it. Damage with
//! whole batches behind it, and batches whose commit numbers leave a gap, are refused before anything changes.
//!
//! The journal format is fjall's, version 3. A file is a run of batches, then zeros. All numbers are
//! little-endian:
//!
//! ```text
//! batch: 01 items:u32 order:u64   item*   03 xxh3(all items):u64 "FJL" 03
//! item:  02 kind:u8 compression:u8 keyspace:u64 key:u16 value:u32 stored:u32   key bytes   stored bytes
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::kv::embedded::open::OpenError;
use crate::kv::embedded::sequence;
use crate::kv::engine::Version;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const START_BYTES: usize = 13;
const ITEM_BYTES: usize = 21;
const END_BYTES: usize = 13;
const MAGIC: &[u8] = b"FJL\x03";
/// No value is stored in more: what claims to be is no item.
const LONGEST_VALUE: u32 = 1 << 20;
/// The tree counts batches and its own changes: a number beyond this is damage.
const HIGHEST_ORDER: u64 = 1 << 48;

/// A batch that is whole.
struct Batch {
    bytes: u64,
    /// Greater than that of the batch before. The checksum does not cover it.
    order: u64,
    /// The lowest and highest number among the sequence rows that it sets.
    numbers: (Version, Version),
}

/// Checks the journals in `tree`, and cuts off the batch that a power loss or a full disk tore. `noted` is the
/// last commit known to be acknowledged.
pub(super) fn check(tree: &Path, noted: Version) -> Result<(), OpenError> {
    let io = |error| OpenError::Io { path: tree.to_owned(), error };
    let mut trail = Trail { last: None, order: None, torn: None };
    for path in files(tree).map_err(io)? {
        trail.follow(&path)?;
    }
    let Some(torn) = trail.torn else { return Ok(()) };
    if let Some(last) = trail.last
        && noted > last
    {
        let what = format!(
            "commit {noted} was acknowledged, but behind commit {last} the journal {} is unreadable",
            torn.path.display()
        );
        return Err(OpenError::Gap { path: tree.parent().unwrap_or(tree).to_owned(), what });
    }
    torn.cut_off().map_err(io)
}

/// What the journals read so far say.
struct Trail {
    last: Option<Version>,
    order: Option<u64>,
    torn: Option<Torn>,
}

/// Where the last batch is not whole.
struct Torn {
    path: PathBuf,
    whole: u64,
    bytes: u64,
}

impl Trail {
    fn follow(&mut self, path: &Path) -> Result<(), OpenError> {
        let io = |error| OpenError::Io { path: path.to_owned(), error };
        let file = File::open(path).map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        let mut reader = BufReader::with_capacity(1 << 18, &file);
        let mut whole = 0;
        while let Some(batch) = batch(&mut reader, bytes - whole).map_err(io)? {
            self.append(path, whole, &batch)?;
            whole += batch.bytes;
        }
        let Some(rest) = nonzero(&file, whole).map_err(io)? else { return Ok(()) };
        if let Some(number) = later_batch(&rest, self.last) {
            let what = format!("there is a whole commit, {number}, behind the damage");
            return Err(damaged(path, whole, &what));
        }
        if self.torn.is_some() {
            return Err(damaged(path, whole, "another journal is damaged as well"));
        }
        self.torn = Some(Torn { path: path.to_owned(), whole, bytes: rest.len() as u64 });
        Ok(())
    }

    fn append(&mut self, path: &Path, at: u64, batch: &Batch) -> Result<(), OpenError> {
        let (first, last) = batch.numbers;
        if let Some(torn) = &self.torn {
            let what = format!("there is a whole commit, {first}, in a later journal");
            return Err(damaged(&torn.path, torn.whole, &what));
        }
        if let Some(before) = self.last
            && first != before + 1
        {
            return Err(damaged(path, at, &format!("commit {before} is followed by commit {first}")));
        }
        if self.order.is_some_and(|before| batch.order <= before) {
            return Err(damaged(path, at, &format!("commit {first} is out of order")));
        }
        (self.last, self.order) = (Some(last), Some(batch.order));
        Ok(())
    }
}

impl Torn {
    fn cut_off(&self) -> io::Result<()> {
        tracing::warn!(
            journal = %self.path.display(), at = self.whole, bytes = self.bytes,
            "cut off a commit that was torn before it was acknowledged"
        );
        let file = OpenOptions::new().write(true).open(&self.path)?;
        file.set_len(self.whole)?;
        file.sync_all()
    }
}

fn damaged(path: &Path, at: u64, what: &str) -> OpenError {
    let what = format!("the journal is unreadable from byte {at} on, and {what}");
    OpenError::Damaged { path: path.to_owned(), what }
}

/// The journals, oldest first.
fn files(tree: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(tree)? {
        let path = entry?.path();
        let number =
            path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jnl")?.parse::<u64>().ok());
        found.extend(number.map(|number| (number, path)));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Reads a batch from a file of which `left` bytes are left; `None` if what is there is no whole batch.
fn batch(reader: &mut impl Read, left: u64) -> io::Result<Option<Batch>> {
    match batch_or_eof(reader, left) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        other => other,
    }
}

fn batch_or_eof(reader: &mut impl Read, left: u64) -> io::Result<Option<Batch>> {
    let ([tag], items, order) = (take::<1>(reader)?, take::<4>(reader)?, take::<8>(reader)?);
    let order = u64::from_le_bytes(order);
    if tag != START || order > HIGHEST_ORDER {
        return Ok(None);
    }
    let mut hasher = Xxh3::new();
    let mut bytes = START_BYTES as u64;
    let mut numbers: Option<(Version, Version)> = None;
    let mut buffer = Vec::new();
    for _ in 0..u32::from_le_bytes(items) {
        let Some((length, number)) = item(reader, left - bytes.min(left), &mut hasher, &mut buffer)? else {
            return Ok(None);
        };
        bytes += length;
        if let Some(number) = number {
            let (low, high) = numbers.unwrap_or((number, number));
            numbers = Some((low.min(number), high.max(number)));
        }
    }
    let [tag, rest @ ..] = take::<END_BYTES>(reader)?;
    let (checksum, magic) = rest.split_at(8);
    let whole = tag == END && magic == MAGIC && checksum == hasher.digest().to_le_bytes();
    bytes += END_BYTES as u64;
    Ok(numbers.filter(|_| whole).map(|numbers| Batch { bytes, order, numbers }))
}

/// Reads an item: its length, and the commit number if it sets a sequence row.
fn item(
    reader: &mut impl Read,
    left: u64,
    hasher: &mut Xxh3,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<(u64, Option<Version>)>> {
    let head = take::<ITEM_BYTES>(reader)?;
    let [tag, kind, _, _, _, _, _, _, _, _, _, k0, k1, _, _, _, _, v0, v1, v2, v3] = head;
    let key = usize::from(u16::from_le_bytes([k0, k1]));
    let value = u32::from_le_bytes([v0, v1, v2, v3]);
    let length = ITEM_BYTES as u64 + key as u64 + u64::from(value);
    if tag != ITEM || value > LONGEST_VALUE || length > left {
        return Ok(None);
    }
    buffer.resize(key + value as usize, 0);
    reader.read_exact(buffer)?;
    hasher.update(&head);
    hasher.update(buffer);
    let number = buffer.get(..key).filter(|_| kind == 0).and_then(sequence::number);
    Ok(Some((length, number)))
}

fn take<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// What follows `from`, up to the last byte that is not zero; `None` if all are. Skips holes, so that the
/// space which a journal reserves costs nothing.
fn nonzero(file: &File, from: u64) -> io::Result<Option<Vec<u8>>> {
    let size = file.metadata()?.len();
    let mut at = from;
    while at < size {
        at = match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
            Ok(data) => data,
            Err(rustix::io::Errno::NXIO) => return Ok(None),
            Err(_) => at,
        };
        let mut chunk = vec![0; 1 << 16];
        (&mut &*file).seek(SeekFrom::Start(at))?;
        let read = (&mut &*file).read(&mut chunk)?;
        if read == 0 {
            return Ok(None);
        }
        if chunk.iter().take(read).any(|byte| *byte != 0) {
            return rest(file, from).map(Some);
        }
        at += read as u64;
    }
    Ok(None)
}

fn rest(mut file: &File, from: u64) -> io::Result<Vec<u8>> {
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.read_to_end(&mut rest)?;
    let end = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    rest.truncate(end);
    Ok(rest)
}

/// A whole batch anywhere in `rest` that holds a commit after the one that is damaged: its number.
fn later_batch(rest: &[u8], last: Option<Version>) -> Option<Version> {
    let begins = |at: &usize| rest.get(*at) == Some(&START) && rest.get(at + START_BYTES) == Some(&ITEM);
    (1..rest.len()).filter(begins).find_map(|at| {
        let mut tail = rest.get(at..)?;
        let left = tail.len() as u64;
        let batch = batch(&mut tail, left).ok().flatten()?;
        let (first, _) = batch.numbers;
        last.is_none_or(|last| first > last).then_some(first)
    })
}
