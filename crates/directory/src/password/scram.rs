//! What is kept of a password for SCRAM-SHA-256 (RFC 5802 §3, RFC 7677): two keys, by which its owner can prove to
//! know it without sending it, and by which the server can prove to know the owner.
//!
//! The client is told salt and iterations before anybody knows which of an account's passwords it will use. So all
//! of them, app passwords too, share one salt and one number of iterations.

use std::num::NonZeroU32;

use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::{constant_time, pbkdf2};
use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use super::{PasswordError, prepare};
use crate::table::Hidden;

/// The octets of a salt.
pub(crate) const SALT: usize = 16;

/// How many iterations stand between a password and its SCRAM keys: what a login costs the client, and a guess
/// whoever has stolen the keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScramIterations(NonZeroU32);

impl ScramIterations {
    /// The fewest that clients accept (RFC 7677 §4).
    pub const FEWEST: u32 = 4096;
    /// The most that common clients accept.
    pub const MOST: u32 = 500_000;

    /// A number from [`Self::FEWEST`] to [`Self::MOST`].
    pub fn new(iterations: u32) -> Result<Self, PasswordError> {
        let within = (Self::FEWEST..=Self::MOST).contains(&iterations);
        NonZeroU32::new(iterations).filter(|_| within).map(Self).ok_or(PasswordError::Iterations)
    }

    /// The number.
    pub const fn count(self) -> NonZeroU32 {
        self.0
    }
}

impl Default for ScramIterations {
    /// 32,768: eight times what RFC 7677 wants at least. It costs a client some 10 ms of native code, and one that
    /// computes in a scripting language some tenths of a second.
    fn default() -> Self {
        Self(NonZeroU32::MIN.saturating_add(32_767))
    }
}

/// How keys are derived: what the client is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct Derivation {
    #[n(0)]
    pub(crate) salt: ByteArray<SALT>,
    #[n(1)]
    pub(crate) iterations: NonZeroU32,
}

/// The keys of one password.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct ScramKeys {
    #[n(0)]
    stored: Hidden<ByteArray<32>>,
    #[n(1)]
    server: Hidden<ByteArray<32>>,
}

impl Derivation {
    /// The keys of a password. Takes milliseconds.
    pub(crate) fn keys(&self, password: &[u8]) -> ScramKeys {
        let mut salted = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, self.iterations, &*self.salt, password, &mut salted);
        let key = hmac::Key::new(HMAC_SHA256, &salted);
        let client = hmac::sign(&key, b"Client Key");
        ScramKeys {
            stored: Hidden(sha256(client.as_ref()).into()),
            server: Hidden(bytes(hmac::sign(&key, b"Server Key").as_ref()).into()),
        }
    }
}

impl ScramKeys {
    /// The server's signature of an exchange, if the client's proof of it is right.
    pub(crate) fn check(&self, transcript: &[u8], proof: &[u8; 32]) -> Option<[u8; 32]> {
        let expected = hmac::sign(&hmac::Key::new(HMAC_SHA256, &*self.stored.0), transcript);
        let mut client = *proof;
        client.iter_mut().zip(expected.as_ref()).for_each(|(byte, mask)| *byte ^= mask);
        let right = constant_time::verify_slices_are_equal(&sha256(&client), &*self.stored.0).is_ok();
        let server = hmac::sign(&hmac::Key::new(HMAC_SHA256, &*self.server.0), transcript);
        right.then(|| bytes(server.as_ref()))
    }

    /// Keys that no password is known to have.
    pub(crate) fn of_nobody(random: [u8; 32]) -> Self {
        Self { stored: Hidden(random.into()), server: Hidden(random.into()) }
    }
}

/// The octets that stand for a password in SCRAM: SASLprep (RFC 4013), as RFC 5802 wants it.
///
/// SASLprep knows the characters of Unicode 3.2 only and refuses what came later, such as emoji; clients that prepare
/// at all differ in what they do then. What it refuses is taken as it is, with its accents composed.
pub(crate) fn prepare_scram(password: &str) -> Hidden<Vec<u8>> {
    match stringprep::saslprep(password) {
        Ok(prepared) => Hidden(prepared.into_owned().into_bytes()),
        Err(_) => prepare(password).unwrap_or(Hidden(Vec::new())),
    }
}

fn sha256(data: &[u8]) -> [u8; 32] {
    bytes(digest::digest(&SHA256, data).as_ref())
}

/// Both SHA-256 and its HMAC have 32 octets.
fn bytes(output: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.iter_mut().zip(output).for_each(|(to, from)| *to = *from);
    bytes
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// RFC 7677 §3.
    #[test]
    fn keys_are_those_of_the_rfc() {
        let salt: [u8; SALT] = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap();
        let iterations = ScramIterations::new(4096).unwrap().count();
        let keys = Derivation { salt: salt.into(), iterations }.keys(b"pencil");
        let transcript = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
                          r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
                          c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let proof = STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let mut proof: [u8; 32] = proof.try_into().unwrap();
        let signature = keys.check(transcript.as_bytes(), &proof).unwrap();
        assert_eq!(STANDARD.encode(signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert_eq!(keys.check(b"another exchange", &proof), None);
        proof[31] ^= 1;
        assert_eq!(keys.check(transcript.as_bytes(), &proof), None);
        assert_eq!(ScramKeys::of_nobody([7; 32]).check(transcript.as_bytes(), &proof), None);
    }

    /// RFC 4013 §3, and what it refuses.
    #[test]
    fn passwords_are_prepared() {
        let prepared = |text: &str| String::from_utf8(prepare_scram(text).0).unwrap();
        assert_eq!(prepared("I\u{ad}X"), "IX");
        assert_eq!(prepared("user"), "user");
        assert_eq!(prepared("\u{aa}"), "a");
        assert_eq!(prepared("\u{2168}"), "IX");
        assert_eq!(prepared("pass\u{a0}word"), "pass word");
        assert_eq!(prepared("비밀번호"), "비밀번호");
        assert_eq!(prepared("쥐🐭쥐"), "쥐🐭쥐");
        assert_eq!(prepared("\u{627}1"), "\u{627}1");
    }

    #[test]
    fn iterations_have_bounds() {
        assert_eq!(ScramIterations::default().count().get(), 32_768);
        assert_eq!(ScramIterations::new(4095), Err(PasswordError::Iterations));
        assert_eq!(ScramIterations::new(500_001), Err(PasswordError::Iterations));
    }
}
