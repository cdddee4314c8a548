//! Rate counters over sliding windows, in bounded memory.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use quick_cache::sync::Cache;
use types::Timestamp;

/// Keys are kept as hashes: whatever a peer chooses as a name, a counter costs the same.
type Key = [u8; 32];

/// Counters by key. When there are too many, those that are least in use are forgotten.
pub(super) struct Counters {
    counters: Cache<Key, Arc<Mutex<Counter>>>,
}

/// One counter: the present interval and the one before.
#[derive(Default, Debug)]
struct Counter {
    interval: u64,
    present: u64,
    before: u64,
}

impl Counters {
    pub(super) fn new(most: usize) -> Self {
        Self { counters: Cache::new(most) }
    }

    /// Adds to the counter of `key` and returns the sum within the window that ends now.
    pub(super) fn add(&self, key: &[u8], amount: u64, window: Duration, now: Timestamp) -> u64 {
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX).max(1);
        let key = *blake3::Hasher::new().update(&window.to_be_bytes()).update(key).finalize().as_bytes();
        let found = self.counters.get(&key);
        let counter = match found {
            Some(counter) => counter,
            None if amount == 0 => return 0,
            None => self.insert(key),
        };
        counter.lock().add(amount, window, now.0)
    }

    fn insert(&self, key: Key) -> Arc<Mutex<Counter>> {
        let made: Result<_, std::convert::Infallible> =
            self.counters.get_or_insert_with(&key, || Ok(Arc::default()));
        match made {
            Ok(counter) => counter,
        }
    }
}

impl Counter {
    fn add(&mut self, amount: u64, window: u64, now: u64) -> u64 {
        let interval = now / window;
        // A clock that was set back keeps counting in the interval that it had reached.
        if interval > self.interval {
            self.before = if interval - self.interval == 1 { self.present } else { 0 };
            self.present = 0;
            self.interval = interval;
        }
        self.present = self.present.saturating_add(amount);
        let into = if interval == self.interval { now % window } else { 0 };
        let share = u128::from(self.before) * u128::from(window - into) / u128::from(window);
        self.present.saturating_add(u64::try_from(share).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_slides() {
        let mut counter = Counter::default();
        assert_eq!(counter.add(10, 1000, 5_500), 10);
        assert_eq!(counter.add(0, 1000, 6_000), 10);
        assert_eq!(counter.add(0, 1000, 6_500), 5);
        assert_eq!(counter.add(1, 1000, 6_900), 2);
        assert_eq!(counter.add(0, 1000, 8_000), 0);
    }

    #[test]
    fn a_clock_set_back_does_not_forgive() {
        let mut counter = Counter::default();
        assert_eq!(counter.add(10, 1000, 5_500), 10);
        assert_eq!(counter.add(1, 1000, 1_000), 11);
        assert_eq!(counter.add(u64::MAX, 1000, 1_000), u64::MAX);
    }
}
