//! Maildir: one file per message, in `cur` and `new`; flags in the file's name.
//!
//! Folders are either Maildir++ (`.Work.2024` beside `cur`, in modified UTF-7) or plain directories that are
//! Maildirs themselves, at any depth. Both may be found in one tree.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{DirEntry, ReadDir};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use types::Timestamp;

use super::flags::Letters;
use super::{Content, Extent, Flags, FolderPath, Found, Item, Sink, SourceError, Unreadable, short, utf7};

/// Directories within each other that are looked into.
const DEPTH: usize = 32;

struct Folder {
    path: PathBuf,
    names: FolderPath,
}

/// How many messages there are.
pub(super) fn extent(root: &Path) -> Result<Extent, SourceError> {
    let mut messages = 0;
    for folder in folders(root)?.found {
        for part in ["new", "cur"] {
            // What cannot be read is told when it is read.
            messages += files(&folder.path.join(part)).map_or(0, |files| files.count() as u64);
        }
    }
    Ok(Extent::Messages(messages))
}

/// Reads the Maildir and all folders below it, each in the order in which its messages came.
pub(super) fn read(root: &Path, sink: Sink<'_>) -> Result<(), SourceError> {
    let mut progress = 0;
    let Tree { found, failed } = folders(root)?;
    for unreadable in failed {
        if sink(Found::Failed(unreadable)).is_break() {
            return Ok(());
        }
    }
    for folder in found {
        let names = Arc::new(folder.names);
        if sink(Found::Folder(names.clone())).is_break() {
            return Ok(());
        }
        let mut messages = Vec::new();
        let mut look = |part, is_new| -> Result<(), SourceError> {
            messages.extend(files(&folder.path.join(part))?.map(|entry| Message::new(entry, is_new)));
            Ok(())
        };
        let looked = look("cur", false).and(look("new", true)).and(letters(&folder.path));
        let letters = match looked {
            Ok(letters) => letters,
            Err(error) => {
                if sink(Found::Failed(unreadable(&folder.path, &error))).is_break() {
                    return Ok(());
                }
                Letters::default()
            }
        };
        messages.sort_by(|a, b| (a.received, &a.path).cmp(&(b.received, &b.path)));
        for message in messages {
            progress += 1;
            let found = message.found(root, &names, &letters, progress);
            if let ControlFlow::Break(()) = sink(found) {
                return Ok(());
            }
        }
    }
    Ok(())
}

struct Message {
    path: PathBuf,
    is_new: bool,
    received: Timestamp,
    size: u64,
    problem: Option<io::Error>,
}

impl Message {
    fn new(entry: DirEntry, is_new: bool) -> Self {
        let path = entry.path();
        // Follows symbolic links: some keep messages elsewhere.
        match std::fs::metadata(&path) {
            Ok(file) => {
                let changed = file.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
                let changed =
                    changed.and_then(|d| u64::try_from(d.as_millis()).ok()).map_or(Timestamp(0), Timestamp);
                let received = received(&entry.file_name(), changed);
                Self { path, is_new, received, size: file.len(), problem: None }
            }
            Err(error) => Self { path, is_new, received: Timestamp(0), size: 0, problem: Some(error) },
        }
    }

    fn found(self, root: &Path, folder: &Arc<FolderPath>, letters: &Letters, progress: u64) -> Found {
        let place = self.path.display().to_string();
        if let Some(error) = self.problem {
            return Found::Failed(Unreadable { place, reason: format!("cannot be read: {error}") });
        }
        let name = self.path.file_name().unwrap_or_default().as_bytes();
        let (unique, info) = split_info(name);
        let flags = if self.is_new { Flags::default() } else { Flags::from_maildir(info, letters) };
        let mut hasher = blake3::Hasher::new();
        // Where the message lies, but for what changes when it is read or flagged.
        let within =
            self.path.parent().and_then(Path::parent).and_then(|folder| folder.strip_prefix(root).ok());
        hasher.update(within.unwrap_or(Path::new("")).as_os_str().as_bytes());
        hasher.update(b"\0");
        hasher.update(unique);
        Found::Message(Box::new(Item {
            key: short(hasher.finalize()),
            place,
            folder: folder.clone(),
            flags,
            received: self.received,
            size: self.size,
            content: Content::File(self.path),
            progress,
        }))
    }
}

/// A file name's unique part, and the letters behind `:2,`. Systems that cannot have a colon in a name write
/// another character.
fn split_info(name: &[u8]) -> (&[u8], &[u8]) {
    let at = name.windows(3).rposition(|w| matches!(w, [b':' | b';' | b'!' | b'-', b'2', b',']));
    match at.and_then(|at| name.split_at_checked(at)) {
        Some((unique, info)) => (unique, info.get(3..).unwrap_or_default()),
        None => (name, &[]),
    }
}

/// When a message came. The file's time is what IMAP servers keep as its date; the name begins with the seconds at
/// which the file was made. A copy that lost its times has one that is later than the name says; a message
/// that was put there with an older date has one that is earlier. So the earlier of the two is right.
fn received(name: &OsStr, changed: Timestamp) -> Timestamp {
    let digits: &[u8] = name.as_bytes().split(|b| !b.is_ascii_digit()).next().unwrap_or_default();
    let seconds = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<i64>().ok());
    // From 1990 on: smaller numbers are something else.
    match seconds.filter(|seconds| (631_152_000..=9_999_999_999).contains(seconds)) {
        Some(seconds) => changed.min(Timestamp(Timestamp::from_secs(seconds).0 + 999)),
        None => changed,
    }
}

/// The Maildirs that were found, and the directories that could not be looked into.
#[derive(Default)]
struct Tree {
    found: Vec<Folder>,
    failed: Vec<Unreadable>,
}

fn unreadable(path: &Path, error: &SourceError) -> Unreadable {
    Unreadable { place: path.display().to_string(), reason: error.to_string() }
}

/// All Maildirs of the tree, the root first, then by name.
fn folders(root: &Path) -> Result<Tree, SourceError> {
    let mut tree = Tree::default();
    let mut seen = HashSet::new();
    collect(root, &FolderPath::default(), DEPTH, &mut seen, &mut tree)?;
    if tree.found.is_empty() {
        return Err(SourceError::NoMaildir(root.to_owned()));
    }
    tree.found.sort_by(|a, b| a.names.cmp(&b.names));
    Ok(tree)
}

fn collect(
    directory: &Path,
    names: &FolderPath,
    depth: usize,
    seen: &mut HashSet<PathBuf>,
    tree: &mut Tree,
) -> Result<(), SourceError> {
    let real = directory.canonicalize().map_err(SourceError::io(directory))?;
    if depth == 0 || !seen.insert(real) {
        return Ok(());
    }
    let is_maildir = directory.join("cur").is_dir();
    if is_maildir {
        tree.found.push(Folder { path: directory.to_owned(), names: names.clone() });
    }
    for entry in list(directory)? {
        let entry = entry.map_err(SourceError::io(directory))?;
        let (name, path) = (entry.file_name(), entry.path());
        let reserved = is_maildir && matches!(name.as_bytes(), b"cur" | b"new" | b"tmp");
        if reserved || !path.is_dir() {
            continue;
        }
        match name.as_bytes().strip_prefix(b".") {
            Some(dotted) => {
                if path.join("cur").is_dir() {
                    let below = dotted.split(|b| *b == b'.').filter(|part| !part.is_empty());
                    let below = below.fold(names.clone(), |names, part| names.child(readable(part)));
                    descend(&path, &below, depth - 1, seen, tree);
                }
            }
            None => descend(&path, &names.child(readable(name.as_bytes())), depth - 1, seen, tree),
        }
    }
    Ok(())
}

/// Looks into a directory below the root. That one of them cannot be read leaves the others as they are.
fn descend(directory: &Path, names: &FolderPath, depth: usize, seen: &mut HashSet<PathBuf>, tree: &mut Tree) {
    if let Err(error) = collect(directory, names, depth, seen, tree) {
        tree.failed.push(unreadable(directory, &error));
    }
}

/// A folder's name: in modified UTF-7, else in UTF-8, else as far as it can be read.
pub(super) fn readable(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    utf7::decode(&text).unwrap_or_else(|| text.into_owned())
}

fn letters(folder: &Path) -> Result<Letters, SourceError> {
    let path = folder.join("dovecot-keywords");
    match std::fs::read(&path) {
        Ok(file) => Ok(Letters::parse(&String::from_utf8_lossy(&file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Letters::default()),
        Err(error) => Err(SourceError::io(&path)(error)),
    }
}

/// The files of a directory that may be messages; none if there is no such directory.
fn files(directory: &Path) -> Result<impl Iterator<Item = DirEntry>, SourceError> {
    let entries = match list(directory) {
        Err(SourceError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => None,
        entries => Some(entries?),
    };
    let entries = entries.into_iter().flatten().collect::<Result<Vec<_>, _>>();
    let entries = entries.map_err(SourceError::io(directory))?;
    let is_message = |entry: &DirEntry| {
        let hidden = entry.file_name().as_bytes().starts_with(b".");
        !hidden && entry.file_type().is_ok_and(|kind| !kind.is_dir())
    };
    Ok(entries.into_iter().filter(is_message))
}

fn list(directory: &Path) -> Result<ReadDir, SourceError> {
    std::fs::read_dir(directory).map_err(SourceError::io(directory))
}

#[cfg(test)]
mod tests;
