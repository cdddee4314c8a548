//! What a session is told about its server and its peer.

use std::net::IpAddr;
use std::time::Duration;

use directory::sasl::ChannelBindings;

/// What is the same for all sessions of a listener.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's name, as it greets with.
    pub hostname: String,
    /// Whether passwords may be sent without TLS (RFC 8314 §4.1 says no).
    pub plaintext_login: bool,
    /// Whether STLS is offered while there is no TLS. Needs a driver that can start TLS.
    pub stls: bool,
    /// Whether RETR marks a message as seen for all other clients of its owner. On by default, as in Dovecot
    /// (`pop3_no_flag_updates = no`): who mixes POP3 and IMAP expects to see what was read. TOP never marks.
    pub marks_seen: bool,
    /// What becomes of a message with UTF-8 in its header when the client has not asked for UTF-8.
    pub international: InternationalMail,
    /// Bounds.
    pub limits: Limits,
    /// Times.
    pub timeouts: Timeouts,
}

/// What a client gets that asks for a message with UTF-8 in its header (RFC 6532) without having said UTF8.
///
/// RFC 6856 §2.1 wants a refusal or a surrogate with an ASCII header. Most clients that can read such mail never
/// say UTF8, and such mail comes from everywhere, junk not least: for them a refusal is a message that they can
/// never fetch, at which many stop. A surrogate is worse: to a client that fetches and deletes it becomes the only
/// copy, and its sender's address is lost. So by default all clients get all messages as they were received, as
/// they always did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum InternationalMail {
    /// It gets the message as it is.
    #[default]
    AsItIs,
    /// It gets `-ERR [UTF8]`, to the letter of RFC 6856.
    Refused,
}

/// Bounds of a session.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The longest line from the client, in octets with its CRLF. RFC 2449 §4 wants 255. Default 8 KiB.
    pub line: usize,
    /// Bad commands and refused logins until the connection is closed. They count anew when somebody logs in or gets
    /// a message. Default 20.
    pub errors: u32,
    /// Commands that fetch nothing until the connection is closed. They count anew likewise. Default 100.
    pub junk: u32,
    /// About how many octets a session writes before it hands them on. Default 64 KiB.
    pub chunk: usize,
}

/// How long a session waits for its client.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// From the connection's beginning to a login. Default 1 min.
    pub login: Duration,
    /// For each command after that; RFC 1939 §3 wants at least 10 minutes. Default 10 min.
    pub idle: Duration,
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
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hostname: "localhost".to_owned(),
            plaintext_login: false,
            stls: true,
            marks_seen: true,
            international: InternationalMail::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { line: 8 << 10, errors: 20, junk: 100, chunk: 64 << 10 }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { login: Duration::from_secs(60), idle: Duration::from_secs(10 * 60) }
    }
}
