//! The loop around a session that talks in commands and answers: moves bytes between its connection and the session,
//! and keeps the time. IMAP and POP3 share it; what a protocol means is in its own crate.

use std::net::IpAddr;

use bytes::BytesMut;
use conversation::{Conversation, Step, Waiting, WaitingFor};
use directory::sasl::ChannelBindings;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::port::Port;
use crate::net::{Lifecycle, Link, LinkError};

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
    use std::time::Duration;

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
