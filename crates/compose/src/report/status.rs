//! Enhanced status codes (RFC 3463).

use std::fmt;
use std::str::FromStr;

/// A status such as `5.1.1`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Status {
    class: u8,
    /// What it is about.
    pub subject: u16,
    /// What exactly.
    pub detail: u16,
}

impl Status {
    /// Of success.
    pub const fn success(subject: u16, detail: u16) -> Self {
        Self { class: 2, subject, detail }
    }

    /// Of a failure that may be over later.
    pub const fn temporary(subject: u16, detail: u16) -> Self {
        Self { class: 4, subject, detail }
    }

    /// Of a failure that stays.
    pub const fn permanent(subject: u16, detail: u16) -> Self {
        Self { class: 5, subject, detail }
    }

    /// The same of a message that is given up: what stays is that it was not delivered.
    #[must_use]
    pub const fn given_up(self) -> Self {
        Self { class: 5, ..self }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// A text is no status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a status is written like 5.1.1")]
pub struct NoStatus;

impl FromStr for Status {
    type Err = NoStatus;

    fn from_str(text: &str) -> Result<Self, NoStatus> {
        let mut parts = text.split('.');
        let mut number = |longest: usize| {
            let digits = parts.next().filter(|digits| (1..=longest).contains(&digits.len()));
            let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
            digits.and_then(|digits| digits.parse::<u16>().ok()).ok_or(NoStatus)
        };
        let (class, subject, detail) = (number(1)?, number(3)?, number(3)?);
        match (class, parts.next()) {
            (2 | 4 | 5, None) => Ok(Self { class: class.try_into().map_err(|_| NoStatus)?, subject, detail }),
            _ => Err(NoStatus),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_as_they_are_written() {
        for text in ["2.0.0", "4.4.7", "5.1.1", "5.7.999"] {
            assert_eq!(text.parse::<Status>().unwrap().to_string(), text);
        }
        for bad in ["", "5", "5.1", "3.1.1", "5.1.1.1", "5.1.1000", "5.+1.1", "5. 1.1", "5..1"] {
            assert!(bad.parse::<Status>().is_err(), "{bad:?}");
        }
        assert_eq!(Status::temporary(4, 7).given_up(), Status::permanent(4, 7));
    }
}
