//! DNS, as mail needs it: names, six kinds of records, whether an answer was signed, and three ways to have none.
//!
//! ```text
//!   checks ──┐                  ┌── NetworkResolver   servers, cache, time-outs, TCP, validation
//!            ├──> Resolver ask ─┤
//!   relay  ──┘                  └── Zone              a table of records, for tests
//! ```
//!
//! [`Resolver`] is a trait so that a test is a table of records, in virtual time and without a socket. That a name does
//! not exist, that it has no records of the kind asked for, and that nobody could say are three different things here:
//! the first is an error in what was asked, the second an empty answer, the third a reason to ask again later.

mod answer;
mod name;
mod network;
mod zone;

pub use answer::{Answer, DnsError, Question, Record, Resolver, Security, Tlsa};
pub use name::Name;
pub use network::{DnsServers, NetworkResolver, ResolverError, Validation};
pub use zone::{Zone, ZoneError};
