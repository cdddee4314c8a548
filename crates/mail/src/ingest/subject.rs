//! The base subject (RFC 5256 §2.1): what a subject is about, without "Re:", "Fwd:", list tags and their
//! counterparts in the languages that mail programs speak.

use super::words::decode_text;

/// The longest raw subject that is looked at.
const MAX_LEN: usize = 2000;

/// Words that with a colon mean a reply or a forward. Lower case. One-letter ones (`R:`, `I:`) are left out:
/// they begin too many subjects that are neither.
const LEADERS: &[&str] = &[
    "re",
    "fw",
    "fwd", // RFC 5256
    "aw",
    "antw",
    "wg", // German, Dutch
    "sv",
    "vs",
    "vb",
    "vl", // Scandinavian, Finnish
    "res",
    "enc",
    "rv",
    "rif",
    "tr", // Portuguese, Spanish, Italian, French
    "odp",
    "pd",
    "ynt",
    "ilt",
    "vá",
    "továbbítás",
    "doorst",
    "atb",
    "hb", // Polish, Turkish, Hungarian, Dutch, Baltic, …
    "απ",
    "σχετ",
    "πρθ",
    "отв",
    "пересл", // Greek, Russian
    "답장",
    "회신",
    "전달",
    "回复",
    "回覆",
    "答复",
    "转发",
    "轉寄",
    "返信",
    "転送",
];
/// The longest leader, in bytes, with room for lower-casing.
const MAX_LEADER: usize = 24;

/// The base subject of a raw Subject value. Not folded to one case; see [`thread_subject`].
pub fn base_subject(value: &[u8], fallback: Option<&str>) -> String {
    let text = decode_text(value.get(..MAX_LEN).unwrap_or(value), fallback);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    strip(&text).to_owned()
}

/// The base subject in the form in which two are compared: lower case, no white space.
pub fn thread_subject(value: &[u8], fallback: Option<&str>) -> String {
    base_subject(value, fallback)
        .chars()
        .filter(|c| !c.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Whether a raw Subject value says that the message answers or forwards another (RFC 5256 §2.1).
pub fn is_reply(value: &[u8], fallback: Option<&str>) -> bool {
    let text = decode_text(value.get(..MAX_LEN).unwrap_or(value), fallback);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rest = text.as_str();
    if strip_trailers(rest) != rest.trim_end() {
        return true;
    }
    loop {
        rest = rest.trim_start();
        if without_leader(rest).is_some() || is_fwd_wrapper(rest) && rest.ends_with(']') {
            return true;
        }
        match without_tag(rest) {
            Some(behind) if !behind.trim_start().is_empty() => rest = behind,
            _ => return false,
        }
    }
}

fn strip(mut text: &str) -> &str {
    loop {
        text = strip_trailers(text);
        text = strip_leaders(text);
        // Step 6: "[fwd: …]" around it all.
        match text
            .get(..5)
            .filter(|head| head.eq_ignore_ascii_case("[fwd:"))
            .and_then(|_| text.strip_suffix(']'))
        {
            Some(inner) => text = inner.get(5..).unwrap_or_default(),
            None => return text,
        }
    }
}

/// Step 2.
fn strip_trailers(mut text: &str) -> &str {
    loop {
        text = text.trim_end();
        let Some(head) = text.len().checked_sub(5) else { return text };
        match text.get(head..) {
            Some(tail) if tail.eq_ignore_ascii_case("(fwd)") => text = text.get(..head).unwrap_or_default(),
            _ => return text,
        }
    }
}

/// Steps 3 to 5. A tag is dropped whenever something remains behind it, so that each character is passed once.
fn strip_leaders(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        if let Some(rest) = without_leader(text) {
            text = rest;
            continue;
        }
        match without_tag(text).map(str::trim_start) {
            Some(rest) if !rest.is_empty() && !is_fwd_wrapper(text) => text = rest,
            _ => return text,
        }
    }
}

fn is_fwd_wrapper(text: &str) -> bool {
    text.get(..5).is_some_and(|head| head.eq_ignore_ascii_case("[fwd:"))
}

/// Text behind `re:`, `Re[2]:`, `RE (3):`, `re [tag] :`, `답장：`.
fn without_leader(text: &str) -> Option<&str> {
    let end = text
        .char_indices()
        .take(MAX_LEADER)
        .find(|(_, c)| !c.is_alphabetic() && !is_mark(*c))
        .map(|(at, _)| at)?;
    let (word, mut rest) = text.split_at_checked(end)?;
    if word.is_empty() || word.len() > MAX_LEADER {
        return None;
    }
    let lower: String = word.chars().flat_map(char::to_lowercase).filter(|c| !is_mark(*c)).collect();
    if !LEADERS.contains(&lower.as_str()) {
        return None;
    }
    rest = rest.trim_start();
    rest = without_tag(rest).or_else(|| without_count(rest)).unwrap_or(rest).trim_start();
    rest.strip_prefix([':', '：'])
}

/// Combining marks that lower-casing the Turkish İ leaves behind.
fn is_mark(c: char) -> bool {
    c == '\u{307}'
}

/// Text behind `[tag]`; the tag holds no bracket.
fn without_tag(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    inner.get(end..)?.strip_prefix(']')
}

/// Text behind `(2)` or `^2`.
fn without_count(text: &str) -> Option<&str> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    if let Some(inner) = text.strip_prefix('(') {
        return inner.get(digits(inner)..).filter(|rest| rest.len() < inner.len())?.strip_prefix(')');
    }
    let inner = text.strip_prefix('^')?;
    inner.get(digits(inner)..).filter(|rest| rest.len() < inner.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_leaders_tags_and_trailers() {
        let cases = [
            ("hello", "hello"),
            ("Re: hello", "hello"),
            ("RE: re:FWD:  hello  world (fwd) (FWD)", "hello world"),
            ("Re[2]: hello", "hello"),
            ("Re [tag] : hello", "hello"),
            ("RE(3): RE^4: hello", "hello"),
            ("[list] Re: [other] hello [x]", "hello [x]"),
            ("[list]", "[list]"),
            ("[a][b]", "[b]"),
            ("[Fwd: Re: hello]", "hello"),
            ("Fwd: [Fwd: [fwd: hello]]", "hello"),
            ("AW: WG: SV: VS: Antw: Hallo", "Hallo"),
            ("답장: 회의록", "회의록"),
            ("回复：Re: 你好", "你好"),
            ("İLT: Ynt: selam", "selam"),
            ("Re: ", ""),
            ("Reply: x", "Reply: x"),
            ("R: x", "R: x"),
            ("Note: re: x", "Note: re: x"),
            ("res publica: on the state", "res publica: on the state"),
            ("a re: b", "a re: b"),
            ("Re", "Re"),
            ("[", "["),
            ("[Fwd:", "[Fwd:"),
            ("[Fwd: x] y", "[Fwd: x] y"),
            ("", ""),
            ("=?utf-8?q?Re=3A_?= =?utf-8?b?7ZWc6riA?=", "한글"),
        ];
        for (subject, base) in cases {
            assert_eq!(base_subject(subject.as_bytes(), None), base, "{subject:?}");
        }
        for (subject, reply) in [
            ("Re: x", true),
            ("[list] re: x", true),
            ("x (fwd)", true),
            ("[Fwd: x]", true),
            ("AW: x", true),
            ("[list] x", false),
            ("x re: y", false),
            ("[list]", false),
            ("", false),
        ] {
            assert_eq!(is_reply(subject.as_bytes(), None), reply, "{subject:?}");
        }
        assert_eq!(thread_subject(b"RE: Hello  World", None), thread_subject(b"hello\r\n world", None));
        let decomposed = "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}";
        assert_eq!(thread_subject(decomposed.as_bytes(), None), "한글");
    }
}
