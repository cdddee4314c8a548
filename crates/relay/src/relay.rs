//! The relay: a message, the hosts that take it, and one connection after the other until somebody does.
//!
//! What a host says about a recipient, counts, be it yes or no. Where a host cannot be used at all, or goes away before it
//! has said anything, the next one is tried: the other family of addresses, then the other hosts. Where the answer to a
//! whole message was lost, nobody else is tried now: the message may be there already, and a second host would make a
//! second copy certain.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::Notify;

use crate::attempt::{Attempt, Report};
use crate::body::{MessageSource, Survey, Surveyor};
use crate::call::Call;
use crate::network::Network;
use crate::pool::{Line, Pool};
use crate::round::Round;
use crate::route::{Host, Plan, Reach, Router};
use crate::session::{Failure, FailureKind, Patience, Stage};
use crate::sts::StsState;
use crate::tls::{Demand, HostPolicy, PolicyKind, TlsClient, TlsPolicies, TlsProblem, TlsReason};
use crate::window::Window;

/// Destinations that are remembered, at most, for what they like.
const WINDOWS: usize = 10_000;

/// How the relay behaves.
#[derive(Clone, Debug)]
pub struct RelayOptions {
    /// Our own name, as EHLO says it.
    pub hello: String,
    /// How long to wait for answers.
    pub patience: Patience,
    /// How long a connection may take.
    pub connect: Duration,
    /// Addresses that are tried in one attempt, at most.
    pub addresses: usize,
    /// Connections to one destination at first, and at most.
    pub connections: (u16, u16),
    /// How long a connection is kept for another message.
    pub idle: Duration,
    /// Messages that a connection carries, at most.
    pub messages: u32,
    /// Whether a smarthost gets the password over a connection that nothing protects.
    pub plaintext_login: bool,
}

impl RelayOptions {
    /// With the name for EHLO, and what suits the Internet.
    pub fn new(hello: impl Into<String>) -> Self {
        Self {
            hello: hello.into(),
            patience: Patience::default(),
            connect: Duration::from_secs(30),
            addresses: 6,
            connections: (4, 20),
            idle: Duration::from_secs(15),
            messages: 100,
            plaintext_login: false,
        }
    }
}

/// Brings messages to other servers. Cheap to clone.
#[derive(Clone)]
pub struct Relay(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) options: RelayOptions,
    router: Arc<Router>,
    policies: TlsPolicies,
    pub(crate) tls: Arc<TlsClient>,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) pool: Pool,
    windows: Mutex<HashMap<String, Window>>,
    /// A place in some window is free.
    freed: Notify,
    /// Somebody has parked a connection.
    pub(crate) parked: Notify,
    rng: Mutex<StdRng>,
}

/// A place in a destination's window; given back when dropped.
struct Place<'a> {
    inner: &'a Inner,
    destination: String,
}

impl Relay {
    /// A relay. Randomness decides the order of equals; a seed makes that repeatable in tests.
    pub fn new(
        options: RelayOptions,
        router: Arc<Router>,
        policies: TlsPolicies,
        tls: Arc<TlsClient>,
        network: Arc<dyn Network>,
        seed: Option<u64>,
    ) -> Self {
        let rng = seed.map_or_else(|| StdRng::from_rng(&mut rand::rng()), StdRng::seed_from_u64);
        let pool = Pool::new(options.idle, options.messages);
        Self(Arc::new(Inner {
            options,
            router,
            policies,
            tls,
            network,
            pool,
            windows: Mutex::default(),
            freed: Notify::new(),
            parked: Notify::new(),
            rng: Mutex::new(rng),
        }))
    }

    /// How many more messages may be on their way to a destination now. Whoever leases work should lease no more.
    pub fn room(&self, destination: &str) -> usize {
        self.0.with_window(destination, |window| window.room())
    }

    /// How many messages may be on their way to a destination at once, those included that are.
    pub fn width(&self, destination: &str) -> usize {
        let (first, most) = self.0.options.connections;
        let windows = self.0.windows.lock();
        windows.get(&destination.to_lowercase()).map_or_else(|| Window::new(first, most).size(), Window::size)
    }

    /// Brings a message to the servers of its destination. Every recipient has one outcome; it never takes longer than
    /// its addresses take together.
    pub async fn deliver(&self, attempt: &Attempt) -> Report {
        let count = attempt.envelope.recipients.len();
        let survey = match survey(&*attempt.source).await {
            Ok(survey) => survey,
            Err(why) => {
                let failure = Failure { stage: Stage::Idle, kind: FailureKind::Source(why) };
                return Report::all(count, &failure.outcome(), None);
            }
        };
        let _place = self.0.enter(&attempt.destination).await;
        let mut rng = StdRng::from_rng(&mut *self.0.rng.lock());
        let plan = match self.0.router.plan(&attempt.destination, &mut rng).await {
            Ok(plan) => plan,
            Err(error) => return Report::all(count, &error.outcome(), error.barrier()),
        };
        let mut round = Round::new(survey, count);
        self.0.walk(&plan, attempt, &mut round).await;
        round.report()
    }

    /// Closes idle connections in time, until it is dropped. Run it beside the workers.
    pub async fn sweep(&self) {
        loop {
            let next = self.0.pool.sweep(false).await;
            let parked = self.0.parked.notified();
            match next {
                Some(next) => tokio::select! {
                    () = tokio::time::sleep_until(next) => {}
                    () = parked => {}
                },
                None => parked.await,
            }
        }
    }

    /// Says goodbye on all idle connections.
    pub async fn close(&self) {
        self.0.pool.sweep(true).await;
    }
}

impl Inner {
    pub(crate) fn with_window<T>(&self, destination: &str, run: impl FnOnce(&mut Window) -> T) -> T {
        let (first, most) = self.options.connections;
        let mut windows = self.windows.lock();
        let window = windows.entry(destination.to_lowercase()).or_insert_with(|| Window::new(first, most));
        run(window)
    }

    async fn enter(&self, destination: &str) -> Place<'_> {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // What is freed between the look and the wait must not be missed.
            freed.as_mut().enable();
            if self.with_window(destination, Window::enter) {
                return Place { inner: self, destination: destination.to_owned() };
            }
            freed.await;
        }
    }

    /// Tries one host after the other.
    async fn walk(&self, plan: &Plan, attempt: &Attempt, round: &mut Round) {
        let sts = self.policies.domain(plan).await;
        if let StsState::Unknown(why) = &sts {
            round.problems.push(TlsProblem {
                kind: PolicyKind::Sts,
                host: format!("mta-sts.{}", plan.destination),
                reason: TlsReason::StsPolicyFetch,
                detail: why.clone(),
            });
        }
        if let StsState::Policy(policy) = &sts {
            round.announce(policy.announced());
        }
        for host in &plan.hosts {
            if round.is_over() || round.attempted() >= self.options.addresses {
                return;
            }
            let reach = match self.router.reach(host, &plan.route).await {
                Ok(reach) => reach,
                Err(error) => {
                    round.pass_over(host, &error.outcome(), error.barrier());
                    continue;
                }
            };
            let protection = attempt.envelope.protection;
            match self.policies.host(plan, &host.target, &reach, &sts, protection).await {
                Ok(policy) => {
                    if let Demand::Dane(records) = &policy.demand {
                        round.announce(records.announced(&host.target.to_string()));
                    }
                    self.host(plan, host, &reach, &policy, attempt, round).await;
                }
                Err(error) => {
                    round.problems.extend(error.problem());
                    round.pass_over(host, &error.outcome(), error.barrier());
                }
            }
        }
    }

    /// Tries one address of a host after the other.
    async fn host(
        &self,
        plan: &Plan,
        host: &Host,
        reach: &Reach,
        policy: &HostPolicy,
        attempt: &Attempt,
        round: &mut Round,
    ) {
        for address in &reach.addresses {
            if round.is_over() || round.attempted() >= self.options.addresses {
                return;
            }
            let sources: Vec<_> = plan
                .route
                .sources
                .iter()
                .copied()
                .filter(|source| source.is_ipv4() == address.is_ipv4())
                .collect();
            let source = match sources.len() {
                0 => None,
                count => sources.get(self.rng.lock().random_range(0..count)).copied(),
            };
            let call = Call {
                inner: self,
                plan,
                address: SocketAddr::new(*address, host.port),
                policy,
                line: Line {
                    host: host.clone(),
                    source,
                    demand: policy.demand.clone(),
                    protocol: plan.route.protocol,
                    credentials: plan.route.credentials.clone(),
                },
                name: host.target.to_string(),
            };
            call.make(attempt, round).await;
        }
    }

    pub(crate) fn nonce(&self) -> String {
        let mut rng = self.rng.lock();
        (0..4).map(|_| format!("{:08x}", rng.random::<u32>())).collect()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let (first, most) = self.inner.options.connections;
        let destination = self.destination.to_lowercase();
        let mut windows = self.inner.windows.lock();
        if let Some(window) = windows.get_mut(&destination) {
            window.leave();
            // One that has learnt nothing need not be remembered.
            if *window == Window::new(first, most) {
                windows.remove(&destination);
            }
        }
        if windows.len() > WINDOWS {
            windows.retain(|_, window| !window.is_idle());
        }
        drop(windows);
        self.inner.freed.notify_waiters();
    }
}

/// Reads a message to see what is in it.
async fn survey(source: &dyn MessageSource) -> Result<Survey, String> {
    let (mut pieces, mut surveyor) = (source.open().await?, Surveyor::default());
    while let Some(piece) = pieces.next().await {
        surveyor.read(&piece?);
    }
    Ok(surveyor.finish())
}
