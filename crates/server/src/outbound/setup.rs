//! The relay as the configuration wants it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use dns::{Name, NetworkResolver, Resolver, Validation};
use relay::{
    Addresses, Credentials, HttpsClient, HttpsFetcher, Network, NextHop, Prefix, Relay, RelayOptions, Route,
    RouteTable, Router, StsPolicies, TlsClient, TlsPolicies,
};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::network::Outside;
use super::policies::StoredPolicies;
use crate::config::{ListenerSettings, Protocol, RelaySettings, RouteSettings, Settings};
use crate::net::Bind;
use crate::node::Node;
use crate::problem::Problem;

/// What makes requests to servers that others have named, and may use these networks although they are not public.
pub(super) fn https(settings: &Settings, allowed: Vec<Prefix>) -> Result<HttpsClient, Problem> {
    let wanted = &settings.relay;
    let addresses = Addresses { allowed, own: Vec::new(), prefer_v4: wanted.prefer_ipv4 };
    let table = RouteTable { domains: HashMap::new(), default: Arc::new(Route::default()) };
    let router = Router::new(resolver(wanted)?, table, addresses, Vec::new());
    let network = Outside { ours: ports(&settings.listeners) };
    Ok(HttpsClient::new(Arc::new(router), Arc::new(tls(&wanted.trust)?), Arc::new(network)))
}

/// Everything that stands between the queue and other servers.
pub(super) fn relay(settings: &Settings, node: &Node) -> Result<Relay, Problem> {
    let wanted = &settings.relay;
    let resolver = resolver(wanted)?;
    let addresses = Addresses {
        allowed: wanted.allow.clone(),
        own: addresses(&settings.listeners),
        prefer_v4: wanted.prefer_ipv4,
    };
    let names = std::iter::once(&settings.hostname).chain([&wanted.hello]);
    let names = names.filter_map(|name| Name::parse(name)).chain(wanted.own_names.iter().cloned());
    let router = Router::new(resolver.clone(), table(wanted)?, addresses, names.collect());
    let router = Arc::new(router);
    let tls = Arc::new(tls(&wanted.trust)?);
    let network: Arc<dyn Network> = Arc::new(Outside { ours: ports(&settings.listeners) });
    let sts = wanted.mta_sts.then(|| {
        let fetcher = HttpsFetcher::new(router.clone(), tls.clone(), network.clone());
        let cache = StoredPolicies(node.kv.clone());
        StsPolicies::new(resolver.clone(), Arc::new(fetcher), Arc::new(cache), node.clock.clone())
    });
    let policies = TlsPolicies::new(resolver, sts, wanted.dane && wanted.dnssec);
    let options = RelayOptions {
        patience: wanted.patience,
        connect: wanted.connect,
        connections: (wanted.connections_first.min(wanted.connections), wanted.connections),
        idle: wanted.idle,
        messages: wanted.messages,
        plaintext_login: wanted.plaintext_login,
        ..RelayOptions::new(wanted.hello.clone())
    };
    Ok(Relay::new(options, router, policies, tls, network, None))
}

/// Who answers questions about other servers.
fn resolver(wanted: &RelaySettings) -> Result<Arc<dyn Resolver>, Problem> {
    let validation = match (wanted.dnssec, &wanted.dns_anchor) {
        (false, _) => Validation::Off,
        (true, None) => Validation::Dnssec,
        (true, Some(file)) => Validation::Anchored(file.clone()),
    };
    let resolver = NetworkResolver::new(&wanted.servers, validation);
    Ok(Arc::new(resolver.map_err(|error| Problem::unavailable(error.to_string()))?))
}

/// Which destination goes which way.
fn table(wanted: &RelaySettings) -> Result<RouteTable, Problem> {
    let usual = Route {
        next_hop: NextHop::Mx { port: wanted.port },
        sources: wanted.sources.clone(),
        ..Route::default()
    };
    let mut table = RouteTable { domains: HashMap::new(), default: Arc::new(usual) };
    for settings in &wanted.routes {
        let route = Arc::new(route(settings, wanted)?);
        for domain in &settings.domains {
            match domain.as_str() {
                "*" => table.default = route.clone(),
                domain => {
                    table.domains.insert(domain.to_owned(), route.clone());
                }
            }
        }
    }
    Ok(table)
}

fn route(settings: &RouteSettings, wanted: &RelaySettings) -> Result<Route, Problem> {
    let credentials = match &settings.login {
        Some((login, password)) => {
            let secret = password.read().and_then(|secret| {
                String::from_utf8(secret).map_err(|_| format!("{password} is not text in UTF-8"))
            });
            let why = |why| Problem::invalid(format!("[relay.route.{}]: password: {why}", settings.name));
            let password = secret.map_err(why)?.trim_end_matches(['\r', '\n']).to_owned();
            Some(Credentials { login: login.clone(), password })
        }
        None => None,
    };
    let next_hop = match settings.hosts.is_empty() {
        true => NextHop::Mx { port: wanted.port },
        false => NextHop::Hosts(settings.hosts.clone()),
    };
    let sources = settings.sources.clone().unwrap_or_else(|| wanted.sources.clone());
    let (tls, protocol, balanced) = (settings.tls, settings.protocol, settings.balanced);
    Ok(Route { next_hop, tls, credentials, protocol, sources, balanced })
}

/// Trusts whom the system trusts, and whom the configuration names.
fn tls(trusted: &[PathBuf]) -> Result<TlsClient, Problem> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the system's certification authorities cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (_added, _unusable) = roots.add_parsable_certificates(found.certs);
    for file in trusted {
        let unusable = |why: String| Problem::invalid(format!("[relay]: trust: {}: {why}", file.display()));
        let certificates =
            CertificateDer::pem_file_iter(file).map_err(|error| unusable(error.to_string()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
            roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        }
    }
    TlsClient::new(roots).map_err(|error| {
        Problem::unavailable(format!(
            "the system knows no certification authorities ({error}), so no server could prove who it is: install them \
             (the package is usually called ca-certificates)"
        ))
    })
}

/// The addresses that this server takes mail at, where it says so; not those that only this machine reaches.
fn addresses(listeners: &[ListenerSettings]) -> Vec<IpAddr> {
    let takes_mail =
        |listener: &&ListenerSettings| matches!(listener.protocol, Protocol::Smtp | Protocol::Lmtp);
    let addresses = listeners.iter().filter(takes_mail).flat_map(|listener| &listener.addresses);
    let one = addresses.filter_map(|bind| match bind {
        Bind::One(address) if !address.ip().is_loopback() => Some(address.ip()),
        _ => None,
    });
    one.collect()
}

/// The ports that this server listens at.
fn ports(listeners: &[ListenerSettings]) -> Vec<u16> {
    let addresses = listeners.iter().flat_map(|listener| &listener.addresses);
    let ports = addresses.map(|bind| match bind {
        Bind::Everywhere(port) | Bind::Loopback(port) => *port,
        Bind::One(address) => address.port(),
    });
    ports.collect()
}
