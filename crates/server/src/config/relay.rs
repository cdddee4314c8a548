//! How mail gets to other servers: `[relay]`, its routes, and `[outbound]`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dns::{DnsServers, Name};
use relay::{Host, Patience, Prefix, RouteTls, Target};

use super::Material;
use super::listener::choice;
use super::section::Section;
use super::sections::time;
use super::tree::Node;
use super::value::Value;

const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);
/// The port of mail between servers.
const PORT: u16 = 25;

/// The relay.
#[derive(Clone, Debug)]
pub(crate) struct RelaySettings {
    /// Whether anything leaves.
    pub(crate) enabled: bool,
    /// Our name, as EHLO says it.
    pub(crate) hello: String,
    /// The port of other servers that DNS names.
    pub(crate) port: u16,
    /// Whom to ask where they are.
    pub(crate) servers: DnsServers,
    /// Whether answers of DNS are checked against their signatures.
    pub(crate) dnssec: bool,
    /// The keys that signatures begin with, where they are not those of the Internet's root.
    pub(crate) dns_anchor: Option<PathBuf>,
    /// Certification authorities, besides those of the system.
    pub(crate) trust: Vec<PathBuf>,
    pub(crate) dane: bool,
    pub(crate) mta_sts: bool,
    /// Addresses of ours to send from.
    pub(crate) sources: Vec<IpAddr>,
    pub(crate) prefer_ipv4: bool,
    /// Connections to a destination at first, and at most.
    pub(crate) connections_first: u16,
    pub(crate) connections: u16,
    /// How long a connection is kept for another message, and how many it carries.
    pub(crate) idle: Duration,
    pub(crate) messages: u32,
    /// How long a connection may take.
    pub(crate) connect: Duration,
    /// How long answers may take.
    pub(crate) patience: Patience,
    /// Networks that are not public, and may be used all the same.
    pub(crate) allow: Vec<Prefix>,
    /// Names of this server in MX records, besides its own.
    pub(crate) own_names: Vec<Name>,
    /// Whether a smarthost gets its password over a connection that nothing protects.
    pub(crate) plaintext_login: bool,
    pub(crate) routes: Vec<RouteSettings>,
}

/// A way of its own for some destinations.
#[derive(Clone, Debug)]
pub(crate) struct RouteSettings {
    pub(crate) name: String,
    /// Domains, `.example.com` for all below one, `*` for all that no other route is for.
    pub(crate) domains: Vec<String>,
    /// Who takes the mail; without any, the domain's own servers.
    pub(crate) hosts: Vec<Host>,
    pub(crate) balanced: bool,
    pub(crate) tls: RouteTls,
    pub(crate) protocol: relay::Protocol,
    /// Whom to log in as, and where the password is.
    pub(crate) login: Option<(String, Material)>,
    pub(crate) sources: Option<Vec<IpAddr>>,
}

/// The outbound queue, but for when something is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OutboundSettings {
    /// How many messages are on their way at once.
    pub(crate) workers: usize,
    /// When the age of the oldest message is worth a warning.
    pub(crate) oldest_mark: Duration,
}

impl RelaySettings {
    /// What suits the Internet, for a server of this name.
    pub(crate) fn new(hostname: &str) -> Self {
        Self {
            enabled: true,
            hello: hostname.to_owned(),
            port: PORT,
            servers: DnsServers::System,
            dnssec: false,
            dns_anchor: None,
            trust: Vec::new(),
            dane: true,
            mta_sts: true,
            sources: Vec::new(),
            prefer_ipv4: false,
            connections_first: 4,
            connections: 20,
            idle: Duration::from_secs(15),
            messages: 100,
            connect: Duration::from_secs(30),
            patience: Patience::default(),
            allow: Vec::new(),
            own_names: Vec::new(),
            plaintext_login: false,
            routes: Vec::new(),
        }
    }

    /// Everything by way of one host.
    pub(crate) fn by_way_of(mut self, host: Host) -> Self {
        self.routes.push(RouteSettings {
            name: "smarthost".to_owned(),
            domains: vec!["*".to_owned()],
            hosts: vec![host],
            balanced: false,
            tls: RouteTls::Policy,
            protocol: relay::Protocol::Smtp,
            login: None,
            sources: None,
        });
        self
    }
}

impl Default for OutboundSettings {
    fn default() -> Self {
        Self { workers: 200, oldest_mark: Duration::from_hours(6) }
    }
}

pub(super) fn relay(section: &mut Section<'_>, relay: &mut RelaySettings) {
    relay.enabled = section.value("enabled", relay.enabled);
    if let Some((line, hello)) = section.located::<String>("hello") {
        if Name::parse(&hello).is_none() {
            section.mistake(line, format!("hello must be the name of a host, not {hello:?}"));
        }
        relay.hello = hello;
    }
    relay.port = section.within("port", relay.port, 1..=u16::MAX);
    let servers: Vec<SocketAddr> = section.value("dns", Vec::new());
    if !servers.is_empty() {
        relay.servers = DnsServers::Addresses(servers);
    }
    relay.dns_anchor = section.optional("dns_anchor");
    // Whoever names keys wants signatures to be checked against them.
    relay.dnssec = section.value("dnssec", relay.dns_anchor.is_some());
    relay.trust = section.value("trust", Vec::new());
    relay.dane = section.value("dane", relay.dane);
    relay.mta_sts = section.value("mta_sts", relay.mta_sts);
    relay.sources = section.value("sources", Vec::new());
    relay.prefer_ipv4 = section.value("prefer_ipv4", relay.prefer_ipv4);
    relay.connections_first = section.within("connections_first", relay.connections_first, 1..=1_000);
    relay.connections = section.within("connections", relay.connections, 1..=1_000);
    time(section, "idle", &mut relay.idle, Duration::ZERO..=Duration::from_mins(5));
    relay.messages = section.within("messages", relay.messages, 1..=1_000_000);
    time(section, "connect_timeout", &mut relay.connect, SECOND..=Duration::from_mins(5));
    let patience = &mut relay.patience;
    time(section, "greeting_timeout", &mut patience.greeting, SECOND..=HOUR);
    time(section, "command_timeout", &mut patience.command, SECOND..=HOUR);
    // RFC 5321 §4.5.3.2.3 allows the same for RCPT.
    patience.recipient = patience.command;
    time(section, "end_timeout", &mut patience.end, SECOND..=HOUR);
    relay.allow = section.value("allow", Vec::new());
    relay.own_names = section.value("own_names", Vec::new());
    relay.plaintext_login = section.value("plaintext_login", relay.plaintext_login);
    relay.routes = section.named("route", RouteSettings::read).unwrap_or_default();
    for (number, route) in relay.routes.iter().enumerate() {
        for domain in &route.domains {
            let others = relay.routes.iter().take(number);
            if let Some(other) = others.into_iter().find(|other| other.domains.contains(domain)) {
                section.missing(format!(
                    "[relay.route.{}] and [relay.route.{}] are both for {domain:?}",
                    other.name, route.name
                ));
            }
        }
    }
}

impl RouteSettings {
    fn read(name: &str, section: &mut Section<'_>) -> Self {
        let mut domains: Vec<Pattern> = section.value("domains", Vec::new());
        if domains.is_empty() && name == "default" {
            domains.push(Pattern("*".to_owned()));
        }
        if domains.is_empty() {
            section.missing(format!(
                "[relay.route.{name}] needs domains: for whom it is, such as [\"example.com\", \".example.com\"], or \"*\" \
                 for everybody else"
            ));
        }
        let (username, password) = (section.optional::<String>("username"), section.optional("password"));
        if username.is_some() != password.is_some() {
            section.missing(format!("[relay.route.{name}] needs both username and password, or neither"));
        }
        let login = username.zip(password);
        // Whoever gets a password has to be who they should be.
        let tls = if login.is_some() { RouteTls::Verify } else { RouteTls::Policy };
        Self {
            name: name.to_owned(),
            domains: domains.into_iter().map(|pattern| pattern.0).collect(),
            hosts: section.value("hosts", Vec::<HostValue>::new()).into_iter().map(|host| host.0).collect(),
            balanced: section.value("balanced", false),
            tls: section.value("tls", tls),
            protocol: section.value("protocol", relay::Protocol::Smtp),
            sources: section.optional("sources"),
            login,
        }
    }
}

pub(super) fn outbound(
    section: &mut Section<'_>,
    outbound: &mut OutboundSettings,
    queue: &mut queue::Options,
) {
    outbound.workers = section.within("workers", outbound.workers, 1..=10_000);
    let schedule = &mut queue.schedule;
    time(section, "first_retry", &mut schedule.first, SECOND..=DAY);
    time(section, "longest_retry", &mut schedule.longest, SECOND..=DAY);
    let mut warn = schedule.warn.unwrap_or_default();
    time(section, "warn_after", &mut warn, Duration::ZERO..=DAY * 30);
    schedule.warn = (warn > Duration::ZERO).then_some(warn);
    time(section, "give_up_after", &mut schedule.give_up, SECOND..=DAY * 30);
    time(section, "line_first", &mut queue.line.first, SECOND..=DAY);
    time(section, "line_longest", &mut queue.line.longest, SECOND..=DAY);
    let mut keep = queue.keep_failed.unwrap_or_default();
    time(section, "keep_failed", &mut keep, Duration::ZERO..=DAY * 3650);
    queue.keep_failed = (keep > Duration::ZERO).then_some(keep);
    time(section, "oldest_mark", &mut outbound.oldest_mark, SECOND..=DAY * 30);
}

/// A host, with its port or without.
///
/// # Errors
/// What it should be, to go on after the name of a key.
pub(crate) fn host(text: &str) -> Result<Host, String> {
    let wrong = || {
        format!(
            "must be a host such as \"mail.example.net:587\", \"192.0.2.1\" or \"[2001:db8::1]:25\", not {text:?}"
        )
    };
    let literal = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (name, port) = match literal {
        Some((name, port)) => (name, Some(port).filter(|port| !port.is_empty())),
        None if text.parse::<Ipv6Addr>().is_ok() => (text, None),
        None => text.split_once(':').map_or((text, None), |(name, _)| (name, text.get(name.len()..))),
    };
    let port = match port.map(|port| port.strip_prefix(':').and_then(|port| port.parse::<u16>().ok())) {
        None => PORT,
        Some(Some(port)) if port > 0 => port,
        Some(_) => return Err(wrong()),
    };
    let target = match (name.parse::<IpAddr>(), literal) {
        (Ok(address), _) => Target::Address(address),
        (Err(_), Some(_)) => return Err(wrong()),
        (Err(_), None) => Target::Name(Name::parse(name).ok_or_else(wrong)?),
    };
    Ok(Host { target, port })
}

struct HostValue(Host);

impl Value for HostValue {
    fn read(node: &Node, folder: &Path) -> Result<Self, String> {
        host(&String::read(node, folder)?).map(Self)
    }
}

/// What a route is for.
struct Pattern(String);

impl Value for Pattern {
    fn read(node: &Node, folder: &Path) -> Result<Self, String> {
        let text = String::read(node, folder)?;
        if text == "*" || text.starts_with('[') && text.ends_with(']') {
            return Ok(Self(text.to_lowercase()));
        }
        let (dot, domain) = text.strip_prefix('.').map_or(("", text.as_str()), |domain| (".", domain));
        let name = Name::parse(domain).ok_or_else(|| {
            format!("must hold domains such as \"example.com\" or \".example.com\", or \"*\", not {text:?}")
        })?;
        Ok(Self(format!("{dot}{name}")))
    }
}

impl Value for Prefix {
    fn read(node: &Node, folder: &Path) -> Result<Self, String> {
        let text = String::read(node, folder)?;
        text.parse().map_err(|_| format!("must hold networks such as \"10.0.0.0/8\", not {text:?}"))
    }
}

impl Value for IpAddr {
    fn read(node: &Node, folder: &Path) -> Result<Self, String> {
        let text = String::read(node, folder)?;
        text.parse().map_err(|_| format!("must hold addresses such as \"192.0.2.1\", not {text:?}"))
    }
}

impl Value for RouteTls {
    fn read(node: &Node, _: &Path) -> Result<Self, String> {
        choice(
            node,
            &[
                ("policy", Self::Policy),
                ("never", Self::Never),
                ("require", Self::Require),
                ("verify", Self::Verify),
                ("verify-immediate", Self::VerifyImmediate),
            ],
        )
    }
}

impl Value for relay::Protocol {
    fn read(node: &Node, _: &Path) -> Result<Self, String> {
        choice(node, &[("smtp", Self::Smtp), ("lmtp", Self::Lmtp)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let table = [
            ("mail.example.net:587", "mail.example.net 587"),
            ("Mail.Example.net", "mail.example.net 25"),
            ("192.0.2.1:2525", "[192.0.2.1] 2525"),
            ("192.0.2.1", "[192.0.2.1] 25"),
            ("[2001:db8::1]:465", "[2001:db8::1] 465"),
            ("[2001:db8::1]", "[2001:db8::1] 25"),
            ("2001:db8::1", "[2001:db8::1] 25"),
        ];
        for (text, wanted) in table {
            let host = host(text).unwrap();
            assert_eq!(format!("{} {}", host.target, host.port), wanted, "{text}");
        }
        for bad in
            ["", ":25", "a b:25", "mail:0", "mail:x", "mail:70000", "[mail]:25", "[::1]x", "mail:25:25"]
        {
            assert!(host(bad).is_err(), "{bad}");
        }
    }
}
