//! Which node sends what there is to send. Accounts are dealt out in shards, and each shard is leased: of two nodes one
//! sends. A node that loses a lease while it sends makes an app hear the same twice, which does no harm, so that wall
//! clocks are good enough here.

use std::collections::BTreeMap;

use store::kv::counter;

use crate::table::{LeaseRow, Leases, SHARDS, made_key};
use crate::{Error, Push};

/// The shards of a node, and how many subscriptions were ever made in each.
pub(crate) type Held = BTreeMap<u8, i64>;

impl Push {
    /// Takes all shards with subscriptions that nobody has, and keeps those that this node has. Commits only where that has to
    /// be written down.
    pub(crate) async fn hold(&self) -> Result<Held, Error> {
        let (now, lease, holder) = (self.clock().now(), self.options().lease, self.holder());
        let until = now.plus(lease);
        let shards: &Vec<u8> = &(0..SHARDS).collect();
        self.kv()
            .run(|tx| async move {
                let made =
                    tx.snapshot_get_many(shards.iter().map(|shard| made_key(*shard)).collect()).await?;
                let made: Held = shards
                    .iter()
                    .zip(made)
                    .filter_map(|(shard, value)| Some((*shard, counter(&value?))))
                    .collect();
                let known: Vec<u8> = made.keys().copied().collect();
                let rows = if known.is_empty() { Vec::new() } else { tx.load_many::<Leases>(&known).await? };
                let mut held = Held::new();
                for ((shard, made), row) in made.into_iter().zip(rows) {
                    // A lease that lasts longer than leases do was written under a clock that was ahead.
                    let valid = row.filter(|row| row.until > now && row.until <= until);
                    let is_ours = |row: &LeaseRow| row.holder == holder;
                    if valid.as_ref().is_some_and(|row| !is_ours(row)) {
                        continue;
                    }
                    if valid.is_none_or(|row| row.until < now.plus(lease / 2)) {
                        tx.save::<Leases>(&shard, &LeaseRow { holder, until })?;
                    }
                    held.insert(shard, made);
                }
                Ok(held)
            })
            .await
    }

    /// Gives back what this node has, so that another one need not wait.
    pub(crate) async fn release(&self) -> Result<(), Error> {
        self.free(Some(self.holder())).await
    }

    /// Ends every lease, whoever has it. Only for a process that is alone with its store, when it starts: those who
    /// had them are dead, and there is no use in waiting.
    ///
    /// # Errors
    /// If the store is out of reach.
    pub async fn reclaim(&self) -> Result<(), Error> {
        self.free(None).await
    }

    async fn free(&self, holder: Option<u64>) -> Result<(), Error> {
        let shards: &Vec<u8> = &(0..SHARDS).collect();
        self.kv()
            .run(|tx| async move {
                let rows = tx.load_many::<Leases>(shards).await?;
                for (shard, row) in shards.iter().zip(rows) {
                    if row.is_some_and(|row| holder.is_none_or(|holder| row.holder == holder)) {
                        tx.remove::<Leases>(shard)?;
                    }
                }
                Ok(())
            })
            .await
    }
}
