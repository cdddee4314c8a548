//! What a form or a query says. Whatever is said twice is refused as a whole: two readers might believe different halves
//! (RFC 6749 §3.1).

use std::collections::HashMap;

use crate::api::unescaped;

/// The most variables that are looked at.
const MOST: usize = 40;

/// Names and values.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Variables(HashMap<String, String>);

impl Variables {
    /// Reads `name=value&…`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut variables = HashMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (unescaped(name)?, unescaped(value)?);
            if variables.len() == MOST || variables.insert(name, value).is_some() {
                return None;
            }
        }
        Some(Self(variables))
    }

    /// A value; what is empty counts as not there (RFC 6749 §3.1).
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// A text as it stands in a query or a form.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte))
            }
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_twice() {
        let read = Variables::read("a=1&b=x%26y+z&c&&d=").unwrap();
        assert_eq!((read.get("a"), read.get("b"), read.get("c")), (Some("1"), Some("x&y z"), None));
        assert_eq!((read.get("d"), read.get("e")), (None, None));
        assert_eq!(Variables::read(""), Some(Variables::default()));
        for bad in
            ["a=1&a=1", "a=1&%61=2", "a=%", "a=%ff", &(0..41).map(|n| format!("{n}=&")).collect::<String>()]
        {
            assert_eq!(Variables::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn texts_come_back() {
        for text in ["plain-._~", "a b&c=d#?/%", "한\u{1}\r\n"] {
            assert_eq!(unescaped(&escaped(text)).as_deref(), Some(text));
        }
        assert_eq!(escaped("a b&c"), "a%20b%26c");
    }
}
