//! What a session is told about its server and its peer.

use std::net::IpAddr;
use std::time::Duration;

use directory::sasl::ChannelBindings;

use crate::wire::Limits;

/// What is the same for all sessions of a listener.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's name, as it greets with.
    pub hostname: String,
    /// Bounds on input.
    pub limits: Limits,
    /// Whether passwords may be sent without TLS.
    pub plaintext_login: bool,
    /// Whether STARTTLS is offered while there is no TLS.
    pub starttls: bool,
    /// About how many bytes a session writes before it hands them on.
    pub chunk: usize,
    /// How many bad commands and refused logins there may be before somebody has logged in.
    pub errors_before_login: u32,
    /// How many bad commands there may be after that.
    pub errors: u32,
    /// Times.
    pub timeouts: Timeouts,
}

/// How long a session waits for its client.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// From the connection's beginning to a login. Default 1 min.
    pub login: Duration,
    /// Between two reads after that; RFC 9051 §5.4 wants at least 30 minutes. Default 30 min.
    pub idle: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hostname: "localhost".to_owned(),
            limits: Limits::default(),
            plaintext_login: false,
            starttls: true,
            chunk: 64 * 1024,
            errors_before_login: 20,
            errors: 100,
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { login: Duration::from_secs(60), idle: Duration::from_secs(30 * 60) }
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// What names the TLS channel, if TLS protects the connection.
    pub tls: Option<ChannelBindings>,
}

/// What a session works with.
#[derive(Clone)]
pub struct Services {
    /// Mailboxes and emails.
    pub mail: mail::Mail,
    /// Accounts.
    pub directory: directory::Directory,
    /// What time it is: APPEND without a date.
    pub clock: types::Clock,
}
