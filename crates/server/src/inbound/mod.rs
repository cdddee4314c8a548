//! The inbound queue: mail that was accepted and is not in its mailboxes yet. Delivering inside the session is the
//! normal path, since then a refusal is an SMTP refusal. A message comes here
//!
//! - when the load is over the mark: the queue is the buffer for bursts;
//! - when its checks take too long, because DNS is slow to answer: a worker checks it again from the beginning;
//! - when a delivery fails for a reason of ours that may be over soon.
//!
//! Workers on any node deliver from here, each recipient exactly once: the delivery and its end in the queue are one
//! transaction. What cannot be delivered ends in the error queue with its reason, where an operator decides.

mod attempt;
mod examination;
mod load;
mod notices;
mod taking;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use checks::Checks;
use directory::Directory;
use mail::Mail;
use queue::Queue;
use tokio::sync::Semaphore;

use self::load::Load;
pub(crate) use self::taking::{Taking, Waiting};
use crate::budget::Budget;
use crate::net::Lifecycle;
use crate::node::Node;
use crate::notice::Notifier;
use crate::reporting::Reporting;

/// How many messages may wait for their checks besides those that are being delivered: what waits for DNS must not keep
/// back what waits for nobody.
const CHECKING: usize = 64;

/// How the inbound queue is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct InboundOptions {
    /// With so many deliveries under way inside sessions, further messages go to the queue. Zero: all do.
    pub(crate) deliveries: usize,
    /// When deliveries take so long on average, messages go to the queue.
    pub(crate) latency: Duration,
    /// When the checks of a message that is there take longer, it goes to the queue, and is checked from there.
    pub(crate) slow_checks: Duration,
    /// How many messages workers deliver from the queue at once.
    pub(crate) workers: usize,
}

impl Default for InboundOptions {
    fn default() -> Self {
        Self {
            deliveries: 500,
            latency: Duration::from_secs(10),
            slow_checks: Duration::from_secs(10),
            workers: 8,
        }
    }
}

/// The inbound queue and what delivers from it. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub(crate) struct Inbound {
    inner: Arc<Inner>,
}

struct Inner {
    options: InboundOptions,
    load: Load,
    queue: Queue,
    mail: Mail,
    directory: Directory,
    budget: Budget,
    /// What messages are checked with that were not checked before they came here.
    checks: Option<Checks>,
    /// Tells our own senders what became of their mail.
    notifier: Notifier,
    /// Messages that are being checked, besides those that workers deliver.
    checking: Arc<Semaphore>,
    reporting: Reporting,
}

impl Inbound {
    pub(crate) fn new(
        node: &Node,
        budget: Budget,
        options: InboundOptions,
        checks: Option<Checks>,
        notifier: Notifier,
        reporting: Reporting,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                options,
                load: Load::new(options),
                queue: node.inbound.clone(),
                mail: node.mail.clone(),
                directory: node.directory.clone(),
                budget,
                checks,
                notifier,
                checking: Arc::new(Semaphore::new(CHECKING)),
                reporting,
            }),
        }
    }

    /// Starts the workers; they end with the server.
    pub(crate) fn start(&self, lifecycle: &Lifecycle) {
        worker::start(self.clone(), lifecycle);
    }

    /// How long the checks of a message that is there may keep its sender waiting.
    pub(crate) fn slow_checks(&self) -> Duration {
        self.inner.options.slow_checks
    }

    /// The queue itself.
    pub(crate) fn queue(&self) -> &Queue {
        &self.inner.queue
    }

    /// How busy deliveries are.
    pub(crate) fn load(&self) -> &Load {
        &self.inner.load
    }
}
