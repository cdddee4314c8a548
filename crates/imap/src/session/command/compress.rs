//! COMPRESS (RFC 4978): from the end of the answer on, both directions are deflated. The driver does that.

use bytes::BytesMut;

use super::super::Session;
use super::super::error::Error;
use super::Outcome;

impl Session {
    pub(super) fn compress(&mut self, algorithm: &str, input: &BytesMut) -> Result<Outcome, Error> {
        // It takes memory, which is for those who are known.
        if self.user.is_none() {
            return Err(Error::NotNow("log in first"));
        }
        if self.compressed {
            return Err(Error::Compressed);
        }
        if algorithm != "DEFLATE" {
            return Err(Error::Bad("the only compression is DEFLATE"));
        }
        // Nobody could tell whether what has come already is compressed.
        if !input.is_empty() {
            return Err(Error::Bad("nothing may follow COMPRESS before its answer"));
        }
        self.compressed = true;
        Ok(Outcome::Compress)
    }
}
