//! Whole addresses, and the keys by which they are looked up.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::{DomainName, LocalPart, NameError};

/// An address `local@domain`. Two that lead to the same name are equal. It prints as SMTP writes it: a local part that
/// is no dot-atom between quotes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    local: LocalPart,
    domain: DomainName,
}

impl Address {
    /// Joins the two parts.
    pub const fn new(local: LocalPart, domain: DomainName) -> Self {
        Self { local, domain }
    }

    /// Reads an address without angle brackets. The domain begins behind the last `@`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        super::check_characters(text)?;
        let (local, domain) = text.rsplit_once('@').ok_or(NameError::NoDomain)?;
        Ok(Self { local: LocalPart::parse(local)?, domain: DomainName::parse(domain)? })
    }

    /// The part before the `@`.
    pub const fn local(&self) -> &LocalPart {
        &self.local
    }

    /// The part behind the `@`.
    pub const fn domain(&self) -> &DomainName {
        &self.domain
    }

    /// What the address is looked up by.
    pub(crate) fn key(&self) -> NameKey {
        NameKey { domain: self.domain.clone(), local: self.local.normal().to_owned() }
    }

    /// Whether this may become a name of ours.
    pub(crate) fn check_new(&self) -> Result<(), NameError> {
        self.local.check_new()?;
        self.domain.check_new()
    }

    /// Whether mail may be sent on to here, where others make the names: only the domain is looked at, which has to be
    /// a whole one (RFC 5321 §2.3.5).
    pub(crate) fn check_elsewhere(&self) -> Result<(), NameError> {
        let name = self.domain.as_str();
        let number = name.rsplit('.').next().is_some_and(|top| top.bytes().all(|b| b.is_ascii_digit()));
        if number || !name.contains('.') { Err(NameError::Domain(name.to_owned())) } else { Ok(()) }
    }
}

/// A local part as it stands in an address: between quotes if it is no dot-atom (RFC 5321 §4.1.2, RFC 6531 §3.3).
pub(crate) fn quoted(local: &str) -> Cow<'_, str> {
    let atom = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    if !local.is_empty() && local.split('.').all(|part| !part.is_empty() && part.chars().all(atom)) {
        return Cow::Borrowed(local);
    }
    let inner = local.chars().flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c]));
    Cow::Owned(format!("\"{}\"", inner.collect::<String>()))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", quoted(self.local.as_str()), self.domain)
    }
}

impl FromStr for Address {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

/// The normal form of an address: what a row is named by.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct NameKey {
    pub(crate) domain: DomainName,
    /// The local part in its normal form.
    pub(crate) local: String,
}

impl fmt::Display for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_the_right() {
        let address = Address::parse("\"odd@name\"@Example.TEST").unwrap();
        assert_eq!(address.local().as_str(), "odd@name");
        assert_eq!(address.to_string(), "\"odd@name\"@example.test");
        assert_eq!(quoted("a\\\"b"), "\"a\\\\\\\"b\"");
        assert_eq!([quoted("a.b"), quoted("a..b"), quoted("김.b")], ["a.b", "\"a..b\"", "김.b"]);
        assert_eq!(address.domain().as_str(), "example.test");
        assert_eq!(Address::parse("Alice@EXAMPLE.test"), Address::parse("alice@example.test"));
        assert_eq!(Address::parse("Alice@EXAMPLE.test").unwrap().to_string(), "Alice@example.test");
        for bad in ["alice", "@example.test", "alice@", "", "@", "a\r\n@example.test", "a@b\n"] {
            assert!(Address::parse(bad).is_err(), "{bad:?}");
        }
    }
}
