//! Messages that only the app can read (RFC 8291), in the one record of `aes128gcm` (RFC 8188): the push service that
//! carries them sees neither accounts nor states.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use thiserror::Error;
use types::Randomness;

/// Octets of a point on P-256, uncompressed.
const POINT: usize = 65;
/// Octets of the secret that the app shares with us.
const AUTH: usize = 16;
/// Octets of a record, as its header says: what push services take at least (RFC 8030 §7.2).
const RECORD: u32 = 4096;
/// Texts are filled up to a multiple of this, so that their length says little.
const STEP: usize = 128;

/// What an app has made for messages to it: its public key and a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    point: [u8; POINT],
    auth: [u8; AUTH],
}

/// These are no keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("p256dh must be a point on P-256 in 65 octets, auth 16 octets, each in base64url")]
pub struct NoKeys;

struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

impl Keys {
    /// The keys in these octets.
    ///
    /// # Errors
    /// [`NoKeys`], also for a point that is not on the curve.
    pub fn new(p256dh: &[u8], auth: &[u8]) -> Result<Self, NoKeys> {
        let keys = Self {
            point: p256dh.try_into().map_err(|_| NoKeys)?,
            auth: auth.try_into().map_err(|_| NoKeys)?,
        };
        // What is on the curve shows when it is used.
        seal(&keys, b"").map(|_| keys)
    }

    pub(crate) const fn p256dh(&self) -> &[u8; POINT] {
        &self.point
    }

    pub(crate) const fn auth(&self) -> &[u8; AUTH] {
        &self.auth
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

/// Encrypts a text of up to 3,900 octets.
///
/// # Errors
/// [`NoKeys`] if the app's key is none.
pub fn seal(keys: &Keys, text: &[u8]) -> Result<Vec<u8>, NoKeys> {
    let own = PrivateKey::generate(&ECDH_P256).map_err(|_| NoKeys)?;
    let filling = (STEP - (text.len() + 1) % STEP) % STEP;
    seal_with(keys, text, filling, &own, &Randomness::bytes())
}

fn seal_with(
    keys: &Keys,
    text: &[u8],
    filling: usize,
    own: &PrivateKey,
    salt: &[u8; 16],
) -> Result<Vec<u8>, NoKeys> {
    let own_point = own.compute_public_key().map_err(|_| NoKeys)?;
    let own_point = own_point.as_ref();
    let theirs = UnparsedPublicKey::new(&ECDH_P256, keys.point.as_slice());
    let info: Vec<u8> = [b"WebPush: info\0".as_slice(), &keys.point, own_point].concat();
    // RFC 8291 §3.4: what both sides know, bound to the secret and to both keys.
    let shared = agree(own, theirs, NoKeys, |secret| derive::<32>(&keys.auth, secret, &info))?;
    let key: [u8; 16] = derive(salt, &shared, b"Content-Encoding: aes128gcm\0")?;
    let nonce: [u8; 12] = derive(salt, &shared, b"Content-Encoding: nonce\0")?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).map_err(|_| NoKeys)?);
    // RFC 8188 §2: 2 says that this is the last record; zeros fill it up.
    let mut sealed = text.to_vec();
    sealed.push(2);
    sealed.resize(sealed.len() + filling, 0);
    // Key and nonce are of this message alone: both come from its salt and its own key pair.
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
        .map_err(|_| NoKeys)?;
    let id_length = u8::try_from(own_point.len()).map_err(|_| NoKeys)?;
    Ok([salt, RECORD.to_be_bytes().as_slice(), &[id_length], own_point, &sealed].concat())
}

fn derive<const N: usize>(salt: &[u8], secret: &[u8], info: &[u8]) -> Result<[u8; N], NoKeys> {
    let mut key = [0; N];
    let extracted = Salt::new(HKDF_SHA256, salt).extract(secret);
    let info = [info];
    extracted.expand(&info, Len(N)).and_then(|okm| okm.fill(&mut key)).map_err(|_| NoKeys)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn octets(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    /// RFC 8291 §5 and appendix A.
    #[test]
    fn the_example_of_the_rfc() {
        let point =
            octets("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4");
        let keys = Keys::new(&point, &octets("BTBZMqHH6r4Tts7J_aSIgg")).unwrap();
        let own = octets("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let own = PrivateKey::from_private_key(&ECDH_P256, &own).unwrap();
        let salt: [u8; 16] = octets("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let sealed = seal_with(&keys, b"When I grow up, I want to be a watermelon", 0, &own, &salt).unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.encode(sealed),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8w\
             EqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
    }

    #[test]
    fn no_two_are_alike_and_lengths_say_little() {
        let point =
            octets("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4");
        let keys = Keys::new(&point, &[7; 16]).unwrap();
        let (one, two) = (seal(&keys, b"text").unwrap(), seal(&keys, b"text that is longer").unwrap());
        assert_ne!(one[..16], two[..16]);
        assert_eq!((one.len(), two.len()), (16 + 5 + 65 + 128 + 16, one.len()));
        assert_eq!(format!("{keys:?}"), "Keys(…)");
    }

    #[test]
    fn keys_that_are_none() {
        let good =
            octets("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4");
        let mut off = good.clone();
        off[64] ^= 1;
        for (point, auth) in
            [(&good[1..], &[0; 16][..]), (&good, &[0; 15]), (&off, &[0; 16]), (&[4; 65], &[0; 16])]
        {
            assert!(Keys::new(point, auth).is_err());
        }
    }
}
