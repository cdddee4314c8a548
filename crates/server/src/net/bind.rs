//! Addresses to listen on.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;

/// Where a listener listens.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Bind {
    /// A port on every address of the machine.
    Everywhere(u16),
    /// A port that only this machine reaches, over IPv4, and over IPv6 where it has that.
    Loopback(u16),
    /// One address.
    One(SocketAddr),
}

impl Bind {
    /// Opens the sockets; else the address that could not be had.
    pub(crate) async fn open(self) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
        match self {
            Self::Everywhere(port) => {
                both(IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED), port, |error| {
                    // The socket for IPv6 takes IPv4 as well, unless the machine was told otherwise.
                    error.kind() == io::ErrorKind::AddrInUse
                })
                .await
            }
            Self::Loopback(port) => {
                both(IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST), port, |_| false).await
            }
            Self::One(address) => Ok(vec![listen(address).await?]),
        }
    }
}

/// The sockets of two addresses; the machine need not have the first.
async fn both(
    v6: IpAddr,
    v4: IpAddr,
    port: u16,
    covered: impl FnOnce(&io::Error) -> bool,
) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    let first = match listen(SocketAddr::new(v6, port)).await {
        Ok(socket) => Some(socket),
        Err((_, error)) if no_such_address(&error) => None,
        Err(error) => return Err(error),
    };
    let second = match listen(SocketAddr::new(v4, port)).await {
        Ok(socket) => Some(socket),
        Err((_, error)) if first.is_some() && covered(&error) => None,
        Err(error) => return Err(error),
    };
    Ok(first.into_iter().chain(second).collect())
}

async fn listen(address: SocketAddr) -> Result<TcpListener, (SocketAddr, io::Error)> {
    TcpListener::bind(address).await.map_err(|error| (address, error))
}

/// Whether the machine simply has no such address: no IPv6.
fn no_such_address(error: &io::Error) -> bool {
    let no_family = Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || error.raw_os_error() == no_family
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere(port) => write!(f, "*:{port}"),
            Self::Loopback(port) => write!(f, "localhost:{port}"),
            Self::One(address) => address.fmt(f),
        }
    }
}
