//! Names of mailboxes. Front ends turn what came over the wire into these once; nobody checks them again.

use std::fmt;

use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

/// One mailbox's own name: 1 to 255 bytes of Unicode in NFC, without `/` and control characters (RFC 8621 §2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MailboxName(String);

/// The names from the root down to a mailbox. `/` separates them in text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MailboxPath(Vec<MailboxName>);

/// Why a text names no mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NameError {
    /// Nothing between two separators, at the beginning or at the end.
    #[error("a mailbox name must not be empty")]
    Empty,
    /// Longer than [`MailboxName::MAX_LEN`].
    #[error("a mailbox name must not be longer than {} bytes", MailboxName::MAX_LEN)]
    Long,
    /// A control character, a separator, or one that changes the direction of text.
    #[error("a mailbox name must not hold control characters, text-direction marks or \"/\"")]
    Character,
    /// Deeper than [`MailboxPath::MAX_DEPTH`].
    #[error("mailboxes must not be nested deeper than {}", MailboxPath::MAX_DEPTH)]
    Deep,
}

impl MailboxName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 255;

    /// Checks a name and brings it into NFC.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.len() > Self::MAX_LEN * 4 {
            return Err(NameError::Long);
        }
        let name: String = text.nfc().collect();
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > Self::MAX_LEN {
            return Err(NameError::Long);
        }
        let bad = |c: char| {
            c.is_control()
                || c == '/'
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        if name.chars().any(bad) {
            return Err(NameError::Character);
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name that a record holds: it was checked before it was written.
    pub(crate) fn from_record(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn inbox() -> Self {
        Self("INBOX".to_owned())
    }

    pub(crate) fn is_inbox(&self) -> bool {
        self.0.eq_ignore_ascii_case("INBOX")
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl MailboxPath {
    /// The deepest nesting.
    pub const MAX_DEPTH: usize = 32;

    /// Takes `a/b/c` apart. A first name of `INBOX` in any case is the INBOX (RFC 9051 §5.1).
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() > Self::MAX_DEPTH * (MailboxName::MAX_LEN + 1) * 4
            || text.matches('/').count() >= Self::MAX_DEPTH
        {
            return Err(NameError::Deep);
        }
        Self::new(text.split('/').map(MailboxName::new).collect::<Result<_, _>>()?)
    }

    /// A path of names, from the root down.
    pub fn new(mut names: Vec<MailboxName>) -> Result<Self, NameError> {
        if names.len() > Self::MAX_DEPTH {
            return Err(NameError::Deep);
        }
        let first = names.first_mut().ok_or(NameError::Empty)?;
        if first.is_inbox() {
            *first = MailboxName::inbox();
        }
        Ok(Self(names))
    }

    /// The names, from the root down; at least one.
    pub fn names(&self) -> &[MailboxName] {
        &self.0
    }

    /// Whether this is the INBOX itself.
    pub fn is_inbox(&self) -> bool {
        matches!(&self.0[..], [only] if only.is_inbox())
    }

    /// Whether `self` lies below `other`.
    pub fn is_below(&self, other: &Self) -> bool {
        self.0.len() > other.0.len() && self.0.starts_with(&other.0)
    }

    /// The path of a child.
    pub(crate) fn child(&self, name: MailboxName) -> Self {
        let mut names = self.0.clone();
        names.push(name);
        Self(names)
    }

    pub(crate) fn root(name: MailboxName) -> Self {
        Self(vec![name])
    }
}

impl fmt::Display for MailboxPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            write!(f, "{}{name}", if i == 0 { "" } else { "/" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_for_names_that_look_alike() {
        let decomposed = "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}";
        assert_eq!(MailboxName::new(decomposed).unwrap().as_str(), "한글");
        assert!(MailboxPath::parse("inBox").unwrap().is_inbox());
        assert_eq!(MailboxPath::parse("inbox/x").unwrap().to_string(), "INBOX/x");
    }

    #[test]
    fn refuses_what_is_no_name() {
        assert_eq!(MailboxName::new(""), Err(NameError::Empty));
        assert_eq!(MailboxName::new(&"x".repeat(256)), Err(NameError::Long));
        assert_eq!(MailboxName::new("a\u{7}b"), Err(NameError::Character));
        assert_eq!(MailboxName::new("a\u{202e}b"), Err(NameError::Character));
        assert_eq!(MailboxPath::parse("a//b"), Err(NameError::Empty));
        assert_eq!(MailboxPath::parse(&"a/".repeat(10_000)), Err(NameError::Deep));
    }
}
