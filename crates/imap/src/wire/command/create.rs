use crate::wire::{Cursor, MailboxName, Syntax};

/// `CREATE` (RFC 9051 §6.3.4, RFC 6154 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// Which mailbox.
    pub mailbox: MailboxName,
    /// `USE (…)`: the attributes in lower case, without their backslash.
    pub special_use: Vec<String>,
}

impl Create {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        let mailbox = MailboxName::parse(cursor)?;
        let mut special_use = Vec::new();
        if cursor.take(b' ') {
            cursor.list1(|c| {
                if !c.take_word("USE ") {
                    return Err(c.expected("USE"));
                }
                special_use.extend(c.list(attribute)?);
                Ok(())
            })?;
        }
        Ok(Self { mailbox, special_use })
    }
}

fn attribute(cursor: &mut Cursor<'_>) -> Result<String, Syntax> {
    cursor.demand(b'\\', "an attribute with its backslash")?;
    Ok(cursor.atom("a special-use attribute")?.to_ascii_lowercase())
}
