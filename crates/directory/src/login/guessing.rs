//! Limits against guessing. Failures are counted on the bus, for all nodes together: by name, by peer, and by
//! both. Successes do not count, so a busy network behind one address is not shut out by its size.
//!
//! The name's limit would let anybody shut the owner out by failing on purpose. So a peer from which the owner
//! has logged in lately is familiar, and only its own failures count.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use bytes::Bytes;
use store::bus::Bus;

use super::AuthError;
use crate::options::{LoginLimits, Rate};

const FAMILIAR: Duration = Duration::from_hours(7 * 24);

/// The counters.
pub(super) struct Guessing {
    bus: Bus,
    limits: LoginLimits,
}

/// Who tries, and as whom: the keys of the counters.
pub(super) struct Attempt {
    name: Vec<u8>,
    peer: Vec<u8>,
    pair: Vec<u8>,
    familiar: Vec<u8>,
}

impl Attempt {
    /// `name` is the login in its normal form, or as it came if it has none.
    pub(super) fn new(name: &str, peer: IpAddr) -> Self {
        let network = network(peer).to_string();
        // Whatever was given as a name, a key has one length and holds nothing of it.
        let name = blake3::hash(name.as_bytes()).to_hex();
        let key = |kind: &str, parts: &[&str]| format!("login/{kind}/{}", parts.join("/")).into_bytes();
        Self {
            name: key("name", &[&name]),
            peer: key("peer", &[&network]),
            pair: key("pair", &[&name, &network]),
            familiar: key("familiar", &[&name, &network]),
        }
    }
}

impl Guessing {
    pub(super) const fn new(bus: Bus, limits: LoginLimits) -> Self {
        Self { bus, limits }
    }

    pub(super) const fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Refuses an attempt that comes after too many failures.
    pub(super) async fn check(&self, attempt: &Attempt) -> Result<(), AuthError> {
        if let Some(rate) = self.limits.per_peer
            && self.is_over(&attempt.peer, rate).await
        {
            return Err(AuthError::RateLimited { retry_after: rate.window });
        }
        if let Some(rate) = self.limits.per_name
            && self.is_over(&attempt.name, rate).await
            && (self.bus.cached(&attempt.familiar).await.is_none() || self.is_over(&attempt.pair, rate).await)
        {
            return Err(AuthError::RateLimited { retry_after: rate.window });
        }
        Ok(())
    }

    /// Counts a failure.
    pub(super) async fn failed(&self, attempt: &Attempt) {
        if let Some(rate) = self.limits.per_peer {
            self.bus.count(&attempt.peer, 1, rate.window).await;
        }
        if let Some(rate) = self.limits.per_name {
            self.bus.count(&attempt.name, 1, rate.window).await;
            self.bus.count(&attempt.pair, 1, rate.window).await;
        }
    }

    /// Notes that the owner has logged in from this peer.
    pub(super) async fn succeeded(&self, attempt: &Attempt) {
        if self.limits.per_name.is_some() {
            self.bus.cache(&attempt.familiar, Bytes::from_static(b"1"), FAMILIAR).await;
        }
    }

    async fn is_over(&self, key: &[u8], rate: Rate) -> bool {
        self.bus.count(key, 0, rate.window).await >= rate.failures
    }
}

/// What counts as one peer: whoever has one IPv6 address has 2^64 of them.
pub(crate) fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_is_one_peer() {
        let same = |a: &str, b: &str| network(a.parse().unwrap()) == network(b.parse().unwrap());
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }
}
