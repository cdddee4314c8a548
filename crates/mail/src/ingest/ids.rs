//! Message ids (RFC 5322 §3.6.4) as they are found in Message-ID, In-Reply-To and References.

use std::borrow::Cow;

use memchr::memchr;

/// The ids in a field's value in their order, without angle brackets, white space inside them removed. Words
/// around them (`your message of "Monday"`) are skipped; a value without brackets counts as ids if its words
/// hold an `@`.
pub fn message_ids(value: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let mut rest = value;
    let bare = memchr(b'<', value).is_none();
    std::iter::from_fn(move || if bare { bare_id(&mut rest) } else { bracketed_id(&mut rest) })
}

fn bracketed_id<'a>(rest: &mut &'a [u8]) -> Option<Cow<'a, [u8]>> {
    loop {
        let start = memchr(b'<', rest)? + 1;
        let from = rest.get(start..)?;
        let Some(end) = from.iter().position(|byte| matches!(byte, b'<' | b'>')) else {
            *rest = b"";
            return Some(without_space(from.trim_ascii())).filter(|id| !id.is_empty());
        };
        let closed = from.get(end) == Some(&b'>');
        *rest = from.get(end + usize::from(closed)..)?;
        let id = without_space(from.get(..end)?.trim_ascii());
        if closed && !id.is_empty() {
            return Some(id);
        }
    }
}

fn bare_id<'a>(rest: &mut &'a [u8]) -> Option<Cow<'a, [u8]>> {
    loop {
        let from = rest.trim_ascii_start();
        if from.is_empty() {
            return None;
        }
        let end = from.iter().position(u8::is_ascii_whitespace).unwrap_or(from.len());
        let (word, tail) = from.split_at_checked(end)?;
        *rest = tail;
        if word.contains(&b'@') {
            return Some(Cow::Borrowed(word));
        }
    }
}

fn without_space(id: &[u8]) -> Cow<'_, [u8]> {
    if id.iter().any(u8::is_ascii_whitespace) {
        Cow::Owned(id.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect())
    } else {
        Cow::Borrowed(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_ids() {
        let cases: &[(&str, &[&str])] = &[
            (" <a@x>", &["a@x"]),
            ("<a@x>\r\n\t<b@y><c@z>", &["a@x", "b@y", "c@z"]),
            ("Your message of \"Mon\" <a@x>", &["a@x"]),
            ("<a\r\n b@x>", &["ab@x"]),
            ("a@x b c@y", &["a@x", "c@y"]),
            ("<<a@x>>", &["a@x"]),
            ("<a@x", &["a@x"]),
            ("<>", &[]),
            ("none", &[]),
        ];
        for (value, ids) in cases {
            let found: Vec<_> =
                message_ids(value.as_bytes()).map(|id| String::from_utf8_lossy(&id).into_owned()).collect();
            assert_eq!(found, *ids, "{value:?}");
        }
        assert_eq!(message_ids("<".repeat(1_000_000).as_bytes()).count(), 0);
    }
}
