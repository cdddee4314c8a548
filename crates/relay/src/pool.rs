//! Connections that have carried a message and may carry another.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::connection::Connection;
use crate::route::Host;
use crate::sasl::Credentials;
use crate::session::Protocol;
use crate::tls::Demand;

/// What two messages must have in common to share a connection: where it leads, where it comes from, what it has proved,
/// and as whom it is logged in.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Line {
    pub(crate) host: Host,
    pub(crate) source: Option<IpAddr>,
    pub(crate) demand: Demand,
    pub(crate) protocol: Protocol,
    pub(crate) credentials: Option<Credentials>,
}

/// Idle connections.
pub(crate) struct Pool {
    parked: Mutex<HashMap<Line, Vec<(Instant, Connection)>>>,
    idle: Duration,
    messages: u32,
}

impl Pool {
    /// Keeps a connection for so long, and for so many messages.
    pub(crate) fn new(idle: Duration, messages: u32) -> Self {
        Self { parked: Mutex::default(), idle, messages }
    }

    /// A connection that is still good.
    pub(crate) async fn take(&self, line: &Line) -> Option<Connection> {
        loop {
            let (until, mut connection) = self.parked.lock().get_mut(line)?.pop()?;
            if until > Instant::now() && connection.is_alive().await {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection, or closes it if it has carried enough.
    pub(crate) async fn park(&self, line: Line, connection: Connection) {
        if connection.carried >= self.messages {
            return connection.quit().await;
        }
        let until = Instant::now() + self.idle;
        self.parked.lock().entry(line).or_default().push((until, connection));
    }

    /// Closes what has been idle for too long; all, if `all`. When the next one will have been, if there is one.
    pub(crate) async fn sweep(&self, all: bool) -> Option<Instant> {
        let now = Instant::now();
        let mut over = Vec::new();
        let next = {
            let mut parked = self.parked.lock();
            for connections in parked.values_mut() {
                let (gone, kept) =
                    std::mem::take(connections).into_iter().partition(|(until, _)| all || *until <= now);
                *connections = kept;
                over.extend::<Vec<_>>(gone);
            }
            parked.retain(|_, connections| !connections.is_empty());
            parked.values().flatten().map(|(until, _)| *until).min()
        };
        futures::future::join_all(over.into_iter().map(|(_, connection)| connection.quit())).await;
        next
    }
}
