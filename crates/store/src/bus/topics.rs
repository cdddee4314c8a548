//! Who is subscribed to what in this process, and the bounded queue of each. Every engine fans out through
//! this: one that hears of messages over a network needs one connection, not one per subscriber.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

/// What a subscriber hears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A message was published.
    Message(Bytes),
    /// Messages were lost, or may have been: read the state that they speak of again.
    Missed,
}

/// A subscription to one topic. Dropping it unsubscribes and frees its queue.
pub struct Subscription {
    topics: Arc<Topics>,
    topic: Bytes,
    queue: Arc<Queue>,
}

impl Subscription {
    /// The next event, in the order of publishing. Nothing is lost if the future is dropped before it is done.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.queue.take() {
                return event;
            }
            self.queue.filled.notified().await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.topics.remove(&self.topic, &self.queue);
    }
}

/// All subscriptions of this process.
#[derive(Default)]
pub(super) struct Topics {
    queues: RwLock<HashMap<Bytes, Vec<Arc<Queue>>>>,
}

impl Topics {
    pub(super) fn subscribe(self: &Arc<Self>, topic: &[u8]) -> Subscription {
        let topic = Bytes::copy_from_slice(topic);
        let queue = Arc::<Queue>::default();
        self.queues.write().entry(topic.clone()).or_default().push(queue.clone());
        Subscription { topics: self.clone(), topic, queue }
    }

    pub(super) fn publish(&self, topic: &[u8], message: &Bytes) {
        if let Some(queues) = self.queues.read().get(topic) {
            queues.iter().for_each(|queue| queue.push(message.clone()));
        }
    }

    fn remove(&self, topic: &Bytes, queue: &Arc<Queue>) {
        let mut topics = self.queues.write();
        if let Some(queues) = topics.get_mut(topic) {
            queues.retain(|other| !Arc::ptr_eq(other, queue));
            if queues.is_empty() {
                topics.remove(topic);
            }
        }
        if topics.capacity() > 1024 && topics.len() < topics.capacity() / 8 {
            topics.shrink_to_fit();
        }
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.queues.read().is_empty()
    }
}

/// The messages that wait for one subscriber.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<Bytes>,
    bytes: usize,
    missed: bool,
}

impl Queue {
    const MOST_MESSAGES: usize = 256;
    const MOST_BYTES: usize = 1 << 20;

    /// A subscriber that has fallen behind loses all that waits and is told so: it will read the state anyway,
    /// and then has no use for old news.
    fn push(&self, message: Bytes) {
        let mut waiting = self.waiting.lock();
        waiting.bytes += message.len();
        if waiting.messages.len() >= Self::MOST_MESSAGES || waiting.bytes > Self::MOST_BYTES {
            *waiting = Waiting { missed: true, ..Waiting::default() };
        } else {
            waiting.messages.push_back(message);
        }
        drop(waiting);
        self.filled.notify_one();
    }

    fn take(&self) -> Option<Event> {
        let mut waiting = self.waiting.lock();
        if std::mem::take(&mut waiting.missed) {
            return Some(Event::Missed);
        }
        let message = waiting.messages.pop_front()?;
        waiting.bytes -= message.len();
        Some(Event::Message(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_subscription_leaves_nothing() {
        let topics = Arc::<Topics>::default();
        let first = topics.subscribe(b"a");
        let second = topics.subscribe(b"a");
        drop(first);
        assert!(!topics.is_empty());
        drop(second);
        assert!(topics.is_empty());
    }
}
