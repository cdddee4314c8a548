//! How many connections may be open at once, in all and from one address: one client cannot take all places.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

/// The bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdmissionLimits {
    /// Connections at once.
    pub(crate) total: usize,
    /// Connections at once from one IPv4 address or IPv6 /64 network.
    pub(crate) per_address: usize,
}

/// Counts the connections of one server.
#[derive(Clone)]
pub(crate) struct Admission(Arc<Inner>);

struct Inner {
    limits: AdmissionLimits,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place that a connection takes until it is dropped.
pub(crate) struct Place {
    admission: Admission,
    address: IpAddr,
}

impl Admission {
    pub(crate) fn new(limits: AdmissionLimits) -> Self {
        Self(Arc::new(Inner { limits, open: Mutex::default() }))
    }

    /// A place for a connection from `address`, if there is one.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<Place> {
        let address = network(address);
        let mut open = self.0.open.lock();
        let taken = open.by_address.get(&address).copied().unwrap_or(0);
        if open.total >= self.0.limits.total || taken >= self.0.limits.per_address {
            return None;
        }
        open.total += 1;
        open.by_address.insert(address, taken + 1);
        drop(open);
        Some(Place { admission: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.admission.0.open.lock();
        open.total = open.total.saturating_sub(1);
        match open.by_address.get_mut(&self.address) {
            Some(taken) if *taken > 1 => *taken -= 1,
            _ => {
                open.by_address.remove(&self.address);
            }
        }
    }
}

/// What counts as one client: an IPv4 address, or the /64 that an IPv6 host has to itself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_places() {
        let admission = Admission::new(AdmissionLimits { total: 3, per_address: 2 });
        let (a, b): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let first = admission.enter(a);
        let _second = admission.enter(a).unwrap();
        assert!(first.is_some() && admission.enter(a).is_none());
        let _third = admission.enter(b).unwrap();
        assert!(admission.enter(b).is_none(), "the house is full");
        drop(first);
        assert!(admission.enter(a).is_some());
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let admission = Admission::new(AdmissionLimits { total: 9, per_address: 1 });
        let _place = admission.enter("2001:db8::1".parse().unwrap()).unwrap();
        assert!(admission.enter("2001:db8::ffff".parse().unwrap()).is_none());
        assert!(admission.enter("2001:db8:0:1::1".parse().unwrap()).is_some());
        let _mapped = admission.enter("::ffff:192.0.2.1".parse().unwrap()).unwrap();
        assert!(admission.enter("192.0.2.1".parse().unwrap()).is_none());
    }
}
