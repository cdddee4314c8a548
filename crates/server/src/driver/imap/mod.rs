//! IMAP on sockets: moves bytes between a connection and its session, and keeps the time. What the protocol means
//! is in the `imap` crate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use imap::{Config, Peer, Services, Session, Step};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsAcceptor;

use crate::net::{Lifecycle, Link, LinkError};

/// How long a client may leave responses unread.
const STALL: Duration = Duration::from_secs(60);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(60);
/// Room that the input buffer has at least before a read, in bytes.
const ROOM: usize = 8 << 10;

/// How long a session waits for its client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImapTimeouts {
    /// From the first byte to a login.
    pub(crate) login: Duration,
    /// Between two reads after that (RFC 9051 §5.4 wants at least 30 minutes).
    pub(crate) idle: Duration,
}

impl Default for ImapTimeouts {
    fn default() -> Self {
        Self { login: Duration::from_secs(60), idle: Duration::from_secs(30 * 60) }
    }
}

/// Serves IMAP.
pub(crate) struct ImapServer {
    pub(crate) config: Arc<Config>,
    pub(crate) services: Services,
    pub(crate) tls: TlsAcceptor,
    pub(crate) timeouts: ImapTimeouts,
}

/// Whether TLS begins before anything is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Opening {
    Plain,
    Tls,
}

impl ImapServer {
    /// Serves one connection to its end.
    pub(crate) async fn serve(
        self: Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
        opening: Opening,
        lifecycle: Lifecycle,
    ) {
        let mut link = Link::new(socket, STALL);
        if let Err(why) = self.converse(&mut link, peer, opening, &lifecycle).await {
            tracing::debug!(client = %peer.ip(), %why, "imap connection ended");
        }
        link.close().await;
    }

    async fn converse(
        &self,
        link: &mut Link,
        peer: SocketAddr,
        opening: Opening,
        lifecycle: &Lifecycle,
    ) -> Result<(), LinkError> {
        if opening == Opening::Tls {
            link.start_tls(&self.tls, HANDSHAKE).await?;
        }
        let peer = Peer { address: peer.ip().to_canonical(), tls: opening == Opening::Tls };
        let mut session = Session::new(self.config.clone(), self.services.clone(), peer);
        let mut input = BytesMut::new();
        let connected = Instant::now();
        let mut heard = connected;
        let mut told_to_leave = false;
        loop {
            match session.advance(&mut input).await {
                Step::Send(chunks) => {
                    for chunk in chunks {
                        link.send(&chunk).await?;
                    }
                }
                Step::StartTls => {
                    // What was sent before the handshake must never count as said inside it.
                    if !input.is_empty() {
                        return Ok(());
                    }
                    link.start_tls(&self.tls, HANDSHAKE).await?;
                    session.secured();
                }
                Step::Close => return Ok(()),
                Step::NeedInput => {
                    let deadline = match session.logged_in() {
                        true => heard + self.timeouts.idle,
                        false => connected + self.timeouts.login,
                    };
                    input.reserve(ROOM);
                    tokio::select! {
                        biased;
                        () = lifecycle.stopping(), if !told_to_leave => {
                            told_to_leave = true;
                            session.shutdown();
                        }
                        received = link.receive(&mut input) => {
                            if received? == 0 {
                                return Ok(());
                            }
                            heard = Instant::now();
                        }
                        () = session.changed() => {}
                        () = sleep_until(deadline) => session.timed_out(),
                    }
                }
            }
        }
    }
}
