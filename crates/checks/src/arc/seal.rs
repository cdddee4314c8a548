//! Sealing (RFC 8617 §5.1): what we put on a message that is sent on, so that the next server can see what we saw.
//!
//! The keys are those of the domain's DKIM (§4.1.2), and of these the one of RSA: §4 takes the algorithms of RFC 6376
//! alone, and verifiers that know Ed25519 in signatures do not all know it in seals.
//!
//! A chain is lengthened only if it was seen to be whole. A broken one is sealed once, to say so, and left alone after
//! that. Where DNS did not say, and where there is no place for another instance, the message stays as it is: what the
//! others have sealed is as good for the next server as it was for us.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use types::Timestamp;

use super::{ArcResult, LONGEST, instance_of, only};
use crate::dkim::canonical::{Form, StreamedBodyHash, write_field};
use crate::dkim::sign::{OF_ONE_NAME, Signer, SigningError, signed_names};
use crate::header::Header;
use crate::results::Results;
use crate::tags::Tags;

const RESULTS: &str = "arc-authentication-results";
const SIGNATURE: &str = "arc-message-signature";
const SEAL: &str = "arc-seal";

impl Results {
    /// The three fields of a seal, with their CRLFs, to be put on top of the message that these results are of; none if
    /// it is not to be sealed. The message is as it will be sent, with all that was added on top; nothing of its chain
    /// may have changed since. Works on the whole message: not for the threads that serve connections.
    pub fn seal(
        &self,
        authserv_id: &str,
        message: &[u8],
        signer: &Signer,
        at: Timestamp,
    ) -> Result<Option<String>, SigningError> {
        if !signer.is_rsa() {
            return Err(SigningError::SealingKey);
        }
        let header = Header::parse(message);
        let Some((instance, state)) = next(&header, self.arc.result) else { return Ok(None) };
        let results = format!("ARC-Authentication-Results: i={instance}; {}\r\n", self.payload(authserv_id));
        let mut hash = StreamedBodyHash::new();
        hash.update(message.get(header.body..).unwrap_or_default());
        let body_hash = STANDARD.encode(hash.finish());
        let mut names = signed_names(&header);
        let signatures = header.named("dkim-signature").take(OF_ONE_NAME).count();
        names.extend(std::iter::repeat_n("DKIM-Signature", signatures));
        let start = format!("ARC-Message-Signature: i={instance};");
        let signature = signer.message_signature(&start, &header, &names, &body_hash, at)?;

        let mut text = Vec::new();
        // RFC 8617 §5.1.2: what says that a chain is broken covers nothing of it.
        if state == "pass" {
            write_sets(&header, instance, &mut text);
        }
        let own = format!("{results}{signature}");
        for field in Header::parse(own.as_bytes()).fields() {
            write_field(field, Form::Relaxed, &mut text);
        }
        let seal = signer.seal(&format!("ARC-Seal: i={instance};"), state, text, at)?;
        Ok(Some(format!("{seal}{signature}{results}")))
    }
}

/// The next seal's number, and what it says of those before; none if there is to be none.
fn next(header: &Header<'_>, result: ArcResult) -> Option<(usize, &'static str)> {
    let highest = [RESULTS, SIGNATURE, SEAL].into_iter().flat_map(|name| header.named(name));
    let highest = highest.filter_map(|field| instance_of(field.value())).max().unwrap_or(0);
    let state = match result {
        ArcResult::None => "none",
        ArcResult::Pass => "pass",
        ArcResult::Fail if says_fail(header, highest) => return None,
        ArcResult::Fail => "fail",
        ArcResult::TempError => return None,
    };
    (highest < LONGEST).then(|| (highest + 1, state))
}

/// Whether the newest seal says already that the chain is broken.
fn says_fail(header: &Header<'_>, newest: usize) -> bool {
    header.named(SEAL).any(|field| {
        let tags = Tags::parse(field.value());
        let state = tags.as_ref().and_then(|tags| tags.get("cv"));
        instance_of(field.value()) == Some(newest) && state.is_some_and(|cv| cv.eq_ignore_ascii_case("fail"))
    })
}

/// Appends the sets before this one in their order: they were verified, so there is one of each.
fn write_sets(header: &Header<'_>, instance: usize, text: &mut Vec<u8>) {
    for number in 1..instance {
        for name in [RESULTS, SIGNATURE, SEAL] {
            let fields: Vec<_> = header.named(name).collect();
            if let Ok(field) = only(&fields, number) {
                write_field(field, Form::Relaxed, text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_next() {
        let set = |i: usize, cv: &str| {
            format!(
                "ARC-Seal: i={i}; cv={cv}; b=\r\nARC-Message-Signature: i={i}\r\nARC-Authentication-Results: i={i}; x\r\n"
            )
        };
        let chain = |sets: &[String]| format!("{}\r\n", sets.concat());
        let next = |sets: &[String], result| next(&Header::parse(chain(sets).as_bytes()), result);
        assert_eq!(next(&[], ArcResult::None), Some((1, "none")));
        assert_eq!(next(&[set(1, "none")], ArcResult::Pass), Some((2, "pass")));
        assert_eq!(next(&[set(1, "none")], ArcResult::TempError), None);
        let broken = [set(2, "pass"), set(1, "none")];
        assert_eq!(next(&broken, ArcResult::Fail), Some((3, "fail")));
        let said = [set(3, "Fail"), set(2, "pass"), set(1, "none")];
        assert_eq!(next(&said, ArcResult::Fail), None);
        assert_eq!(next(&[set(1, "fail"), set(2, "pass")], ArcResult::Fail), Some((3, "fail")));
        let full: Vec<_> = (1..=LONGEST).map(|i| set(i, if i == 1 { "none" } else { "pass" })).collect();
        assert_eq!(next(&full, ArcResult::Pass), None);
        assert_eq!(next(&full, ArcResult::Fail), None);
        assert_eq!(next(&full[1..], ArcResult::Fail), None);
        assert_eq!(next(&[set(usize::MAX, "pass")], ArcResult::Fail), None);
    }
}
