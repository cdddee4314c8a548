//! The messages of SCRAM (RFC 5802 §5 to §7), without store, time or randomness.
//!
//! ```text
//!   Opening ──client-first──> Hello ──derivation, nonce──> Offer and server-first ──client-final──> Claim
//! ```
//!
//! Messages are text: attributes in a fixed order, separated by commas, none of whose values holds one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{ChannelBindings, Error};
use crate::login::Claim;
use crate::password::Derivation;

/// Before the client has said anything.
pub(super) struct Opening {
    plus: bool,
    bindings: ChannelBindings,
}

/// What the client's first message says.
pub(super) struct Hello {
    login: String,
    /// What `c=` has to hold in the end: the header of the first message, and the data of the channel.
    binding: Vec<u8>,
    /// The message without its header.
    bare: String,
    nonce: String,
}

/// What the client has to prove itself for.
pub(super) struct Offer {
    login: String,
    binding: Vec<u8>,
    /// The client's first message without its header, and the server's.
    transcript: String,
    nonce: String,
}

const FORM: Error = Error::Malformed("this is no SCRAM message");

impl Opening {
    pub(super) const fn new(plus: bool, bindings: ChannelBindings) -> Self {
        Self { plus, bindings }
    }

    /// Reads the client's first message: `gs2-header client-first-message-bare`.
    pub(super) fn hello(&self, message: &[u8]) -> Result<Hello, Error> {
        let message = std::str::from_utf8(message).map_err(|_| FORM)?;
        let (flag, rest) = message.split_once(',').ok_or(FORM)?;
        let (acting, bare) = rest.split_once(',').ok_or(FORM)?;
        let channel = self.channel(flag)?;
        let mut attributes = bare.split(',');
        let login = match attributes.next() {
            Some(first) if first.starts_with("m=") => {
                return Err(Error::Malformed("mandatory SCRAM extensions are not supported"));
            }
            first => name(value(first, "n=")?)?,
        };
        // Some clients write an empty name where they mean none.
        if !matches!(acting, "" | "a=") && name(value(Some(acting), "a=")?)? != login {
            return Err(Error::Authorization);
        }
        let nonce = value(attributes.next(), "r=")?;
        if nonce.is_empty() || !nonce.bytes().all(|b| b.is_ascii_graphic()) || !attributes.all(is_extension) {
            return Err(FORM);
        }
        let header = message.len() - bare.len();
        let mut binding = message.as_bytes().get(..header).unwrap_or_default().to_vec();
        binding.extend_from_slice(channel);
        Ok(Hello { login, binding, bare: bare.to_owned(), nonce: nonce.to_owned() })
    }

    /// The data of the channel that the client binds itself to; none if it does not.
    fn channel(&self, flag: &str) -> Result<&[u8], Error> {
        match (flag, flag.strip_prefix("p=")) {
            (_, Some(name)) if self.plus => {
                self.bindings.get(name).ok_or(Error::Channel("this type of channel binding is not available"))
            }
            ("n", _) if !self.plus => Ok(&[]),
            // The client would bind itself to the channel, and was led to believe that this server cannot.
            ("y", _) if !self.plus && self.bindings.any() => Err(Error::Channel(
                "this server does support channel binding: somebody has hidden that from you",
            )),
            ("y", _) if !self.plus => Ok(&[]),
            _ => Err(FORM),
        }
    }
}

impl Hello {
    /// Who the client says it is.
    pub(super) fn login(&self) -> &str {
        &self.login
    }

    /// The server's first message. `nonce` is fresh, and holds no comma.
    pub(super) fn offer(self, derivation: &Derivation, nonce: &str) -> (Offer, Vec<u8>) {
        let Self { login, binding, bare, nonce: client } = self;
        let nonce = format!("{client}{nonce}");
        let salt = STANDARD.encode(*derivation.salt);
        let challenge = format!("r={nonce},s={salt},i={}", derivation.iterations);
        let transcript = format!("{bare},{challenge}");
        (Offer { login, binding, transcript, nonce }, challenge.into_bytes())
    }
}

impl Offer {
    /// Reads the client's final message: `client-final-message-without-proof,p=proof`.
    ///
    /// A message of another exchange or from another channel is a claim without a proof, and not told apart from a
    /// wrong password.
    pub(super) fn claim(self, message: &[u8]) -> Result<Claim, Error> {
        let message = std::str::from_utf8(message).map_err(|_| FORM)?;
        let (unproven, proof) = message.rsplit_once(",p=").ok_or(FORM)?;
        let mut attributes = unproven.split(',');
        let binding = STANDARD.decode(value(attributes.next(), "c=")?).map_err(|_| FORM)?;
        let nonce = value(attributes.next(), "r=")?;
        if !attributes.all(is_extension) {
            return Err(FORM);
        }
        let proof: [u8; 32] = STANDARD.decode(proof).ok().and_then(|p| p.try_into().ok()).ok_or(FORM)?;
        let ours = binding == self.binding && nonce == self.nonce;
        Ok(Claim {
            login: self.login,
            transcript: format!("{},{unproven}", self.transcript).into_bytes(),
            proof: ours.then_some(proof),
        })
    }
}

/// The value of an attribute that has to come now.
fn value<'a>(attribute: Option<&'a str>, name: &str) -> Result<&'a str, Error> {
    attribute.and_then(|attribute| attribute.strip_prefix(name)).ok_or(FORM)
}

/// A user's name, in which `=2C` stands for a comma and `=3D` for an equals sign.
pub(super) fn name(coded: &str) -> Result<String, Error> {
    let mut parts = coded.split('=');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (sign, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(FORM),
        };
        name.push(sign);
        name.push_str(rest);
    }
    if name.is_empty() || name.contains('\0') { Err(FORM) } else { Ok(name) }
}

/// An attribute that nobody has to understand: a letter and a value.
fn is_extension(attribute: &str) -> bool {
    let mut bytes = attribute.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
        && bytes.next() == Some(b'=')
        && bytes.len() > 0
        && !attribute.contains('\0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::password::ScramIterations;

    const CHANNEL: ChannelBindings = ChannelBindings::NONE.with_exporter([7; 32]);

    fn rfc() -> Derivation {
        let salt: [u8; 16] = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap();
        Derivation { salt: salt.into(), iterations: ScramIterations::new(4096).unwrap().count() }
    }

    /// The exchange of RFC 7677 §3, message by message.
    #[test]
    fn the_example_of_the_rfc() {
        let opening = Opening::new(false, ChannelBindings::NONE);
        let hello = opening.hello(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        assert_eq!(hello.login(), "user");
        let (offer, challenge) = hello.offer(&rfc(), "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
        assert_eq!(
            String::from_utf8(challenge).unwrap(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let claim = offer
            .claim(
                b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                  p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            )
            .unwrap();
        let signature = rfc().keys(b"pencil").check(&claim.transcript, &claim.proof.unwrap()).unwrap();
        assert_eq!(STANDARD.encode(signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    fn plain() -> Opening {
        Opening::new(false, ChannelBindings::NONE)
    }

    #[test]
    fn first_messages() {
        for (message, login) in [
            ("n,,n=user,r=x", "user"),
            ("y,,n=us=2Cer=3D,r=x", "us,er="),
            ("n,a=user,n=user,r=x", "user"),
            ("n,a=,n=user,r=x", "user"),
            ("n,,n=user,r=x,q=extension", "user"),
            ("n,,n=사용자@example.test,r=x", "사용자@example.test"),
        ] {
            assert_eq!(plain().hello(message.as_bytes()).unwrap().login(), login, "{message}");
        }
        for bad in [
            "",
            ",",
            ",,",
            "n",
            "n,,",
            "n,,n=user",
            "n,,n=user,",
            "n,,n=,r=x",
            "n,,n=user,r=",
            "n,,r=x,n=user",
            "n,,n=us=er,r=x",
            "n,,n=us=2cer,r=x",
            "n,,n=user,r=a b",
            "n,,n=user,r=x,",
            "n,,n=user,r=x,extension",
            "n,,m=must,n=user,r=x",
            "n,x=y,n=user,r=x",
            "p=tls-exporter,,n=user,r=x",
            "x,,n=user,r=x",
            "n,,n=us\0er,r=x",
            "N,,n=user,r=x",
        ] {
            assert!(matches!(plain().hello(bad.as_bytes()), Err(Error::Malformed(_))), "{bad:?}");
        }
        assert!(matches!(plain().hello(b"n,,n=us\xffer,r=x"), Err(Error::Malformed(_))));
        assert_eq!(plain().hello(b"n,a=bob,n=user,r=x").err(), Some(Error::Authorization));
    }

    #[test]
    fn the_channel_is_told_or_bound() {
        let (plain, plus) = (Opening::new(false, CHANNEL), Opening::new(true, CHANNEL));
        assert!(plain.hello(b"n,,n=user,r=x").is_ok());
        // A client that could bind itself, and believes that this server cannot.
        assert!(matches!(plain.hello(b"y,,n=user,r=x"), Err(Error::Channel(_))));
        assert!(matches!(plain.hello(b"p=tls-exporter,,n=user,r=x"), Err(Error::Malformed(_))));
        for flag in ["n", "y"] {
            let message = format!("{flag},,n=user,r=x");
            assert!(matches!(plus.hello(message.as_bytes()), Err(Error::Malformed(_))));
        }
        for unknown in ["tls-server-end-point", "tls-unique", ""] {
            let message = format!("p={unknown},,n=user,r=x");
            assert!(matches!(plus.hello(message.as_bytes()), Err(Error::Channel(_))), "{unknown}");
        }
        let hello = plus.hello(b"p=tls-exporter,,n=user,r=x").unwrap();
        assert_eq!(hello.binding, [&b"p=tls-exporter,,"[..], &[7; 32]].concat());
    }

    fn claim(opening: &Opening, first: &str, last: &str) -> Result<Claim, Error> {
        opening.hello(first.as_bytes()).unwrap().offer(&rfc(), "server").0.claim(last.as_bytes())
    }

    #[test]
    fn final_messages() {
        let proof = STANDARD.encode([1; 32]);
        let answer = |last: &str| claim(&plain(), "n,,n=user,r=x", last);
        assert_eq!(answer(&format!("c=biws,r=xserver,p={proof}")).unwrap().proof, Some([1; 32]));
        assert!(answer(&format!("c=biws,r=xserver,q=extension,p={proof}")).unwrap().proof.is_some());
        // Another exchange's nonce, the client's own one, another header: no proof of this exchange.
        for other in ["c=biws,r=xother", "c=biws,r=x", "c=eSws,r=xserver", "c=,r=xserver"] {
            assert_eq!(answer(&format!("{other},p={proof}")).unwrap().proof, None, "{other}");
        }
        for bad in [
            "",
            "c=biws,r=xserver",
            "c=biws,r=xserver,p=",
            "c=biws,r=xserver,p=AAAA",
            "r=xserver,c=biws,p=",
            "c=?,r=xserver,p=",
            "c=biws,r=xserver,extension,p=",
        ] {
            let bad = if bad.ends_with("p=") && !bad.ends_with("r,p=") {
                format!("{bad}{proof}")
            } else {
                bad.to_owned()
            };
            assert!(matches!(answer(&bad), Err(Error::Malformed(_))), "{bad:?}");
        }
    }

    #[test]
    fn another_channel_is_no_proof() {
        let proof = STANDARD.encode([1; 32]);
        let last = |data: [u8; 32]| {
            let binding = STANDARD.encode([&b"p=tls-exporter,,"[..], &data].concat());
            let plus = Opening::new(true, CHANNEL);
            claim(&plus, "p=tls-exporter,,n=user,r=x", &format!("c={binding},r=xserver,p={proof}")).unwrap()
        };
        assert!(last([7; 32]).proof.is_some());
        assert_eq!(last([8; 32]).proof, None);
    }

    proptest! {
        #[test]
        fn reading_never_fails_badly(first: Vec<u8>, last: Vec<u8>, text in "[npy],(a=[a-z=,]{0,9})?,[nmr]=[a-z=23CD]{0,9},r=[ -~]{0,9}") {
            let _read = plain().hello(&first);
            let _read = plain().hello(text.as_bytes());
            let hello = plain().hello(b"n,,n=user,r=x").unwrap();
            let _read = hello.offer(&rfc(), "server").0.claim(&last);
        }

        #[test]
        fn names_are_read_as_they_were_written(login in "[^\\x00]{1,20}") {
            let coded = login.replace('=', "=3D").replace(',', "=2C");
            let hello = plain().hello(format!("n,,n={coded},r=x").as_bytes()).unwrap();
            prop_assert_eq!(hello.login(), login);
        }
    }
}
