//! Proof that lines, their order and who stands in them agree.

use std::collections::BTreeMap;

use store::kv::{Range, Table, Transaction, counter};

use super::{LineOrder, LineOrderKey, Lines, Places, counted_line, line_counts, place};
use crate::record::LegRecord;
use crate::table::{LegKey, Legs};
use crate::verify::{COUNTS, Finding, ORDER};
use crate::{Error, Queue};

impl Queue {
    /// Every line is found when its time has come, every place is that of a leg, and each line is counted.
    pub(crate) async fn verify_lines(&self, findings: &mut Vec<Finding>) -> Result<(), Error> {
        let kind = self.kind();
        let mut rest = Lines::all(kind);
        while let Some((tx, keys)) = self.page::<Lines>(&mut rest).await? {
            for key in keys {
                let Some(line) = tx.snapshot_load::<Lines>(&key).await? else { continue };
                let Some(next) = line.next else { continue };
                let order = LineOrderKey { kind, next, destination: key.1.clone() };
                if tx.snapshot_get(LineOrder::key(&order)).await?.is_none() {
                    findings.push(found(ORDER, &key.1, "nobody will look at it when its time has come"));
                }
            }
        }
        let mut rest = LineOrder::all(kind);
        while let Some((tx, keys)) = self.page::<LineOrder>(&mut rest).await? {
            for order in keys {
                let line = tx.snapshot_load::<Lines>(&(kind, order.destination.clone())).await?;
                if line.is_none_or(|line| line.next != Some(order.next)) {
                    let what = format!("a time of {} that it does not have", order.next.0);
                    findings.push(found(ORDER, &order.destination, what));
                }
            }
        }
        let mut rest = Places::all(kind);
        while let Some((tx, keys)) = self.page::<Places>(&mut rest).await? {
            for stands in keys {
                let leg = tx.snapshot_load::<Legs>(&stands.leg_key()).await?;
                if leg.is_none_or(|leg| place(stands.leg_key(), &leg).as_ref() != Some(&stands)) {
                    let what = format!("message {}, leg {} does not stand in it", stands.id, stands.leg);
                    findings.push(found(ORDER, &stands.destination, what));
                }
            }
        }
        self.verify_line_counts(findings).await
    }

    /// What is wrong with a leg's place in line.
    pub(crate) async fn verify_place(
        &self,
        tx: &Transaction,
        key: LegKey,
        leg: &LegRecord,
    ) -> Result<Option<&'static str>, Error> {
        let Some(stands) = place(key, leg) else { return Ok(None) };
        let keys = vec![Places::key(&stands), self.line_key(&leg.destination)];
        Ok(match tx.snapshot_get_many(keys).await?.as_slice() {
            [None, _] => Some("nobody will find it in its destination's line"),
            [_, None] => Some("it stands in a line that its destination does not have"),
            _ => None,
        })
    }

    async fn verify_line_counts(&self, findings: &mut Vec<Finding>) -> Result<(), Error> {
        for _ in 0..Self::COUNT_ATTEMPTS {
            let before = self.kv().read().await?.version();
            let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
            let mut rest = Places::all(self.kind());
            while let Some((_, keys)) = self.page::<Places>(&mut rest).await? {
                for stands in keys {
                    sums.entry(stands.destination).or_default().0 += 1;
                }
            }
            let range = &Range::new(line_counts(self.kind())).snapshot();
            let counted =
                |tx: Transaction| async move { Ok((tx.version(), tx.range(range.clone()).all().await?)) };
            let (after, rows) = self.look(counted).await?;
            if after != before {
                continue;
            }
            for (key, value) in &rows {
                if let Some(destination) = counted_line(key) {
                    sums.entry(destination.to_owned()).or_default().1 += counter(value);
                }
            }
            for (destination, (there, counted)) in sums {
                if there != counted {
                    let what = format!("{counted} are counted, and {there} are there");
                    findings.push(found(COUNTS, &destination, what));
                }
            }
            return Ok(());
        }
        Ok(())
    }
}

fn found(rule: &'static str, destination: &str, what: impl Into<String>) -> Finding {
    Finding { rule, place: format!("line of {destination}"), what: what.into() }
}
