//! What the relay is asked to do, and what it reports.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::body::MessageSource;
use crate::envelope::Envelope;
use crate::session::{Outcome, Standing, Transcript};
use crate::tls::{PolicyKind, TlsFacts, TlsProblem};

/// A message for recipients at one destination.
#[derive(Clone)]
pub struct Attempt {
    /// The domain of the recipients, or an address literal in brackets.
    pub destination: String,
    /// From whom to whom.
    pub envelope: Arc<Envelope>,
    /// The message.
    pub source: Arc<dyn MessageSource>,
}

/// What an attempt came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// One for each recipient, in their order.
    pub deliveries: Vec<Delivery>,
    /// The servers that were tried, in this order.
    pub tries: Vec<Try>,
    /// What the destination should hear of about its TLS (RFC 8460).
    pub problems: Vec<TlsProblem>,
    /// The policies that the destination publishes, as they were found: what it is to be told they were.
    pub announced: Vec<Announced>,
    /// Why no server came to say anything about sender, recipients or message; none if one did, or if it is for good.
    /// Whatever else is for this destination would fare alike now.
    pub barrier: Option<Barrier>,
}

/// A policy that a domain or its host publishes, in the words of a report (RFC 8460 §4.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announced {
    /// By MTA-STS or by DANE.
    pub kind: PolicyKind,
    /// Its lines, or its records.
    pub text: Vec<String>,
    /// The hosts or patterns that it names.
    pub hosts: Vec<String>,
}

/// What lies between us and a destination, for now.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Barrier {
    /// DNS does not say where it is.
    Name,
    /// There is no connection, or it broke.
    Connection,
    /// The connection is not as safe as it must be.
    Security,
    /// Its servers turn us away, before they have looked at a message.
    Refusal,
    /// This machine cannot make connections.
    Local,
}

/// What became of a recipient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// How it stands, and why.
    pub outcome: Outcome,
    /// The server that has said so; none if it was nobody else's doing.
    pub host: Option<String>,
}

/// A connection that was tried, or a host that was not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Try {
    /// The host, as DNS or the configuration names it.
    pub host: String,
    /// The address, if it came to that.
    pub address: Option<SocketAddr>,
    /// The address of ours, if one was chosen.
    pub source: Option<IpAddr>,
    /// Whether the connection was there already.
    pub reused: bool,
    /// What protected it.
    pub tls: Option<TlsFacts>,
    /// Who wanted it to be protected.
    pub policy: PolicyKind,
    /// How long it took.
    pub took: Duration,
    /// Why it could not be used, or not to the end.
    pub failure: Option<String>,
    /// What was said.
    pub transcript: Transcript,
}

impl Report {
    /// One outcome for all recipients, without anybody having been asked.
    pub(crate) fn all(count: usize, outcome: &Outcome, barrier: Option<Barrier>) -> Self {
        let delivery = Delivery { outcome: outcome.clone(), host: None };
        Self {
            deliveries: vec![delivery; count],
            tries: Vec::new(),
            problems: Vec::new(),
            announced: Vec::new(),
            barrier,
        }
    }

    /// The recipients that have the message.
    pub fn delivered(&self) -> usize {
        let delivered = |one: &&Delivery| matches!(one.outcome.standing, Standing::Delivered { .. });
        self.deliveries.iter().filter(delivered).count()
    }
}
