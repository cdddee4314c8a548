//! Bad days on purpose: an engine that fails, from a seed, in each way that the contract allows, and returns
//! wrong bytes, which it does not.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::engine::{Engine, EngineError, Extent, ExtentInfo, Listing, Object, Place};

/// How often each fault is injected: probabilities from 0 to 1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ChaosRates {
    /// A call takes up to two milliseconds longer.
    pub delay: f64,
    /// A call fails and has done nothing.
    pub unavailable: f64,
    /// A put or a delete is done, but the answer is lost.
    pub lost_answer: f64,
    /// A read returns a flipped bit.
    pub wrong_bytes: f64,
}

impl Default for ChaosRates {
    fn default() -> Self {
        Self { delay: 0.1, unavailable: 0.05, lost_answer: 0.05, wrong_bytes: 0.0 }
    }
}

/// The wrapper.
pub struct Chaos {
    inner: Arc<dyn Engine>,
    rates: ChaosRates,
    rng: Mutex<StdRng>,
}

impl Chaos {
    /// Faults at `rates` on top of `inner`; the same seed and the same calls give the same faults.
    pub fn new(inner: Arc<dyn Engine>, rates: ChaosRates, seed: u64) -> Self {
        Self { inner, rates, rng: Mutex::new(StdRng::seed_from_u64(seed)) }
    }

    fn roll(&self, rate: f64) -> bool {
        rate > 0.0 && self.rng.lock().random_bool(rate.min(1.0))
    }

    async fn before(&self) -> Result<(), EngineError> {
        if self.roll(self.rates.delay) {
            let micros = self.rng.lock().random_range(0..2000);
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
        self.fail(self.rates.unavailable)
    }

    fn fail(&self, rate: f64) -> Result<(), EngineError> {
        if self.roll(rate) {
            return Err(EngineError::Unavailable("a fault was injected: try again".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl Engine for Chaos {
    async fn put(&self, objects: Vec<Object>) -> Result<Vec<Place>, EngineError> {
        self.before().await?;
        let places = self.inner.put(objects).await?;
        self.fail(self.rates.lost_answer)?;
        Ok(places)
    }

    async fn read(&self, place: &Place, range: Range<u64>) -> Result<Bytes, EngineError> {
        self.before().await?;
        let bytes = self.inner.read(place, range).await?;
        if bytes.is_empty() || !self.roll(self.rates.wrong_bytes) {
            return Ok(bytes);
        }
        let mut wrong = BytesMut::from(&bytes[..]);
        let at = self.rng.lock().random_range(0..wrong.len());
        wrong.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 0x10);
        Ok(wrong.freeze())
    }

    async fn delete(&self, extent: &Extent) -> Result<(), EngineError> {
        self.before().await?;
        self.inner.delete(extent).await?;
        self.fail(self.rates.lost_answer)
    }

    async fn list(&self, after: Option<&Place>) -> Result<Listing, EngineError> {
        self.before().await?;
        self.inner.list(after).await
    }

    fn extent(&self, place: &Place) -> Extent {
        self.inner.extent(place)
    }

    fn packs(&self) -> bool {
        self.inner.packs()
    }

    async fn extents(&self) -> Result<Vec<ExtentInfo>, EngineError> {
        self.before().await?;
        self.inner.extents().await
    }

    fn describe(&self, place: &Place) -> String {
        self.inner.describe(place)
    }

    fn health(&self) -> Result<(), EngineError> {
        self.inner.health()
    }
}
