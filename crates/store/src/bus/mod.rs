//! Cache, rate counters and publish/subscribe: what makes a cluster quick, and what it can lose at any moment
//! without losing mail.
//!
//! ```text
//!   publish ──> topic ──> bounded queue of each subscriber ──> Event::Message, or Event::Missed: look yourself
//!   cache   ──> bounded by bytes, each entry with its time to live
//!   count   ──> sliding window per key, bounded by number of keys
//! ```
//!
//! No call fails: an engine that has lost its server answers as if everything had just vanished. Whoever uses
//! the bus must be right without it.

mod counters;
mod engine;
mod in_process;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use types::Clock;

pub use engine::Engine;
pub use in_process::{InProcess, InProcessLimits};
pub use topics::{Event, Subscription};

/// The bus. Cheap to clone; all clones are the same bus.
#[derive(Clone)]
pub struct Bus {
    engine: Arc<dyn Engine>,
}

impl Bus {
    /// A bus on an engine.
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine }
    }

    /// A bus inside this process, for a service of one node.
    pub fn in_process(clock: Clock) -> Self {
        Self::new(Arc::new(InProcess::new(clock, InProcessLimits::default())))
    }

    /// Sends a message to those who are subscribed to `topic` now. Best effort: it may be lost, and then
    /// subscribers are told [`Event::Missed`] where the engine can know.
    pub async fn publish(&self, topic: &[u8], message: Bytes) {
        self.engine.publish(topic, message).await;
    }

    /// Subscribes to messages published from now on. Subscribe first, then read the state that the messages
    /// speak of: so no change falls between.
    pub fn subscribe(&self, topic: &[u8]) -> Subscription {
        self.engine.subscribe(topic)
    }

    /// The cached value of a key, if it is still there and its time is not over.
    pub async fn cached(&self, key: &[u8]) -> Option<Bytes> {
        self.engine.cached(key).await
    }

    /// Caches a value for at most `ttl`. It may vanish earlier, and a value that is too large is not kept.
    pub async fn cache(&self, key: &[u8], value: Bytes, ttl: Duration) {
        self.engine.cache(key, value, ttl).await;
    }

    /// Removes a cached value.
    pub async fn uncache(&self, key: &[u8]) {
        self.engine.uncache(key).await;
    }

    /// Adds `amount` to the counter of `key` and returns what came together within the last `window`, this
    /// amount included. An amount of zero only looks.
    ///
    /// The window slides: what counts is the present interval of that length and the fitting share of the one
    /// before, so a burst on the border of two intervals is not let through twice. The same key with another
    /// window is another counter.
    pub async fn count(&self, key: &[u8], amount: u64, window: Duration) -> u64 {
        self.engine.count(key, amount, window).await
    }
}
