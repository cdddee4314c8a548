//! IMAP on sockets.

use std::net::IpAddr;
use std::sync::Arc;

use imap::{Config, Peer, Services, Session};
use tokio::net::TcpStream;

use super::port::Port;
use crate::net::Lifecycle;

/// Serves IMAP.
pub(crate) struct ImapServer {
    pub(crate) port: Port,
    pub(crate) config: Arc<Config>,
    pub(crate) services: Services,
}

impl ImapServer {
    /// Serves one connection to its end.
    pub(crate) async fn serve(self: Arc<Self>, socket: TcpStream, address: IpAddr, lifecycle: Lifecycle) {
        let begin = |tls| Session::new(self.config.clone(), self.services.clone(), Peer { address, tls });
        self.port.serve(socket, address, &lifecycle, begin).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Most connections of a mail server do nothing but wait; this is what each takes, besides its socket and what
    /// its mailbox's view has.
    #[test]
    fn a_connection_that_waits_takes_little_room() {
        fn room<A, B, C, D, F>(_: impl FnOnce(A, B, C, D) -> F) -> usize {
            size_of::<F>()
        }
        let room = room(ImapServer::serve);
        assert!(room <= 3_400, "{room}");
    }
}
