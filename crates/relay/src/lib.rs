//! Mail to other servers: where it goes, how the way is protected, and what the other side says.
//!
//! ```text
//!   Attempt ──> Relay::deliver
//!                 ├─ body      what is in the message?  ─────────────> Survey
//!                 ├─ window    how many connections does the destination like?
//!                 ├─ route     MX, addresses, smarthosts  ───────────> Plan
//!                 ├─ sts, tls  MTA-STS, DANE, REQUIRETLS  ───────────> HostPolicy
//!                 ├─ pool      is there a connection already?
//!                 │    else connection ── network, TLS
//!                 ├─ form      can this peer take the message, and how? ─> Form
//!                 └─ session   EHLO … MAIL RCPT DATA … QUIT   ───────> an Outcome for each recipient
//!   Report <── deliveries, what was tried, what was said, what the destination should hear about its TLS
//! ```
//!
//! The crate knows no queue: it makes one attempt, and says of every recipient whether it has the message, may get it
//! later, or never will. Who calls it decides when to try again, and whom to tell. Everything it needs from outside is
//! given to it: DNS ([`dns::Resolver`]), connections ([`Network`]), the message ([`MessageSource`]), policies over HTTPS
//! ([`PolicyFetcher`]), time and chance; so its tests are tables of records and conversations, in virtual time.
//!
//! Reading order: `relay` for the whole, `session` for the protocol, `route` and `tls::policy` for the rules.

mod attempt;
mod body;
mod call;
mod connection;
mod envelope;
mod form;
mod https;
mod network;
mod pool;
mod relay;
mod reply;
mod round;
mod route;
mod sasl;
mod session;
mod status;
mod sts;
mod tls;
mod window;

pub use attempt::{Announced, Attempt, Barrier, Delivery, Report, Try};
pub use body::{Converter, LineEncoder, MessageSource, Pieces, Survey, Surveyor};
pub use envelope::{Envelope, Protection, Recipient, Return};
pub use form::Form;
pub use https::{HttpsClient, HttpsError, HttpsRequest, HttpsResponse};
pub use network::{Network, Stream, Tcp};
pub use relay::{Relay, RelayOptions};
pub use reply::{Reply, ReplyError, ReplyReader};
pub use route::{
    Addresses, Host, NextHop, Origin, Plan, Prefix, Reach, Route, RouteError, RouteTable, RouteTls, Router,
    Target,
};
pub use sasl::Credentials;
pub use session::{
    Action, Capabilities, Failure, FailureKind, Outcome, Patience, Protocol, Session, SessionConfig, Stage,
    Standing, Tls, Transaction, Transcript,
};
pub use status::Status;
pub use sts::{
    Fetched, HttpsFetcher, PolicyFetcher, StsCache, StsMode, StsPolicies, StsPolicy, StsPolicyError, StsState,
};
pub use tls::{
    DaneMatch, DaneRecords, Demand, HostPolicy, PolicyError, PolicyKind, Proof, TlsClient, TlsFacts,
    TlsPolicies, TlsProblem, TlsReason, Watched,
};
pub use window::Window;
