//! Sockets: listening, letting connections in, encrypting them, and ending them in order.

pub(crate) mod admission;
pub(crate) mod bind;
mod deflate;
pub(crate) mod lifecycle;
pub(crate) mod link;
pub(crate) mod listener;
pub(crate) mod network;
mod proxy;
pub(crate) mod tls;

pub(crate) use admission::{AdmissionLimits, House};
pub(crate) use bind::Bind;
pub(crate) use lifecycle::Lifecycle;
pub(crate) use link::{Encryption, Link, LinkError, LinkTimes};
pub(crate) use listener::Listener;
pub(crate) use network::Network;
pub(crate) use tls::TlsMode;
