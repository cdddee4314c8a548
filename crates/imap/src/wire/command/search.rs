use bytes::Bytes;
use types::{Keyword, ModSeq};

use crate::wire::cursor::is_astring_char;
use crate::wire::{Cursor, Date, Flag, MessageSet, ResultRange, Syntax, Unit};

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
    /// `PARTIAL` (RFC 9394)
    pub partial: Option<ResultRange>,
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
    /// Received at least so many seconds ago (RFC 5032).
    Older(u32),
    /// Received at most so many seconds ago (RFC 5032).
    Younger(u32),
    /// Put into the mailbox before a day (RFC 8514).
    SavedBefore(Date),
    /// Put into the mailbox on a day.
    SavedOn(Date),
    /// Put into the mailbox on a day or later.
    SavedSince(Date),
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
    /// Changed at this modseq or later (RFC 7162 §3.1.5).
    ModSeq(ModSeq),
    /// The email with this object id (RFC 8474 §6).
    EmailId(Bytes),
    /// In the thread with this object id (RFC 8474 §6).
    ThreadId(Bytes),
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
        Ok(Self { unit, returns, charset, key: SearchKey::parse_all(cursor)? })
    }
}

impl SearchReturn {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        let mut returns = Self::default();
        let options = cursor.list(|c| {
            match c.atom("a result option")?.to_ascii_uppercase().as_str() {
                "MIN" => returns.min = true,
                "MAX" => returns.max = true,
                "COUNT" => returns.count = true,
                "ALL" => returns.all = true,
                "PARTIAL" if returns.partial.is_none() => {
                    c.space()?;
                    returns.partial = Some(ResultRange::parse(c)?);
                }
                "SAVE" => returns.save = true,
                _ => return Err(c.expected("MIN, MAX, COUNT, ALL, PARTIAL or SAVE, once")),
            }
            Ok(())
        })?;
        returns.all |= options.is_empty();
        if returns.all && returns.partial.is_some() {
            return Err(cursor.expected("either ALL or PARTIAL"));
        }
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

    /// `search-key *(SP search-key)`
    pub(super) fn parse_all(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        let mut keys = vec![Self::parse(cursor)?];
        while cursor.take(b' ') {
            keys.push(Self::parse(cursor)?);
        }
        Ok(Self::all_of(keys))
    }

    /// Whether modseqs are searched for.
    pub fn has_modseq(&self) -> bool {
        self.any(&|key| matches!(key, Self::ModSeq(_)))
    }

    /// Whether sequence numbers are searched for.
    pub fn has_numbers(&self) -> bool {
        self.any(&|key| matches!(key, Self::Sequence(MessageSet::Numbers(_))))
    }

    fn any(&self, is: &impl Fn(&Self) -> bool) -> bool {
        is(self)
            || match self {
                Self::Not(key) => key.any(is),
                Self::Or(one, two) => one.any(is) || two.any(is),
                Self::And(keys) => keys.iter().any(|key| key.any(is)),
                _ => false,
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
            "OLDER" => Self::Older(cursor.positive()?),
            "YOUNGER" => Self::Younger(cursor.positive()?),
            "SAVEDBEFORE" => Self::SavedBefore(Date::parse(cursor)?),
            "SAVEDON" => Self::SavedOn(Date::parse(cursor)?),
            "SAVEDSINCE" => Self::SavedSince(Date::parse(cursor)?),
            "SENTBEFORE" => Self::SentBefore(Date::parse(cursor)?),
            "SENTON" => Self::SentOn(Date::parse(cursor)?),
            "SENTSINCE" => Self::SentSince(Date::parse(cursor)?),
            "KEYWORD" => Self::Has(keyword(cursor)?),
            "UNKEYWORD" => Self::Lacks(keyword(cursor)?),
            "MODSEQ" => Self::ModSeq(modseq(cursor)?),
            "EMAILID" => Self::EmailId(object_id(cursor)?),
            "THREADID" => Self::ThreadId(object_id(cursor)?),
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
            // Every mailbox here knows when an email was saved (RFC 8514 §4.3).
            "ALL" | "OLD" | "SAVEDATESUPPORTED" => Self::All,
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
const WITH_ARGUMENT: [&str; 29] = [
    "BCC",
    "BEFORE",
    "BODY",
    "CC",
    "EMAILID",
    "FROM",
    "HEADER",
    "KEYWORD",
    "LARGER",
    "MODSEQ",
    "NOT",
    "OLDER",
    "ON",
    "OR",
    "SAVEDBEFORE",
    "SAVEDON",
    "SAVEDSINCE",
    "SENTBEFORE",
    "SENTON",
    "SENTSINCE",
    "SINCE",
    "SMALLER",
    "SUBJECT",
    "TEXT",
    "THREADID",
    "TO",
    "UID",
    "UNKEYWORD",
    "YOUNGER",
];

/// `flag-keyword`: a flag without backslash.
fn keyword(cursor: &mut Cursor<'_>) -> Result<Flag, Syntax> {
    if cursor.peek().is_some_and(|b| is_astring_char(b) && b != b'\\') {
        Flag::parse(cursor)
    } else {
        Err(cursor.expected("a keyword"))
    }
}

/// `[entry-name SP entry-type-req SP] mod-sequence-valzer`. All of an email's flags have one modseq, so which flag
/// is meant makes no difference.
fn modseq(cursor: &mut Cursor<'_>) -> Result<ModSeq, Syntax> {
    if cursor.peek() == Some(b'"') {
        let entry = cursor.quoted()?;
        if !entry.to_ascii_lowercase().starts_with(b"/flags/") {
            return Err(cursor.expected("an entry name that begins with /flags/"));
        }
        cursor.space()?;
        if !["PRIV ", "SHARED ", "ALL "].iter().any(|kind| cursor.take_word(kind)) {
            return Err(cursor.expected("priv, shared or all"));
        }
    }
    cursor.modseq()
}

/// `objectid` (RFC 8474 §7).
fn object_id(cursor: &mut Cursor<'_>) -> Result<Bytes, Syntax> {
    let id = cursor.run(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if id.is_empty() || id.len() > 255 { Err(cursor.expected("an object id")) } else { Ok(id) }
}
