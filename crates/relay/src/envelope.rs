//! What is to be sent to whom: the envelope, and how it is written on the wire.

use crate::session::Capabilities;

/// The longest ORCPT, in octets (RFC 3461 §4.2).
const ORCPT: usize = 500;

/// A message's envelope, with recipients at one destination.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Envelope {
    /// The address for notifications, without brackets; empty for `<>`.
    pub sender: String,
    /// The recipients; at least one.
    pub recipients: Vec<Recipient>,
    /// How much of the message a notification should return (RFC 3461 §4.3).
    pub ret: Option<Return>,
    /// The sender's own id for the envelope, decoded (RFC 3461 §4.4).
    pub envid: Option<String>,
    /// Whether the sender asked for SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// What the sender wants of the protection on the way.
    pub protection: Protection,
}

/// What a sender wants of the protection on the way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Protection {
    /// What the domains involved want.
    #[default]
    Usual,
    /// TLS with a proven peer that does the same, or no delivery (REQUIRETLS, RFC 8689 §4.2).
    Required,
    /// Delivery even where policies want a protection that cannot be had (`TLS-Required: No`, RFC 8689 §5).
    Dispensable,
}

/// How much of the message a notification should return (RFC 3461 §4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Return {
    /// All of it.
    Full,
    /// The header.
    Headers,
}

/// One recipient.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recipient {
    /// The address, without brackets.
    pub address: String,
    /// What to notify the sender of (RFC 3461 §4.1): 1 success, 2 failure, 4 delay; 0 is never.
    pub notify: Option<u8>,
    /// The address that the sender first wrote to, as `type;address`, decoded (RFC 3461 §4.2).
    pub orcpt: Option<String>,
}

/// The form of an address that a peer can read.
pub(crate) enum Written {
    /// As it stands here.
    As(String),
    /// In none: it needs SMTPUTF8, and the peer does not have that.
    International,
    /// It is no address.
    Malformed,
}

/// Writes an address for a peer. A domain beyond ASCII can always be said in ASCII, a local part cannot.
pub(crate) fn write_address(address: &str, utf8: bool) -> Written {
    let breaks =
        |c: char| c.is_control() || matches!(c, '<' | '>') || (c == ' ' && !address.starts_with('"'));
    if address.len() > 1000 || address.chars().any(breaks) {
        return Written::Malformed;
    }
    if address.is_ascii() || utf8 {
        return Written::As(address.to_owned());
    }
    match address.rsplit_once('@') {
        Some((local, domain)) if local.is_ascii() => match idna::domain_to_ascii(domain) {
            Ok(domain) => Written::As(format!("{local}@{domain}")),
            Err(_) => Written::Malformed,
        },
        _ => Written::International,
    }
}

impl Envelope {
    /// Whether sender or one of the recipients cannot be said in ASCII.
    pub(crate) fn is_international(&self) -> bool {
        let addresses = self.recipients.iter().map(|recipient| &recipient.address).chain([&self.sender]);
        addresses.into_iter().any(|address| matches!(write_address(address, false), Written::International))
    }

    /// The parameters of MAIL that come from the envelope.
    pub(crate) fn mail_parameters(&self, peer: &Capabilities) -> String {
        let mut text = String::new();
        if peer.dsn {
            match self.ret {
                Some(Return::Full) => text.push_str(" RET=FULL"),
                Some(Return::Headers) => text.push_str(" RET=HDRS"),
                None => {}
            }
            if let Some(envid) = &self.envid {
                text.push_str(" ENVID=");
                text.push_str(&xtext(envid));
            }
        }
        if self.protection == Protection::Required {
            text.push_str(" REQUIRETLS");
        }
        text
    }
}

impl Recipient {
    /// The parameters of RCPT, in a transaction whose MAIL has said SMTPUTF8 or not.
    pub(crate) fn parameters(&self, peer: &Capabilities, smtputf8: bool) -> String {
        let mut text = String::new();
        if !peer.dsn {
            return text;
        }
        if let Some(notify) = self.notify {
            let words = [(1, "SUCCESS"), (2, "FAILURE"), (4, "DELAY")];
            let words: Vec<&str> =
                words.iter().filter(|(bit, _)| notify & bit != 0).map(|(_, word)| *word).collect();
            text.push_str(" NOTIFY=");
            text.push_str(&if words.is_empty() { "NEVER".to_owned() } else { words.join(",") });
        }
        if let Some(original) = self.original(smtputf8) {
            text.push_str(" ORCPT=");
            text.push_str(&original);
        }
        text
    }

    /// The value of ORCPT, where there is one that can be said.
    fn original(&self, smtputf8: bool) -> Option<String> {
        let (kind, address) = self.orcpt.as_deref()?.split_once(';')?;
        if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return None;
        }
        let written = match kind.eq_ignore_ascii_case("utf-8") {
            true => unitext(address, smtputf8)?,
            false if address.is_ascii() => xtext(address),
            false => return None,
        };
        Some(format!("{kind};{written}")).filter(|value| value.len() <= ORCPT)
    }
}

/// RFC 6533 §3: an address of type utf-8 is not xtext, and is said as it came; what is beyond ASCII becomes `\x{…}` where
/// MAIL has not said SMTPUTF8. None where it holds what no command can.
fn unitext(address: &str, smtputf8: bool) -> Option<String> {
    let mut coded = String::with_capacity(address.len());
    for c in address.chars() {
        match c {
            ' ' => return None,
            c if c.is_control() => return None,
            c if c.is_ascii() || smtputf8 => coded.push(c),
            c => coded.push_str(&format!("\\x{{{:X}}}", u32::from(c))),
        }
    }
    Some(coded)
}

/// RFC 3461 §4: what is not a plain character becomes `+` and two hexadecimal digits.
fn xtext(text: &str) -> String {
    let mut coded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if !matches!(byte, b'+' | b'=') => coded.push(char::from(byte)),
            other => coded.push_str(&format!("+{other:02X}")),
        }
    }
    coded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(address: &str, utf8: bool) -> Option<String> {
        match write_address(address, utf8) {
            Written::As(text) => Some(text),
            Written::International => Some("international".to_owned()),
            Written::Malformed => None,
        }
    }

    #[test]
    fn addresses_for_peers_with_and_without_smtputf8() {
        let table = [
            ("a@b.test", false, Some("a@b.test")),
            ("a@köln.test", false, Some("a@xn--kln-sna.test")),
            ("a@köln.test", true, Some("a@köln.test")),
            ("한@b.test", false, Some("international")),
            ("\"a b\"@b.test", false, Some("\"a b\"@b.test")),
            ("a b@b.test", true, None),
            ("a@b.test>\r\nRCPT TO:<x@y.test", true, None),
            ("a@b.test> X", true, None),
        ];
        for (address, utf8, wanted) in table {
            assert_eq!(written(address, utf8).as_deref(), wanted, "{address}");
        }
    }

    #[test]
    fn notifications_are_passed_on_where_the_peer_knows_them() {
        let peer = Capabilities { dsn: true, ..Capabilities::default() };
        let table = [
            (Some(0), None, " NOTIFY=NEVER"),
            (Some(5), None, " NOTIFY=SUCCESS,DELAY"),
            (None, Some("rfc822;a+b c@x.test"), " ORCPT=rfc822;a+2Bb+20c@x.test"),
            (None, Some("utf-8;한@x.test"), " ORCPT=utf-8;\\x{D55C}@x.test"),
            (None, Some("utf-8;\\x{2B}한@x.test"), " ORCPT=utf-8;\\x{2B}\\x{D55C}@x.test"),
            (None, Some("utf-8;a b@x.test"), ""),
            (None, Some("rfc822;한@x.test"), ""),
            (None, Some("rfc822"), ""),
            (None, Some("a b;c"), ""),
        ];
        for (notify, orcpt, wanted) in table {
            let one = Recipient { notify, orcpt: orcpt.map(str::to_owned), ..Recipient::default() };
            assert_eq!(one.parameters(&peer, false), wanted);
            assert_eq!(one.parameters(&Capabilities::default(), false), "");
        }
        let envelope =
            Envelope { ret: Some(Return::Headers), envid: Some("a=b".to_owned()), ..Envelope::default() };
        assert_eq!(envelope.mail_parameters(&peer), " RET=HDRS ENVID=a+3Db");
    }

    #[test]
    fn the_first_address_is_in_utf8_only_where_mail_has_said_so() {
        let peer = Capabilities { dsn: true, smtputf8: true, ..Capabilities::default() };
        let to = |orcpt: String| Recipient { orcpt: Some(orcpt), ..Recipient::default() };
        let one = to("utf-8;한@x.test".to_owned());
        assert_eq!(one.parameters(&peer, true), " ORCPT=utf-8;한@x.test");
        assert_eq!(one.parameters(&peer, false), " ORCPT=utf-8;\\x{D55C}@x.test");
        let long = to(format!("utf-8;{}@x.test", "한".repeat(100)));
        assert!(long.parameters(&peer, true).len() > 300);
        assert_eq!(long.parameters(&peer, false), "", "it would be longer than a command may be");
    }
}
