//! Where a push service takes messages for one app: a URL of its choosing, which an app hands on to us. Whoever writes it
//! decides whom this server talks to, so it is read strictly, and what it leads to is checked again when it is connected to.

use std::fmt;

use thiserror::Error;

/// The longest URL, in octets.
const LONGEST: usize = 2048;
const PORT: u16 = 443;

/// An `https:` URL that names a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    host: String,
    port: u16,
    path: String,
}

/// Why a URL is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NoEndpoint {
    /// Over the limit.
    #[error("a URL may have {LONGEST} octets")]
    Long,
    /// Another scheme.
    #[error("it must begin with https://")]
    Scheme,
    /// No name of a host, or an address in its place.
    #[error("it must name a host, not an address, and nobody who logs in there")]
    Host,
    /// What no URL holds.
    #[error("it holds something that no URL can")]
    Character,
}

impl Endpoint {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`NoEndpoint`] says what is wrong with it.
    pub fn parse(url: &str) -> Result<Self, NoEndpoint> {
        if url.len() > LONGEST {
            return Err(NoEndpoint::Long);
        }
        let rest = url.get(..8).filter(|scheme| scheme.eq_ignore_ascii_case("https://"));
        let rest = rest.and_then(|_| url.get(8..)).ok_or(NoEndpoint::Scheme)?;
        // A fragment is for who shows a page; nobody is sent one.
        if !rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte)) {
            return Err(NoEndpoint::Character);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => {
                (host, port.parse().ok().filter(|port| *port != 0).ok_or(NoEndpoint::Host)?)
            }
            None => (authority, PORT),
        };
        let path = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("/{path}"),
        };
        let host = host.to_ascii_lowercase();
        if !is_name(&host) {
            return Err(NoEndpoint::Host);
        }
        Ok(Self { host, port, path })
    }

    /// The host's name, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What comes behind the host, from the first slash on: it may be a secret.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The host, with its port where that is not the usual one.
    pub fn authority(&self) -> String {
        match self.port {
            PORT => self.host.clone(),
            port => format!("{}:{port}", self.host),
        }
    }

    /// The origin (RFC 6454 §6.1), for whom a token is.
    pub(crate) fn origin(&self) -> String {
        format!("https://{}", self.authority())
    }
}

/// Without the path: whoever knows it can send messages.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin())
    }
}

/// Labels of letters, digits and hyphens, of which the last one is no number: else it would be an address.
fn is_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    host.len() <= 253
        && host.split('.').all(label)
        && last.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !last.starts_with("0x")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let push = Endpoint::parse("https://Push.example.net/send/a?b=c%20d").unwrap();
        assert_eq!((push.host(), push.port(), push.path()), ("push.example.net", 443, "/send/a?b=c%20d"));
        assert_eq!(
            (push.to_string(), push.authority().as_str()),
            ("https://push.example.net".into(), "push.example.net")
        );
        let other = Endpoint::parse("HTTPS://a.b:8443").unwrap();
        assert_eq!((other.path(), other.origin()), ("/", "https://a.b:8443".to_owned()));
        assert_eq!(Endpoint::parse("https://a.b?x").unwrap().path(), "/?x");
    }

    #[test]
    fn fault_54_urls_that_lead_elsewhere() {
        for (url, why) in [
            ("http://a.b/", NoEndpoint::Scheme),
            ("ftp://a.b/", NoEndpoint::Scheme),
            ("https:/a.b/", NoEndpoint::Scheme),
            ("é", NoEndpoint::Scheme),
            ("https://", NoEndpoint::Host),
            ("https:///x", NoEndpoint::Host),
            ("https://user@a.b/", NoEndpoint::Host),
            ("https://user:pass@a.b/", NoEndpoint::Host),
            ("https://127.0.0.1/", NoEndpoint::Host),
            ("https://2130706433/", NoEndpoint::Host),
            ("https://0x7f000001/", NoEndpoint::Host),
            ("https://127.1/", NoEndpoint::Host),
            ("https://[::1]/", NoEndpoint::Host),
            ("https://a.b:0/", NoEndpoint::Host),
            ("https://a.b:65536/", NoEndpoint::Host),
            ("https://a..b/", NoEndpoint::Host),
            ("https://a.b/ x", NoEndpoint::Character),
            ("https://a.b/\r\nHost: c", NoEndpoint::Character),
            ("https://a.b/#c", NoEndpoint::Character),
            ("https://a\\.b/", NoEndpoint::Character),
            ("https://é.b/", NoEndpoint::Character),
        ] {
            assert_eq!(Endpoint::parse(url), Err(why), "{url}");
        }
        assert_eq!(Endpoint::parse(&format!("https://a.b/{}", "x".repeat(LONGEST))), Err(NoEndpoint::Long));
    }
}
