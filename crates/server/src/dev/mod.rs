//! `magpie dev`: a whole server on loopback, with test accounts, that stays what it is between runs.

mod accounts;
mod screen;

use std::net::SocketAddr;
use std::time::Duration;

use directory::{DomainName, SendingLimits};
use dns::DnsServers;
use relay::Host;

use self::accounts::Accounts;
use crate::config::{ListenerSettings, Protocol, RelaySettings, Settings};
use crate::data_dir::DataDir;
use crate::inbound::InboundOptions;
use crate::net::{AdmissionLimits, Bind, Network, TlsMode};
use crate::problem::Problem;
use crate::server::{HangUp, Server};

/// The domain of the test accounts.
pub(crate) const DOMAIN: &str = "example.test";
const HOSTNAME: &str = "mail.example.test";
/// How long sessions get to finish what they are doing when the server goes down.
const FAREWELL: Duration = Duration::from_secs(10);
/// On loopback, all clients have one address.
const ADMISSION: AdmissionLimits = AdmissionLimits { total: 10_000, per_address: 5_000 };

/// What was asked for.
pub(crate) struct Plan {
    pub(crate) data: DataDir,
    pub(crate) port_base: u16,
    pub(crate) password: Option<String>,
    /// Makes a password where none is given and none was kept.
    pub(crate) make_password: fn() -> String,
    pub(crate) users: u32,
    pub(crate) inbound: InboundOptions,
    /// Mail is checked, and these servers are asked; without any, it is not.
    pub(crate) dns: Vec<SocketAddr>,
    /// The port of other servers. Without DNS nothing is sent to any.
    pub(crate) relay_port: u16,
    /// A host that takes all mail for others.
    pub(crate) smarthost: Option<Host>,
}

impl Plan {
    /// Where mail for other domains goes, in words.
    fn way_out(&self) -> String {
        match (&self.smarthost, self.dns.first()) {
            (Some(host), _) => format!("goes to {}:{}", host.target, host.port),
            (None, Some(dns)) => {
                format!("goes where DNS at {dns} says, to port {}", self.relay_port)
            }
            (None, None) => "waits in the queue: nothing leaves this machine".to_owned(),
        }
    }
}

/// The ports of a base.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    base: u16,
}

impl Ports {
    const ALL: [(&str, Protocol, u16, TlsMode); 10] = [
        ("smtp", Protocol::Smtp, 25, TlsMode::StartTls),
        ("submission", Protocol::Submission, 587, TlsMode::StartTls),
        ("submissions", Protocol::Submission, 465, TlsMode::Implicit),
        ("lmtp", Protocol::Lmtp, 24, TlsMode::StartTls),
        ("imap", Protocol::Imap, 143, TlsMode::StartTls),
        ("imaps", Protocol::Imap, 993, TlsMode::Implicit),
        ("pop3", Protocol::Pop3, 110, TlsMode::StartTls),
        ("pop3s", Protocol::Pop3, 995, TlsMode::Implicit),
        ("http", Protocol::Http, 80, TlsMode::Off),
        ("https", Protocol::Http, 443, TlsMode::Implicit),
    ];

    /// The port of a listener.
    const fn of(self, offset: u16) -> u16 {
        self.base.saturating_add(offset)
    }

    fn listeners(self) -> Vec<ListenerSettings> {
        let listener = |(name, protocol, offset, tls)| ListenerSettings {
            admission: ADMISSION,
            ..ListenerSettings::new(name, protocol, Bind::Loopback(self.of(offset)), tls)
        };
        Self::ALL.into_iter().map(listener).collect()
    }
}

/// Runs the server until it is told to stop. `say` writes to the terminal.
pub(crate) async fn run(plan: Plan, say: fn(&str)) -> Result<(), Problem> {
    let ports = Ports { base: plan.port_base };
    let mut server = Server::open(settings(&plan, ports)?, HangUp::Stops).await?;
    let accounts = Accounts::ensure(server.node(), &plan).await?;
    server.start()?;
    say(&screen::welcome(&plan.data, ports, &accounts, &plan.way_out()));
    say("ready\n");
    server.until_stopped().await?;
    say("Stopped. Everything is kept for the next run.\n");
    Ok(())
}

/// Nothing leaves unless somebody says by which way; and whoever tries things out has other servers on this machine.
fn relay(plan: &Plan, relay: &mut RelaySettings) -> Result<(), Problem> {
    relay.enabled = !plan.dns.is_empty() || plan.smarthost.is_some();
    relay.port = plan.relay_port;
    if !plan.dns.is_empty() {
        relay.servers = DnsServers::Addresses(plan.dns.clone());
    }
    for network in Network::LOOPBACK {
        relay.allow.push(network.to_string().parse().map_err(|_| Problem::invalid("no network"))?);
    }
    if let Some(host) = &plan.smarthost {
        *relay = relay.clone().by_way_of(host.clone());
    }
    Ok(())
}

fn settings(plan: &Plan, ports: Ports) -> Result<Settings, Problem> {
    let mut settings = Settings::new(HOSTNAME, plan.data.path().to_owned());
    settings.listeners = ports.listeners();
    settings.plaintext_login = true;
    // Fewer than a real server's: a system's usual limit on open files is enough for them.
    settings.connections.total = 10_000;
    settings.shutdown.drain = FAREWELL;
    settings.inbound = plan.inbound;
    settings.checks.enabled = !plan.dns.is_empty();
    settings.checks.servers = DnsServers::Addresses(plan.dns.clone());
    relay(plan, &mut settings.relay)?;
    // All clients are on loopback here; who names a server wants them checked.
    settings.checks.options.exempt = Vec::new();
    settings.tls.self_signed = ["localhost", DOMAIN, &format!("*.{DOMAIN}")].map(str::to_owned).to_vec();
    settings.node.directory.default_domain = Some(DomainName::parse(DOMAIN)?);
    settings.push.enabled = settings.relay.enabled;
    settings.push.allow.clone_from(&settings.relay.allow);
    settings.oauth.issuer = Some(format!("http://127.0.0.1:{}", ports.of(80)));
    settings.settle_oauth();
    // Whoever tries things out may send as much as they like, and choose any password.
    settings.submission.limits =
        SendingLimits { messages_per_hour: None, recipients_per_hour: None, recipients_per_day: None };
    settings.node.directory.password_min_chars = 1;
    Ok(settings)
}
