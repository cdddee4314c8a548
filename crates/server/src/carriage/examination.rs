//! What the checks make of a message that was received whole, and the form in which it is kept.
//!
//! On top of it come our trace fields; from the top down these are `Return-Path:`, `Authentication-Results:` and
//! `Received:` (RFC 5321 §4.4, RFC 8601 §4.1). Fields that others have written in our name are cut out. Every other
//! octet stays as it came.

use bytes::Bytes;
use checks::{Action, Pending, Results, Verdict};
use mail::ingest;
use queue::Unchecked;
use reports::Treatment;
use smtp::{BodyType, Envelope, Refusal, RefusalCode, Trace};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use types::Timestamp;

use super::Carrier;
use super::refusal::{no_room, try_again};
use super::spool::Spool;
use crate::meters::{self, Refused};

/// A message as it is kept.
pub(super) struct Examined {
    /// All of it, with our fields on top.
    pub(super) bytes: Bytes,
    /// How many of its first octets are `Return-Path:`, which does not leave this server.
    pub(super) top: usize,
    /// The hash of the message as it came.
    pub(super) hash: blake3::Hash,
    /// Whether it came with a Message-ID: without one two equal messages may both be meant.
    pub(super) recognisable: bool,
    pub(super) place: Place,
    /// What the checks found out; none where nobody wanted it checked, or it is still to be.
    pub(super) results: Option<Results>,
    /// Set if it is still to be checked; then it is whole, with whatever others have written in our name.
    pub(super) unchecked: Option<Unchecked>,
}

/// Where a message goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Inbox,
    /// Where suspicious mail is kept.
    Junk,
}

/// A message that was received whole.
#[derive(Clone, Copy)]
pub(super) struct Arrived<'a> {
    pub(super) envelope: &'a Envelope,
    /// What it is called here.
    pub(super) id: &'a str,
    pub(super) at: Timestamp,
}

/// Checks a message, if anybody wants it checked, and puts our fields on top; or says why it is not taken. Checks that are
/// not done by `patience` are left for later.
pub(super) async fn examine(
    carrier: &Carrier,
    message: Arrived<'_>,
    pending: Option<Pending>,
    spool: Spool,
    patience: Instant,
) -> Result<Examined, (Refusal, Refused)> {
    let whole = spool.finish().await.map_err(|error| {
        tracing::error!(%error, "a message is turned away: it cannot be read back from the spool");
        (no_room(), Refused::NoRoom)
    })?;
    let Arrived { envelope, id, at } = message;
    let (verdict, slow) = match pending {
        Some(pending) => {
            match timeout_at(patience, judged(carrier, message, pending, whole.message())).await {
                Ok(verdict) => (Some(verdict?), false),
                Err(_late) => (None, true),
            }
        }
        None => (None, false),
    };
    let client_name = verdict.as_ref().and_then(|verdict| verdict.client_name.as_deref());
    let trace = Trace { hostname: &carrier.hostname, id, at, client_name };
    let mut fields = Trace::return_path(envelope);
    let first = fields.len();
    fields.push_str(verdict.as_ref().map_or("", |verdict| &verdict.fields));
    fields.push_str(&trace.received(envelope));
    let suspicious = verdict.as_ref().is_some_and(|verdict| verdict.action == Action::Quarantine);
    let place = if suspicious { Place::Junk } else { Place::Inbox };
    let (forged, results) = verdict.map(|verdict| (verdict.forged, verdict.results)).unwrap_or_default();
    let hash = whole.hash();
    let bytes = whole.under(fields.as_bytes(), &forged);
    let lined = match envelope.origin.body {
        BodyType::BinaryMime => in_lines(bytes.clone()).await?,
        BodyType::SevenBit | BodyType::EightBitMime => bytes.clone(),
    };
    let mut read = ingest::fields::Fields::new(&bytes);
    let recognisable = read.any(|field| field.name.eq_ignore_ascii_case(b"message-id"));
    if !slow {
        return Ok(Examined {
            bytes: lined,
            top: first,
            hash,
            recognisable,
            place,
            results,
            unchecked: None,
        });
    }
    // The fields of a message are far shorter than what may come over a line.
    let length = |octets: usize| u32::try_from(octets).unwrap_or(u32::MAX);
    let unchecked = Unchecked { first: length(first), fields: length(fields.len()) };
    tracing::info!(id, "the checks take too long; they are done again from the queue");
    Ok(Examined { bytes, top: first, hash, recognisable, place, results, unchecked: Some(unchecked) })
}

/// A message that came as BINARYMIME in the form in which it can be kept, handed out and passed on.
pub(super) async fn in_lines(bytes: Bytes) -> Result<Bytes, (Refusal, Refused)> {
    let work = spawn_blocking(move || ingest::in_lines(&bytes, &ingest::Limits::default()));
    match work.await {
        Ok(Some(lined)) => Ok(lined),
        Ok(None) => {
            let text = "Only bodies whose transfer encoding is binary may hold NUL, or a CR or LF alone";
            Err((Refusal::new(RefusalCode::TransactionFailed, 6, 0, text), Refused::Malformed))
        }
        Err(_stopping) => Err((try_again(), Refused::Failure)),
    }
}

async fn judged(
    carrier: &Carrier,
    Arrived { envelope, id, .. }: Arrived<'_>,
    pending: Pending,
    message: Bytes,
) -> Result<Verdict, (Refusal, Refused)> {
    let began = Instant::now();
    let verdict = pending.message(message).await;
    let recipients = envelope.recipients.iter().filter_map(|one| one.path.mailbox());
    carrier.reporting.saw_message(
        verdict.results.as_ref(),
        &verdict.action,
        Treatment::Followed,
        recipients.map(ToString::to_string),
    );
    let ms = began.elapsed().as_millis();
    verdict.results.iter().for_each(meters::checked);
    meters::judged(&verdict.action, began.elapsed());
    let found = verdict.results.as_ref().map(|results| results.summary()).unwrap_or_default();
    match &verdict.action {
        Action::Reject(refused) | Action::Defer(refused) => {
            tracing::info!(id, ms, found, why = refused.text, "turned away by the checks");
            let deferred = matches!(verdict.action, Action::Defer(_));
            Err((refusal(refused), if deferred { Refused::Unchecked } else { Refused::Policy }))
        }
        Action::Accept | Action::Quarantine => {
            tracing::info!(id, ms, found, suspicious = verdict.action == Action::Quarantine, "checked");
            Ok(verdict)
        }
    }
}

fn refusal(refused: &checks::Refused) -> Refusal {
    let code = if refused.code >= 500 { RefusalCode::MailboxUnavailable } else { RefusalCode::LocalError };
    let (subject, detail) = refused.status;
    Refusal::new(code, subject, detail, &refused.text)
}
