//! What the configuration says about the way.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::Host;
use crate::sasl::Credentials;
use crate::session::Protocol;

/// The rules for one way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// Who takes the mail.
    pub next_hop: NextHop,
    /// How the connection is protected.
    pub tls: RouteTls,
    /// Whom to log in as.
    pub credentials: Option<Credentials>,
    /// Which protocol is spoken there.
    pub protocol: Protocol,
    /// The addresses of ours to send from, by turns; none leaves it to the system.
    pub sources: Vec<IpAddr>,
    /// Whether hosts that are configured share the load, instead of the first being preferred.
    pub balanced: bool,
}

/// Who takes the mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NextHop {
    /// The domain's own servers.
    Mx {
        /// The port: 25, but for tests.
        port: u16,
    },
    /// These hosts, the preferred first.
    Hosts(Vec<Host>),
}

/// How a connection is protected.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum RouteTls {
    /// As the domain asks with DANE or MTA-STS; else TLS where it is offered.
    #[default]
    Policy,
    /// Never with TLS.
    Never,
    /// With TLS or not at all, whoever the peer is.
    Require,
    /// With TLS and a certificate for the host's name, or not at all.
    Verify,
    /// Like that, and TLS from the first octet on (port 465).
    VerifyImmediate,
}

impl Default for Route {
    /// The domain's own servers.
    fn default() -> Self {
        Self {
            next_hop: NextHop::Mx { port: 25 },
            tls: RouteTls::default(),
            credentials: None,
            protocol: Protocol::Smtp,
            sources: Vec::new(),
            balanced: false,
        }
    }
}

/// Which rules hold for which destination.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    /// By destination, in lower case; `.example.com` for all domains below it.
    pub domains: HashMap<String, Arc<Route>>,
    /// For all others.
    pub default: Arc<Route>,
}

impl RouteTable {
    /// The rules for a destination: its own, or of the nearest domain above it, or the default.
    pub fn find(&self, destination: &str) -> Arc<Route> {
        let destination = destination.to_lowercase();
        let exact = self.domains.get(&destination);
        let dots = destination.match_indices('.').map(|(at, _)| destination.get(at..).unwrap_or_default());
        let above = || dots.into_iter().find_map(|suffix| self.domains.get(suffix));
        exact.or_else(above).unwrap_or(&self.default).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rule_holds() {
        let route = |port| Arc::new(Route { next_hop: NextHop::Mx { port }, ..Route::default() });
        let domains = [("a.test", 1), (".a.test", 2), (".b.a.test", 3), ("[192.0.2.1]", 4)];
        let table = RouteTable {
            domains: domains.iter().map(|(name, port)| ((*name).to_owned(), route(*port))).collect(),
            default: route(5),
        };
        let table_of = [
            ("A.test", 1),
            ("x.a.test", 2),
            ("x.b.a.test", 3),
            ("y.x.b.a.test", 3),
            ("[192.0.2.1]", 4),
            ("test", 5),
        ];
        for (destination, port) in table_of {
            assert_eq!(table.find(destination).next_hop, NextHop::Mx { port }, "{destination}");
        }
    }
}
