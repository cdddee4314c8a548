//! What an operator can set on a listener, with defaults that are safe to run with.

use std::time::Duration;

use crate::extension::Extensions;

/// The dialect that a listener speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// SMTP (RFC 5321): one reply for a message, whoever it is for.
    Smtp,
    /// LMTP (RFC 2033): one reply per recipient after the message.
    Lmtp,
    /// Submission (RFC 6409): SMTP for those who log in, and for nobody else.
    Submission,
}

/// How a listener behaves. Shared by all its sessions.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name in the greeting, in EHLO's reply and in `Received:`; a host name that resolves to this service.
    pub hostname: String,
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// Whether STARTTLS (RFC 3207) is announced and accepted. Needs a driver that can start TLS.
    pub starttls: bool,
    /// Whether SMTPUTF8 (RFC 6531) is announced and accepted.
    pub smtputf8: bool,
    /// Whether DSN (RFC 3461) is announced and its parameters accepted. Off until something behind the driver
    /// sends the notifications that a client asks for: announcing it is a promise.
    pub dsn: bool,
    /// Whether BINARYMIME (RFC 3030 §3) is announced and accepted. Off until every way out of the service can
    /// carry or convert a body with bare CR, bare LF and NUL.
    pub binarymime: bool,
    /// Who may log in on a listener for submission, and how.
    pub login: Login,
    /// What a listener for submission offers besides.
    pub extensions: Extensions,
    /// Bounds on what one session may use.
    pub limits: Limits,
    /// How long a session waits for its peer.
    pub timeouts: Timeouts,
}

impl Config {
    /// A listener with the default limits, STARTTLS and SMTPUTF8 on, and all that is a promise of others off.
    pub fn new(hostname: impl Into<String>, protocol: Protocol) -> Self {
        Self {
            hostname: hostname.into(),
            protocol,
            starttls: true,
            smtputf8: true,
            dsn: false,
            binarymime: false,
            login: Login::default(),
            extensions: Extensions::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

/// How clients of a listener for submission log in (RFC 4954).
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// The names of the mechanisms that the driver knows, the best first. Those that end in `-PLUS` are bound to the TLS
    /// channel, and offered where the driver says that this can be done ([`Tls::bindable`](crate::Tls::bindable)).
    pub mechanisms: Vec<&'static str>,
    /// Whether passwords may be sent without TLS (RFC 8314 §4.1 says no).
    pub plaintext: bool,
}

/// Bounds on what one session may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest message, in octets after dot-unstuffing (RFC 1870). Default 50 MiB.
    pub message: u64,
    /// The largest header block of a message, in octets. Default 256 KiB.
    pub header: u64,
    /// `Received:` fields in a message before it counts as looping (RFC 5321 §6.3). Default 50.
    pub received: u32,
    /// Accepted recipients per message (RFC 5321 §4.5.3.1.8 wants at least 100). Default 1,000.
    pub recipients: usize,
    /// The longest command line, in octets with its CRLF (RFC 5321 §4.5.3.1.4 wants at least 512). Default 8 KiB.
    pub line: usize,
    /// Errors since the last accepted message before the session is closed. Default 20.
    pub errors: u32,
    /// Commands that move no mail (NOOP, RSET, VRFY, EHLO, tiny BDAT…) since the last accepted message before
    /// the session is closed. Default 100.
    pub junk: u32,
    /// Recipients refused for good since the last accepted message before the session is closed: a list with
    /// some dead addresses passes, an address harvester does not get far. Default 100.
    pub refused_recipients: u32,
    /// Octets of a refused message or overlong line that are read and dropped for the sake of a clean reply
    /// before the session is closed instead. Default 100 MiB.
    pub drain: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 50 << 20,
            header: 256 << 10,
            received: 50,
            recipients: 1_000,
            line: 8 << 10,
            errors: 20,
            junk: 100,
            refused_recipients: 100,
            drain: 100 << 20,
        }
    }
}

/// How long a session waits for its peer (RFC 5321 §4.5.3.2). The session has no clock: it tells the driver
/// through [`Waiting`](crate::Waiting) which of these holds.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// For a whole command line, from the moment that the session is ready for it (§4.5.3.2.7). Default 5 min.
    pub command: Duration,
    /// Between two reads of a message's body (§4.5.3.2.5). Default 3 min.
    pub body: Duration,
    /// The slowest that a body may come, in octets per second averaged over the body. Default 500.
    pub minimum_rate: u32,
    /// For a TLS handshake. Default 1 min.
    pub handshake: Duration,
    /// For the driver's own services to judge a message: under the 10 minutes that a client waits after the
    /// final dot (§4.5.3.2.6), or it sends the message again. Default 9 min.
    pub verdict: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            command: Duration::from_secs(5 * 60),
            body: Duration::from_secs(3 * 60),
            minimum_rate: 500,
            handshake: Duration::from_secs(60),
            verdict: Duration::from_secs(9 * 60),
        }
    }
}
