//! The `DKIM-Signature:` field (RFC 6376 §3.5), and ARC's likeness of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dns::Name;

use super::canonical::{BodyForm, Form};
use super::{DkimCheck, Judged};
use crate::tags::{Tags, unfolded};

/// The most header fields that a signature may name. Real ones name up to fifty.
const HEADERS: usize = 300;
/// The longest signature, in octets: that of an RSA key of 4,096 bits, with room to spare.
const SIGNATURE: usize = 1_024;
/// The digits of the signature that identify it in a report (RFC 6008 §4).
const START: usize = 8;

/// How a signature is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Algorithm {
    RsaSha256,
    Ed25519Sha256,
}

impl Algorithm {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, SignatureError> {
        match text.to_ascii_lowercase().as_str() {
            "rsa-sha256" => Ok(Self::RsaSha256),
            "ed25519-sha256" => Ok(Self::Ed25519Sha256),
            // RFC 8301 §3.1
            "rsa-sha1" => Err(SignatureError::Sha1),
            _ => Err(SignatureError::Algorithm),
        }
    }
}

/// A signature that can be verified once its key is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Signature {
    pub(crate) algorithm: Algorithm,
    pub(crate) signature: Vec<u8>,
    pub(crate) body_hash: Vec<u8>,
    pub(crate) header_form: Form,
    pub(crate) domain: Name,
    /// The domain of the agent or user (`i=`), within [`Self::domain`].
    pub(crate) identity: Name,
    pub(crate) selector: String,
    pub(crate) headers: Vec<String>,
    pub(crate) expires: Option<u64>,
    pub(crate) start: String,
    body_form: Form,
    length: Option<u64>,
    key_name: Name,
}

/// Why a signature is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SignatureError {
    Syntax,
    Incomplete,
    Version,
    Algorithm,
    Sha1,
    Base64,
    Domain,
    Identity,
    Unsigned,
    TooManyHeaders,
    TooMany,
}

impl SignatureError {
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Syntax => "the signature cannot be read",
            Self::Incomplete => "the signature lacks a part",
            Self::Version => "unknown version of DKIM",
            Self::Algorithm => "unknown algorithm",
            Self::Sha1 => "SHA-1 proves nothing any more",
            Self::Base64 => "the signature has a wrong length or is no base64",
            Self::Domain => "the signing domain is none",
            Self::Identity => "the identity is not within the signing domain",
            Self::Unsigned => "From is not signed",
            Self::TooManyHeaders => "too many header fields are named",
            Self::TooMany => "too many signatures; the others were not looked at",
        }
    }
}

impl Signature {
    /// Reads the value of a `DKIM-Signature:` field.
    pub(crate) fn parse(value: &[u8]) -> Result<Self, SignatureError> {
        let tags = Tags::parse(value).ok_or(SignatureError::Syntax)?;
        if tags.get("v").ok_or(SignatureError::Incomplete)? != "1" {
            return Err(SignatureError::Version);
        }
        let signature = Self::from_tags(&tags)?;
        let identity = match tags.get("i") {
            Some(identity) => identity_domain(identity).ok_or(SignatureError::Identity)?,
            None => signature.domain.clone(),
        };
        if !identity.is_within(&signature.domain) {
            return Err(SignatureError::Identity);
        }
        if !signature.headers.iter().any(|name| name == "from") {
            return Err(SignatureError::Unsigned);
        }
        Ok(Self { identity, ..signature })
    }

    /// What DKIM signatures and those of ARC have in common. `i=` means something else in each.
    pub(crate) fn from_tags(tags: &Tags<'_>) -> Result<Self, SignatureError> {
        let need = |name| tags.get(name).ok_or(SignatureError::Incomplete);
        let algorithm = Algorithm::parse(need("a")?)?;
        let (signature, start) = signature(need("b")?)?;
        let body_hash = base64(need("bh")?)?;
        if body_hash.len() != 32 {
            return Err(SignatureError::Base64);
        }
        let (header_form, body_form) = forms(tags.get("c"))?;
        let (domain, selector, key_name) = key_name(need("d")?, need("s")?)?;
        let headers = names(need("h")?)?;
        let number = |name| tags.get(name).map(number).transpose();
        let (signed, expires, length) = (number("t")?, number("x")?, number("l")?);
        if let (Some(signed), Some(expires)) = (signed, expires)
            && expires <= signed
        {
            return Err(SignatureError::Syntax);
        }
        if tags.get("q").is_some_and(|methods| !methods.split(':').any(|one| one.trim_ascii() == "dns/txt")) {
            return Err(SignatureError::Algorithm);
        }
        Ok(Self {
            algorithm,
            signature,
            body_hash,
            header_form,
            identity: domain.clone(),
            domain,
            selector,
            headers,
            expires,
            start,
            body_form,
            length,
            key_name,
        })
    }

    /// Where its key is.
    pub(crate) fn key_name(&self) -> Name {
        self.key_name.clone()
    }

    /// How the body was hashed, and how much of it.
    pub(crate) fn body_form(&self) -> BodyForm {
        BodyForm { form: self.body_form, length: self.length }
    }

    /// The report on it.
    pub(crate) fn check(&self, (result, reason): Judged) -> DkimCheck {
        DkimCheck {
            result,
            reason,
            domain: Some(self.domain.clone()),
            selector: Some(self.selector.clone()),
            algorithm: Some(self.algorithm.as_str()),
            start: self.start.clone(),
        }
    }
}

/// The signature's octets, and its first digits.
pub(crate) fn signature(value: &str) -> Result<(Vec<u8>, String), SignatureError> {
    let text = unfolded(value);
    let octets = decode(&text)?;
    match octets.len() {
        // Ed25519 has 64; an RSA key of 1,024 bits, 128. What is shorter is none, and no work is done for it.
        64..=SIGNATURE => Ok((octets, text.chars().take(START).collect())),
        _ => Err(SignatureError::Base64),
    }
}

/// Domain and selector, and where the key is.
pub(crate) fn key_name(domain: &str, selector: &str) -> Result<(Name, String, Name), SignatureError> {
    let domain = Name::parse(domain).filter(Name::is_qualified).ok_or(SignatureError::Domain)?;
    let selector = Name::parse(selector).ok_or(SignatureError::Domain)?.to_string();
    let key = domain.below(&format!("{selector}._domainkey")).ok_or(SignatureError::Domain)?;
    Ok((domain, selector, key))
}

fn base64(value: &str) -> Result<Vec<u8>, SignatureError> {
    decode(&unfolded(value))
}

fn decode(text: &str) -> Result<Vec<u8>, SignatureError> {
    STANDARD.decode(text).map_err(|_| SignatureError::Base64)
}

fn forms(value: Option<&str>) -> Result<(Form, Form), SignatureError> {
    let form = |text: &str| match text.trim_ascii().to_ascii_lowercase().as_str() {
        "simple" => Ok(Form::Simple),
        "relaxed" => Ok(Form::Relaxed),
        _ => Err(SignatureError::Algorithm),
    };
    let value = value.unwrap_or("simple/simple");
    let (header, body) = value.split_once('/').unwrap_or((value, "simple"));
    Ok((form(header)?, form(body)?))
}

/// The names of signed fields, in lower case.
fn names(value: &str) -> Result<Vec<String>, SignatureError> {
    let names: Vec<String> =
        unfolded(value).split(':').take(HEADERS + 1).map(str::to_ascii_lowercase).collect();
    match names.len() {
        0..=HEADERS => Ok(names),
        _ => Err(SignatureError::TooManyHeaders),
    }
}

fn number(value: &str) -> Result<u64, SignatureError> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    if !digits || value.len() > 76 {
        return Err(SignatureError::Syntax);
    }
    // A date or length that does not fit is as good as never, or as all.
    Ok(value.parse().unwrap_or(u64::MAX))
}

fn identity_domain(identity: &str) -> Option<Name> {
    Name::parse(identity.rsplit_once('@')?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(change: impl Fn(&str) -> String) -> Result<Signature, SignatureError> {
        let b = STANDARD.encode([7; 128]);
        let bh = STANDARD.encode([9; 32]);
        let value = format!(
            " v=1; a=rsa-sha256; c=relaxed; d=Example.test; s=sel;\r\n\t h=From : To:\r\n\tsubject; bh={bh}; b={b}"
        );
        Signature::parse(change(&value).as_bytes())
    }

    #[test]
    fn a_good_one() {
        let signature = field(str::to_owned).unwrap();
        assert_eq!(signature.key_name().as_str(), "sel._domainkey.example.test");
        assert_eq!(signature.headers, ["from", "to", "subject"]);
        assert_eq!((signature.header_form, signature.body_form), (Form::Relaxed, Form::Simple));
        assert_eq!(signature.start, "BwcHBwcH");
        let below = field(|text| format!("{text}; i=user@mail.example.test")).unwrap();
        assert_eq!(below.identity.as_str(), "mail.example.test");
    }

    #[test]
    fn bad_ones() {
        use SignatureError as E;
        let table: [(&str, &str, E); 12] = [
            ("v=1", "v=2", E::Version),
            ("v=1;", "", E::Incomplete),
            ("rsa-sha256", "rsa-sha1", E::Sha1),
            ("rsa-sha256", "rsa-md5", E::Algorithm),
            ("c=relaxed", "c=strict", E::Algorithm),
            ("From", "Date", E::Unsigned),
            ("d=Example.test", "d=test", E::Domain),
            ("s=sel", "s=", E::Domain),
            ("s=sel", "i=@other.test; s=sel", E::Identity),
            ("s=sel", "t=9; x=9; s=sel", E::Syntax),
            ("s=sel", "l=-1; s=sel", E::Syntax),
            ("BwcHBwcH", "Bwc*BwcH", E::Base64),
        ];
        for (from, to, error) in table {
            assert_eq!(field(|text| text.replacen(from, to, 1)), Err(error), "{to}");
        }
    }

    #[test]
    fn short_signatures_and_endless_lists() {
        let b = STANDARD.encode([7; 128]);
        let short = field(|text| text.replace(&b, "AAAA"));
        assert_eq!(short, Err(SignatureError::Base64));
        let endless = field(|text| text.replace("subject", &"x:".repeat(50_000)));
        assert_eq!(endless, Err(SignatureError::TooManyHeaders));
    }
}
