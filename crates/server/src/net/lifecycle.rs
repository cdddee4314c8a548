//! The end of a server: sessions are told, get time to finish, and then are cut.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Follows the tasks of a server. Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Lifecycle {
    leaving: CancellationToken,
    stopping: CancellationToken,
    cut: CancellationToken,
    tasks: TaskTracker,
}

impl Lifecycle {
    /// Runs a task that ends by itself soon after [`Self::stopping`], or is dropped when the time is up.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let cut = self.cut.clone();
        // On the heap: what is handed into an async block has room in it twice, as it came and where it runs.
        let task = Box::pin(task);
        self.tasks.spawn(async move {
            tokio::select! {
                () = task => {}
                () = cut.cancelled() => {}
            }
        });
    }

    /// The server will stop soon: nobody should be sent here any more.
    pub(crate) fn leave(&self) {
        self.leaving.cancel();
    }

    /// Whether the server will stop soon, or is stopping.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.is_cancelled()
    }

    /// Resolves when the server goes down.
    pub(crate) async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    /// Tells every task, waits for them to end, and drops those that have not after `patience`. Returns how many
    /// those were.
    pub(crate) async fn stop(&self, patience: Duration) -> usize {
        self.leave();
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_ok() {
            return 0;
        }
        let left = self.tasks.len();
        self.cut.cancel();
        self.tasks.wait().await;
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn polite_tasks_end_and_others_are_cut() {
        let lifecycle = Lifecycle::default();
        let told = lifecycle.clone();
        lifecycle.spawn(async move { told.stopping().await });
        lifecycle.spawn(std::future::pending());
        assert!(!lifecycle.is_leaving());
        assert_eq!(lifecycle.stop(Duration::from_secs(5)).await, 1);
        assert!(lifecycle.is_leaving());
    }
}
