//! Extensions of submission: each in a module of its own, with what it announces and what its parameters mean. Each is off
//! until the operator's service does all that it promises.

pub(crate) mod deliver_by;
pub(crate) mod future_release;
pub(crate) mod priority;
pub(crate) mod require_tls;

use std::time::Duration;

use types::Timestamp;

use crate::address::ReversePath;
use crate::auth::Submitter;

pub use deliver_by::{DeliverBy, Lateness};

/// Which extensions a listener for submission offers.
#[derive(Clone, Debug, Default)]
pub struct Extensions {
    /// FUTURERELEASE (RFC 4865): how long a message may be held at most.
    pub future_release: Option<Duration>,
    /// MT-PRIORITY (RFC 6710).
    pub priority: bool,
    /// DELIVERBY (RFC 2852): the shortest time in which mail is delivered or given back.
    pub deliver_by: Option<Duration>,
    /// REQUIRETLS (RFC 8689), offered once the connection has TLS.
    pub require_tls: bool,
}

/// What a submitting client wants besides the delivery of its message. Empty for mail from other servers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Submission {
    /// Who has logged in.
    pub submitter: Option<Submitter>,
    /// Not to be sent before this moment (RFC 4865).
    pub hold_until: Option<Timestamp>,
    /// From -9 to 9; zero is normal (RFC 6710).
    pub priority: Option<i8>,
    /// In which time it is to be delivered (RFC 2852).
    pub deliver_by: Option<DeliverBy>,
    /// Whether every hop must have TLS with a certificate that is verified (RFC 8689).
    pub require_tls: bool,
    /// On whose behalf the client says to submit (`AUTH=`, RFC 4954 §5). A claim: nobody here trusts it.
    pub claimed: Option<ReversePath>,
}
