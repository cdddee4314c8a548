//! IMAP on sockets.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use directory::sasl::ChannelBindings;
use imap::{Config, Peer, Services, Session};
use tokio::net::TcpStream;

use super::conversation::{Conversation, Step, Waiting, WaitingFor};
use super::port::Port;
use crate::net::Lifecycle;

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
    pub(crate) port: Port,
    pub(crate) config: Arc<Config>,
    pub(crate) services: Services,
    pub(crate) timeouts: ImapTimeouts,
}

impl ImapServer {
    /// Serves one connection to its end.
    pub(crate) async fn serve(self: Arc<Self>, socket: TcpStream, address: IpAddr, lifecycle: Lifecycle) {
        let begin = |tls| {
            let session = Session::new(self.config.clone(), self.services.clone(), Peer { address, tls });
            ImapConversation { session, timeouts: self.timeouts }
        };
        self.port.serve(socket, address, &lifecycle, begin).await;
    }
}

struct ImapConversation {
    session: Session,
    timeouts: ImapTimeouts,
}

impl Conversation for ImapConversation {
    const PROTOCOL: &'static str = "imap";

    async fn advance(&mut self, input: &mut BytesMut) -> Step {
        match self.session.advance(input).await {
            imap::Step::Send(chunks) => Step::Send(chunks),
            imap::Step::NeedInput => Step::NeedInput,
            imap::Step::StartTls => Step::StartTls,
            imap::Step::Compress => Step::Compress,
            imap::Step::Close => Step::Close,
        }
    }

    fn waiting(&self, reads: u64) -> Waiting {
        if self.session.logged_in() {
            Waiting { on: WaitingFor::Next(reads), timeout: self.timeouts.idle }
        } else {
            Waiting { on: WaitingFor::Login, timeout: self.timeouts.login }
        }
    }

    fn secured(&mut self, bindings: ChannelBindings) {
        self.session.secured(bindings);
    }

    fn timed_out(&mut self) {
        self.session.timed_out();
    }

    fn garbled(&mut self) {
        self.session.garbled();
    }

    fn shutdown(&mut self) {
        self.session.shutdown();
    }

    async fn changed(&mut self) {
        self.session.changed().await;
    }
}
