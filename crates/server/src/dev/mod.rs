//! `magpie dev`: a whole server on loopback, with test accounts, that stays what it is between runs.

mod accounts;
mod screen;

use std::sync::Arc;
use std::time::Duration;

use directory::DomainName;
use rustix::process::{Resource, getrlimit, setrlimit};
use smtp::Protocol;
use tokio::signal::unix::{SignalKind, signal};

use self::accounts::Accounts;
use crate::admin::Counter;
use crate::data_dir::DataDir;
use crate::driver::budget::{Budget, BudgetLimits};
use crate::driver::conversation::{Opening, Port};
use crate::driver::http::HttpServer;
use crate::driver::imap::{ImapServer, ImapTimeouts};
use crate::driver::pop3::Pop3Server;
use crate::driver::smtp::{SmtpServer, SmtpServices};
use crate::inbound::{Inbound, InboundOptions};
use crate::net::tls::{Identity, install_provider};
use crate::net::{Admission, AdmissionLimits, Endpoint, Lifecycle, Listener};
use crate::node::{MESSAGE, Node};
use crate::problem::{Kind, Problem};
use crate::upkeep;

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
}

/// The ports of a base.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    base: u16,
}

impl Ports {
    const fn smtp(self) -> Endpoint {
        self.endpoint("smtp", 25, b"421 4.7.0 Too many connections; try again in a while\r\n")
    }

    const fn lmtp(self) -> Endpoint {
        self.endpoint("lmtp", 24, b"421 4.7.0 Too many connections; try again in a while\r\n")
    }

    const fn http(self) -> Endpoint {
        self.endpoint(
            "http",
            80,
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        )
    }

    const fn pop3(self) -> Endpoint {
        self.endpoint("pop3", 110, b"-ERR [SYS/TEMP] too many connections; try again in a while\r\n")
    }

    const fn pop3s(self) -> Endpoint {
        self.endpoint("pop3s", 995, b"")
    }

    const fn imap(self) -> Endpoint {
        self.endpoint("imap", 143, b"* BYE [UNAVAILABLE] too many connections; try again in a while\r\n")
    }

    const fn imaps(self) -> Endpoint {
        self.endpoint("imaps", 993, b"")
    }

    const fn endpoint(self, name: &'static str, offset: u16, crowded: &'static [u8]) -> Endpoint {
        Endpoint { name, port: self.base.saturating_add(offset), crowded }
    }
}

/// The sockets, bound before anything else is done: what is in the way is told at once.
struct Listeners {
    smtp: Listener,
    lmtp: Listener,
    pop3: Listener,
    pop3s: Listener,
    imap: Listener,
    imaps: Listener,
    http: Listener,
}

impl Listeners {
    async fn bind(ports: Ports) -> Result<Self, Problem> {
        Ok(Self {
            smtp: Listener::loopback(ports.smtp()).await?,
            lmtp: Listener::loopback(ports.lmtp()).await?,
            pop3: Listener::loopback(ports.pop3()).await?,
            pop3s: Listener::loopback(ports.pop3s()).await?,
            imap: Listener::loopback(ports.imap()).await?,
            imaps: Listener::loopback(ports.imaps()).await?,
            http: Listener::loopback(ports.http()).await?,
        })
    }
}

/// Runs the server until it is told to stop. `say` writes to the terminal.
pub(crate) async fn run(plan: Plan, say: fn(&str)) -> Result<(), Problem> {
    install_provider();
    allow_many_connections();
    let mut signals = Signals::listen()?;
    plan.data.create()?;
    let node = Node::open(&plan.data, options()?)?;
    let ports = Ports { base: plan.port_base };
    let listeners = Listeners::bind(ports).await?;
    let identity = Identity::self_signed(&plan.data.tls(), DOMAIN)?;
    let counter = Counter::open(&plan.data)?;
    let accounts = Accounts::ensure(&node, &plan).await?;

    let lifecycle = Lifecycle::default();
    counter.run(node.clone(), &lifecycle);
    upkeep::start(node.clone(), &lifecycle);
    serve(listeners, &node, &plan, &identity, &lifecycle)?;
    say(&screen::welcome(&plan.data, ports, &accounts));
    say("ready\n");

    let name = signals.next().await;
    tracing::debug!(signal = name, "going down");
    let stopped = tokio::select! {
        cut = lifecycle.stop(FAREWELL) => cut,
        _ = signals.next() => return Err(Problem::unavailable("stopped at once, as was asked for twice")),
    };
    if stopped > 0 {
        tracing::warn!(connections = stopped, "cut off: they did not end in time");
    }
    say("Stopped. Everything is kept for the next run.\n");
    Ok(())
}

fn options() -> Result<directory::Options, Problem> {
    Ok(directory::Options {
        default_domain: Some(DomainName::parse(DOMAIN)?),
        // Whoever tries things out may choose any password.
        password_min_chars: 1,
        ..directory::Options::default()
    })
}

fn serve(
    listeners: Listeners,
    node: &Node,
    plan: &Plan,
    identity: &Identity,
    lifecycle: &Lifecycle,
) -> Result<(), Problem> {
    let budget = Budget::new(BudgetLimits::default());
    let inbound = Inbound::new(node, budget.clone(), plan.inbound);
    inbound.start(lifecycle);
    for (listener, protocol) in [(listeners.smtp, Protocol::Smtp), (listeners.lmtp, Protocol::Lmtp)] {
        let mut config = smtp::Config::new(HOSTNAME, protocol);
        config.limits.message = MESSAGE;
        let services = SmtpServices {
            kv: node.kv.clone(),
            bus: node.bus.clone(),
            directory: node.directory.clone(),
            mail: node.mail.clone(),
            inbound: inbound.clone(),
            budget: budget.clone(),
            clock: node.clock.clone(),
        };
        let server = Arc::new(SmtpServer::new(config, identity.acceptor()?, plan.data.spool(), services));
        let tasks = lifecycle.clone();
        listener.run(&Admission::new(ADMISSION), lifecycle, move |socket, peer| {
            server.clone().serve(socket, peer, tasks.clone())
        });
    }
    for (listener, opening) in [(listeners.imap, Opening::Plain), (listeners.imaps, Opening::Tls)] {
        let config =
            imap::Config { hostname: HOSTNAME.to_owned(), plaintext_login: true, ..imap::Config::default() };
        let server = Arc::new(ImapServer {
            port: Port { opening, tls: identity.acceptor()? },
            config: Arc::new(config),
            services: imap::Services {
                mail: node.mail.clone(),
                directory: node.directory.clone(),
                clock: node.clock.clone(),
            },
            timeouts: ImapTimeouts::default(),
        });
        let tasks = lifecycle.clone();
        listener.run(&Admission::new(ADMISSION), lifecycle, move |socket, peer| {
            server.clone().serve(socket, peer, tasks.clone())
        });
    }
    for (listener, opening) in [(listeners.pop3, Opening::Plain), (listeners.pop3s, Opening::Tls)] {
        let config =
            pop3::Config { hostname: HOSTNAME.to_owned(), plaintext_login: true, ..pop3::Config::default() };
        let server = Arc::new(Pop3Server {
            port: Port { opening, tls: identity.acceptor()? },
            config: Arc::new(config),
            services: pop3::Services { mail: node.mail.clone(), directory: node.directory.clone() },
        });
        let tasks = lifecycle.clone();
        listener.run(&Admission::new(ADMISSION), lifecycle, move |socket, peer| {
            server.clone().serve(socket, peer, tasks.clone())
        });
    }
    let server = Arc::new(HttpServer::new(node.kv.clone(), node.blobs.clone(), lifecycle.clone()));
    let tasks = lifecycle.clone();
    listeners.http.run(&Admission::new(ADMISSION), lifecycle, move |socket, peer| {
        server.clone().serve(socket, peer, tasks.clone())
    });
    Ok(())
}

/// What tells a server to stop.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self, Problem> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Problem::new(Kind::Unavailable, format!("cannot listen for the signal to stop: {error}"))
            })
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Each connection is a file to the system, which lets a process have few of them unless it asks.
fn allow_many_connections() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "cannot raise the number of open files");
    }
}
