//! POP3 on sockets.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::BytesMut;
use directory::sasl::ChannelBindings;
use pop3::{Config, Peer, Services, Session};
use tokio::net::TcpStream;

use super::conversation::{Conversation, Step, Waiting, WaitingFor};
use super::port::Port;
use crate::net::Lifecycle;

/// Serves POP3.
pub(crate) struct Pop3Server {
    pub(crate) port: Port,
    pub(crate) config: Arc<Config>,
    pub(crate) services: Services,
}

impl Pop3Server {
    /// Serves one connection to its end.
    pub(crate) async fn serve(self: Arc<Self>, socket: TcpStream, address: IpAddr, lifecycle: Lifecycle) {
        let begin = |tls| Session::new(self.config.clone(), self.services.clone(), Peer { address, tls });
        self.port.serve(socket, address, &lifecycle, begin).await;
    }
}

impl Conversation for Session {
    const PROTOCOL: &'static str = "pop3";

    async fn advance(&mut self, input: &mut BytesMut) -> Step {
        match self.advance(input).await {
            pop3::Step::Send(chunks) => Step::Send(chunks),
            pop3::Step::NeedInput => Step::NeedInput,
            pop3::Step::StartTls => Step::StartTls,
            pop3::Step::Close => Step::Close,
        }
    }

    fn waiting(&self, _reads: u64) -> Waiting {
        let pop3::Waiting { on, timeout } = self.waiting();
        let on = match on {
            pop3::WaitingFor::Login => WaitingFor::Login,
            pop3::WaitingFor::Command(number) => WaitingFor::Next(number),
        };
        Waiting { on, timeout }
    }

    fn secured(&mut self, bindings: ChannelBindings) {
        self.secured(bindings);
    }

    fn timed_out(&mut self) {
        self.timed_out();
    }

    fn shutdown(&mut self) {
        self.shutdown();
    }

    async fn end(self) {
        self.end().await;
    }
}
