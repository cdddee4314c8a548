//! The name of an entry.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Names an entry: eight random bytes, written as 16 hexadecimal digits in replies, trace fields and logs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EntryId(pub [u8; 8]);

/// A text names no entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the id of a queued message is 16 hexadecimal digits")]
pub struct EntryIdError;

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for EntryId {
    type Err = EntryIdError;

    fn from_str(text: &str) -> Result<Self, EntryIdError> {
        if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(EntryIdError);
        }
        u64::from_str_radix(text, 16).map(|number| Self(number.to_be_bytes())).map_err(|_| EntryIdError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_read() {
        let id = EntryId([0, 1, 2, 0xff, 4, 5, 6, 7]);
        assert_eq!(id.to_string(), "000102ff04050607");
        assert_eq!("000102FF04050607".parse(), Ok(id));
        for bad in ["", "12", "+00102ff04050607", "000102ff0405060g", "000102ff040506070"] {
            assert_eq!(bad.parse::<EntryId>(), Err(EntryIdError), "{bad}");
        }
    }
}
