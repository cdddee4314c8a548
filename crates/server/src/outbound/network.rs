//! Connections to other servers, and to nobody but others.
//!
//! Names and addresses of ours in DNS are told apart before anything is connected. What is left is a machine that has more
//! addresses than anybody has listed: a connection that begins and ends at the same address, at a port where this
//! server listens, leads to ourselves, and is closed before a word is said (fault 69).

use std::io;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use relay::{Network, Stream};
use tokio::net::TcpSocket;

/// TCP, but for connections to this server.
pub(super) struct Outside {
    /// The ports at which this server takes mail.
    pub(super) ours: Vec<u16>,
}

#[async_trait]
impl Network for Outside {
    async fn connect(&self, to: SocketAddr, from: Option<IpAddr>) -> io::Result<Box<dyn Stream>> {
        let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(from) = from {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        let stream = socket.connect(to).await?;
        let (here, there) = (stream.local_addr()?, stream.peer_addr()?);
        if here.ip() == there.ip() && self.ours.contains(&there.port()) {
            return Err(io::Error::other("this is the server itself: the message would go in circles"));
        }
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn fault_69_whoever_answers_at_our_own_port_is_ourselves() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let other = Outside { ours: vec![1] };
        assert!(other.connect(address, None).await.is_ok());
        let same = Outside { ours: vec![address.port()] };
        let error = same.connect(address, None).await.err().unwrap();
        assert!(error.to_string().contains("the server itself"), "{error}");
    }
}
