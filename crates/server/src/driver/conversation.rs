//! The loop around a session that talks in commands and answers: moves bytes between its connection and the session,
//! and keeps the time. IMAP and POP3 share it; what a protocol means is in its own crate.

use std::future::{Future, pending, ready};
use std::net::IpAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use directory::sasl::ChannelBindings;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::port::Port;
use crate::net::{Lifecycle, Link, LinkError};

/// A session as the loop sees it.
pub(crate) trait Conversation: Send {
    /// The protocol's name, for the log.
    const PROTOCOL: &'static str;

    /// Goes on with what the client has sent, as far as it can.
    fn advance(&mut self, input: &mut BytesMut) -> impl Future<Output = Step> + Send;

    /// What the session waits for, when so many reads have brought something.
    fn waiting(&self, reads: u64) -> Waiting;

    /// TLS protects the connection now; this names its channel.
    fn secured(&mut self, bindings: ChannelBindings);

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

/// What a session asks of the loop.
pub(crate) enum Step {
    /// Send these bytes.
    Send(Vec<Bytes>),
    /// Read more, or wait until something has changed.
    NeedInput,
    /// Begin TLS.
    StartTls,
    /// Begin to compress.
    Compress,
    /// Close the connection.
    Close,
}

/// What a session waits for, and how long: the clock starts again whenever [`Self::on`] changes, and only then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) on: WaitingFor,
    pub(crate) timeout: Duration,
}

/// What a session waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WaitingFor {
    /// A login, since the connection was made.
    Login,
    /// The next of what is counted: commands or reads, as the protocol wants it.
    Next(u64),
}

impl Port {
    /// Serves one connection to its end. `begin` makes its session, and is told the TLS channel, if there is one
    /// already.
    pub(crate) async fn serve<C: Conversation>(
        &self,
        socket: TcpStream,
        client: IpAddr,
        lifecycle: &Lifecycle,
        begin: impl FnOnce(Option<ChannelBindings>) -> C,
    ) {
        let mut link = self.link(socket);
        let ended = match self.open(&mut link).await {
            Ok(encryption) => {
                let mut session = begin(encryption.map(|_| link.channel_bindings()));
                let ended = self.converse(&mut session, &mut link, client, lifecycle).await;
                session.end().await;
                ended
            }
            Err(why) => Err(why),
        };
        if let Err(why) = ended {
            tracing::debug!(%client, %why, "{} connection ended", C::PROTOCOL);
        }
        Box::pin(link.close()).await;
    }

    async fn converse<C: Conversation>(
        &self,
        session: &mut C,
        link: &mut Link,
        client: IpAddr,
        lifecycle: &Lifecycle,
    ) -> Result<(), LinkError> {
        let mut input = BytesMut::new();
        let mut clock = Clock { on: WaitingFor::Login, since: Instant::now() };
        let mut reads = 0;
        let (mut told_to_leave, mut garbled) = (false, false);
        loop {
            // On the heap while it runs: commands need much room, and most connections wait for one.
            match Box::pin(session.advance(&mut input)).await {
                Step::Send(chunks) => link.send_all(&chunks).await?,
                Step::StartTls => {
                    // What was sent before the handshake must never count as said inside it.
                    if !input.is_empty() {
                        return Ok(());
                    }
                    Box::pin(self.encrypt(link)).await?;
                    session.secured(link.channel_bindings());
                }
                Step::Compress => link.compress(),
                Step::Close => return Ok(()),
                Step::NeedInput => {
                    let deadline = clock.deadline(session.waiting(reads), Instant::now());
                    if input.is_empty() {
                        // Most sessions wait for long: without a buffer.
                        input = BytesMut::new();
                    }
                    tokio::select! {
                        biased;
                        () = lifecycle.stopping(), if !told_to_leave => {
                            told_to_leave = true;
                            session.shutdown();
                        }
                        received = link.receive(&mut input) => match received {
                            Ok(0) => return Ok(()),
                            Ok(_) => reads += 1,
                            Err(why @ LinkError::Garbled(_)) if !garbled => {
                                tracing::info!(%client, %why, "{} connection ends", C::PROTOCOL);
                                garbled = true;
                                session.garbled();
                            }
                            Err(why) => return Err(why),
                        },
                        () = session.changed() => {}
                        () = sleep_until(deadline) => session.timed_out(),
                    }
                }
            }
        }
    }
}

/// Since when a session waits for what it waits for.
struct Clock {
    on: WaitingFor,
    since: Instant,
}

impl Clock {
    fn deadline(&mut self, waiting: Waiting, now: Instant) -> Instant {
        if self.on != waiting.on {
            *self = Self { on: waiting.on, since: now };
        }
        self.since + waiting.timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_waited_for_starts_the_clock_again() {
        let start = Instant::now();
        let (patience, later) = (Duration::from_secs(60), start + Duration::from_secs(50));
        let mut clock = Clock { on: WaitingFor::Login, since: start };
        let wait = |on| Waiting { on, timeout: patience };
        assert_eq!(clock.deadline(wait(WaitingFor::Login), later), start + patience);
        assert_eq!(clock.deadline(wait(WaitingFor::Next(1)), later), later + patience);
        let much_later = later + Duration::from_secs(50);
        assert_eq!(clock.deadline(wait(WaitingFor::Next(1)), much_later), later + patience);
        assert_eq!(clock.deadline(wait(WaitingFor::Next(2)), much_later), much_later + patience);
    }
}
