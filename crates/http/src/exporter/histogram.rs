//! A histogram of durations with fixed bounds: recording is two additions.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use metrics::HistogramFn;

use crate::catalogue::BOUNDS;

/// How often a value fell between two bounds.
#[derive(Default)]
pub(super) struct Buckets {
    /// By the first bound that is not below the value; the last is above all bounds.
    counts: [AtomicU64; BOUNDS.len() + 1],
    /// The sum, in billionths: seconds become nanoseconds.
    billionths: AtomicU64,
}

/// What a histogram holds at a moment.
pub(super) struct Content {
    /// Values up to each bound and above all, those of lower bounds included.
    pub(super) cumulated: [u64; BOUNDS.len() + 1],
    pub(super) sum: f64,
}

impl Buckets {
    pub(super) fn content(&self) -> Content {
        let mut cumulated = [0; BOUNDS.len() + 1];
        let mut so_far = 0;
        for (total, count) in cumulated.iter_mut().zip(&self.counts) {
            so_far += count.load(Relaxed);
            *total = so_far;
        }
        #[allow(clippy::cast_precision_loss)]
        let sum = self.billionths.load(Relaxed) as f64 / 1e9;
        Content { cumulated, sum }
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        let value = if value.is_finite() { value.max(0.0) } else { return };
        let place = BOUNDS.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Relaxed);
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        self.billionths.fetch_add((value * 1e9) as u64, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_where_they_belong() {
        let buckets = Buckets::default();
        for value in [0.0, 0.000_25, 0.000_26, 30.0, 31.0, -1.0, f64::NAN, f64::INFINITY] {
            buckets.record(value);
        }
        let Content { cumulated, sum } = buckets.content();
        assert_eq!((cumulated[0], cumulated[1]), (3, 4));
        assert_eq!((cumulated[BOUNDS.len() - 1], cumulated[BOUNDS.len()]), (5, 6));
        assert!((sum - 61.000_51).abs() < 1e-6);
    }
}
