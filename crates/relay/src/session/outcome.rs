//! What became of a recipient, and of a connection.

use std::fmt;

use thiserror::Error;

use crate::Status;
use crate::attempt::Barrier;
use crate::reply::{Reply, ReplyError};
use crate::tls::TlsReason;

/// What became of a recipient in an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// How it stands.
    pub standing: Standing,
    /// The enhanced status code: the peer's, or ours where it has none.
    pub status: Status,
    /// What the peer answered, in one line.
    pub reply: Option<String>,
    /// What happened, in words, for the sender and the operator.
    pub text: String,
}

/// How a recipient stands after an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// The peer has taken the message. Whether it promised to send the notifications that were asked for itself.
    Delivered {
        /// The peer knows RFC 3461.
        notifies: bool,
    },
    /// Not now.
    Temporary,
    /// Not now, because the peer takes no more recipients at once: another transaction may follow immediately.
    NextTransaction,
    /// The whole message was sent, and no answer came: perhaps it was delivered. It has to be sent again, and the
    /// recipient may get it twice (RFC 1047).
    Unknown,
    /// Never.
    Permanent,
}

impl Outcome {
    /// Not now.
    pub(crate) fn temporary(subject: u16, detail: u16, text: impl Into<String>) -> Self {
        let status = Status::temporary(subject, detail);
        Self { standing: Standing::Temporary, status, reply: None, text: text.into() }
    }

    /// Never.
    pub(crate) fn permanent(subject: u16, detail: u16, text: impl Into<String>) -> Self {
        let status = Status::permanent(subject, detail);
        Self { standing: Standing::Permanent, status, reply: None, text: text.into() }
    }

    /// A refusal by the peer, of one of our commands.
    pub(crate) fn refused(reply: &Reply, what: &str) -> Self {
        let permanent = reply.is_permanent();
        let (standing, fallback) = match permanent {
            true => (Standing::Permanent, Status::permanent(0, 0)),
            false => (Standing::Temporary, Status::temporary(0, 0)),
        };
        let status = reply.status().unwrap_or(fallback);
        let text = format!("the other side refused {what}: {reply}");
        Self { standing, status, reply: Some(reply.to_string()), text }
    }

    /// Whether the recipient has to be tried again.
    pub const fn is_open(&self) -> bool {
        matches!(self.standing, Standing::Temporary | Standing::NextTransaction | Standing::Unknown)
    }
}

/// Why a connection is of no use.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{kind} ({stage})")]
pub struct Failure {
    /// When.
    pub stage: Stage,
    /// What.
    pub kind: FailureKind,
}

/// What makes a connection useless.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum FailureKind {
    /// The other side or the network ended it.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// This machine cannot make it.
    #[error("a connection cannot be made from here: {0}")]
    Unable(String),
    /// No answer in time.
    #[error("no answer came in time")]
    TimedOut,
    /// What came is no answer.
    #[error(transparent)]
    Reply(#[from] ReplyError),
    /// It said something that nobody had asked for.
    #[error("it spoke out of turn: {0}")]
    OutOfTurn(String),
    /// It refused to serve us.
    #[error("it refused: {0}")]
    Refused(String),
    /// It does not offer the TLS without which nothing may be sent.
    #[error("it does not offer STARTTLS, and nothing may be sent without TLS")]
    NoTls,
    /// It did not begin TLS after it had offered it.
    #[error("it offers STARTTLS and then refuses it: {0}")]
    TlsRefused(String),
    /// The handshake failed, or the certificate is not what it has to be.
    #[error("TLS failed: {text}")]
    Handshake {
        /// What it was, for a report.
        reason: TlsReason,
        /// In detail.
        text: String,
    },
    /// It could not be logged in.
    #[error("the login failed: {0}")]
    Login(String),
    /// The message could not be read from our own store.
    #[error("the message could not be read: {0}")]
    Source(String),
}

impl FailureKind {
    /// Whether another server of the same destination may do better. Where the fault is ours, none will.
    pub const fn is_the_peers(&self) -> bool {
        !matches!(self, Self::Source(_))
    }

    /// Whether the peer says that it has enough of us for now.
    pub fn is_crowded(&self) -> bool {
        matches!(self, Self::Refused(reply) if reply.starts_with("421") || reply.starts_with("450"))
    }

    fn status(&self) -> Status {
        match self {
            Self::Lost(_) | Self::TimedOut => Status::temporary(4, 2),
            Self::Reply(_) | Self::OutOfTurn(_) => Status::temporary(5, 0),
            Self::Refused(_) => Status::temporary(3, 2),
            Self::NoTls | Self::TlsRefused(_) | Self::Handshake { .. } => Status::temporary(7, 5),
            Self::Login(_) => Status::temporary(7, 8),
            Self::Source(_) | Self::Unable(_) => Status::temporary(3, 0),
        }
    }
}

impl Failure {
    /// What it says about the destination as a whole; none once it may be this message's own fault.
    pub(crate) fn barrier(&self) -> Option<Barrier> {
        match &self.kind {
            FailureKind::Source(_) => None,
            // What breaks when recipients and message are there may break because of them, also with a word (421), and
            // behind a message they were looked at.
            _ if self.stage > Stage::Mail || self.stage == Stage::Idle => None,
            FailureKind::Refused(_) | FailureKind::Login(_) => Some(Barrier::Refusal),
            FailureKind::NoTls | FailureKind::TlsRefused(_) | FailureKind::Handshake { .. } => {
                Some(Barrier::Security)
            }
            FailureKind::Unable(_) => Some(Barrier::Local),
            _ => Some(Barrier::Connection),
        }
    }

    /// Whether a connection that was kept has ended before the peer looked at the message: then the first command finds
    /// it so. An end between two messages comes behind answers, and those count.
    pub(crate) const fn is_stale(&self) -> bool {
        matches!(self.stage, Stage::Reset | Stage::Mail)
    }

    /// What it means for a recipient whose fate was open.
    pub(crate) fn outcome(&self) -> Outcome {
        let ambiguous = self.stage == Stage::End && !matches!(self.kind, FailureKind::Refused(_));
        let (standing, also) = match ambiguous {
            true => (
                Standing::Unknown,
                "; the whole message had been sent, so it may have arrived, but it is sent again to be sure",
            ),
            false => (Standing::Temporary, ""),
        };
        Outcome { standing, status: self.kind.status(), reply: None, text: format!("{self}{also}") }
    }
}

/// What a session waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    /// The connection.
    Connect,
    /// The greeting.
    Greeting,
    /// The answer to EHLO, LHLO or HELO.
    Hello,
    /// The answer to STARTTLS, or the handshake.
    StartTls,
    /// The answer to a step of AUTH.
    Login,
    /// Nothing: the connection is ready for a message.
    Idle,
    /// The answer to RSET.
    Reset,
    /// The answer to MAIL.
    Mail,
    /// The answer to RCPT.
    Recipient,
    /// The go-ahead after DATA.
    Data,
    /// That the peer takes the message.
    Body,
    /// The answer to the whole message.
    End,
    /// The answer to QUIT.
    Quit,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "while connecting",
            Self::Greeting => "while waiting for its greeting",
            Self::Hello => "in answer to EHLO",
            Self::StartTls => "while starting TLS",
            Self::Login => "while logging in",
            Self::Idle => "between two messages",
            Self::Reset => "in answer to RSET",
            Self::Mail => "in answer to MAIL",
            Self::Recipient => "in answer to RCPT",
            Self::Data => "in answer to DATA",
            Self::Body => "while sending the message",
            Self::End => "after the end of the message",
            Self::Quit => "in answer to QUIT",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goodbye_is_a_barrier_only_before_there_are_recipients() {
        let barrier =
            |stage| Failure { stage, kind: FailureKind::Refused("421 4.3.2 busy".to_owned()) }.barrier();
        for stage in [Stage::Greeting, Stage::Hello, Stage::Login, Stage::Mail] {
            assert_eq!(barrier(stage), Some(Barrier::Refusal), "{stage}");
        }
        for stage in [Stage::Idle, Stage::Recipient, Stage::Data, Stage::Body, Stage::End] {
            assert_eq!(barrier(stage), None, "{stage}");
        }
    }

    #[test]
    fn only_the_first_command_finds_a_connection_closed() {
        let stale = |stage| Failure { stage, kind: FailureKind::TimedOut }.is_stale();
        assert!(stale(Stage::Reset) && stale(Stage::Mail));
        for stage in [Stage::Login, Stage::Idle, Stage::Recipient, Stage::Data, Stage::Body, Stage::End] {
            assert!(!stale(stage), "{stage}");
        }
    }
}
