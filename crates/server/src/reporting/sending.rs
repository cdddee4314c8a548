//! Writes down what was seen, and sends each day's reports: found out who wants them, signed, and put into the outbound
//! queue in the transaction that settles them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use checks::{KeyKind, Signer, Signing, SigningError, SigningKey};
use directory::{DkimAlgorithm, DkimSecret, DomainName};
use dns::Resolver;
use queue::{EntryId, NewEntry, Origin, Protection, Queue, Recipient};
use reports::{Claim, Content, Error, Kind, Nothing, Outlet, Reader, Rendered, Wish, render};
use store::kv::Transaction;
use thiserror::Error as ThisError;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use types::{Randomness, Timestamp};

use super::{Reporting, is_ours};
use crate::meters;
use crate::net::Lifecycle;
use crate::outbound::Leaving;

/// How often what was seen is written down, and what is due is looked for.
const EVERY: Duration = Duration::from_mins(1);
/// How many reports are taken at a time.
const AT_ONCE: usize = 8;

/// Why a report is not sent yet.
#[derive(Debug, ThisError)]
enum NotYet {
    #[error(transparent)]
    Report(#[from] Error),
    #[error("DNS does not say who wants it: {0}")]
    Dns(String),
    #[error("the directory: {0}")]
    Directory(#[from] directory::Error),
    #[error("the message cannot be stored: {0}")]
    Store(#[from] mail::Error),
    #[error(
        "no key of {0} signs, and reports without a signature are not believed: create one (`magpie dkim create {0}`), or \
         set reports.from to an address of a domain that has one"
    )]
    NoKey(String),
    #[error(transparent)]
    Signing(#[from] SigningError),
    #[error("the server is going down")]
    Stopping,
}

/// Starts the rounds; they end with the server.
pub(super) fn start(reporting: Reporting, resolver: Arc<dyn Resolver>, lifecycle: &Lifecycle) {
    let stopping = lifecycle.clone();
    lifecycle.spawn(async move {
        loop {
            tokio::select! {
                () = stopping.stopping() => return,
                () = sleep(EVERY) => {}
            }
            // What it has taken out of memory is in its hands until it is written down.
            reporting.flush().await;
            tokio::select! {
                () = stopping.stopping() => return,
                // Between two steps nothing is half done: what was claimed is taken up by whoever comes next.
                () = reporting.send(&resolver) => {}
            }
        }
    });
}

impl Reporting {
    pub(super) async fn flush(&self) {
        match self.reports().flush().await {
            Ok(flushed) => meters::reports_dropped(flushed.dropped),
            Err(error) => {
                tracing::warn!(%error, "what reports are made of cannot be written down; it is tried again")
            }
        }
    }

    /// Sends what is due.
    pub(super) async fn send(&self, resolver: &Arc<dyn Resolver>) {
        loop {
            let claims = match self.reports().claim(AT_ONCE).await {
                Ok(claims) if claims.is_empty() => return,
                Ok(claims) => claims,
                Err(error) => {
                    tracing::warn!(%error, "reports that are due cannot be taken; it is tried again");
                    return;
                }
            };
            for claim in claims {
                self.send_one(&claim, resolver).await;
            }
        }
    }

    async fn send_one(&self, claim: &Claim, resolver: &Arc<dyn Resolver>) {
        let (kind, domain, day) = (claim.kind.as_str(), &claim.domain, claim.day);
        match self.settle(claim, resolver).await {
            Ok(outcome) => {
                tracing::info!(kind, domain, %day, outcome, "a report is settled");
                meters::report_sent(kind, outcome);
            }
            Err(NotYet::Report(error @ Error::ClaimLost { .. })) => {
                tracing::info!(%error, "a report is not sent here")
            }
            Err(error) if self.reports().is_last(claim) => {
                tracing::warn!(kind, domain, %day, %error, "a report is given up");
                meters::report_sent(kind, "given_up");
                if let Err(error) = self.reports().settle(claim, &error.to_string(), &Nothing).await {
                    tracing::warn!(%error, "that a report is given up cannot be written down");
                }
            }
            Err(error) => tracing::warn!(kind, domain, %day, %error, "a report is tried again later"),
        }
    }

    /// Sends a report to whoever wants it, or finds that there is nobody.
    async fn settle(&self, claim: &Claim, resolver: &Arc<dyn Resolver>) -> Result<&'static str, NotYet> {
        let over = async |what: &str, outcome| {
            self.reports().settle(claim, what, &Nothing).await?;
            Ok(outcome)
        };
        let Some(content) = self.reports().content(claim).await? else { return over("empty", "empty").await };
        if is_ours(&self.inner.node.directory, &claim.domain).await? {
            return over("the domain is ours", "unwanted").await;
        }
        let wish = match claim.kind {
            Kind::Tls => reports::tls_readers(resolver, &claim.domain).await,
            Kind::Dmarc => reports::dmarc_readers(resolver, &claim.domain).await,
        };
        let readers = match wish {
            Wish::Readers(readers) => readers,
            Wish::Nobody(why) => return over(why, "unwanted").await,
            Wish::Later(why) => return Err(NotYet::Dns(why)),
        };
        let Some((letter, readers)) = self.letter(claim, &content, readers).await? else {
            return over("it is larger than anybody wants", "too_large").await;
        };
        let entry = self.entry(claim, letter, &readers).await?;
        let outlet = Enqueue { queue: &self.inner.node.outbound, entry: &entry };
        self.reports()
            .settle(claim, &format!("sent as {} to {}", entry.id, readers.join(", ")), &outlet)
            .await?;
        Ok("sent")
    }

    /// The signed message, and those who take one of its size.
    async fn letter(
        &self,
        claim: &Claim,
        content: &Content,
        readers: Vec<Reader>,
    ) -> Result<Option<(Vec<u8>, Vec<String>)>, NotYet> {
        let at = self.inner.node.clock.now();
        let sender = &self.inner.options.sender;
        let addresses =
            |readers: &[Reader]| readers.iter().map(|one| one.address.clone()).collect::<Vec<_>>();
        let all = addresses(&readers);
        let named: Vec<&str> = all.iter().map(String::as_str).collect();
        let Rendered { message, .. } = render(claim, content, sender, &named, at);
        let size = message.len() as u64;
        let fitting: Vec<Reader> =
            readers.into_iter().filter(|one| one.largest.is_none_or(|largest| size <= largest)).collect();
        if fitting.is_empty() {
            return Ok(None);
        }
        let fitting = addresses(&fitting);
        let named: Vec<&str> = fitting.iter().map(String::as_str).collect();
        let message =
            if fitting == all { message } else { render(claim, content, sender, &named, at).message };
        Ok(Some((self.signed(message, at).await?, fitting)))
    }

    /// The message with the signatures of the reporting domain on top.
    async fn signed(&self, message: Vec<u8>, at: Timestamp) -> Result<Vec<u8>, NotYet> {
        let name = self.inner.options.sender.domain();
        let no_key = || NotYet::NoKey(name.to_owned());
        let domain = DomainName::parse(name).map_err(|_| no_key())?;
        let secrets = self.inner.node.directory.signing_keys(&domain).await?;
        if secrets.is_empty() {
            return Err(no_key());
        }
        let work = spawn_blocking(move || sign(&domain, &secrets, message, at));
        work.await.map_err(|_stopping| NotYet::Stopping)?
    }

    async fn entry(&self, claim: &Claim, message: Vec<u8>, readers: &[String]) -> Result<NewEntry, NotYet> {
        let size = message.len() as u64;
        let packed = self.inner.node.mail.pack(Bytes::from(message)).await?;
        // Nobody here can do anything about a report that cannot be delivered.
        let recipient = |address: &String| Recipient {
            address: address.clone(),
            notify: Some(0),
            ..Recipient::default()
        };
        let leaving = Leaving {
            id: EntryId(Randomness::bytes()),
            origin: Origin {
                sender: self.inner.options.sender.address.clone(),
                // RFC 8460 §3: that TLS does not work must not keep from being told so.
                protection: match claim.kind {
                    Kind::Tls => Protection::Dispensable,
                    Kind::Dmarc => Protection::Usual,
                },
                ..Origin::default()
            },
            received: self.inner.node.clock.now(),
            size,
            packed,
            why: format!("it is the {} report on {} for {}", claim.kind.as_str(), claim.domain, claim.day),
            recipients: readers.iter().map(recipient).collect(),
            after: Duration::ZERO,
        };
        Ok(leaving.entry())
    }
}

fn sign(
    domain: &DomainName,
    secrets: &[DkimSecret],
    message: Vec<u8>,
    at: Timestamp,
) -> Result<Vec<u8>, NotYet> {
    let mut signers = Vec::new();
    for secret in secrets {
        let kind = match secret.algorithm {
            DkimAlgorithm::Rsa => KeyKind::Rsa,
            DkimAlgorithm::Ed25519 => KeyKind::Ed25519,
        };
        let key = SigningKey::from_pkcs8(kind, secret.private())?;
        signers.push(Signer::new(domain.as_str(), secret.selector.as_str(), key)?);
    }
    let body = memchr::memmem::find(&message, b"\r\n\r\n").map_or(message.len(), |at| at + 4);
    let (header, body) = message.split_at(body);
    let mut signing = Signing::default();
    signing.body(body);
    let fields = signing.sign(header, &signers, at)?;
    Ok([fields.as_bytes(), &message].concat())
}

/// Puts the message into the queue.
struct Enqueue<'a> {
    queue: &'a Queue,
    entry: &'a NewEntry,
}

impl Outlet for Enqueue<'_> {
    async fn join(&self, tx: &Transaction) -> Result<(), Error> {
        self.queue.enqueue_with(tx, self.entry).await.map_err(|error| Error::Outlet(error.to_string()))
    }
}
