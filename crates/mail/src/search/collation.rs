//! How texts are put in order.

use unicode_normalization::UnicodeNormalization;

/// The longest text that is compared, in bytes.
pub const LONGEST_COLLATED: usize = 512;

/// A way to compare texts (RFC 4790).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Collation {
    /// `i;unicode-casemap` (RFC 5051)
    #[default]
    Unicode,
    /// `i;ascii-casemap` (RFC 4790 §9.2)
    Ascii,
    /// `i;octet` (RFC 4790 §9.3)
    Octet,
}

impl Collation {
    /// A text in the form in which two are compared octet by octet.
    pub fn key(self, text: &str) -> Box<str> {
        match self {
            Self::Unicode => collated(text),
            Self::Ascii => text.to_ascii_uppercase().into(),
            Self::Octet => text.into(),
        }
    }
}

/// Text as it is compared: `i;unicode-casemap` (RFC 5051 §2), title case and then decomposed.
pub fn collated(text: &str) -> Box<str> {
    let single = |c: char| {
        let mut upper = c.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(one), None) => one,
            _ => c,
        }
    };
    let mut collated: String = text.chars().map(single).nfkd().collect();
    let mut end = LONGEST_COLLATED.min(collated.len());
    while !collated.is_char_boundary(end) {
        end -= 1;
    }
    collated.truncate(end);
    collated.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_compared_without_case_and_composition() {
        assert_eq!(collated("straße"), collated("STRAßE"));
        assert_eq!(collated("\u{e9}t\u{e9}"), collated("E\u{301}te\u{301}"));
        assert_eq!(collated("한글"), collated("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}"));
        assert!(collated("Zebra") > collated("apple"));
        let longest = collated(&"é".repeat(1000)).len();
        assert!((LONGEST_COLLATED - 3..=LONGEST_COLLATED).contains(&longest));
    }
}
