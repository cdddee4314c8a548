//! The contract of the bus, as its users see it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use store::bus::{Bus, Event, InProcess, InProcessLimits};
use types::{Clock, Timestamp};

fn message(text: &'static str) -> Event {
    Event::Message(Bytes::from_static(text.as_bytes()))
}

#[tokio::test]
async fn messages_reach_the_subscribers_of_their_topic_in_order() {
    let bus = Bus::in_process(Clock::system());
    bus.publish(b"a", "before".into()).await;
    let (mut one, mut two, mut other) = (bus.subscribe(b"a"), bus.subscribe(b"a"), bus.subscribe(b"b"));
    bus.publish(b"a", "first".into()).await;
    bus.publish(b"a", "second".into()).await;
    for subscriber in [&mut one, &mut two] {
        assert_eq!(subscriber.next().await, message("first"));
        assert_eq!(subscriber.next().await, message("second"));
        assert_eq!(subscriber.next().now_or_never(), None);
    }
    assert_eq!(other.next().now_or_never(), None);
}

#[tokio::test]
async fn a_waiting_subscriber_wakes_up() {
    let bus = Bus::in_process(Clock::system());
    let mut subscription = bus.subscribe(b"a");
    let waiting = tokio::spawn(async move { subscription.next().await });
    tokio::task::yield_now().await;
    bus.publish(b"a", "now".into()).await;
    assert_eq!(waiting.await.unwrap(), message("now"));
}

#[tokio::test]
async fn a_slow_subscriber_is_told_that_it_missed_something_and_holds_no_memory() {
    let bus = Bus::in_process(Clock::system());
    let mut subscription = bus.subscribe(b"a");
    for _ in 0..10_000 {
        bus.publish(b"a", Bytes::from(vec![0; 50_000])).await;
    }
    assert_eq!(subscription.next().await, Event::Missed);
    let mut waiting = 0;
    while subscription.next().now_or_never().is_some() {
        waiting += 1;
    }
    assert!(waiting * 50_000 <= 1 << 20, "{waiting} messages waited");
    bus.publish(b"a", "on it goes".into()).await;
    assert_eq!(subscription.next().await, message("on it goes"));
}

#[tokio::test]
async fn dropping_a_wait_loses_nothing() {
    let bus = Bus::in_process(Clock::system());
    let mut subscription = bus.subscribe(b"a");
    assert_eq!(subscription.next().now_or_never(), None);
    bus.publish(b"a", "still here".into()).await;
    drop(subscription.next());
    assert_eq!(subscription.next().await, message("still here"));
}

#[tokio::test]
async fn the_cache_forgets_in_time_and_on_request() {
    let (clock, hand) = Clock::manual(Timestamp(1_000_000));
    let bus = Bus::in_process(clock);
    assert_eq!(bus.cached(b"k").await, None);
    bus.cache(b"k", "one".into(), Duration::from_secs(10)).await;
    bus.cache(b"l", "two".into(), Duration::from_secs(20)).await;
    hand.advance(Duration::from_secs(9));
    assert_eq!(bus.cached(b"k").await, Some("one".into()));
    hand.advance(Duration::from_secs(1));
    assert_eq!(bus.cached(b"k").await, None);
    assert_eq!(bus.cached(b"l").await, Some("two".into()));
    bus.uncache(b"l").await;
    assert_eq!(bus.cached(b"l").await, None);
}

#[tokio::test]
async fn the_cache_stays_within_its_bytes() {
    let limits = InProcessLimits { cache_bytes: 1 << 20, counters: 100 };
    let bus = Bus::new(Arc::new(InProcess::new(Clock::system(), limits)));
    let ttl = Duration::from_secs(60);
    for key in 0..1000_u32 {
        bus.cache(&key.to_be_bytes(), Bytes::from(vec![0; 10_000]), ttl).await;
    }
    let mut kept = 0;
    for key in 0..1000_u32 {
        kept += usize::from(bus.cached(&key.to_be_bytes()).await.is_some());
    }
    assert!((1..=104).contains(&kept), "{kept} values of 10 kB in a cache of 1 MiB");

    bus.cache(b"k", "small".into(), ttl).await;
    bus.cache(b"k", Bytes::from(vec![0; 1 << 20]), ttl).await;
    assert_eq!(bus.cached(b"k").await, None, "an old value must not outlive one that is too large to cache");
}

#[tokio::test]
async fn counters_count_within_their_window() {
    let (clock, hand) = Clock::manual(Timestamp(1_000_000));
    let bus = Bus::in_process(clock);
    let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
    assert_eq!(bus.count(b"k", 0, second).await, 0);
    assert_eq!(bus.count(b"k", 2, second).await, 2);
    assert_eq!(bus.count(b"k", 1, second).await, 3);
    assert_eq!(bus.count(b"k", 1, minute).await, 1, "another window is another counter");
    assert_eq!(bus.count(b"other", 1, second).await, 1);
    hand.advance(Duration::from_millis(1500));
    assert_eq!(bus.count(b"k", 0, second).await, 1, "half of the window before");
    hand.advance(second * 2);
    assert_eq!(bus.count(b"k", 1, second).await, 1);
}

#[tokio::test]
async fn a_flood_of_keys_takes_bounded_memory_and_does_not_free_the_busy_one() {
    let limits = InProcessLimits { cache_bytes: 1 << 20, counters: 1000 };
    let bus = Bus::new(Arc::new(InProcess::new(Clock::manual(Timestamp(0)).0, limits)));
    let hour = Duration::from_secs(3600);
    let mut counted = 0;
    for flood in 0..20_000_u64 {
        bus.count(&flood.to_be_bytes(), 1, hour).await;
        if flood % 10 == 0 {
            counted = bus.count(b"busy", 1, hour).await;
        }
    }
    assert_eq!(counted, 2000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_count_is_lost_between_tasks() {
    let bus = Bus::in_process(Clock::manual(Timestamp(0)).0);
    let count = |bus: Bus| async move {
        for _ in 0..1000 {
            bus.count(b"k", 1, Duration::from_secs(1)).await;
        }
    };
    let tasks: Vec<_> = (0..4).map(|_| tokio::spawn(count(bus.clone()))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(bus.count(b"k", 0, Duration::from_secs(1)).await, 4000);
}
