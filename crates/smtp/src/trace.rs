//! The fields that a server writes on top of a message it takes (RFC 5321 §4.4).

use std::fmt::Write;
use std::net::IpAddr;

use types::Timestamp;

use crate::envelope::{Envelope, Origin};
use crate::hello::Greeting;

/// Writes the trace fields of one message.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// This server's name: [`Config::hostname`](crate::Config::hostname).
    pub hostname: &'a str,
    /// What an operator finds the message by; anything but letters, digits, `.`, `_` and `-` is left out.
    pub id: &'a str,
    /// When the message came.
    pub at: Timestamp,
    /// The client's name, if it was confirmed after the connection was opened.
    pub client_name: Option<&'a str>,
}

impl Trace<'_> {
    /// The `Received:` field, folded, with its CRLF.
    ///
    /// The recipient is named if there is only one: more would tell each who the others are. The cipher stands
    /// in the clause of RFC 8314 §7.4.
    pub fn received(&self, envelope: &Envelope) -> String {
        let origin = &envelope.origin;
        let client = &origin.client;
        let mut field = format!("Received: from {}", client.hello);
        match (self.client_name.or(client.name.as_deref()), client.address) {
            (Some(name), Some(address)) => {
                append(&mut field, &format!(" ({} {})", host(name), literal(address)))
            }
            (None, Some(address)) => append(&mut field, &format!(" ({})", literal(address))),
            (_, None) => {}
        }
        append(&mut field, &format!("\r\n\tby {} with {}", self.hostname, keyword(origin)));
        if let Some(tls) = &client.tls
            && !tls.version().is_empty()
        {
            append(&mut field, &format!(" ({})", tls.version()));
        }
        append(&mut field, &format!("\r\n\tid {}", host(self.id)));
        if let [only] = envelope.recipients.as_slice() {
            append(&mut field, &format!("\r\n\tfor {}", only.path));
        }
        if let Some(tls) = &client.tls
            && !tls.cipher().is_empty()
        {
            append(&mut field, &format!("\r\n\ttls {}", tls.cipher()));
        }
        append(&mut field, &format!(";\r\n\t{}\r\n", self.at.rfc5322()));
        field
    }

    /// The `Received:` field of a submitted message that says nothing of the client: where its owner is, and what the
    /// machine is called, is nobody's business.
    pub fn submitted(&self, envelope: &Envelope) -> String {
        let mut field = format!("Received: by {} with {}", self.hostname, keyword(&envelope.origin));
        append(&mut field, &format!("\r\n\tid {}", host(self.id)));
        if let [only] = envelope.recipients.as_slice() {
            append(&mut field, &format!("\r\n\tfor {}", only.path));
        }
        append(&mut field, &format!(";\r\n\t{}\r\n", self.at.rfc5322()));
        field
    }

    /// The `Received:` field of a submitted message that came without a session of SMTP.
    pub fn handed_in(&self, envelope: &Envelope) -> String {
        let mut field = format!("Received: by {}", self.hostname);
        append(&mut field, &format!("\r\n\tid {}", host(self.id)));
        if let [only] = envelope.recipients.as_slice() {
            append(&mut field, &format!("\r\n\tfor {}", only.path));
        }
        append(&mut field, &format!(";\r\n\t{}\r\n", self.at.rfc5322()));
        field
    }

    /// The `Return-Path:` field, with its CRLF: for final delivery only.
    pub fn return_path(envelope: &Envelope) -> String {
        format!("Return-Path: {}\r\n", envelope.origin.sender)
    }
}

/// Writing to a string cannot fail.
fn append(field: &mut String, text: &str) {
    let _ = field.write_str(text);
}

/// The protocol's registered name (RFC 3848, RFC 6531 §4.3).
fn keyword(origin: &Origin) -> &'static str {
    let encrypted = origin.client.tls.is_some();
    if origin.submission.submitter.is_some() {
        return match (origin.smtputf8, encrypted) {
            (false, false) => "ESMTPA",
            (false, true) => "ESMTPSA",
            (true, false) => "UTF8SMTPA",
            (true, true) => "UTF8SMTPSA",
        };
    }
    match (origin.client.hello.greeting(), origin.smtputf8, encrypted) {
        (Greeting::Helo, ..) => "SMTP",
        (Greeting::Ehlo, false, false) => "ESMTP",
        (Greeting::Ehlo, false, true) => "ESMTPS",
        (Greeting::Ehlo, true, false) => "UTF8SMTP",
        (Greeting::Ehlo, true, true) => "UTF8SMTPS",
        (Greeting::Lhlo, false, false) => "LMTP",
        (Greeting::Lhlo, false, true) => "LMTPS",
        (Greeting::Lhlo, true, false) => "UTF8LMTP",
        (Greeting::Lhlo, true, true) => "UTF8LMTPS",
    }
}

/// Names from DNS and ids from elsewhere may hold anything; a trace field may not.
fn host(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || "-._".contains(*c)).take(255).collect()
}

fn literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::address::{ForwardPath, ReversePath};
    use crate::auth::Submitter;
    use crate::envelope::{BodyType, Recipient};
    use crate::extension::Submission;
    use crate::hello::Hello;
    use crate::peer::{Client, Tls};

    fn envelope(greeting: Greeting, smtputf8: bool, tls: bool, recipients: &[&str]) -> Envelope {
        let client = Client {
            address: Some("2001:db8::1".parse().unwrap()),
            name: Some("mx.(client)\r\n.test".into()),
            hello: Hello::new(greeting, "client.test").unwrap(),
            tls: tls.then(|| Tls::new("TLSv1.3", "TLS_AES_256_GCM_SHA384")),
        };
        let path = |text: &&str| ForwardPath::parse(text).unwrap().0;
        let recipient = |text| Recipient { path: path(text), notify: None, orcpt: None };
        Envelope {
            origin: Arc::new(Origin {
                client,
                sender: ReversePath::Null,
                size: None,
                body: BodyType::SevenBit,
                smtputf8,
                ret: None,
                envid: None,
                submission: Submission::default(),
            }),
            recipients: recipients.iter().map(recipient).collect(),
        }
    }

    const TRACE: Trace<'static> = Trace {
        hostname: "mx.example.test",
        id: "7f;\r\n3a",
        at: Timestamp(1_795_359_480_000),
        client_name: None,
    };

    #[test]
    fn received_names_the_only_recipient() {
        let one = envelope(Greeting::Ehlo, false, true, &["<\"a b\"@example.test>"]);
        assert_eq!(
            TRACE.received(&one),
            "Received: from client.test (mx.client.test [IPv6:2001:db8::1])\r\n\
             \tby mx.example.test with ESMTPS (TLSv1.3)\r\n\
             \tid 7f3a\r\n\
             \tfor <\"a b\"@example.test>\r\n\
             \ttls TLS_AES_256_GCM_SHA384;\r\n\
             \tSun, 22 Nov 2026 14:58:00 +0000\r\n"
        );
        assert_eq!(Trace::return_path(&one), "Return-Path: <>\r\n");
        let found_out = Trace { client_name: Some("confirmed.test"), ..TRACE };
        assert!(
            found_out
                .received(&one)
                .starts_with("Received: from client.test (confirmed.test [IPv6:2001:db8::1])\r\n")
        );
        let two = envelope(Greeting::Helo, false, false, &["<a@x.test>", "<b@x.test>"]);
        let field = TRACE.received(&two);
        assert!(!field.contains("for ") && !field.contains("tls ") && field.contains("with SMTP\r\n"));
    }

    #[test]
    fn a_submitted_message_does_not_tell_where_its_author_is() {
        for (smtputf8, tls, keyword) in [
            (false, false, "ESMTPA"),
            (false, true, "ESMTPSA"),
            (true, false, "UTF8SMTPA"),
            (true, true, "UTF8SMTPSA"),
        ] {
            let mut envelope = envelope(Greeting::Ehlo, smtputf8, tls, &["<a@x.test>"]);
            let origin = Arc::make_mut(&mut envelope.origin);
            origin.submission.submitter = Some(Submitter::proven(1, "alice@example.test"));
            assert_eq!(
                TRACE.submitted(&envelope),
                format!(
                    "Received: by mx.example.test with {keyword}\r\n\tid 7f3a\r\n\tfor <a@x.test>;\r\n\t\
                     Sun, 22 Nov 2026 14:58:00 +0000\r\n"
                )
            );
            assert!(TRACE.received(&envelope).contains(&format!(" with {keyword}")));
        }
    }

    #[test]
    fn every_protocol_has_its_keyword() {
        let table = [
            (Greeting::Ehlo, false, false, "ESMTP"),
            (Greeting::Ehlo, true, false, "UTF8SMTP"),
            (Greeting::Ehlo, true, true, "UTF8SMTPS"),
            (Greeting::Lhlo, false, false, "LMTP"),
            (Greeting::Lhlo, false, true, "LMTPS"),
            (Greeting::Lhlo, true, false, "UTF8LMTP"),
            (Greeting::Lhlo, true, true, "UTF8LMTPS"),
        ];
        for (greeting, smtputf8, tls, keyword) in table {
            assert_eq!(super::keyword(&envelope(greeting, smtputf8, tls, &[]).origin), keyword);
        }
    }
}
