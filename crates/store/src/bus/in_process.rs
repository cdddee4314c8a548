//! The engine for a service of one node: everything in this process's memory, within bounds.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use types::{Clock, Timestamp};

use super::counters::Counters;
use super::topics::Topics;
use super::{Engine, Subscription};

/// How much memory an in-process bus may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InProcessLimits {
    /// Keys and values in the cache, in bytes. One value may take a sixteenth of it.
    pub cache_bytes: u64,
    /// Number of rate counters, of some 150 bytes each.
    pub counters: usize,
}

impl Default for InProcessLimits {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, counters: 100_000 }
    }
}

/// The engine.
pub struct InProcess {
    clock: Clock,
    topics: Arc<Topics>,
    cache: Cache<Bytes, Cached, ByBytes>,
    largest: u64,
    counters: Counters,
}

#[derive(Clone)]
struct Cached {
    value: Bytes,
    until: Timestamp,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Bytes, Cached> for ByBytes {
    fn weight(&self, key: &Bytes, cached: &Cached) -> u64 {
        weight(key.len(), cached.value.len())
    }
}

/// What an entry costs: its bytes, and some 100 for the entry itself.
fn weight(key: usize, value: usize) -> u64 {
    (key as u64).saturating_add(value as u64).saturating_add(100)
}

impl InProcess {
    /// An empty bus.
    pub fn new(clock: Clock, limits: InProcessLimits) -> Self {
        let entries = usize::try_from(limits.cache_bytes / 1024).unwrap_or(usize::MAX).max(16);
        Self {
            clock,
            topics: Arc::default(),
            cache: Cache::with_weighter(entries, limits.cache_bytes, ByBytes),
            largest: limits.cache_bytes / 16,
            counters: Counters::new(limits.counters),
        }
    }
}

#[async_trait]
impl Engine for InProcess {
    async fn publish(&self, topic: &[u8], message: Bytes) {
        self.topics.publish(topic, &message);
    }

    fn subscribe(&self, topic: &[u8]) -> Subscription {
        self.topics.subscribe(topic)
    }

    async fn cached(&self, key: &[u8]) -> Option<Bytes> {
        let cached = self.cache.get(key)?;
        if self.clock.now() < cached.until {
            return Some(cached.value);
        }
        self.cache.remove(key);
        None
    }

    async fn cache(&self, key: &[u8], value: Bytes, ttl: Duration) {
        if weight(key.len(), value.len()) > self.largest {
            // What was cached before under this key is no longer right.
            self.cache.remove(key);
            return;
        }
        // A slice of a larger buffer would keep all of that alive.
        let value = Bytes::copy_from_slice(&value);
        let until = self.clock.now().plus(ttl);
        self.cache.insert(Bytes::copy_from_slice(key), Cached { value, until });
    }

    async fn uncache(&self, key: &[u8]) {
        self.cache.remove(key);
    }

    async fn count(&self, key: &[u8], amount: u64, window: Duration) -> u64 {
        self.counters.add(key, amount, window, self.clock.now())
    }
}
