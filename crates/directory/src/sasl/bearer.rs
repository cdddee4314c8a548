//! OAUTHBEARER (RFC 7628) and XOAUTH2, which big services speak and most apps therefore do: an access token, and whose it
//! is.
//!
//! ```text
//!   n,a=alice@example.test,^Ahost=…^Aport=…^Aauth=Bearer TOKEN^A^A      OAUTHBEARER
//!   user=alice@example.test^Aauth=Bearer TOKEN^A^A                      XOAUTH2
//! ```

use super::Error;
use super::scram::name;
use crate::oauth::SCOPE_MAIL;

/// What stands between the pairs.
const KVSEP: char = '\u{1}';
const FORM: Error = Error::Malformed("this is not what the mechanism wants: see RFC 7628");

/// How the message is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// OAUTHBEARER.
    Standard,
    /// XOAUTH2.
    Older,
}

/// What a client says.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Claim<'m> {
    /// Whose token it is, if it says so.
    pub(super) user: Option<String>,
    /// Empty if it has none, and wants to hear where to get one.
    pub(super) token: &'m str,
}

impl Form {
    /// Reads the client's message.
    pub(super) fn read(self, message: &[u8]) -> Result<Claim<'_>, Error> {
        let message = std::str::from_utf8(message).map_err(|_| FORM)?;
        match self {
            Self::Standard => standard(message),
            Self::Older => older(message),
        }
    }

    /// What a client is told whose token does not hold: why, for what, and where it learns how to get one.
    pub(super) fn failure(self, metadata: Option<&str>) -> Vec<u8> {
        let metadata = metadata.map(|url| format!(",\"openid-configuration\":\"{url}\"")).unwrap_or_default();
        match self {
            Self::Standard => {
                format!("{{\"status\":\"invalid_token\",\"scope\":\"{SCOPE_MAIL}\"{metadata}}}").into_bytes()
            }
            Self::Older => {
                format!("{{\"status\":\"401\",\"schemes\":\"Bearer\",\"scope\":\"{SCOPE_MAIL}\"}}")
                    .into_bytes()
            }
        }
    }
}

/// RFC 7628 §3.1: a header as in SCRAM, then pairs.
fn standard(message: &str) -> Result<Claim<'_>, Error> {
    let (header, pairs) = message.split_once(KVSEP).ok_or(FORM)?;
    let mut parts = header.split(',');
    let (Some(flag), Some(acting), Some(""), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(FORM);
    };
    if flag.starts_with("p=") {
        return Err(Error::Channel("OAUTHBEARER cannot be bound to a channel"));
    }
    if flag != "n" && flag != "y" {
        return Err(FORM);
    }
    let user = match acting.strip_prefix("a=") {
        Some(acting) => Some(name(acting)?),
        None if acting.is_empty() => None,
        None => return Err(FORM),
    };
    let mut token = None;
    for pair in ended(pairs)?.split_terminator(KVSEP) {
        let (key, value) = pair.split_once('=').ok_or(FORM)?;
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphabetic()) {
            return Err(FORM);
        }
        // The others say which server the client means to talk to: it knows that from TLS.
        if key == "auth" && token.replace(bearer(value)?).is_some() {
            return Err(FORM);
        }
    }
    Ok(Claim { user, token: token.ok_or(FORM)? })
}

fn older(message: &str) -> Result<Claim<'_>, Error> {
    let (user, rest) = message.strip_prefix("user=").and_then(|rest| rest.split_once(KVSEP)).ok_or(FORM)?;
    let value = ended(rest)?.strip_suffix(KVSEP).and_then(|pair| pair.strip_prefix("auth=")).ok_or(FORM)?;
    Ok(Claim { user: Some(user.to_owned()), token: bearer(value)? })
}

/// The pairs, without what ends them all.
fn ended(pairs: &str) -> Result<&str, Error> {
    let pairs = pairs.strip_suffix(KVSEP).ok_or(FORM)?;
    if pairs.is_empty() || pairs.ends_with(KVSEP) { Ok(pairs) } else { Err(FORM) }
}

/// The token behind the name of the scheme, or nothing at all.
fn bearer(value: &str) -> Result<&str, Error> {
    if value.is_empty() {
        return Ok("");
    }
    let (scheme, token) = value.split_once(' ').ok_or(FORM)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Error::Malformed("only the scheme Bearer is known here"));
    }
    Ok(token.trim_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_standard() {
        let read = |message: &'static str| Form::Standard.read(message.as_bytes());
        let claim = |user: Option<&str>, token| Ok(Claim { user: user.map(str::to_owned), token });
        // RFC 7628 §4.1
        let example = "n,a=user@example.com,\u{1}host=server.example.com\u{1}port=143\u{1}auth=Bearer vF9dft4==\u{1}\u{1}";
        assert_eq!(read(example), claim(Some("user@example.com"), "vF9dft4=="));
        assert_eq!(read("n,,\u{1}auth=bearer x\u{1}\u{1}"), claim(None, "x"));
        assert_eq!(read("y,a=a=2Cb=3Dc,\u{1}auth=Bearer x\u{1}\u{1}"), claim(Some("a,b=c"), "x"));
        assert_eq!(read("n,,\u{1}auth=\u{1}\u{1}"), claim(None, ""));
        for bad in [
            "",
            "n,,",
            "n,,\u{1}\u{1}",
            "n,,\u{1}host=x\u{1}\u{1}",
            "n,,\u{1}auth=Bearer x\u{1}",
            "n,,\u{1}auth=Bearer x",
            "n,,\u{1}auth=Bearer x\u{1}auth=Bearer y\u{1}\u{1}",
            "n,,\u{1}auth=Basic x\u{1}\u{1}",
            "n,,\u{1}auth=Bearerx\u{1}\u{1}",
            "n,,\u{1}a1=x\u{1}auth=Bearer x\u{1}\u{1}",
            "n,b=x,\u{1}auth=Bearer x\u{1}\u{1}",
            "x,,\u{1}auth=Bearer x\u{1}\u{1}",
            "n,a=a=2,\u{1}auth=Bearer x\u{1}\u{1}",
        ] {
            assert!(matches!(read(bad), Err(Error::Malformed(_))), "{bad:?}");
        }
        assert!(matches!(read("p=tls-exporter,,\u{1}auth=Bearer x\u{1}\u{1}"), Err(Error::Channel(_))));
        assert!(Form::Standard.read(b"n,,\x01auth=Bearer \xff\x01\x01").is_err());
    }

    #[test]
    fn messages_of_the_older_form() {
        let read = |message: &'static str| Form::Older.read(message.as_bytes());
        let claim = Claim { user: Some("a@b.test".to_owned()), token: "ya29.x" };
        assert_eq!(read("user=a@b.test\u{1}auth=Bearer ya29.x\u{1}\u{1}"), Ok(claim));
        for bad in [
            "",
            "user=a",
            "user=a\u{1}\u{1}",
            "user=a\u{1}auth=Bearer x\u{1}",
            "auth=Bearer x\u{1}\u{1}",
            "user=a\u{1}auth=Basic x\u{1}\u{1}",
            "user=a\u{1}auth=Bearer x\u{1}\u{1}\u{1}x",
        ] {
            assert!(matches!(read(bad), Err(Error::Malformed(_))), "{bad:?}");
        }
    }

    #[test]
    fn why_is_told_in_words_for_programs() {
        let text = String::from_utf8(Form::Standard.failure(Some("https://a.example/x"))).unwrap();
        assert_eq!(
            text,
            "{\"status\":\"invalid_token\",\"scope\":\"urn:ietf:params:oauth:scope:mail\",\
             \"openid-configuration\":\"https://a.example/x\"}"
        );
        let text = String::from_utf8(Form::Older.failure(Some("https://a.example/x"))).unwrap();
        assert!(text.starts_with("{\"status\":\"401\",\"schemes\":\"Bearer\""), "{text}");
    }
}
