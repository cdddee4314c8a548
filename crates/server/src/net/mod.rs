//! Sockets: listening, letting connections in, encrypting them, and ending them in order.

pub(crate) mod admission;
pub(crate) mod lifecycle;
pub(crate) mod link;
pub(crate) mod listener;
pub(crate) mod tls;

pub(crate) use admission::{Admission, AdmissionLimits};
pub(crate) use lifecycle::Lifecycle;
pub(crate) use link::{Link, LinkError};
pub(crate) use listener::{Endpoint, Listener};
