//! Connections, behind a trait: a test has peers in memory and time of its own.

use std::io;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;

/// A connection's two directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Makes connections.
#[async_trait]
pub trait Network: Send + Sync {
    /// Connects, from an address of ours if one is given.
    ///
    /// # Errors
    /// What the system says.
    async fn connect(&self, to: SocketAddr, from: Option<IpAddr>) -> io::Result<Box<dyn Stream>>;
}

/// TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

#[async_trait]
impl Network for Tcp {
    async fn connect(&self, to: SocketAddr, from: Option<IpAddr>) -> io::Result<Box<dyn Stream>> {
        let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(from) = from {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        let stream = socket.connect(to).await?;
        // Commands go out in batches already; a last piece of a message should not wait for an acknowledgement.
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}
