//! Texts that come from outside, on their way into rows.

/// A text of at most `most` octets, cut between characters, without control characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let mut short = String::with_capacity(text.len().min(most));
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if short.len() + c.len_utf8() > most {
            break;
        }
        short.push(c);
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("a\r\nb\u{0}c", 10), "a  b c");
        assert_eq!(cut("한글", 5), "한");
        assert_eq!(cut("", 5), "");
    }
}
