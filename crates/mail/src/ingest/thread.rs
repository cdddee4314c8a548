//! Thread keys: two emails that share one belong together (RFC 8621 §3: a message id in common and the same
//! base subject).

use std::collections::VecDeque;

use super::ids::message_ids;
use super::subject::thread_subject;
use crate::record::metadata::{ThreadKey, ThreadKeys};

/// How many references are kept besides the own id: the newest.
pub const MAX_REFERENCES: usize = 50;

/// The keys of an email, from the raw values of its Message-ID, its In-Reply-To and References (each may be
/// there several times), and its Subject. The flag says whether references were left out.
pub(super) fn thread_keys<'a>(
    own: Option<&'a [u8]>,
    in_reply_to: impl Iterator<Item = &'a [u8]>,
    references: impl Iterator<Item = &'a [u8]>,
    subject: &[u8],
    fallback: Option<&str>,
) -> (ThreadKeys, bool) {
    let subject = thread_subject(subject, fallback);
    let own = own.and_then(|value| message_ids(value).next()).map(|id| thread_key(&id, &subject));
    let mut newest = VecDeque::new();
    let mut cut = false;
    // References end with the direct parent, which In-Reply-To usually repeats.
    for value in in_reply_to.chain(references) {
        for id in message_ids(value) {
            if newest.len() == MAX_REFERENCES {
                newest.pop_front();
                cut = true;
            }
            newest.push_back(id);
        }
    }
    let mut keys: Vec<ThreadKey> = own.into_iter().collect();
    for id in newest {
        let key = thread_key(&id, &subject);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    (keys.into_iter().collect(), cut)
}

/// The key of one message id (without brackets) under a folded base subject
/// ([`super::subject::thread_subject`]). Stands in records and keys, so it must never change.
pub fn thread_key(id: &[u8], thread_subject: &str) -> ThreadKey {
    let mut hasher = blake3::Hasher::new();
    hasher.update(id).update(b"\0").update(thread_subject.as_bytes());
    let mut key = [0; ThreadKey::LEN];
    hasher.finalize_xof().fill(&mut key);
    ThreadKey(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(own: &str, reply: &str, references: &str, subject: &str) -> Vec<ThreadKey> {
        let (keys, _) = thread_keys(
            Some(own.as_bytes()),
            [reply.as_bytes()].into_iter(),
            [references.as_bytes()].into_iter(),
            subject.as_bytes(),
            None,
        );
        keys.iter().collect()
    }

    #[test]
    fn replies_share_a_key_with_what_they_answer() {
        let first = keys("<1@x>", "", "", "plan");
        let reply = keys("<2@x>", "<1@x>", "<1@x>", "Re: Plan");
        let other = keys("<3@x>", "<1@x>", "<1@x>", "something else");
        assert_eq!((first.len(), reply.len()), (1, 2));
        assert!(reply.contains(&first[0]));
        assert!(!other.contains(&first[0]));
    }

    #[test]
    fn keeps_the_newest_references() {
        let references: String = (0..1000).map(|i| format!("<{i}@x> ")).collect();
        let (kept, cut) =
            thread_keys(None, std::iter::empty(), [references.as_bytes()].into_iter(), b"s", None);
        assert!(cut && kept.len() == MAX_REFERENCES);
        assert_eq!(kept.iter().last(), Some(thread_key(b"999@x", "s")));
    }
}
