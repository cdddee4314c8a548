//! An engine whose lost commits may still be applied a while later, as those of a cluster can: an attempt that
//! looks as if it had failed comes true while the next ones are under way.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rand::RngExt;
use store::kv::{Commit, Embedded, Engine, Error, KeyRange, Page, PageRequest, Snapshot, Version, Watch};

pub struct Late(pub Arc<Embedded>);

struct LateSnapshot(Arc<dyn Snapshot>);

#[async_trait]
impl Snapshot for LateSnapshot {
    fn version(&self) -> Version {
        self.0.version()
    }

    async fn get(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, Error> {
        self.0.get(keys).await
    }

    async fn page(&self, range: &KeyRange, request: PageRequest) -> Result<Page, Error> {
        self.0.page(range, request).await
    }
}

#[async_trait]
impl Engine for Late {
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Error> {
        Ok(Arc::new(LateSnapshot(self.0.snapshot().await?)))
    }

    async fn commit(&self, mut commit: Commit) -> Result<Version, Error> {
        let snapshot: Arc<dyn Any + Send + Sync> = commit.snapshot;
        commit.snapshot = snapshot.downcast::<LateSnapshot>().unwrap().0.clone();
        let engine = self.0.clone();
        let (fate, after) = (rand::random_range(0..10), rand::rng().random_range(0..3000));
        match fate {
            0..5 => engine.commit(commit).await,
            5 => Err(Error::CommitUnknown),
            6..8 => {
                engine.commit(commit).await?;
                Err(Error::CommitUnknown)
            }
            _ => {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_micros(after)).await;
                    engine.commit(commit).await
                });
                Err(Error::CommitUnknown)
            }
        }
    }

    fn watch(&self, key: &[u8], seen: Version) -> Watch {
        self.0.watch(key, seen)
    }

    fn loses_commit_answers(&self) -> bool {
        true
    }

    fn health(&self) -> Result<(), Error> {
        self.0.health()
    }
}
