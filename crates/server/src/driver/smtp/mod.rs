//! SMTP, LMTP and submission on sockets: moves bytes between a connection and its session, keeps the time, and asks the
//! services. What the protocol means is in the `smtp` crate; what becomes of a message, `carriage` sees to.

mod connection;
mod pace;
mod submission;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use smtp::Config;
use tokio::net::TcpStream;

use super::port::Port;
use crate::carriage::Carrier;
use crate::net::Lifecycle;

/// What a server for SMTP, LMTP or submission works with.
pub(crate) struct SmtpServer {
    config: Arc<Config>,
    port: Port,
    spool: PathBuf,
    /// What becomes of messages that have come whole.
    carrier: Carrier,
}

impl SmtpServer {
    /// A server whose large messages wait in `spool` while they are received.
    pub(crate) fn new(config: Config, port: Port, spool: PathBuf, carrier: Carrier) -> Self {
        Self { config: Arc::new(config), port, spool, carrier }
    }

    /// Serves one connection to its end.
    pub(crate) async fn serve(self: Arc<Self>, socket: TcpStream, client: IpAddr, lifecycle: Lifecycle) {
        let mut link = self.port.link(socket);
        match self.port.open(&mut link).await {
            Ok(encryption) => {
                connection::Connection::new(&self, link, client, encryption).run(&lifecycle).await
            }
            Err(why) => {
                tracing::debug!(%client, %why, "smtp connection ended");
                link.close().await;
            }
        }
    }
}
