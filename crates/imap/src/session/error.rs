//! Everything that can go wrong with a command, and what the client is told.

use directory::AuthError;
use directory::sasl;
use thiserror::Error;

use crate::wire::response::{Code, Condition, Reply};
use crate::wire::{FrameError, NameError, Syntax};

/// Why a command was not done.
#[derive(Clone, Debug, Error)]
pub(crate) enum Error {
    /// The bytes are no command.
    #[error(transparent)]
    Syntax(#[from] Syntax),
    /// The command is too large, or its lines are broken.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The command does not belong into this state.
    #[error("{0}")]
    NotNow(&'static str),
    /// A sequence number that no message has.
    #[error("there are {0} messages in the mailbox; the set goes beyond that")]
    BeyondEnd(u32),
    /// Anything else that breaks the rules of a command.
    #[error("{0}")]
    Bad(&'static str),
    /// The name cannot be that of a mailbox.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is no such mailbox.
    #[error("there is no such mailbox")]
    NoMailbox,
    /// There is no such mailbox to put a message into.
    #[error("there is no such mailbox; create it first")]
    NoTarget,
    /// The mailbox was opened with EXAMINE.
    #[error("the mailbox is open for reading only")]
    ReadOnly,
    /// Strings in a charset that is not understood.
    #[error("the search strings are not in a charset that this server knows")]
    Charset,
    /// More than a session may ask for.
    #[error("{0}")]
    Limit(&'static str),
    /// Passwords need TLS here.
    #[error("use TLS before logging in")]
    Privacy,
    /// Wrong user or wrong password; which of them is not told.
    #[error("user name or password are wrong")]
    Credentials,
    /// The user may not act for somebody else.
    #[error("acting for another user is not allowed")]
    Authorization,
    /// NUL where it cannot be encoded.
    #[error("the message has NUL outside of bodies whose transfer encoding is binary")]
    Nul,
    /// Events that are not known.
    #[error("these are all the events that this server knows")]
    BadEvent,
    /// More names than are watched.
    #[error("these are too many names to watch")]
    TooManyWatched,
    /// The connection is compressed already.
    #[error("the connection is compressed already")]
    Compressed,
    /// NUL in a literal of the form `{n}` (RFC 9051 §9, `CHAR8`).
    #[error("the message has NUL; that takes a literal of the form ~{{n}}")]
    NulInLiteral,
    /// A quota root that is not there.
    #[error("there is no such quota root; the only one is \"\"")]
    NoQuotaRoot,
    /// The name of an annotation cannot be one.
    #[error(transparent)]
    Entry(#[from] mail::EntryError),
    /// What all users share is not theirs to change.
    #[error("what the server shares with all users only its operator can change")]
    NotYours,
    /// The special use is not stored with the other annotations.
    #[error("set /private/specialuse by itself")]
    UseAlone,
    /// A special use that a mailbox cannot get.
    #[error("{0}")]
    SpecialUse(&'static str),
    /// A SASL mechanism that is not offered.
    #[error("this authentication mechanism is not offered")]
    Mechanism,
    /// What the client says of the TLS channel cannot be.
    #[error("{0}")]
    Channel(&'static str),
    /// Too many attempts.
    #[error("too many attempts to log in; try again later")]
    TooManyLogins,
    /// The directory is out of reach.
    #[error("logging in is not possible at the moment; try again later")]
    NoDirectory,
    /// The mailbox was deleted while it was selected.
    #[error("the selected mailbox was deleted")]
    Deleted,
    /// A message body ended before its announced end, or could not be read: the stream is out of step.
    #[error("a message could not be read to its end")]
    Torn,
    /// A mail operation was refused.
    #[error(transparent)]
    Mail(#[from] mail::Error),
}

impl Error {
    /// What the client is told.
    pub(crate) fn reply(&self) -> Reply {
        let text = self.to_string();
        let (condition, code) = match self {
            Self::Syntax(_) => (Condition::Bad, Some(Code::Parse)),
            Self::Frame(FrameError::MessageTooLarge(_) | FrameError::MessagesTooLarge(_)) => {
                (Condition::No, Some(Code::TooBig))
            }
            Self::Frame(_) | Self::NotNow(_) | Self::BeyondEnd(_) | Self::Bad(_) => (Condition::Bad, None),
            Self::Name(_) => (Condition::No, Some(Code::Cannot)),
            Self::NoMailbox => (Condition::No, Some(Code::NonExistent)),
            Self::NoTarget => (Condition::No, Some(Code::TryCreate)),
            Self::ReadOnly => (Condition::No, Some(Code::ReadOnly)),
            Self::Charset => (Condition::No, Some(Code::BadCharset(&["US-ASCII", "UTF-8"]))),
            Self::Limit(_) => (Condition::No, Some(Code::Limit)),
            Self::Privacy => (Condition::No, Some(Code::PrivacyRequired)),
            Self::Credentials | Self::Channel(_) => (Condition::No, Some(Code::AuthenticationFailed)),
            Self::Authorization => (Condition::No, Some(Code::AuthorizationFailed)),
            Self::BadEvent => (Condition::No, Some(Code::BadEvent)),
            Self::TooManyWatched => (Condition::No, Some(Code::NotificationOverflow)),
            Self::Compressed => (Condition::No, Some(Code::CompressionActive)),
            Self::Nul => (Condition::No, Some(Code::UnknownCte)),
            Self::NulInLiteral => (Condition::No, Some(Code::Cannot)),
            Self::Entry(_) => (Condition::Bad, None),
            Self::NoQuotaRoot => (Condition::No, Some(Code::NonExistent)),
            Self::NotYours => (Condition::No, Some(Code::NoPerm)),
            Self::UseAlone => (Condition::No, Some(Code::Cannot)),
            Self::SpecialUse(_) => (Condition::No, Some(Code::UseAttr)),
            Self::Mechanism => (Condition::No, Some(Code::Cannot)),
            Self::TooManyLogins => (Condition::No, Some(Code::Limit)),
            Self::NoDirectory => (Condition::No, Some(Code::Unavailable)),
            Self::Deleted | Self::Torn => (Condition::Bye, None),
            Self::Mail(error) => (Condition::No, mail_code(error)),
        };
        Reply { condition, code, text: text.into() }
    }

    /// Whether the connection cannot go on.
    pub(crate) const fn is_fatal(&self) -> bool {
        matches!(self, Self::Deleted | Self::Torn)
    }

    /// Whether the server's operator should hear of it.
    pub(crate) const fn is_ours(&self) -> bool {
        matches!(
            self,
            Self::Torn
                | Self::NoDirectory
                | Self::Mail(
                    mail::Error::Unavailable(_) | mail::Error::Full(_) | mail::Error::Corrupt { .. }
                )
        )
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
            sasl::Error::Cancelled => Self::Bad("authentication cancelled"),
            sasl::Error::Malformed(text) => Self::Bad(text),
            sasl::Error::Authorization => Self::Authorization,
            sasl::Error::Channel(text) => Self::Channel(text),
            sasl::Error::Login(error) => error.into(),
        }
    }
}

fn mail_code(error: &mail::Error) -> Option<Code> {
    use mail::Error as E;
    Some(match error {
        E::NoSuchMailbox => Code::NonExistent,
        E::Exists | E::RoleTaken => Code::AlreadyExists,
        E::HasChildren => Code::HasChildren,
        E::Inbox | E::Loop | E::Name(_) | E::Empty => Code::Cannot,
        E::TooManyMailboxes { .. }
        | E::TooManyKeywords { .. }
        | E::TooMany { .. }
        | E::TooMuch(_)
        | E::OutOfUids => Code::Limit,
        E::AnnotationTooLarge { limit } => Code::MetadataMaxSize(*limit as u64),
        E::TooManyAnnotations { .. } => Code::MetadataTooMany,
        E::OverQuota { .. } => Code::OverQuota,
        E::TooLarge { .. } => Code::TooBig,
        E::Unavailable(_) | E::Full(_) => Code::Unavailable,
        E::Corrupt { .. } => Code::Corruption,
        _ => return None,
    })
}
