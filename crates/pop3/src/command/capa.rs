//! CAPA (RFC 2449 §5). The list depends on TLS, not on the login: the capabilities that it names are announced in
//! both states alike.

use super::{Arguments, Outcome};
use crate::error::Error;
use crate::reply::Reply;
use crate::session::Session;

/// What is always there. Nothing expires by itself in an INBOX; UTF8's USER says that names and passwords may be UTF-8
/// (RFC 6856 §2.2).
const ALWAYS: [&str; 8] = [
    "TOP",
    "UIDL",
    "RESP-CODES",
    "AUTH-RESP-CODE",
    "PIPELINING",
    "EXPIRE NEVER",
    "UTF8 USER",
    "IMPLEMENTATION Magpie",
];

impl Session {
    pub(super) fn capa(&self, arguments: &Arguments) -> Result<Outcome, Error> {
        arguments.none()?;
        let mut words = ALWAYS.to_vec();
        if self.config.stls && !self.peer.tls {
            words.push("STLS");
        }
        if self.may_send_password().is_ok() {
            words.extend(["USER", "SASL PLAIN"]);
        }
        let words = words.into_iter().map(Into::into).collect();
        Ok(Outcome::Lines(Reply::ok("capabilities follow"), words))
    }
}
