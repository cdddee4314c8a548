//! CAPA (RFC 2449 §5). The list depends on TLS, not on the login: the capabilities that it names are announced in
//! both states alike.

use std::borrow::Cow;

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
        let mut words = ALWAYS.map(Cow::from).to_vec();
        if self.config.stls && self.peer.tls.is_none() {
            words.push("STLS".into());
        }
        let mechanisms: String =
            self.mechanisms().into_iter().flat_map(|mechanism| [" ", mechanism.name()]).collect();
        if !mechanisms.is_empty() {
            words.push("USER".into());
            words.push(format!("SASL{mechanisms}").into());
        }
        Ok(Outcome::Lines(Reply::ok("capabilities follow"), words))
    }
}
