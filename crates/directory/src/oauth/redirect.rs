//! Where a browser is sent with the answer. Only to places that the client was registered with: what is compared is the
//! text, so that nobody's idea of what a URI means opens a way (RFC 9700 §4.1.3). Apps on the same machine listen on
//! whatever port is free, so there, and nowhere else, the port makes no difference (RFC 8252 §7.3).

use std::fmt;

use thiserror::Error;

/// A place to which answers may go: `https`, the loopback interface, or a scheme of the app's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RedirectUri(String);

/// Why a text is none.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{uri:?} is no redirect URI: {why}")]
pub struct RedirectError {
    uri: String,
    why: &'static str,
}

const LONGEST: usize = 512;
const LOOPBACK: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// An `http` or `https` URI in three parts.
struct Web<'u> {
    scheme: &'u str,
    host: &'u str,
    port: Option<&'u str>,
    /// The path and the query.
    rest: &'u str,
}

impl RedirectUri {
    /// Reads a URI that is to be registered.
    pub fn parse(text: &str) -> Result<Self, RedirectError> {
        let refuse = |why| Err(RedirectError { uri: text.chars().take(LONGEST).collect(), why });
        if text.len() > LONGEST {
            return refuse("it is too long");
        }
        if !text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}*".contains(&b)) {
            return refuse("it holds what no URI holds");
        }
        if text.contains('#') {
            return refuse("it has a fragment");
        }
        let Some((scheme, rest)) = text.split_once(':') else { return refuse("it has no scheme") };
        let is_scheme = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b);
        if !scheme.starts_with(|c: char| c.is_ascii_lowercase()) || !scheme.bytes().all(is_scheme) {
            return refuse("its scheme is not in lower case, or none");
        }
        match Web::read(text) {
            Some(web) if web.host.is_empty() || text.contains('@') => return refuse("it needs a plain host"),
            Some(web) if web.port.is_some_and(|port| port.parse::<u16>().is_err()) => {
                return refuse("its port is no number");
            }
            Some(web) if web.scheme == "http" && !web.is_loopback() => {
                return refuse("http is for this machine only (127.0.0.1, [::1]): use https");
            }
            Some(_) => {}
            // RFC 8252 §7.1: a domain of the app's maker, turned around; so that it is nobody else's, and no script.
            None if !scheme.contains('.') => {
                return refuse("a scheme of one's own is a domain turned around, such as com.example.app");
            }
            None if rest.is_empty() => return refuse("there is nothing behind its scheme"),
            None => {}
        }
        Ok(Self(text.to_owned()))
    }

    /// What was kept.
    pub(super) fn from_row(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an answer may go to `asked`, which a request names.
    pub fn allows(&self, asked: &str) -> bool {
        if asked == self.0 {
            return true;
        }
        let (Some(own), Some(other)) = (Web::read(&self.0), Web::read(asked)) else { return false };
        own.scheme == "http"
            && own.is_loopback()
            && (own.scheme, own.host, own.rest) == (other.scheme, other.host, other.rest)
            && other.port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
            && Self::parse(asked).is_ok()
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'u> Web<'u> {
    fn read(text: &'u str) -> Option<Self> {
        let (scheme, behind) = text.split_once("://")?;
        if scheme != "http" && scheme != "https" {
            return None;
        }
        let end = behind.find(['/', '?']).unwrap_or(behind.len());
        let (authority, rest) = behind.split_at(end);
        // The colons of an IPv6 address stand within brackets.
        let colon =
            authority.rfind(':').filter(|at| authority.rfind(']').is_none_or(|bracket| *at > bracket));
        let (host, port) = match colon {
            Some(at) => (authority.get(..at)?, Some(authority.get(at + 1..)?)),
            None => (authority, None),
        };
        Some(Self { scheme, host, port, rest })
    }

    fn is_loopback(&self) -> bool {
        LOOPBACK.contains(&self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_answers_may_go_to() {
        for good in [
            "https://app.example/callback",
            "https://app.example:8443/cb?x=1",
            "http://127.0.0.1/cb",
            "http://[::1]:8000/",
            "http://localhost",
            "com.example.app:/oauth",
            "com.example.app://callback",
        ] {
            assert!(RedirectUri::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/cb",
            "http://app.example/cb",
            "http://127.0.0.1.evil.example/",
            "http://127.0.0.1@evil.example/",
            "https://user@app.example/",
            "https:///cb",
            "https://app.example:http/",
            "https://app.example/#x",
            "https://app.example/a b",
            "https://app.example/\r\nX: y",
            "https://*.app.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "HTTPS://app.example/",
            "myapp:/cb",
            "com.example.app:",
            &format!("https://app.example/{}", "a".repeat(600)),
        ] {
            assert!(RedirectUri::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_text_is_compared_and_on_loopback_all_but_the_port() {
        let allows = |own: &str, asked: &str| RedirectUri::parse(own).unwrap().allows(asked);
        for (own, asked) in [
            ("https://app.example/cb", "https://app.example/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb"),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1/cb"),
            ("http://[::1]/cb", "http://[::1]:8080/cb"),
            ("http://localhost:8080", "http://localhost:9090"),
        ] {
            assert!(allows(own, asked), "{own} {asked}");
        }
        for (own, asked) in [
            ("https://app.example/cb", "https://app.example/cb/"),
            ("https://app.example/cb", "https://app.example:443/cb"),
            ("https://app.example/cb", "https://app.example/cb?x"),
            ("https://app.example/cb", "https://APP.example/cb"),
            ("https://app.example/cb", "http://app.example/cb"),
            ("https://localhost/cb", "https://localhost:8443/cb"),
            ("http://127.0.0.1/cb", "http://localhost/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:80@evil.example/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:x/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:0/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1/cb?x"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1/cb#x"),
            ("com.example.app:/cb", "com.example.app:/other"),
        ] {
            assert!(!allows(own, asked), "{own} {asked}");
        }
    }
}
