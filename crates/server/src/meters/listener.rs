//! What happens at a listener: who comes, how many are there, and how much is said.

use metrics::{Counter, Gauge, counter, gauge};

use crate::config::ListenerSettings;
use crate::net::admission::Crowded;

/// What became of a connection at the door.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrived {
    /// It has a place.
    Admitted,
    /// There is none.
    Crowded(Crowded),
    /// A load balancer did not say, or not rightly, whom it speaks for.
    BadProxy,
}

/// The counters at a listener's door.
pub(crate) struct DoorMeters {
    admitted: Counter,
    house: Counter,
    listener: Counter,
    address: Counter,
    proxy: Counter,
    sessions: Gauge,
}

/// A connection that is open, until it is dropped.
pub(crate) struct Seat(Gauge);

/// The counters of the connections of a listener.
pub(crate) struct PortMeters {
    pub(crate) received: Counter,
    pub(crate) sent: Counter,
    pub(crate) handshakes: Counter,
    pub(crate) failed_handshakes: Counter,
}

impl DoorMeters {
    pub(crate) fn new(settings: &ListenerSettings) -> Self {
        let protocol = settings.protocol.name();
        let outcome = |outcome: &'static str| {
            let listener = settings.name.clone();
            counter!(
                "magpie_connections_total",
                "listener" => listener, "protocol" => protocol, "outcome" => outcome
            )
        };
        Self {
            admitted: outcome("admitted"),
            house: outcome("server_full"),
            listener: outcome("listener_full"),
            address: outcome("address_full"),
            proxy: outcome("bad_proxy"),
            sessions: gauge!("magpie_sessions", "listener" => settings.name.clone(), "protocol" => protocol),
        }
    }

    /// A connection came.
    pub(crate) fn arrived(&self, how: Arrived) {
        let counter = match how {
            Arrived::Admitted => &self.admitted,
            Arrived::Crowded(Crowded::House) => &self.house,
            Arrived::Crowded(Crowded::Listener) => &self.listener,
            Arrived::Crowded(Crowded::Address) => &self.address,
            Arrived::BadProxy => &self.proxy,
        };
        counter.increment(1);
    }

    /// A connection is open.
    pub(crate) fn sit(&self) -> Seat {
        self.sessions.increment(1);
        Seat(self.sessions.clone())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

impl PortMeters {
    pub(crate) fn new(settings: &ListenerSettings) -> Self {
        let protocol = settings.protocol.name();
        let handshakes = |result: &'static str| {
            let listener = settings.name.clone();
            counter!(
                "magpie_tls_handshakes_total",
                "listener" => listener, "protocol" => protocol, "result" => result
            )
        };
        Self {
            received: counter!("magpie_received_bytes_total", "protocol" => protocol),
            sent: counter!("magpie_sent_bytes_total", "protocol" => protocol),
            handshakes: handshakes("ok"),
            failed_handshakes: handshakes("failed"),
        }
    }

    /// Counters that nobody reads.
    #[cfg(test)]
    pub(crate) const fn noop() -> Self {
        Self {
            received: Counter::noop(),
            sent: Counter::noop(),
            handshakes: Counter::noop(),
            failed_handshakes: Counter::noop(),
        }
    }
}
