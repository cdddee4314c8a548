//! Proofs that were found good lately, so that an app which logs in every minute does not cost a password hash
//! each time.
//!
//! What is kept is a hash under a key that never leaves this process, of the name, the secret and the hash in
//! the store. The store is read at every login, so a changed password never meets its old proof.

use std::time::Duration;

use quick_cache::sync::Cache;
use types::{Clock, Randomness, Timestamp};

use crate::name::NameKey;
use crate::table::Hidden;

/// The good proofs.
pub(super) struct Proofs {
    key: Hidden<[u8; 32]>,
    clock: Clock,
    lifetime: Duration,
    good_until: Cache<[u8; 32], Timestamp>,
}

/// One proof.
#[derive(Clone, Copy)]
pub(super) struct Proof([u8; 32]);

impl Proofs {
    pub(super) fn new(clock: Clock, most: usize, lifetime: Duration) -> Self {
        Self { key: Hidden(Randomness::bytes()), clock, lifetime, good_until: Cache::new(most.max(1)) }
    }

    /// The proof that `secret` matches what is stored for a name.
    pub(super) fn proof(&self, name: &NameKey, secret: &[u8], stored: &[u8]) -> Proof {
        let mut hasher = blake3::Hasher::new_keyed(&self.key.0);
        for part in [name.domain.as_str().as_bytes(), name.local.as_bytes(), secret, stored] {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Proof(*hasher.finalize().as_bytes())
    }

    /// Whether the proof was found good lately.
    pub(super) fn is_good(&self, proof: Proof) -> bool {
        let now = self.clock.now();
        match self.good_until.get(&proof.0) {
            // A clock that was set back does not make a proof last longer.
            Some(until) if now < until && until <= now.plus(self.lifetime) => true,
            Some(_) => {
                self.good_until.remove(&proof.0);
                false
            }
            None => false,
        }
    }

    /// Remembers a good proof.
    pub(super) fn found_good(&self, proof: Proof) {
        if !self.lifetime.is_zero() {
            self.good_until.insert(proof.0, self.clock.now().plus(self.lifetime));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Address;

    #[test]
    fn a_proof_is_of_one_name_secret_and_hash_for_a_while() {
        let (clock, hand) = Clock::manual(Timestamp::from_secs(1000));
        let proofs = Proofs::new(clock, 10, Duration::from_secs(60));
        let name = Address::parse("alice@example.test").unwrap().key();
        let other = Address::parse("bob@example.test").unwrap().key();
        let proof = proofs.proof(&name, b"secret", b"hash");
        assert!(!proofs.is_good(proof));
        proofs.found_good(proof);
        assert!(proofs.is_good(proofs.proof(&name, b"secret", b"hash")));
        for wrong in [
            proofs.proof(&other, b"secret", b"hash"),
            proofs.proof(&name, b"secre", b"thash"),
            proofs.proof(&name, b"secret", b"hash2"),
        ] {
            assert!(!proofs.is_good(wrong));
        }
        hand.advance(Duration::from_secs(59));
        assert!(proofs.is_good(proof));
        hand.advance(Duration::from_secs(1));
        assert!(!proofs.is_good(proof));
    }

    #[test]
    fn memory_is_bounded() {
        let proofs = Proofs::new(Clock::system(), 100, Duration::from_secs(60));
        for n in 0..10_000_u32 {
            let name = Address::parse(&format!("user{n}@example.test")).unwrap().key();
            proofs.found_good(proofs.proof(&name, b"secret", b"hash"));
        }
        assert!(proofs.good_until.len() <= 100);
    }
}
