//! Signing (RFC 6376 §5, RFC 8301, RFC 8463): the other side of what this module verifies.
//!
//! It lives beside verification because both bring header and body into the same form by the same code. The body is
//! hashed while it streams by; a signature covers all of it, always: a length (`l=`) would let anybody append.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dns::Name;
use thiserror::Error;
use types::Timestamp;

use super::canonical::{Form, Selection, StreamedBodyHash, write_unsigned};
use super::signature::Algorithm;
use crate::header::Header;

/// Fields that are signed once more than they are there, so that none can be added: each changes what a reader sees,
/// or where an answer goes.
const GUARDED: [&str; 8] = ["From", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "Content-Type"];
/// Fields that are guarded in the same way where they are there at all: servers on the way may add them.
const GUARDED_IF_PRESENT: [&str; 5] =
    ["Sender", "In-Reply-To", "References", "MIME-Version", "Content-Transfer-Encoding"];
/// Fields that are signed as often as they are there: lists and forwarders add their own (RFC 6376 §5.4.1, RFC 8058 §4).
const SIGNED: [&str; 14] = [
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
    "Resent-Date",
    "Resent-From",
    "Resent-To",
    "Resent-Cc",
    "Resent-Message-ID",
    "Auto-Submitted",
];
/// So many fields of one name are signed, from below; whoever writes more of them writes no message.
pub(crate) const OF_ONE_NAME: usize = 10;
/// Where the value of a signature is folded, in octets of a line.
const LINE: usize = 72;

/// A kind of key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KeyKind {
    /// RSA with 2,048 bits (RFC 8301 §3.2): what every verifier knows.
    Rsa,
    /// Ed25519 (RFC 8463): short and quick, beside RSA for those who know it.
    Ed25519,
}

impl KeyKind {
    /// What `k=` calls it in DNS.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Rsa, Self::Ed25519].into_iter().find(|kind| kind.as_str() == name)
    }

    const fn algorithm(self) -> Algorithm {
        match self {
            Self::Rsa => Algorithm::RsaSha256,
            Self::Ed25519 => Algorithm::Ed25519Sha256,
        }
    }

    /// The TXT record under which a public key is published (RFC 6376 §3.6.1), not yet cut into strings.
    pub fn record(self, public: &[u8]) -> String {
        format!("v=DKIM1; k={}; p={}", self.as_str(), STANDARD.encode(public))
    }
}

/// A private key. It does not print itself.
pub struct SigningKey(Pair);

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

/// Why a key cannot be made or used, or nothing signed with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SigningError {
    /// The bytes are no private key of this kind.
    #[error("the stored {} key cannot be read: retire it and create another", .0.as_str())]
    Key(KeyKind),
    /// The cryptographic library refused, for want of randomness or memory.
    #[error("the cryptographic library failed with a key of kind {}; try again", .0.as_str())]
    Library(KeyKind),
    /// Seals are made with RSA.
    #[error("a message is sealed with an RSA key: `magpie dkim create` makes one for a domain that has none")]
    SealingKey,
    /// Domain and selector make no name that DNS knows.
    #[error("domain and selector make no DNS name: choose a shorter selector of letters, digits and hyphens")]
    Name,
}

impl SigningKey {
    /// Makes a key. Takes up to a second for RSA: not for a thread that must not wait.
    pub fn generate(kind: KeyKind) -> Result<Self, SigningError> {
        let failed = |_| SigningError::Library(kind);
        Ok(Self(match kind {
            KeyKind::Rsa => Pair::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?)),
            KeyKind::Ed25519 => Pair::Ed25519(Box::new(Ed25519KeyPair::generate().map_err(failed)?)),
        }))
    }

    /// Reads what [`Self::pkcs8`] wrote.
    pub fn from_pkcs8(kind: KeyKind, der: &[u8]) -> Result<Self, SigningError> {
        let unreadable = |_| SigningError::Key(kind);
        Ok(Self(match kind {
            KeyKind::Rsa => Pair::Rsa(Box::new(RsaKeyPair::from_pkcs8(der).map_err(unreadable)?)),
            KeyKind::Ed25519 => Pair::Ed25519(Box::new(Ed25519KeyPair::from_pkcs8(der).map_err(unreadable)?)),
        }))
    }

    /// The private key as PKCS #8 in DER: to be kept where nobody else reads it.
    pub fn pkcs8(&self) -> Result<Vec<u8>, SigningError> {
        let failed = |_| SigningError::Library(self.kind());
        let der: Pkcs8V1Der<'_> = match &self.0 {
            Pair::Rsa(pair) => pair.as_der().map_err(failed)?,
            Pair::Ed25519(pair) => pair.as_der().map_err(failed)?,
        };
        Ok(der.as_ref().to_vec())
    }

    /// The public key as DNS publishes it: a SubjectPublicKeyInfo for RSA, 32 octets for Ed25519 (RFC 8463 §4).
    pub fn public(&self) -> Result<Vec<u8>, SigningError> {
        match &self.0 {
            Pair::Rsa(pair) => {
                let der: PublicKeyX509Der<'_> =
                    pair.public_key().as_der().map_err(|_| SigningError::Library(KeyKind::Rsa))?;
                Ok(der.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.public_key().as_ref().to_vec()),
        }
    }

    /// What kind of key it is.
    pub const fn kind(&self) -> KeyKind {
        match self.0 {
            Pair::Rsa(_) => KeyKind::Rsa,
            Pair::Ed25519(_) => KeyKind::Ed25519,
        }
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, SigningError> {
        match &self.0 {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature)
                    .map_err(|_| SigningError::Library(KeyKind::Rsa))?;
                Ok(signature)
            }
            // RFC 8463 §3: what is signed is the hash.
            Pair::Ed25519(pair) => Ok(pair.sign(digest(&SHA256, text).as_ref()).as_ref().to_vec()),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, …)", self.kind().as_str())
    }
}

/// Who signs: a domain with one of its keys.
#[derive(Debug)]
pub struct Signer {
    domain: Name,
    selector: String,
    key: SigningKey,
}

impl Signer {
    /// The key is published at `selector._domainkey.domain`.
    pub fn new(domain: &str, selector: &str, key: SigningKey) -> Result<Self, SigningError> {
        let (domain, selector, _) =
            super::signature::key_name(domain, selector).map_err(|_| SigningError::Name)?;
        Ok(Self { domain, selector, key })
    }
}

/// A message that is being signed: its body first, as it streams by; then its header, and all keys at once.
pub struct Signing(StreamedBodyHash);

impl Default for Signing {
    fn default() -> Self {
        Self(StreamedBodyHash::new())
    }
}

impl Signing {
    /// The next octets of the body: what stands behind the empty line, in CRLF form.
    pub fn body(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The `DKIM-Signature:` fields, one for each signer, to be put on top of `header`: the header block as it will be
    /// sent, with or without its empty line.
    pub fn sign(self, header: &[u8], signers: &[Signer], at: Timestamp) -> Result<String, SigningError> {
        let body_hash = STANDARD.encode(self.0.finish());
        let header = Header::parse(header);
        let names = signed_names(&header);
        let fields = signers
            .iter()
            .map(|signer| signer.message_signature("DKIM-Signature: v=1;", &header, &names, &body_hash, at));
        fields.collect()
    }
}

impl Signer {
    /// Whether it signs with RSA, which is what seals are made with.
    pub(crate) const fn is_rsa(&self) -> bool {
        matches!(self.key.kind(), KeyKind::Rsa)
    }

    /// A field that signs a header's fields of these names, and the hash of a body.
    pub(crate) fn message_signature(
        &self,
        start: &str,
        header: &Header<'_>,
        names: &[&str],
        body_hash: &str,
        at: Timestamp,
    ) -> Result<String, SigningError> {
        let wanted: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let mut text = Vec::new();
        Selection::new(header).write(&wanted, Form::Relaxed, &mut text);
        let mut field = Folded::new(start);
        field.word(&format!("a={};", self.key.kind().algorithm().as_str()));
        field.word("c=relaxed/relaxed;");
        self.name(&mut field, at);
        field.words("h=", names, ":", ";");
        field.word(&format!("bh={body_hash};"));
        self.close(field, text)
    }

    /// A field that signs what stands in `text` (RFC 8617 §5.1.1).
    pub(crate) fn seal(
        &self,
        start: &str,
        state: &str,
        text: Vec<u8>,
        at: Timestamp,
    ) -> Result<String, SigningError> {
        let mut field = Folded::new(start);
        field.word(&format!("a={};", self.key.kind().algorithm().as_str()));
        field.word(&format!("cv={state};"));
        self.name(&mut field, at);
        self.close(field, text)
    }

    fn name(&self, field: &mut Folded, at: Timestamp) {
        field.word(&format!("d={};", self.domain));
        field.word(&format!("s={};", self.selector));
        field.word(&format!("t={};", at.secs()));
    }

    /// The field with the signature over the text and itself, and its CRLF.
    fn close(&self, mut field: Folded, mut text: Vec<u8>) -> Result<String, SigningError> {
        field.word("b=");
        let unsigned = format!("{}\r\n", field.text);
        let parsed = Header::parse(unsigned.as_bytes());
        if let Some(own) = parsed.fields().first() {
            write_unsigned(own, Form::Relaxed, &mut text);
        }
        field.fill(&STANDARD.encode(self.key.sign(&text)?));
        field.text.push_str("\r\n");
        Ok(field.text)
    }
}

/// The names in `h=`, in an order of our own: verifiers count the fields of each name from below.
pub(crate) fn signed_names(header: &Header<'_>) -> Vec<&'static str> {
    let count = |name: &str| header.named(name).take(OF_ONE_NAME).count();
    let mut names = Vec::new();
    for name in GUARDED {
        names.extend(std::iter::repeat_n(name, count(name) + 1));
    }
    for name in GUARDED_IF_PRESENT {
        let present = count(name);
        names.extend(std::iter::repeat_n(name, if present == 0 { 0 } else { present + 1 }));
    }
    for name in SIGNED {
        names.extend(std::iter::repeat_n(name, count(name)));
    }
    names
}

/// A field that is folded where its line becomes too long.
struct Folded {
    text: String,
    line: usize,
}

impl Folded {
    fn new(start: &str) -> Self {
        Self { text: start.to_owned(), line: start.len() }
    }

    /// Appends a word behind a space or on a new line.
    fn word(&mut self, word: &str) {
        let blank = if self.line + 1 + word.len() > LINE { "\r\n\t" } else { " " };
        self.text.push_str(blank);
        self.line = if blank == " " { self.line + 1 } else { 8 };
        self.push(word);
    }

    /// Appends a list that may be folded behind its separators.
    fn words(&mut self, start: &str, words: &[&str], separator: &str, end: &str) {
        let last = words.len().saturating_sub(1);
        for (number, word) in words.iter().enumerate() {
            let word = format!("{word}{}", if number == last { end } else { separator });
            match number {
                0 => self.word(&format!("{start}{word}")),
                _ if self.line + word.len() > LINE => self.word(&word),
                _ => self.push(&word),
            }
        }
    }

    /// Appends base64, which may be folded anywhere.
    fn fill(&mut self, base64: &str) {
        for digit in base64.chars() {
            if self.line >= LINE {
                self.text.push_str("\r\n\t");
                self.line = 8;
            }
            self.text.push(digit);
            self.line += 1;
        }
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.line += text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let key = SigningKey::generate(KeyKind::Ed25519).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(ed25519, …)");
        let signer = Signer::new("x.test", "s1", key).unwrap();
        assert!(format!("{signer:?}").contains("SigningKey(ed25519, …)"));
    }

    #[test]
    fn keys_survive_being_stored() {
        for kind in [KeyKind::Rsa, KeyKind::Ed25519] {
            let key = SigningKey::generate(kind).unwrap();
            let again = SigningKey::from_pkcs8(kind, &key.pkcs8().unwrap()).unwrap();
            assert_eq!((again.kind(), again.public().unwrap()), (kind, key.public().unwrap()));
            assert_eq!(KeyKind::named(kind.as_str()), Some(kind));
            assert_eq!(SigningKey::from_pkcs8(kind, b"rubbish").unwrap_err(), SigningError::Key(kind));
        }
        assert_eq!(
            Signer::new("x.test", "a b", SigningKey::generate(KeyKind::Ed25519).unwrap()).unwrap_err(),
            SigningError::Name
        );
    }

    #[test]
    fn fields_are_guarded_and_lists_may_add_theirs() {
        let header = Header::parse(b"From: a\r\nTO: b\r\nto: c\r\nList-Id: x\r\nReceived: y\r\n\r\n");
        let names = signed_names(&header);
        let count = |name: &str| names.iter().filter(|one| **one == name).count();
        assert_eq!(
            ["From", "To", "Subject", "Sender", "List-Id", "List-Post", "Received"].map(count),
            [2, 3, 1, 0, 1, 0, 0]
        );
        let many = "To: x\r\n".repeat(100_000);
        assert!(signed_names(&Header::parse(many.as_bytes())).len() < 30);
    }

    #[test]
    fn lines_are_short() {
        let key = SigningKey::generate(KeyKind::Rsa).unwrap();
        let signer = Signer::new("a-rather-long-name-of-a-domain.example.test", "selector", key).unwrap();
        let field = Signing::default()
            .sign(b"From: a@x.test\r\nSender: b\r\n\r\n", &[signer], Timestamp(5_000))
            .unwrap();
        assert!(field.ends_with("\r\n") && field.lines().all(|line| line.len() <= 78), "{field}");
        assert!(field.contains(" t=5;") && !field.contains("l="), "{field}");
    }
}
