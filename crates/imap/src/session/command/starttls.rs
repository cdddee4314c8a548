//! STARTTLS (RFC 9051 §6.2.1).

use bytes::BytesMut;

use super::super::Session;
use super::super::announce::Tell;
use super::super::error::Error;
use super::Outcome;
use crate::wire::response::Reply;

impl Session {
    pub(super) fn starttls(&mut self, input: &BytesMut) -> Result<Outcome, Error> {
        if self.peer.tls.is_some() {
            return Err(Error::NotNow("TLS protects the connection already"));
        }
        if self.compressed {
            return Err(Error::NotNow("TLS comes before compression"));
        }
        if self.user.is_some() {
            return Err(Error::NotNow("STARTTLS comes before logging in"));
        }
        if !self.config.starttls {
            return Err(Error::NotNow("TLS is not offered here"));
        }
        // What came in the clear with or behind STARTTLS could have been put there by anybody.
        if !input.is_empty() {
            return Ok(Outcome::Done(
                Reply::bye("nothing may follow STARTTLS before TLS begins"),
                Tell::Nothing,
            ));
        }
        Ok(Outcome::StartTls)
    }
}
