//! Logging in at a smarthost: PLAIN (RFC 4616), LOGIN and SCRAM-SHA-256 (RFC 7677), the client's side.

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Fewer rounds than that protect no password (RFC 7677 §4), more would stop us.
const ROUNDS: std::ops::RangeInclusive<u32> = 4096..=1_000_000;

/// A name and its password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The name.
    pub login: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("login", &self.login).finish_non_exhaustive()
    }
}

/// An exchange that goes on until the peer is convinced.
pub(crate) enum Exchange {
    /// Everything is said.
    Said,
    LoginName(Credentials),
    LoginPassword(Credentials),
    ScramFirst {
        credentials: Credentials,
        nonce: String,
        bare: String,
    },
    ScramFinal {
        server: Vec<u8>,
    },
}

impl Exchange {
    /// Picks the best mechanism that both sides have: the AUTH command, what may stand of it in a transcript, and the
    /// exchange that follows. `nonce` must be unguessable and printable, without a comma.
    pub(crate) fn begin(
        offered: &[String],
        credentials: &Credentials,
        nonce: &str,
    ) -> Option<(String, &'static str, Self)> {
        let has = |name: &str| offered.iter().any(|offer| offer == name);
        if has("SCRAM-SHA-256")
            && let Ok(login) = stringprep::saslprep(&credentials.login)
        {
            let name = login.replace('=', "=3D").replace(',', "=2C");
            let bare = format!("n={name},r={nonce}");
            let command = format!("AUTH SCRAM-SHA-256 {}", STANDARD.encode(format!("n,,{bare}")));
            let first = Self::ScramFirst { credentials: credentials.clone(), nonce: nonce.to_owned(), bare };
            return Some((command, "AUTH SCRAM-SHA-256 …", first));
        }
        if has("PLAIN") {
            let said = format!("\0{}\0{}", credentials.login, credentials.password);
            return Some((format!("AUTH PLAIN {}", STANDARD.encode(said)), "AUTH PLAIN …", Self::Said));
        }
        has("LOGIN").then(|| ("AUTH LOGIN".to_owned(), "AUTH LOGIN", Self::LoginName(credentials.clone())))
    }

    /// Answers a challenge, as base64: the line to send, and what comes then.
    ///
    /// # Errors
    /// Why there is no answer: the peer does not do what the mechanism says, or does not know the password.
    pub(crate) fn answer(self, challenge: &str) -> Result<(String, Self), &'static str> {
        let decoded = STANDARD.decode(challenge.trim()).unwrap_or_default();
        match self {
            Self::Said => Err("it asks on after everything was said"),
            Self::LoginName(credentials) => {
                Ok((STANDARD.encode(&credentials.login), Self::LoginPassword(credentials)))
            }
            Self::LoginPassword(credentials) => Ok((STANDARD.encode(&credentials.password), Self::Said)),
            Self::ScramFirst { credentials, nonce, bare } => {
                let (proof, server) = scram(&decoded, &credentials, &nonce, &bare)?;
                Ok((STANDARD.encode(proof), Self::ScramFinal { server }))
            }
            Self::ScramFinal { server } => {
                let text = std::str::from_utf8(&decoded).unwrap_or_default();
                let signature = text.strip_prefix("v=").and_then(|value| STANDARD.decode(value).ok());
                let known = signature.is_some_and(|given| verify_slices_are_equal(&given, &server).is_ok());
                if known {
                    Ok((String::new(), Self::Said))
                } else {
                    Err("it does not know the password that it asks for")
                }
            }
        }
    }

    /// Whether success may be believed now: SCRAM also proves the server to us.
    pub(crate) const fn is_complete(&self) -> bool {
        matches!(self, Self::Said)
    }
}

/// The client's final message, and what the server has to sign in return.
fn scram(
    challenge: &[u8],
    credentials: &Credentials,
    nonce: &str,
    bare: &str,
) -> Result<(String, Vec<u8>), &'static str> {
    const FORM: &str = "its challenge is no SCRAM message";
    let challenge = std::str::from_utf8(challenge).map_err(|_| FORM)?;
    let mut attributes = challenge.split(',');
    let mut value =
        |key: &str| attributes.next().and_then(|attribute| attribute.strip_prefix(key)).ok_or(FORM);
    let (full, salt, rounds) = (value("r=")?, value("s=")?, value("i=")?);
    if full.len() <= nonce.len() || !full.starts_with(nonce) {
        return Err("its nonce is not an extension of ours");
    }
    let salt = STANDARD.decode(salt).map_err(|_| FORM)?;
    let rounds =
        rounds.parse::<u32>().ok().filter(|rounds| ROUNDS.contains(rounds)).and_then(NonZeroU32::new);
    let rounds = rounds.ok_or("its number of rounds is too low or too high")?;
    let password =
        stringprep::saslprep(&credentials.password).map_err(|_| "the password cannot be said in SCRAM")?;

    let mut salted = [0; digest::SHA256_OUTPUT_LEN];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password.as_bytes(), &mut salted);
    let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
    let client_key = sign(&salted, b"Client Key");
    let stored = digest::digest(&digest::SHA256, client_key.as_ref());
    let last = format!("c=biws,r={full}");
    let transcript = format!("{bare},{challenge},{last}");
    let signature = sign(stored.as_ref(), transcript.as_bytes());
    let proof: Vec<u8> =
        client_key.as_ref().iter().zip(signature.as_ref()).map(|(key, sign)| key ^ sign).collect();
    let server = sign(sign(&salted, b"Server Key").as_ref(), transcript.as_bytes());
    Ok((format!("{last},p={}", STANDARD.encode(proof)), server.as_ref().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials { login: "user".to_owned(), password: "pencil".to_owned() }
    }

    /// The example of RFC 7677 §3.
    #[test]
    fn scram_as_in_the_rfc() {
        let offered = ["PLAIN".to_owned(), "SCRAM-SHA-256".to_owned()];
        let (command, shown, exchange) =
            Exchange::begin(&offered, &credentials(), "rOprNGfwEbeRWgbNEkqO").unwrap();
        assert_eq!(command, "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=");
        assert!(!shown.contains("biws"));
        let challenge =
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (answer, exchange) = exchange.answer(&STANDARD.encode(challenge)).unwrap();
        let answer = String::from_utf8(STANDARD.decode(answer).unwrap()).unwrap();
        assert_eq!(
            answer,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(!exchange.is_complete());
        let (empty, exchange) =
            exchange.answer(&STANDARD.encode("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")).unwrap();
        assert!(empty.is_empty() && exchange.is_complete());
    }

    #[test]
    fn scram_with_a_server_that_does_not_play_by_the_rules() {
        for challenge in [
            "r=abc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=xyzabcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
            "r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4294967295",
            "s=x",
            "",
        ] {
            let offered = ["SCRAM-SHA-256".to_owned()];
            let (_, _, exchange) = Exchange::begin(&offered, &credentials(), "abc").unwrap();
            assert!(exchange.answer(&STANDARD.encode(challenge)).is_err(), "{challenge}");
        }
        let last = Exchange::ScramFinal { server: b"right".to_vec() };
        assert!(last.answer(&STANDARD.encode("v=d3Jvbmc=")).is_err());
    }

    #[test]
    fn plain_and_login() {
        let (command, _, exchange) = Exchange::begin(&["PLAIN".to_owned()], &credentials(), "x").unwrap();
        assert_eq!(command, "AUTH PLAIN AHVzZXIAcGVuY2ls");
        assert!(exchange.is_complete() && exchange.answer("").is_err());
        let (_, _, exchange) = Exchange::begin(&["LOGIN".to_owned()], &credentials(), "x").unwrap();
        let (name, exchange) = exchange.answer("VXNlcm5hbWU6").unwrap();
        let (password, exchange) = exchange.answer("UGFzc3dvcmQ6").unwrap();
        assert_eq!((name.as_str(), password.as_str()), ("dXNlcg==", "cGVuY2ls"));
        assert!(exchange.is_complete());
        assert!(Exchange::begin(&["GSSAPI".to_owned()], &credentials(), "x").is_none());
        assert!(!format!("{:?}", credentials()).contains("pencil"));
    }
}
