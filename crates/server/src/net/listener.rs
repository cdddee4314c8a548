//! Ports, and the loop that accepts connections on them.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tracing::{Instrument, Span};
use types::Randomness;

use super::admission::{Admission, Crowded, House, Place};
use super::lifecycle::Lifecycle;
use super::network::Network;
use super::proxy;
use super::tls::TlsMode;
use crate::config::ListenerSettings;
use crate::meters::{Arrived, DoorMeters};
use crate::problem::{Kind, Problem};

/// The pause after the system had no file descriptor or memory for a new connection: without one, the loop would
/// spin until there is.
const BREATH: Duration = Duration::from_millis(50);

/// Ports that are bound.
pub(crate) struct Listener {
    sockets: Vec<TcpListener>,
    door: Arc<Door>,
}

/// What every connection of a listener passes.
struct Door {
    name: String,
    /// What a client gets to read for whom there is no place; empty where plain text would make no sense.
    crowded: &'static [u8],
    proxies: Vec<Network>,
    proxy_header: Duration,
    admission: Admission,
    meters: DoorMeters,
}

impl Listener {
    /// Binds all addresses of a listener. A proxy may take so long to say whom it speaks for.
    pub(crate) async fn bind(
        settings: &ListenerSettings,
        house: &House,
        proxy_header: Duration,
    ) -> Result<Self, Problem> {
        let mut sockets = Vec::new();
        for address in &settings.addresses {
            let bound = address.open().await;
            sockets.extend(bound.map_err(|(address, error)| refused(&settings.name, address, &error))?);
        }
        let door = Door {
            name: settings.name.clone(),
            crowded: if settings.tls == TlsMode::Implicit { b"" } else { settings.protocol.crowded() },
            proxies: settings.proxies.clone(),
            proxy_header,
            admission: Admission::new(settings.admission, house),
            meters: DoorMeters::new(settings),
        };
        Ok(Self { sockets, door: Arc::new(door) })
    }

    /// Accepts connections until the server stops; each is served as a task of its own. `serve` is given the
    /// connection and the client's own address.
    pub(crate) fn run<S, F>(self, lifecycle: &Lifecycle, serve: S)
    where
        S: Fn(TcpStream, IpAddr) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let serve = Arc::new(serve);
        for socket in self.sockets {
            let (door, tasks, serve) = (self.door.clone(), lifecycle.clone(), serve.clone());
            lifecycle.spawn(async move {
                loop {
                    let accepted = tokio::select! {
                        biased;
                        () = tasks.stopping() => return,
                        accepted = socket.accept() => accepted,
                    };
                    match accepted {
                        Ok((stream, peer)) => {
                            if let Some(arrival) = door.arrive(stream, peer) {
                                let (door, serve, stopping) = (door.clone(), serve.clone(), tasks.clone());
                                let span = door.span();
                                let served = async move { door.receive(arrival, &stopping, &*serve).await };
                                tasks.spawn(served.instrument(span));
                            }
                        }
                        Err(error) if is_of_the_peer(&error) => {}
                        Err(error) => {
                            tracing::warn!(listener = door.name, %error, "cannot accept connections now");
                            tokio::time::sleep(BREATH).await;
                        }
                    }
                }
            });
        }
    }
}

/// A connection that has a place.
struct Arrival {
    stream: TcpStream,
    peer: IpAddr,
    place: Place,
}

impl Door {
    /// Lets a connection in if there is a place for it. Nothing here waits: the next one is at the door.
    fn arrive(&self, stream: TcpStream, peer: SocketAddr) -> Option<Arrival> {
        let peer = peer.ip().to_canonical();
        match self.admission.enter() {
            Ok(mut place) => {
                if !self.is_proxy(peer)
                    && let Err(why) = place.assign(peer)
                {
                    self.turn_away(&stream, peer, why);
                    return None;
                }
                Some(Arrival { stream, peer, place })
            }
            Err(why) => {
                self.turn_away(&stream, peer, why);
                None
            }
        }
    }

    /// Finds out whose the connection is, and has it served.
    async fn receive<F: Future<Output = ()>>(
        &self,
        arrival: Arrival,
        lifecycle: &Lifecycle,
        serve: &impl Fn(TcpStream, IpAddr) -> F,
    ) {
        let _seat = self.meters.sit();
        let Arrival { mut stream, peer, mut place } = arrival;
        let mut client = peer;
        if self.is_proxy(peer) {
            let header = tokio::select! {
                () = lifecycle.stopping() => return,
                header = timeout(self.proxy_header, proxy::receive(&mut stream)) => header,
            };
            match header {
                Ok(Ok(named)) => client = named.map_or(peer, |named| named.to_canonical()),
                Ok(Err(why)) => {
                    self.meters.arrived(Arrived::BadProxy);
                    tracing::warn!(listener = self.name, proxy = %peer, %why, "a proxy was turned away");
                    return;
                }
                Err(_late) => {
                    self.meters.arrived(Arrived::BadProxy);
                    let seconds = self.proxy_header.as_secs();
                    tracing::warn!(listener = self.name, proxy = %peer, seconds, "a proxy said nothing in time");
                    return;
                }
            }
            if let Err(why) = place.assign(client) {
                return self.turn_away(&stream, client, why);
            }
        }
        self.meters.arrived(Arrived::Admitted);
        serve(stream, client).await;
        drop(place);
    }

    /// What every log line of a connection carries: by its trace all of them are found. It is there at any level.
    fn span(&self) -> Span {
        let trace: String = Randomness::bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        tracing::error_span!("connection", trace, listener = self.name)
    }

    fn is_proxy(&self, peer: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(peer))
    }

    /// Says why, as far as the socket's empty send buffer takes it, and hangs up: nothing waits for such a client.
    fn turn_away(&self, stream: &TcpStream, client: IpAddr, why: Crowded) {
        self.meters.arrived(Arrived::Crowded(why));
        tracing::debug!(listener = self.name, %client, why = why.word(), "a connection was turned away");
        let _best_effort = stream.try_write(self.crowded);
    }
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

fn refused(listener: &str, address: SocketAddr, error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::AddrInUse => Problem::new(
            Kind::InUse,
            format!(
                "port {} on {} is in use by another program, and {listener} needs it: stop that program, or choose \
                 another port (with --port-base for `magpie dev`)",
                address.port(),
                address.ip()
            ),
        ),
        io::ErrorKind::PermissionDenied => Problem::unavailable(format!(
            "this user may not listen on port {} ({listener}): give the program the capability \
             CAP_NET_BIND_SERVICE, as install/magpie.service does, or choose a port from 1024 on",
            address.port()
        )),
        io::ErrorKind::AddrNotAvailable => Problem::unavailable(format!(
            "cannot listen on {address} for {listener}: this machine has no such address"
        )),
        _ => Problem::unavailable(format!("cannot listen on {address} for {listener}: {error}")),
    }
}
