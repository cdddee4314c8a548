//! Waiting for something to do, without asking again and again.

use std::time::Duration;

use futures::future::{select_all, try_join_all};
use futures::try_join;
use store::kv::{Range, Watch};

use crate::clock::{LAG, Moment};
use crate::line::{LINE_SHARDS, LineOrder};
use crate::table::{Dues, SHARDS, WAKES, wake_key};
use crate::{Error, Queue};

impl Queue {
    /// Resolves when something may be due: at once, when the next due time comes, or when somebody puts something
    /// into the queue, on whatever node. It may resolve early; nothing that is due is missed. Claim, and wait again.
    ///
    /// While the queue is empty this costs nothing; else a commit every half a minute keeps the queue's time.
    pub async fn wait(&self) -> Result<(), Error> {
        let tx = self.kv().read().await?;
        // First watch, then look: what comes between is seen by the one or the other.
        let watches: Vec<Watch> = (0..WAKES).map(|number| tx.watch(&wake_key(self.kind(), number))).collect();
        let now = self.clock().peek(&tx).await?;
        let first = (0..SHARDS).map(|shard| {
            let range = Range::new(Dues::shard(self.kind(), shard)).limit(1).snapshot().drained();
            tx.rows::<Dues>(range).all()
        });
        let lines = (0..if self.has_lines() { LINE_SHARDS } else { 0 }).map(|shard| {
            let range = Range::new(LineOrder::shard(self.kind(), shard)).limit(1).snapshot().drained();
            tx.rows::<LineOrder>(range).all()
        });
        let (first, lines) = try_join!(try_join_all(first), try_join_all(lines))?;
        drop(tx);
        let legs = first.into_iter().flatten().map(|(key, _)| key.due);
        let next: Option<Moment> = legs.chain(lines.into_iter().flatten().map(|(key, _)| key.next)).min();
        let woken = select_all(watches.into_iter().map(|watch| Box::pin(watch.changed())));
        let Some(next) = next else {
            woken.await;
            return Ok(());
        };
        let pause = next.since(now);
        if pause == Duration::ZERO {
            return Ok(());
        }
        tokio::select! {
            _ = woken => {}
            () = tokio::time::sleep(pause.min(LAG)) => {}
        }
        self.tick().await
    }

    /// Takes the stored time along if it has fallen behind.
    pub async fn tick(&self) -> Result<(), Error> {
        self.kv().run(|tx| async move { Ok(self.clock().now(&tx).await.map(|_now| ())?) }).await
    }
}
