//! How a client introduces itself: the argument of EHLO, HELO and LHLO.

use std::fmt;

/// Which of the three commands introduced the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Greeting {
    /// RFC 821: no extensions.
    Helo,
    /// RFC 5321 §4.1.1.1.
    Ehlo,
    /// RFC 2033 §4.1.
    Lhlo,
}

/// A client's introduction. Its name is safe in a header field, a log line and a reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    greeting: Greeting,
    name: String,
}

impl Hello {
    /// Checks the name that the client gives itself.
    ///
    /// RFC 5321 §4.1.4 forbids refusing a name because it does not resolve, and clients in the field send names
    /// that are no domains (`my_laptop`), so this asks for less than a domain: 1 to 255 letters, digits, `-`,
    /// `.`, `_`, or `:` within an address literal. What it never lets through is a character that means
    /// something in a `Received:` field or a log.
    pub fn new(greeting: Greeting, name: &str) -> Option<Self> {
        let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let (text, extra) = inner.map_or((name, "-._"), |inner| (inner, "-._:"));
        let fits = (1..=255).contains(&text.len());
        let clean = text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c));
        (fits && clean).then(|| Self { greeting, name: name.to_owned() })
    }

    /// The command that was used.
    pub fn greeting(&self) -> Greeting {
        self.greeting
    }

    /// The name that the client gave itself: a claim, not a fact.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the client may use extensions (RFC 5321 §2.2.1).
    pub(crate) fn extended(&self) -> bool {
        self.greeting != Greeting::Helo
    }
}

impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_clients_send_and_nothing_that_could_inject() {
        for good in ["mx.example.test", "my_laptop", "192.0.2.1", "[192.0.2.1]", "[IPv6:2001:db8::1]", "x"] {
            assert!(Hello::new(Greeting::Ehlo, good).is_some(), "{good:?}");
        }
        let long = "a".repeat(256);
        for bad in ["", "[]", "a b", "a;b", "a(b)", "<a>", "a\r", "a\0", "한국", "[a", "a]", "a:b", &long] {
            assert!(Hello::new(Greeting::Ehlo, bad).is_none(), "{bad:?}");
        }
    }
}
