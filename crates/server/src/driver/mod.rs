//! Drivers: a thin layer of sockets and time around each protocol's session machine.

pub(crate) mod conversation;
pub(crate) mod departures;
pub(crate) mod http;
pub(crate) mod imap;
pub(crate) mod jmap;
pub(crate) mod pop3;
pub(crate) mod port;
pub(crate) mod smtp;
