use crate::wire::command::{SearchKey, SearchReturn};
use crate::wire::{Cursor, Syntax, Unit};

/// `SORT` (RFC 5256 §3, RFC 5267 §3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// What the answer's numbers name.
    pub unit: Unit,
    /// `RETURN (…)`; `None` if absent.
    pub returns: Option<SearchReturn>,
    /// By what, the most important first.
    pub criteria: Vec<SortCriterion>,
    /// The strings' charset in upper case.
    pub charset: String,
    /// What a message must be.
    pub key: SearchKey,
}

/// One thing to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortCriterion {
    /// What it is.
    pub key: SortKey,
    /// `REVERSE`
    pub reverse: bool,
}

/// What messages are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// INTERNALDATE
    Arrival,
    /// The local part of the first address in Cc.
    Cc,
    /// The Date field, in UTC.
    Date,
    /// The display name of the first address in From (RFC 5957).
    DisplayFrom,
    /// The display name of the first address in To (RFC 5957).
    DisplayTo,
    /// The local part of the first address in From.
    From,
    /// Octets.
    Size,
    /// The base subject.
    Subject,
    /// The local part of the first address in To.
    To,
}

/// `THREAD` (RFC 5256 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// What the answer's numbers name.
    pub unit: Unit,
    /// How.
    pub algorithm: Threading,
    /// The strings' charset in upper case.
    pub charset: String,
    /// What a message must be.
    pub key: SearchKey,
}

/// How messages become threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threading {
    /// `ORDEREDSUBJECT`: those with the same base subject.
    OrderedSubject,
    /// `REFERENCES`: by whom they answer, then by subject.
    References,
}

impl Sort {
    pub(super) fn parse(unit: Unit, cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        let mut returns = None;
        if cursor.take_word("RETURN ") {
            returns = Some(SearchReturn::parse(cursor)?);
            cursor.space()?;
        }
        let criteria = cursor.list1(SortCriterion::parse)?;
        let (charset, key) = program(cursor)?;
        Ok(Self { unit, returns, criteria, charset, key })
    }
}

impl SortCriterion {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        let reverse = cursor.take_word("REVERSE ");
        let key = match cursor.atom("a sort key")?.to_ascii_uppercase().as_str() {
            "ARRIVAL" => SortKey::Arrival,
            "CC" => SortKey::Cc,
            "DATE" => SortKey::Date,
            "DISPLAYFROM" => SortKey::DisplayFrom,
            "DISPLAYTO" => SortKey::DisplayTo,
            "FROM" => SortKey::From,
            "SIZE" => SortKey::Size,
            "SUBJECT" => SortKey::Subject,
            "TO" => SortKey::To,
            _ => return Err(cursor.expected("a sort key that this server knows")),
        };
        Ok(Self { key, reverse })
    }
}

impl Thread {
    pub(super) fn parse(unit: Unit, cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        let algorithm = match cursor.atom("a threading algorithm")?.to_ascii_uppercase().as_str() {
            "ORDEREDSUBJECT" => Threading::OrderedSubject,
            "REFERENCES" => Threading::References,
            _ => return Err(cursor.expected("ORDEREDSUBJECT or REFERENCES")),
        };
        let (charset, key) = program(cursor)?;
        Ok(Self { unit, algorithm, charset, key })
    }
}

/// `SP charset SP search-criteria`
fn program(cursor: &mut Cursor<'_>) -> Result<(String, SearchKey), Syntax> {
    cursor.space()?;
    let charset = String::from_utf8_lossy(&cursor.astring()?).to_ascii_uppercase();
    cursor.space()?;
    Ok((charset, SearchKey::parse_all(cursor)?))
}
