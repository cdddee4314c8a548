//! A submitted message from its header to the octets that leave: completed (RFC 6409 §8) and signed.
//!
//! From the top down these are our signatures, our `Received:` field and the rest of the header; the body stays as it came,
//! and was hashed for the signatures while it came. Everybody gets the same octets; copies for mailboxes here have
//! `Return-Path:` on top of them.

use std::sync::Arc;

use bytes::Bytes;
use checks::Signing;
use compose::{Stamp, Submitted};
use directory::{Authenticated, DomainName};
use smtp::{BodyType, Envelope, Refusal, Trace};

use super::Carrier;
use super::examination::{Arrived, Examined, Place, in_lines};
use super::refusal::{no_room, try_again};
use super::spool::Spool;
use crate::meters::Refused;
use crate::signers::{self, Unsigned};

/// A message whose header has come and was found well.
pub(crate) struct Draft {
    /// The address of the account that sends.
    account: String,
    header: Arc<Submitted>,
    /// The addresses in the header that are the account's.
    own: Vec<String>,
    /// Hashes the body as it comes; none where that is put into lines first.
    signing: Option<Signing>,
    /// The `Received:` field of the way on which it came.
    received: Received,
}

/// Writes the `Received:` field of a submitted message.
type Received = fn(&Trace<'_>, &Envelope) -> String;

impl Draft {
    pub(crate) fn new(who: &Authenticated, header: Arc<Submitted>, own: Vec<String>, body: BodyType) -> Self {
        let signing = (body != BodyType::BinaryMime).then(Signing::default);
        let received = |trace: &Trace<'_>, envelope: &Envelope| trace.submitted(envelope);
        Self { account: who.address().to_string(), header, own, signing, received }
    }

    /// The same, of a message that came without a session of SMTP.
    #[must_use]
    pub(crate) fn handed_in(self) -> Self {
        Self { received: |trace, envelope| trace.handed_in(envelope), ..self }
    }

    pub(crate) fn body(&mut self, chunk: &[u8]) {
        if let Some(signing) = &mut self.signing {
            signing.body(chunk);
        }
    }

    /// The message as it is kept and sent, or why it is not taken. The spool holds the body, and its hash is that of header
    /// and body as they came.
    pub(super) async fn finish(
        mut self,
        carrier: &Carrier,
        message: Arrived<'_>,
        spool: Spool,
    ) -> Result<Examined, (Refusal, Refused)> {
        let whole = spool.finish().await.map_err(|error| {
            tracing::error!(%error, "a message is turned away: it cannot be read back from the spool");
            (no_room(), Refused::NoRoom)
        })?;
        let hash = whole.hash();
        let return_path = Trace::return_path(message.envelope);
        let top = return_path.len();
        let header = self.complete(carrier, message);
        let bytes = match self.signing.take() {
            Some(signing) => {
                let signatures = self.sign(carrier, message, signing, header.clone()).await?;
                let fields = [return_path.as_bytes(), signatures.as_bytes(), &header].concat();
                whole.under(&fields, &[])
            }
            None => {
                let lined = in_lines(whole.under(&header, &[])).await?;
                let signatures = self.sign_whole(carrier, message, lined.clone()).await?;
                Bytes::from([return_path.as_bytes(), signatures.as_bytes(), &lined].concat())
            }
        };
        let recognisable = self.header.has_id();
        Ok(Examined { bytes, top, hash, place: Place::Inbox, results: None, unchecked: None, recognisable })
    }

    /// The header with what it lacks, and without what must not leave.
    fn complete(&self, carrier: &Carrier, message: Arrived<'_>) -> Vec<u8> {
        let Arrived { envelope, id, at } = message;
        let hostname = &carrier.hostname;
        let trace = Trace { hostname, id, at, client_name: None };
        let received = (self.received)(&trace, envelope);
        let stamp = Stamp { received: &received, account: &self.account, at, id, host: hostname };
        self.header.complete(&stamp, |address| self.own.iter().any(|own| own == address))
    }

    /// The signatures for a message whose body has been hashed as it came.
    async fn sign(
        &self,
        carrier: &Carrier,
        message: Arrived<'_>,
        signing: Signing,
        header: Vec<u8>,
    ) -> Result<String, (Refusal, Refused)> {
        let signed = signers::sign(&carrier.directory, self.domains(), signing, header, message.at).await;
        signed.map_err(|error| not_signed(message, &error))
    }

    /// The signatures for a message that was changed since it came.
    async fn sign_whole(
        &self,
        carrier: &Carrier,
        message: Arrived<'_>,
        lined: Bytes,
    ) -> Result<String, (Refusal, Refused)> {
        let signed = signers::sign_whole(&carrier.directory, self.domains(), lined, message.at).await;
        signed.map_err(|error| not_signed(message, &error))
    }

    /// The domains that sign: those of the authors.
    fn domains(&self) -> Vec<DomainName> {
        let authors = self.header.authors();
        if authors.is_empty() { domains(std::slice::from_ref(&self.account)) } else { domains(&authors) }
    }
}

fn not_signed(message: Arrived<'_>, error: &Unsigned) -> (Refusal, Refused) {
    tracing::error!(id = message.id, %error, "a message is turned away: it cannot be signed");
    (try_again(), Refused::Failure)
}

/// The domains of these addresses, each once.
fn domains(authors: &[String]) -> Vec<DomainName> {
    let mut domains: Vec<DomainName> = Vec::new();
    for author in authors {
        let domain = author.rsplit_once('@').and_then(|(_, domain)| DomainName::parse(domain).ok());
        if let Some(domain) = domain
            && !domains.contains(&domain)
        {
            domains.push(domain);
        }
    }
    domains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_domain_signs_once() {
        let authors = ["a@x.test", "b@X.test", "c@y.test", "no address"].map(str::to_owned);
        let domains = domains(&authors);
        let names: Vec<&str> = domains.iter().map(DomainName::as_str).collect();
        assert_eq!(names, ["x.test", "y.test"]);
    }
}
