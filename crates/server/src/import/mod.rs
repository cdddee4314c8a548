//! Reading other mail stores: Maildir with its relatives, mbox files and folders of them.
//!
//! ```text
//!   Source ──> maildir / mbox folder ──> Found: folders, messages with flags and dates, what could not be read
//!                                          |
//!                                       Carrier ──batches──> Desk: the operations `import.…`
//! ```
//!
//! Reading blocks, so it has a thread of its own; whoever takes what it finds sets the pace.

mod carry;
mod date;
mod flags;
mod folder;
mod line_end;
mod maildir;
mod mbox;
mod mbox_folder;
mod source;
mod utf7;

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use types::Timestamp;

pub(crate) use carry::{Carrier, Tally};
pub(crate) use flags::Flags;
pub(crate) use folder::FolderPath;
pub(crate) use source::{Source, SourceError};

/// How the end of an import is measured beforehand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Extent {
    /// So many messages.
    Messages(u64),
    /// So many bytes of files.
    Bytes(u64),
}

/// What a reader comes upon, in order.
#[derive(Debug)]
pub(crate) enum Found {
    /// A folder; its messages follow.
    Folder(Arc<FolderPath>),
    /// A message.
    Message(Box<Item>),
    /// Something that should be a message, but cannot be imported.
    Failed(Unreadable),
}

/// A message in the other store.
#[derive(Debug)]
pub(crate) struct Item {
    /// Where it is, for people.
    pub(crate) place: String,
    /// Names it within its source: the same when the source is read again.
    pub(crate) key: [u8; 16],
    pub(crate) folder: Arc<FolderPath>,
    pub(crate) flags: Flags,
    pub(crate) received: Timestamp,
    pub(crate) content: Content,
    /// Octets in the other store.
    pub(crate) size: u64,
    /// How far the reader has come, in the unit of its [`Extent`].
    pub(crate) progress: u64,
}

/// The message itself.
#[derive(Debug)]
pub(crate) enum Content {
    /// Read already.
    Bytes(Vec<u8>),
    /// In a file of its own.
    File(PathBuf),
}

/// What could not be imported, and why.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub(crate) struct Unreadable {
    /// The file, and the message in it.
    pub(crate) place: String,
    pub(crate) reason: String,
}

/// Takes what a reader finds; breaks when nobody wants more.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(Found) -> ControlFlow<()>;

impl Item {
    /// The message in wire form: every line end is CRLF. Blocks.
    pub(crate) fn load(&mut self, limit: u64) -> Result<Vec<u8>, String> {
        let raw = match &mut self.content {
            Content::Bytes(bytes) => std::mem::take(bytes),
            Content::File(path) => read_whole(path, limit)?,
        };
        if raw.is_empty() {
            return Err("is empty".to_owned());
        }
        if let Some(packer) = packed(&raw) {
            return Err(format!("is compressed with {packer}: unpack it, then import again"));
        }
        Ok(line_end::to_crlf(raw))
    }
}

fn read_whole(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let read = || -> io::Result<Option<Vec<u8>>> {
        let file = std::fs::File::open(path)?;
        let mut raw = Vec::new();
        let read = io::Read::read_to_end(&mut io::Read::take(file, limit + 1), &mut raw)?;
        Ok((read as u64 <= limit).then_some(raw))
    };
    match read() {
        Ok(Some(raw)) => Ok(raw),
        Ok(None) => Err(too_large(limit)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err("was there at first, and gone when it was to be read".to_owned())
        }
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

pub(crate) fn too_large(limit: u64) -> String {
    format!("is larger than the {} MiB that a message may have", limit >> 20)
}

/// Some mail stores keep messages compressed under the same names.
fn packed(raw: &[u8]) -> Option<&'static str> {
    let kinds: [(&[u8], &str); 5] = [
        (b"\x1f\x8b\x08", "gzip"),
        (b"BZh", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"Dovecot-LZ4", "lz4"),
    ];
    kinds.iter().find(|(magic, _)| raw.starts_with(magic)).map(|(_, name)| *name)
}

/// The first half of a hash is enough of a name within one source.
fn short(hash: blake3::Hash) -> [u8; 16] {
    let (head, _) = hash.as_bytes().split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
    *head
}
