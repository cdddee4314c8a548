//! Which addresses mail may go to, and in which order.
//!
//! Whoever writes an MX record decides whom we connect to. That must not become a way to reach what only this machine or
//! its neighbours can reach (fault 69), or to make us talk to ourselves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::RouteError;

/// The rules for addresses that DNS names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Addresses {
    /// Networks that are not public and may be used all the same.
    pub allowed: Vec<Prefix>,
    /// The addresses that this server itself takes mail at.
    pub own: Vec<IpAddr>,
    /// Try IPv4 first.
    pub prefer_v4: bool,
}

/// A network: an address, and how many of its bits count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prefix {
    address: IpAddr,
    bits: u8,
}

impl FromStr for Prefix {
    type Err = RouteError;

    /// Reads `192.0.2.0/24`, `2001:db8::/32`, or an address alone.
    fn from_str(text: &str) -> Result<Self, RouteError> {
        let refused = || RouteError::NoName(text.to_owned());
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| refused())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| refused())?;
        if bits > most { Err(refused()) } else { Ok(Self { address, bits }) }
    }
}

impl Prefix {
    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(net), IpAddr::V4(one)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                net.to_bits() & mask == one.to_bits() & mask
            }
            (IpAddr::V6(net), IpAddr::V6(one)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                net.to_bits() & mask == one.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl Addresses {
    /// Whether an address may be used.
    ///
    /// # Errors
    /// [`RouteError::Own`] or [`RouteError::Forbidden`].
    pub fn check(&self, address: IpAddr) -> Result<(), RouteError> {
        let plain = address.to_canonical();
        if self.own.contains(&plain) {
            return Err(RouteError::Own(address));
        }
        let allowed = self.allowed.iter().any(|prefix| prefix.contains(plain));
        if allowed || is_public(plain) { Ok(()) } else { Err(RouteError::Forbidden(address)) }
    }

    /// The addresses of a host by turns, so that two attempts try both families whichever of them does not work.
    pub(super) fn order(&self, six: Vec<IpAddr>, four: Vec<IpAddr>) -> Vec<IpAddr> {
        let (first, second) = if self.prefer_v4 { (four, six) } else { (six, four) };
        let (mut first, mut second) = (first.into_iter(), second.into_iter());
        let mut order = Vec::new();
        loop {
            let (one, two) = (first.next(), second.next());
            if one.is_none() && two.is_none() {
                return order;
            }
            order.extend(one.into_iter().chain(two));
        }
    }
}

/// Whether an address is one of the Internet's (the registries of RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => is_public_v4(four),
        IpAddr::V6(six) => is_public_v6(six),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        (0 | 10 | 127, ..) => true,
        (100, 64..=127, _) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _) => true,
        // Protocol assignments, documentation, benchmarks, and the relays of 6to4.
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => true,
        (224.., ..) => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // What is not in 2000::/3 is not given to anybody.
    let global = a & 0xe000 == 0x2000;
    // Protocol assignments with Teredo, documentation, 6to4, which may hide any IPv4 address.
    let special = match a {
        0x2001 => b < 0x0200 || b == 0x0db8,
        0x2002 => true,
        0x3fff => b < 0x1000,
        _ => false,
    };
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_69_addresses_that_are_nobodys_mail_server() {
        let rules = Addresses {
            allowed: vec!["10.1.0.0/16".parse().unwrap(), "fd00:1::/32".parse().unwrap()],
            own: vec!["93.184.216.1".parse().unwrap()],
            prefer_v4: false,
        };
        for refused in [
            "0.0.0.0",
            "10.2.0.1",
            "127.0.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "172.31.0.1",
            "192.168.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "::ffff:10.2.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "93.184.216.1",
            "::ffff:93.184.216.1",
        ] {
            assert!(rules.check(refused.parse().unwrap()).is_err(), "{refused}");
        }
        for fine in [
            "93.184.216.34",
            "10.1.2.3",
            "100.128.0.1",
            "172.32.0.1",
            "2a00:1450::1",
            "2606:4700::1",
            "fd00:1:2::3",
        ] {
            assert!(rules.check(fine.parse().unwrap()).is_ok(), "{fine}");
        }
    }

    #[test]
    fn prefixes() {
        for bad in ["", "10.0.0.0/33", "10.0.0.0/x", "::/129", "10.0.0/8"] {
            assert!(bad.parse::<Prefix>().is_err(), "{bad}");
        }
        let all: Prefix = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("1.2.3.4".parse().unwrap()) && !all.contains("::1".parse().unwrap()));
    }

    #[test]
    fn families_take_turns() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let (six, four) = (vec![address("::1"), address("::2")], vec![address("1.1.1.1")]);
        let order = Addresses::default().order(six.clone(), four.clone());
        assert_eq!(order, [address("::1"), address("1.1.1.1"), address("::2")]);
        let order = Addresses { prefer_v4: true, ..Addresses::default() }.order(six, four);
        assert_eq!(order[0], address("1.1.1.1"));
    }
}
