//! DKIM (RFC 6376, RFC 8301, RFC 8463): which domains take responsibility for a message.
//!
//! [`signature`] reads a field, [`key`] the record that it names, [`canonical`] brings header and body into the form
//! that was signed; here they are put together. [`sign`] makes signatures with the same parts, and ARC uses them too.

pub(crate) mod canonical;
pub(crate) mod key;
pub(crate) mod sign;
pub(crate) mod signature;

use std::fmt;

use crate::header::{Field, Header};
use crate::lookups::{LookupError, Lookups};
use canonical::{BodyHashes, Selection};
use dns::Name;
use key::{Key, KeyError};
pub use sign::{KeyKind, Signer, Signing, SigningError, SigningKey};
use signature::{Signature, SignatureError};

/// What became of one signature (RFC 8601 §2.7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DkimResult {
    /// It is good.
    Pass,
    /// It does not fit the message, or has expired.
    Fail,
    /// It is good for a part of the message only, which proves nothing about what a reader sees.
    Policy,
    /// DNS did not say what the key is; ask again later.
    TempError,
    /// The signature or its key is wrong, and stays so.
    PermError,
}

impl DkimResult {
    /// The result's name in `Authentication-Results:`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Policy => "policy",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for DkimResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One signature, and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DkimCheck {
    /// What became of it.
    pub result: DkimResult,
    /// Why, in a few words, where it is not good.
    pub reason: Option<&'static str>,
    /// The domain that signs.
    pub domain: Option<Name>,
    /// The selector of its key.
    pub selector: Option<String>,
    /// The algorithm, as the signature names it.
    pub algorithm: Option<&'static str>,
    /// The beginning of the signature itself, by which two of one domain are told apart (RFC 6008).
    pub start: String,
}

impl DkimCheck {
    fn unreadable(error: SignatureError) -> Self {
        let (result, reason) = (DkimResult::PermError, Some(error.reason()));
        Self { result, reason, domain: None, selector: None, algorithm: None, start: String::new() }
    }
}

/// A message whose signatures are to be verified.
pub(crate) struct Signed<'a> {
    message: &'a [u8],
    header: &'a Header<'a>,
    signatures: Vec<(Field<'a>, Result<Signature, SignatureError>)>,
    /// More signatures than are looked at.
    too_many: bool,
}

/// A signature whose key has been asked for.
pub(crate) type KeyAnswer = Result<Key, KeyError>;

impl<'a> Signed<'a> {
    /// Reads the first `most` signatures of a message.
    pub(crate) fn new(message: &'a [u8], header: &'a Header<'a>, most: usize) -> Self {
        let mut fields = header.named("dkim-signature");
        let signatures = fields.by_ref().take(most);
        let signatures = signatures.map(|field| (*field, Signature::parse(field.value()))).collect();
        Self { message, header, signatures, too_many: fields.next().is_some() }
    }

    /// The keys that have to be asked for, in the order of the signatures; none for an unreadable signature.
    pub(crate) fn keys(&self) -> Vec<Option<Name>> {
        self.signatures
            .iter()
            .map(|(_, signature)| signature.as_ref().ok().map(Signature::key_name))
            .collect()
    }

    /// Verifies what was signed. Works on the whole message: not for the threads that serve connections.
    pub(crate) fn verify(&self, keys: &[Option<KeyAnswer>], now: u64) -> Vec<DkimCheck> {
        let body = self.message.get(self.header.body..).unwrap_or_default();
        let wanted = self.signatures.iter().zip(keys);
        // No body is hashed for a signature that cannot be good.
        let wanted = wanted.filter_map(|((_, signature), key)| {
            signature.as_ref().ok().filter(|_| matches!(key, Some(Ok(_)))).map(Signature::body_form)
        });
        let hashes = BodyHashes::of(body, wanted);
        let selection = Selection::new(self.header);
        let mut checks: Vec<DkimCheck> = self
            .signatures
            .iter()
            .zip(keys)
            .map(|((field, signature), key)| match signature {
                Ok(signature) => {
                    let judged = judge(field, signature, key.as_ref(), &hashes, &selection, now);
                    signature.check(judged)
                }
                Err(error) => DkimCheck::unreadable(*error),
            })
            .collect();
        if self.too_many {
            checks.push(DkimCheck::unreadable(SignatureError::TooMany));
        }
        checks
    }
}

/// Asks for a key.
pub(crate) async fn key(name: Name, lookups: &Lookups) -> KeyAnswer {
    match lookups.txt(name).await {
        Ok(records) => Key::parse(&records),
        Err(LookupError::NoSuchName) => Err(KeyError::Missing),
        Err(LookupError::TooMany) => Err(KeyError::TooMany),
        Err(LookupError::Temporary(_)) => Err(KeyError::Unavailable),
    }
}

/// The result of one signature, and why.
pub(crate) type Judged = (DkimResult, Option<&'static str>);

pub(crate) fn judge(
    field: &Field<'_>,
    signature: &Signature,
    key: Option<&KeyAnswer>,
    hashes: &BodyHashes,
    selection: &Selection<'_>,
    now: u64,
) -> Judged {
    let key = match key {
        Some(Ok(key)) => key,
        Some(Err(error)) => return (error.result(), Some(error.reason())),
        None => return (DkimResult::PermError, Some("no key")),
    };
    if signature.expires.is_some_and(|expires| expires < now) {
        return (DkimResult::Fail, Some("the signature has expired"));
    }
    if let Err(reason) = key.fits(signature) {
        return (DkimResult::PermError, Some(reason));
    }
    let Some(hash) = hashes.get(signature.body_form()) else {
        return (DkimResult::PermError, Some("the signed length is beyond the body"));
    };
    if hash.digest != signature.body_hash {
        return (DkimResult::Fail, Some("the body was changed"));
    }
    let mut signed = Vec::new();
    selection.write(&signature.headers, signature.header_form, &mut signed);
    canonical::write_unsigned(field, signature.header_form, &mut signed);
    if !key.verify(signature.algorithm, &signed, &signature.signature) {
        return (DkimResult::Fail, Some("the signature does not fit"));
    }
    if !hash.whole {
        return (DkimResult::Policy, Some("only a part of the body is signed"));
    }
    (DkimResult::Pass, None)
}
