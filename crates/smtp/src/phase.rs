//! The phases of a session. Each is a type with what that phase knows, and nothing else.
//!
//! ```text
//!            ┌──────────────── Command(Rest) <─────────────────────────────┐
//!  MAIL ─────┤ Sender ───────────────────────> Rest::Mail                  │
//!  RCPT ─────┤ Recipient ────────────────────> Rest::Mail                  │
//!  DATA ─────┤ Begin ──> Data ─────────────────────────────┐               │
//!  BDAT ─────┤ Begin ──> Chunk ──> Rest::Chunks ──> Chunk ─┴─> Verdict ────┤
//!            │ Skip ───────────────────────────────────────────────────────┤
//!  STARTTLS ─┤ StartTls ──> Handshake ─────────────────────────────────────┘
//!  AUTH ─────┤ Login ──> Exchange ──> Login ───────────────────────────────┘
//!  QUIT ─────┴ Closed
//! ```

use std::sync::Arc;

use crate::auth::AuthStep;
use crate::body::DotDecoder;
use crate::envelope::{Envelope, Origin, Recipient};
use crate::message::{Judged, Message};
use crate::reply::Reply;

/// What is between two commands. A command sees nothing but this.
#[derive(Debug)]
pub(crate) enum Rest {
    /// No mail transaction.
    Idle,
    /// MAIL was accepted; RCPT, DATA or BDAT may follow.
    Mail(Envelope),
    /// BDAT has begun a message; nothing but BDAT may follow (RFC 3030 §2).
    Chunks(Message),
}

impl Rest {
    /// The message that was begun.
    pub(crate) fn into_message(self) -> Option<Message> {
        match self {
            Self::Idle | Self::Mail(_) => None,
            Self::Chunks(message) => Some(message),
        }
    }
}

/// The size of a BDAT chunk that is being read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    /// Octets in all.
    pub(crate) size: u64,
    /// Octets still to come.
    pub(crate) left: u64,
    /// Whether the message ends with it.
    pub(crate) last: bool,
}

/// How a message that is about to begin will come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Transfer {
    /// By DATA.
    Data,
    /// By BDAT, with this as its first chunk.
    Chunk(Chunk),
}

/// Where a session stands.
#[derive(Debug, Default)]
pub(crate) enum Phase {
    /// Waiting for a command line.
    Command(Rest),
    /// The driver is asked whether this sender may send.
    Sender(Arc<Origin>),
    /// The driver is asked whether this recipient exists.
    Recipient(Envelope, Recipient),
    /// The driver is asked whether it can take a message.
    Begin(Message, Transfer),
    /// The body after 354.
    Data(Message, DotDecoder),
    /// The octets of a chunk.
    Chunk(Message, Chunk),
    /// The octets of a chunk that nobody wants, and what is said when they are gone.
    Skip { chunk: Chunk, reply: Reply, rest: Rest },
    /// The driver has the whole message and is to say what became of it.
    Verdict(Message),
    /// STARTTLS was read, not yet answered.
    StartTls,
    /// STARTTLS was answered; the next octets are TLS.
    Handshake,
    /// AUTH: a challenge was sent, the client's next line is its answer.
    Exchange,
    /// AUTH: the driver is to look at what the client said.
    Login(AuthStep),
    /// The driver is to judge a submitted message's header; what follows if it accepts it.
    Header(Judged, Box<Phase>),
    /// Over.
    #[default]
    Closed,
}

impl Phase {
    /// The message that is on its way in.
    pub(crate) fn into_message(self) -> Option<Message> {
        match self {
            Self::Command(rest) => rest.into_message(),
            Self::Begin(message, _)
            | Self::Data(message, _)
            | Self::Chunk(message, _)
            | Self::Verdict(message) => Some(message),
            Self::Header(_, then) => then.into_message(),
            Self::Exchange
            | Self::Login(_)
            | Self::Sender(_)
            | Self::Recipient(..)
            | Self::Skip { .. }
            | Self::StartTls
            | Self::Handshake
            | Self::Closed => None,
        }
    }

    /// The same, without taking it out.
    pub(crate) fn message_mut(&mut self) -> Option<&mut Message> {
        match self {
            Self::Command(Rest::Chunks(message))
            | Self::Begin(message, _)
            | Self::Data(message, _)
            | Self::Chunk(message, _)
            | Self::Verdict(message) => Some(message),
            Self::Header(_, then) => then.message_mut(),
            _ => None,
        }
    }
}
