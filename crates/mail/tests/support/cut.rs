//! An engine that stops taking commits after a given number, as if the process had died there.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use store::kv::{Commit, Engine, Error, Snapshot, Version, Watch};

pub struct Cut {
    inner: Arc<dyn Engine>,
    left: AtomicI64,
}

impl Cut {
    pub fn after(commits: i64, inner: Arc<dyn Engine>) -> Arc<Self> {
        Arc::new(Self { inner, left: AtomicI64::new(commits) })
    }
}

#[async_trait]
impl Engine for Cut {
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Error> {
        self.inner.snapshot().await
    }

    async fn commit(&self, commit: Commit) -> Result<Version, Error> {
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(Error::Unavailable("cut off".into()));
        }
        self.inner.commit(commit).await
    }

    fn watch(&self, key: &[u8], seen: Version) -> Watch {
        self.inner.watch(key, seen)
    }

    fn loses_commit_answers(&self) -> bool {
        self.inner.loses_commit_answers()
    }

    fn health(&self) -> Result<(), Error> {
        self.inner.health()
    }
}
