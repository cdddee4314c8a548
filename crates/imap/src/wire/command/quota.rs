use bytes::Bytes;

use crate::wire::{Cursor, MailboxName, Syntax};

/// `GETQUOTA` (RFC 9208 §4.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetQuota {
    /// Which quota root.
    pub root: Bytes,
}

/// `GETQUOTAROOT` (RFC 9208 §4.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetQuotaRoot {
    /// Which mailbox.
    pub mailbox: MailboxName,
}

impl GetQuota {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        Ok(Self { root: cursor.astring()? })
    }
}

impl GetQuotaRoot {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        Ok(Self { mailbox: MailboxName::parse(cursor)? })
    }
}
