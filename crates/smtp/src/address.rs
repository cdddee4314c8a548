//! Addresses in an envelope (RFC 5321 §4.1.2, RFC 6531 §3.3): checked once, here, and valid ever after.
//!
//! What the grammar allows and this refuses: domains in general address literals (`[x400:…]`), of which none is
//! registered. What this allows beyond it: a local part of up to 255 octets, since bounce addresses made of
//! encoded addresses (VERP, SRS) pass the 64 of §4.5.3.1.1 every day; and `_` in a domain, which real senders
//! have.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// The longest local part, in octets without quoting.
const LOCAL: usize = 255;
/// The longest domain, in octets (RFC 1035 §2.3.4 less the root).
const DOMAIN: usize = 253;
/// The longest label of a domain, in octets.
const LABEL: usize = 63;

/// An address: a local part at a domain.
///
/// `"a b"@example.test` and `a\ b` are one and the same local part `a b`; printing quotes it again where needed.
/// The domain's ASCII letters are lower case, the local part's are as they came.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Mailbox {
    local: String,
    domain: Domain,
}

/// What stands right of the `@`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Domain {
    /// A domain name in lower case; may hold U-labels if the address was given with SMTPUTF8.
    Name(String),
    /// An address literal, `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3).
    Address(IpAddr),
}

/// Where a message comes from: the path in MAIL.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ReversePath {
    /// `<>`: a notification, which must never cause another one (RFC 5321 §4.5.5).
    Null,
    /// An address.
    Mailbox(Mailbox),
}

/// Where a message goes to: the path in RCPT.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ForwardPath {
    /// `<Postmaster>` without a domain, in any case: whoever runs this server (RFC 5321 §4.5.1).
    Postmaster,
    /// An address.
    Mailbox(Mailbox),
}

/// Why a text is no address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum AddressError {
    /// No `<` before or no `>` after it.
    #[error("an address stands between < and >")]
    Brackets,
    /// Nothing but a local part.
    #[error("the address lacks @ and a domain")]
    NoDomain,
    /// The left side is empty, too long, or needs quotes.
    #[error("what is left of the @ is empty, too long, or needs quotes")]
    Local,
    /// The right side is no domain name.
    #[error("what is right of the @ is no domain name")]
    Domain,
    /// The right side is no IP address between brackets.
    #[error("the address literal is not [192.0.2.1] or [IPv6:2001:db8::1]")]
    Literal,
    /// Something follows where the address should end.
    #[error("something follows the address that does not belong there")]
    Trailing,
}

impl Mailbox {
    /// The local part, without quotes.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whether the address needs SMTPUTF8 to be passed on.
    pub fn is_international(&self) -> bool {
        !self.local.is_ascii() || matches!(&self.domain, Domain::Name(name) if !name.is_ascii())
    }
}

impl FromStr for Mailbox {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mut cursor = Cursor(text);
        let mailbox = cursor.mailbox()?;
        if cursor.0.is_empty() { Ok(mailbox) } else { Err(AddressError::Trailing) }
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            write!(f, "{}@{}", self.local, self.domain)
        } else {
            write!(f, "\"{}\"@{}", self.local.replace('\\', "\\\\").replace('"', "\\\""), self.domain)
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "[{address}]"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[IPv6:{address}]"),
        }
    }
}

impl FromStr for Domain {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.strip_prefix('[') {
            Some(rest) => literal(rest.strip_suffix(']').ok_or(AddressError::Literal)?),
            None => name(text),
        }
    }
}

impl ReversePath {
    /// Reads `<>` or `<address>` and returns it with the rest of the text.
    pub(crate) fn parse(text: &str) -> Result<(Self, &str), AddressError> {
        if let Some(rest) = text.strip_prefix("<>") {
            return Ok((Self::Null, rest));
        }
        let (mailbox, rest) = bracketed(text)?;
        Ok((Self::Mailbox(mailbox), rest))
    }

    /// The address, unless this is the null path.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }
}

/// As in a `Return-Path:` field, with angle brackets.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

impl ForwardPath {
    /// Reads `<Postmaster>` or `<address>` and returns it with the rest of the text.
    pub(crate) fn parse(text: &str) -> Result<(Self, &str), AddressError> {
        const POSTMASTER: &str = "<postmaster>";
        if let Some((head, rest)) = text.split_at_checked(POSTMASTER.len())
            && head.eq_ignore_ascii_case(POSTMASTER)
        {
            return Ok((Self::Postmaster, rest));
        }
        let (mailbox, rest) = bracketed(text)?;
        Ok((Self::Mailbox(mailbox), rest))
    }

    /// The address, unless this is the postmaster without a domain.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Postmaster => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }
}

/// As in RCPT, with angle brackets.
impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("<Postmaster>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

/// `<[source route:]address>` and what follows it.
fn bracketed(text: &str) -> Result<(Mailbox, &str), AddressError> {
    let mut cursor = Cursor(text);
    cursor.expect('<', AddressError::Brackets)?;
    cursor.skip_route()?;
    let mailbox = cursor.mailbox()?;
    cursor.expect('>', AddressError::Brackets)?;
    Ok((mailbox, cursor.0))
}

/// What is left of a text that is being read.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn expect(&mut self, wanted: char, error: AddressError) -> Result<(), AddressError> {
        self.0 = self.0.strip_prefix(wanted).ok_or(error)?;
        Ok(())
    }

    /// Takes characters as long as they match.
    fn take_while(&mut self, matches: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|c| !matches(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    /// A source route must be accepted and should be ignored (RFC 5321 §4.1.1.3).
    fn skip_route(&mut self) -> Result<(), AddressError> {
        if !self.0.starts_with('@') {
            return Ok(());
        }
        loop {
            self.expect('@', AddressError::Domain)?;
            self.domain()?;
            match self.0.strip_prefix(',') {
                Some(rest) => self.0 = rest,
                None => return self.expect(':', AddressError::Domain),
            }
        }
    }

    fn mailbox(&mut self) -> Result<Mailbox, AddressError> {
        let local = if self.0.starts_with('"') { self.quoted()? } else { self.dot_string()? };
        if local.len() > LOCAL {
            return Err(AddressError::Local);
        }
        if self.0.is_empty() || self.0.starts_with('>') {
            return Err(AddressError::NoDomain);
        }
        self.expect('@', AddressError::Local)?;
        Ok(Mailbox { local, domain: self.domain()? })
    }

    fn dot_string(&mut self) -> Result<String, AddressError> {
        let text = self.take_while(|c| c == '.' || is_atext(c));
        if is_dot_string(text) { Ok(text.to_owned()) } else { Err(AddressError::Local) }
    }

    fn quoted(&mut self) -> Result<String, AddressError> {
        self.expect('"', AddressError::Local)?;
        let mut local = String::new();
        let mut rest = self.0.chars();
        loop {
            match rest.next() {
                Some('"') => break,
                Some('\\') => match rest.next() {
                    Some(c @ ' '..='~') => local.push(c),
                    _ => return Err(AddressError::Local),
                },
                Some(c) if (' '..='~').contains(&c) || is_international(c) => local.push(c),
                _ => return Err(AddressError::Local),
            }
        }
        self.0 = rest.as_str();
        Ok(local)
    }

    fn domain(&mut self) -> Result<Domain, AddressError> {
        if let Some(rest) = self.0.strip_prefix('[') {
            let (inner, rest) = rest.split_once(']').ok_or(AddressError::Literal)?;
            self.0 = rest;
            return literal(inner);
        }
        name(self.take_while(|c| !matches!(c, '>' | ',' | ':' | ' ')))
    }
}

fn name(text: &str) -> Result<Domain, AddressError> {
    let label = |label: &str| {
        (1..=LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || is_international(c))
    };
    if text.len() <= DOMAIN && text.split('.').all(label) {
        Ok(Domain::Name(text.to_ascii_lowercase()))
    } else {
        Err(AddressError::Domain)
    }
}

fn literal(inner: &str) -> Result<Domain, AddressError> {
    let address = match inner.split_at_checked(5) {
        Some((tag, v6)) if tag.eq_ignore_ascii_case("IPv6:") => v6.parse::<Ipv6Addr>().map(IpAddr::V6),
        _ => inner.parse::<Ipv4Addr>().map(IpAddr::V4),
    };
    address.map(Domain::Address).map_err(|_| AddressError::Literal)
}

/// Whether a local part can stand without quotes.
fn is_dot_string(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// RFC 5322 §3.2.3, with RFC 6531 §3.3's characters beyond ASCII.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_international(c)
}

/// Beyond ASCII, but no control, no space, and nothing that changes the direction of the text around it: those
/// make an address look like another one.
fn is_international(c: char) -> bool {
    let redirects =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !c.is_ascii() && !c.is_control() && !c.is_whitespace() && !redirects && c != '\u{feff}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_every_form_of_an_address() {
        let table = [
            ("alice@Example.TEST", "alice@example.test"),
            ("a.b+c@x", "a.b+c@x"),
            ("!#$%&'*+-/=?^_`{|}~@x.test", "!#$%&'*+-/=?^_`{|}~@x.test"),
            ("\"alice\"@x.test", "alice@x.test"),
            ("\"a b\"@x.test", "\"a b\"@x.test"),
            ("\"a@b\\\"\\\\>\"@x.test", "\"a@b\\\"\\\\>\"@x.test"),
            ("\"\\a\"@x.test", "a@x.test"),
            ("\"\"@x.test", "\"\"@x.test"),
            ("\"a..b\"@x.test", "\"a..b\"@x.test"),
            ("a@[192.0.2.1]", "a@[192.0.2.1]"),
            ("a@[ipv6:2001:DB8::1]", "a@[IPv6:2001:db8::1]"),
            ("사용자@예시.테스트", "사용자@예시.테스트"),
            ("a@_x.my_host.test", "a@_x.my_host.test"),
        ];
        for (given, printed) in table {
            let mailbox = given.parse::<Mailbox>().unwrap();
            assert_eq!(mailbox.to_string(), printed, "{given}");
            assert_eq!(printed.parse::<Mailbox>().unwrap(), mailbox, "{given}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        let long_local = format!("{}@x", "a".repeat(256));
        let long_label = format!("a@{}", "a".repeat(64));
        let long_domain = format!("a@{}a", "abcdefg.".repeat(32));
        let table = [
            ("", AddressError::Local),
            ("alice", AddressError::NoDomain),
            ("@x", AddressError::Local),
            (".a@x", AddressError::Local),
            ("a.@x", AddressError::Local),
            ("a..b@x", AddressError::Local),
            ("a b@x", AddressError::Local),
            ("a\0@x", AddressError::Local),
            ("\"a@x", AddressError::Local),
            ("\"a\"b@x", AddressError::Local),
            ("\"a\r\nb\"@x", AddressError::Local),
            ("\"a\\\n\"@x", AddressError::Local),
            ("a@", AddressError::Domain),
            ("a@.x", AddressError::Domain),
            ("a@x.", AddressError::Domain),
            ("a@-x", AddressError::Domain),
            ("a@x-.y", AddressError::Domain),
            ("a@b@c", AddressError::Domain),
            ("a@x\u{202e}y", AddressError::Domain),
            ("a\u{85}@x", AddressError::Local),
            ("a@[192.0.2.256]", AddressError::Literal),
            ("a@[192.0.2.1", AddressError::Literal),
            ("a@[IPv6:1]", AddressError::Literal),
            ("a@[x400:y]", AddressError::Literal),
            ("a@[한국어한국어]", AddressError::Literal),
            ("a@x y", AddressError::Trailing),
            (&long_local, AddressError::Local),
            (&long_label, AddressError::Domain),
            (&long_domain, AddressError::Domain),
        ];
        for (given, error) in table {
            assert_eq!(given.parse::<Mailbox>(), Err(error), "{given:?}");
        }
    }

    #[test]
    fn paths_hand_back_what_follows() {
        assert_eq!(ReversePath::parse("<> SIZE=1"), Ok((ReversePath::Null, " SIZE=1")));
        let (path, rest) = ReversePath::parse("<@a.test,@b.test:c@d.test>").unwrap();
        assert_eq!((path.to_string().as_str(), rest), ("<c@d.test>", ""));
        let (path, rest) = ForwardPath::parse("<\"a> b\"@c>x").unwrap();
        assert_eq!((path.to_string().as_str(), rest), ("<\"a> b\"@c>", "x"));
        assert_eq!(ForwardPath::parse("<pOSTMASTER>"), Ok((ForwardPath::Postmaster, "")));
        assert_eq!(ForwardPath::parse("<>"), Err(AddressError::Local));
        assert_eq!(ReversePath::parse("a@b"), Err(AddressError::Brackets));
        assert_eq!(ReversePath::parse("<a@b"), Err(AddressError::Brackets));
        assert_eq!(ReversePath::parse("<@a.test>"), Err(AddressError::Domain));
        assert_eq!(ReversePath::parse("<@a.test,b@c>"), Err(AddressError::Domain));
    }
}
