//! SPF records as text (RFC 7208 §4.5, §12).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::SpfResult;
use super::macros::{DomainSpec, MacroString};
use crate::network::Network;

/// The most terms in a record. One that fills the largest DNS message has fewer; what has more is an attack.
const TERMS: usize = 4_096;

/// A record that is right from the first term to the last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct SpfRecord {
    pub(super) directives: Vec<Directive>,
    pub(super) redirect: Option<DomainSpec>,
}

/// A mechanism, and what follows if it matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Directive {
    pub(super) result: SpfResult,
    pub(super) mechanism: Mechanism,
}

/// What a client may match (RFC 7208 §5). Without a domain of its own, a mechanism means the current one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Mechanism {
    All,
    Include(DomainSpec),
    A(Option<DomainSpec>, DualBits),
    Mx(Option<DomainSpec>, DualBits),
    Ptr(Option<DomainSpec>),
    Ip(Network),
    Exists(DomainSpec),
}

/// How many leading bits count, by address family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct DualBits {
    pub(super) ipv4: u8,
    pub(super) ipv6: u8,
}

/// Whether a TXT record is an SPF record at all (RFC 7208 §4.5).
pub(super) fn is_spf(text: &[u8]) -> bool {
    let version = text.get(..6).unwrap_or_default();
    version.eq_ignore_ascii_case(b"v=spf1") && text.get(6).is_none_or(|next| *next == b' ')
}

impl SpfRecord {
    /// Reads a record; `None` if there is a mistake anywhere in it.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
        let mut record = Self { directives: Vec::new(), redirect: None };
        let mut explained = false;
        for (number, term) in text.get(6..)?.split(' ').filter(|term| !term.is_empty()).enumerate() {
            if number == TERMS {
                return None;
            }
            match modifier(term) {
                Some((name, value)) if name.eq_ignore_ascii_case("redirect") => {
                    if record.redirect.replace(DomainSpec::parse(value)?).is_some() {
                        return None;
                    }
                }
                // Its text is a stranger's, and nobody is shown it here; but it must be right, and stand there once.
                Some((name, value)) if name.eq_ignore_ascii_case("exp") => {
                    DomainSpec::parse(value)?;
                    if std::mem::replace(&mut explained, true) {
                        return None;
                    }
                }
                Some((_, value)) => {
                    MacroString::parse(value)?;
                }
                None => record.directives.push(Directive::parse(term)?),
            }
        }
        Some(record)
    }
}

impl Directive {
    fn parse(term: &str) -> Option<Self> {
        let (result, rest) = match term.chars().next()? {
            '+' => (SpfResult::Pass, term.get(1..)?),
            '-' => (SpfResult::Fail, term.get(1..)?),
            '~' => (SpfResult::SoftFail, term.get(1..)?),
            '?' => (SpfResult::Neutral, term.get(1..)?),
            _ => (SpfResult::Pass, term),
        };
        Some(Self { result, mechanism: Mechanism::parse(rest)? })
    }
}

impl Mechanism {
    fn parse(text: &str) -> Option<Self> {
        let end = text.find([':', '/']).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let argument = rest.strip_prefix(':');
        match name.to_ascii_lowercase().as_str() {
            "all" if rest.is_empty() => Some(Self::All),
            "include" => Some(Self::Include(DomainSpec::parse(argument?)?)),
            "exists" => Some(Self::Exists(DomainSpec::parse(argument?)?)),
            "ptr" if rest.is_empty() => Some(Self::Ptr(None)),
            "ptr" => Some(Self::Ptr(Some(DomainSpec::parse(argument?)?))),
            "a" => dual(rest).map(|(domain, bits)| Self::A(domain, bits)),
            "mx" => dual(rest).map(|(domain, bits)| Self::Mx(domain, bits)),
            "ip4" => {
                let (address, bits) = with_bits(argument?, 32)?;
                Some(Self::Ip(Network::new(address.parse::<Ipv4Addr>().ok()?.into(), bits)?))
            }
            "ip6" => {
                let (address, bits) = with_bits(argument?, 128)?;
                Some(Self::Ip(Network::new(address.parse::<Ipv6Addr>().ok()?.into(), bits)?))
            }
            _ => None,
        }
    }
}

/// `name=value`, where the name is one (RFC 7208 §4.6.1).
fn modifier(term: &str) -> Option<(&str, &str)> {
    let (name, value) = term.split_once('=')?;
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    good.then_some((name, value))
}

/// `[":" domain-spec] ["/" bits] ["//" bits]` (RFC 7208 §5.3).
fn dual(text: &str) -> Option<(Option<DomainSpec>, DualBits)> {
    let mut bits = DualBits { ipv4: 32, ipv6: 128 };
    let mut rest = text;
    if let Some((before, digits)) = rest.rsplit_once("//") {
        bits.ipv6 = prefix_length(digits, 128)?;
        rest = before;
    }
    // A slash within a macro is one of its delimiters, and no end of the name.
    let outside = rest.rfind('}').map_or(0, |at| at + 1);
    if let Some(at) = rest.get(outside..)?.rfind('/') {
        bits.ipv4 = prefix_length(rest.get(outside + at + 1..)?, 32)?;
        rest = rest.get(..outside + at)?;
    }
    let domain = match rest {
        "" => None,
        _ => Some(DomainSpec::parse(rest.strip_prefix(':')?)?),
    };
    Some((domain, bits))
}

fn with_bits(text: &str, most: u8) -> Option<(&str, u8)> {
    match text.split_once('/') {
        Some((address, digits)) => Some((address, prefix_length(digits, most)?)),
        None => Some((text, most)),
    }
}

/// A number without a leading zero.
fn prefix_length(digits: &str, most: u8) -> Option<u8> {
    let good = !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|bits| good && *bits <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<SpfRecord> {
        assert!(is_spf(text.as_bytes()), "{text}");
        SpfRecord::parse(text.as_bytes())
    }

    #[test]
    fn which_txt_records_are_meant() {
        assert!(is_spf(b"v=spf1") && is_spf(b"V=SPF1 -all"));
        assert!(!is_spf(b"v=spf10 -all") && !is_spf(b"v=spf2") && !is_spf(b"") && !is_spf(b" v=spf1"));
    }

    #[test]
    fn good_records() {
        for good in [
            "v=spf1",
            "v=spf1 ",
            "v=spf1 +all",
            "v=spf1 a mx -all",
            "v=spf1 a:x.test/24//64 mx/0 ?mx//128 a:%{d}/24 ~all",
            "v=spf1 a:%{l/}.x.test/24 -all",
            "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -ALL",
            "v=spf1 include:_spf.x.test redirect=_other.x.test",
            "v=spf1 exists:%{ir}.%{v}._spf.%{d2} ptr ptr:x.test -all exp=why.%{d}",
            "v=spf1 unknown=anything%- -all x-y.z=",
        ] {
            assert!(parse(good).is_some(), "{good}");
        }
    }

    #[test]
    fn one_mistake_spoils_the_record() {
        for bad in [
            "v=spf1 -all nonsense",
            "v=spf1 all:x.test",
            "v=spf1 include",
            "v=spf1 include:",
            "v=spf1 a:",
            "v=spf1 a/33",
            "v=spf1 a//129",
            "v=spf1 a/024",
            "v=spf1 a:/24",
            "v=spf1 ip4:192.0.2",
            "v=spf1 ip4:192.0.2.0/33",
            "v=spf1 ip4:2001:db8::1",
            "v=spf1 ip6:192.0.2.1",
            "v=spf1 ip4",
            "v=spf1 exists:x",
            "v=spf1 ptr:",
            "v=spf1 --all",
            "v=spf1 redirect=a.test redirect=b.test",
            "v=spf1 exp=a.test exp=b.test",
            "v=spf1 x=%",
            "v=spf1 a:%{x}.test",
            "v=spf1 -all\u{e9}",
            "v=spf1 1x=y",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_attack_is_no_record() {
        let many = format!("v=spf1 {}", "a ".repeat(100_000));
        assert!(parse(&many).is_none());
    }
}
