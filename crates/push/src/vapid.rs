//! Who we are (RFC 8292): a key that is made once and kept, and tokens that it signs, each for one push service. An app
//! learns the public half from the Session object (RFC 9749), and can have its push service refuse everybody else.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use store::kv::Kv;
use types::Timestamp;

use crate::Error;
use crate::table::{VapidRow, Vapids};

/// How long a token holds: RFC 8292 §2 allows a day.
const LIFETIME: Duration = Duration::from_hours(12);

/// The key.
pub(crate) struct Vapid {
    pair: EcdsaKeyPair,
    /// The public half in base64url.
    public: String,
}

impl Vapid {
    /// The key that is kept; the first time one is made. Of two nodes that begin at once, one makes it.
    pub(crate) async fn open(kv: &Kv, now: Timestamp) -> Result<Self, Error> {
        let fresh = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let fresh = fresh.map_err(|_| Error::Key("none can be made"))?;
        let fresh = &VapidRow { pkcs8: fresh.as_ref().to_vec().into(), created: now };
        let row = kv
            .run(|tx| async move {
                if let Some(row) = tx.load::<Vapids>(&()).await? {
                    return Ok(row);
                }
                tx.save::<Vapids>(&(), fresh)?;
                Ok::<_, Error>(fresh.clone())
            })
            .await?;
        Self::from_pkcs8(&row.pkcs8)
    }

    fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, Error> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8);
        let pair = pair.map_err(|_| Error::Key("what is stored is no key"))?;
        let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        Ok(Self { pair, public })
    }

    /// The public half, as an uncompressed point in base64url.
    pub(crate) fn public(&self) -> &str {
        &self.public
    }

    /// What stands in `Authorization:` of a request to a push service.
    pub(crate) fn authorization(&self, origin: &str, contact: &str, now: Timestamp) -> Result<String, Error> {
        let head = json!({"typ": "JWT", "alg": "ES256"});
        let claims = json!({"aud": origin, "exp": now.plus(LIFETIME).secs(), "sub": contact});
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(head), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.map_err(|_| Error::Key("it does not sign"))?;
        let signature = URL_SAFE_NO_PAD.encode(signature.as_ref());
        Ok(format!("vapid t={signed}.{signature}, k={}", self.public))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use store::kv::Memory;
    use types::Clock;

    use super::*;

    #[tokio::test]
    async fn the_key_stays_and_its_signature_holds() {
        let now = Timestamp::from_secs(1_767_323_045);
        let (clock, _hand) = Clock::manual(now);
        let kv = Kv::new(Arc::new(Memory::new()), clock);
        let first = Vapid::open(&kv, now).await.unwrap();
        let again = Vapid::open(&kv, now).await.unwrap();
        assert_eq!(first.public(), again.public());
        let said = again.authorization("https://push.test", "mailto:a@b.test", now).unwrap();
        let (token, key) = said.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
        assert_eq!(key, first.public());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&claims).unwrap(),
            json!({"aud": "https://push.test", "exp": 1_767_366_245, "sub": "mailto:a@b.test"})
        );
        let key = URL_SAFE_NO_PAD.decode(key).unwrap();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key);
        key.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    }
}
