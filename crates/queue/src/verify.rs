//! Proof that the rows of a queue agree: with each other, and with the blobs that it keeps alive.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use store::blob::{BlobTable, ReferenceTable};
use store::kv::{KeyRange, Range, Table, Transaction, after_key, counter};

use crate::record::{LegRecord, LegState, Recipient};
use crate::table::{
    Bodies, DueKey, DueRow, Dues, Entries, Errors, Kept, LegKey, Legs, count_range, counted_as,
    counted_state, owned, owner,
};
use crate::{EntryId, Error, Queue};

/// Something that should not be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Finding {
    /// Which rule is broken, in a few words.
    pub rule: &'static str,
    /// Where.
    pub place: String,
    /// What is there, and what should be.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.rule, self.place, self.what)
    }
}

const ENTRIES: &str = "queued messages are whole";
pub(crate) const ORDER: &str = "the queue's order is that of its messages";
const BLOBS: &str = "queued messages keep their blobs";
pub(crate) const COUNTS: &str = "the queue is counted";

impl Queue {
    const ROWS_AT_ONCE: usize = 256;
    pub(crate) const COUNT_ATTEMPTS: usize = 3;

    /// Checks everything, while the queue is in use or not: what belongs together is read at one moment. The counts are
    /// compared only if nothing was written while they were added up. Returns how many messages there are, and what
    /// is wrong.
    pub async fn verify(&self) -> Result<(u64, Vec<Finding>), Error> {
        let mut findings = Vec::new();
        let mut entries = 0;
        let mut rest = Entries::all(self.kind());
        while let Some((tx, keys)) = self.page::<Entries>(&mut rest).await? {
            for (_, id) in keys {
                entries += 1;
                self.verify_entry(&tx, id, &mut findings).await?;
            }
        }
        self.verify_legs(&mut findings).await?;
        self.verify_order(&mut findings).await?;
        if self.has_lines() {
            self.verify_lines(&mut findings).await?;
        }
        self.verify_references(&mut findings).await?;
        self.verify_counts(&mut findings).await?;
        findings.sort();
        findings.dedup();
        Ok((entries, findings))
    }

    /// Every leg has its message.
    async fn verify_legs(&self, findings: &mut Vec<Finding>) -> Result<(), Error> {
        let mut rest = Legs::all(self.kind());
        while let Some((tx, keys)) = self.page::<Legs>(&mut rest).await? {
            for key in keys {
                if tx.snapshot_get(Entries::key(&(key.0, key.1))).await?.is_none() {
                    findings.push(found(ENTRIES, key, "a leg without its message"));
                }
            }
        }
        Ok(())
    }

    /// Every due time and every row of the error queue is that of a leg.
    async fn verify_order(&self, findings: &mut Vec<Finding>) -> Result<(), Error> {
        let mut rest = Dues::all(self.kind());
        while let Some((tx, keys)) = self.page::<Dues>(&mut rest).await? {
            for due in keys {
                let leg = tx.snapshot_load::<Legs>(&due.leg_key()).await?;
                if leg.is_none_or(|leg| due_row(due.leg_key(), &leg).map(|(key, _)| key) != Some(due)) {
                    let what = format!("a due time of {} that the message does not have", due.due.0);
                    findings.push(found(ORDER, due.leg_key(), what));
                }
            }
        }
        let mut rest = Errors::all(self.kind());
        while let Some((tx, keys)) = self.page::<Errors>(&mut rest).await? {
            for key in keys {
                let leg = tx.snapshot_load::<Legs>(&key).await?;
                if leg.is_none_or(|leg| leg.state != LegState::Failed) {
                    findings.push(found(ORDER, key, "in the error queue, though it has not failed"));
                }
            }
        }
        Ok(())
    }

    /// Every blob that is kept alive in the queue's name is needed by a message in it.
    async fn verify_references(&self, findings: &mut Vec<Finding>) -> Result<(), Error> {
        let mut rest = ReferenceTable::all();
        while let Some((tx, keys)) = self.page::<ReferenceTable>(&mut rest).await? {
            for (hash, holder) in keys {
                let Some(id) = owned(self.kind(), &holder) else { continue };
                let kept = tx.snapshot_load::<Kept>(&(self.kind(), id)).await?;
                if kept.is_none_or(|kept| !kept.blobs.contains(&hash)) {
                    let what = format!("keeps blob {hash} alive, and does not need it");
                    findings.push(Finding { rule: BLOBS, place: format!("message {id}"), what });
                }
            }
        }
        Ok(())
    }

    async fn verify_entry(
        &self,
        tx: &Transaction,
        id: EntryId,
        findings: &mut Vec<Finding>,
    ) -> Result<(), Error> {
        let key = (self.kind(), id);
        let place = || format!("message {id}");
        let mut wrong = |rule, what: String| findings.push(Finding { rule, place: place(), what });
        let Some(entry) = tx.snapshot_load::<Entries>(&key).await? else { return Ok(()) };
        let legs = tx.rows::<Legs>(Range::new(Legs::of(key.0, id)).snapshot()).all().await?;
        if legs.len() != usize::from(entry.left) {
            wrong(ENTRIES, format!("{} legs are there, and {} should be left", legs.len(), entry.left));
        }
        if tx.snapshot_get(Bodies::key(&key)).await?.is_none() {
            wrong(ENTRIES, "its body is missing".to_owned());
        }
        for (key, leg) in &legs {
            for what in contradictions(leg) {
                wrong(ENTRIES, format!("leg {}: {what}", key.2));
            }
            if let Some((due, row)) = due_row(*key, leg)
                && tx.snapshot_load::<Dues>(&due).await? != Some(row)
            {
                wrong(ORDER, format!("leg {}: nobody will look at it when it is due", key.2));
            }
            if let Some(what) = self.verify_place(tx, *key, leg).await? {
                wrong(ORDER, format!("leg {}: {what}", key.2));
            }
            if leg.state == LegState::Failed && tx.snapshot_get(Errors::key(key)).await?.is_none() {
                wrong(ORDER, format!("leg {}: it has failed, and is not in the error queue", key.2));
            }
        }
        let kept = tx.snapshot_load::<Kept>(&key).await?;
        let owner = bytes::Bytes::copy_from_slice(&owner(key.0, id));
        for hash in kept.into_iter().flat_map(|kept| kept.blobs) {
            let keys = vec![ReferenceTable::key(&(hash, owner.clone())), BlobTable::key(&hash)];
            let rows = tx.snapshot_get_many(keys).await?;
            if rows.iter().any(Option::is_none) {
                wrong(BLOBS, format!("blob {hash} is not kept for it"));
            }
        }
        Ok(())
    }

    async fn verify_counts(&self, findings: &mut Vec<Finding>) -> Result<(), Error> {
        for _ in 0..Self::COUNT_ATTEMPTS {
            let before = self.kv().read().await?.version();
            let mut found: BTreeMap<u8, i64> = BTreeMap::new();
            let mut rest = Legs::all(self.kind());
            while let Some(states) = self.states(&mut rest).await? {
                for state in states {
                    *found.entry(counted_as(state)).or_default() += 1;
                }
            }
            let range = &Range::new(count_range(self.kind())).snapshot();
            let counted =
                |tx: Transaction| async move { Ok((tx.version(), tx.range(range.clone()).all().await?)) };
            let (after, rows) = self.look(counted).await?;
            if after != before {
                continue;
            }
            let mut counted: BTreeMap<u8, i64> = BTreeMap::new();
            for (key, value) in &rows {
                if let Some(state) = counted_state(key) {
                    *counted.entry(state).or_default() += counter(value);
                }
            }
            let states: BTreeSet<u8> = found.keys().chain(counted.keys()).copied().collect();
            for state in states {
                let of = |sums: &BTreeMap<u8, i64>| sums.get(&state).copied().unwrap_or_default();
                if of(&found) != of(&counted) {
                    let what = format!("{} are counted, and {} are there", of(&counted), of(&found));
                    findings.push(Finding {
                        rule: COUNTS,
                        place: format!("messages in state {state}"),
                        what,
                    });
                }
            }
            return Ok(());
        }
        Ok(())
    }

    /// The next keys of a range, and the moment at which they were there; `None` at its end.
    pub(crate) async fn page<T: Table>(
        &self,
        rest: &mut KeyRange,
    ) -> Result<Option<(Transaction, Vec<T::Key>)>, Error> {
        let tx = self.kv().read().await?;
        let range = Range::new(rest.clone()).limit(Self::ROWS_AT_ONCE).snapshot();
        let keys: Vec<T::Key> = tx.rows::<T>(range).all().await?.into_iter().map(|(key, _)| key).collect();
        let Some(last) = keys.last() else { return Ok(None) };
        rest.begin = after_key(&T::key(last));
        Ok(Some((tx, keys)))
    }

    async fn states(&self, rest: &mut KeyRange) -> Result<Option<Vec<LegState>>, Error> {
        let range = &Range::new(rest.clone()).limit(Self::ROWS_AT_ONCE * 8).snapshot();
        let rows = self.look(|tx| async move { Ok(tx.rows::<Legs>(range.clone()).all().await?) }).await?;
        let Some((last, _)) = rows.last() else { return Ok(None) };
        rest.begin = after_key(&Legs::key(last));
        Ok(Some(rows.into_iter().map(|(_, leg)| leg.state).collect()))
    }
}

/// The row that makes somebody look at a leg, if it needs one.
fn due_row((kind, id, leg): LegKey, record: &LegRecord) -> Option<(DueKey, DueRow)> {
    let leased = record.state == LegState::Leased;
    let waits = leased || record.state == LegState::Waiting;
    waits.then_some((DueKey { kind, due: record.due, id, leg }, DueRow { leased }))
}

/// What a leg's own row says that cannot be.
fn contradictions(leg: &LegRecord) -> Vec<&'static str> {
    let mut found = Vec::new();
    let pending = leg.pending().next().is_some();
    if leg.recipients.iter().all(Recipient::is_over) {
        found.push("everybody has the message or never will, and it is still there");
    }
    if leg.line && leg.state != LegState::Waiting {
        found.push("it stands in line, though it does not wait");
    }
    // What passes by the line, and whose time is over, waits for room for a last attempt, of which its sender hears.
    let last = (leg.released || leg.past) && leg.expires.is_some_and(|expires| expires < leg.due);
    let late = !last && leg.deadline().is_some_and(|deadline| deadline < leg.due);
    if leg.state == LegState::Waiting && !leg.line && late {
        found.push("its sender would hear of it too late");
    }
    if pending == (leg.state == LegState::Failed) {
        found.push("its state is not that of its recipients");
    }
    if leg.lease.is_some() != (leg.state == LegState::Leased) {
        found.push("somebody has a lease on it, and it does not say so, or the other way round");
    }
    found
}

fn found(rule: &'static str, (_, id, leg): LegKey, what: impl Into<String>) -> Finding {
    Finding { rule, place: format!("message {id}, leg {leg}"), what: what.into() }
}
