//! Argon2id (RFC 9106), a few at a time: each takes many megabytes and milliseconds, and whoever may ask for a
//! login may ask for that.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use types::Randomness;

use super::{Derivation, PasswordError, ScramKeys};
use crate::table::Hidden;

/// What a password hash costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    const MOST_MEMORY_KIB: u32 = 1 << 20;
    const MOST_PASSES: u32 = 64;
    const MOST_LANES: u32 = 16;
    pub(super) const LIMIT: &str = "1 GiB, 64 passes and 16 lanes";

    /// Memory in KiB, passes over it, and lanes, within what argon2 allows and a mail server can afford.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, PasswordError> {
        let cost = Self { memory_kib, passes, lanes };
        let affordable = memory_kib <= Self::MOST_MEMORY_KIB
            && passes <= Self::MOST_PASSES
            && lanes <= Self::MOST_LANES
            && Params::new(memory_kib, passes, lanes, None).is_ok();
        if affordable { Ok(cost) } else { Err(PasswordError::Cost) }
    }

    /// The memory that one hash takes, in KiB.
    pub const fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// How often a hash passes over its memory.
    pub const fn passes(self) -> u32 {
        self.passes
    }

    fn params(self) -> Params {
        Params::new(self.memory_kib, self.passes, self.lanes, None).unwrap_or_default()
    }

    fn of(params: &Params) -> Self {
        Self { memory_kib: params.m_cost(), passes: params.t_cost(), lanes: params.p_cost() }
    }
}

impl Default for Cost {
    /// 19 MiB, 2 passes, 1 lane: the OWASP recommendation, some 15 to 40 ms.
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={},t={},p={}", self.memory_kib, self.passes, self.lanes)
    }
}

/// More logins wait than may.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Overload;

/// Computes password hashes on the threads for blocking work.
#[derive(Clone)]
pub(crate) struct Hasher {
    cost: Cost,
    /// Verified in place of the hash of somebody who does not exist.
    nobody: Arc<str>,
    running: Arc<Semaphore>,
    inside: Arc<Semaphore>,
    computed: Arc<AtomicU64>,
}

/// The right to compute one hash now.
pub(crate) struct Slot {
    _running: OwnedSemaphorePermit,
    _inside: OwnedSemaphorePermit,
}

impl Hasher {
    pub(crate) fn new(cost: Cost, at_once: NonZeroUsize, waiting: usize) -> Self {
        let at_once = at_once.get().min(1024);
        Self {
            cost,
            nobody: nobody(cost).into(),
            running: Arc::new(Semaphore::new(at_once)),
            inside: Arc::new(Semaphore::new(at_once.saturating_add(waiting).min(Semaphore::MAX_PERMITS))),
            computed: Arc::default(),
        }
    }

    /// Waits for a turn, if not too many wait already.
    pub(crate) async fn enter(&self) -> Result<Slot, Overload> {
        let inside = self.inside.clone().try_acquire_owned().map_err(|_| Overload)?;
        let running = self.running.clone().acquire_owned().await.map_err(|_| Overload)?;
        Ok(Slot { _running: running, _inside: inside })
    }

    /// The PHC string of a new hash.
    pub(crate) async fn hash(&self, slot: Slot, password: Hidden<Vec<u8>>) -> Result<String, Overload> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.cost.params());
        self.computed.fetch_add(1, Relaxed);
        self.compute(slot, move || {
            let salt = Randomness::bytes::<16>();
            argon2.hash_password_with_salt(&password.0, &salt).map(|hash| hash.to_string())
        })
        .await?
        .0
        .map_err(|error| {
            tracing::error!(%error, "a password could not be hashed");
            Overload
        })
    }

    /// Whether the password has the hash, and the slot back: it is the next one's when it is dropped. `None` and what is no hash cost as much as a hash, and are never right.
    pub(crate) async fn verify(
        &self,
        slot: Slot,
        password: Hidden<Vec<u8>>,
        hash: Option<&str>,
    ) -> Result<(bool, Slot), Overload> {
        let known = hash.and_then(|hash| parse(hash).ok());
        let exists = known.is_some();
        let Some(hash) = known.or_else(|| PasswordHash::new(&self.nobody).ok()) else {
            return Ok((false, slot));
        };
        self.computed.fetch_add(1, Relaxed);
        let (right, slot) =
            self.compute(slot, move || Argon2::default().verify_password(&password.0, &hash).is_ok()).await?;
        Ok((right && exists, slot))
    }

    /// The SCRAM keys of passwords.
    pub(crate) async fn derive(
        &self,
        slot: Slot,
        derivation: Derivation,
        passwords: Vec<Hidden<Vec<u8>>>,
    ) -> Result<Vec<ScramKeys>, Overload> {
        let derive = move || passwords.iter().map(|password| derivation.keys(&password.0)).collect();
        Ok(self.compute(slot, derive).await?.0)
    }

    /// Whether a hash has another cost than new ones.
    pub(crate) fn is_outdated(&self, hash: &str) -> bool {
        parse(hash)
            .is_ok_and(|hash| Params::try_from(&hash).is_ok_and(|params| Cost::of(&params) != self.cost))
    }

    pub(crate) fn computed(&self) -> u64 {
        self.computed.load(Relaxed)
    }

    /// The slot goes along: the work goes on, and takes its memory, even if nobody waits for it any more.
    async fn compute<T: Send + 'static>(
        &self,
        slot: Slot,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(T, Slot), Overload> {
        let task = tokio::task::spawn_blocking(move || (work(), slot));
        // It only fails to finish while the process is being stopped.
        task.await.map_err(|_| Overload)
    }
}

/// Checks a hash from elsewhere.
pub(super) fn check(hash: &str) -> Result<(), PasswordError> {
    parse(hash).map(|_| ())
}

/// Reads a PHC string of argon2id, of a cost that this server affords.
fn parse(text: &str) -> Result<PasswordHash, PasswordError> {
    let hash = PasswordHash::new(text).map_err(|_| PasswordError::Hash)?;
    let params = Params::try_from(&hash).map_err(|_| PasswordError::Hash)?;
    let cost = Cost::of(&params);
    let strong = hash.salt.as_ref().is_some_and(|salt| salt.len() >= 8)
        && hash.hash.as_ref().is_some_and(|hash| hash.len() >= 16);
    if hash.algorithm != ARGON2ID_IDENT || !strong {
        return Err(PasswordError::Hash);
    }
    Cost::new(cost.memory_kib, cost.passes, cost.lanes).map_err(|_| PasswordError::Hash)?;
    Ok(hash)
}

/// A hash that no password is known to have: its output is random.
fn nobody(cost: Cost) -> String {
    let params = ParamsString::try_from(&cost.params()).unwrap_or_default();
    let hash = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params,
        salt: Salt::new(&Randomness::bytes::<16>()).ok(),
        hash: Output::new(&Randomness::bytes::<32>()).ok(),
    };
    hash.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Hasher {
        Hasher::new(Cost::new(8, 1, 1).unwrap(), NonZeroUsize::MIN, 1)
    }

    async fn is_right(hasher: &Hasher, password: &str, hash: Option<&str>) -> bool {
        let slot = hasher.enter().await.unwrap();
        hasher.verify(slot, Hidden(password.into()), hash).await.unwrap().0
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let hasher = cheap();
        let hash = hasher.hash(hasher.enter().await.unwrap(), Hidden(b"correct".into())).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        assert!(is_right(&hasher, "correct", Some(&hash)).await);
        assert!(!is_right(&hasher, "Correct", Some(&hash)).await);
        assert!(!hasher.is_outdated(&hash));
        assert!(Hasher::new(Cost::default(), NonZeroUsize::MIN, 0).is_outdated(&hash));
    }

    #[tokio::test]
    async fn nobody_costs_as_much_as_somebody() {
        let hasher = cheap();
        assert!(!is_right(&hasher, "any", None).await);
        assert!(!is_right(&hasher, "any", Some("garbage")).await);
        assert_eq!(hasher.computed(), 2);
        let nobody = parse(&hasher.nobody).unwrap();
        assert_eq!(Cost::of(&Params::try_from(&nobody).unwrap()), hasher.cost);
    }

    #[tokio::test]
    async fn waiting_has_an_end() {
        let hasher = cheap();
        let first = hasher.enter().await.unwrap();
        let waiting = tokio::spawn({
            let hasher = hasher.clone();
            async move { hasher.enter().await.map(|_| ()) }
        });
        while hasher.inside.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(hasher.enter().await.map(|_| ()), Err(Overload));
        drop(first);
        assert_eq!(waiting.await.unwrap(), Ok(()));
    }

    #[test]
    fn hashes_from_elsewhere_are_looked_at() {
        check("$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b+dWRWJTmaaJObG0123456789A")
            .unwrap();
        for bad in [
            "",
            "secret",
            "$2y$10$abcdefghijklmnopqrstuv",
            "$argon2i$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b+dWRWJTmaaJObG0123456789A",
            "$argon2id$v=19$m=4294967295,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b+dWRWJTmaaJObG0123456789A",
            "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA",
        ] {
            assert_eq!(check(bad), Err(PasswordError::Hash), "{bad}");
        }
        assert!(
            Cost::new(4, 1, 1).is_err() && Cost::new(1 << 21, 1, 1).is_err() && Cost::new(8, 0, 1).is_err()
        );
    }
}
