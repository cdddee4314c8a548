//! What an engine must provide.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::Subscription;

/// An engine of the bus. Each method is described at the method of [`super::Bus`] with its name. None of them
/// may fail or take longer than a few milliseconds: what cannot be done is left undone.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Sends a message to the present subscribers of a topic.
    async fn publish(&self, topic: &[u8], message: Bytes);

    /// Begins a subscription.
    fn subscribe(&self, topic: &[u8]) -> Subscription;

    /// Looks a key up in the cache.
    async fn cached(&self, key: &[u8]) -> Option<Bytes>;

    /// Puts a value into the cache.
    async fn cache(&self, key: &[u8], value: Bytes, ttl: Duration);

    /// Takes a value out of the cache.
    async fn uncache(&self, key: &[u8]);

    /// Adds to a rate counter.
    async fn count(&self, key: &[u8], amount: u64, window: Duration) -> u64;
}
