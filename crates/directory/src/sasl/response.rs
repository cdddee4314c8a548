//! What a client says in an exchange, as the protocols that are made of lines carry it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Error;

/// A client's message. Its debug output shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Response(pub(super) Vec<u8>);

impl Response {
    /// A message as it is.
    pub const fn new(message: Vec<u8>) -> Self {
        Self(message)
    }

    /// A line in answer to a challenge: base64, or `*` to end the exchange.
    pub fn from_line(line: &[u8]) -> Result<Self, Error> {
        match line {
            b"*" => Err(Error::Cancelled),
            line => {
                STANDARD.decode(line).map(Self).map_err(|_| Error::Malformed("the response is not base64"))
            }
        }
    }

    /// What came together with the mechanism's name: base64, or `=` for an empty message.
    pub fn from_command(word: &[u8]) -> Result<Self, Error> {
        if word == b"=" { Ok(Self(Vec::new())) } else { Self::from_line(word) }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Response(…)")
    }
}
