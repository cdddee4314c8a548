//! The inbound queue: mail that was accepted and is not in its mailboxes yet. Delivering inside the session is the
//! normal path, since then a refusal is an SMTP refusal. A message comes here
//!
//! - when the load is over the mark: the queue is the buffer for bursts;
//! - when a delivery fails for a reason of ours that may be over soon.
//!
//! Workers on any node deliver from here, each recipient exactly once: the delivery and its end in the queue are one
//! transaction. What cannot be delivered ends in the error queue with its reason, where an operator decides.

mod attempt;
mod load;
mod taking;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use directory::Directory;
use mail::Mail;
use queue::Queue;

use self::load::Load;
pub(crate) use self::taking::{Taking, Waiting};
use crate::driver::budget::Budget;
use crate::net::Lifecycle;
use crate::node::Node;

/// How the inbound queue is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct InboundOptions {
    /// With so many deliveries under way inside sessions, further messages go to the queue. Zero: all do.
    pub(crate) deliveries: usize,
    /// When deliveries take so long on average, messages go to the queue.
    pub(crate) latency: Duration,
    /// How many messages workers deliver from the queue at once.
    pub(crate) workers: usize,
}

impl Default for InboundOptions {
    fn default() -> Self {
        Self { deliveries: 500, latency: Duration::from_secs(10), workers: 8 }
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
}

impl Inbound {
    pub(crate) fn new(node: &Node, budget: Budget, options: InboundOptions) -> Self {
        Self {
            inner: Arc::new(Inner {
                options,
                load: Load::new(options),
                queue: node.inbound.clone(),
                mail: node.mail.clone(),
                directory: node.directory.clone(),
                budget,
            }),
        }
    }

    /// Starts the workers; they end with the server.
    pub(crate) fn start(&self, lifecycle: &Lifecycle) {
        worker::start(self.clone(), lifecycle);
    }

    /// How busy deliveries are.
    pub(crate) fn load(&self) -> &Load {
        &self.inner.load
    }
}
