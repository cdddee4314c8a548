//! A submitted message from its header to the octets that leave: completed (RFC 6409 §8) and signed.
//!
//! From the top down these are our signatures, our `Received:` field and the rest of the header; the body stays as it came,
//! and was hashed for the signatures while it came. Everybody gets the same octets; copies for mailboxes here have
//! `Return-Path:` on top of them.

use std::sync::Arc;

use bytes::Bytes;
use checks::Signing;
use compose::{Stamp, Submitted};
use directory::Authenticated;
use memchr::memmem;
use smtp::{BodyType, Refusal, Trace};

use super::super::SmtpServer;
use super::super::connection::{no_room, try_again};
use super::super::examination::{Arrived, Examined, Place, in_lines};
use super::super::spool::Spool;
use crate::meters::Refused;
use crate::signers;

/// A message whose header has come and was found well.
pub(in crate::driver::smtp) struct Draft {
    /// The address of the account that sends.
    account: String,
    header: Arc<Submitted>,
    /// The addresses in the header that are the account's.
    own: Vec<String>,
    /// Hashes the body as it comes; none where that is put into lines first.
    signing: Option<Signing>,
}

impl Draft {
    pub(super) fn new(who: &Authenticated, header: Arc<Submitted>, own: Vec<String>, body: BodyType) -> Self {
        let signing = (body != BodyType::BinaryMime).then(Signing::default);
        Self { account: who.address().to_string(), header, own, signing }
    }

    pub(super) fn body(&mut self, chunk: &[u8]) {
        if let Some(signing) = &mut self.signing {
            signing.body(chunk);
        }
    }

    /// The message as it is kept and sent, or why it is not taken. The spool holds the body, and its hash is that of header
    /// and body as they came.
    pub(in crate::driver::smtp) async fn finish(
        mut self,
        server: &SmtpServer,
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
        let header = self.complete(server, message);
        let bytes = match self.signing.take() {
            Some(signing) => {
                let signatures = self.sign(server, message, signing, header.clone()).await?;
                let fields = [return_path.as_bytes(), signatures.as_bytes(), &header].concat();
                whole.under(&fields, &[])
            }
            None => {
                let lined = in_lines(whole.under(&header, &[])).await?;
                let body = memmem::find(&lined, b"\r\n\r\n").map_or(lined.len(), |end| end + 4);
                let mut signing = Signing::default();
                signing.body(lined.get(body..).unwrap_or_default());
                let header = lined.get(..body).unwrap_or_default().to_vec();
                let signatures = self.sign(server, message, signing, header).await?;
                Bytes::from([return_path.as_bytes(), signatures.as_bytes(), &lined].concat())
            }
        };
        let recognisable = self.header.has_id();
        Ok(Examined { bytes, top, hash, place: Place::Inbox, results: None, unchecked: None, recognisable })
    }

    /// The header with what it lacks, and without what must not leave.
    fn complete(&self, server: &SmtpServer, message: Arrived<'_>) -> Vec<u8> {
        let Arrived { envelope, id, at } = message;
        let hostname = &server.config.hostname;
        let trace = Trace { hostname, id, at, client_name: None };
        let received = trace.submitted(envelope);
        let stamp = Stamp { received: &received, account: &self.account, at, id, host: hostname };
        self.header.complete(&stamp, |address| self.own.iter().any(|own| own == address))
    }

    async fn sign(
        &self,
        server: &SmtpServer,
        message: Arrived<'_>,
        signing: Signing,
        header: Vec<u8>,
    ) -> Result<String, (Refusal, Refused)> {
        let authors = self.header.authors();
        let authors = if authors.is_empty() { vec![self.account.clone()] } else { authors };
        let domains = signers::domains(&authors);
        let signed = signers::sign(&server.directory, domains, signing, header, message.at).await;
        signed.map_err(|error| {
            tracing::error!(id = message.id, %error, "a message is turned away: it cannot be signed");
            (try_again(), Refused::Failure)
        })
    }
}
