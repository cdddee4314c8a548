//! Why a data directory could not be opened, in words that say what to do.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why an embedded store did not open.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another process: stop that one first, or talk to it with the command line", .0.display())]
    InUse(PathBuf),
    /// The operating system refused.
    #[error("cannot open {}: {error}", .path.display())]
    Io {
        /// What was opened.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Files are there that cannot be what the store wrote, or some of them are gone.
    #[error("{} is damaged: {what}. Keep a copy of the data directory, check the disk, then restore the newest backup", .path.display())]
    Damaged {
        /// The file or directory.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// Commits that were acknowledged are not there.
    #[error(
        "{} has lost commits: {what}. The disk may have dropped writes or files may have been replaced: keep a copy \
         of the directory and restore the newest backup, or accept the loss by making {} an empty file",
        .path.display(), .path.join("sequence").display()
    )]
    Gap {
        /// The data directory.
        path: PathBuf,
        /// Which commits are missing.
        what: String,
    },
}
