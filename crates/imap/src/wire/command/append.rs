use types::Timestamp;

use crate::wire::{Cursor, DateTime, Flag, Frame, MailboxName, Syntax};

/// `APPEND` up to its first message, which follows in the stream (RFC 9051 §6.3.12, RFC 3502).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// Where to.
    pub mailbox: MailboxName,
    /// The first message.
    pub message: AppendMessage,
}

/// What is said of a message before it comes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AppendMessage {
    /// With which flags.
    pub flags: Vec<Flag>,
    /// INTERNALDATE; now if absent.
    pub received: Option<Timestamp>,
    /// How it is wrapped.
    pub form: AppendForm,
}

/// How a message is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AppendForm {
    /// A literal.
    #[default]
    Plain,
    /// `UTF8 (~{n}…)` (RFC 6855 §4).
    Utf8,
}

impl Append {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        let mailbox = MailboxName::parse(cursor)?;
        Ok(Self { mailbox, message: AppendMessage::parse(cursor)? })
    }
}

impl AppendMessage {
    /// What stands between a message in `form` and the one that comes next in the same command.
    pub fn parse_next(head: &Frame, form: AppendForm) -> Result<Self, Syntax> {
        let mut cursor = Cursor::new(head);
        form.close(&mut cursor)?;
        let message = Self::parse(&mut cursor)?;
        cursor.end().map(|()| message)
    }

    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        let mut message = Self::default();
        if cursor.peek() == Some(b'(') {
            message.flags = cursor.list(Flag::parse)?;
            cursor.space()?;
        }
        if cursor.peek() == Some(b'"') {
            message.received = Some(DateTime::parse(cursor)?.timestamp());
            cursor.space()?;
        }
        if cursor.take_word("UTF8 (") {
            message.form = AppendForm::Utf8;
        }
        Ok(message)
    }
}

impl AppendForm {
    /// What follows the last message of a command, if that came in this form.
    pub fn parse_end(self, tail: &Frame) -> Result<(), Syntax> {
        let mut cursor = Cursor::new(tail);
        self.close(&mut cursor)?;
        cursor.end()
    }

    fn close(self, cursor: &mut Cursor<'_>) -> Result<(), Syntax> {
        match self {
            Self::Plain => Ok(()),
            Self::Utf8 => cursor.demand(b')', "a closing parenthesis"),
        }
    }
}
