//! Where an import reads from, as it is written on the command line: `maildir:PATH`, `mbox:PATH`.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

use super::mbox::{Format, Mbox, MboxError};
use super::{Extent, Sink, maildir, mbox_folder, short};

/// Why a source cannot be read at all.
#[derive(Debug, Error)]
pub(crate) enum SourceError {
    /// No known kind of store.
    #[error(
        "{0:?} is no source: write maildir:PATH or mbox:PATH (or mboxo:, mboxrd:, mboxcl2: for one format only)"
    )]
    Kind(String),
    /// The path leads nowhere, or may not be read.
    #[error("{} cannot be read: {error}", .path.display())]
    Io {
        /// What was looked at.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The path leads to something else.
    #[error("{} is no Maildir: there is no folder \"cur\" in it, nor in any folder below it", .0.display())]
    NoMaildir(PathBuf),
    /// The file is something else.
    #[error("{} is not an mbox: it does not begin with a line \"From …\"", .0.display())]
    NotMbox(PathBuf),
    /// There is nothing to read.
    #[error("{} holds no mbox files", .0.display())]
    NoMbox(PathBuf),
}

impl SourceError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |error| Self::Io { path: path.to_owned(), error }
    }
}

/// A mail store that messages are read from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// A Maildir, with the folders of Maildir++ or plain ones below it.
    Maildir(PathBuf),
    /// An mbox file, or a folder of them.
    Mbox(PathBuf, Format),
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let unknown = || SourceError::Kind(text.to_owned());
        let (kind, path) = text.split_once(':').filter(|(_, path)| !path.is_empty()).ok_or_else(unknown)?;
        let path = PathBuf::from(path);
        Ok(match kind.to_ascii_lowercase().as_str() {
            "maildir" => Self::Maildir(path),
            "mbox" => Self::Mbox(path, Format::Auto),
            "mboxo" => Self::Mbox(path, Format::Mboxo),
            "mboxrd" => Self::Mbox(path, Format::Mboxrd),
            "mboxcl2" => Self::Mbox(path, Format::Mboxcl2),
            _ => return Err(unknown()),
        })
    }
}

impl Source {
    fn path(&self) -> &Path {
        match self {
            Self::Maildir(path) | Self::Mbox(path, _) => path,
        }
    }

    /// Names the source for a folder that it goes into: the same whenever the import is run again.
    pub(crate) fn id(&self, into: Option<&str>) -> Result<[u8; 16], SourceError> {
        let path = self.path().canonicalize().map_err(SourceError::io(self.path()))?;
        let mut hasher = blake3::Hasher::new_derive_key("magpie 2026-11 source of an import");
        hasher.update(match self {
            Self::Maildir(_) => b"maildir\0",
            Self::Mbox(..) => b"mbox\0",
        });
        hasher.update(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()));
        hasher.update(b"\0");
        hasher.update(into.unwrap_or_default().as_bytes());
        Ok(short(hasher.finalize()))
    }

    /// How much there is to read. Blocks.
    pub(crate) fn extent(&self) -> Result<Extent, SourceError> {
        match self {
            Self::Maildir(path) => maildir::extent(path),
            Self::Mbox(path, format) => {
                must_be_mbox(path, *format)?;
                mbox_folder::extent(path)
            }
        }
    }

    /// Reads everything; messages of more than `limit` octets are reported as failed. Blocks.
    pub(crate) fn read(&self, limit: usize, sink: Sink<'_>) -> Result<(), SourceError> {
        match self {
            Self::Maildir(path) => maildir::read(path, sink),
            Self::Mbox(path, format) => mbox_folder::read(path, *format, limit, sink),
        }
    }
}

/// Refuses a file that is no mbox, before anything is done. In a folder, such files are passed over.
fn must_be_mbox(path: &Path, format: Format) -> Result<(), SourceError> {
    let file = File::open(path).map_err(SourceError::io(path))?;
    if file.metadata().map_err(SourceError::io(path))?.is_dir() {
        return Ok(());
    }
    match Mbox::open(BufReader::new(file), format, 0) {
        Ok(_) => Ok(()),
        Err(MboxError::NoMbox) => {
            Err(SourceError::NotMbox(path.canonicalize().unwrap_or_else(|_| path.to_owned())))
        }
        Err(MboxError::Io(error)) => Err(SourceError::Io { path: path.to_owned(), error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_written_as_kind_and_path() {
        assert_eq!("maildir:/a:b".parse::<Source>().unwrap(), Source::Maildir("/a:b".into()));
        assert_eq!("MBOX:x".parse::<Source>().unwrap(), Source::Mbox("x".into(), Format::Auto));
        for bad in ["", "/var/mail/alice", "mbox:", "mh:/x"] {
            assert!(bad.parse::<Source>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_file_that_is_no_mbox_is_refused_with_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let source = Source::Mbox(path.clone(), Format::Auto);
        std::fs::write(&path, "this is no mailbox\n").unwrap();
        let error = source.extent().unwrap_err().to_string();
        let whole = path.canonicalize().unwrap();
        assert!(error.starts_with(&format!("{} is not an mbox", whole.display())), "{error}");
        for good in ["", "From a@b.test Sun Nov 22 16:00:00 2026\n\nx\n"] {
            std::fs::write(&path, good).unwrap();
            assert!(source.extent().is_ok(), "{good:?}");
        }
    }

    #[test]
    fn the_same_place_is_the_same_source() {
        let directory = tempfile::tempdir().unwrap();
        let plain = Source::Maildir(directory.path().to_owned());
        let roundabout = Source::Maildir(directory.path().join("."));
        assert_eq!(plain.id(None).unwrap(), roundabout.id(None).unwrap());
        assert_ne!(plain.id(None).unwrap(), plain.id(Some("Old")).unwrap());
        assert!(Source::Maildir("/nonexistent".into()).id(None).is_err());
    }
}
