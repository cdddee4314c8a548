//! How many connections may be open at once, in all and from one address: one client cannot take all places.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

/// The bounds of one listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AdmissionLimits {
    /// Connections at once.
    pub(crate) total: usize,
    /// Connections at once from one IPv4 address or IPv6 /64 network.
    pub(crate) per_address: usize,
}

/// Counts the connections of all listeners together.
#[derive(Clone)]
pub(crate) struct House(Arc<Total>);

struct Total {
    limit: usize,
    open: Mutex<usize>,
}

/// Counts the connections of one listener.
#[derive(Clone)]
pub(crate) struct Admission(Arc<Inner>);

struct Inner {
    house: House,
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
    address: Option<IpAddr>,
}

/// Why there is no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Crowded {
    /// The server has as many connections as it may have.
    House,
    /// The listener has.
    Listener,
    /// The client has.
    Address,
}

impl Crowded {
    /// In a word, for log lines and metrics.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::House => "server full",
            Self::Listener => "listener full",
            Self::Address => "too many from one address",
        }
    }
}

impl House {
    /// A server with so many places.
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Total { limit, open: Mutex::new(0) }))
    }
}

impl Admission {
    /// The places of one listener in a house.
    pub(crate) fn new(limits: AdmissionLimits, house: &House) -> Self {
        Self(Arc::new(Inner { house: house.clone(), limits, open: Mutex::default() }))
    }

    /// A place for a connection of which nobody knows yet whose it is.
    pub(crate) fn enter(&self) -> Result<Place, Crowded> {
        let mut house = self.0.house.0.open.lock();
        if *house >= self.0.house.0.limit {
            return Err(Crowded::House);
        }
        let mut open = self.0.open.lock();
        if open.total >= self.0.limits.total {
            return Err(Crowded::Listener);
        }
        *house += 1;
        open.total += 1;
        drop((open, house));
        Ok(Place { admission: self.clone(), address: None })
    }
}

impl Place {
    /// The connection turns out to be that of a client.
    pub(crate) fn assign(&mut self, client: IpAddr) -> Result<(), Crowded> {
        let address = network(client);
        let mut open = self.admission.0.open.lock();
        let taken = open.by_address.entry(address).or_insert(0);
        if *taken >= self.admission.0.limits.per_address {
            return Err(Crowded::Address);
        }
        *taken += 1;
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut house = self.admission.0.house.0.open.lock();
        *house = house.saturating_sub(1);
        let mut open = self.admission.0.open.lock();
        open.total = open.total.saturating_sub(1);
        let Some(address) = self.address else { return };
        match open.by_address.get_mut(&address) {
            Some(taken) if *taken > 1 => *taken -= 1,
            _ => {
                open.by_address.remove(&address);
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

    fn enter(admission: &Admission, client: &str) -> Result<Place, Crowded> {
        let mut place = admission.enter()?;
        place.assign(client.parse().unwrap())?;
        Ok(place)
    }

    fn admission(total: usize, per_address: usize) -> Admission {
        Admission::new(AdmissionLimits { total, per_address }, &House::new(100))
    }

    #[test]
    fn one_address_cannot_take_all_places() {
        let admission = admission(3, 2);
        let first = enter(&admission, "192.0.2.1");
        let _second = enter(&admission, "192.0.2.1").unwrap();
        assert!(first.is_ok() && enter(&admission, "192.0.2.1").err() == Some(Crowded::Address));
        let _third = enter(&admission, "192.0.2.2").unwrap();
        assert_eq!(enter(&admission, "192.0.2.2").err(), Some(Crowded::Listener));
        drop(first);
        assert!(enter(&admission, "192.0.2.1").is_ok());
    }

    #[test]
    fn all_listeners_share_the_house() {
        let house = House::new(2);
        let limits = AdmissionLimits { total: 9, per_address: 9 };
        let (imap, smtp) = (Admission::new(limits, &house), Admission::new(limits, &house));
        let first = enter(&imap, "192.0.2.1");
        let _second = enter(&smtp, "192.0.2.1").unwrap();
        assert_eq!(enter(&imap, "192.0.2.2").err(), Some(Crowded::House));
        drop(first);
        assert!(enter(&smtp, "192.0.2.2").is_ok());
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let admission = admission(9, 1);
        let _place = enter(&admission, "2001:db8::1").unwrap();
        assert!(enter(&admission, "2001:db8::ffff").is_err());
        assert!(enter(&admission, "2001:db8:0:1::1").is_ok());
        let _mapped = enter(&admission, "::ffff:192.0.2.1").unwrap();
        assert!(enter(&admission, "192.0.2.1").is_err());
    }
}
