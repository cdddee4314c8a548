//! The memory that messages on their way in may take, all connections together.
//!
//! There are two purses, so that nobody who waits for one holds what another waits for. Receiving never waits: a
//! session that gets no memory writes to its spool file. Storing needs the whole message in memory, and takes all
//! of it at once, in turn; who would wait too long tells the client to come back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The unit in which memory is counted, in bytes.
const UNIT: usize = 1 << 10;

/// How much memory there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BudgetLimits {
    /// For messages that are being received, in bytes.
    pub(crate) receiving: usize,
    /// For messages that are being stored, in bytes.
    pub(crate) storing: usize,
    /// How long a message waits for its turn to be stored.
    pub(crate) patience: Duration,
}

impl Default for BudgetLimits {
    fn default() -> Self {
        Self { receiving: 64 << 20, storing: 256 << 20, patience: Duration::from_secs(60) }
    }
}

/// The budget. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub(crate) struct Budget {
    receiving: Arc<Semaphore>,
    storing: Arc<Semaphore>,
    receiving_units: usize,
    storing_units: u32,
    patience: Duration,
}

/// Memory that is given back when this is dropped.
pub(crate) struct Memory {
    permit: OwnedSemaphorePermit,
}

impl Memory {
    /// Puts two amounts together.
    pub(crate) fn merge(&mut self, more: Self) {
        self.permit.merge(more.permit);
    }
}

impl Budget {
    pub(crate) fn new(limits: BudgetLimits) -> Self {
        let storing_units = units(limits.storing);
        Self {
            receiving: Arc::new(Semaphore::new(limits.receiving / UNIT)),
            receiving_units: limits.receiving / UNIT,
            storing: Arc::new(Semaphore::new(storing_units as usize)),
            storing_units,
            patience: limits.patience,
        }
    }

    /// What the memory is for, how much of it is taken, and how much there is, in bytes.
    pub(crate) fn usage(&self) -> [(&'static str, u64, u64); 2] {
        let usage = |purpose, purse: &Semaphore, units: usize| {
            let taken = units.saturating_sub(purse.available_permits());
            (purpose, (taken * UNIT) as u64, (units * UNIT) as u64)
        };
        [
            usage("receiving", &self.receiving, self.receiving_units),
            usage("storing", &self.storing, self.storing_units as usize),
        ]
    }

    /// Memory to receive `bytes` into, if there is some now.
    pub(crate) fn receive(&self, bytes: usize) -> Option<Memory> {
        let permit = self.receiving.clone().try_acquire_many_owned(units(bytes)).ok()?;
        Some(Memory { permit })
    }

    /// Memory to store a message of `bytes`; `None` if its turn does not come soon enough. A message larger than
    /// the whole budget is stored alone.
    pub(crate) async fn store(&self, bytes: usize) -> Option<Memory> {
        let units = units(bytes).min(self.storing_units);
        let turn = timeout(self.patience, self.storing.clone().acquire_many_owned(units)).await;
        Some(Memory { permit: turn.ok()?.ok()? })
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Budget {
        Budget::new(BudgetLimits { receiving: 8 << 10, storing: 8 << 10, patience: Duration::from_secs(1) })
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_waits_for_its_turn_and_gives_up() {
        let budget = small();
        let first = budget.store(5 << 10).await.unwrap();
        assert!(budget.store(5 << 10).await.is_none());
        drop(first);
        assert!(budget.store(5 << 10).await.is_some());
        assert!(budget.store(1 << 30).await.is_some(), "alone, it fits");
    }

    #[test]
    fn receiving_never_waits() {
        let budget = small();
        let mut held = budget.receive(4 << 10).unwrap();
        held.merge(budget.receive(4 << 10).unwrap());
        assert!(budget.receive(1).is_none());
        assert_eq!(budget.usage(), [("receiving", 8 << 10, 8 << 10), ("storing", 0, 8 << 10)]);
        drop(held);
        assert!(budget.receive(8 << 10).is_some());
    }
}
