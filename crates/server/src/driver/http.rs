//! HTTP on sockets. What is answered is in the `http` crate.

use std::net::IpAddr;
use std::sync::Arc;

use http_api::{HttpServer, Traffic};
use tokio::net::TcpStream;

use super::port::Port;
use crate::net::Lifecycle;

/// Serves HTTP.
pub(crate) struct HttpDriver {
    pub(crate) port: Port,
    pub(crate) server: HttpServer,
}

impl HttpDriver {
    /// Serves one connection to its end.
    pub(crate) async fn serve(self: Arc<Self>, socket: TcpStream, client: IpAddr, lifecycle: Lifecycle) {
        let mut link = self.port.link(socket);
        if let Err(why) = self.port.open(&mut link).await {
            tracing::debug!(%client, %why, "http connection ended");
            return;
        }
        let meters = &self.port.meters;
        let traffic = Traffic { received: meters.received.clone(), sent: meters.sent.clone() };
        let stopping = lifecycle.stopping();
        let served = match link.alpn() {
            Some(b"h2") => self.server.serve_http2(link.into_stream(), client, traffic, stopping).await,
            _ => self.server.serve(link.into_stream(), client, traffic, stopping).await,
        };
        if let Err(error) = served {
            tracing::debug!(%client, %error, "http connection ended");
        }
    }
}
