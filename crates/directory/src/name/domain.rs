//! Domain names in one normal form: lower-case A-labels (RFC 5890 §2.3.2.1), as they stand in the DNS.

use std::fmt;
use std::str::FromStr;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use super::NameError;
use super::script::check_scripts;

/// A domain name. Two that mean the same are equal: case, Unicode form and punycode make no difference.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DomainName(String);

impl DomainName {
    /// Reads a domain name, in Unicode or as A-labels, without a trailing dot.
    ///
    /// Address literals such as `[192.0.2.1]` are no domain names.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        super::check_characters(text)?;
        if text.is_empty() {
            return Err(NameError::Empty("the domain"));
        }
        let refused = || NameError::Domain(text.chars().take(80).collect());
        // Longer ones cannot become 253 octets, however they are mapped; and nobody pays for mapping them.
        if text.len() > 1024 {
            return Err(refused());
        }
        Uts46::new()
            .to_ascii(text.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
            .map(|ascii| Self(ascii.into_owned()))
            .map_err(|_| refused())
    }

    /// The normal form: lower-case A-labels.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in Unicode, for people who know what they expect. Where a name from outside is shown, show the
    /// A-labels: look-alikes are told apart there.
    pub fn to_unicode(&self) -> String {
        let (unicode, _valid_by_construction) =
            Uts46::new().to_unicode(self.0.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
        unicode.into_owned()
    }

    /// A name that was read before and comes back from a key.
    pub(crate) fn from_key(normal: &str) -> Self {
        Self(normal.to_owned())
    }

    /// Whether this may become a domain of ours.
    pub(crate) fn check_new(&self) -> Result<(), NameError> {
        if self.0.rsplit('.').next().is_some_and(|top| top.bytes().all(|b| b.is_ascii_digit())) {
            return Err(NameError::Domain(self.0.clone()));
        }
        self.to_unicode().split('.').try_for_each(check_scripts)
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DomainName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_equal() {
        let same = ["bücher.example", "BÜCHER.Example", "bu\u{308}cher.example", "xn--bcher-kva.EXAMPLE"];
        for spelling in same {
            assert_eq!(DomainName::parse(spelling).unwrap().as_str(), "xn--bcher-kva.example", "{spelling}");
        }
        assert_eq!(DomainName::parse("메일.example").unwrap().to_unicode(), "메일.example");
        assert_eq!(
            DomainName::parse("메일.example"),
            DomainName::parse("\u{1106}\u{1166}\u{110b}\u{1175}\u{11af}.example")
        );
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        let long = format!("{}.example", "a".repeat(64));
        let longer = vec!["abcdefgh"; 40].join(".");
        for bad in [
            "",
            ".",
            "a..b",
            "a.b.",
            "-a.example",
            "a-.example",
            "a b.example",
            "a_b.example",
            "[192.0.2.1]",
            "a\r\nb.example",
            "a\0.example",
            "a\u{202e}b.example",
            "xn--a\u{fc}.example",
            &long,
            &longer,
        ] {
            assert!(DomainName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn look_alikes_and_addresses_are_no_new_domains() {
        for bad in ["p\u{0430}ypal.example", "192.0.2.1"] {
            assert!(DomainName::parse(bad).unwrap().check_new().is_err(), "{bad:?}");
        }
        for good in ["example.test", "localhost", "пример.example", "메일mail.example", "例え.example"]
        {
            DomainName::parse(good).unwrap().check_new().unwrap();
        }
    }
}
