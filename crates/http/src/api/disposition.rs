//! Under which name a file is kept (RFC 6266, RFC 8187).

/// The longest file name, in octets.
const LONGEST: usize = 255;

/// A file to keep, under a name in any script, or under one that the client chooses.
pub(super) fn attachment(name: &str) -> String {
    let end = name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= LONGEST).last();
    let name = name.get(..end.unwrap_or(0)).unwrap_or_default();
    if name.is_empty() {
        return "attachment".to_owned();
    }
    let plain: String = name.chars().map(|c| if c.is_ascii() && !is_odd(c) { c } else { '_' }).collect();
    let mut encoded = String::new();
    for octet in name.chars().map(|c| if is_odd(c) { '_' } else { c }).collect::<String>().bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            encoded.push(char::from(octet));
        } else {
            encoded.push_str(&format!("%{octet:02X}"));
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

/// What a client should not follow, as it would a path, and what makes a name look like another: marks that turn the
/// direction of writing around, so that `gpj.exe` is read as `exe.jpg`.
fn is_odd(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '/' | '\\' | '"' | '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_52_names_of_files() {
        for (name, field) in [
            ("menu.pdf", "attachment; filename=\"menu.pdf\"; filename*=UTF-8''menu.pdf"),
            ("한 글", "attachment; filename=\"_ _\"; filename*=UTF-8''%ED%95%9C%20%EA%B8%80"),
            ("../a\"\r\nX: y", "attachment; filename=\".._a___X: y\"; filename*=UTF-8''.._a___X%3A%20y"),
            ("a\u{202e}gpj.exe", "attachment; filename=\"a_gpj.exe\"; filename*=UTF-8''a_gpj.exe"),
            ("", "attachment"),
        ] {
            assert_eq!(attachment(name), field, "{name}");
        }
        assert!(attachment(&"é".repeat(1000)).len() < 1200);
    }
}
