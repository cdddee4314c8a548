//! Public keys in DNS (RFC 6376 §3.6.1).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::DkimResult;
use super::signature::{Algorithm, Signature};
use crate::tags::{Tags, unfolded};

/// The longest key, in octets of its encoding: RSA with 4,096 bits (RFC 8301 §3.2). Verifying takes time that grows
/// with the square, and the sender chooses the key.
const LONGEST: usize = 600;
/// The shortest RSA key that is believed, in octets: 1,024 bits (RFC 8301 §3.2).
const SHORTEST_RSA: usize = 128;

/// A key as its owner publishes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    algorithm: Algorithm,
    octets: Vec<u8>,
    /// Only the signing domain itself may be the identity (`t=s`).
    strict: bool,
}

/// Why there is no key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyError {
    Missing,
    Unavailable,
    TooMany,
    Revoked,
    Unusable,
    Large,
}

impl KeyError {
    pub(crate) const fn result(self) -> DkimResult {
        match self {
            Self::Unavailable => DkimResult::TempError,
            _ => DkimResult::PermError,
        }
    }

    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "no key",
            Self::Unavailable => "DNS did not answer",
            Self::TooMany => "too many keys",
            Self::Revoked => "the key was revoked",
            Self::Unusable => "the key cannot be used",
            Self::Large => "the key is too large",
        }
    }
}

impl Key {
    /// The key in a name's TXT records: there should be one; of several, the first that is a key (RFC 6376 §3.6.2.2).
    pub(crate) fn parse(records: &[Vec<u8>]) -> Result<Self, KeyError> {
        let mut why = KeyError::Missing;
        for record in records {
            match Self::read(record) {
                Ok(key) => return Ok(key),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    fn read(record: &[u8]) -> Result<Self, KeyError> {
        let tags = Tags::parse(record).ok_or(KeyError::Unusable)?;
        if tags.get("v").is_some() && tags.first() != Some(("v", "DKIM1")) {
            return Err(KeyError::Unusable);
        }
        let lists = |name: &str, wanted: &[&str]| {
            tags.get(name).is_none_or(|list| list.split(':').any(|one| wanted.contains(&one.trim_ascii())))
        };
        if !lists("h", &["sha256"]) || !lists("s", &["*", "email"]) {
            return Err(KeyError::Unusable);
        }
        let algorithm = match tags.get("k").unwrap_or("rsa") {
            "rsa" => Algorithm::RsaSha256,
            "ed25519" => Algorithm::Ed25519Sha256,
            _ => return Err(KeyError::Unusable),
        };
        let encoded = unfolded(tags.get("p").ok_or(KeyError::Unusable)?);
        if encoded.is_empty() {
            return Err(KeyError::Revoked);
        }
        if encoded.len() > LONGEST.div_ceil(3) * 4 {
            return Err(KeyError::Large);
        }
        let octets = STANDARD.decode(encoded).map_err(|_| KeyError::Unusable)?;
        let least = if algorithm == Algorithm::RsaSha256 { SHORTEST_RSA } else { 32 };
        if octets.len() < least {
            return Err(KeyError::Unusable);
        }
        let strict = tags.get("t").is_some_and(|flags| flags.split(':').any(|flag| flag.trim_ascii() == "s"));
        Ok(Self { algorithm, octets, strict })
    }

    /// Whether it may be used for a signature; else why not.
    pub(crate) fn fits(&self, signature: &Signature) -> Result<(), &'static str> {
        if self.algorithm != signature.algorithm {
            return Err("the key is of another kind");
        }
        if self.strict && signature.identity != signature.domain {
            return Err("the key is for another identity");
        }
        Ok(())
    }

    /// Whether the signature is that of this text.
    pub(crate) fn verify(&self, algorithm: Algorithm, text: &[u8], signature: &[u8]) -> bool {
        if algorithm != self.algorithm {
            return false;
        }
        let verified = match algorithm {
            Algorithm::RsaSha256 => {
                let key =
                    UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, &self.octets);
                key.verify(text, signature)
            }
            // RFC 8463 §3: what is signed is the hash.
            Algorithm::Ed25519Sha256 => UnparsedPublicKey::new(&ED25519, &self.octets)
                .verify(digest(&SHA256, text).as_ref(), signature),
        };
        verified.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(record: &str) -> Result<Key, KeyError> {
        Key::parse(&[record.as_bytes().to_vec()])
    }

    #[test]
    fn records() {
        let p = STANDARD.encode([1; 162]);
        assert!(read(&format!("v=DKIM1; k=rsa; p={p}")).is_ok());
        assert!(read(&format!("p={p}")).is_ok());
        assert!(read(&format!("v=DKIM1; h=sha1:sha256; s=email; t=y:s; n=x; p={p}")).unwrap().strict);
        assert!(read(&format!("k=ed25519; p={}", STANDARD.encode([1; 32]))).is_ok());
        let table = [
            ("v=DKIM1; p=".to_owned(), KeyError::Revoked),
            (format!("v=DKIM2; p={p}"), KeyError::Unusable),
            (format!("p={p}; v=DKIM1"), KeyError::Unusable),
            (format!("h=sha1; p={p}"), KeyError::Unusable),
            (format!("s=chat; p={p}"), KeyError::Unusable),
            (format!("k=dsa; p={p}"), KeyError::Unusable),
            ("v=DKIM1".to_owned(), KeyError::Unusable),
            ("p=AAAA".to_owned(), KeyError::Unusable),
            (format!("p={}", STANDARD.encode([1; 5000])), KeyError::Large),
        ];
        for (record, error) in table {
            assert_eq!(read(&record), Err(error), "{record}");
        }
        assert_eq!(Key::parse(&[]), Err(KeyError::Missing));
        let second = Key::parse(&[b"spf".to_vec(), format!("p={p}").into_bytes()]);
        assert!(second.is_ok());
    }
}
