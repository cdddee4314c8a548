//! Thread keys: two emails that share one belong together (RFC 8621 §3: a message id in common and the same
//! base subject).

use std::collections::VecDeque;

use super::envelope::Header;
use super::ids::message_ids;
use super::subject::thread_subject;
use crate::record::metadata::{ThreadKey, ThreadKeys};

/// How many references are kept besides the own id: the newest.
pub const MAX_REFERENCES: usize = 50;

/// The keys of an email with this header; `fallback` is the charset of unlabelled text. The flag says whether
/// references were left out.
pub(super) fn thread_keys(header: &Header<'_>, fallback: Option<&str>) -> (ThreadKeys, bool) {
    let subject = thread_subject(header.subject.unwrap_or_default(), fallback);
    let own =
        header.message_id.and_then(|value| message_ids(value).next()).map(|id| thread_key(&id, &subject));
    let mut newest = VecDeque::new();
    let mut cut = false;
    // References end with the direct parent, which In-Reply-To usually repeats.
    for value in header.in_reply_to.iter().chain(&header.references) {
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
        let header = Header {
            message_id: Some(own.as_bytes()),
            in_reply_to: vec![reply.as_bytes()],
            references: vec![references.as_bytes()],
            subject: Some(subject.as_bytes()),
            ..Header::default()
        };
        thread_keys(&header, None).0.iter().collect()
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
        let header =
            Header { references: vec![references.as_bytes()], subject: Some(b"s"), ..Header::default() };
        let (kept, cut) = thread_keys(&header, None);
        assert!(cut && kept.len() == MAX_REFERENCES);
        assert_eq!(kept.iter().last(), Some(thread_key(b"999@x", "s")));
    }
}
