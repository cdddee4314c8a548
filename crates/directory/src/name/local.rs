//! Local parts: what stands before the `@`.

use unicode_normalization::UnicodeNormalization;

use super::NameError;
use super::script::check_scripts;

/// A local part: as it was written (in NFC), and in the normal form that it is looked up by (NFC, lower case).
/// Two with one normal form are equal.
#[derive(Clone, Debug)]
pub struct LocalPart {
    written: String,
    normal: String,
}

impl LocalPart {
    /// The longest local part in octets (RFC 5321 §4.5.3.1.1).
    pub const MAX_LEN: usize = 64;

    /// Reads a local part, quoted (RFC 5321 §4.1.2) or not. Quotes do not belong to the name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        super::check_characters(text)?;
        let too_long = NameError::TooLong { what: "the local part", limit: Self::MAX_LEN };
        // However it is composed, this cannot become short enough; and nobody pays for composing it.
        if text.len() > 16 * Self::MAX_LEN {
            return Err(too_long);
        }
        let plain = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).map(unescape);
        let written: String = match &plain {
            Some(plain) => plain.nfc().collect(),
            None => text.nfc().collect(),
        };
        if written.is_empty() {
            return Err(NameError::Empty("the local part"));
        }
        if written.len() > Self::MAX_LEN {
            return Err(too_long);
        }
        let normal = normal_form(&written);
        Ok(Self { written, normal })
    }

    /// As it was written, in NFC.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The form for look-ups.
    pub(crate) fn normal(&self) -> &str {
        &self.normal
    }

    /// A local part that was read before and comes back from a row.
    pub(crate) fn from_row(written: &str) -> Self {
        Self { written: written.to_owned(), normal: normal_form(written) }
    }

    /// Whether this may become a name of ours.
    pub(crate) fn check_new(&self) -> Result<(), NameError> {
        let dots = &self.written;
        if dots.starts_with('.') || dots.ends_with('.') || dots.contains("..") {
            return Err(NameError::Dots);
        }
        let odd = |c: &char| c.is_ascii() && !c.is_ascii_alphanumeric() && !"._-+=&'~".contains(*c);
        match self.written.chars().find(odd) {
            Some(c) => Err(NameError::Character(c)),
            None => check_scripts(&self.written),
        }
    }

    /// The parts before and behind a separator, wherever one stands; the longest part before it first. At most
    /// [`Self::SPLITS`].
    pub(crate) fn splits(&self, separator: char) -> Vec<(Self, String)> {
        let splits = self.written.match_indices(separator).take(Self::SPLITS).filter_map(|(at, sep)| {
            let base = Self::parse(self.written.get(..at)?).ok()?;
            Some((base, self.written.get(at + sep.len()..)?.to_owned()))
        });
        let mut splits: Vec<_> = splits.collect();
        splits.reverse();
        splits
    }

    /// How many separators of one local part are tried: each costs a row in a look-up.
    pub(crate) const SPLITS: usize = 4;
}

impl PartialEq for LocalPart {
    fn eq(&self, other: &Self) -> bool {
        self.normal == other.normal
    }
}

impl Eq for LocalPart {}

/// NFC, then lower case letter by letter (a text's last sigma is a sigma like any other), then NFC again, because
/// a lower-case letter may compose where its capital did not.
fn normal_form(text: &str) -> String {
    let lower = text.nfc().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c });
    lower.nfc().collect()
}

/// Takes away the backslashes of a quoted string's inside.
pub(crate) fn unescape(quoted: &str) -> String {
    let mut plain = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_normal_form_is_normal(text in any::<String>()) {
            let once = normal_form(&text);
            prop_assert_eq!(normal_form(&once), once);
        }

        #[test]
        fn spellings_share_one_normal_form(text in "[\\p{L}\\p{M}]{1,12}") {
            let nfd: String = text.nfd().collect();
            prop_assert_eq!(normal_form(&nfd), normal_form(&text));
            prop_assert_eq!(normal_form(&text.to_ascii_uppercase()), normal_form(&text));
        }

        #[test]
        fn reading_never_fails_badly(text in any::<String>()) {
            if let Ok(local) = LocalPart::parse(&text) {
                prop_assert_eq!(&LocalPart::from_row(local.as_str()), &local);
                prop_assert!(!local.normal().contains(['\0', '\r', '\n']));
                let _judged = local.check_new();
                local.splits('+').iter().for_each(|(base, _)| assert!(!base.normal().is_empty()));
            }
        }

        #[test]
        fn plain_names_are_welcome(text in "[a-zA-Z0-9]([._+-]?[a-zA-Z0-9]){0,20}") {
            prop_assert!(LocalPart::parse(&text).unwrap().check_new().is_ok());
        }
    }

    #[test]
    fn every_letter_has_a_stable_lower_case() {
        for c in ('\0'..=char::MAX).filter(|c| c.is_alphabetic()) {
            let once = normal_form(&c.to_string());
            assert_eq!(normal_form(&once), once, "{c:?}");
        }
    }

    #[test]
    fn case_form_and_quotes_make_no_difference() {
        let same = |a: &str, b: &str| assert_eq!(LocalPart::parse(a).unwrap(), LocalPart::parse(b).unwrap());
        same("Alice", "aLICE");
        same("\"ali\\ce\"", "alice");
        same("José", "jose\u{301}");
        same("ΟΔΟΣ", "οδος");
        same("홍길동", "\u{1112}\u{1169}\u{11bc}\u{1100}\u{1175}\u{11af}\u{1103}\u{1169}\u{11bc}");
        assert_eq!(LocalPart::parse("ÅSA").unwrap().as_str(), "ÅSA");
    }

    #[test]
    fn odd_names_are_not_created() {
        for bad in
            ["*)(uid=*", "a b", "\"a b\"", "%{user}", "a/b", "a!b", "a|b", "a@b", ".a", "a.", "a..b", "<a>"]
        {
            assert!(LocalPart::parse(bad).unwrap().check_new().is_err(), "{bad:?}");
        }
        // Cyrillic а in Latin, full-width letters, an emoji.
        for bad in ["p\u{0430}ypal", "ａｄｍｉｎ", "me😀"] {
            assert!(LocalPart::parse(bad).unwrap().check_new().is_err(), "{bad:?}");
        }
        for good in ["o'brien", "홍길동", "kim철수", "山田tarou", "иван", "a+b", "x-y_z"] {
            LocalPart::parse(good).unwrap().check_new().unwrap();
        }
    }

    #[test]
    fn nothing_can_be_injected() {
        for bad in ["a\r\nRCPT TO:<b", "a\0", "a\n", "\"a\r\"", "a\u{7f}", "a\u{85}b"] {
            assert_eq!(LocalPart::parse(bad), Err(NameError::Control), "{bad:?}");
        }
        for bad in ["a\u{202e}b", "a\u{200b}", "\u{2066}a", "a\u{feff}"] {
            assert!(matches!(LocalPart::parse(bad), Err(NameError::Invisible(_))), "{bad:?}");
        }
        assert!(LocalPart::parse(&"a".repeat(65)).is_err());
    }

    #[test]
    fn the_longest_base_comes_first() {
        let splits = LocalPart::parse("Lists+Rust+Beta").unwrap().splits('+');
        let splits: Vec<_> = splits.iter().map(|(base, detail)| (base.as_str(), detail.as_str())).collect();
        assert_eq!(splits, [("Lists+Rust", "Beta"), ("Lists", "Rust+Beta")]);
        assert!(LocalPart::parse("+x").unwrap().splits('+').is_empty());
    }
}
