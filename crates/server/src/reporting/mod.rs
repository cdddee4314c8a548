//! Aggregate reports: what this server tells other domains, and what it is told about its own.
//!
//! ```text
//!   checks' verdicts, relay's attempts ──> Reporting ──> reports, in memory ──> a minute's worth to the store
//!                                                           └── daily: sending ──> signed, into the outbound queue
//!   mail to postmaster+reports ──> attachments ──> reports, kept for 90 days; the mail itself is delivered as usual
//! ```

mod attachments;
mod receiving;
mod sending;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use checks::{Action, Results};
use directory::{Directory, DomainName};
use dns::Resolver;
use reports::{Reports, Sender, Sessions, Treatment};
use tokio::sync::Semaphore;

pub(crate) use self::receiving::Author;
use crate::net::Lifecycle;
use crate::node::Node;
use crate::outbound::{LogBook, Sighting, Witness};

/// How many messages are looked at at once, and how many wait for that: what is too much is not looked at.
const READING: usize = 2;
const WAITING: usize = 64;

/// How reports are sent and received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ReportOptions {
    /// Whether reports are sent; those of others are read in any case.
    pub(crate) enabled: bool,
    /// In whose name.
    pub(crate) sender: Sender,
    /// The part before the `@` of the addresses that take reports, in lower case.
    pub(crate) local_part: String,
}

/// What notes, sends and reads reports. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub(crate) struct Reporting {
    inner: Arc<Inner>,
}

struct Inner {
    options: ReportOptions,
    node: Node,
    /// Whom to ask who wants reports; none if none are sent.
    resolver: Option<Arc<dyn Resolver>>,
    tasks: Lifecycle,
    reading: Semaphore,
    waiting: Arc<Semaphore>,
}

impl Reporting {
    /// Reports that ask `resolver` who wants them; without one, none are sent.
    pub(crate) fn new(
        options: ReportOptions,
        node: &Node,
        resolver: Option<Arc<dyn Resolver>>,
        tasks: &Lifecycle,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                options,
                node: node.clone(),
                resolver,
                tasks: tasks.clone(),
                reading: Semaphore::new(READING),
                waiting: Arc::new(Semaphore::new(WAITING)),
            }),
        }
    }

    /// Starts to send what is due; it ends with the server.
    pub(crate) fn start(&self) {
        if let Some(resolver) = &self.inner.resolver {
            sending::start(self.clone(), resolver.clone(), &self.inner.tasks);
        }
    }

    /// Writes down what was seen since the last time, when nobody sees anything any more.
    pub(crate) async fn finish(&self) {
        if !self.reports().is_idle() {
            self.flush().await;
        }
    }

    /// Notes what became of a message for these recipients. Reports themselves are not reported on: two servers would
    /// else tell each other of nothing but that, every day.
    pub(crate) fn saw_message(
        &self,
        results: Option<&Results>,
        action: &Action,
        treatment: Treatment,
        mut recipients: impl Iterator<Item = impl AsRef<str>>,
    ) {
        if let Some(results) = results
            && self.inner.resolver.is_some()
            && !recipients.any(|address| self.takes_reports(address.as_ref()))
        {
            self.reports().saw_message(results, action, treatment);
        }
    }

    /// Whether an address of ours is one that takes reports.
    pub(crate) fn takes_reports(&self, address: &str) -> bool {
        let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
        local.eq_ignore_ascii_case(&self.inner.options.local_part)
    }

    fn reports(&self) -> &Reports {
        &self.inner.node.reports
    }
}

impl Witness for Reporting {
    /// Notes how TLS went. A report on its way shows nothing: two servers would else report on each other's reports.
    fn saw(&self, sighting: &Sighting<'_>) {
        LogBook.saw(sighting);
        let Sighting { sender, destination, tries, problems, announced } = *sighting;
        if self.inner.resolver.is_some() && sender != self.inner.options.sender.address {
            self.reports().saw_delivery(destination, Sessions { tries, problems, announced });
        }
    }
}

/// Whether a domain, or one above it, is ours.
async fn is_ours(directory: &Directory, domain: &str) -> Result<bool, directory::Error> {
    let mut rest = Some(domain);
    while let Some(name) = rest {
        if let Ok(name) = DomainName::parse(name)
            && directory.domain(&name).await?.is_some()
        {
            return Ok(true);
        }
        rest = name.split_once('.').map(|(_, above)| above);
    }
    Ok(false)
}
