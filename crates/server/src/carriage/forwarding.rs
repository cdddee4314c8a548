//! What makes a message that is sent on in our name one that the next server can believe, and that does not come back.
//!
//! - **The sender** becomes an address of ours (SRS): the next server asks by SPF whether we may send for its domain, and
//!   notifications find the way back.
//! - **A seal** (ARC) tells what we saw of signatures and SPF when the message came. Without results, as for mail that
//!   somebody here has submitted, or without an RSA key of the domain, there is none.
//! - **`Delivered-To:`** names the address whose mail is sent on. A message that comes back for it is refused where it comes
//!   in (RFC 5321 §6.3), and so is the sender's server told, not the sender again and again.
//!
//! From the top down the message then has these fields, our results, our `Received:` and what it came with.

use bytes::Bytes;
use checks::{Checks, Results, Signer};
use directory::DomainName;
use smtp::ForwardPath;
use tokio::task::spawn_blocking;
use types::Timestamp;

use super::Carrier;
use super::departure::Bound;
use crate::signers;

/// For whom and in whose name a message is sent on.
pub(super) struct Forwarding {
    /// The address that the message came for.
    address: String,
    /// The domain in whose name it is sent on.
    domain: DomainName,
}

impl Forwarding {
    pub(super) fn new(path: &ForwardPath, domain: DomainName) -> Self {
        let address = path.mailbox().map_or_else(|| format!("postmaster@{domain}"), ToString::to_string);
        Self { address, domain }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Whether it is in the name of this domain.
    pub(super) fn is_of(&self, domain: &DomainName) -> bool {
        self.domain == *domain
    }

    /// What tells it from others of the same message. No address holds a space outside quotes.
    pub(super) fn name(&self) -> String {
        format!("{} by {}", self.address, self.domain)
    }

    /// The sender as which it is sent on.
    pub(super) async fn sender(&self, carrier: &Carrier, sender: &str) -> Result<String, directory::Error> {
        carrier.directory.forwarded_sender(sender, &self.domain).await
    }

    /// The message as it is sent on.
    pub(super) async fn prepare(&self, carrier: &Carrier, bound: &Bound<'_>) -> Bytes {
        let mark = format!("Delivered-To: {}\r\n", self.address);
        let marked = Bytes::from([mark.as_bytes(), &bound.bytes].concat());
        let (Some(checks), Some(results)) = (&carrier.checks, bound.results) else { return marked };
        let Some(signer) = self.signer(carrier).await else { return marked };
        let sealed = seal(checks.clone(), results.clone(), marked.clone(), signer, bound.received);
        match sealed.await {
            Some(fields) => Bytes::from([fields.as_bytes(), &marked].concat()),
            None => marked,
        }
    }

    /// What the domain seals with. A seal helps; that there is none keeps no message back.
    async fn signer(&self, carrier: &Carrier) -> Option<Signer> {
        let domain = &self.domain;
        match signers::sealer(&carrier.directory, domain).await {
            Ok(Some(signer)) => Some(signer),
            Ok(None) => {
                tracing::debug!(%domain, "a message is sent on unsealed: no RSA key is active");
                None
            }
            Err(error) => {
                tracing::error!(%domain, %error, "a message is sent on unsealed");
                None
            }
        }
    }
}

async fn seal(
    checks: Checks,
    results: Results,
    message: Bytes,
    signer: Signer,
    at: Timestamp,
) -> Option<String> {
    let work = spawn_blocking(move || checks.seal(&results, &message, &signer, at));
    match work.await {
        Ok(Ok(fields)) => fields,
        Ok(Err(error)) => {
            tracing::error!(%error, "a message is sent on unsealed");
            None
        }
        Err(_stopping) => None,
    }
}

#[cfg(test)]
mod tests;
