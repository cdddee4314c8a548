//! Randomness as an argument: jitter and tokens.

use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// Where chance comes from: the system, or a seed that makes a test repeatable. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Dice(Option<Arc<Mutex<StdRng>>>);

impl Dice {
    /// The thread's cryptographic generator.
    pub const fn system() -> Self {
        Self(None)
    }

    /// The same throws for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Some(Arc::new(Mutex::new(StdRng::seed_from_u64(seed)))))
    }

    /// A number from zero to `most`.
    pub(crate) fn up_to(&self, most: u64) -> u64 {
        match &self.0 {
            Some(rng) => rng.lock().random_range(0..=most),
            None => rand::rng().random_range(0..=most),
        }
    }

    /// Bytes that nobody can guess, unless the dice are seeded.
    pub(crate) fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.0 {
            Some(rng) => rng.lock().fill_bytes(&mut bytes),
            None => rand::rng().fill_bytes(&mut bytes),
        }
        bytes
    }
}
