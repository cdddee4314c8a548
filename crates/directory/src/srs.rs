//! Senders of forwarded mail (the Sender Rewriting Scheme): a message that is sent on gets a sender in our own domain,
//! because the next server asks by SPF whether we may send for its domain. Notifications come back to that address and
//! are sent on to whoever the sender was.
//!
//! ```text
//!   alice@x.test                            ──> SRS0=hash=day=x.test=alice@ours
//!   SRS0=theirs=day=x.test=alice@f.test     ──> SRS1=hash=f.test==theirs=day=x.test=alice@ours
//!   SRS1=theirs=f.test==rest@g.test         ──> SRS1=hash=f.test==rest@ours
//! ```
//!
//! Nothing is stored: the address holds the sender, the day, and a hash that only our nodes can make. So nobody can have us
//! send on what they like to whom they like, and an address that got about is worth nothing after [`VALID`] days. Others
//! have been seen to change the case of local parts; so the hash is written in base32, compares without case, and covers
//! everything in lower case. The second form has no day of ours: it leads to an address of the first server that sent the
//! message on, which looks at its own.
//!
//! It lives in this crate because it needs what is only here: the secret, and which domains are ours. The address may be
//! longer than the 64 octets of RFC 5321 §4.5.3.1.1, as everybody's are who does this: senders that are made for each
//! recipient (VERP) are long themselves.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use store::kv;
use thiserror::Error as ThisError;
use tokio::sync::OnceCell;
use types::Timestamp;

use crate::directory::Directory;
use crate::error::Error;
use crate::name::{DomainName, quoted, unescape};
use crate::table::{Domains, Secret, Secrets};

/// For how many days notifications find the sender: as long as the scheme's first implementation has it. The queues of two
/// servers in a row give up sooner.
const VALID: u64 = 21;
/// How many days in the future a day may lie, for clocks that disagree.
const AHEAD: u64 = 1;
/// Days are counted modulo this: two digits of base32.
const DAYS: u64 = 1 << 10;
/// Octets of the hash: 40 bits, far more than anybody can try by RCPT while an address is valid.
const HASH: usize = 5;
/// The longest local part that is made, in octets: what servers of today take, ours among them.
const LONGEST: usize = 255;
const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Why an address of this form leads to nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ThisError)]
pub enum SrsError {
    /// We have not made it.
    #[error("the address of a forwarded message's sender was not made here")]
    Forged,
    /// It was made too long ago.
    #[error("the address of a forwarded message's sender has expired")]
    Expired,
}

/// The key of the hashes, once the secret has been read.
#[derive(Clone, Default)]
pub(crate) struct SenderKey(Arc<OnceCell<Key>>);

impl Directory {
    /// The sender under which a message is sent on in the name of a domain of ours; both as SMTP writes them, empty for
    /// `<>`. A sender in any domain of ours stays as it is, since we may send for it; so does one that cannot be written
    /// in the address of another. One read.
    pub async fn forwarded_sender(&self, sender: &str, domain: &DomainName) -> Result<String, Error> {
        let Some((_, sender_domain)) = sender.rsplit_once('@') else { return Ok(sender.to_owned()) };
        if let Ok(name) = DomainName::parse(sender_domain) {
            let name = &name;
            let ours = self.kv.run(|tx| async move { tx.load::<Domains>(name).await }).await?;
            if ours.is_some() {
                return Ok(sender.to_owned());
            }
        }
        let key = self.sender_key().await?;
        let rewritten = rewrite(key, sender, self.clock.now()).filter(|local| local.len() <= LONGEST);
        Ok(rewritten.map_or_else(|| sender.to_owned(), |local| format!("{}@{domain}", quoted(&local))))
    }

    /// Whose address this local part was made of.
    pub(crate) async fn original_sender(&self, local: &str) -> Result<Result<String, SrsError>, kv::Error> {
        Ok(original(self.sender_key().await?, local, self.clock.now()))
    }

    async fn sender_key(&self) -> Result<&Key, kv::Error> {
        let read = || async {
            let secret = self.kv.run(|tx| async move { Secrets::ensure(&tx, Secret::Senders).await }).await?;
            Ok(Key::new(HMAC_SHA256, &secret.0))
        };
        self.sender_key.0.get_or_try_init(read).await
    }
}

/// Whether a local part has the form of those that are made here.
pub(crate) fn is_rewritten(local: &str) -> bool {
    let plain = local.strip_prefix('"').unwrap_or(local);
    tagged(plain, "SRS0", "=").or_else(|| tagged(plain, "SRS1", "=")).is_some()
}

/// The local part, without quotes, of the address that stands for a sender.
fn rewrite(key: &Key, sender: &str, now: Timestamp) -> Option<String> {
    let (local, domain) = sender.rsplit_once('@')?;
    let local = plain(local);
    // Of others' addresses the first server's is kept, however many there were after it.
    if let Some((forwarder, rest)) = tagged(&local, "SRS1", "=+-").and_then(first_forwarder) {
        return Some(second_form(key, forwarder, rest));
    }
    if let Some(rest) = tagged(&local, "SRS0", "=+-") {
        return Some(second_form(key, domain, rest));
    }
    let day = digits(day(now), 10);
    let hash = hash(key, '0', &[&day, domain, &local]);
    Some(format!("SRS0={hash}={day}={domain}={local}"))
}

/// `rest` begins with the separator behind `SRS0` that the first server uses.
fn second_form(key: &Key, forwarder: &str, rest: &str) -> String {
    format!("SRS1={}={forwarder}={rest}", hash(key, '1', &[forwarder, rest]))
}

/// The address that a local part, quoted or not, was made of.
fn original(key: &Key, local: &str, now: Timestamp) -> Result<String, SrsError> {
    let local = plain(local);
    if let Some(rest) = tagged(&local, "SRS1", "=") {
        let given = rest.split('=').nth(1).ok_or(SrsError::Forged)?;
        let (forwarder, rest) = first_forwarder(rest).ok_or(SrsError::Forged)?;
        check(given, &hash(key, '1', &[forwarder, rest]))?;
        return Ok(format!("{}@{forwarder}", quoted(&format!("SRS0{rest}"))));
    }
    let rest = tagged(&local, "SRS0", "=").ok_or(SrsError::Forged)?;
    let parts: Vec<&str> = rest.splitn(5, '=').collect();
    let ["", given, made, domain, sender] = *parts.as_slice() else { return Err(SrsError::Forged) };
    check(given, &hash(key, '0', &[made, domain, sender]))?;
    let made = number(made).ok_or(SrsError::Forged)?;
    let age = (day(now) + DAYS - made) % DAYS;
    if age > VALID && age < DAYS - AHEAD {
        return Err(SrsError::Expired);
    }
    Ok(format!("{}@{domain}", quoted(sender)))
}

/// What follows `tag`, in any case, and begins with one of the separators.
fn tagged<'a>(local: &'a str, tag: &str, separators: &str) -> Option<&'a str> {
    let (begin, rest) = local.split_at_checked(tag.len())?;
    (begin.eq_ignore_ascii_case(tag) && rest.starts_with(|c| separators.contains(c))).then_some(rest)
}

/// Of what follows `SRS1`, its separator included: the first server that sent the message on, and what follows `SRS0` in
/// its own address.
fn first_forwarder(text: &str) -> Option<(&str, &str)> {
    let (_hash, text) = text.get(1..)?.split_once('=')?;
    let (forwarder, rest) = text.split_once('=')?;
    (!forwarder.is_empty() && rest.starts_with(['=', '+', '-'])).then_some((forwarder, rest))
}

/// A local part without the quotes that it may stand in.
fn plain(local: &str) -> String {
    let inner = local.strip_prefix('"').and_then(|local| local.strip_suffix('"'));
    inner.map_or_else(|| local.to_owned(), unescape)
}

/// Days since 1970, modulo [`DAYS`].
fn day(now: Timestamp) -> u64 {
    now.secs() / 86_400 % DAYS
}

/// No part but the last holds the separator.
fn hash(key: &Key, form: char, parts: &[&str]) -> String {
    let text = format!("{form}{}", parts.join("=")).to_ascii_lowercase();
    let first = sign(key, text.as_bytes())
        .as_ref()
        .iter()
        .take(HASH)
        .fold(0, |sum, octet| sum << 8 | u64::from(*octet));
    digits(first, 40)
}

/// Compares hashes without case, in a time that tells nothing.
fn check(given: &str, right: &str) -> Result<(), SrsError> {
    let given = given.to_ascii_uppercase();
    verify_slices_are_equal(given.as_bytes(), right.as_bytes()).map_err(|_| SrsError::Forged)
}

/// The last `bits` in base32: five of them a digit.
fn digits(value: u64, bits: u32) -> String {
    let digit = |at: u32| DIGITS.get((value >> (at * 5) & 31) as usize).copied().map(char::from);
    (0..bits / 5).rev().filter_map(digit).collect()
}

/// Reads the two digits of a day.
fn number(text: &str) -> Option<u64> {
    let value = |byte: u8| DIGITS.iter().position(|digit| *digit == byte.to_ascii_uppercase());
    let [high, low] = *text.as_bytes() else { return None };
    Some((value(high)? << 5 | value(low)?) as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_359_480_000);
    const DAY: u64 = 86_400_000;

    fn key() -> Key {
        Key::new(HMAC_SHA256, &[7; 32])
    }

    fn later(days: u64) -> Timestamp {
        Timestamp(NOW.0 + days * DAY)
    }

    fn made(sender: &str) -> String {
        rewrite(&key(), sender, NOW).unwrap()
    }

    #[test]
    fn a_sender_and_back() {
        let address = made("alice@x.test");
        let parts: Vec<_> = address.split('=').collect();
        assert_eq!((parts[0], parts[1].len(), parts[2].len()), ("SRS0", 8, 2));
        assert_eq!(parts[3..], ["x.test", "alice"]);
        for form in [address.clone(), address.to_ascii_lowercase(), address.to_ascii_uppercase()] {
            let found = original(&key(), &form, NOW).unwrap();
            assert!(found.eq_ignore_ascii_case("alice@x.test"), "{form}");
        }
        assert_eq!(original(&key(), &made("a=b=c+d@x.test"), NOW).unwrap(), "a=b=c+d@x.test");
        let odd = quoted(&made("\"a b\"@x.test")).into_owned();
        assert!(odd.starts_with('"') && is_rewritten(&odd));
        assert_eq!(original(&key(), &odd, NOW).unwrap(), "\"a b\"@x.test");
        assert_eq!(original(&key(), &made("a@[192.0.2.1]"), NOW).unwrap(), "a@[192.0.2.1]");
    }

    #[test]
    fn the_first_server_is_remembered() {
        let first = "SRS0=opaque=TT=x.test=alice";
        let second = made(&format!("{first}@f.test"));
        assert!(
            second.starts_with("SRS1=") && second.ends_with("=f.test==opaque=TT=x.test=alice"),
            "{second}"
        );
        assert_eq!(original(&key(), &second, later(400)).unwrap(), format!("{first}@f.test"));
        let third = rewrite(&Key::new(HMAC_SHA256, &[8; 32]), &format!("{second}@g.test"), NOW).unwrap();
        assert!(third.ends_with("=f.test==opaque=TT=x.test=alice") && third.len() == second.len());
        assert_eq!(
            original(&key(), &made(&format!("{third}@h.test")), NOW).unwrap(),
            format!("{first}@f.test")
        );
        let plus = made("srs0+opaque=TT=x.test=alice@f.test");
        assert_eq!(original(&key(), &plus, NOW).unwrap(), "SRS0+opaque=TT=x.test=alice@f.test");
        // What only looks like one is a sender like any other.
        assert_eq!(original(&key(), &made("SRS1=nothing@f.test"), NOW).unwrap(), "SRS1=nothing@f.test");
    }

    #[test]
    fn forged_ones_lead_nowhere() {
        let (address, second) = (made("alice@x.test"), made("SRS0=o=TT=x.test=alice@f.test"));
        for forged in [
            address.replace("alice", "bob"),
            address.replace("x.test", "y.test"),
            second.replace("f.test", "g.test"),
            second.replace("alice", "bob"),
            second.replace("SRS1", "SRS0"),
            "SRS0=AAAAAAAA=AA=x.test=alice".to_owned(),
            "SRS0=".to_owned(),
            "SRS0====".to_owned(),
            "SRS1=".to_owned(),
            "SRS1===".to_owned(),
            "SRS1=A==B".to_owned(),
            "alice".to_owned(),
        ] {
            assert_eq!(original(&key(), &forged, NOW), Err(SrsError::Forged), "{forged}");
        }
        let stranger = Key::new(HMAC_SHA256, &[8; 32]);
        assert_eq!(original(&stranger, &address, NOW), Err(SrsError::Forged));
    }

    #[test]
    fn they_end() {
        let address = made("alice@x.test");
        for (days, good) in [(0, true), (VALID, true), (VALID + 1, false), (500, false), (DAYS - 2, false)] {
            let expected = if good { Ok("alice@x.test".to_owned()) } else { Err(SrsError::Expired) };
            assert_eq!(original(&key(), &address, later(days)), expected, "{days}");
        }
        let ahead = rewrite(&key(), "alice@x.test", later(1)).unwrap();
        assert!(original(&key(), &ahead, NOW).is_ok(), "a clock that goes ahead");
        let far = rewrite(&key(), "alice@x.test", later(2)).unwrap();
        assert_eq!(original(&key(), &far, NOW), Err(SrsError::Expired));
    }

    #[test]
    fn what_looks_like_one() {
        for one in ["SRS0=a", "srs1=a", "\"SRS0=a b\""] {
            assert!(is_rewritten(one), "{one}");
        }
        for none in ["SRS", "SRS0", "SRS0+a", "SRS2=a", "xSRS0=a", "", "한국어"] {
            assert!(!is_rewritten(none), "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_sender_comes_back(local in "[!-~&&[^\"\\\\]]{1,40}", day in 0u64..2000) {
            let sender = format!("{}@x.test", quoted(&local));
            let address = rewrite(&key(), &sender, later(day)).unwrap();
            prop_assert_eq!(original(&key(), &quoted(&address), later(day)).unwrap(), sender);
        }

        #[test]
        fn anything_is_read_calmly(text in any::<String>()) {
            prop_assert!(original(&key(), &text, NOW).is_err());
            let forms = [format!("SRS0={text}"), format!("SRS1={text}")];
            prop_assert!(forms.iter().all(|form| original(&key(), form, NOW).is_err()));
            let _made = rewrite(&key(), &text, NOW);
        }
    }
}
