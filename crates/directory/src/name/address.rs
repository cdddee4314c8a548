//! Whole addresses, and the keys by which they are looked up.

use std::fmt;
use std::str::FromStr;

use super::{DomainName, LocalPart, NameError};

/// An address `local@domain`. Two that lead to the same name are equal.
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
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local.as_str(), self.domain)
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
        assert_eq!(address.domain().as_str(), "example.test");
        assert_eq!(Address::parse("Alice@EXAMPLE.test"), Address::parse("alice@example.test"));
        assert_eq!(Address::parse("Alice@EXAMPLE.test").unwrap().to_string(), "Alice@example.test");
        for bad in ["alice", "@example.test", "alice@", "", "@", "a\r\n@example.test", "a@b\n"] {
            assert!(Address::parse(bad).is_err(), "{bad:?}");
        }
    }
}
