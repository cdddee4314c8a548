//! How the connections of a listener begin.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::meters::PortMeters;
use crate::net::{Encryption, Link, LinkError, LinkTimes, TlsMode};

/// What the connections of a listener have in common.
#[derive(Clone)]
pub(crate) struct Port {
    pub(crate) mode: TlsMode,
    pub(crate) tls: TlsAcceptor,
    pub(crate) times: LinkTimes,
    pub(crate) meters: Arc<PortMeters>,
}

impl Port {
    /// A connection as it was accepted.
    pub(crate) fn link(&self, socket: TcpStream) -> Link {
        Link::new(socket, self.times.stall, self.meters.clone())
    }

    /// Whether clients may ask for TLS.
    pub(crate) fn offers_tls(&self) -> bool {
        self.mode == TlsMode::StartTls
    }

    /// Encrypts a connection from its first byte, if that is what the listener does.
    pub(crate) async fn open(&self, link: &mut Link) -> Result<Option<Encryption>, LinkError> {
        match self.mode {
            TlsMode::Implicit => self.encrypt(link).await.map(Some),
            TlsMode::Off | TlsMode::StartTls => Ok(None),
        }
    }

    /// Encrypts a connection.
    pub(crate) async fn encrypt(&self, link: &mut Link) -> Result<Encryption, LinkError> {
        link.start_tls(&self.tls, self.times.handshake).await
    }
}
