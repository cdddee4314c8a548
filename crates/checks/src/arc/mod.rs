//! ARC (RFC 8617): what servers on the way saw before they changed a message, each sealed by the next.
//!
//! A chain proves only that these servers said so. Whose word counts is the operator's choice; see
//! [`ArcCheck::vouches`]. [`seal`] is the other side: what we put on a message that we send on.

mod seal;

use std::fmt;

use dns::Name;

use crate::dkim::canonical::{self, BodyHashes, Form, Selection};
use crate::dkim::signature::{Algorithm, Signature, SignatureError, key_name, signature};
use crate::dkim::{DkimResult, KeyAnswer, judge};
use crate::header::{Field, Header};
use crate::tags::Tags;

/// The longest chain (RFC 8617 §4.2.1).
const LONGEST: usize = 50;

/// What became of a chain (RFC 8617 §4.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArcResult {
    /// There is none.
    None,
    /// It is whole.
    Pass,
    /// It is broken.
    Fail,
    /// DNS did not say; ask again later.
    TempError,
}

impl ArcResult {
    /// The result's name in `Authentication-Results:`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
        }
    }
}

impl fmt::Display for ArcResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A chain, and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArcCheck {
    /// What became of it.
    pub result: ArcResult,
    /// Why, in a few words, where it is broken.
    pub reason: Option<&'static str>,
    /// The domains that sealed, the first first.
    pub sealers: Vec<Name>,
    /// Which of them saw the message pass DMARC.
    passed_dmarc: Vec<bool>,
}

impl ArcCheck {
    /// Of a message that nobody has sealed.
    pub(crate) fn absent() -> Self {
        Self::new(ArcResult::None, None)
    }

    pub(crate) fn new(result: ArcResult, reason: Option<&'static str>) -> Self {
        Self { result, reason, sealers: Vec::new(), passed_dmarc: Vec::new() }
    }

    /// Whether servers that are trusted say that the message was good when it reached the first of them: the chain
    /// is whole, it saw DMARC pass, and nobody who is not trusted handled the message after it.
    pub fn vouches(&self, is_trusted: impl Fn(&Name) -> bool) -> bool {
        let trusted_end =
            self.sealers.iter().zip(&self.passed_dmarc).rev().take_while(|(name, _)| is_trusted(name));
        self.result == ArcResult::Pass && trusted_end.into_iter().any(|(_, passed)| *passed)
    }
}

/// One server's three fields.
struct Set<'a> {
    results: &'a Field<'a>,
    message: &'a Field<'a>,
    seal: &'a Field<'a>,
    sealed: Seal,
    passed_dmarc: bool,
}

/// The value of `ARC-Seal:` (RFC 8617 §4.1.3).
struct Seal {
    algorithm: Algorithm,
    signature: Vec<u8>,
    domain: Name,
    key_name: Name,
    state: String,
}

/// A chain that has the right form: its seals are to be verified.
pub(crate) struct Chain<'a> {
    sets: Vec<Set<'a>>,
    newest: Signature,
}

impl<'a> Chain<'a> {
    /// Reads the chain of a message; its result, if that is known without any key.
    pub(crate) fn read(header: &'a Header<'a>) -> Result<Self, ArcCheck> {
        let broken = |reason| ArcCheck::new(ArcResult::Fail, Some(reason));
        let ours = |name| header.named(name).collect::<Vec<_>>();
        let (results, messages, seals) =
            (ours("arc-authentication-results"), ours("arc-message-signature"), ours("arc-seal"));
        if results.is_empty() && messages.is_empty() && seals.is_empty() {
            return Err(ArcCheck::absent());
        }
        if seals.len() > LONGEST {
            return Err(broken("the chain is too long"));
        }
        if results.len() != seals.len() || messages.len() != seals.len() {
            return Err(broken("a set is incomplete"));
        }
        let mut sets = Vec::new();
        for instance in 1..=seals.len() {
            let set = Set::read(instance, &results, &messages, &seals).map_err(broken)?;
            let state = if instance == 1 { "none" } else { "pass" };
            if set.sealed.state != state {
                return Err(broken("the chain was broken before"));
            }
            sets.push(set);
        }
        let newest = sets.last().ok_or_else(|| broken("a set is incomplete"))?;
        let newest = Tags::parse(newest.message.value()).ok_or(SignatureError::Syntax);
        let newest =
            newest.and_then(|tags| Signature::from_tags(&tags)).map_err(|error| broken(error.reason()))?;
        if newest.headers.iter().any(|name| name == "arc-seal") {
            return Err(broken("a seal is signed as if it were part of the message"));
        }
        Ok(Self { sets, newest })
    }

    /// The keys that have to be asked for: that of the newest message signature, then those of all seals.
    pub(crate) fn keys(&self) -> Vec<Name> {
        let seals = self.sets.iter().map(|set| set.sealed.key_name.clone());
        std::iter::once(self.newest.key_name()).chain(seals).collect()
    }

    /// Verifies the newest message signature and all seals (RFC 8617 §5.2). Works on the whole message: not for the
    /// threads that serve connections.
    pub(crate) fn verify(
        &self,
        message: &[u8],
        header: &Header<'_>,
        keys: &[KeyAnswer],
        now: u64,
    ) -> ArcCheck {
        let (result, reason) = match self.judge(message, header, keys, now) {
            Ok(()) => (ArcResult::Pass, None),
            Err((DkimResult::TempError, reason)) => (ArcResult::TempError, reason),
            Err((_, reason)) => (ArcResult::Fail, reason),
        };
        ArcCheck {
            result,
            reason,
            sealers: self.sets.iter().map(|set| set.sealed.domain.clone()).collect(),
            passed_dmarc: self.sets.iter().map(|set| set.passed_dmarc).collect(),
        }
    }

    fn judge(
        &self,
        message: &[u8],
        header: &Header<'_>,
        keys: &[KeyAnswer],
        now: u64,
    ) -> Result<(), (DkimResult, Option<&'static str>)> {
        let newest = self.sets.last().ok_or((DkimResult::Fail, None))?;
        let body = message.get(header.body..).unwrap_or_default();
        let hashes = BodyHashes::of(body, std::iter::once(self.newest.body_form()));
        let selection = Selection::new(header);
        match judge(newest.message, &self.newest, keys.first(), &hashes, &selection, now) {
            (DkimResult::Pass, _) => {}
            other => return Err(other),
        }
        let mut sealed = Vec::new();
        for (set, key) in self.sets.iter().zip(keys.iter().skip(1)) {
            let key = key.as_ref().map_err(|error| (error.result(), Some(error.reason())))?;
            canonical::write_field(set.results, Form::Relaxed, &mut sealed);
            canonical::write_field(set.message, Form::Relaxed, &mut sealed);
            let mut signed = sealed.clone();
            canonical::write_unsigned(set.seal, Form::Relaxed, &mut signed);
            if !key.verify(set.sealed.algorithm, &signed, &set.sealed.signature) {
                return Err((DkimResult::Fail, Some("a seal does not fit")));
            }
            canonical::write_field(set.seal, Form::Relaxed, &mut sealed);
        }
        Ok(())
    }
}

impl<'a> Set<'a> {
    fn read(
        instance: usize,
        results: &[&'a Field<'a>],
        messages: &[&'a Field<'a>],
        seals: &[&'a Field<'a>],
    ) -> Result<Self, &'static str> {
        let results = only(results, instance)?;
        let seal = only(seals, instance)?;
        let sealed = Seal::parse(seal.value()).map_err(SignatureError::reason)?;
        Ok(Self {
            message: only(messages, instance)?,
            passed_dmarc: says_dmarc_pass(results.value()),
            results,
            seal,
            sealed,
        })
    }
}

impl Seal {
    fn parse(value: &[u8]) -> Result<Self, SignatureError> {
        let tags = Tags::parse(value).ok_or(SignatureError::Syntax)?;
        let need = |name| tags.get(name).ok_or(SignatureError::Incomplete);
        // RFC 8617 §4.1.3: a seal covers its own fields and no others.
        if tags.get("h").is_some() {
            return Err(SignatureError::Syntax);
        }
        let (domain, _, key_name) = key_name(need("d")?, need("s")?)?;
        Ok(Self {
            algorithm: Algorithm::parse(need("a")?)?,
            signature: signature(need("b")?)?.0,
            domain,
            key_name,
            state: need("cv")?.to_ascii_lowercase(),
        })
    }
}

/// The one field of an instance.
fn only<'a>(fields: &[&'a Field<'a>], instance: usize) -> Result<&'a Field<'a>, &'static str> {
    let mut found = fields.iter().filter(|field| instance_of(field.value()) == Some(instance));
    match (found.next(), found.next()) {
        (Some(field), None) => Ok(*field),
        _ => Err("the sets are not numbered one by one"),
    }
}

/// `i=`: the first tag in results, any in the others.
fn instance_of(value: &[u8]) -> Option<usize> {
    value.split(|b| *b == b';').find_map(|tag| {
        let text = std::str::from_utf8(tag).ok()?;
        let (name, number) = text.split_once('=')?;
        let number = number.trim_ascii();
        let digits = number.bytes().all(|b| b.is_ascii_digit());
        (name.trim_ascii() == "i" && digits).then(|| number.parse().ok())?
    })
}

/// Whether results (RFC 8601 §2.2) say `dmarc=pass`.
fn says_dmarc_pass(value: &[u8]) -> bool {
    let text = without_comments(&String::from_utf8_lossy(value)).to_ascii_lowercase();
    text.split(';').any(|result| {
        let Some((method, rest)) = result.split_once('=') else { return false };
        let method = method.split('/').next().unwrap_or_default().trim_ascii();
        method == "dmarc" && rest.split_ascii_whitespace().next() == Some("pass")
    })
}

/// Text without comments, and without what is quoted.
fn without_comments(text: &str) -> String {
    let (mut out, mut comments, mut quoted) = (String::new(), 0usize, false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted || comments > 0 => drop(chars.next()),
            '"' if comments == 0 => quoted = !quoted,
            '(' if !quoted => comments += 1,
            ')' if !quoted => {
                comments = comments.saturating_sub(1);
                out.push(' ');
            }
            _ if comments == 0 && !quoted => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_and_results() {
        assert_eq!(instance_of(b" i=2; a=rsa-sha256"), Some(2));
        assert_eq!(instance_of(b" a=rsa-sha256; i = 3\r\n"), Some(3));
        for bad in [&b"a=1"[..], b"i=x", b"i=-1", b"", b"i=99999999999999999999999"] {
            assert_eq!(instance_of(bad), None);
        }
        assert!(says_dmarc_pass(b" i=1; mx.test; spf=fail; dmarc=pass (p=reject) header.from=x.test\r\n"));
        assert!(says_dmarc_pass(b" i=1; mx.test; dmarc/1 = pass"));
        for not in [
            " i=1; mx.test; dmarc=fail",
            " i=1; mx.test; spf=fail (; dmarc=pass)",
            " i=1; mx.test; spf=fail reason=\"; dmarc=pass;\"",
            " i=1; mx.test; dmarc=passed",
        ] {
            assert!(!says_dmarc_pass(not.as_bytes()), "{not}");
        }
    }

    #[test]
    fn a_trusted_end_vouches() {
        let name = |text: &str| Name::parse(text).unwrap();
        let check = |passed: [bool; 3]| ArcCheck {
            result: ArcResult::Pass,
            reason: None,
            sealers: vec![name("a.test"), name("b.test"), name("c.test")],
            passed_dmarc: passed.to_vec(),
        };
        let trusted = |names: &'static [&'static str]| move |n: &Name| names.contains(&n.as_str());
        assert!(check([false, true, false]).vouches(trusted(&["b.test", "c.test"])));
        assert!(!check([false, true, false]).vouches(trusted(&["b.test"])), "c might have changed anything");
        assert!(!check([false, true, false]).vouches(trusted(&["c.test"])));
        assert!(!check([false, false, false]).vouches(|_| true));
        let failed = ArcCheck { result: ArcResult::Fail, ..check([true; 3]) };
        assert!(!failed.vouches(|_| true));
    }
}
