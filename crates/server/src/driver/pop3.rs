//! POP3 on sockets.

use std::net::IpAddr;
use std::sync::Arc;

use pop3::{Config, Peer, Services, Session};
use tokio::net::TcpStream;

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
