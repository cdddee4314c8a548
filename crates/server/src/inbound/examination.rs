//! Checks a message that was accepted before that could be done, exactly as it would have been checked in the session, and
//! puts the results on top of it.
//!
//! One thing is different: its sender was told 250 and cannot be told anything else any more. To send a notification
//! would be to send it to whoever was forged. So what the session would have refused goes to where suspicious mail is
//! kept, with the results that say why; and what it would have deferred is tried again, and ends in the error queue
//! if that goes on.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use checks::{Action, Client, Pending, Verdict};
use mail::ingest;
use queue::{Lease, Outcome, Transfer, Unchecked};
use reports::Treatment;

use super::Inbound;
use crate::meters;
use crate::reporting::Author;

/// The checks of a message that are under way.
pub(super) struct Examination {
    pending: Pending,
    unchecked: Unchecked,
    began: Instant,
}

/// A message as it is delivered.
pub(super) struct Examined {
    pub(super) raw: Bytes,
    /// It goes to where suspicious mail is kept.
    pub(super) suspicious: bool,
    /// Who has written it, if it was checked just now.
    pub(super) author: Option<Author>,
}

impl Examination {
    /// Begins with what needs no message, and waits for it; none if the message was checked, or is not to be.
    pub(super) async fn begin(inbound: &Inbound, lease: &Lease) -> Option<Self> {
        let origin = lease.origin();
        let unchecked = origin.unchecked?;
        let address = origin.client.address.as_deref()?.parse().ok()?;
        let sender = (!origin.sender.is_empty()).then(|| origin.sender.clone());
        let client = Client { address, hello: origin.client.hello.clone(), sender };
        let began = Instant::now();
        let mut pending = inbound.inner.checks.as_ref()?.begin(client);
        pending.settled().await;
        Some(Self { pending, unchecked, began })
    }

    /// Checks the message as it lies in the queue; or says that it is to be tried again.
    pub(super) async fn finish(
        self,
        inbound: &Inbound,
        lease: &Lease,
        stored: Bytes,
    ) -> Result<Examined, Outcome> {
        let damaged = || Outcome::Never("where the message begins is not known any more".to_owned().into());
        let (first, fields) = (self.unchecked.first as usize, self.unchecked.fields as usize);
        if first > fields || fields > stored.len() {
            return Err(damaged());
        }
        let message = stored.slice(fields..);
        let verdict = self.pending.message(message.clone()).await;
        let ms = self.began.elapsed().as_millis();
        let found = verdict.results.as_ref().map(|results| results.summary()).unwrap_or_default();
        inbound.inner.reporting.saw_message(
            verdict.results.as_ref(),
            &verdict.action,
            Treatment::AfterAcceptance,
            lease.pending().map(|(_, recipient)| recipient.address.as_str()),
        );
        verdict.results.iter().for_each(meters::checked);
        meters::judged(&verdict.action, self.began.elapsed());
        let suspicious = match &verdict.action {
            Action::Accept => false,
            Action::Quarantine | Action::Reject(_) => true,
            Action::Defer(refused) if !lease.is_released() => {
                return Err(Outcome::Later(refused.text.clone().into()));
            }
            // An operator wants it delivered, whatever is not known of it.
            Action::Defer(_) => true,
        };
        tracing::info!(id = %lease.id(), ms, found, suspicious, "checked from the queue");
        let raw = put_together(&stored, (first, fields), &message, &verdict);
        let raw = match lease.origin().transfer {
            Transfer::Binary => ingest::in_lines(&raw, &ingest::Limits::default()).ok_or_else(damaged)?,
            Transfer::SevenBit | Transfer::EightBit => raw,
        };
        let author = Some(Author::of(verdict.results.as_ref()));
        Ok(Examined { raw, suspicious, author })
    }
}

/// From the top down: our first field, the results, our other fields, and the message without what others have written in
/// our name.
fn put_together(
    stored: &Bytes,
    (first, fields): (usize, usize),
    message: &Bytes,
    verdict: &Verdict,
) -> Bytes {
    let mut whole = BytesMut::with_capacity(stored.len() + verdict.fields.len());
    whole.extend_from_slice(stored.get(..first).unwrap_or_default());
    whole.extend_from_slice(verdict.fields.as_bytes());
    whole.extend_from_slice(stored.get(first..fields).unwrap_or_default());
    let mut at = 0;
    for cut in &verdict.forged {
        whole.extend_from_slice(message.get(at..cut.start).unwrap_or_default());
        at = cut.end;
    }
    whole.extend_from_slice(message.get(at..).unwrap_or_default());
    whole.freeze()
}
