//! A name that DNS can be asked for.

use std::fmt;

/// A domain name as it is asked for: lower case, A-labels, no dot at the end; 1 to 253 octets, labels of 1 to 63.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Name(String);

impl Name {
    /// Takes what somebody claims to be a name; U-labels become A-labels.
    ///
    /// Octets that no host name has, such as `_` or what an SPF macro makes of a local part, are allowed as long as
    /// they print: DNS itself has no opinion on them.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let ascii =
            if text.is_ascii() { text.to_ascii_lowercase() } else { idna::domain_to_ascii(text).ok()? };
        let fits = (1..=253).contains(&ascii.len());
        let label =
            |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_graphic());
        (fits && ascii.split('.').all(label)).then_some(Self(ascii))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its labels, leftmost first.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }

    /// Whether it has two labels or more, as every domain that receives mail.
    pub fn is_qualified(&self) -> bool {
        self.0.contains('.')
    }

    /// The name without its leftmost label.
    pub fn parent(&self) -> Option<Self> {
        self.0.split_once('.').map(|(_, rest)| Self(rest.to_owned()))
    }

    /// Whether this is `other`, or below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.strip_suffix(&other.0).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// `prefix.self`, if that is still a name.
    pub fn below(&self, prefix: &str) -> Option<Self> {
        Self::parse(&format!("{prefix}.{}", self.0))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_for_every_spelling() {
        let text = |name: &str| Name::parse(name).map(|name| name.to_string());
        assert_eq!(text("Mx.Example.TEST.").as_deref(), Some("mx.example.test"));
        assert_eq!(text("köln.example").as_deref(), Some("xn--kln-sna.example"));
        assert_eq!(text("_dmarc.example.test").as_deref(), Some("_dmarc.example.test"));
        for bad in ["", ".", "a..b", ".a", "a b.test", "a\0.test", &"a".repeat(64), &"abc.".repeat(64)] {
            assert_eq!(text(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn below_and_within() {
        let name = |text| Name::parse(text).unwrap();
        assert!(name("a.b.test").is_within(&name("b.test")) && name("b.test").is_within(&name("b.test")));
        assert!(!name("ab.test").is_within(&name("b.test")) && !name("test").is_within(&name("b.test")));
        assert_eq!(name("b.test").below("_dmarc"), Some(name("_dmarc.b.test")));
        assert_eq!(name("b.test").parent(), Some(name("test")));
        assert_eq!(name("test").parent(), None);
    }
}
