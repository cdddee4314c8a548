//! What brings a message that has come whole to where it belongs: into mailboxes here, into the inbound queue, and into the
//! outbound one. SMTP, LMTP, submission and JMAP all come here with an envelope whose recipients were looked up.
//!
//! ```text
//!   Recipients ── where each leads ──┐
//!   Draft ── header, signatures ─────┤   (submitted)
//!   Spool ── the octets ─────────────┴─> Incoming::deliver ──┬─> mailboxes
//!   Pending ── checks ───────────────┘   (from elsewhere)    ├─> Inbound: later, or under load
//!                                                            ├─> Departure: one entry for other servers
//!                                                            └─> owed: what the answer cannot say
//! ```

mod authors;
mod booking;
mod delivery;
mod departure;
mod draft;
mod examination;
mod forwarding;
mod owed;
mod recipients;
mod refusal;
mod retries;
mod spool;
#[cfg(test)]
pub(crate) mod world;

use std::sync::Arc;

use checks::Checks;
use directory::{Directory, SendingLimits};
use mail::Mail;
use queue::Queue;
use smtp::Protocol;
use store::kv::Kv;
use types::Clock;

pub(crate) use self::authors::{NotSender, own, sender};
pub(crate) use self::booking::{Booking, entries};
pub(crate) use self::delivery::Incoming;
#[cfg(test)]
pub(crate) use self::delivery::Outcome;
pub(crate) use self::draft::Draft;
pub(crate) use self::recipients::Recipients;
pub(crate) use self::refusal::{no_room, refuse_all, try_again};
pub(crate) use self::retries::{Fingerprint, Retries};
pub(crate) use self::spool::Spool;
use crate::budget::Budget;
use crate::inbound::Inbound;
use crate::notice::Notifier;
use crate::reporting::Reporting;

/// The services that messages are brought to their places with.
#[derive(Clone)]
pub(crate) struct Carrier {
    /// The server's name.
    pub(crate) hostname: String,
    /// How messages come: who may send where, and what is answered to whom.
    pub(crate) protocol: Protocol,
    pub(crate) kv: Kv,
    pub(crate) directory: Directory,
    pub(crate) mail: Mail,
    pub(crate) inbound: Inbound,
    /// Takes what is for other servers.
    pub(crate) outbound: Queue,
    pub(crate) notifier: Notifier,
    pub(crate) retries: Arc<Retries>,
    pub(crate) budget: Budget,
    /// What messages are checked with. None where the peer is trusted to have checked them, as over LMTP, or where
    /// there is no DNS.
    pub(crate) checks: Option<Checks>,
    /// How much each account may send.
    pub(crate) sending: SendingLimits,
    /// What becomes of mail is noted here, and reports of others are read.
    pub(crate) reporting: Reporting,
    pub(crate) clock: Clock,
}
