//! Ids (RFC 8620 §1.2): numbers of ours in a form that is found again without looking anything up. They begin with a
//! letter, so that no client takes them for a number, and no two differ only in case.
//!
//! ```text
//!   A7          account 7                      B12        the message of email 12
//!   F3          mailbox 3, as IMAP's MAILBOXID  B12-4      what part 4 of it holds, decoded
//!   T5          thread 5                        B12-4-1    part 1 of the message that part 4 holds
//!   M12T5       email 12, in thread 5           Uabc…      an upload, by the hash of its content
//!   I9          identity 9                      S10        submission 10
//!   P00c0ffee00c0ffee  a push subscription
//! ```
//!
//! A thread's id is part of an email's, because that never changes in JMAP (RFC 8621 §4.1.1): an email that moves to
//! another thread is another email to JMAP clients.

use std::fmt;

use mail::EmailChanged;
use push::SubscriptionId;
use types::{AccountId, EmailId, MailboxId, ObjectId, ThreadId};

/// The longest id.
pub const MAX_LEN: usize = 255;
/// Messages within messages that a blob's id can lead through.
const MAX_STEPS: usize = 8;

/// Octets that can be downloaded: a message, an upload, or what a part of them holds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlobId {
    /// Where it begins.
    pub root: BlobRoot,
    /// From its message inwards: the index of a part in the message at hand. None: the message itself.
    pub parts: Vec<u32>,
}

/// Where a blob begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BlobRoot {
    /// An email's message.
    Email(EmailId),
    /// An upload, by its hash.
    Upload([u8; 32]),
}

impl BlobId {
    /// An email's message.
    pub const fn of(email: EmailId) -> Self {
        Self { root: BlobRoot::Email(email), parts: Vec::new() }
    }

    /// An upload.
    pub const fn of_upload(hash: [u8; 32]) -> Self {
        Self { root: BlobRoot::Upload(hash), parts: Vec::new() }
    }

    /// What a part of the message that this names holds.
    pub fn part(&self, index: usize) -> Self {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let parts = self.parts.iter().copied().chain([index]).collect();
        Self { root: self.root, parts }
    }

    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('-');
        let first = numbers.next()?;
        let root = match first.strip_prefix('B') {
            Some(email) => BlobRoot::Email(EmailId(number(email)?)),
            None => BlobRoot::Upload(hash_of(first.strip_prefix('U')?)?),
        };
        let step = |text| number(text).and_then(|number| u32::try_from(number).ok());
        let parts: Vec<u32> = numbers.map(step).collect::<Option<_>>()?;
        (parts.len() <= MAX_STEPS).then_some(Self { root, parts })
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.root {
            BlobRoot::Email(email) => write!(f, "B{email}")?,
            BlobRoot::Upload(hash) => write!(f, "U{}", hash_text(hash))?,
        }
        self.parts.iter().try_for_each(|part| write!(f, "-{part}"))
    }
}

/// Five bits each.
const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Digits of a hash: the last one holds a single bit.
const HASH_DIGITS: usize = 52;

/// A hash in base32 (RFC 4648 §6), in lower case and without padding.
fn hash_text(hash: &[u8; 32]) -> String {
    let bit = |at: usize| hash.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    let digit = |at: usize| (0..5).fold(0_u8, |digit, bit_at| digit << 1 | bit(at * 5 + bit_at));
    (0..HASH_DIGITS)
        .map(|at| char::from(DIGITS.get(usize::from(digit(at))).copied().unwrap_or(b'a')))
        .collect()
}

/// The hash in a text, if there is one in its one form.
fn hash_of(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    for (at, digit) in text.bytes().enumerate() {
        let value = DIGITS.iter().position(|known| *known == digit)?;
        for bit in 0..5 {
            if value >> (4 - bit) & 1 == 1 {
                let at = at * 5 + bit;
                *hash.get_mut(at / 8)? |= 1 << (7 - at % 8);
            }
        }
    }
    (text.len() == HASH_DIGITS && hash_text(&hash) == text).then_some(hash)
}

/// Whether a text can be an id at all (RFC 8620 §1.2).
pub fn is_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(fits)
}

/// The account with that id.
pub fn account(text: &str) -> Option<AccountId> {
    number(text.strip_prefix('A')?).map(AccountId)
}

/// An account's id.
pub fn of_account(account: AccountId) -> String {
    format!("A{account}")
}

/// The mailbox with that id.
pub fn mailbox(text: &str) -> Option<MailboxId> {
    u32::try_from(number(text.strip_prefix('F')?)?).ok().map(MailboxId)
}

/// A mailbox's id.
pub fn of_mailbox(mailbox: MailboxId) -> String {
    format!("F{mailbox}")
}

/// The thread with that id.
pub fn thread(text: &str) -> Option<ThreadId> {
    number(text.strip_prefix('T')?).map(ThreadId)
}

/// A thread's id.
pub fn of_thread(thread: ThreadId) -> String {
    format!("T{thread}")
}

/// The email with that id, and the thread that it must be in.
pub fn email(text: &str) -> Option<EmailChanged> {
    let (email, thread) = text.strip_prefix('M')?.split_once('T')?;
    Some(EmailChanged { email: EmailId(number(email)?), thread: ThreadId(number(thread)?) })
}

/// An email's id.
pub fn of_email(email: EmailId, thread: ThreadId) -> String {
    format!("M{email}T{thread}")
}

/// The identity with that id.
pub fn identity(text: &str) -> Option<ObjectId> {
    number(text.strip_prefix('I')?).map(ObjectId)
}

/// An identity's id.
pub fn of_identity(identity: ObjectId) -> String {
    format!("I{identity}")
}

/// The submission with that id.
pub fn submission(text: &str) -> Option<ObjectId> {
    number(text.strip_prefix('S')?).map(ObjectId)
}

/// A submission's id.
pub fn of_submission(submission: ObjectId) -> String {
    format!("S{submission}")
}

/// The push subscription with that id.
pub(crate) fn subscription(text: &str) -> Option<SubscriptionId> {
    let id = SubscriptionId(u64::from_str_radix(text.strip_prefix('P')?, 16).ok()?);
    (of_subscription(id) == text).then_some(id)
}

/// A push subscription's id.
pub(crate) fn of_subscription(subscription: SubscriptionId) -> String {
    format!("P{:016x}", subscription.0)
}

/// A number in the one form that it is written in.
fn number(text: &str) -> Option<u64> {
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    canonical.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back() {
        assert_eq!(account(&of_account(AccountId(7))), Some(AccountId(7)));
        assert_eq!(mailbox(&of_mailbox(MailboxId(3))), Some(MailboxId(3)));
        assert_eq!(thread(&of_thread(ThreadId(u64::MAX))), Some(ThreadId(u64::MAX)));
        assert_eq!(identity(&of_identity(ObjectId(9))), Some(ObjectId(9)));
        assert_eq!(submission(&of_submission(ObjectId(10))), Some(ObjectId(10)));
        let named = EmailChanged { email: EmailId(12), thread: ThreadId(5) };
        assert_eq!(email(&of_email(named.email, named.thread)), Some(named));
        for text in ["B12", "B12-0", "B12-4-1"] {
            assert_eq!(BlobId::parse(text).unwrap().to_string(), text);
            assert!(is_id(text));
        }
        assert_eq!(BlobId::of(EmailId(1)).part(2).part(3).to_string(), "B1-2-3");
        for hash in [[0; 32], [255; 32], std::array::from_fn(|at| at as u8 * 7)] {
            let id = BlobId::of_upload(hash).part(3);
            assert_eq!(BlobId::parse(&id.to_string()), Some(id.clone()));
            assert!(is_id(&id.to_string()) && id.to_string().len() == 55);
        }
    }

    #[test]
    fn there_is_one_form_of_each() {
        for text in ["", "A", "A07", "A-1", "A+1", "a7", "A7 ", "A18446744073709551616", "F4294967296", "7"] {
            assert_eq!((account(text), mailbox(text)), (None, None), "{text}");
        }
        for text in ["M1", "M1T", "M01T1", "M1T1T1", "MT1", "T1"] {
            assert_eq!(email(text), None, "{text}");
        }
        for text in [
            "B",
            "B1-",
            "B-1",
            "B1-01",
            "B1--1",
            "B1-1-1-1-1-1-1-1-1-1",
            "B1-4294967296",
            "U",
            "Uaa",
            &format!("U{}", "b".repeat(52)),
            &format!("U{}", "a".repeat(53)),
        ] {
            assert_eq!(BlobId::parse(text), None, "{text}");
        }
        for text in ["", "a b", "é", "a.b", &"a".repeat(256)] {
            assert!(!is_id(text), "{text}");
        }
    }
}
