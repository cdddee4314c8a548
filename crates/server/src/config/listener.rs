//! Settings of a listener: what is spoken on which addresses.

use super::section::Section;
use super::tree::Node;
use super::value::Value;
use crate::net::{AdmissionLimits, Bind, Network, TlsMode};

/// What is spoken on a listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    Smtp,
    Submission,
    Lmtp,
    Imap,
    Pop3,
    Http,
}

/// One listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ListenerSettings {
    /// What the operator calls it; log lines and metrics carry it.
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) addresses: Vec<Bind>,
    pub(crate) tls: TlsMode,
    /// Whose connections begin with a PROXY header.
    pub(crate) proxies: Vec<Network>,
    pub(crate) admission: AdmissionLimits,
}

/// The listeners that explain themselves by their names.
const KNOWN: [(&str, Protocol, Bind, TlsMode); 10] = [
    ("smtp", Protocol::Smtp, Bind::Everywhere(25), TlsMode::StartTls),
    ("submission", Protocol::Submission, Bind::Everywhere(587), TlsMode::StartTls),
    ("submissions", Protocol::Submission, Bind::Everywhere(465), TlsMode::Implicit),
    ("imap", Protocol::Imap, Bind::Everywhere(143), TlsMode::StartTls),
    ("imaps", Protocol::Imap, Bind::Everywhere(993), TlsMode::Implicit),
    ("pop3", Protocol::Pop3, Bind::Everywhere(110), TlsMode::StartTls),
    ("pop3s", Protocol::Pop3, Bind::Everywhere(995), TlsMode::Implicit),
    ("http", Protocol::Http, Bind::Loopback(8080), TlsMode::Off),
    ("lmtp", Protocol::Lmtp, Bind::Loopback(24), TlsMode::StartTls),
    ("https", Protocol::Http, Bind::Everywhere(443), TlsMode::Implicit),
];
/// How many of these there are where the file names none: the first.
const USUAL: usize = 8;

impl Protocol {
    const NAMES: [(&str, Self); 6] = [
        ("smtp", Self::Smtp),
        ("submission", Self::Submission),
        ("lmtp", Self::Lmtp),
        ("imap", Self::Imap),
        ("pop3", Self::Pop3),
        ("http", Self::Http),
    ];

    /// The name in the file, in log lines and in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Lmtp => "lmtp",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Http => "http",
        }
    }

    /// How many connections there may be: a mail server sends its mail over a few, an office behind one address reads
    /// its mail over many.
    pub(crate) const fn admission(self) -> AdmissionLimits {
        match self {
            Self::Smtp => AdmissionLimits { total: 2_000, per_address: 50 },
            Self::Submission => AdmissionLimits { total: 5_000, per_address: 100 },
            Self::Lmtp => AdmissionLimits { total: 1_000, per_address: 1_000 },
            Self::Imap => AdmissionLimits { total: 20_000, per_address: 500 },
            Self::Pop3 => AdmissionLimits { total: 5_000, per_address: 100 },
            Self::Http => AdmissionLimits { total: 5_000, per_address: 200 },
        }
    }

    /// What a client gets to read for whom there is no place.
    pub(crate) const fn crowded(self) -> &'static [u8] {
        match self {
            Self::Smtp | Self::Submission | Self::Lmtp => {
                b"421 4.7.0 Too many connections; try again in a while\r\n"
            }
            Self::Imap => b"* BYE [UNAVAILABLE] too many connections; try again in a while\r\n",
            Self::Pop3 => b"-ERR [SYS/TEMP] too many connections; try again in a while\r\n",
            Self::Http => {
                b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            }
        }
    }

    /// What ALPN calls it (RFC 7301), so that a connection that was meant for another service is refused. SMTP has no
    /// name there.
    pub(crate) const fn alpn(self) -> &'static [&'static [u8]] {
        match self {
            Self::Smtp | Self::Submission | Self::Lmtp => &[],
            Self::Imap => &[b"imap"],
            Self::Pop3 => &[b"pop3"],
            Self::Http => &[b"h2", b"http/1.1"],
        }
    }
}

impl ListenerSettings {
    /// A listener with the limits of its protocol.
    pub(crate) fn new(name: &str, protocol: Protocol, address: Bind, tls: TlsMode) -> Self {
        Self {
            name: name.to_owned(),
            protocol,
            addresses: vec![address],
            tls,
            proxies: Vec::new(),
            admission: protocol.admission(),
        }
    }

    /// The listeners of a server whose file names none.
    pub(crate) fn usual() -> Vec<Self> {
        let usual = KNOWN.iter().take(USUAL);
        usual.map(|(name, protocol, address, tls)| Self::new(name, *protocol, *address, *tls)).collect()
    }

    /// Reads `[listener.NAME]`; `None` if it is not known what it should do.
    pub(super) fn read(name: &str, section: &mut Section<'_>) -> Option<Self> {
        let known = KNOWN.iter().find(|(known, ..)| *known == name);
        let protocol = section.optional("protocol").or(known.map(|(_, protocol, ..)| *protocol));
        let addresses = section.optional("addresses").or(known.map(|(_, _, address, _)| vec![*address]));
        let located = section.located("tls");
        let proxies = section.value("proxies", Vec::new());
        let limits = protocol.map_or(AdmissionLimits { total: 0, per_address: 0 }, Protocol::admission);
        let admission = AdmissionLimits {
            total: section.within("connections", limits.total, 1..=1_000_000),
            per_address: section.within("connections_per_address", limits.per_address, 1..=1_000_000),
        };
        let (Some(protocol), Some(addresses)) = (protocol, addresses) else {
            section.missing(format!(
                "[listener.{name}] needs a protocol and addresses: only {} are known by their names",
                KNOWN.map(|(name, ..)| name).join(", ")
            ));
            return None;
        };
        if addresses.is_empty() {
            section.missing(format!("[listener.{name}] needs at least one address"));
        }
        let usual = known.map_or(TlsMode::StartTls, |(.., tls)| *tls);
        let tls = match located {
            Some((line, TlsMode::StartTls)) if protocol == Protocol::Http => {
                section.mistake(line, "tls must be \"implicit\" or \"off\" for http");
                TlsMode::Off
            }
            Some((_, tls)) => tls,
            None if protocol == Protocol::Http && usual == TlsMode::StartTls => TlsMode::Off,
            None => usual,
        };
        Some(Self { name: name.to_owned(), protocol, addresses, tls, proxies, admission })
    }
}

impl Value for Protocol {
    fn read(node: &Node, _: &std::path::Path) -> Result<Self, String> {
        choice(node, &Self::NAMES)
    }
}

impl Value for TlsMode {
    fn read(node: &Node, _: &std::path::Path) -> Result<Self, String> {
        choice(node, &[("starttls", Self::StartTls), ("implicit", Self::Implicit), ("off", Self::Off)])
    }
}

/// One of several words.
pub(super) fn choice<T: Copy>(node: &Node, choices: &[(&str, T)]) -> Result<T, String> {
    let found = match node {
        Node::Text(text) => choices.iter().find(|(name, _)| name == text),
        _ => None,
    };
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
        format!("must be one of {}", names.join(", "))
    })
}
