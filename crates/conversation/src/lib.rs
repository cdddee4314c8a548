//! What a session without sockets and the driver that moves its bytes expect of each other, where a protocol talks in
//! commands and answers: IMAP and POP3.
//!
//! The driver calls [`Conversation::advance`] and does what the [`Step`] says. A session hands its output on in chunks
//! and goes on only when the driver comes back, so a reader that stalls suspends the command that feeds it.

use std::future::{Future, pending, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use directory::sasl::ChannelBindings;

/// A session as its driver sees it.
pub trait Conversation: Send {
    /// The protocol's name, for the log.
    const PROTOCOL: &'static str;

    /// Goes on with what `input` holds, as far as it can; takes from `input` what it has understood.
    ///
    /// If this is dropped before it is done, nobody knows how far the client's command and its answer have come:
    /// all that is left is [`Step::Close`].
    fn advance(&mut self, input: &mut BytesMut) -> impl Future<Output = Step> + Send;

    /// What the session waits for, when so many reads have brought something.
    fn waiting(&self, reads: u64) -> Waiting;

    /// TLS protects the connection now; this names its channel.
    fn secured(&mut self, channel: ChannelBindings);

    /// The client was silent for too long.
    fn timed_out(&mut self);

    /// What the client sends cannot be inflated.
    fn garbled(&mut self) {}

    /// The server stops.
    fn shutdown(&mut self);

    /// Resolves when the session has something to say without being asked. Nothing is lost if it is dropped.
    fn changed(&mut self) -> impl Future<Output = ()> + Send {
        pending()
    }

    /// The connection is over, however that came.
    fn end(self) -> impl Future<Output = ()> + Send
    where
        Self: Sized,
    {
        ready(())
    }
}

/// What the driver does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send these bytes, then call [`Conversation::advance`] again.
    Send(Vec<Bytes>),
    /// Read more, or wait for [`Conversation::changed`], then call [`Conversation::advance`] again.
    NeedInput,
    /// Deflate both directions from here on (RFC 4978), then call [`Conversation::advance`] again. There is no input
    /// left from before.
    Compress,
    /// Begin TLS, then call [`Conversation::secured`]. There is no input left from before.
    StartTls,
    /// Close the connection, then call [`Conversation::end`].
    Close,
}

/// What a session waits for, and how long it should. When the time is over: [`Conversation::timed_out`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// What it waits for.
    pub on: WaitingFor,
    /// How long, from the moment that [`Self::on`] last changed.
    pub timeout: Duration,
}

/// What a session waits for. The driver starts its clock again whenever this value changes, and only then: a client
/// that sends a command one octet at a time gets no more time for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitingFor {
    /// A login, since the connection was made.
    Login,
    /// The next of what is counted: commands or reads, as the protocol wants it.
    Next(u64),
}
