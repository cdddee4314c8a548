//! What a peer says it can do, in its answer to EHLO.

use crate::reply::Reply;

/// The extensions of a peer that matter here.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Capabilities {
    /// It takes commands in batches (RFC 2920).
    pub pipelining: bool,
    /// The largest message in octets, if it has said so and there is a limit (RFC 1870).
    pub size: Option<u64>,
    /// It has said SIZE: MAIL may say how large the message is.
    pub sized: bool,
    /// Bodies with octets beyond ASCII (RFC 6152).
    pub eight_bit: bool,
    /// Messages in chunks instead of lines (RFC 3030).
    pub chunking: bool,
    /// Bodies without lines (RFC 3030).
    pub binary: bool,
    /// UTF-8 in addresses and headers (RFC 6531).
    pub smtputf8: bool,
    /// Notifications (RFC 3461).
    pub dsn: bool,
    /// TLS (RFC 3207).
    pub starttls: bool,
    /// It passes on only with TLS what is to be passed on only with TLS (RFC 8689).
    pub require_tls: bool,
    /// The mechanisms to log in with, in capitals (RFC 4954).
    pub auth: Vec<String>,
}

impl Capabilities {
    /// Reads the answer to EHLO or LHLO; its first line is the peer's name.
    pub(crate) fn read(reply: &Reply) -> Self {
        let mut found = Self::default();
        for line in reply.lines().iter().skip(1) {
            // Old servers write AUTH=PLAIN beside or instead of AUTH PLAIN.
            let mut words =
                line.split([' ', '=']).filter(|word| !word.is_empty()).map(str::to_ascii_uppercase);
            match words.next().as_deref() {
                Some("PIPELINING") => found.pipelining = true,
                Some("SIZE") => {
                    found.sized = true;
                    found.size = words.next().and_then(|limit| limit.parse().ok()).filter(|limit| *limit > 0);
                }
                Some("8BITMIME") => found.eight_bit = true,
                Some("CHUNKING") => found.chunking = true,
                Some("BINARYMIME") => found.binary = true,
                Some("SMTPUTF8") => found.smtputf8 = true,
                Some("DSN") => found.dsn = true,
                Some("STARTTLS") => found.starttls = true,
                Some("REQUIRETLS") => found.require_tls = true,
                Some("AUTH") => found.auth.extend(words),
                _ => {}
            }
        }
        // BINARYMIME cannot be had without CHUNKING (RFC 3030 §3).
        found.binary &= found.chunking;
        found
    }
}
