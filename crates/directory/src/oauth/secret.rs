//! The secrets that are handed out. Each says by its first letters what it is, so that one which was left somewhere is
//! recognised, and none is taken for another.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use types::Randomness;

use crate::table::{Digest, GrantKey};

const ACCESS: &str = "mat_";
const REFRESH: &str = "mrt_";
const CODE: &str = "mac_";
const DEVICE: &str = "mdc_";

/// The longest text that is looked at, in octets.
const LONGEST: usize = 128;

/// A secret that was made just now, and what is kept of it. Its debug output shows nothing.
#[derive(Clone)]
pub(super) struct Secret {
    pub(super) text: String,
    pub(super) hash: Digest,
}

impl Secret {
    pub(super) fn access() -> Self {
        Self::random(ACCESS)
    }

    pub(super) fn code() -> Self {
        Self::random(CODE)
    }

    pub(super) fn device() -> Self {
        Self::random(DEVICE)
    }

    /// A refresh token of a grant, which it names.
    pub(super) fn refresh(grant: &GrantKey) -> Self {
        let secret = Randomness::bytes::<32>();
        Self::written(REFRESH, &[grant.as_slice(), &secret].concat())
    }

    fn random(kind: &str) -> Self {
        Self::written(kind, &Randomness::bytes::<32>())
    }

    fn written(kind: &str, octets: &[u8]) -> Self {
        let text = format!("{kind}{}", URL_SAFE_NO_PAD.encode(octets));
        let hash = digest(&text);
        Self { text, hash }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The hash of an access token, if the text may be one.
pub(super) fn access_hash(text: &str) -> Option<Digest> {
    hash(text, ACCESS)
}

/// The hash of an authorization code, if the text may be one.
pub(super) fn code_hash(text: &str) -> Option<Digest> {
    hash(text, CODE)
}

/// The hash of a device code, if the text may be one.
pub(super) fn device_hash(text: &str) -> Option<Digest> {
    hash(text, DEVICE)
}

/// The grant that a refresh token names, and the token's hash.
pub(super) fn refresh_parts(text: &str) -> Option<(GrantKey, Digest)> {
    let hash = hash(text, REFRESH)?;
    let octets = URL_SAFE_NO_PAD.decode(text.strip_prefix(REFRESH)?).ok()?;
    let (grant, secret) = octets.split_first_chunk()?;
    (secret.len() == 32).then_some((*grant, hash))
}

fn hash(text: &str, kind: &str) -> Option<Digest> {
    (text.len() <= LONGEST && text.starts_with(kind)).then(|| digest(text))
}

fn digest(text: &str) -> Digest {
    *blake3::Hasher::new_derive_key("magpie directory oauth secret 1")
        .update(text.as_bytes())
        .finalize()
        .as_bytes()
}

/// Whether two hashes are one, in the same time whatever they are.
pub(super) fn is_same(one: &Digest, other: &Digest) -> bool {
    blake3::Hash::from_bytes(*one) == blake3::Hash::from_bytes(*other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_only_itself() {
        let (access, refresh) = (Secret::access(), Secret::refresh(&[7; 16]));
        assert_eq!(access.text.len(), 4 + 43);
        assert_eq!(refresh.text.len(), 4 + 64);
        assert_eq!(access_hash(&access.text), Some(access.hash));
        assert_eq!(refresh_parts(&refresh.text), Some(([7; 16], refresh.hash)));
        assert_eq!((code_hash(&access.text), refresh_parts(&access.text)), (None, None));
        assert_eq!((access_hash(&refresh.text), device_hash(&Secret::code().text)), (None, None));
        assert_ne!(Secret::access().text, access.text);
        for bad in
            ["", "mrt_", "mrt_AAAA", &format!("mrt_{}", "A".repeat(63)), &format!("mrt_{}", "A".repeat(500))]
        {
            assert_eq!(refresh_parts(bad), None, "{bad}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let secret = Secret::access();
        assert!(!format!("{secret:?}").contains(&secret.text));
        assert!(is_same(&secret.hash, &secret.hash) && !is_same(&secret.hash, &[0; 32]));
    }
}
