//! Where the counters of all crates come together, and how they are told.
//!
//! Crates count through the facade `metrics` and keep their handles, so that counting is one addition to a number that
//! they share with this. There is no lock, no allocation and no background work on the way; the registry's lock is
//! taken where a handle is made, and by whoever asks.

mod histogram;
mod text;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use parking_lot::Mutex;

use self::histogram::Buckets;
use crate::catalogue::{self, Kind, METRICS, Metric};

/// Everything that was counted in this process. Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub struct Exporter {
    families: Arc<Mutex<Families>>,
}

type Families = BTreeMap<&'static str, BTreeMap<Labels, Series>>;
/// Labels in the order of their names, as they are written: `{a="b",c="d"}`, or nothing.
type Labels = String;

/// One time series.
#[derive(Clone)]
enum Series {
    Counter(Arc<AtomicU64>),
    /// The bits of a float.
    Gauge(Arc<AtomicU64>),
    Histogram(Arc<Buckets>),
}

impl Exporter {
    /// The exporter of this process: from the first call on, what crates count comes here. To be called before
    /// anything counts, or that keeps handles which lead nowhere.
    pub fn install() -> Self {
        static INSTALLED: OnceLock<Exporter> = OnceLock::new();
        let install = || {
            let exporter = Self::default();
            if metrics::set_global_recorder(exporter.clone()).is_err() {
                tracing::error!("another recorder of metrics is installed: /metrics will be empty");
            }
            exporter
        };
        INSTALLED.get_or_init(install).clone()
    }

    /// Everything, in Prometheus' text format 0.0.4.
    pub fn render(&self) -> String {
        let mut out = String::with_capacity(16 << 10);
        let families = self.families.lock();
        for (name, all) in families.iter() {
            if let Some(metric) = catalogue::find(name) {
                text::family(metric, all, &mut out);
            }
        }
        out
    }

    /// Sets a gauge that is read only when somebody asks.
    pub fn set(&self, name: &'static str, labels: &[(&'static str, String)], value: f64) {
        let labels = labels.iter().map(|(key, value)| metrics::Label::new(*key, value.clone()));
        let key = Key::from_parts(name, labels.collect::<Vec<_>>());
        if let Some(Series::Gauge(bits)) = self.series(&key, Kind::Gauge) {
            metrics::GaugeFn::set(&*bits, value);
        }
    }

    /// Sets all series of a gauge whose labels come and go: those that are not named are forgotten. Whoever reads
    /// meanwhile sees the old ones or the new ones.
    pub fn replace(&self, name: &'static str, label: &'static str, series: Vec<(String, f64)>) {
        let known = METRICS.iter().any(|metric| metric.name == name && metric.kind == Kind::Gauge);
        if !known {
            tracing::error!(metric = name, "a metric is not in the catalogue");
            return;
        }
        let series = series.into_iter().map(|(value, number)| {
            let labels = text::labels([(label, value.as_str())].into_iter());
            (labels, Series::Gauge(Arc::new(AtomicU64::new(number.to_bits()))))
        });
        let series = series.collect();
        self.families.lock().insert(name, series);
    }

    /// Sets a counter that somebody else keeps, and not in whole numbers.
    pub(crate) fn set_total(&self, metric: &'static Metric, value: f64) {
        let mut families = self.families.lock();
        let family = families.entry(metric.name).or_default();
        family.insert(Labels::new(), Series::Gauge(Arc::new(AtomicU64::new(value.to_bits()))));
    }

    /// Forgets all series of a gauge whose labels come and go.
    pub fn clear(&self, name: &'static str) {
        self.families.lock().remove(name);
    }

    /// The series of a key; none if the catalogue does not know it as what it is asked for.
    fn series(&self, key: &Key, kind: Kind) -> Option<Series> {
        let Some(Metric { name, .. }) = METRICS.iter().find(|m| m.name == key.name() && m.kind == kind)
        else {
            tracing::error!(metric = key.name(), ?kind, "a metric is not in the catalogue");
            return None;
        };
        let labels = text::labels(key.labels().map(|label| (label.key(), label.value())));
        let mut families = self.families.lock();
        Some(families.entry(name).or_default().entry(labels).or_insert_with(|| Series::new(kind)).clone())
    }
}

impl Series {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter(Arc::default()),
            Kind::Gauge => Self::Gauge(Arc::default()),
            Kind::Histogram => Self::Histogram(Arc::default()),
        }
    }
}

impl Recorder for Exporter {
    // The catalogue describes.
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match self.series(key, Kind::Counter) {
            Some(Series::Counter(total)) => Counter::from_arc(total),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match self.series(key, Kind::Gauge) {
            Some(Series::Gauge(bits)) => Gauge::from_arc(bits),
            _ => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        match self.series(key, Kind::Histogram) {
            Some(Series::Histogram(buckets)) => Histogram::from_arc(buckets),
            _ => Histogram::noop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use metrics::{counter, gauge, histogram, with_local_recorder};

    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let exporter = Exporter::default();
        with_local_recorder(&exporter, || {
            counter!("magpie_commands_total", "protocol" => "imap", "command" => "noop").increment(2);
            counter!("magpie_commands_total", "command" => "noop", "protocol" => "imap").increment(1);
            gauge!("magpie_sessions", "listener" => "a\"b\\c\nd").increment(3.0);
            histogram!("magpie_delivery_seconds").record(0.3);
            histogram!("magpie_delivery_seconds").record(1e9);
            counter!("magpie_nobody_knows_total").increment(1);
            counter!("magpie_sessions").increment(1);
        });
        let text = exporter.render();
        assert!(text.contains("# TYPE magpie_commands_total counter\n"));
        assert!(text.contains("magpie_commands_total{command=\"noop\",protocol=\"imap\"} 3\n"), "{text}");
        assert!(text.contains("magpie_sessions{listener=\"a\\\"b\\\\c\\nd\"} 3\n"), "{text}");
        assert!(text.contains("magpie_delivery_seconds_bucket{le=\"0.25\"} 0\n"), "{text}");
        assert!(text.contains("magpie_delivery_seconds_bucket{le=\"0.5\"} 1\n"), "{text}");
        assert!(text.contains("magpie_delivery_seconds_bucket{le=\"+Inf\"} 2\n"), "{text}");
        assert!(text.contains("magpie_delivery_seconds_count 2\n"), "{text}");
        assert!(!text.contains("nobody_knows"));
    }

    #[test]
    fn gauges_come_and_go() {
        let exporter = Exporter::default();
        exporter.set("magpie_ready", &[], 1.0);
        exporter.set("magpie_ready", &[], 0.0);
        exporter.set("magpie_inbound_queue_legs", &[("state", "failed".into())], 2.5);
        assert!(exporter.render().contains("magpie_ready 0\n"));
        exporter.clear("magpie_ready");
        let text = exporter.render();
        assert!(!text.contains("magpie_ready") && text.contains("{state=\"failed\"} 2.5\n"));
    }

    #[test]
    fn what_is_not_named_again_is_forgotten() {
        let exporter = Exporter::default();
        let replace = |series: &[(&str, f64)]| {
            let series = series.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
            exporter.replace("magpie_outbound_line_legs", "destination", series);
        };
        replace(&[("a.example", 1.0), ("b\"x.example", 2.0)]);
        replace(&[("b\"x.example", 3.0)]);
        let text = exporter.render();
        assert!(text.contains("magpie_outbound_line_legs{destination=\"b\\\"x.example\"} 3\n"), "{text}");
        assert!(!text.contains("a.example"), "{text}");
        exporter.replace("magpie_nobody_knows", "destination", Vec::new());
        assert!(!exporter.render().contains("nobody_knows"));
    }
}
