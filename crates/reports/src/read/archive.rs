//! What an attachment is packed in.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::{INFLATED, Unread, zip};

/// The octets inside.
pub(super) fn open(attachment: &[u8]) -> Result<Cow<'_, [u8]>, Unread> {
    match attachment {
        [0x1f, 0x8b, ..] => Ok(Cow::Owned(bounded(MultiGzDecoder::new(attachment))?)),
        [b'P', b'K', ..] => zip::first(attachment).map(Cow::Owned),
        plain if plain.len() > INFLATED => Err(Unread::TooLarge),
        plain => Ok(Cow::Borrowed(plain)),
    }
}

/// Everything that a reader gives, up to the bound.
pub(super) fn bounded(reader: impl Read) -> Result<Vec<u8>, Unread> {
    let mut plain = Vec::new();
    let most = u64::try_from(INFLATED).unwrap_or(u64::MAX);
    let read = reader.take(most + 1).read_to_end(&mut plain);
    if plain.len() > INFLATED {
        return Err(Unread::TooLarge);
    }
    match read {
        Ok(_) => Ok(plain),
        Err(_) => Err(Unread::Archive("it is damaged")),
    }
}
