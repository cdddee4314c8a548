//! LIST's wildcards: `*` is any text, `%` any text without the separator.

/// A pattern, ready to be matched.
pub(in super::super) struct Pattern {
    /// Wildcards that follow each other are one.
    text: Vec<char>,
}

impl Pattern {
    /// The longest pattern, in characters.
    const MOST: usize = 2048;

    /// `None` if the pattern is too long.
    pub(in super::super) fn new(text: &str) -> Option<Self> {
        let mut pattern: Vec<char> = Vec::new();
        for c in text.chars() {
            match (pattern.last_mut(), c) {
                (Some('*'), '*' | '%') | (Some('%'), '%') => {}
                (Some(last @ '%'), '*') => *last = '*',
                _ => pattern.push(c),
            }
            if pattern.len() > Self::MOST {
                return None;
            }
        }
        Some(Self { text: pattern })
    }

    /// Whether `name` matches as a whole. INBOX matches in any case. Takes time in proportion to the product
    /// of both lengths, whatever the wildcards.
    pub(in super::super) fn matches(&self, name: &str) -> bool {
        let inbox = name.split('/').next() == Some("INBOX");
        // `at[i]`: the first `i` characters of the pattern match what was read of the name.
        let mut at = vec![false; self.text.len() + 1];
        let mut next = at.clone();
        open(&mut at, true, &self.text);
        for (position, c) in name.chars().enumerate() {
            let any_case = inbox && position < 5;
            next.fill(false);
            for (i, p) in self.text.iter().enumerate() {
                if !at.get(i).copied().unwrap_or_default() {
                    continue;
                }
                let (stays, goes) = match p {
                    '*' => (true, false),
                    '%' => (c != '/', false),
                    p => (false, *p == c || (any_case && p.eq_ignore_ascii_case(&c))),
                };
                if stays && let Some(next) = next.get_mut(i) {
                    *next = true;
                }
                if goes && let Some(next) = next.get_mut(i + 1) {
                    *next = true;
                }
            }
            std::mem::swap(&mut at, &mut next);
            open(&mut at, false, &self.text);
        }
        at.last().copied().unwrap_or_default()
    }
}

/// A wildcard also matches nothing.
fn open(at: &mut [bool], first: bool, pattern: &[char]) {
    if first && let Some(start) = at.first_mut() {
        *start = true;
    }
    for (i, p) in pattern.iter().enumerate() {
        if matches!(p, '*' | '%')
            && at.get(i).copied().unwrap_or_default()
            && let Some(after) = at.get_mut(i + 1)
        {
            *after = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        let matches = |pattern: &str, name: &str| Pattern::new(pattern).unwrap().matches(name);
        for (pattern, name) in [
            ("*", "a/b"),
            ("%", "a"),
            ("a%", "a"),
            ("a/%", "a/b"),
            ("%/%", "a/b"),
            ("*b", "a/b"),
            ("inb%", "INBOX"),
            ("Inbox/*", "INBOX/x"),
            ("받은%", "받은편지함"),
            ("a*c*e", "abcde"),
            ("%%*%", "x/y/z"),
            ("", ""),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("%", "a/b"),
            ("a", "b"),
            ("a/%", "a/b/c"),
            ("", "a"),
            ("INBOX", "inboxes"),
            ("x%", "X"),
            ("INBOX/X", "INBOX/x"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn hostile_patterns_take_no_longer() {
        let pattern = Pattern::new(&"*a".repeat(1000)).unwrap();
        assert!(!pattern.matches(&"a".repeat(900)));
        assert!(Pattern::new(&"ab".repeat(10_000)).is_none());
    }
}
