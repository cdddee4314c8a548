//! Reports on our domains that come by mail.

use std::sync::Arc;

use bytes::Bytes;
use checks::{DmarcResult, Results};
use reports::{Kept, Received};
use tokio::task::spawn_blocking;

use super::attachments::attachments;
use super::{Reporting, is_ours};
use crate::meters;

/// Who has sent a message, as far as the checks can say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Author {
    /// The domain in `From:`; empty if nobody has looked.
    domain: String,
    /// It stands behind the message.
    proved: bool,
}

impl Author {
    /// The author that the checks found.
    pub(crate) fn of(results: Option<&Results>) -> Self {
        let first = results.and_then(|results| results.dmarc.first());
        first.map_or_else(Self::default, |check| Self {
            domain: check.domain.to_string(),
            proved: check.result == DmarcResult::Pass,
        })
    }
}

impl Reporting {
    /// Looks into a message for an address that takes reports, in the background: the message is delivered whatever comes
    /// of it, and stays in its mailbox if this process ends before.
    pub(crate) fn read(&self, id: String, message: Bytes, author: Author) {
        let Ok(place) = self.inner.waiting.clone().try_acquire_owned() else {
            tracing::warn!(id, "not looked at for a report: too many wait for that");
            meters::report_received("unknown", "busy");
            return;
        };
        let reporting = self.clone();
        self.inner.tasks.spawn(async move {
            let _place = place;
            let Ok(_turn) = reporting.inner.reading.acquire().await else { return };
            reporting.look(&id, message, author).await;
        });
    }

    async fn look(&self, id: &str, message: Bytes, author: Author) {
        let work = spawn_blocking(move || {
            let found = attachments(&message).into_iter().map(|one| reports::read(&one));
            found.collect::<Vec<_>>()
        });
        let Ok(found) = work.await else { return };
        let sender = Arc::new(author);
        for report in found {
            match report {
                Ok(report) => self.keep(id, report, &sender).await,
                Err(error) => {
                    tracing::info!(id, sender = sender.domain, %error, "an attachment is not taken for a report");
                    meters::report_received("unknown", "unread");
                }
            }
        }
    }

    async fn keep(&self, id: &str, report: Received, author: &Author) {
        let (kind, domain) = (report.kind.as_str(), report.domain.clone());
        let report = Received { sender: author.domain.clone(), proved: author.proved, ..report };
        let kept = match is_ours(&self.inner.node.directory, &domain).await {
            Ok(true) => self.reports().keep(report).await,
            Ok(false) => {
                tracing::info!(id, kind, domain, "a report on a domain that is not ours is not kept");
                return meters::report_received(kind, "not_ours");
            }
            Err(error) => {
                tracing::warn!(id, kind, domain, %error, "a report is not kept: the directory cannot be asked");
                return meters::report_received(kind, "failed");
            }
        };
        let outcome = match kept {
            Ok(Kept::New(report)) => {
                tracing::info!(id, kind, domain, sender = author.domain, %report, "a report is kept");
                "kept"
            }
            Ok(Kept::Known(_)) => "known",
            Ok(Kept::OutOfTime) => "out_of_time",
            Ok(Kept::Full) => {
                tracing::warn!(id, kind, domain, "a report is not kept: there are too many of that day");
                "full"
            }
            Err(error) => {
                tracing::warn!(id, kind, domain, %error, "a report is not kept");
                "failed"
            }
        };
        meters::report_received(kind, outcome);
    }
}
