//! Digests that clients may ask for, by their names among HTTP's digest algorithms, in lower case (RFC 9404 §2).

use aws_lc_rs::digest::{self, Algorithm};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// All of them, the best first.
pub(crate) const NAMES: [&str; 3] = ["sha-256", "sha-512", "sha"];

/// A digest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Digest(&'static Algorithm);

impl Digest {
    /// The digest of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "sha-256" => Some(Self(&digest::SHA256)),
            "sha-512" => Some(Self(&digest::SHA512)),
            "sha" => Some(Self(&digest::SHA1_FOR_LEGACY_USE_ONLY)),
            _ => None,
        }
    }

    /// The digest of octets, in base64.
    pub(super) fn of(self, octets: &[u8]) -> String {
        STANDARD.encode(digest::digest(self.0, octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `sha1sum` and its like have them.
    #[test]
    fn digests_of_abc() {
        let table = [
            ("sha", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
            ("sha-256", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
            (
                "sha-512",
                "3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==",
            ),
        ];
        for (name, wanted) in table {
            assert_eq!(Digest::named(name).unwrap().of(b"abc"), wanted, "{name}");
        }
        assert!(NAMES.iter().all(|name| Digest::named(name).is_some()));
        assert_eq!(Digest::named("md5"), None);
    }
}
