//! Everything that can go wrong with a command, and what the client is told.

use directory::AuthError;
use directory::sasl;
use thiserror::Error;

use crate::line::BadLine;
use crate::reply::{Code, Reply};

/// Why a command was not done.
#[derive(Clone, Debug, Error)]
pub(crate) enum Error {
    /// The bytes are no line.
    #[error("{}", text_of(*.0))]
    Line(BadLine),
    /// No such command.
    #[error("unknown command")]
    Unknown,
    /// A command that is known, but not on offer here.
    #[error("{0}")]
    NotOffered(&'static str),
    /// The arguments are not those of the command.
    #[error("{0}")]
    Arguments(&'static str),
    /// The command does not belong into this state.
    #[error("{0}")]
    NotNow(&'static str),
    /// A number that no message has.
    #[error("no such message, there are {0}")]
    NoSuchMessage(usize),
    /// The message was deleted in this session.
    #[error("message {0} is deleted")]
    Deleted(usize),
    /// Another session has removed the message since this one began.
    #[error("message {0} was removed by another session")]
    Gone(usize),
    /// A message that the client does not understand without UTF-8 (RFC 6856 §2.1).
    #[error("message {0} has UTF-8 in its header, say UTF8 before logging in")]
    International(usize),
    /// Passwords need TLS here.
    #[error("use TLS before logging in")]
    Privacy,
    /// The client has broken off a SASL exchange, or its answer cannot be read.
    #[error("{0}")]
    Exchange(&'static str),
    /// Wrong user or wrong password; which of them is not told.
    #[error("user name or password are wrong")]
    Credentials,
    /// The user may not act for somebody else.
    #[error("acting for another user is not allowed")]
    Authorization,
    /// What the client says of the TLS channel cannot be.
    #[error("{0}")]
    Channel(&'static str),
    /// Too many attempts.
    #[error("too many attempts to log in, try again later")]
    TooManyLogins,
    /// The directory is out of reach or overloaded.
    #[error("logging in is not possible at the moment, try again later")]
    NoDirectory,
    /// QUIT could not do all that DELE had promised.
    #[error("{left} of {asked} deleted messages were not removed, delete them again later")]
    NotRemoved {
        /// How many are still there.
        left: usize,
        /// How many were to be removed.
        asked: usize,
        /// Why.
        why: mail::Error,
    },
    /// A mail operation failed. Its own text is for the operator.
    #[error("{}", text_for_client(.0))]
    Mail(#[from] mail::Error),
}

impl Error {
    /// What the client is told.
    pub(crate) fn reply(&self) -> Reply {
        Reply::err(self.code(), self.to_string())
    }

    /// Whether the client has done something wrong.
    pub(crate) const fn counts(&self) -> bool {
        !matches!(
            self,
            Self::Gone(_)
                | Self::International(_)
                | Self::NoDirectory
                | Self::NotRemoved { .. }
                | Self::Mail(_)
        )
    }

    /// Whether the session ends with it, as it does with QUIT.
    pub(crate) const fn is_fatal(&self) -> bool {
        matches!(self, Self::NotRemoved { .. })
    }

    /// What the server's operator should hear of it.
    pub(crate) const fn ours(&self) -> Option<&mail::Error> {
        match self {
            Self::Mail(why) | Self::NotRemoved { why, .. } => Some(why),
            _ => None,
        }
    }

    fn code(&self) -> Option<Code> {
        match self {
            Self::Privacy | Self::Credentials | Self::Authorization | Self::Channel(_) => Some(Code::Auth),
            Self::TooManyLogins | Self::NoDirectory => Some(Code::SysTemp),
            Self::International(_) => Some(Code::Utf8),
            Self::NotRemoved { why, .. } | Self::Mail(why) => {
                Some(if why.is_temporary() { Code::SysTemp } else { Code::SysPerm })
            }
            _ => None,
        }
    }
}

impl From<AuthError> for Error {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Refused => Self::Credentials,
            AuthError::RateLimited { .. } => Self::TooManyLogins,
            AuthError::SendingBlocked | AuthError::Busy | AuthError::Store(_) => Self::NoDirectory,
        }
    }
}

impl From<sasl::Error> for Error {
    fn from(error: sasl::Error) -> Self {
        match error {
            sasl::Error::Cancelled => Self::Exchange("authentication cancelled"),
            sasl::Error::Malformed(text) => Self::Exchange(text),
            sasl::Error::Authorization => Self::Authorization,
            sasl::Error::Channel(text) => Self::Channel(text),
            sasl::Error::Login(error) => error.into(),
        }
    }
}

const fn text_of(bad: BadLine) -> &'static str {
    match bad {
        BadLine::TooLong => "the line is too long, it was dropped",
        BadLine::BareLf => "a line must end with CRLF",
        BadLine::Control => "the line holds CR or NUL",
    }
}

fn text_for_client(error: &mail::Error) -> &'static str {
    if error.is_temporary() {
        "the mailbox cannot be read at the moment, try again later"
    } else {
        "this cannot be read, ask the postmaster"
    }
}
