//! Taking back a message that nobody has been given yet.

use store::kv::{Table, Transaction};

use crate::record::{EventKind, LegRecord, LegState, RecipientState};
use crate::table::{Entries, Kept};
use crate::{EntryId, Error, Queue};

impl Queue {
    /// Removes a message, in a transaction that does something else too, if it is whole and was never in a worker's hands: so
    /// nobody has it, and nobody will. Whether it was so; if not, nothing was done. A worker that takes it at the same
    /// moment and this exclude each other.
    pub async fn withdraw(&self, tx: &Transaction, id: EntryId) -> Result<bool, Error> {
        let key = (self.kind(), id);
        let Some(entry) = tx.load::<Entries>(&key).await? else { return Ok(false) };
        let legs = self.legs_of(tx, id).await?;
        let is_whole = entry.left == entry.legs && legs.len() == usize::from(entry.legs);
        if !is_whole || !legs.iter().all(|(_, leg)| is_untouched(leg)) {
            return Ok(false);
        }
        for (key, leg) in &legs {
            self.save_leg(tx, *key, Some(leg), None)?;
        }
        let kept = tx.get(Kept::key(&key)).await?;
        self.forget(tx, id, kept)?;
        Ok(true)
    }
}

/// Whether no worker has ever had it, not even one that was never heard of again, or before an operator had it begin anew.
fn is_untouched(leg: &LegRecord) -> bool {
    let harmless = |kind| matches!(kind, EventKind::Entered | EventKind::Held);
    matches!(leg.state, LegState::Waiting | LegState::Held)
        && (leg.attempts, leg.lost, leg.forgotten) == (0, 0, 0)
        && leg.history.iter().all(|event| harmless(event.kind))
        && leg.recipients.iter().all(|recipient| recipient.state == RecipientState::Pending)
}
