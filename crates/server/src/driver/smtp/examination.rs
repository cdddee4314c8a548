//! What the checks make of a message that was received whole, and the form in which it is kept.
//!
//! On top of it come our trace fields; from the top down these are `Return-Path:`, `Authentication-Results:` and
//! `Received:` (RFC 5321 §4.4, RFC 8601 §4.1). Fields that others have written in our name are cut out. Every other
//! octet stays as it came.

use std::time::Instant;

use bytes::Bytes;
use checks::{Action, Pending, Refused, Verdict};
use smtp::{Envelope, Refusal, RefusalCode, Trace};
use types::Timestamp;

use super::SmtpServer;
use super::connection::no_room;
use super::spool::Spool;

/// A message as it is kept.
pub(super) struct Examined {
    /// All of it, with our fields on top.
    pub(super) bytes: Bytes,
    /// The hash of the message as it came.
    pub(super) hash: blake3::Hash,
    pub(super) place: Place,
}

/// Where a message goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Inbox,
    /// Where suspicious mail is kept.
    Junk,
}

/// Checks a message, if anybody wants it checked, and puts our fields on top; or says why it is not taken.
pub(super) async fn examine(
    server: &SmtpServer,
    envelope: &Envelope,
    pending: Option<Pending>,
    spool: Spool,
    (id, at): (&str, Timestamp),
) -> Result<Examined, Refusal> {
    let whole = spool.finish().await.map_err(|error| {
        tracing::error!(%error, "a message is turned away: it cannot be read back from the spool");
        no_room()
    })?;
    let verdict = match pending {
        Some(pending) => Some(judged(pending, whole.message(), id).await?),
        None => None,
    };
    let client_name = verdict.as_ref().and_then(|verdict| verdict.client_name.as_deref());
    let trace = Trace { hostname: &server.config.hostname, id, at, client_name };
    let mut fields = Trace::return_path(envelope);
    fields.push_str(verdict.as_ref().map_or("", |verdict| &verdict.fields));
    fields.push_str(&trace.received(envelope));
    let suspicious = verdict.as_ref().is_some_and(|verdict| verdict.action == Action::Quarantine);
    let place = if suspicious { Place::Junk } else { Place::Inbox };
    let forged = verdict.map(|verdict| verdict.forged).unwrap_or_default();
    let hash = whole.hash();
    Ok(Examined { bytes: whole.under(fields.as_bytes(), &forged), hash, place })
}

async fn judged(pending: Pending, message: Bytes, id: &str) -> Result<Verdict, Refusal> {
    let began = Instant::now();
    let verdict = pending.message(message).await;
    let ms = began.elapsed().as_millis();
    let found = verdict.results.as_ref().map(|results| results.summary()).unwrap_or_default();
    match &verdict.action {
        Action::Reject(refused) | Action::Defer(refused) => {
            tracing::info!(id, ms, found, why = refused.text, "turned away by the checks");
            Err(refusal(refused))
        }
        Action::Accept | Action::Quarantine => {
            tracing::info!(id, ms, found, suspicious = verdict.action == Action::Quarantine, "checked");
            Ok(verdict)
        }
    }
}

fn refusal(refused: &Refused) -> Refusal {
    let code = if refused.code >= 500 { RefusalCode::MailboxUnavailable } else { RefusalCode::LocalError };
    let (subject, detail) = refused.status;
    Refusal::new(code, subject, detail, &refused.text)
}
