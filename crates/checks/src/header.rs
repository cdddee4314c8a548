//! Who the authors of a message are, as its header says.

use dns::Name;
use types::addresses;
pub(crate) use types::{Field, Header};

/// The domains of all authors (RFC 5322 §3.6.2), each once. Whoever writes two addresses, or even two fields, is
/// asked about all of them.
pub(crate) fn author_domains(header: &Header<'_>) -> Vec<Name> {
    let mut domains = Vec::new();
    for field in header.named("from") {
        for address in addresses(&String::from_utf8_lossy(field.value())) {
            let domain = address.rsplit_once('@').and_then(|(_, domain)| Name::parse(domain.trim()));
            if let Some(domain) = domain.filter(|domain| !domains.contains(domain)) {
                domains.push(domain);
            }
        }
    }
    domains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors() {
        let table: [(&str, &[&str]); 12] = [
            ("a@x.test", &["x.test"]),
            ("A <a@X.test>", &["x.test"]),
            ("\"ceo@bank.test\" <a@x.test>", &["x.test"]),
            ("ceo@bank.test <a@x.test>", &["x.test"]),
            ("a@x.test (ceo@bank.test)", &["x.test"]),
            ("a@x.test, B <b@y.test>", &["x.test", "y.test"]),
            ("<a@x.test> <b@y.test>", &["x.test", "y.test"]),
            ("team: a@x.test, b@y.test;", &["x.test", "y.test"]),
            ("\"a, \\\" <b\"@x.test", &["x.test"]),
            ("<@route.test:a@x.test>", &["x.test"]),
            ("한국 <a@한국.test>", &["xn--3e0b707e.test"]),
            ("nobody", &[]),
        ];
        for (value, domains) in table {
            let message = format!("From: {value}\r\n\r\n");
            let found = author_domains(&Header::parse(message.as_bytes()));
            let found: Vec<_> = found.iter().map(Name::as_str).collect();
            assert_eq!(found, domains, "{value}");
        }
    }

    #[test]
    fn a_second_field_is_not_overlooked() {
        let message = b"From: a@x.test\r\nbad line\r\nFrom: b@y.test\r\n\r\n";
        assert_eq!(author_domains(&Header::parse(message)).len(), 2);
    }
}
