//! PLAIN (RFC 4616).

use super::Error;

/// The user and the password of a message.
pub(super) fn read(message: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let mut fields = message.split(|b| *b == 0);
    let (Some(acting), Some(user), Some(password), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(Error::Malformed("PLAIN wants: authorisation NUL user NUL password"));
    };
    if !acting.is_empty() && acting != user {
        return Err(Error::Authorization);
    }
    Ok((user, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_three_fields() {
        assert_eq!(read(b"\0alice\0secret"), Ok((&b"alice"[..], &b"secret"[..])));
        assert_eq!(read(b"alice\0alice\0"), Ok((&b"alice"[..], &b""[..])));
        assert_eq!(read(b"bob\0alice\0secret"), Err(Error::Authorization));
        for bad in [&b""[..], b"alice", b"alice\0secret", b"\0alice\0secret\0"] {
            assert!(matches!(read(bad), Err(Error::Malformed(_))));
        }
    }
}
