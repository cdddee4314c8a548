//! The outbound queue: mail for other servers, and what brings it there.
//!
//! ```text
//!   Leaving ──> queue ──> worker ──> attempt ──> relay ──> another server
//!                 ^          │          └──> verdict ──> what the queue writes down
//!                 │          └─ a place is free: the next one in the line of that destination
//!                 └── notice: a report to the sender, in the same transaction
//! ```
//!
//! What belongs to a message is written down before anything else is done with it; what another server has taken is
//! written down even if that takes a while, for else it would be sent again.

mod attempt;
mod message;
mod network;
mod policies;
mod setup;
mod verdict;
mod witness;
mod worker;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use mail::Mail;
use queue::Queue;
use relay::{HttpsClient, Prefix, Relay};
use types::Clock;

pub(crate) use self::policies::trim as trim_policies;
pub(crate) use self::witness::{LogBook, Sighting, Witness};
use crate::config::Settings;
use crate::net::Lifecycle;
use crate::node::Node;
use crate::notice::Notifier;
use crate::problem::Problem;

/// What makes requests to servers that others have named: their addresses must be public, or in one of these networks.
///
/// # Errors
/// What of it cannot be had: a resolver, authorities to trust.
pub(crate) fn https(settings: &Settings, allowed: Vec<Prefix>) -> Result<HttpsClient, Problem> {
    setup::https(settings, allowed)
}

/// How mail leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OutboundOptions {
    /// How many messages are on their way to other servers at once.
    pub(crate) workers: usize,
    /// How long what is under way may go on when the server stops.
    pub(crate) farewell: Duration,
}

/// What brings mail to other servers. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub(crate) struct Outbound {
    inner: Arc<Inner>,
}

struct Inner {
    options: OutboundOptions,
    queue: Queue,
    mail: Mail,
    relay: Relay,
    notifier: Notifier,
    clock: Clock,
    /// Who hears how connections were protected.
    witness: Arc<dyn Witness>,
}

impl Outbound {
    /// Sets up what the configuration asks for; none if nothing is to leave this machine.
    ///
    /// # Errors
    /// What of it cannot be had: a resolver, a password, authorities to trust.
    pub(crate) fn open(
        settings: &Settings,
        node: &Node,
        notifier: &Notifier,
        witness: Arc<dyn Witness>,
    ) -> Result<Option<Self>, Problem> {
        if !settings.relay.enabled {
            return Ok(None);
        }
        let relay = setup::relay(settings, node)?;
        let options = OutboundOptions {
            workers: settings.outbound.workers,
            // Two thirds, so that what is given back is written down in time.
            farewell: settings.shutdown.drain * 2 / 3,
        };
        Ok(Some(Self::new(options, node, relay, notifier.clone(), witness)))
    }

    fn new(
        options: OutboundOptions,
        node: &Node,
        relay: Relay,
        notifier: Notifier,
        witness: Arc<dyn Witness>,
    ) -> Self {
        let (queue, mail, clock) = (node.outbound.clone(), node.mail.clone(), node.clock.clone());
        Self { inner: Arc::new(Inner { options, queue, mail, relay, notifier, clock, witness }) }
    }

    /// Starts the worker; it ends with the server.
    pub(crate) fn start(&self, lifecycle: &Lifecycle) {
        worker::start(self.clone(), lifecycle);
    }
}
