//! A message's envelope: who sends it to whom, and how it wants to be treated.

use std::sync::Arc;

use crate::address::{ForwardPath, ReversePath};
use crate::extension::Submission;
use crate::peer::Client;

/// An envelope with its recipients complete.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// Where it comes from.
    pub origin: Arc<Origin>,
    /// The accepted recipients in the order of their RCPTs; never empty when a message follows. One address may
    /// stand here twice: LMTP owes a reply for each.
    pub recipients: Vec<Recipient>,
}

/// Where a message comes from: all that MAIL says, and who said it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The client on the other end.
    pub client: Client,
    /// The address for notifications.
    pub sender: ReversePath,
    /// What the client takes for the message's size in octets (RFC 1870). An estimate, nothing to rely on.
    pub size: Option<u64>,
    /// The kind of body that is announced.
    pub body: BodyType,
    /// Whether addresses and header may hold UTF-8 (RFC 6531).
    pub smtputf8: bool,
    /// How much of the message a notification should return (RFC 3461 §4.3).
    pub ret: Option<Return>,
    /// The sender's own id for this envelope, decoded; printable ASCII (RFC 3461 §4.4).
    pub envid: Option<String>,
    /// Who submits it, and what they want besides.
    pub submission: Submission,
}

/// The kind of body (RFC 6152, RFC 3030).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BodyType {
    /// Nothing said, or `7BIT`. The body may hold 8-bit octets all the same: clients are known to lie.
    #[default]
    SevenBit,
    /// `8BITMIME`: lines of any octets.
    EightBitMime,
    /// `BINARYMIME`: any octets, no lines.
    BinaryMime,
}

/// How much of a message a notification should return (RFC 3461 §4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Return {
    /// `FULL`: all of it.
    Full,
    /// `HDRS`: the header.
    Headers,
}

/// One recipient of an envelope.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recipient {
    /// The address.
    pub path: ForwardPath,
    /// What to notify the sender of; none if RCPT does not say, which means failure and perhaps delay.
    pub notify: Option<Notify>,
    /// The address that the sender first wrote to.
    pub orcpt: Option<OriginalRecipient>,
}

/// What to notify the sender of (RFC 3461 §4.1). All three false is `NEVER`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Notify {
    /// Of delivery.
    pub success: bool,
    /// Of failure.
    pub failure: bool,
    /// Of delay.
    pub delay: bool,
}

/// The address that a sender first wrote to (RFC 3461 §4.2, RFC 6533 §3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OriginalRecipient {
    /// The address type, in lower case: `rfc822`, `utf-8`.
    pub kind: String,
    /// The address: decoded from xtext, except that of type `utf-8`, which is as it came. No controls.
    pub address: String,
}
