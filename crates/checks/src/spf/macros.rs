//! Macros in SPF records (RFC 7208 §7).

use dns::Name;

use std::fmt::Write;
use std::net::IpAddr;

/// The longest name that DNS can be asked for.
const NAME: usize = 253;

/// Text with macros in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct MacroString(Vec<Piece>);

/// A macro string that makes a domain name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct DomainSpec(MacroString);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(String),
    Macro(Macro),
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Macro {
    letter: Letter,
    /// How many parts count, from the right.
    parts: Option<usize>,
    reverse: bool,
    delimiters: String,
    /// Written as a capital: what is not safe in a URL is escaped.
    escape: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Letter {
    Sender,
    LocalPart,
    SenderDomain,
    Domain,
    Address,
    ValidatedName,
    Family,
    Hello,
}

/// What macros stand for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'a> {
    pub(super) address: IpAddr,
    pub(super) local: &'a str,
    pub(super) sender_domain: &'a str,
    pub(super) hello: &'a str,
    /// The domain whose record is read.
    pub(super) domain: &'a Name,
    /// The client's own name, if it was asked for and is confirmed.
    pub(super) validated: Option<&'a Name>,
}

impl MacroString {
    /// Reads a macro string as it stands in a record; the letters `c`, `r`, `t` belong to explanations alone.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            plain.push_str(rest.get(..at)?);
            let after = rest.get(at + 1..)?;
            rest = after.get(1..)?;
            match after.as_bytes().first()? {
                b'%' => plain.push('%'),
                b'_' => plain.push(' '),
                b'-' => plain.push_str("%20"),
                b'{' => {
                    let (inner, behind) = rest.split_once('}')?;
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Macro(Macro::parse(inner)?));
                    rest = behind;
                }
                _ => return None,
            }
        }
        plain.push_str(rest);
        if !plain.bytes().all(|b| (0x21..=0x7e).contains(&b) || b == b' ') {
            return None;
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Some(Self(pieces))
    }

    fn asks_for_a_validated_name(&self) -> bool {
        let asks = |piece: &Piece| matches!(piece, Piece::Macro(one) if one.letter == Letter::ValidatedName);
        self.0.iter().any(asks)
    }

    fn expand(&self, values: &Values<'_>) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Macro(one) => one.expand(values, &mut out),
            }
        }
        out
    }
}

impl DomainSpec {
    /// A macro string that ends in a macro, or in a dot and a label that a top-level domain can have.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let string = MacroString::parse(text)?;
        let ends_well = match string.0.last()? {
            Piece::Macro(_) => true,
            Piece::Text(text) => {
                let text = text.strip_suffix('.').unwrap_or(text);
                text.rsplit_once('.').is_some_and(|(_, label)| is_top_label(label))
            }
        };
        ends_well.then_some(Self(string))
    }

    /// Whether the client's validated name has to be found out first, which costs look-ups.
    pub(super) fn asks_for_a_validated_name(&self) -> bool {
        self.0.asks_for_a_validated_name()
    }

    /// The name that it stands for, shortened from the left if it is too long (RFC 7208 §7.3).
    pub(super) fn expand(&self, values: &Values<'_>) -> Option<Name> {
        let whole = self.0.expand(values);
        let mut name = whole.strip_suffix('.').unwrap_or(&whole);
        while name.len() > NAME {
            name = name.split_once('.')?.1;
        }
        Name::parse(name)
    }
}

/// `toplabel` (RFC 7208 §7.1): not digits alone, no dash at either end.
fn is_top_label(label: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-';
    !label.is_empty()
        && label.chars().all(good)
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().any(|c| !c.is_ascii_digit())
}

impl Macro {
    /// What stands between the braces: a letter, digits, `r`, delimiters.
    fn parse(text: &str) -> Option<Self> {
        let first = text.chars().next()?;
        let letter = match first.to_ascii_lowercase() {
            's' => Letter::Sender,
            'l' => Letter::LocalPart,
            'o' => Letter::SenderDomain,
            'd' => Letter::Domain,
            'i' => Letter::Address,
            'p' => Letter::ValidatedName,
            'v' => Letter::Family,
            'h' => Letter::Hello,
            _ => return None,
        };
        let rest = text.get(1..)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = rest.split_at(digits);
        let parts = match number {
            "" => None,
            // A number beyond all measure means all parts; zero is a mistake.
            _ => Some(number.parse().unwrap_or(usize::MAX)).filter(|parts| *parts > 0).map(Some)?,
        };
        let (reverse, rest) = match rest.strip_prefix(['r', 'R']) {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let delimiters = if rest.is_empty() { ".".to_owned() } else { rest.to_owned() };
        delimiters.chars().all(|c| ".-+,/_=".contains(c)).then(|| Self {
            letter,
            parts,
            reverse,
            delimiters,
            escape: first.is_ascii_uppercase(),
        })
    }

    fn expand(&self, values: &Values<'_>, out: &mut String) {
        let value = match self.letter {
            Letter::Sender => format!("{}@{}", values.local, values.sender_domain),
            Letter::LocalPart => values.local.to_owned(),
            Letter::SenderDomain => values.sender_domain.to_owned(),
            Letter::Domain => values.domain.to_string(),
            Letter::Address => dotted(values.address),
            Letter::ValidatedName => values.validated.map_or_else(|| "unknown".to_owned(), Name::to_string),
            Letter::Family => match values.address {
                IpAddr::V4(_) => "in-addr".to_owned(),
                IpAddr::V6(_) => "ip6".to_owned(),
            },
            Letter::Hello => values.hello.to_owned(),
        };
        let mut parts: Vec<&str> = value.split(|c| self.delimiters.contains(c)).collect();
        if self.reverse {
            parts.reverse();
        }
        let skip = parts.len().saturating_sub(self.parts.unwrap_or(usize::MAX));
        let joined = parts.get(skip..).unwrap_or_default().join(".");
        match self.escape {
            true => joined.bytes().for_each(|byte| escape(byte, out)),
            false => out.push_str(&joined),
        }
    }
}

/// Everything but the unreserved characters of RFC 3986.
fn escape(byte: u8, out: &mut String) {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
        // Writing to a string cannot fail.
        _ => drop(write!(out, "%{byte:02X}")),
    }
}

/// The address as the macro `i` has it: an IPv6 address is a dot after each of its 32 digits.
fn dotted(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let digits = format!("{:032x}", address.to_bits());
            let dotted: Vec<String> = digits.chars().map(String::from).collect();
            dotted.join(".")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str, address: &str) -> Option<String> {
        let domain = Name::parse("email.example.com").unwrap();
        let values = Values {
            address: address.parse().unwrap(),
            local: "strong-bad",
            sender_domain: "email.example.com",
            hello: "mx.example.org",
            domain: &domain,
            validated: None,
        };
        MacroString::parse(text).map(|string| string.expand(&values))
    }

    /// The examples of RFC 7208 §7.4.
    #[test]
    fn examples() {
        let table = [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d3}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
            ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
            ("%{S}%%%_%-%{p}", "strong-bad%40email.example.com% %20unknown"),
        ];
        for (text, expanded) in table {
            assert_eq!(expand(text, "192.0.2.3").as_deref(), Some(expanded), "{text}");
        }
        assert_eq!(
            expand("%{ir}.%{v}._spf.%{d2}", "2001:db8::cb01").as_deref(),
            Some("1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com")
        );
    }

    #[test]
    fn mistakes() {
        for bad in ["%", "%x", "%{", "%{}", "%{x}", "%{d0}", "%{d2", "%{dx}", "%{d-r}", "%{c}", "a\tb"] {
            assert_eq!(expand(bad, "192.0.2.3"), None, "{bad:?}");
        }
        for bad in ["", "x", "x.1", "x.-a", "x.a-", ".", "%{d}x", "%{d}."] {
            assert!(DomainSpec::parse(bad).is_none(), "{bad:?}");
        }
        for good in ["x.test", "x.test.", "%{d}", "%{d}.x-1", "_a.%{l}.test"] {
            assert!(DomainSpec::parse(good).is_some(), "{good:?}");
        }
    }

    #[test]
    fn a_long_name_is_shortened_from_the_left() {
        let domain = Name::parse("example.test").unwrap();
        let local = vec!["label"; 100].join(".");
        let values = Values {
            address: "192.0.2.3".parse().unwrap(),
            local: &local,
            sender_domain: "example.test",
            hello: "x",
            domain: &domain,
            validated: None,
        };
        let name = DomainSpec::parse("%{l}.end.test").unwrap().expand(&values).unwrap();
        assert!(
            name.as_str().len() <= NAME
                && name.as_str().starts_with("label.")
                && name.as_str().ends_with(".end.test")
        );
    }
}
