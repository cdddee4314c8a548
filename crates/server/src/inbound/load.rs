//! How busy this node is with deliveries, and whether that is too much.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::InboundOptions;

/// How long an average counts after the last delivery: with everything in the queue there is none, and then the
/// next message has to find out whether it is still slow.
const REMEMBERED: Duration = Duration::from_secs(10);

/// The load of deliveries inside sessions.
pub(crate) struct Load {
    options: InboundOptions,
    under_way: AtomicUsize,
    latency: Mutex<Option<Latency>>,
}

/// A moving average of how long deliveries take.
#[derive(Clone, Copy)]
struct Latency {
    average: Duration,
    at: Instant,
}

/// A delivery inside a session, from its beginning to its end.
pub(crate) struct UnderWay<'l>(&'l Load);

impl Load {
    pub(super) fn new(options: InboundOptions) -> Self {
        Self { options, under_way: AtomicUsize::new(0), latency: Mutex::default() }
    }

    /// Begins a delivery inside the session. `Err` says in words why the load is over the mark for one more.
    pub(crate) fn begin(&self) -> Result<UnderWay<'_>, String> {
        let others = self.under_way.fetch_add(1, Ordering::Relaxed);
        let this = UnderWay(self);
        if others >= self.options.deliveries {
            let mark = self.options.deliveries;
            return Err(format!(
                "the load was over the mark: {others} deliveries were under way, and the mark is {mark}"
            ));
        }
        let latency = self.latency.lock().filter(|latency| latency.at.elapsed() < REMEMBERED);
        if let Some(Latency { average, .. }) = latency
            && average > self.options.latency
        {
            let (took, mark) = (average.as_millis(), self.options.latency.as_millis());
            return Err(format!(
                "the load was over the mark: deliveries took {took} ms, and the mark is {mark} ms"
            ));
        }
        Ok(this)
    }

    /// A delivery took so long.
    pub(crate) fn took(&self, time: Duration) {
        let at = Instant::now();
        let mut latency = self.latency.lock();
        let before = latency.filter(|latency| latency.at.elapsed() < REMEMBERED);
        let average = before.map_or(time, |before| before.average.saturating_mul(7).saturating_add(time) / 8);
        *latency = Some(Latency { average, at });
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: InboundOptions = InboundOptions {
        deliveries: 2,
        latency: Duration::from_secs(1),
        slow_checks: Duration::from_secs(1),
        workers: 1,
    };

    #[test]
    fn so_many_at_once_and_no_more() {
        let load = Load::new(OPTIONS);
        let first = load.begin().unwrap();
        let second = load.begin().unwrap();
        assert!(load.begin().is_err_and(|why| why.contains("2 deliveries were under way")));
        assert!(load.begin().is_err(), "a refused one does not count");
        drop(first);
        let third = load.begin().unwrap();
        drop((second, third));
        assert_eq!(load.under_way.load(Ordering::Relaxed), 0);
        assert!(Load::new(InboundOptions { deliveries: 0, ..OPTIONS }).begin().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn slow_deliveries_count_until_they_are_forgotten() {
        let load = Load::new(OPTIONS);
        load.took(Duration::from_millis(100));
        assert!(load.begin().is_ok());
        for _ in 0..10 {
            load.took(Duration::from_secs(3));
        }
        assert!(load.begin().is_err_and(|why| why.contains("the mark is 1000 ms")));
        tokio::time::advance(REMEMBERED).await;
        assert!(load.begin().is_ok());
    }
}
