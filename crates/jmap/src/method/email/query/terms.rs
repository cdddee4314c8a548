//! What a text condition looks for (RFC 8621 §4.4.1): words, and phrases in quotes; all of them must be there.

use mail::search::Needle;

/// The most words of one condition; more are not looked for.
const MOST: usize = 32;

/// The words and phrases of a text, folded. White space separates words; between two `"` or two `'` it does not, and `\`
/// before one of these makes it an ordinary character.
pub(crate) fn needles(text: &str) -> Vec<Needle> {
    split(text).iter().take(MOST).map(|term| Needle::new(term)).collect()
}

fn split(text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    let mut term = String::new();
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', _) if chars.peek().is_some_and(|next| matches!(next, '"' | '\'' | '\\')) => {
                term.extend(chars.next());
            }
            ('"' | '\'', None) if term.is_empty() => quote = Some(c),
            (c, Some(open)) if c == open => {
                quote = None;
                terms.push(std::mem::take(&mut term));
            }
            (c, None) if c.is_whitespace() => terms.push(std::mem::take(&mut term)),
            (c, _) => term.push(c),
        }
    }
    terms.push(term);
    terms.retain(|term| !term.trim().is_empty());
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_phrases() {
        for (text, terms) in [
            ("foo bar", &["foo", "bar"][..]),
            ("\"foo bar\" baz", &["foo bar", "baz"]),
            ("'foo bar'baz", &["foo bar", "baz"]),
            ("don't stop", &["don't", "stop"]),
            ("\\\"foo bar", &["\"foo", "bar"]),
            ("\"open phrase", &["open phrase"]),
            ("\u{3000}한글 검색", &["한글", "검색"]),
            ("  \"\" ", &[]),
        ] {
            assert_eq!(split(text), terms, "{text}");
        }
    }
}
