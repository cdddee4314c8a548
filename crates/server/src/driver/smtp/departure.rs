//! The part of a message that goes to other servers: one entry in the outbound queue for all of its recipients there.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use queue::{EntryId, Error, Handover, Protection, Recipient, Transfer};
use smtp::Envelope;
use thiserror::Error as ThisError;
use types::{Header, Randomness, Timestamp};

use super::SmtpServer;
use super::recipients::Recipients;
use super::retries::Fingerprint;
use crate::origin::{member, origin, recipient};
use crate::outbound::Leaving;

/// How often a message is packed anew because what it shares with others was swept meanwhile.
const ATTEMPTS: u32 = 3;

/// Who elsewhere gets a message.
pub(super) struct Departure {
    recipients: Vec<Recipient>,
    /// By what a retry of the client is recognised; none where it cannot be.
    pub(super) fingerprint: Option<Fingerprint>,
    name: Handover,
}

/// A message as it leaves.
pub(super) struct Bound<'a> {
    pub(super) id: EntryId,
    pub(super) envelope: &'a Envelope,
    pub(super) received: Timestamp,
    /// Without `Return-Path:`.
    pub(super) bytes: Bytes,
    /// How long it waits before it is sent.
    pub(super) after: Duration,
}

/// Why a message could not be put on its way.
#[derive(Debug, ThisError)]
pub(super) enum Grounded {
    #[error(transparent)]
    Mail(#[from] mail::Error),
    #[error(transparent)]
    Queue(#[from] Error),
}

impl Departure {
    /// Who of the recipients is elsewhere; none if nobody is. `hash` is that of the message as it came, if a retry of it can
    /// be told from a second message.
    pub(super) async fn plan(
        server: &SmtpServer,
        envelope: &Envelope,
        recipients: &Recipients,
        hash: Option<&blake3::Hash>,
    ) -> Option<Self> {
        let mut seen: HashSet<&str> = HashSet::new();
        let mut leaving = Vec::new();
        for named in &envelope.recipients {
            let route = recipients.route(&named.path);
            let form = if route.is_expanded() { member } else { recipient };
            for address in &route.remote {
                if seen.insert(address) {
                    leaving.push(form(address.clone(), Some(named)));
                }
            }
        }
        if leaving.is_empty() {
            return None;
        }
        let fingerprint = hash.map(|hash| Fingerprint::of_departure(&envelope.origin.sender, seen, hash));
        let name = match &fingerprint {
            Some(fingerprint) => Handover(server.retries.name(fingerprint).await.0),
            None => Handover(Randomness::bytes()),
        };
        Some(Self { recipients: leaving, fingerprint, name })
    }

    /// How many recipients are elsewhere.
    pub(super) fn recipients(&self) -> usize {
        self.recipients.len()
    }

    /// Puts the message on its way. When this returns `Ok` it is durable, and will be sent; or it is the client's retry of
    /// one that is or was on its way, whose id is returned.
    pub(super) async fn depart(
        &self,
        server: &SmtpServer,
        bound: &Bound<'_>,
    ) -> Result<Option<EntryId>, Grounded> {
        let mut origin = origin(bound.envelope);
        if origin.transfer == Transfer::Binary {
            // What has no lines was put into some: it can go to servers that know no BINARYMIME.
            origin.transfer = Transfer::EightBit;
        }
        if origin.protection == Protection::Usual && waives_tls(&bound.bytes) {
            origin.protection = Protection::Dispensable;
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            let leaving = Leaving {
                id: bound.id,
                origin: origin.clone(),
                received: bound.received,
                size: bound.bytes.len() as u64,
                packed: server.mail.pack(bound.bytes.clone()).await?,
                why: "it is for other servers".to_owned(),
                recipients: self.recipients.clone(),
                after: bound.after,
            };
            match server.outbound.enqueue_once(&leaving.entry(), self.name).await {
                Ok(()) => return Ok(None),
                Err(Error::Exists(earlier)) => return Ok(Some(earlier)),
                Err(Error::Vanished) if attempt < ATTEMPTS => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether the header says `TLS-Required: No` (RFC 8689 §4): delivery matters more than protection on the way.
fn waives_tls(message: &[u8]) -> bool {
    let header = Header::parse(message);
    let mut fields = header.named("tls-required");
    matches!((fields.next(), fields.next()), (Some(only), None) if only.value().trim_ascii().eq_ignore_ascii_case(b"no"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_field_waives_tls() {
        for yes in ["TLS-Required: No\r\n\r\n", "A: b\r\ntls-required:\r\n no \r\n\r\n"] {
            assert!(waives_tls(yes.as_bytes()), "{yes}");
        }
        for no in [
            "\r\n",
            "TLS-Required: Yes\r\n\r\n",
            "\r\nTLS-Required: No\r\n",
            "TLS-Required: No\r\nTLS-Required: No\r\n\r\n",
        ] {
            assert!(!waives_tls(no.as_bytes()), "{no}");
        }
    }
}
