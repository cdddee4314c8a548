//! Enhanced status codes (RFC 3463).

use std::fmt;

/// Class, subject and detail.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Status(u8, u16, u16);

impl Status {
    /// The code for success.
    pub const OK: Self = Self(2, 0, 0);

    /// For now: try again later.
    pub const fn temporary(subject: u16, detail: u16) -> Self {
        Self(4, subject, detail)
    }

    /// For good.
    pub const fn permanent(subject: u16, detail: u16) -> Self {
        Self(5, subject, detail)
    }

    /// 2, 4 or 5.
    pub const fn class(self) -> u8 {
        self.0
    }

    /// Takes a status off the beginning of a text: the status, and what follows it.
    pub(crate) fn strip(text: &str) -> Option<(Self, &str)> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let mut numbers = word.split('.').map(|number| {
            let digits = (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| number.parse::<u16>().ok()).flatten()
        });
        let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let class = u8::try_from(class).ok().filter(|class| matches!(class, 2 | 4 | 5))?;
        numbers.next().is_none().then_some((Self(class, subject, detail), rest))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}
