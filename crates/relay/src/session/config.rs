//! What a session is to do before it carries messages.

use std::time::Duration;

use crate::sasl::Credentials;

/// How a session introduces itself, protects itself and waits.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Our own name, as EHLO says it: a domain name or an address literal.
    pub hello: String,
    /// Which protocol the peer speaks.
    pub protocol: Protocol,
    /// When TLS begins.
    pub tls: Tls,
    /// Whom to log in as, if the peer wants that.
    pub credentials: Option<Credentials>,
    /// Whether to log in although nothing protects the connection.
    pub plaintext_login: bool,
    /// How long to wait.
    pub patience: Patience,
}

/// Which protocol the peer speaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Protocol {
    /// RFC 5321.
    #[default]
    Smtp,
    /// RFC 2033: every recipient has an answer of its own.
    Lmtp,
}

/// When TLS begins.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Tls {
    /// Never.
    Never,
    /// After STARTTLS, if the peer has that.
    IfOffered,
    /// After STARTTLS; without, nothing is sent.
    Required,
    /// It has begun before the first word (RFC 8314 §3.3).
    Immediate,
}

/// How long to wait for an answer before the connection is given up: RFC 5321 §4.5.3.2. Each counts to the *end* of the
/// answer: who sends an octet now and then does not gain time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// For the greeting.
    pub greeting: Duration,
    /// For EHLO, STARTTLS, AUTH, RSET and MAIL.
    pub command: Duration,
    /// For RCPT.
    pub recipient: Duration,
    /// For the go-ahead after DATA.
    pub data: Duration,
    /// For the peer to take a block of the message.
    pub block: Duration,
    /// For the answer to the whole message.
    pub end: Duration,
    /// For the answer to QUIT; not in the RFC, since nothing depends on it.
    pub quit: Duration,
}

/// The slowest that a peer may take a message, in octets a second, over all of it.
const PACE: u64 = 8 << 10;
/// What a recipient may take of the time for a message.
const SHARE: Duration = Duration::from_secs(30);

impl Patience {
    /// How long all may take until a connection is ready.
    pub(crate) fn for_opening(&self) -> Duration {
        self.greeting + self.command * 2
    }

    /// How long a message of so many octets for so many recipients may take, all in all. Each answer has its time, but a
    /// peer that uses up all of it each time would hold a connection for hours.
    pub(crate) fn for_message(&self, octets: u64, recipients: usize) -> Duration {
        let shares = SHARE.saturating_mul(u32::try_from(recipients).unwrap_or(u32::MAX));
        let answers = self.command + self.recipient + self.data + self.end;
        answers.saturating_add(shares).saturating_add(Duration::from_secs(octets / PACE))
    }
}

impl Default for Patience {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Self {
            greeting: minutes(5),
            command: minutes(5),
            recipient: minutes(5),
            data: minutes(2),
            block: minutes(3),
            end: minutes(10),
            quit: Duration::from_secs(5),
        }
    }
}
