//! Lists of `tag=value` (RFC 6376 §3.2), as signatures, keys, seals and policies are written.

/// The tags of a list in their order. Names have case; values have lost the white space around them.
#[derive(Debug)]
pub(crate) struct Tags<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Tags<'a> {
    /// Reads a list; `None` if something in it is no tag, or a tag stands there twice.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut tags: Vec<(&str, &str)> = Vec::new();
        let mut parts = text.split(';').peekable();
        while let Some(part) = parts.next() {
            if part.trim_ascii().is_empty() && parts.peek().is_none() {
                break;
            }
            let (name, value) = part.split_once('=')?;
            let name = name.trim_ascii();
            let good = name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            // Of a hundred tags, none is one that anybody knows.
            if !good || tags.len() == 100 || tags.iter().any(|(other, _)| *other == name) {
                return None;
            }
            tags.push((name, value.trim_ascii()));
        }
        Some(Self(tags))
    }

    /// A tag's value.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }

    /// The first tag.
    pub(crate) fn first(&self) -> Option<(&'a str, &'a str)> {
        self.0.first().copied()
    }
}

/// A value without any white space: base64 and lists may be folded anywhere.
pub(crate) fn unfolded(value: &str) -> String {
    value.split_ascii_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists() {
        let tags = Tags::parse(b" v=1; a = rsa-sha256 ;\r\n\tb=AB\r\n CD=;").unwrap();
        assert_eq!(tags.first(), Some(("v", "1")));
        assert_eq!(tags.get("a"), Some("rsa-sha256"));
        assert_eq!(tags.get("b").map(unfolded).as_deref(), Some("ABCD="));
        assert_eq!(tags.get("B"), None);
        for bad in ["v", "v=1; v=1", "v=1;; a=2", "=1", "1=v", "a b=c"] {
            assert!(Tags::parse(bad.as_bytes()).is_none(), "{bad:?}");
        }
        assert!(Tags::parse(b"v=\xff").is_none());
    }
}
