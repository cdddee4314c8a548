use bytes::Bytes;

use crate::wire::{Cursor, MailboxName, Syntax};

/// `GETMETADATA` (RFC 5464 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetMetadata {
    /// Which mailbox; the empty name is the server.
    pub mailbox: MailboxName,
    /// The names of the annotations.
    pub entries: Vec<Bytes>,
    /// `MAXSIZE`: values longer than this are left out.
    pub max_size: Option<u64>,
    /// `DEPTH`: how far below the names.
    pub depth: Depth,
}

/// How many levels below a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Depth {
    /// `0`
    #[default]
    Itself,
    /// `1`
    Children,
    /// `infinity`
    All,
}

/// `SETMETADATA` (RFC 5464 §4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetMetadata {
    /// Which mailbox; the empty name is the server.
    pub mailbox: MailboxName,
    /// Names and values; none removes.
    pub entries: Vec<(Bytes, Option<Bytes>)>,
}

impl GetMetadata {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        let mut command =
            Self { mailbox: MailboxName::new(""), entries: Vec::new(), max_size: None, depth: Depth::Itself };
        let early = command.options(cursor)?;
        if early {
            cursor.space()?;
        }
        command.mailbox = MailboxName::parse(cursor)?;
        cursor.space()?;
        // The RFC's own examples have the options behind the mailbox.
        if !early && command.options(cursor)? {
            cursor.space()?;
        }
        let list = cursor.peek() == Some(b'(');
        command.entries = if list { cursor.list1(Cursor::astring)? } else { vec![cursor.astring()?] };
        Ok(command)
    }

    /// `(MAXSIZE n DEPTH d)` if it comes next.
    fn options(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, Syntax> {
        let mut found = false;
        loop {
            let before = if found { " " } else { "(" };
            if cursor.take_word(&format!("{before}MAXSIZE ")) {
                self.max_size = Some(cursor.number64()?);
            } else if cursor.take_word(&format!("{before}DEPTH ")) {
                self.depth = match cursor.atom("0, 1 or infinity")?.to_ascii_lowercase().as_str() {
                    "0" => Depth::Itself,
                    "1" => Depth::Children,
                    "infinity" => Depth::All,
                    _ => return Err(cursor.expected("0, 1 or infinity")),
                };
            } else if found {
                return cursor.demand(b')', "MAXSIZE, DEPTH or a closing parenthesis").map(|()| true);
            } else {
                return Ok(false);
            }
            found = true;
        }
    }
}

impl SetMetadata {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        let mailbox = MailboxName::parse(cursor)?;
        cursor.space()?;
        let entries = cursor.list1(|c| {
            let entry = c.astring()?;
            c.space()?;
            Ok((entry, c.nstring()?))
        })?;
        Ok(Self { mailbox, entries })
    }
}
