//! What is read only when somebody asks: how full things are, and when they end.

use std::sync::Arc;
use std::time::Duration;

use http_api::{Exporter, ProcessGauges};
use queue::{Ages, Cause, Depth, Heap, Queue, Standing, Standstill};
use tokio::time::timeout;

use crate::admin::operation::outbound::cause_name;
use crate::driver::budget::Budget;
use crate::net::tls::Certificates;

/// How much of a queue is looked at for its oldest delivery. Names are random: beyond that, it is a fair sample.
const SAMPLE: usize = 10_000;
/// Those of the outbound queue have long rows, and most of what is old there stands in lines, which are known.
const OUTBOUND_SAMPLE: usize = 1_000;
/// How many destinations are told by name, and how many lines are looked at for them.
const NAMED: usize = 50;
const LINES: usize = 10_000;
/// A store that does not answer must not keep what else there is to tell.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where it is read.
#[derive(Clone)]
pub(crate) struct Gauges {
    pub(crate) inbound: Queue,
    pub(crate) outbound: Queue,
    pub(crate) budget: Budget,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) readiness: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    pub(crate) exporter: Exporter,
}

impl Gauges {
    /// Puts all of it into the exporter.
    pub(crate) async fn collect(self) {
        let Self { exporter, .. } = &self;
        exporter.set("magpie_build_info", &[("version", env!("CARGO_PKG_VERSION").to_owned())], 1.0);
        let ready = (self.readiness)().is_empty();
        exporter.set("magpie_ready", &[], f64::from(u8::from(ready)));
        for (purpose, used, limit) in self.budget.usage() {
            let labels = [("purpose", purpose.to_owned())];
            exporter.set("magpie_memory_bytes", &labels, float(used));
            exporter.set("magpie_memory_limit_bytes", &labels, float(limit));
        }
        for (place, expires) in self.certificates.expiries() {
            let labels = [("certificate", place)];
            exporter.set("magpie_certificate_expiry_timestamp_seconds", &labels, float(expires.secs()));
        }
        for (which, series, looked) in [
            ("inbound", INBOUND, timeout(PATIENCE, self.look_at_inbound()).await),
            ("outbound", OUTBOUND, timeout(PATIENCE, self.look_at_outbound()).await),
        ] {
            match looked {
                Ok(Ok(())) => {}
                Ok(Err(error)) => self.forget(which, series, &error.to_string()),
                Err(_late) => self.forget(which, series, "it takes too long"),
            }
        }
        ProcessGauges.collect(exporter);
    }

    async fn look_at_inbound(&self) -> Result<(), queue::Error> {
        let depth = self.inbound.depth().await?;
        let ages = self.inbound.ages(SAMPLE).await?;
        self.tell_states(["magpie_inbound_queue_legs", "magpie_inbound_queue_oldest_seconds"], depth, ages);
        Ok(())
    }

    /// One range read for the states, one of at most [`OUTBOUND_SAMPLE`] legs, two of at most [`LINES`] lines and their
    /// lengths, and the first places of at most [`NAMED`] lines and a few others: whatever the queue's length.
    async fn look_at_outbound(&self) -> Result<(), queue::Error> {
        let depth = self.outbound.depth().await?;
        let mut ages = self.outbound.ages(OUTBOUND_SAMPLE).await?;
        let standing = self.outbound.standing(NAMED, LINES).await?;
        let oldest = standing.kinds.values().filter_map(|heap| heap.oldest).max();
        ages.waiting = ages.waiting.max(oldest);
        self.tell_states(["magpie_outbound_queue_legs", "magpie_outbound_queue_oldest_seconds"], depth, ages);
        let (legs, oldest) = by_destination(&standing);
        self.exporter.replace("magpie_outbound_line_legs", "destination", legs);
        self.exporter.replace("magpie_outbound_line_oldest_seconds", "destination", oldest);
        for (cause, heap) in by_cause(&standing) {
            let labels = [("cause", cause.to_owned())];
            self.exporter.set("magpie_outbound_cause_destinations", &labels, float(heap.lines));
            self.exporter.set("magpie_outbound_cause_legs", &labels, float(heap.legs));
            self.exporter.set("magpie_outbound_cause_oldest_seconds", &labels, seconds(heap.oldest));
        }
        Ok(())
    }

    fn tell_states(&self, [legs, oldest]: [&'static str; 2], depth: Depth, ages: Ages) {
        for (state, count, age) in [
            ("waiting", depth.waiting, ages.waiting),
            ("held", depth.held, ages.held),
            ("failed", depth.failed, ages.failed),
        ] {
            let labels = [("state", state.to_owned())];
            self.exporter.set(legs, &labels, float(count));
            self.exporter.set(oldest, &labels, seconds(age));
        }
    }

    /// What is not known is not told: an old figure would look like a good one.
    fn forget(&self, which: &str, series: &[&'static str], why: &str) {
        tracing::warn!(which, why, "a queue cannot be looked at for metrics");
        series.iter().for_each(|name| self.exporter.clear(name));
    }
}

const INBOUND: &[&str] = &["magpie_inbound_queue_legs", "magpie_inbound_queue_oldest_seconds"];
const OUTBOUND: &[&str] = &[
    "magpie_outbound_queue_legs",
    "magpie_outbound_queue_oldest_seconds",
    "magpie_outbound_line_legs",
    "magpie_outbound_line_oldest_seconds",
    "magpie_outbound_cause_destinations",
    "magpie_outbound_cause_legs",
    "magpie_outbound_cause_oldest_seconds",
];

type Series = Vec<(String, f64)>;

/// The legs of the longest lines, and the ages of the oldest in them; all others are one.
fn by_destination(standing: &Standing) -> (Series, Series) {
    let named = |line: &queue::LineDepth| (line.destination.clone(), float(line.depth), seconds(line.oldest));
    let rest = standing.rest;
    let mut all: Vec<(String, f64, f64)> = standing.longest.iter().map(named).collect();
    // A destination may be called so where names without dots are in use: together they are still right.
    match all.iter_mut().find(|(name, ..)| name == "other") {
        Some((_, legs, oldest)) => {
            (*legs, *oldest) = (*legs + float(rest.legs), oldest.max(seconds(rest.oldest)))
        }
        None => all.push(("other".to_owned(), float(rest.legs), seconds(rest.oldest))),
    }
    all.into_iter().map(|(name, legs, oldest)| ((name.clone(), legs), (name, oldest))).unzip()
}

/// The lines by what keeps their destinations: those that are always told, so that nothing vanishes from a graph.
fn by_cause(standing: &Standing) -> Vec<(&'static str, Heap)> {
    let causes = [Cause::Name, Cause::Connection, Cause::Security, Cause::Refusal, Cause::Local];
    let failing = causes.map(|cause| (cause_name(cause), (Standstill::Failing, Some(cause))));
    let others = [("busy", (Standstill::Busy, None)), ("held", (Standstill::Held, None))];
    let heap = |kind| standing.kinds.get(&kind).copied().unwrap_or_default();
    failing.into_iter().chain(others).map(|(name, kind)| (name, heap(kind))).collect()
}

fn seconds(age: Option<Duration>) -> f64 {
    age.unwrap_or_default().as_secs_f64()
}

#[allow(clippy::cast_precision_loss)]
const fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use queue::LineDepth;

    use super::*;

    #[test]
    fn lines_are_told_by_destination_and_by_cause() {
        let line = |name: &str, depth, age| LineDepth {
            destination: name.into(),
            depth,
            oldest: Some(Duration::from_secs(age)),
        };
        let heap = |lines, legs, age| Heap { lines, legs, oldest: Some(Duration::from_secs(age)) };
        let standing = Standing {
            longest: vec![line("dead.example", 41, 600), line("other", 2, 5)],
            rest: heap(3, 4, 50),
            kinds: [
                ((Standstill::Failing, Some(Cause::Connection)), heap(4, 45, 600)),
                ((Standstill::Held, None), heap(1, 2, 5)),
            ]
            .into(),
            more: false,
        };
        let (legs, oldest) = by_destination(&standing);
        assert_eq!(legs, [("dead.example".to_owned(), 41.0), ("other".to_owned(), 6.0)]);
        assert_eq!(oldest, [("dead.example".to_owned(), 600.0), ("other".to_owned(), 50.0)]);
        let causes = by_cause(&standing);
        let told: Vec<&str> = causes.iter().map(|(name, _)| *name).collect();
        assert_eq!(told, ["name", "connection", "security", "refusal", "local", "busy", "held"]);
        assert_eq!((causes[1].1.legs, causes[6].1.lines, causes[0].1), (45, 1, Heap::default()));
    }
}
