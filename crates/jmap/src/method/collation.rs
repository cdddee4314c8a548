//! How texts are compared where a client sorts by them (RFC 4790).

use mail::search::collated;

use crate::error::MethodError;
use crate::wire::Arguments;

/// A collation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Collation {
    /// `i;unicode-casemap` (RFC 5051)
    #[default]
    Unicode,
    /// `i;ascii-casemap` (RFC 4790 §9.2)
    Ascii,
    /// `i;octet` (RFC 4790 §9.3)
    Octet,
}

impl Collation {
    /// All that clients may name.
    pub(crate) const NAMES: [&str; 3] = ["i;ascii-casemap", "i;octet", "i;unicode-casemap"];

    /// Takes `collation`.
    pub(crate) fn read(comparator: &mut Arguments) -> Result<Self, MethodError> {
        match comparator.optional::<String>("collation")?.as_deref() {
            None | Some("i;unicode-casemap") => Ok(Self::Unicode),
            Some("i;ascii-casemap") => Ok(Self::Ascii),
            Some("i;octet") => Ok(Self::Octet),
            Some(other) => Err(MethodError::UnsupportedSort(format!("the collation {other:?} is not known"))),
        }
    }

    /// A text in the form in which two are compared octet by octet.
    pub(crate) fn key(self, text: &str) -> Box<str> {
        match self {
            Self::Unicode => collated(text),
            Self::Ascii => text.to_ascii_uppercase().into(),
            Self::Octet => text.into(),
        }
    }
}
