//! The directory as a whole: what all its parts share.

use std::sync::Arc;

use store::bus::Bus;
use store::kv::Kv;
use tokio::sync::OnceCell;
use types::Clock;

use crate::login::Logins;
use crate::oauth::Remembered;
use crate::options::Options;
use crate::password::{Hasher, Salts};
use crate::srs::SenderKey;
use crate::table::Hidden;

/// The directory. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Directory {
    pub(crate) kv: Kv,
    pub(crate) clock: Clock,
    pub(crate) options: Arc<Options>,
    pub(crate) hasher: Hasher,
    pub(crate) salts: Salts,
    pub(crate) sender_key: SenderKey,
    pub(crate) logins: Arc<Logins>,
    pub(crate) remembered: Arc<Remembered>,
    pub(crate) forms: Arc<OnceCell<Hidden<[u8; 32]>>>,
}

impl Directory {
    /// A directory in a store. The bus carries the counters of failed logins.
    pub fn new(kv: Kv, bus: Bus, clock: Clock, options: Options) -> Self {
        let hasher = Hasher::new(options.cost, options.hashes_at_once, options.hashes_waiting);
        let logins = Arc::new(Logins::new(bus, clock.clone(), &options));
        let remembered = Arc::new(Remembered::new(options.proofs));
        Self {
            kv,
            clock,
            options: Arc::new(options),
            hasher,
            salts: Salts::default(),
            sender_key: SenderKey::default(),
            logins,
            remembered,
            forms: Arc::default(),
        }
    }

    /// How many password hashes have been computed by this process so far: a metric.
    pub fn hashes_computed(&self) -> u64 {
        self.hasher.computed()
    }
}
