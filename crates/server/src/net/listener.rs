//! Ports on loopback, and the loop that accepts connections on them.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::admission::Admission;
use super::lifecycle::Lifecycle;
use crate::problem::{Kind, Problem};

/// The pause after the system had no file descriptor or memory for a new connection: without one, the loop would
/// spin until there is.
const BREATH: Duration = Duration::from_millis(50);

/// What is offered on a port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    /// The protocol's name, for people.
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    /// What a client gets to read for whom there is no place; empty where plain text would make no sense.
    pub(crate) crowded: &'static [u8],
}

/// A port that is bound on every loopback address that this machine has.
pub(crate) struct Listener {
    endpoint: Endpoint,
    sockets: Vec<TcpListener>,
}

impl Listener {
    /// Binds the port on 127.0.0.1, and on ::1 where the machine has it.
    pub(crate) async fn loopback(endpoint: Endpoint) -> Result<Self, Problem> {
        let mut sockets = Vec::with_capacity(2);
        for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let address = SocketAddr::new(address, endpoint.port);
            match TcpListener::bind(address).await {
                Ok(socket) => sockets.push(socket),
                Err(error) if address.is_ipv6() && no_such_address(&error) => {}
                Err(error) => return Err(refused(endpoint, address, &error)),
            }
        }
        Ok(Self { endpoint, sockets })
    }

    /// Accepts connections until the server stops; each is served as a task of its own.
    pub(crate) fn run<S, F>(self, admission: &Admission, lifecycle: &Lifecycle, serve: S)
    where
        S: Fn(TcpStream, SocketAddr) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let serve = Arc::new(serve);
        for socket in self.sockets {
            let (admission, tasks, serve) = (admission.clone(), lifecycle.clone(), serve.clone());
            let endpoint = self.endpoint;
            lifecycle.spawn(async move {
                loop {
                    let accepted = tokio::select! {
                        biased;
                        () = tasks.stopping() => return,
                        accepted = socket.accept() => accepted,
                    };
                    match accepted {
                        Ok((stream, peer)) => match admission.enter(peer.ip()) {
                            Some(place) => {
                                let served = serve(stream, peer);
                                tasks.spawn(async move {
                                    served.await;
                                    drop(place);
                                });
                            }
                            None => turn_away(endpoint, &stream, peer),
                        },
                        Err(error) if is_of_the_peer(&error) => {}
                        Err(error) => {
                            tracing::warn!(endpoint = endpoint.name, %error, "cannot accept connections now");
                            tokio::time::sleep(BREATH).await;
                        }
                    }
                }
            });
        }
    }
}

/// Says why, as far as the socket's empty send buffer takes it, and hangs up: nothing waits for such a client.
fn turn_away(endpoint: Endpoint, stream: &TcpStream, peer: SocketAddr) {
    tracing::debug!(endpoint = endpoint.name, client = %peer.ip(), "turned away: too many connections");
    let _best_effort = stream.try_write(endpoint.crowded);
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Whether the machine simply has no IPv6 loopback.
fn no_such_address(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
}

fn refused(endpoint: Endpoint, address: SocketAddr, error: &io::Error) -> Problem {
    let name = endpoint.name;
    match error.kind() {
        io::ErrorKind::AddrInUse => Problem::new(
            Kind::InUse,
            format!(
                "port {} on {} is in use by another program, and {name} needs it: stop that program, or choose \
                 other ports with --port-base",
                address.port(),
                address.ip()
            ),
        ),
        io::ErrorKind::PermissionDenied => Problem::unavailable(format!(
            "this user may not listen on port {} ({name}): choose higher ports with --port-base",
            address.port()
        )),
        _ => Problem::unavailable(format!("cannot listen on {address} for {name}: {error}")),
    }
}
