//! mbox files: one, or a folder of them as mail programs keep it.
//!
//! A file is a folder of its name. Below a directory `Name` or `Name.sbd` (Thunderbird) are the folders within it;
//! a directory `Name.mbox` with a file `mbox` in it (Apple Mail) is the folder `Name`. Indexes and whatever else
//! does not begin like an mbox is passed over.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use types::Timestamp;

use super::flags::{body, fields, is_state};
use super::maildir::readable;
use super::mbox::{Format, Mbox, MboxError};
use super::{
    Content, Extent, Flags, FolderPath, Found, Item, Sink, SourceError, Unreadable, date, short, too_large,
};

/// Directories within each other that are looked into.
const DEPTH: usize = 32;
const BUFFER: usize = 256 << 10;

struct Boxed {
    path: PathBuf,
    names: FolderPath,
    size: u64,
}

/// How many bytes there are.
pub(super) fn extent(root: &Path) -> Result<Extent, SourceError> {
    Ok(Extent::Bytes(boxes(root)?.iter().map(|file| file.size).sum()))
}

/// Reads the file, or all files of the folder.
pub(super) fn read(root: &Path, format: Format, limit: usize, sink: Sink<'_>) -> Result<(), SourceError> {
    let mut before = 0;
    for file in boxes(root)? {
        let names = Arc::new(file.names.clone());
        if sink(Found::Folder(names.clone())).is_break() {
            return Ok(());
        }
        if read_box(&file, &names, format, limit, before, sink).is_break() {
            return Ok(());
        }
        before += file.size;
    }
    Ok(())
}

fn read_box(
    file: &Boxed,
    folder: &Arc<FolderPath>,
    format: Format,
    limit: usize,
    before: u64,
    sink: Sink<'_>,
) -> ControlFlow<()> {
    let failed = |place: String, reason: String| Found::Failed(Unreadable { place, reason });
    let input = match File::open(&file.path) {
        Ok(input) => input,
        Err(error) => {
            return sink(failed(file.path.display().to_string(), format!("cannot be read: {error}")));
        }
    };
    let changed = input.metadata().ok().and_then(|file| file.modified().ok());
    let changed = changed.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let changed = Timestamp(changed.and_then(|d| u64::try_from(d.as_millis()).ok()).unwrap_or(0));
    let name = file.path.display().to_string();
    let mut mbox = match Mbox::open(BufReader::with_capacity(BUFFER, input), format, limit) {
        Ok(mbox) => mbox,
        Err(error) => return sink(failed(name, error.to_string())),
    };
    let mut copies: HashMap<[u8; 16], u32> = HashMap::new();
    loop {
        let entry = match mbox.read() {
            Ok(Some(entry)) => entry,
            Ok(None) => return ControlFlow::Continue(()),
            Err(error @ (MboxError::Io(_) | MboxError::NoMbox)) => {
                return sink(failed(name, error.to_string()));
            }
        };
        let place = format!("{name}, message {}", entry.number);
        let Some(raw) = entry.raw else {
            if sink(failed(place, too_large(limit as u64))).is_break() {
                return ControlFlow::Break(());
            }
            continue;
        };
        if entry.number == 1 && is_folder_data(&raw) {
            continue;
        }
        let identity = identity(&raw);
        let copy = copies.entry(identity).or_default();
        *copy += 1;
        let item = Item {
            place,
            key: key(&file.names, &identity, *copy),
            folder: folder.clone(),
            flags: Flags::from_mbox(&raw),
            received: entry.date.or_else(|| date_in(&raw)).unwrap_or(changed),
            size: raw.len() as u64,
            content: Content::Bytes(raw),
            progress: before + mbox.position().unwrap_or(0),
        };
        if sink(Found::Message(Box::new(item))).is_break() {
            return ControlFlow::Break(());
        }
    }
}

/// Names a message's content, without what mail programs change in it: a message keeps its name when it was read in
/// the meantime, or when others before it were removed.
fn identity(raw: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for (name, value) in fields(raw).filter(|(name, _)| !is_state(name)) {
        hasher.update(name);
        hasher.update(b":");
        hasher.update(value);
    }
    hasher.update(body(raw));
    short(hasher.finalize())
}

fn key(names: &FolderPath, identity: &[u8; 16], copy: u32) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(names.to_string().as_bytes());
    hasher.update(b"\0");
    hasher.update(identity);
    hasher.update(&copy.to_be_bytes());
    short(hasher.finalize())
}

/// Where the separator has no date: the topmost Received, which the last server wrote, else Date.
fn date_in(raw: &[u8]) -> Option<Timestamp> {
    let field = |wanted: &[u8]| {
        fields(raw).find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
    };
    let received = field(b"received").and_then(|value| date::parse(value.rsplit(|b| *b == b';').next()?));
    received.or_else(|| date::parse(field(b"date")?))
}

/// The first message of some mboxes holds only what a mail server remembers about the folder.
fn is_folder_data(raw: &[u8]) -> bool {
    let has = |wanted: &[u8], start: &[u8]| {
        fields(raw)
            .any(|(name, value)| name.eq_ignore_ascii_case(wanted) && value.trim_ascii().starts_with(start))
    };
    has(b"subject", b"DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA")
        && (has(b"x-imap", b"") || has(b"from", b"Mail System Internal Data"))
}

fn boxes(root: &Path) -> Result<Vec<Boxed>, SourceError> {
    let kind = std::fs::metadata(root).map_err(SourceError::io(root))?;
    if !kind.is_dir() {
        return Ok(vec![Boxed { path: root.to_owned(), names: FolderPath::default(), size: kind.len() }]);
    }
    let mut found = Vec::new();
    collect(root, &FolderPath::default(), DEPTH, &mut found)?;
    if found.is_empty() {
        return Err(SourceError::NoMbox(root.to_owned()));
    }
    found.sort_by(|a, b| a.names.cmp(&b.names));
    Ok(found)
}

fn collect(
    directory: &Path,
    names: &FolderPath,
    depth: usize,
    found: &mut Vec<Boxed>,
) -> Result<(), SourceError> {
    if depth == 0 {
        return Ok(());
    }
    for entry in std::fs::read_dir(directory).map_err(SourceError::io(directory))? {
        let path = entry.map_err(SourceError::io(directory))?.path();
        let file_name = path.file_name().unwrap_or_default().as_bytes();
        let Ok(kind) = std::fs::metadata(&path) else { continue };
        if file_name.starts_with(b".") {
            continue;
        }
        if kind.is_dir() {
            let name = [&b".sbd"[..], b".mbox"].iter().find_map(|end| file_name.strip_suffix(*end));
            collect(&path, &names.child(readable(name.unwrap_or(file_name))), depth - 1, found)?;
        } else if looks_like_mbox(&path) {
            let apple = file_name == b"mbox" && directory.extension().is_some_and(|end| end == "mbox");
            let name = file_name.strip_suffix(b".mbox").unwrap_or(file_name);
            let names = if apple { names.clone() } else { names.child(readable(name)) };
            found.push(Boxed { path, names, size: kind.len() });
        }
    }
    Ok(())
}

/// Whether a file in a folder is an mbox. An empty one says nothing, but its name does where it has no ending.
fn looks_like_mbox(path: &Path) -> bool {
    let mut start = [0; 64];
    let Ok(read) = File::open(path).and_then(|mut file| file.read(&mut start)) else { return false };
    let start = start.get(..read).unwrap_or_default();
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    start.starts_with(b"From ") || (read == 0 && path.extension().is_none())
}

#[cfg(test)]
mod tests;
