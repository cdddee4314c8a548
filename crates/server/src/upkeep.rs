//! What a server does now and then: trims logs, purges what was expunged long ago, gives disk space back.

use std::time::Duration;

use directory::PageRequest;
use rand::RngExt;
use store::blob::{CompactLimits, SweepLimits};
use tokio::time::sleep;

use crate::net::Lifecycle;
use crate::node::Node;
use crate::problem::Problem;

/// The time between two rounds, give or take a quarter: nodes that were started together do not stay in step.
const EVERY: Duration = Duration::from_secs(15 * 60);

/// Starts the rounds; they end with the server.
pub(crate) fn start(node: Node, lifecycle: &Lifecycle) {
    let stopping = lifecycle.clone();
    lifecycle.spawn(async move {
        loop {
            let round = async {
                sleep(pause()).await;
                round(&node).await;
            };
            // Every step is a transaction of its own: a round can be dropped between any two.
            tokio::select! {
                () = stopping.stopping() => return,
                () = round => {}
            }
        }
    });
}

async fn round(node: &Node) {
    log_failure("mailboxes", mailboxes(node).await);
    log_failure("the queues", queues(node).await);
    log_failure("blobs", blobs(node).await);
    log_failure("reports", node.reports.trim().await.map_err(Problem::from));
    let markers = node.kv.forget_markers().await.map_err(|error| Problem::unavailable(error.to_string()));
    log_failure("transaction markers", markers);
}

async fn mailboxes(node: &Node) -> Result<(), Problem> {
    let mut request = PageRequest::first(PageRequest::MAX);
    loop {
        let page = node.directory.accounts(None, &request).await?;
        for account in page.items {
            match node.mail.upkeep(account.id).await {
                Ok(report) if report == mail::UpkeepReport::default() => {}
                Ok(report) => tracing::debug!(account = %account.address, ?report, "upkeep"),
                Err(error) => tracing::warn!(account = %account.address, %error, "upkeep failed"),
            }
        }
        match page.next {
            Some(next) => request.after = Some(next),
            None => return Ok(()),
        }
    }
}

async fn queues(node: &Node) -> Result<(), Problem> {
    for id in node.inbound.trim().await? {
        tracing::warn!(%id, "dropped: it was in the error queue for as long as that keeps anything");
    }
    node.inbound.forget_handovers().await?;
    node.outbound.forget_handovers().await?;
    let failed = node.inbound.depth().await?.failed;
    if failed > 0 {
        tracing::warn!(failed, "mail waits in the error queue: see `magpie queue inbound list --failed`");
    }
    Ok(())
}

async fn blobs(node: &Node) -> Result<(), Problem> {
    let failed = |error: store::blob::Error| Problem::unavailable(error.to_string());
    loop {
        let swept = node.blobs.sweep(SweepLimits::default()).await.map_err(failed)?;
        if swept.removed > 0 {
            tracing::debug!(?swept, "blobs swept");
        }
        if !swept.more {
            break;
        }
    }
    let mut after = None;
    loop {
        let orphans = node.blobs.collect_orphans(after.as_ref()).await.map_err(failed)?;
        after = orphans.next;
        if after.is_none() {
            break;
        }
    }
    loop {
        let compacted = node.blobs.compact(CompactLimits::default()).await.map_err(failed)?;
        if compacted.removed > 0 {
            tracing::debug!(?compacted, "blobs compacted");
        }
        if !compacted.more {
            return Ok(());
        }
    }
}

fn log_failure(what: &str, done: Result<(), Problem>) {
    if let Err(error) = done {
        tracing::warn!(%error, "upkeep of {what} failed; it is tried again later");
    }
}

fn pause() -> Duration {
    let quarter = EVERY / 4;
    EVERY - quarter + rand::rng().random_range(Duration::ZERO..quarter * 2)
}
