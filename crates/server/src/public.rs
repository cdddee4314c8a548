//! What the world can reach of this server, as DNS, mail apps and other servers are told.

use std::time::Duration;

use http_api::{MailService, ServiceKind};

use crate::config::{ListenerSettings, Protocol};
use crate::net::{Bind, TlsMode};

/// The port at which everybody looks for web pages.
const HTTPS: u16 = 443;
/// Digits of a policy's name: enough that another policy has another (RFC 8461 §3.1 allows 32).
const DIGITS: usize = 16;

/// What other servers are asked to do when they send mail here (RFC 8461).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StsPolicy {
    pub(crate) mode: StsMode,
    /// For how long others remember it.
    pub(crate) max_age: Duration,
}

/// What they do where the way here cannot be trusted (RFC 8461 §5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StsMode {
    /// Keep the mail, and try again later.
    Enforce,
    /// Send it all the same, and report that.
    Testing,
    /// What they always did: there is no policy any more.
    None,
}

impl Default for StsPolicy {
    fn default() -> Self {
        Self { mode: StsMode::Testing, max_age: Duration::from_hours(7 * 24) }
    }
}

impl StsPolicy {
    /// What others read. `host` is the only server that takes mail for domains that are here.
    pub(crate) fn text(&self, host: &str) -> String {
        let mode = match self.mode {
            StsMode::Enforce => "enforce",
            StsMode::Testing => "testing",
            StsMode::None => "none",
        };
        let age = self.max_age.as_secs();
        format!("version: STSv1\r\nmode: {mode}\r\nmx: {host}\r\nmax_age: {age}\r\n")
    }

    /// Its name in DNS: another one as soon as it says something else.
    pub(crate) fn id(&self, host: &str) -> String {
        let hash = blake3::hash(self.text(host).as_bytes()).to_hex();
        hash.chars().take(DIGITS).collect()
    }
}

/// Mail services that clients from elsewhere reach, those first that they should take: with TLS from the first octet.
pub(crate) fn services(listeners: &[ListenerSettings]) -> Vec<MailService> {
    let mut services: Vec<MailService> = listeners.iter().filter_map(service).collect();
    services.sort_by_key(|service| !service.implicit_tls);
    services
}

/// Whether web pages of names that lead to this server are answered by it.
pub(crate) fn has_web(listeners: &[ListenerSettings]) -> bool {
    let is_web = |listener: &ListenerSettings| {
        listener.protocol == Protocol::Http
            && listener.tls == TlsMode::Implicit
            && ports(listener).any(|port| port == HTTPS)
    };
    listeners.iter().any(is_web)
}

fn service(listener: &ListenerSettings) -> Option<MailService> {
    let kind = match listener.protocol {
        Protocol::Imap => ServiceKind::Imap,
        Protocol::Pop3 => ServiceKind::Pop3,
        Protocol::Submission => ServiceKind::Submission,
        Protocol::Smtp | Protocol::Lmtp | Protocol::Http => return None,
    };
    let implicit_tls = match listener.tls {
        TlsMode::Implicit => true,
        TlsMode::StartTls => false,
        TlsMode::Off => return None,
    };
    Some(MailService { kind, port: ports(listener).next()?, implicit_tls })
}

/// Ports that can be reached from elsewhere.
fn ports(listener: &ListenerSettings) -> impl Iterator<Item = u16> {
    listener.addresses.iter().filter_map(|address| match address {
        Bind::Everywhere(port) => Some(*port),
        Bind::One(address) => (!address.ip().is_loopback()).then(|| address.port()),
        Bind::Loopback(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_others_reach_is_on_offer() {
        use ServiceKind::{Imap, Pop3, Submission};
        let usual = services(&ListenerSettings::usual());
        let found: Vec<_> = usual.iter().map(|s| (s.kind, s.port, s.implicit_tls)).collect();
        assert_eq!(
            found,
            [
                (Submission, 465, true),
                (Imap, 993, true),
                (Pop3, 995, true),
                (Submission, 587, false),
                (Imap, 143, false),
                (Pop3, 110, false),
            ]
        );
        assert!(!has_web(&ListenerSettings::usual()));
        let inside = ListenerSettings::new("imaps", Protocol::Imap, Bind::Loopback(993), TlsMode::Implicit);
        assert!(services(&[inside]).is_empty());
        let web = |port, tls| ListenerSettings::new("web", Protocol::Http, Bind::Everywhere(port), tls);
        assert!(has_web(&[web(443, TlsMode::Implicit)]));
        assert!(!has_web(&[web(8443, TlsMode::Implicit)]) && !has_web(&[web(443, TlsMode::Off)]));
    }

    #[test]
    fn another_policy_has_another_name() {
        let policy = StsPolicy::default();
        assert_eq!(
            policy.text("mail.example.com"),
            "version: STSv1\r\nmode: testing\r\nmx: mail.example.com\r\nmax_age: 604800\r\n"
        );
        let id = policy.id("mail.example.com");
        assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        assert_eq!(id, policy.id("mail.example.com"));
        assert_ne!(id, policy.id("mx.example.com"));
        assert_ne!(id, StsPolicy { mode: StsMode::Enforce, ..policy }.id("mail.example.com"));
    }
}
