//! A whole server: everything that `magpie serve` and `magpie dev` have in common.
//!
//! ```text
//!   open: stores, ports, certificates, admin socket    what is in the way is told before anything runs
//!   start: a driver behind each listener
//!   until_stopped: signals; then sessions are told, get time to finish, and are cut
//! ```

use std::sync::Arc;
use std::time::Duration;

use checks::Checks;
use directory::DomainName;
use directory::sasl::{ChannelBindings, Mechanism};
use dns::{NetworkResolver, Resolver, Validation};
use futures::FutureExt;
use http_api::{Api, ApiLimits, Discovery, Exporter, HttpLimits, HttpServer, OAuth};
use jmap::Jmap;
use queue::Queue;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use crate::admin::Counter;
use crate::budget::Budget;
use crate::carriage::{Carrier, Retries};
use crate::config::{
    CheckSettings, HttpSettings, JmapSettings, ListenerSettings, Protocol, Settings, ShutdownSettings,
};
use crate::data_dir::DataDir;
use crate::driver::departures::Sender;
use crate::driver::http::HttpDriver;
use crate::driver::imap::ImapServer;
use crate::driver::jmap::JmapDriver;
use crate::driver::pop3::Pop3Server;
use crate::driver::port::Port;
use crate::driver::smtp::SmtpServer;
use crate::inbound::Inbound;
use crate::meters::{Gauges, PortMeters};
use crate::net::tls::{self, Certificates};
use crate::net::{House, Lifecycle, Listener, TlsMode};
use crate::node::Node;
use crate::notice::Notifier;
use crate::outbound::Outbound;
use crate::problem::{Kind, Problem};
use crate::public;
use crate::pushing::Pushing;
use crate::reporting::Reporting;
use crate::service_manager::notify;
use crate::upkeep;
use crate::vacation::Responder;

/// Files that are open besides connections.
const FILES: u64 = 1_000;

/// Event sources of one user at once: one for each app, and some for connections that are lost and do not know it.
const EVENT_SOURCES: usize = 20;
/// Downloads of one user at once: a message full of pictures, on two devices.
const DOWNLOADS: usize = 64;
/// How often WebSockets are asked whether somebody is there, and whether their logins are still valid.
const SOCKET_PING: Duration = Duration::from_mins(1);
/// How long the body of a request to JMAP may take.
const BODY_TIME: Duration = Duration::from_mins(1);
/// How long an upload may take: the largest at some 60 kilobytes a second.
const UPLOAD_TIME: Duration = Duration::from_mins(15);

/// A server that is ready to start, or runs.
pub(crate) struct Server {
    settings: Settings,
    data: DataDir,
    node: Node,
    listeners: Vec<(ListenerSettings, Listener)>,
    certificates: Arc<Certificates>,
    lifecycle: Lifecycle,
    signals: Signals,
    budget: Budget,
    inbound: Inbound,
    outbound: Option<Outbound>,
    checks: Option<Checks>,
    notifier: Notifier,
    reporting: Reporting,
    pushing: Option<Pushing>,
    exporter: Exporter,
}

/// How a server came to its end.
pub(crate) struct Stopped {
    /// Connections that did not end in time.
    pub(crate) cut: usize,
}

/// What SIGHUP means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HangUp {
    /// The terminal is gone, and the server goes with it.
    Stops,
    /// Files are to be read again.
    Reloads,
}

impl Server {
    /// Opens the stores and binds the ports.
    pub(crate) async fn open(settings: Settings, hang_up: HangUp) -> Result<Self, Problem> {
        tls::install_provider();
        // Before anything counts.
        let exporter = Exporter::install();
        allow_connections(settings.connections.total as u64);
        let signals = Signals::listen(hang_up)?;
        let data = DataDir::new(&settings.data, settings.node.clone())?;
        data.create()?;
        let node = Node::open(&data)?;
        let house = House::new(settings.connections.total);
        let mut listeners = Vec::new();
        for listener in &settings.listeners {
            let bound = Listener::bind(listener, &house, settings.connections.proxy_header).await?;
            listeners.push((listener.clone(), bound));
        }
        let certificates = Certificates::load(&settings.tls, &data.tls(), node.clock.clone())?;
        certificates.warn();
        let lifecycle = Lifecycle::default();
        Counter::open(&data)?.run(node.clone(), &lifecycle);
        let budget = Budget::new(settings.memory);
        let checks = checks(&settings.checks, &node)?;
        let notifier = Notifier::new(&node, &settings.hostname);
        let reporting = reporting(&settings, &node, &lifecycle)?;
        let pushing = Pushing::open(&settings, &node).await?;
        let witness = Arc::new(reporting.clone());
        let outbound = Outbound::open(&settings, &node, &notifier, witness)?;
        let inbound = Inbound::new(
            &node,
            budget.clone(),
            settings.inbound,
            checks.clone(),
            notifier.clone(),
            reporting.clone(),
        );
        Ok(Self {
            settings,
            data,
            node,
            listeners,
            certificates,
            lifecycle,
            signals,
            budget,
            inbound,
            outbound,
            checks,
            notifier,
            reporting,
            pushing,
            exporter,
        })
    }

    /// The services.
    pub(crate) const fn node(&self) -> &Node {
        &self.node
    }

    /// Begins to serve.
    pub(crate) fn start(&mut self) -> Result<(), Problem> {
        upkeep::start(self.node.clone(), self.settings.outbound.oldest_mark, &self.lifecycle);
        self.inbound.start(&self.lifecycle);
        Responder::new(&self.node, self.notifier.clone(), &self.settings.hostname).start(&self.lifecycle);
        match &self.outbound {
            Some(outbound) => outbound.start(&self.lifecycle),
            None => tracing::info!("the relay is turned off: mail for other servers waits in the queue"),
        }
        self.reporting.start();
        if let Some(pushing) = &self.pushing {
            pushing.start(&self.lifecycle);
        }
        self.watch_certificates();
        for (settings, listener) in std::mem::take(&mut self.listeners) {
            self.serve(&settings, listener)?;
        }
        Ok(())
    }

    /// Runs until the server is told to stop, and stops it.
    pub(crate) async fn until_stopped(mut self) -> Result<Stopped, Problem> {
        loop {
            match self.signals.next().await {
                Told::Reload => self.reload(),
                Told::Stop(name) => {
                    tracing::info!(signal = name, "stopping");
                    break;
                }
            }
        }
        notify("STOPPING=1");
        let Self { settings, lifecycle, mut signals, reporting, .. } = self;
        let stopped = tokio::select! {
            cut = stop(&lifecycle, settings.shutdown) => cut,
            () = signals.stop() => return Err(Problem::unavailable("stopped at once, as was asked for twice")),
        };
        // What the last sessions have seen counts, too.
        reporting.finish().await;
        if stopped.cut > 0 {
            tracing::warn!(connections = stopped.cut, "cut off: they did not end in time");
        }
        Ok(stopped)
    }

    fn serve(&self, settings: &ListenerSettings, listener: Listener) -> Result<(), Problem> {
        let port = Port {
            mode: settings.tls,
            tls: tls::acceptor(&self.certificates, settings.protocol.alpn())?,
            times: self.settings.connections.times,
            meters: Arc::new(PortMeters::new(settings)),
        };
        match settings.protocol {
            Protocol::Smtp => self.serve_smtp(port, smtp::Protocol::Smtp, listener),
            Protocol::Submission => self.serve_smtp(port, smtp::Protocol::Submission, listener),
            Protocol::Lmtp => self.serve_smtp(port, smtp::Protocol::Lmtp, listener),
            Protocol::Imap => self.serve_imap(port, listener),
            Protocol::Pop3 => self.serve_pop3(port, listener),
            Protocol::Http => self.serve_http(port, listener),
        }
        Ok(())
    }

    fn serve_smtp(&self, port: Port, protocol: smtp::Protocol, listener: Listener) {
        let mut config = self.smtp_config(protocol);
        config.starttls = port.offers_tls();
        if protocol == smtp::Protocol::Submission {
            self.offer_submission(&mut config);
        }
        let server = Arc::new(SmtpServer::new(config, port, self.data.spool(), self.carrier(protocol)));
        let tasks = self.lifecycle.clone();
        listener
            .run(&self.lifecycle, move |socket, client| server.clone().serve(socket, client, tasks.clone()));
    }

    /// What holds for everybody who hands mail over by a protocol.
    fn smtp_config(&self, protocol: smtp::Protocol) -> smtp::Config {
        let mut config = smtp::Config::new(&self.settings.hostname, protocol);
        config.smtputf8 = self.settings.smtp.smtputf8;
        // What has no lines is put into some before it is kept.
        config.binarymime = true;
        config.limits = self.settings.smtp.limits.clone();
        config.limits.message = self.settings.node.message_size;
        config.timeouts = self.settings.smtp.timeouts.clone();
        config.timeouts.handshake = self.settings.connections.times.handshake;
        config
    }

    /// What brings messages to their places that come by a protocol.
    fn carrier(&self, protocol: smtp::Protocol) -> Carrier {
        Carrier {
            hostname: self.settings.hostname.clone(),
            protocol,
            kv: self.node.kv.clone(),
            directory: self.node.directory.clone(),
            mail: self.node.mail.clone(),
            inbound: self.inbound.clone(),
            outbound: self.node.outbound.clone(),
            notifier: self.notifier.clone(),
            retries: Arc::new(Retries::new(self.node.bus.clone())),
            budget: self.budget.clone(),
            // Whoever submits has logged in, and who hands mail over by LMTP has checked it.
            checks: self.checks.clone().filter(|_| protocol == smtp::Protocol::Smtp),
            sending: self.settings.submission.limits,
            reporting: self.reporting.clone(),
            clock: self.node.clock.clone(),
        }
    }

    /// What is on offer to those who log in to send. DSN is a promise that is kept for them: their address is theirs.
    fn offer_submission(&self, config: &mut smtp::Config) {
        // The session offers those that need a channel only where there is one.
        let bindable = ChannelBindings::NONE.with_exporter([0; 32]);
        let mechanisms = self.node.directory.mechanisms(&bindable);
        config.login.mechanisms = mechanisms.into_iter().map(Mechanism::name).collect();
        config.login.plaintext = self.settings.plaintext_login;
        config.dsn = true;
        config.limits.recipients = config.limits.recipients.min(Queue::RECIPIENTS);
        let longest = self.settings.submission.longest_hold;
        config.extensions.future_release = (longest > Duration::ZERO).then_some(longest);
        config.extensions.require_tls = true;
    }

    fn serve_imap(&self, port: Port, listener: Listener) {
        let mut config = self.settings.imap.clone();
        config.hostname.clone_from(&self.settings.hostname);
        config.plaintext_login = self.settings.plaintext_login;
        config.starttls = port.offers_tls();
        config.limits.append = self.settings.node.message_size;
        let services = imap::Services {
            mail: self.node.mail.clone(),
            directory: self.node.directory.clone(),
            clock: self.node.clock.clone(),
        };
        let server = Arc::new(ImapServer { port, config: Arc::new(config), services });
        let tasks = self.lifecycle.clone();
        listener
            .run(&self.lifecycle, move |socket, client| server.clone().serve(socket, client, tasks.clone()));
    }

    fn serve_pop3(&self, port: Port, listener: Listener) {
        let mut config = self.settings.pop3.clone();
        config.hostname.clone_from(&self.settings.hostname);
        config.plaintext_login = self.settings.plaintext_login;
        config.stls = port.offers_tls();
        let services =
            pop3::Services { mail: self.node.mail.clone(), directory: self.node.directory.clone() };
        let server = Arc::new(Pop3Server { port, config: Arc::new(config), services });
        let tasks = self.lifecycle.clone();
        listener
            .run(&self.lifecycle, move |socket, client| server.clone().serve(socket, client, tasks.clone()));
    }

    fn serve_http(&self, port: Port, listener: Listener) {
        let HttpSettings { header_time, header_size, metrics_from } = self.settings.http.clone();
        let gauges = Gauges {
            inbound: self.node.inbound.clone(),
            outbound: self.node.outbound.clone(),
            budget: self.budget.clone(),
            certificates: self.certificates.clone(),
            readiness: self.readiness(),
            exporter: self.exporter.clone(),
        };
        let services = http_api::Services {
            readiness: self.readiness(),
            exporter: self.exporter.clone(),
            collect: Arc::new(move || gauges.clone().collect().boxed()),
            access: Arc::new(move |client| metrics_from.iter().any(|network| network.contains(client))),
        };
        let limits = HttpLimits { header_size, header_time, stall: self.settings.connections.times.stall };
        let mut server = HttpServer::new(services, limits).with_discovery(self.discovery());
        let encrypted = port.mode == TlsMode::Implicit;
        if self.settings.jmap.enabled {
            server = server.with_jmap(self.jmap(encrypted));
        }
        if let Some(issuer) = self.settings.issuer() {
            server = server.with_oauth(self.oauth(issuer, encrypted));
        }
        let (server, tasks) = (Arc::new(HttpDriver { port, server }), self.lifecycle.clone());
        listener
            .run(&self.lifecycle, move |socket, client| server.clone().serve(socket, client, tasks.clone()));
    }

    /// What programs are told that know nothing but an address.
    fn discovery(&self) -> Discovery {
        // The configuration holds a name that can be read.
        let host = DomainName::parse(&self.settings.hostname);
        let host = host.map_or_else(|_| self.settings.hostname.clone(), |host| host.to_string());
        Discovery {
            directory: self.node.directory.clone(),
            services: public::services(&self.settings.listeners),
            policy: self.settings.sts.text(&host),
            host,
        }
    }

    /// JMAP for a listener whose connections are encrypted, or not.
    fn jmap(&self, encrypted: bool) -> Api {
        let JmapSettings { url, origins, .. } = self.settings.jmap.clone();
        let mut config = self.smtp_config(smtp::Protocol::Submission);
        self.offer_submission(&mut config);
        let carrier = self.carrier(smtp::Protocol::Submission);
        let services = jmap::Services {
            mail: self.node.mail.clone(),
            directory: self.node.directory.clone(),
            push: self.pushing.as_ref().map(|pushing| pushing.push().clone()),
            clock: self.node.clock.clone(),
            departures: Arc::new(Sender::new(carrier, config, self.data.spool())),
        };
        let limits = jmap::Limits { size_upload: self.settings.node.message_size, ..jmap::Limits::default() };
        let jmap = Jmap::new(services, limits);
        Api {
            directory: self.node.directory.clone(),
            service: Arc::new(JmapDriver(jmap)),
            encrypted,
            plaintext_login: self.settings.plaintext_login,
            base: url,
            origins,
            issuer: self.settings.issuer().map(str::to_owned),
            limits: ApiLimits {
                request: limits.size_request,
                upload: usize::try_from(limits.size_upload).unwrap_or(usize::MAX),
                requests_at_once: limits.concurrent_requests,
                uploads_at_once: limits.concurrent_upload,
                downloads_at_once: DOWNLOADS,
                event_sources_at_once: EVENT_SOURCES,
                socket_ping: SOCKET_PING,
                body_time: BODY_TIME,
                upload_time: UPLOAD_TIME,
            },
        }
    }

    /// OAuth for a listener whose connections are encrypted, or not.
    fn oauth(&self, issuer: &str, encrypted: bool) -> OAuth {
        OAuth {
            directory: self.node.directory.clone(),
            clock: self.node.clock.clone(),
            issuer: issuer.to_owned(),
            name: self.settings.hostname.clone(),
            encrypted,
            plaintext_login: self.settings.plaintext_login,
            origins: self.settings.jmap.origins.clone(),
            registration: self.settings.oauth.registration,
            jmap: self.settings.jmap.enabled,
            body_time: BODY_TIME,
        }
    }

    /// What stands against taking mail, in words.
    fn readiness(&self) -> Arc<dyn Fn() -> Vec<String> + Send + Sync> {
        let (kv, blobs, lifecycle) = (self.node.kv.clone(), self.node.blobs.clone(), self.lifecycle.clone());
        Arc::new(move || {
            let mut reasons = Vec::new();
            if lifecycle.is_leaving() {
                reasons.push("the server is going down".to_owned());
            }
            reasons.extend(kv.health().err().map(|error| error.to_string()));
            reasons.extend(blobs.health().err().map(|error| error.to_string()));
            reasons
        })
    }

    /// Looks at the certificates' files now and then.
    fn watch_certificates(&self) {
        let (certificates, stopping) = (self.certificates.clone(), self.lifecycle.clone());
        let every = self.settings.tls.check_every;
        self.lifecycle.spawn(async move {
            loop {
                tokio::select! {
                    () = stopping.stopping() => return,
                    () = sleep(every) => refresh(certificates.clone()).await,
                }
            }
        });
    }

    fn reload(&self) {
        tracing::info!("looking at the certificates, as was asked for");
        let (certificates, exporter) = (self.certificates.clone(), self.exporter.clone());
        let clock = self.node.clock.clone();
        self.lifecycle.spawn(async move {
            refresh(certificates).await;
            exporter.set(
                "magpie_reload_timestamp_seconds",
                &[],
                Duration::from_secs(clock.now().secs()).as_secs_f64(),
            );
        });
    }
}

/// The checks of incoming mail, if they are wanted.
fn checks(settings: &CheckSettings, node: &Node) -> Result<Option<Checks>, Problem> {
    if !settings.enabled {
        return Ok(None);
    }
    let resolver = NetworkResolver::new(&settings.servers, Validation::Off);
    let resolver = resolver.map_err(|error| Problem::unavailable(error.to_string()))?;
    Ok(Some(Checks::new(Arc::new(resolver), node.clock.clone(), settings.options.clone())))
}

/// What sends reports, if they are wanted, and reads those of others.
fn reporting(settings: &Settings, node: &Node, lifecycle: &Lifecycle) -> Result<Reporting, Problem> {
    let resolver: Option<Arc<dyn Resolver>> = match settings.reports.enabled {
        true => {
            let resolver = NetworkResolver::new(&settings.checks.servers, Validation::Off);
            Some(Arc::new(resolver.map_err(|error| Problem::unavailable(error.to_string()))?))
        }
        false => None,
    };
    Ok(Reporting::new(settings.reports.clone(), node, resolver, lifecycle))
}

async fn refresh(certificates: Arc<Certificates>) {
    let refreshed = tokio::task::spawn_blocking(move || certificates.refresh()).await;
    if let Err(error) = refreshed {
        tracing::error!(%error, "the certificates were not looked at");
    }
}

/// Says that the server will stop, waits until that has got about, and stops it.
async fn stop(lifecycle: &Lifecycle, settings: ShutdownSettings) -> Stopped {
    if settings.announce > Duration::ZERO {
        lifecycle.leave();
        sleep(settings.announce).await;
    }
    Stopped { cut: lifecycle.stop(settings.drain).await }
}

/// What a signal says.
enum Told {
    Stop(&'static str),
    Reload,
}

/// What tells a server to do something.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    meaning: HangUp,
}

impl Signals {
    fn listen(meaning: HangUp) -> Result<Self, Problem> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Problem::new(Kind::Unavailable, format!("cannot listen for the signal to stop: {error}"))
            })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
            meaning,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::Stop("SIGINT"),
            _ = self.terminate.recv() => Told::Stop("SIGTERM"),
            _ = self.hang_up.recv() => match self.meaning {
                HangUp::Stops => Told::Stop("SIGHUP"),
                HangUp::Reloads => Told::Reload,
            },
        }
    }

    /// Resolves when the server is told to stop.
    async fn stop(&mut self) {
        while let Told::Reload = self.next().await {}
    }
}

/// Each connection is a file to the system, which lets a process have few of them unless it asks.
fn allow_connections(connections: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "cannot raise the number of open files");
    }
    if let Some(files) = limit.maximum
        && files < connections + FILES
    {
        tracing::warn!(
            files,
            connections,
            "the system allows fewer open files than there may be connections: raise the limit (LimitNOFILE= in \
             systemd), or lower connections.total"
        );
    }
}
