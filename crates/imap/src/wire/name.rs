//! Mailbox names on the wire: modified UTF-7 for IMAP4rev1 (RFC 3501 §5.1.3), UTF-8 once the client has enabled
//! IMAP4rev2 (RFC 9051 §5.1).

use base64::Engine as _;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use thiserror::Error;

use super::cursor::{Cursor, Syntax};

/// Which revision's rules the client has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Dialect {
    /// IMAP4rev1: names in modified UTF-7, quoted strings in ASCII.
    #[default]
    Rev1,
    /// IMAP4rev1 with `UTF8=ACCEPT` enabled: UTF-8 in both.
    Utf8,
    /// IMAP4rev2 was enabled: UTF-8 in both.
    Rev2,
}

/// A mailbox name as it came, not yet decoded: whether it is a good name is a matter of the session, and a
/// bad one gets NO, not BAD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxName(Bytes);

/// Why bytes are no mailbox name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Not modified UTF-7, or not in its shortest form.
    #[error("the mailbox name is not valid modified UTF-7")]
    Utf7,
    /// Not UTF-8.
    #[error("the mailbox name is not valid UTF-8")]
    Utf8,
}

impl MailboxName {
    /// From bytes as they stand on the wire.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// `mailbox`.
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.astring().map(Self)
    }

    /// As it came.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name in Unicode. `INBOX` in any case becomes `INBOX`, at the root and before a `/`.
    pub fn decode(&self, dialect: Dialect) -> Result<String, NameError> {
        let name = match dialect {
            Dialect::Rev1 => decode_utf7(&self.0)?,
            Dialect::Utf8 | Dialect::Rev2 => {
                std::str::from_utf8(&self.0).map_err(|_| NameError::Utf8)?.to_owned()
            }
        };
        let root = name.split('/').next().unwrap_or_default();
        if root.eq_ignore_ascii_case("INBOX") {
            return Ok(format!("INBOX{}", name.get(5..).unwrap_or_default()));
        }
        Ok(name)
    }
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// Decodes modified UTF-7. Each name has exactly one encoding; anything else is refused.
pub fn decode_utf7(bytes: &[u8]) -> Result<String, NameError> {
    let text = std::str::from_utf8(bytes).ok().filter(|t| t.is_ascii()).ok_or(NameError::Utf7)?;
    if !text.contains('&') {
        return if text.bytes().all(is_direct) { Ok(text.to_owned()) } else { Err(NameError::Utf7) };
    }
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((direct, shifted)) = rest.split_once('&') {
        name.push_str(direct);
        let (coded, after) = shifted.split_once('-').ok_or(NameError::Utf7)?;
        if coded.is_empty() {
            name.push('&');
        } else {
            let octets = BASE64.decode(coded).map_err(|_| NameError::Utf7)?;
            let (pairs, []) = octets.as_chunks::<2>() else { return Err(NameError::Utf7) };
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            name.push_str(&String::from_utf16(&units).map_err(|_| NameError::Utf7)?);
        }
        rest = after;
    }
    name.push_str(rest);
    if encode_utf7(&name) == text { Ok(name) } else { Err(NameError::Utf7) }
}

/// Encodes a name in modified UTF-7.
pub fn encode_utf7(name: &str) -> String {
    let mut coded = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let direct = |c: char| u8::try_from(c).is_ok_and(is_direct);
        if first == '&' {
            coded.push_str("&-");
            rest = rest.get(1..).unwrap_or_default();
        } else if direct(first) {
            let end = rest.find(|c| c == '&' || !direct(c)).unwrap_or(rest.len());
            let (run, after) = rest.split_at(end);
            coded.push_str(run);
            rest = after;
        } else {
            let (run, after) = rest.split_at(rest.find(direct).unwrap_or(rest.len()));
            let octets: Vec<u8> = run.encode_utf16().flat_map(u16::to_be_bytes).collect();
            coded.push('&');
            BASE64.encode_string(octets, &mut coded);
            coded.push('-');
            rest = after;
        }
    }
    coded
}

/// Represents itself: printable ASCII. (`&` too, except that it is written `&-`.)
const fn is_direct(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_the_rfc() {
        assert_eq!(decode_utf7(b"~peter/mail/&U,BTFw-/&ZeVnLIqe-").unwrap(), "~peter/mail/台北/日本語");
        assert_eq!(decode_utf7(b"&Jjo-!").unwrap(), "☺!");
        assert_eq!(encode_utf7("Entwürfe & Müll"), "Entw&APw-rfe &- M&APw-ll");
        assert_eq!(encode_utf7("받은편지함"), "&vBvHQNO4ycDVaA-");
    }

    #[test]
    fn bad_names_are_refused() {
        let bad = [
            &b"&Jjo!"[..],
            b"&U,BTFw-&ZeVnLIqe-",
            b"&",
            b"&AA-",
            b"&AGE-",
            b"&2AA-",
            b"\xc3\xbc",
            b"a\x01b",
            b"&U,BTF-",
            b"&====-",
            b"&ACY-",
            b"&Jjp-",
        ];
        for name in bad {
            assert_eq!(decode_utf7(name), Err(NameError::Utf7), "{name:?}");
        }
    }

    #[test]
    fn inbox_in_any_case() {
        let name = |s: &'static str| MailboxName::new(s).decode(Dialect::Rev1).unwrap();
        assert_eq!(name("inbox"), "INBOX");
        assert_eq!(name("iNbOx/a"), "INBOX/a");
        assert_eq!(name("inboxes"), "inboxes");
        assert_eq!(MailboxName::new(&b"\xff"[..]).decode(Dialect::Rev2), Err(NameError::Utf8));
    }

    proptest! {
        #[test]
        fn written_and_read_again(name in "\\PC*") {
            prop_assert_eq!(decode_utf7(encode_utf7(&name).as_bytes()).unwrap(), name);
        }

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(name) = decode_utf7(&bytes) {
                prop_assert_eq!(encode_utf7(&name).into_bytes(), bytes);
            }
        }
    }
}
