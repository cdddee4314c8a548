//! Reports on what became of a message (RFC 3461, RFC 3464, RFC 6522, RFC 6533): for a person first, in plain words,
//! and for programs behind that.
//!
//! A report is due to the sender who wants it ([`Wishes::want`]), and never to `<>`: the sender's address is what a
//! [`Report`] cannot do without. It is sent from `<>` itself.

mod content;
mod status;
mod words;

use bytes::Bytes;
use types::{Header, Timestamp};

pub(crate) use content::{clean, fitting, is_lines, typed};
pub use status::Status;

/// What became of a message for a recipient (RFC 3464 §2.3.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// It could not be delivered, and will not be.
    Failed,
    /// It could not be delivered yet.
    Delayed,
    /// It is in the mailbox.
    Delivered,
    /// It was handed to a server that sends no reports.
    Relayed,
    /// It was passed on to several, of whom no more is told.
    Expanded,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        }
    }
}

/// What a sender wants to be told (RFC 3461 §4.1). All three false is `NEVER`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wishes {
    /// Of delivery.
    pub success: bool,
    /// Of failure.
    pub failure: bool,
    /// Of delay.
    pub delay: bool,
}

impl Default for Wishes {
    /// What holds where the sender does not say: failure, and delay as well (RFC 3461 §4.1).
    fn default() -> Self {
        Self { success: false, failure: true, delay: true }
    }
}

impl Wishes {
    /// Whether a report on this is wanted.
    pub const fn want(self, action: Action) -> bool {
        match action {
            Action::Failed => self.failure,
            Action::Delayed => self.delay,
            Action::Delivered | Action::Relayed | Action::Expanded => self.success,
        }
    }
}

/// How much of the message comes back with a report of failure (RFC 3461 §4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Return {
    /// `FULL`: all of it, if it is not too large.
    Full,
    /// `HDRS`, and where the sender does not say: the header.
    #[default]
    Headers,
}

/// What another server said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The server's name.
    pub server: String,
    /// Its words: code, enhanced code and text, perhaps of several lines.
    pub text: String,
}

/// What became of one recipient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The address that was tried.
    pub address: String,
    /// The address that the sender first wrote to, and its type: `rfc822` or `utf-8` (RFC 3461 §4.2).
    pub original: Option<(String, String)>,
    /// What became of it.
    pub action: Action,
    /// Why (RFC 3463).
    pub status: Status,
    /// What the last server said, if one said anything.
    pub reply: Option<Reply>,
    /// What hindered us where no server did: one sentence, such as that no server could be reached.
    pub cause: Option<String>,
    /// When it was last tried.
    pub tried: Option<Timestamp>,
    /// Until when it is tried.
    pub until: Option<Timestamp>,
}

/// A report, but for the message that it is on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The server that reports.
    pub host: String,
    /// Who is told: the sender in the envelope, without brackets.
    pub to: String,
    /// The sender's id for the envelope, decoded (RFC 3461 §4.4).
    pub envelope_id: Option<String>,
    /// When the message came.
    pub arrived: Timestamp,
    /// When the report is written.
    pub at: Timestamp,
    /// A name for the report that nothing else has: letters, digits, dots. Nobody outside can know it beforehand, so no
    /// message can hold the boundary that is made of it.
    pub id: String,
    /// What became of whom; at least one.
    pub outcomes: Vec<Outcome>,
    /// Whether the sender has shown to understand UTF-8 in headers and reports: the message came with SMTPUTF8.
    pub international: bool,
}

/// The message that a report is on.
#[derive(Clone, Debug)]
pub struct Original {
    /// The message as it was taken, or its header at least.
    pub octets: Bytes,
    /// Whether all of it is there.
    pub whole: bool,
    /// How much of it the sender wants back.
    pub wanted: Return,
}

/// A report that can be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rendered {
    /// Its octets, one after the other; of the message itself not a copy but the bytes that were given.
    pub pieces: Vec<Bytes>,
    /// Whether it holds octets above 127: BODY=8BITMIME.
    pub eight_bit: bool,
    /// Whether its header or that of a part holds UTF-8: SMTPUTF8.
    pub international: bool,
}

impl Rendered {
    /// Its size in octets.
    pub fn size(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }
}

/// How large what comes back of a message may be, in octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bounds {
    pub(crate) message: usize,
    pub(crate) header: usize,
}

impl Report {
    /// The report as a message. Of the original, at most `largest` octets come back; a larger one is returned as its
    /// header, and a larger header up to the last field that fits.
    pub fn render(&self, original: &Original, largest: usize) -> Rendered {
        content::render(self, original, Bounds { message: largest, header: largest.min(64 << 10) })
    }

    /// What a report says first of all: what matters most to its reader.
    fn gravest(&self) -> Action {
        let order = [Action::Failed, Action::Delayed, Action::Expanded, Action::Relayed];
        let there = |action: &Action| self.outcomes.iter().any(|outcome| outcome.action == *action);
        order.into_iter().find(there).unwrap_or(Action::Delivered)
    }
}

impl Original {
    /// The header, without its empty line.
    fn header(&self) -> Bytes {
        let header = Header::parse(&self.octets);
        let end = header.fields().last().map_or(0, |field| field.range().end);
        self.octets.slice(..end)
    }

    /// The id that it has among messages, for the report to stand beside it in a mail program.
    fn message_id(&self) -> Option<String> {
        let header = Header::parse(&self.octets);
        let value = String::from_utf8_lossy(header.named("message-id").next()?.value()).trim().to_owned();
        let fits = value.len() <= 500 && value.starts_with('<') && value.ends_with('>');
        (fits && value.bytes().all(|b| b.is_ascii_graphic())).then_some(value)
    }
}
