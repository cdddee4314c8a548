//! What is read only when somebody asks: how full things are, and when they end.

use std::sync::Arc;
use std::time::Duration;

use http_api::{Exporter, ProcessGauges};
use queue::Queue;
use tokio::time::timeout;

use crate::driver::budget::Budget;
use crate::net::tls::Certificates;

/// How much of the queue is looked at for its oldest delivery. Names are random: beyond that, it is a fair sample.
const SAMPLE: usize = 10_000;
/// A store that does not answer must not keep what else there is to tell.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where it is read.
#[derive(Clone)]
pub(crate) struct Gauges {
    pub(crate) inbound: Queue,
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
        match timeout(PATIENCE, self.look_at_the_queue()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.forget_the_queue(&error.to_string()),
            Err(_late) => self.forget_the_queue("it takes too long"),
        }
        ProcessGauges.collect(exporter);
    }

    async fn look_at_the_queue(&self) -> Result<(), queue::Error> {
        let depth = self.inbound.depth().await?;
        let ages = self.inbound.ages(SAMPLE).await?;
        for (state, legs, age) in [
            ("waiting", depth.waiting, ages.waiting),
            ("held", depth.held, ages.held),
            ("failed", depth.failed, ages.failed),
        ] {
            let labels = [("state", state.to_owned())];
            self.exporter.set("magpie_inbound_queue_legs", &labels, float(legs));
            let age = age.unwrap_or_default().as_secs_f64();
            self.exporter.set("magpie_inbound_queue_oldest_seconds", &labels, age);
        }
        Ok(())
    }

    /// What is not known is not told: an old figure would look like a good one.
    fn forget_the_queue(&self, why: &str) {
        tracing::warn!(why, "the inbound queue cannot be looked at for metrics");
        self.exporter.clear("magpie_inbound_queue_legs");
        self.exporter.clear("magpie_inbound_queue_oldest_seconds");
    }
}

#[allow(clippy::cast_precision_loss)]
const fn float(number: u64) -> f64 {
    number as f64
}
