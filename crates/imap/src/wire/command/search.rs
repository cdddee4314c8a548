use bytes::Bytes;
use types::Keyword;

use crate::wire::cursor::is_astring_char;
use crate::wire::{Cursor, Date, Flag, MessageSet, Syntax, Unit};

/// `SEARCH` (RFC 9051 §6.4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// What the answer's numbers name.
    pub unit: Unit,
    /// `RETURN (…)`; `None` if absent.
    pub returns: Option<SearchReturn>,
    /// The strings' charset in upper case; US-ASCII or UTF-8 if absent.
    pub charset: Option<String>,
    /// What a message must be.
    pub key: SearchKey,
}

/// What ESEARCH tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SearchReturn {
    /// `MIN`
    pub min: bool,
    /// `MAX`
    pub max: bool,
    /// `COUNT`
    pub count: bool,
    /// `ALL`
    pub all: bool,
    /// `SAVE`
    pub save: bool,
}

/// What a message must be. Strings are in the search's charset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchKey {
    /// Any message.
    All,
    /// No message: `NEW` and `RECENT`, since `\Recent` is not kept.
    Nothing,
    /// Has a flag.
    Has(Flag),
    /// Lacks a flag.
    Lacks(Flag),
    /// A header field (named in lower case) contains a text; an empty text asks whether the field is there.
    Header(String, Bytes),
    /// The body contains a text.
    Body(Bytes),
    /// Header or body contain a text.
    Text(Bytes),
    /// INTERNALDATE is before a day.
    Before(Date),
    /// INTERNALDATE is on a day.
    On(Date),
    /// INTERNALDATE is on a day or later.
    Since(Date),
    /// The Date field is before a day.
    SentBefore(Date),
    /// The Date field is on a day.
    SentOn(Date),
    /// The Date field is on a day or later.
    SentSince(Date),
    /// More bytes than this.
    Larger(u64),
    /// Fewer bytes than this.
    Smaller(u64),
    /// In a set of sequence numbers.
    Sequence(MessageSet),
    /// In a set of UIDs.
    Uid(MessageSet),
    /// Not so.
    Not(Box<SearchKey>),
    /// One or both.
    Or(Box<SearchKey>, Box<SearchKey>),
    /// All of them.
    And(Vec<SearchKey>),
}

impl Search {
    pub(super) fn parse(unit: Unit, cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        let mut returns = None;
        if cursor.take_word("RETURN ") {
            returns = Some(SearchReturn::parse(cursor)?);
            cursor.space()?;
        }
        let mut charset = None;
        if cursor.take_word("CHARSET ") {
            let name = cursor.astring()?;
            charset = Some(String::from_utf8_lossy(&name).to_ascii_uppercase());
            cursor.space()?;
        }
        let mut keys = vec![SearchKey::parse(cursor)?];
        while cursor.take(b' ') {
            keys.push(SearchKey::parse(cursor)?);
        }
        Ok(Self { unit, returns, charset, key: SearchKey::all_of(keys) })
    }
}

impl SearchReturn {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        let mut returns = Self::default();
        let options = cursor.list(|c| {
            match c.atom("a result option")?.to_ascii_uppercase().as_str() {
                "MIN" => returns.min = true,
                "MAX" => returns.max = true,
                "COUNT" => returns.count = true,
                "ALL" => returns.all = true,
                "SAVE" => returns.save = true,
                _ => return Err(c.expected("MIN, MAX, COUNT, ALL or SAVE")),
            }
            Ok(())
        })?;
        returns.all |= options.is_empty();
        Ok(returns)
    }
}

impl SearchKey {
    fn all_of(mut keys: Vec<Self>) -> Self {
        match keys.pop() {
            Some(key) if keys.is_empty() => key,
            Some(key) => {
                keys.push(key);
                Self::And(keys)
            }
            None => Self::All,
        }
    }

    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        match cursor.peek() {
            Some(b'(') => Ok(Self::all_of(cursor.list1(Self::parse)?)),
            Some(b'*' | b'$' | b'0'..=b'9') => Ok(Self::Sequence(MessageSet::parse(cursor)?)),
            _ => {
                let name = cursor.atom("a search key")?.to_ascii_uppercase();
                Self::named(&name, cursor)
            }
        }
    }

    fn named(name: &str, cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        if let Some(key) = Self::bare(name) {
            return Ok(key);
        }
        if !WITH_ARGUMENT.contains(&name) {
            return Err(cursor.expected("a search key that this server knows"));
        }
        cursor.space()?;
        Ok(match name {
            "BCC" | "CC" | "FROM" | "SUBJECT" | "TO" => {
                Self::Header(name.to_ascii_lowercase(), cursor.astring()?)
            }
            "HEADER" => {
                let field = cursor.astring()?;
                cursor.space()?;
                Self::Header(String::from_utf8_lossy(&field).to_ascii_lowercase(), cursor.astring()?)
            }
            "BODY" => Self::Body(cursor.astring()?),
            "TEXT" => Self::Text(cursor.astring()?),
            "BEFORE" => Self::Before(Date::parse(cursor)?),
            "ON" => Self::On(Date::parse(cursor)?),
            "SINCE" => Self::Since(Date::parse(cursor)?),
            "SENTBEFORE" => Self::SentBefore(Date::parse(cursor)?),
            "SENTON" => Self::SentOn(Date::parse(cursor)?),
            "SENTSINCE" => Self::SentSince(Date::parse(cursor)?),
            "KEYWORD" => Self::Has(keyword(cursor)?),
            "UNKEYWORD" => Self::Lacks(keyword(cursor)?),
            "LARGER" => Self::Larger(cursor.number64()?),
            "SMALLER" => Self::Smaller(cursor.number64()?),
            "UID" => Self::Uid(MessageSet::parse(cursor)?),
            "NOT" => Self::Not(Box::new(cursor.nested(Self::parse)?)),
            _ => {
                let one = cursor.nested(Self::parse)?;
                cursor.space()?;
                Self::Or(Box::new(one), Box::new(cursor.nested(Self::parse)?))
            }
        })
    }

    /// A key without argument.
    fn bare(name: &str) -> Option<Self> {
        let flag = |keyword| Keyword::new(keyword).ok().map(Flag::Keyword);
        Some(match name {
            "ALL" | "OLD" => Self::All,
            "NEW" | "RECENT" => Self::Nothing,
            "ANSWERED" => Self::Has(flag(Keyword::ANSWERED)?),
            "DELETED" => Self::Has(Flag::Deleted),
            "DRAFT" => Self::Has(flag(Keyword::DRAFT)?),
            "FLAGGED" => Self::Has(flag(Keyword::FLAGGED)?),
            "SEEN" => Self::Has(flag(Keyword::SEEN)?),
            "UNANSWERED" => Self::Lacks(flag(Keyword::ANSWERED)?),
            "UNDELETED" => Self::Lacks(Flag::Deleted),
            "UNDRAFT" => Self::Lacks(flag(Keyword::DRAFT)?),
            "UNFLAGGED" => Self::Lacks(flag(Keyword::FLAGGED)?),
            "UNSEEN" => Self::Lacks(flag(Keyword::SEEN)?),
            _ => return None,
        })
    }
}

/// The keys that take an argument.
const WITH_ARGUMENT: [&str; 21] = [
    "BCC",
    "BEFORE",
    "BODY",
    "CC",
    "FROM",
    "HEADER",
    "KEYWORD",
    "LARGER",
    "NOT",
    "ON",
    "OR",
    "SENTBEFORE",
    "SENTON",
    "SENTSINCE",
    "SINCE",
    "SMALLER",
    "SUBJECT",
    "TEXT",
    "TO",
    "UID",
    "UNKEYWORD",
];

/// `flag-keyword`: a flag without backslash.
fn keyword(cursor: &mut Cursor<'_>) -> Result<Flag, Syntax> {
    if cursor.peek().is_some_and(|b| is_astring_char(b) && b != b'\\') {
        Flag::parse(cursor)
    } else {
        Err(cursor.expected("a keyword"))
    }
}
