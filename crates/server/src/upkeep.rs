//! What a server does now and then: trims logs, purges what was expunged long ago, gives disk space back.

use std::time::Duration;

use directory::PageRequest;
use mail::{Addressee, Arrival, Submission, Word};
use queue::Line;
use rand::RngExt;
use store::blob::{CompactLimits, SweepLimits};
use store::kv::Transaction;
use tokio::time::sleep;
use types::AccountId;

use crate::carriage::entries;
use crate::net::Lifecycle;
use crate::node::Node;
use crate::outbound::trim_policies;
use crate::problem::Problem;
use crate::text::span;

/// The time between two rounds, give or take a quarter: nodes that were started together do not stay in step.
const EVERY: Duration = Duration::from_secs(15 * 60);

/// How much of the outbound queue is looked at for its oldest message, and how many lines at once.
const SAMPLE: usize = 10_000;
const LINES: usize = 500;

/// Starts the rounds; they end with the server.
pub(crate) fn start(node: Node, oldest_mark: Duration, lifecycle: &Lifecycle) {
    let stopping = lifecycle.clone();
    lifecycle.spawn(async move {
        tokio::select! {
            () = stopping.stopping() => return,
            indexed = index_aliases(&node) => log_failure("aliases", indexed),
        }
        loop {
            let round = async {
                sleep(pause()).await;
                round(&node, oldest_mark).await;
            };
            // Every step is a transaction of its own: a round can be dropped between any two.
            tokio::select! {
                () = stopping.stopping() => return,
                () = round => {}
            }
        }
    });
}

async fn round(node: &Node, oldest_mark: Duration) {
    log_failure("mailboxes", mailboxes(node).await);
    log_failure("the inbound queue", inbound(node).await);
    log_failure("the outbound queue", outbound(node, oldest_mark).await);
    log_failure("blobs", blobs(node).await);
    let grants = node.directory.sweep_grants().await;
    log_failure("tokens", grants.map(|_| ()).map_err(|error| Problem::unavailable(error.to_string())));
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
            log_failure("submissions", lost_submissions(node, account.id).await);
            // Whoever has changed them was perhaps cut off before clients could hear of it.
            let limits = mail::Quota { bytes: account.quota.bytes, emails: account.quota.messages };
            let noted = node.mail.note_limits(account.id, limits).await;
            log_failure("quotas", noted.map_err(|error| Problem::unavailable(error.to_string())));
        }
        match page.next {
            Some(next) => request.after = Some(next),
            None => return Ok(()),
        }
    }
}

/// Older releases did not write down which names aliases lead to.
async fn index_aliases(node: &Node) -> Result<(), Problem> {
    let mut request = PageRequest::first(PageRequest::MAX);
    while let Some(next) = node.directory.index_aliases(&request).await? {
        request.after = Some(next);
    }
    Ok(())
}

/// Says of submissions that wait in a queue, and are in none any more, that nobody knows what became of them: an operator
/// has dropped them.
async fn lost_submissions(node: &Node, account: AccountId) -> Result<(), Problem> {
    let unavailable = |error: mail::Error| Problem::unavailable(error.to_string());
    let (_, all) = node.mail.submissions(account).await.map_err(unavailable)?;
    let young = node.clock.now().minus(EVERY);
    for (id, submission) in all.iter().filter(|(_, submission)| submission.made < young) {
        let waits = |one: &&Addressee| one.arrival == Arrival::Queued;
        let waiting: Vec<&Addressee> = submission.recipients.iter().filter(waits).collect();
        if waiting.is_empty() || is_queued(node, submission).await? {
            continue;
        }
        let words: Vec<Word> = waiting
            .into_iter()
            .filter_map(|one| one.queued_as.clone())
            .map(|address| Word {
                address,
                reply: "250 2.0.0 It is in no queue any more".to_owned(),
                arrival: Arrival::Unknown,
            })
            .collect();
        let (mail, words) = (&node.mail, &words);
        let note = |tx: Transaction| async move { mail.note_submission(&tx, account, *id, words).await };
        node.kv.run(note).await.map_err(unavailable)?;
        mail.stir(account).await;
    }
    Ok(())
}

async fn is_queued(node: &Node, submission: &Submission) -> Result<bool, Problem> {
    let (inbound, outbound) = entries(submission);
    if let Some(id) = inbound
        && node.inbound.show(id).await?.is_some()
    {
        return Ok(true);
    }
    for id in outbound {
        if node.outbound.show(id).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn inbound(node: &Node) -> Result<(), Problem> {
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

async fn outbound(node: &Node, oldest_mark: Duration) -> Result<(), Problem> {
    for id in node.outbound.trim().await? {
        tracing::warn!(%id, "dropped: it was in the error queue for as long as that keeps anything");
    }
    let failed = node.outbound.depth().await?.failed;
    if failed > 0 {
        tracing::warn!(
            failed,
            "mail for other servers that has no sender to be told waits in the error queue: see `magpie queue outbound`"
        );
    }
    let policies = trim_policies(&node.kv, node.clock.now()).await;
    policies.map_err(|error| Problem::unavailable(error.to_string()))?;
    let ages = node.outbound.ages(SAMPLE).await?;
    match ages.waiting {
        Some(age) if age >= oldest_mark => warn_of_oldest(node, age).await,
        _ => Ok(()),
    }
}

/// Says why the oldest message waits: if it stands in line, its destination is to blame, and has said why.
async fn warn_of_oldest(node: &Node, age: Duration) -> Result<(), Problem> {
    let waits = span(age.as_secs());
    let mut after: Option<String> = None;
    let mut oldest: Option<Line> = None;
    loop {
        let page = node.outbound.lines(after.as_deref(), LINES).await?;
        for line in page.lines.into_iter().filter(|line| line.oldest.is_some()) {
            if oldest.as_ref().is_none_or(|known| line.oldest < known.oldest) {
                oldest = Some(line);
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    match oldest {
        Some(line) => tracing::warn!(
            waits, destination = line.destination, depth = line.depth, why = ?line.why, cause = ?line.cause,
            said = line.said, attempts = line.attempts,
            "mail for other servers has waited for long; this is the line that has waited longest"
        ),
        None => tracing::warn!(waits, "mail for another server has waited for long, for a reason of its own"),
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
