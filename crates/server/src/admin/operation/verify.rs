//! Looking whether everything that is stored agrees.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::admin::Operation;
use crate::node::Node;
use crate::problem::Problem;

/// Something that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Finding {
    /// Which rule is broken.
    pub(crate) rule: String,
    /// Where.
    pub(crate) place: String,
    /// What is there, and what should be.
    pub(crate) what: String,
}

/// Verifies one account, by its number.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) id: u64,
}

impl Operation for Account {
    const NAME: &'static str = "verify.account";
    type Answer = Vec<Finding>;

    async fn run(self, node: &Node, _: Bytes) -> Result<Vec<Finding>, Problem> {
        let findings = node.mail.verify(types::AccountId(self.id)).await?;
        let view = |f: mail::Finding| Finding { rule: f.rule.to_owned(), place: f.place, what: f.what };
        Ok(findings.into_iter().map(view).collect())
    }
}

/// Verifies the blob store: each reference, each blob, each byte.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Blobs {}

/// What was looked at in the blob store, and what is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct BlobReport {
    pub(crate) blobs: u64,
    pub(crate) bytes: u64,
    pub(crate) findings: Vec<Finding>,
}

impl Operation for Blobs {
    const NAME: &'static str = "verify.blobs";
    type Answer = BlobReport;

    async fn run(self, node: &Node, _: Bytes) -> Result<BlobReport, Problem> {
        use store::blob::Finding as F;
        let mut findings = Vec::new();
        let report = node
            .blobs
            .verify(true, |finding| {
                let (rule, place) = match &finding {
                    F::Lost { hash, .. } => ("references lead to blobs", format!("blob {hash}")),
                    F::Damaged { hash, .. } => ("blobs are what their names say", format!("blob {hash}")),
                    F::Stray { hash } => ("blobs are needed or swept", format!("blob {hash}")),
                    F::Usage { extent, .. } => ("usage is counted", format!("extent {:?}", extent.0)),
                };
                findings.push(Finding { rule: rule.to_owned(), place, what: finding.to_string() });
            })
            .await
            .map_err(|error| Problem::unavailable(format!("the blob store cannot be verified: {error}")))?;
        Ok(BlobReport { blobs: report.blobs, bytes: report.bytes, findings })
    }
}

/// Verifies the queues: their rows, and that every message in them can be put together.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Queue {}

/// What was looked at in the queues, and what is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct QueueReport {
    pub(crate) messages: u64,
    pub(crate) findings: Vec<Finding>,
}

impl Operation for Queue {
    const NAME: &'static str = "verify.queue";
    type Answer = QueueReport;

    async fn run(self, node: &Node, _: Bytes) -> Result<QueueReport, Problem> {
        let mut report = QueueReport { messages: 0, findings: Vec::new() };
        for queue in [&node.inbound, &node.outbound] {
            let (messages, findings) = queue.verify().await?;
            let view = |f: queue::Finding| Finding { rule: f.rule.to_owned(), place: f.place, what: f.what };
            report.messages += messages;
            report.findings.extend(findings.into_iter().map(view));
            read_all(node, queue, &mut report.findings).await?;
        }
        Ok(report)
    }
}

/// Reads every message of a queue.
async fn read_all(node: &Node, queue: &queue::Queue, findings: &mut Vec<Finding>) -> Result<(), Problem> {
    let mut after = None;
    loop {
        let page = queue.list(after, super::PAGE).await?;
        for entry in &page.entries {
            let what = match queue.body(entry.id).await {
                Ok(row) => unreadable(node, &row).await?,
                // It has been delivered since.
                Err(queue::Error::NoSuchEntry(_)) => None,
                Err(error) => return Err(error.into()),
            };
            // What cannot be read because it has been delivered meanwhile is no damage.
            if let Some(what) = what
                && queue.show(entry.id).await?.is_some()
            {
                let rule = "queued messages can be read".to_owned();
                findings.push(Finding { rule, place: format!("message {}", entry.id), what });
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Why a packed message is not what it was, if it is not.
async fn unreadable(node: &Node, row: &[u8]) -> Result<Option<String>, Problem> {
    let read = async {
        let source = node.mail.unpack(row)?;
        let mut stream = source.stream(0..source.size());
        let mut hasher = blake3::Hasher::new();
        while let Some(chunk) = stream.next().await? {
            hasher.update(&chunk);
        }
        Ok(*hasher.finalize().as_bytes() == source.hash())
    };
    match read.await {
        Ok(true) => Ok(None),
        Ok(false) => Ok(Some("its bytes are not those that were accepted".to_owned())),
        Err(error @ mail::Error::DamagedPack(_)) => Ok(Some(error.to_string())),
        Err(error) => Err(error.into()),
    }
}
