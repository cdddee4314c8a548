//! What a session is told about its server and its peer.

use std::net::IpAddr;

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
        }
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
