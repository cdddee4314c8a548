//! The ways to open an engine that the contract is run on.

use std::fmt;
use std::sync::Arc;

use store::kv::{Chaos, ChaosRates, Embedded, EmbeddedOptions, Engine, Kv, Memory, Metered};
use tempfile::TempDir;
use types::Clock;

/// A way to open an engine.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Way {
    Embedded,
    Chaos(u64, ChaosRates),
    Metered,
    Memory,
}

/// Few rows, many faults: what most tests under chaos use.
pub const ROUGH: ChaosRates =
    ChaosRates { conflict: 0.1, unknown_applied: 0.1, unknown_dropped: 0.1, too_old: 0.01, delay: 0.05 };

/// A store that lives as long as this.
pub struct Opened {
    pub kv: Kv,
    pub engine: Arc<dyn Engine>,
    _directory: TempDir,
}

impl Way {
    pub fn all() -> Vec<Self> {
        vec![
            Self::Embedded,
            Self::Metered,
            Self::Memory,
            Self::Chaos(1, ROUGH),
            Self::Chaos(2, ROUGH),
            Self::Chaos(3, ROUGH),
        ]
    }

    /// Those on which a conflict is only ever a real one.
    pub fn exact() -> Vec<Self> {
        vec![Self::Embedded, Self::Metered, Self::Memory]
    }

    pub fn open(self) -> Opened {
        let directory = tempfile::tempdir().unwrap();
        let embedded = Arc::new(Embedded::open(directory.path(), EmbeddedOptions::default()).unwrap());
        let engine: Arc<dyn Engine> = match self {
            Self::Embedded => embedded,
            Self::Chaos(seed, rates) => Arc::new(Chaos::new(embedded, rates, seed)),
            Self::Metered => Arc::new(Metered::new(embedded)),
            Self::Memory => Arc::new(Memory::new().fork()),
        };
        Opened { kv: Kv::new(engine.clone(), Clock::system()), engine, _directory: directory }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "on {self:?}")
    }
}

/// A random number generator whose seed is in the message of whatever fails: `MAGPIE_TEST_SEED` repeats it.
pub fn seeds(count: u64) -> impl Iterator<Item = u64> {
    let given = std::env::var("MAGPIE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let (first, count) = given.map_or((rand::random::<u32>().into(), count), |seed| (seed, 1));
    first..first + count
}
