use std::fmt;

use bytes::Bytes;

use crate::wire::{Cursor, Syntax};

/// `LOGIN` (RFC 9051 §6.2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The user's name as it came.
    pub user: Bytes,
    /// The password.
    pub password: Secret,
}

/// A password. Not shown in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Bytes);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Login {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        let user = cursor.astring()?;
        cursor.space()?;
        Ok(Self { user, password: Secret(cursor.astring()?) })
    }
}
