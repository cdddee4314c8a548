//! Names: domains, local parts, addresses. Each has one normal form, by which it is looked up, and rules for new
//! names that are stricter than those for look-ups: what cannot have been created is simply not found.

mod address;
mod domain;
mod local;
mod script;

use thiserror::Error;

pub use address::Address;
pub(crate) use address::{NameKey, quoted};
pub use domain::DomainName;
pub use local::LocalPart;
pub(crate) use local::unescape;

/// Why a text is no name, or no name that may be created.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum NameError {
    /// Nothing is there.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// Longer than RFC 5321 §4.5.3.1 allows.
    #[error("{what} is longer than {limit} octets")]
    TooLong {
        /// Which part.
        what: &'static str,
        /// The limit in octets.
        limit: usize,
    },
    /// CR, LF, NUL or another control character: never part of an address.
    #[error("an address must not hold control characters")]
    Control,
    /// A character that cannot be seen, or that turns the direction of the text around it.
    #[error("an address must not hold the invisible character U+{:04X}", *.0 as u32)]
    Invisible(char),
    /// No `@`, or nothing on one side of it.
    #[error("an address is written name@domain")]
    NoDomain,
    /// The domain is none by RFC 1123 and UTS #46, in the form for look-ups.
    #[error(
        "{0:?} is not a domain name: letters, digits and inner hyphens, in parts of up to 63 separated by dots"
    )]
    Domain(String),
    /// A dot at the beginning or the end, or two in a row.
    #[error("a dot stands between two other characters")]
    Dots,
    /// A character that new names may not have.
    #[error("a new name may hold letters, digits and . _ - + = & ' ~, but not {0:?}")]
    Character(char),
    /// Letters of scripts that do not belong together (UTS #39 §5.2): the name would look like another.
    #[error("a new name must not mix scripts, except Latin with Korean, Japanese or Chinese")]
    MixedScripts,
}

/// Refuses what no address may hold anywhere: control characters, and those that deceive the eye.
pub(crate) fn check_characters(text: &str) -> Result<(), NameError> {
    for c in text.chars() {
        if c.is_control() {
            return Err(NameError::Control);
        }
        if is_invisible(c) {
            return Err(NameError::Invisible(c));
        }
    }
    Ok(())
}

/// Bidirectional controls, joiners, zero-width and other format characters, line and paragraph separators, tags.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}
