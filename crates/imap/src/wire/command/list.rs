use bytes::Bytes;

use super::status::StatusItem;
use crate::wire::cursor::is_astring_char;
use crate::wire::{Cursor, MailboxName, Syntax};

/// `LIST` (RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Which mailboxes are candidates.
    pub select: ListSelect,
    /// What the patterns start from.
    pub reference: MailboxName,
    /// Patterns with `*` and `%`, encoded like mailbox names.
    pub patterns: Vec<MailboxName>,
    /// What to tell besides.
    pub returns: ListReturn,
    /// Whether the client used the extended form; then an empty pattern has no special meaning.
    pub extended: bool,
}

/// Selection options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ListSelect {
    /// `SUBSCRIBED`
    pub subscribed: bool,
    /// `REMOTE`
    pub remote: bool,
    /// `RECURSIVEMATCH`
    pub recursive_match: bool,
    /// `SPECIAL-USE`
    pub special_use: bool,
}

/// Return options.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ListReturn {
    /// `SUBSCRIBED`
    pub subscribed: bool,
    /// `CHILDREN`
    pub children: bool,
    /// `SPECIAL-USE`
    pub special_use: bool,
    /// `STATUS (…)`
    pub status: Option<Vec<StatusItem>>,
}

impl List {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        let mut extended = cursor.peek() == Some(b'(');
        let mut select = ListSelect::default();
        if extended {
            select = ListSelect::parse(cursor)?;
            cursor.space()?;
        }
        let reference = MailboxName::parse(cursor)?;
        cursor.space()?;
        let patterns = if cursor.peek() == Some(b'(') {
            extended = true;
            cursor.list1(pattern)?
        } else {
            vec![pattern(cursor)?]
        };
        let mut returns = ListReturn::default();
        if cursor.take(b' ') {
            extended = true;
            if !cursor.take_word("RETURN ") {
                return Err(cursor.expected("RETURN"));
            }
            returns = ListReturn::parse(cursor)?;
        }
        Ok(Self { select, reference, patterns, returns, extended })
    }
}

impl ListSelect {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        let mut select = Self::default();
        cursor.list(|c| {
            match c.atom("a selection option")?.to_ascii_uppercase().as_str() {
                "SUBSCRIBED" => select.subscribed = true,
                "REMOTE" => select.remote = true,
                "RECURSIVEMATCH" => select.recursive_match = true,
                "SPECIAL-USE" => select.special_use = true,
                _ => return Err(c.expected("SUBSCRIBED, REMOTE, RECURSIVEMATCH or SPECIAL-USE")),
            }
            Ok(())
        })?;
        if select.recursive_match && !select.subscribed && !select.special_use {
            return Err(cursor.expected("a selection option beside RECURSIVEMATCH"));
        }
        Ok(select)
    }
}

impl ListReturn {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        let mut returns = Self::default();
        cursor.list(|c| {
            match c.atom("a return option")?.to_ascii_uppercase().as_str() {
                "SUBSCRIBED" => returns.subscribed = true,
                "CHILDREN" => returns.children = true,
                "SPECIAL-USE" => returns.special_use = true,
                "STATUS" => {
                    c.space()?;
                    returns.status = Some(c.list1(StatusItem::parse)?);
                }
                _ => return Err(c.expected("SUBSCRIBED, CHILDREN, STATUS or SPECIAL-USE")),
            }
            Ok(())
        })?;
        Ok(returns)
    }
}

/// `list-mailbox`: like a mailbox, with wildcards.
pub(super) fn pattern(cursor: &mut Cursor<'_>) -> Result<MailboxName, Syntax> {
    let is = |b| is_astring_char(b) || b == b'%' || b == b'*';
    let bytes: Bytes = if cursor.peek().is_some_and(is) { cursor.run(is) } else { cursor.string()? };
    Ok(MailboxName::new(bytes))
}
