//! STLS (RFC 2595 §4).

use bytes::BytesMut;

use super::{Arguments, Outcome};
use crate::error::Error;
use crate::reply::Reply;
use crate::session::Session;

impl Session {
    pub(super) fn stls(&mut self, arguments: &Arguments, input: &BytesMut) -> Result<Outcome, Error> {
        arguments.none()?;
        if self.peer.tls.is_some() {
            return Err(Error::NotNow("TLS protects the connection already"));
        }
        if !self.config.stls {
            return Err(Error::NotOffered("TLS is not offered here"));
        }
        // What came in the clear with or behind STLS could have been put there by anybody.
        if !input.is_empty() {
            return Ok(Outcome::Close(Reply::err(None, "nothing may follow STLS before TLS begins")));
        }
        Ok(Outcome::StartTls(Reply::ok("begin TLS now")))
    }
}
