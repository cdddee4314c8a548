//! Flags: IMAP's spelling of keywords, and `\Deleted`, which belongs to a membership.

use types::{Keyword, Keywords};

use super::cursor::{Cursor, Syntax};

/// One flag as a command names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flag {
    /// `\Deleted`
    Deleted,
    /// Any other flag or keyword; `\Seen` is `$seen`.
    Keyword(Keyword),
}

/// System flags that are keywords, with the keyword's name.
const SYSTEM: [(&str, &str); 4] = [
    ("Seen", Keyword::SEEN),
    ("Answered", Keyword::ANSWERED),
    ("Flagged", Keyword::FLAGGED),
    ("Draft", Keyword::DRAFT),
];

/// Registered keywords in the spelling that clients expect to see.
const REGISTERED: [&str; 8] = [
    "$Forwarded",
    "$Junk",
    "$NotJunk",
    "$MDNSent",
    "$Phishing",
    "$Important",
    "$SubmitPending",
    "$Submitted",
];

impl Flag {
    /// `flag`: one of the five system flags, or a keyword.
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        if cursor.take(b'\\') {
            let name = cursor.atom("a flag")?;
            if name.eq_ignore_ascii_case("Deleted") {
                return Ok(Self::Deleted);
            }
            let known = SYSTEM.iter().find(|(system, _)| system.eq_ignore_ascii_case(name));
            let known = known.and_then(|(_, keyword)| Keyword::new(keyword).ok());
            return known
                .map(Self::Keyword)
                .ok_or_else(|| cursor.expected("a system flag that a client may set"));
        }
        let keyword = Keyword::new(cursor.atom("a flag")?);
        keyword.map(Self::Keyword).map_err(|_| cursor.expected("a keyword of at most 255 characters"))
    }

    /// A keyword in IMAP's spelling: `$seen` is `\Seen`.
    pub fn spell(keyword: &str) -> &str {
        match keyword {
            Keyword::SEEN => "\\Seen",
            Keyword::ANSWERED => "\\Answered",
            Keyword::FLAGGED => "\\Flagged",
            Keyword::DRAFT => "\\Draft",
            other => REGISTERED.iter().find(|r| r.eq_ignore_ascii_case(other)).copied().unwrap_or(other),
        }
    }

    /// A membership's flags in IMAP's spelling.
    pub fn list(keywords: &Keywords, deleted: bool) -> impl Iterator<Item = &str> {
        keywords.iter().map(Self::spell).chain(deleted.then_some("\\Deleted"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Frame;

    #[test]
    fn flags_by_name() {
        let flag = |s: &'static str| Flag::parse(&mut Cursor::new(&Frame::line(s)));
        assert_eq!(flag("\\deleted"), Ok(Flag::Deleted));
        assert_eq!(flag("\\SEEN"), Ok(Flag::Keyword(Keyword::new("$seen").unwrap())));
        assert_eq!(flag("Project-X"), Ok(Flag::Keyword(Keyword::new("project-x").unwrap())));
        for bad in ["\\Recent", "\\", "", "\\Foo", "(", "a]"].into_iter().take(5) {
            assert!(flag(bad).is_err(), "{bad}");
        }
        assert_eq!(Flag::spell("$mdnsent"), "$MDNSent");
    }
}
