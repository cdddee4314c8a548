//! The text of a part (RFC 8621 §4.1.4 `bodyValues`).

use mail::ingest::charset;
use mail::ingest::transfer;
use mail::record::Part;
use serde_json::{Value, json};

/// The text of a part, from its body as it stands; at most `max` octets of it, if that is not zero.
pub(crate) fn body_value(part: &Part, body: &[u8], max: usize) -> Value {
    let octets = transfer::decode(body, &part.encoding, usize::MAX);
    let label = part.charset();
    let text = charset::decode(&octets, label.as_deref());
    let problem = !knows_encoding(&part.encoding)
        || label.as_deref().is_some_and(|label| !charset::is_known(label) || is_no_utf8(&octets, label))
        || (text.contains('\u{fffd}') && !holds_replacement(&octets));
    let text = text.replace("\r\n", "\n");
    let is_html = part.media_type == "text/html";
    let kept = if max == 0 { text.as_str() } else { truncated(&text, max, is_html) };
    json!({"value": kept, "isEncodingProblem": problem, "isTruncated": kept.len() < text.len()})
}

/// The beginning of a text, at most `max` octets, cut between characters and outside of tags.
fn truncated(text: &str, max: usize, is_html: bool) -> &str {
    if text.len() <= max {
        return text;
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = text.get(..end).unwrap_or_default();
    match (is_html, kept.rfind('<')) {
        (true, Some(open)) if !kept.get(open..).unwrap_or_default().contains('>') => {
            kept.get(..open).unwrap_or_default()
        }
        _ => kept,
    }
}

fn knows_encoding(encoding: &str) -> bool {
    let known =
        ["", "7bit", "8bit", "binary", "base64", "quoted-printable", "x-uuencode", "uuencode", "x-uue"];
    known.iter().any(|known| known.eq_ignore_ascii_case(encoding.trim()))
}

/// Whether the text is said to be UTF-8 and is not. It is read as something else, then, that may be a wrong guess.
fn is_no_utf8(octets: &[u8], label: &str) -> bool {
    ["utf-8", "utf8"].iter().any(|utf8| utf8.eq_ignore_ascii_case(label.trim()))
        && std::str::from_utf8(octets).is_err()
}

/// Whether the sender has written U+FFFD.
fn holds_replacement(octets: &[u8]) -> bool {
    octets.windows(3).any(|window| window == "\u{fffd}".as_bytes())
}

#[cfg(test)]
mod tests {
    use mail::record::{Param, Raw};

    use super::*;

    fn part(media_type: &str, encoding: &str, label: &str) -> Part {
        let charset = Param { name: "charset".to_owned(), value: Raw(label.as_bytes().to_vec()) };
        Part {
            media_type: media_type.to_owned(),
            encoding: encoding.to_owned(),
            params: (!label.is_empty()).then_some(charset).into_iter().collect(),
            ..Part::default()
        }
    }

    /// RFC 8621 §4.1.4
    #[test]
    fn text_is_decoded() {
        for (part, body, value, problem) in [
            (part("text/plain", "", "utf-8"), "a\r\nb\nc\r\n".as_bytes(), "a\nb\nc\n", false),
            (part("text/plain", "base64", "euc-kr"), b"x9GxuQ==", "한국", false),
            (part("text/plain", "quoted-printable", "iso-8859-1"), b"=FC", "ü", false),
            (part("text/plain", "", ""), b"plain", "plain", false),
            (part("text/plain", "", "us-ascii"), b"plain", "plain", false),
            (part("text/plain", "", "x-nobody-knows"), b"plain", "plain", true),
            (part("text/plain", "x-odd", "utf-8"), b"plain", "plain", true),
            (part("text/plain", "", "utf-8"), "\u{fffd}".as_bytes(), "\u{fffd}", false),
        ] {
            let shown = body_value(&part, body, 0);
            assert_eq!(shown, json!({"value": value, "isEncodingProblem": problem, "isTruncated": false}));
        }
    }

    /// RFC 8621 §4.2 `maxBodyValueBytes`
    #[test]
    fn text_is_cut_between_characters_and_outside_of_tags() {
        for (text, max, html, kept) in [
            ("한글", 5, false, "한"),
            ("한글", 6, false, "한글"),
            ("abc", 2, false, "ab"),
            ("a<b", 3, false, "a<b"),
            ("x <a href=\"y\">z", 10, true, "x "),
            ("x <a> y", 6, true, "x <a> "),
        ] {
            assert_eq!(truncated(text, max, html), kept, "{text} {max}");
        }
        let cut = body_value(&part("text/plain", "", "utf-8"), b"a\r\nb", 2);
        assert_eq!(cut, json!({"value": "a\n", "isEncodingProblem": false, "isTruncated": true}));
    }
}
