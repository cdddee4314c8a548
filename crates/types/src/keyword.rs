//! Keywords: what IMAP calls flags and JMAP calls keywords, in one set (RFC 9051 §2.3.2, RFC 8621 §4.1.1).
//!
//! `\Deleted` is not here: it belongs to an email's membership in one mailbox, not to the email. `\Recent`
//! is not kept at all (RFC 9051 dropped it).

use std::fmt;

use minicbor::{Decode, Encode};
use thiserror::Error;

/// The keywords common enough to cost one bit each. The order is the bit's number and must never change.
const NAMED: [&str; 12] = [
    "$seen",
    "$answered",
    "$flagged",
    "$draft",
    "$forwarded",
    "$junk",
    "$notjunk",
    "$mdnsent",
    "$phishing",
    "$important",
    "$submitpending",
    "$submitted",
];

/// One keyword in JMAP's spelling: lower case, system flags as `$seen`, `$answered`, `$flagged`, `$draft`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Keyword(String);

/// Why a text is no keyword.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum KeywordError {
    /// Empty, or longer than [`Keyword::MAX_LEN`].
    #[error("a keyword has 1 to {} characters", Keyword::MAX_LEN)]
    Length,
    /// A character that an IMAP atom or RFC 8621 §4.1.1 does not allow.
    #[error("a keyword holds printable ASCII without ( ) {{ ] % * \" and \\")]
    Character,
}

impl Keyword {
    /// The longest keyword (RFC 8621 §4.1.1).
    pub const MAX_LEN: usize = 255;
    /// `\Seen`
    pub const SEEN: &'static str = "$seen";
    /// `\Answered`
    pub const ANSWERED: &'static str = "$answered";
    /// `\Flagged`
    pub const FLAGGED: &'static str = "$flagged";
    /// `\Draft`
    pub const DRAFT: &'static str = "$draft";
    /// `$MDNSent` (RFC 3503): whoever wanted a disposition notification has got one, or was refused one.
    pub const MDN_SENT: &'static str = "$mdnsent";

    /// Checks and lower-cases a keyword in JMAP's spelling (`$seen`, `$forwarded`, `project-x`).
    pub fn new(text: &str) -> Result<Self, KeywordError> {
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return Err(KeywordError::Length);
        }
        let bad = |b: u8| !(0x21..=0x7e).contains(&b) || b"(){]%*\"\\".contains(&b);
        if text.bytes().any(bad) {
            return Err(KeywordError::Character);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// JMAP's spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of keywords. Common ones are bits, the rest a sorted list.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub struct Keywords {
    #[n(0)]
    named: u32,
    #[n(1)]
    others: Vec<String>,
}

impl Keywords {
    /// The empty set.
    pub const fn new() -> Self {
        Self { named: 0, others: Vec::new() }
    }

    /// Whether `keyword` (in JMAP's spelling, lower case) is in the set.
    pub fn contains(&self, keyword: &str) -> bool {
        match bit(keyword) {
            Some(bit) => self.named & bit != 0,
            None => self.others.binary_search_by(|k| k.as_str().cmp(keyword)).is_ok(),
        }
    }

    /// Adds a keyword; true if it was not there.
    pub fn insert(&mut self, keyword: &Keyword) -> bool {
        let before = self.contains(keyword.as_str());
        match bit(keyword.as_str()) {
            Some(bit) => self.named |= bit,
            None => {
                if let Err(at) = self.others.binary_search_by(|k| k.as_str().cmp(keyword.as_str())) {
                    self.others.insert(at, keyword.0.clone());
                }
            }
        }
        !before
    }

    /// Removes a keyword; true if it was there.
    pub fn remove(&mut self, keyword: &str) -> bool {
        let before = self.contains(keyword);
        match bit(keyword) {
            Some(bit) => self.named &= !bit,
            None => self.others.retain(|k| k != keyword),
        }
        before
    }

    /// Every keyword, in JMAP's spelling.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let named = NAMED.iter().enumerate().filter(|(i, _)| self.named & (1 << i) != 0).map(|(_, n)| *n);
        named.chain(self.others.iter().map(String::as_str))
    }

    /// How many keywords the set holds.
    pub fn len(&self) -> usize {
        self.named.count_ones() as usize + self.others.len()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.named == 0 && self.others.is_empty()
    }

    /// Neither seen nor a draft: what counts as unread (RFC 8621 §2).
    pub fn unread(&self) -> bool {
        !self.contains(Keyword::SEEN) && !self.contains(Keyword::DRAFT)
    }
}

impl FromIterator<Keyword> for Keywords {
    fn from_iter<I: IntoIterator<Item = Keyword>>(keywords: I) -> Self {
        let mut set = Self::new();
        for keyword in keywords {
            set.insert(&keyword);
        }
        set
    }
}

fn bit(keyword: &str) -> Option<u32> {
    NAMED.iter().position(|n| *n == keyword).map(|i| 1 << i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_and_own_keywords_live_in_one_set() {
        let mut set: Keywords =
            ["$Seen", "project-x", "$Forwarded"].iter().map(|k| Keyword::new(k).unwrap()).collect();
        assert!(set.contains("$seen") && set.contains("project-x") && set.contains("$forwarded"));
        assert_eq!(set.len(), 3);
        assert!(!set.unread());
        assert!(set.remove("$seen") && !set.remove("$seen"));
        assert!(set.unread());
        let bytes = minicbor::to_vec(&set).unwrap();
        assert_eq!(minicbor::decode::<Keywords>(&bytes).unwrap(), set);
    }

    #[test]
    fn refuses_what_an_atom_cannot_hold() {
        for bad in ["", "a b", "a(b", "ü", "a\\b", "a]"] {
            assert!(Keyword::new(bad).is_err(), "{bad:?}");
        }
    }
}
