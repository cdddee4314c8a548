//! Whether a message is what it says it is: SPF, DKIM, DMARC, ARC and the client's own name, and what follows from
//! them.
//!
//! ```text
//!   MAIL, RCPT, DATA ──> Checks::begin(Client) ─┬─> iprev     does the address have a name that leads back to it?
//!                              │                └─> spf       may this address send for HELO's and MAIL's domains?
//!   the message ──> Pending::message(Bytes)
//!                              ├─> dkim       who takes responsibility for it?
//!                              ├─> arc        what did servers on the way see?
//!                              ├─> dmarc      do the authors' domains stand behind it, and what if not?
//!                              ├─> policy     what does the operator make of that?
//!                              v
//!                          Verdict { action, fields, forged, … }
//! ```
//!
//! The crate knows no protocol and no storage, and asks DNS through [`dns::Resolver`]: tests are tables of records in virtual
//! time. What a message says is what its sender wants us to do, so all work has a bound: questions to DNS, signatures,
//! sizes of keys, names in lists, and time. What exceeds a bound is a permanent error of that one check, and a question
//! that comes too late a temporary one; no message waits longer than twice [`Options::time`].
//!
//! Mail of our own is signed here too ([`Signing`]): in the form, and by the code, in which signatures are verified.
//!
//! Reading order: `service` puts the checks together, one module each does one of them, `lookups` and `header` are
//! what they all need.

mod arc;
mod dkim;
mod dmarc;
mod header;
mod iprev;
mod lookups;
mod network;
mod policy;
mod results;
mod service;
mod spf;
mod tags;

pub use arc::{ArcCheck, ArcResult};
pub use dkim::{DkimCheck, DkimResult, KeyKind, Signer, Signing, SigningError, SigningKey};
pub use dmarc::{Applied, DmarcCheck, DmarcResult, Policy, organization};
pub use iprev::{IprevCheck, IprevResult};
pub use network::{Network, NetworkError};
pub use policy::{Action, Enforcement, Options, Refused, WhenUnavailable};
pub use results::Results;
pub use service::{Checks, Client, Pending, Verdict};
pub use spf::SpfResult;
