//! What went wrong, in words for the person at the terminal: the one error type of the command line and of the
//! admin socket. Its kind decides the exit code; its message says what happened, to what, and what to do.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of problem it is: for programs, which cannot read the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// What the command names is not there.
    NotFound,
    /// What the command would make is there already.
    Exists,
    /// The command asks for something that makes no sense.
    Invalid,
    /// A port or the data directory belongs to another process.
    InUse,
    /// Something is out of reach for now.
    Unavailable,
    /// What is stored cannot be what was written.
    Damaged,
    /// The two ends of the admin socket are of different versions.
    Version,
    /// `verify` found something wrong.
    Findings,
    /// `import` finished, but some messages could not be imported.
    Incomplete,
    /// A mistake in Magpie itself.
    Internal,
}

/// A problem.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// The process's exit code; `magpie --help` lists them.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Findings => 3,
            Kind::Incomplete => 4,
            Kind::NotFound => 5,
            Kind::Exists => 6,
            _ => 1,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}
