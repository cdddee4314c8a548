//! How a connection must be protected, and whether it is.

mod dane;
mod policy;
mod verifier;

pub use dane::{DaneMatch, DaneRecords};
pub use policy::{Demand, HostPolicy, PolicyError, PolicyKind, TlsPolicies, TlsProblem, TlsReason, Watched};
pub use verifier::{Proof, TlsClient, TlsFacts};

pub(crate) use verifier::server_name;
