//! The configuration: one TOML file, read into settings that need no second look.
//!
//! ```text
//!   magpie.toml ── tree ──> section ──> Settings <── magpie dev
//!                  lines     mistakes, all at once
//! ```
//!
//! Every key and its default stands in `resources/magpie.toml`; a test compares the two.

mod listener;
mod relay;
mod section;
mod sections;
mod tree;
mod value;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::relay::Prefix;
use directory::{DomainName, OAuthOptions, SendingLimits};
use dns::DnsServers;

pub(crate) use self::listener::{ListenerSettings, Protocol};
pub(crate) use self::relay::{OutboundSettings, RelaySettings, RouteSettings, host};
use self::section::Section;
pub(crate) use self::value::Material;
use crate::budget::BudgetLimits;
use crate::inbound::InboundOptions;
use crate::log::LogFormat;
use crate::net::{Bind, LinkTimes, Network};
use crate::node::NodeOptions;
use crate::problem::{Kind, Problem};
use crate::public::StsPolicy;
use crate::reporting::ReportOptions;

/// The file with every key and its default.
pub(crate) const EXAMPLE: &str = include_str!("../../../../resources/magpie.toml");
/// Where the file is looked for when nobody says where it is.
pub(crate) const USUAL_PLACE: &str = "/etc/magpie/magpie.toml";

/// All that an operator can set.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The server's own name.
    pub(crate) hostname: String,
    /// The data directory.
    pub(crate) data: PathBuf,
    pub(crate) log: LogSettings,
    pub(crate) tls: TlsSettings,
    pub(crate) listeners: Vec<ListenerSettings>,
    pub(crate) connections: ConnectionSettings,
    pub(crate) shutdown: ShutdownSettings,
    /// Whether passwords may be sent without TLS.
    pub(crate) plaintext_login: bool,
    /// Services below the protocols.
    pub(crate) node: NodeOptions,
    pub(crate) memory: BudgetLimits,
    pub(crate) inbound: InboundOptions,
    pub(crate) relay: RelaySettings,
    pub(crate) outbound: OutboundSettings,
    pub(crate) checks: CheckSettings,
    pub(crate) reports: ReportOptions,
    pub(crate) smtp: SmtpSettings,
    pub(crate) submission: SubmissionSettings,
    pub(crate) imap: imap::Config,
    pub(crate) pop3: pop3::Config,
    pub(crate) http: HttpSettings,
    pub(crate) jmap: JmapSettings,
    /// What other servers are told about the way here.
    pub(crate) sts: StsPolicy,
    pub(crate) oauth: OAuthSettings,
    pub(crate) push: PushSettings,
}

/// What is logged, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogSettings {
    pub(crate) filter: String,
    pub(crate) format: LogFormat,
}

/// Certificates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TlsSettings {
    /// The first is shown to clients that name no server. If there is none, one is made that nobody has signed.
    pub(crate) certificates: Vec<CertificateSettings>,
    /// The names in that one.
    pub(crate) self_signed: Vec<String>,
    /// How often the files are looked at.
    pub(crate) check_every: Duration,
    /// How long before it expires a certificate is warned of.
    pub(crate) warn_before: Duration,
}

/// A certificate and its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CertificateSettings {
    pub(crate) chain: Material,
    pub(crate) key: Material,
}

/// What holds for the connections of all listeners.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ConnectionSettings {
    /// At once, on all listeners together.
    pub(crate) total: usize,
    pub(crate) times: LinkTimes,
    /// How long a proxy may take to say whom it speaks for.
    pub(crate) proxy_header: Duration,
}

/// The end of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ShutdownSettings {
    /// How long a server that will stop says so on `/healthz/ready` and goes on, so that nobody is sent to it any more.
    pub(crate) announce: Duration,
    /// How long sessions get to finish what they are doing.
    pub(crate) drain: Duration,
}

/// SMTP and LMTP.
#[derive(Clone, Debug)]
pub(crate) struct SmtpSettings {
    pub(crate) smtputf8: bool,
    pub(crate) limits: smtp::Limits,
    pub(crate) timeouts: smtp::Timeouts,
}

/// Submission, besides what it has in common with SMTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SubmissionSettings {
    /// How much one account may send.
    pub(crate) limits: SendingLimits,
    /// How long a client may have a message held before it is sent; zero if not at all.
    pub(crate) longest_hold: Duration,
}

/// Checks of mail that comes by SMTP. Who hands mail over by LMTP has checked it.
#[derive(Clone, Debug)]
pub(crate) struct CheckSettings {
    pub(crate) enabled: bool,
    /// Whom to ask.
    pub(crate) servers: DnsServers,
    pub(crate) options: checks::Options,
}

/// HTTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HttpSettings {
    /// How long a client may take to send the header of a request.
    pub(crate) header_time: Duration,
    /// The longest header of a request, in octets.
    pub(crate) header_size: usize,
    /// Who may read metrics.
    pub(crate) metrics_from: Vec<Network>,
}

/// JMAP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct JmapSettings {
    /// Whether it is there: not all of its methods are yet.
    pub(crate) enabled: bool,
    /// Where clients find the server, if that is not what they say.
    pub(crate) url: Option<String>,
    /// The origins of pages elsewhere that may ask.
    pub(crate) origins: Vec<String>,
}

/// OAuth. What it comes to is in the options of the directory: see [`Settings::settle_oauth`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OAuthSettings {
    /// Whether it is there, where clients can find it.
    pub(crate) enabled: bool,
    /// Where clients find it: scheme and authority. Without it, where they find JMAP.
    pub(crate) issuer: Option<String>,
    pub(crate) access_lifetime: Duration,
    pub(crate) refresh_lifetime: Duration,
    /// Whether apps may register themselves.
    pub(crate) registration: bool,
}

/// Push services.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PushSettings {
    /// Whether they are used.
    pub(crate) enabled: bool,
    /// Whom they can ask about this server: a URI.
    pub(crate) contact: String,
    /// Requests to them at once.
    pub(crate) at_once: usize,
    /// Networks that are not public, and may be used all the same.
    pub(crate) allow: Vec<Prefix>,
}

impl Settings {
    /// The defaults, for a server of this name.
    pub(crate) fn new(hostname: &str, data: PathBuf) -> Self {
        Self {
            hostname: hostname.to_owned(),
            data,
            log: LogSettings { filter: "info".to_owned(), format: LogFormat::Text },
            tls: TlsSettings {
                certificates: Vec::new(),
                self_signed: vec!["localhost".to_owned(), hostname.to_ascii_lowercase()],
                check_every: Duration::from_secs(60),
                warn_before: Duration::from_secs(14 * 86_400),
            },
            listeners: ListenerSettings::usual(),
            connections: ConnectionSettings {
                total: 30_000,
                times: LinkTimes::default(),
                proxy_header: Duration::from_secs(10),
            },
            shutdown: ShutdownSettings { announce: Duration::ZERO, drain: Duration::from_secs(30) },
            plaintext_login: false,
            node: NodeOptions::default(),
            memory: BudgetLimits::default(),
            inbound: InboundOptions::default(),
            relay: RelaySettings::new(hostname),
            outbound: OutboundSettings::default(),
            checks: CheckSettings {
                enabled: true,
                servers: DnsServers::System,
                options: checks::Options::new(hostname),
            },
            reports: ReportOptions {
                enabled: false,
                sender: reports::Sender {
                    address: format!("postmaster@{hostname}"),
                    organization: hostname.to_owned(),
                    contact: format!("postmaster@{hostname}"),
                },
                local_part: "postmaster+reports".to_owned(),
            },
            smtp: SmtpSettings {
                smtputf8: true,
                limits: smtp::Limits::default(),
                timeouts: smtp::Timeouts::default(),
            },
            submission: SubmissionSettings {
                limits: SendingLimits::default(),
                longest_hold: Duration::from_hours(30 * 24),
            },
            imap: imap::Config::default(),
            pop3: pop3::Config::default(),
            http: HttpSettings {
                header_time: Duration::from_secs(15),
                header_size: 32 << 10,
                metrics_from: Network::LOOPBACK.to_vec(),
            },
            jmap: JmapSettings { enabled: true, url: None, origins: Vec::new() },
            sts: StsPolicy::default(),
            oauth: OAuthSettings {
                enabled: true,
                issuer: None,
                access_lifetime: OAuthOptions::default().access_lifetime,
                refresh_lifetime: OAuthOptions::default().refresh_lifetime,
                registration: false,
            },
            push: PushSettings {
                enabled: true,
                contact: format!("mailto:postmaster@{hostname}"),
                at_once: 50,
                allow: Vec::new(),
            },
        }
    }

    /// Reads a file.
    pub(crate) fn load(path: &Path) -> Result<Self, Problem> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
        Ok(section::read(&path, &text, Self::read)?.0)
    }

    fn read(root: &mut Section<'_>) -> Self {
        let hostname = match root.located::<String>("hostname") {
            Some((line, name)) => {
                if let Err(error) = DomainName::parse(&name) {
                    root.mistake(line, format!("hostname {name:?} is no host name: {error}"));
                }
                name
            }
            None => {
                root.missing("hostname is missing: the name of this server, such as \"mail.example.com\"");
                String::new()
            }
        };
        let mut s = Self::new(&hostname, PathBuf::from("/var/lib/magpie"));
        s.data = root.value("data", s.data);
        root.section("log", |log| sections::log(log, &mut s.log));
        root.section("tls", |tls| sections::tls(tls, &mut s.tls));
        if let Some(listeners) = root.named("listener", ListenerSettings::read) {
            s.listeners = listeners.into_iter().flatten().collect();
        }
        root.section("connections", |section| sections::connections(section, &mut s.connections));
        root.section("shutdown", |section| sections::shutdown(section, &mut s.shutdown));
        root.section("login", |section| {
            s.plaintext_login = section.value("plaintext", s.plaintext_login);
            sections::login(section, &mut s.node.directory);
        });
        root.section("directory", |section| sections::directory(section, &mut s.node.directory));
        root.section("mail", |section| sections::mail(section, &mut s.node));
        root.section("store", |section| sections::store(section, &mut s.node));
        root.section("memory", |section| sections::memory(section, &mut s.memory));
        root.section("inbound", |section| sections::inbound(section, &mut s.inbound));
        root.section("relay", |section| relay::relay(section, &mut s.relay));
        root.section("outbound", |section| relay::outbound(section, &mut s.outbound, &mut s.node.outbound));
        root.section("checks", |section| sections::checks(section, &mut s.checks));
        root.section("reports", |section| sections::reports(section, &mut s.reports));
        root.section("smtp", |section| sections::smtp(section, &mut s.smtp));
        root.section("submission", |section| sections::submission(section, &mut s.submission));
        root.section("imap", |section| sections::imap(section, &mut s.imap));
        root.section("pop3", |section| sections::pop3(section, &mut s.pop3));
        root.section("http", |section| sections::http(section, &mut s.http));
        root.section("jmap", |section| sections::jmap(section, &mut s.jmap));
        root.section("mta_sts", |section| sections::mta_sts(section, &mut s.sts));
        root.section("push", |section| sections::push(section, &mut s.push));
        root.section("oauth", |section| sections::oauth(section, &mut s.oauth));
        s.settle_oauth();
        s.check_addresses(root);
        s
    }

    /// Who hands out tokens, if anybody does: it is known where clients find it, and that is nowhere where everybody
    /// could read along.
    pub(crate) fn issuer(&self) -> Option<&str> {
        let known = self.oauth.issuer.as_deref().or(self.jmap.url.as_deref());
        known.filter(|url| self.oauth.enabled && sections::is_private(url))
    }

    /// Has the directory hand out tokens, and take them, if it is known where.
    pub(crate) fn settle_oauth(&mut self) {
        let metadata = self.issuer().map(|issuer| format!("{issuer}/.well-known/openid-configuration"));
        self.node.directory.oauth = metadata.map(|metadata| OAuthOptions {
            access_lifetime: self.oauth.access_lifetime,
            refresh_lifetime: self.oauth.refresh_lifetime,
            metadata: Some(metadata),
            registration: self.oauth.registration,
        });
    }

    /// One address cannot have two listeners.
    fn check_addresses(&self, root: &Section<'_>) {
        let mut taken: HashMap<Bind, &str> = HashMap::new();
        for listener in &self.listeners {
            for address in &listener.addresses {
                if let Some(other) = taken.insert(*address, &listener.name) {
                    let name = &listener.name;
                    root.missing(format!(
                        "[listener.{name}] and [listener.{other}] both have the address {address}"
                    ));
                }
            }
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let hint = match error.kind() {
        std::io::ErrorKind::NotFound => {
            "; name the file with --config FILE, and begin it with what `magpie serve --example` prints"
        }
        _ => "",
    };
    let kind = if error.kind() == std::io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Unavailable };
    Problem::new(kind, format!("cannot read the configuration {}: {error}{hint}", path.display()))
}

#[cfg(test)]
mod tests;
