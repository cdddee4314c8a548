//! What becomes of a message that was received whole. Here is the one place that says it is durable.

use std::net::IpAddr;
use std::time::Instant;

use mail::{Delivered, Delivery, Quota};
use smtp::{DeliveryVerdict, Envelope, Protocol, Receipt, Refusal, RefusalCode, Trace};
use types::{AccountId, Keywords, MailboxId, Randomness};

use super::SmtpServer;
use super::connection::{no_room, refuse_all, try_again};
use super::recipients::{Destination, Recipients};
use super::retries::Fingerprint;
use super::spool::Spool;

/// A message that was received whole, and where it is to go.
pub(crate) struct Incoming<'a> {
    pub(crate) server: &'a SmtpServer,
    pub(crate) envelope: &'a Envelope,
    pub(crate) recipients: &'a Recipients,
    pub(crate) client: IpAddr,
}

/// The verdicts in the envelope's order, and what is settled when the client has got the reply.
pub(crate) struct Outcome {
    pub(crate) verdicts: Vec<DeliveryVerdict>,
    pub(crate) settled: Vec<Fingerprint>,
}

/// What became of the message for one account.
type Fate = (AccountId, Result<Delivered, mail::Error>);

impl Incoming<'_> {
    /// Makes the message durable for every recipient that it can be delivered to.
    pub(crate) async fn deliver(self, spool: Spool) -> Outcome {
        let began = Instant::now();
        let size = spool.size();
        // The message itself, and what parsing and storing make of it.
        let Some(_memory) = self.server.budget.store(size.saturating_mul(2)).await else {
            tracing::warn!(size, "a message is turned away: too many are being stored");
            return self.refused(&no_room());
        };
        let id = message_id();
        let trace = Trace { hostname: &self.server.config.hostname, id: &id, at: self.server.clock.now() };
        let fields = Trace::return_path(self.envelope) + &trace.received(self.envelope);
        let spooled = match spool.finish(fields.as_bytes()).await {
            Ok(spooled) => spooled,
            Err(error) => {
                tracing::error!(%error, "a message is turned away: it cannot be read back from the spool");
                return self.refused(&no_room());
            }
        };
        let message = match self.server.mail.ingest(spooled.bytes).await {
            Ok(message) => message,
            Err(error) => return self.refused(&refusal(&error)),
        };
        // Without a Message-ID two equal messages may both be meant.
        let recognisable = message.metadata().header.last("message-id").is_some();
        let (deliveries, fingerprints) = self.deliveries(&spooled.hash, recognisable).await;
        let results = self.server.mail.deliver(&message, &deliveries).await;
        let fates: Vec<Fate> = deliveries.iter().map(|delivery| delivery.account).zip(results).collect();
        let took = began.elapsed();
        for (account, fate) in &fates {
            match fate {
                Ok(done) => tracing::info!(
                    id, %account, client = %self.client, sender = %self.envelope.origin.sender, size,
                    ms = took.as_millis(), duplicate = done.duplicate, "delivered"
                ),
                Err(error) => tracing::warn!(id, %account, client = %self.client, %error, "not delivered"),
            }
        }
        let verdict = |path| self.verdict(self.recipients.destinations(path), &fates, &id);
        let verdicts: Vec<_> =
            self.envelope.recipients.iter().map(|recipient| verdict(&recipient.path)).collect();
        let settled = self.settled(&verdicts, &fates, fingerprints);
        Outcome { verdicts, settled }
    }

    /// One delivery for each account that any recipient leads to.
    async fn deliveries(
        &self,
        hash: &blake3::Hash,
        recognisable: bool,
    ) -> (Vec<Delivery>, Vec<(AccountId, Fingerprint)>) {
        let received = self.server.clock.now();
        let mut deliveries: Vec<Delivery> = Vec::new();
        let mut fingerprints = Vec::new();
        for recipient in &self.envelope.recipients {
            for Destination { account, limits } in self.recipients.destinations(&recipient.path) {
                if deliveries.iter().any(|delivery| delivery.account == *account) {
                    continue;
                }
                let mut id = None;
                if recognisable {
                    let fingerprint = Fingerprint::new(&self.envelope.origin.sender, *account, hash);
                    id = Some(self.server.retries.name(&fingerprint).await);
                    fingerprints.push((*account, fingerprint));
                }
                deliveries.push(Delivery {
                    account: *account,
                    mailbox: MailboxId::INBOX,
                    keywords: Keywords::new(),
                    received,
                    quota: Quota { bytes: limits.bytes, emails: limits.messages },
                    id,
                });
            }
        }
        (deliveries, fingerprints)
    }

    /// What one recipient's sender is told. Where an address leads to many accounts, the message counts as taken when
    /// one has it and the others refuse it for good or are full, as on a list: the healthy ones would else get it
    /// again with every retry after a day. A failure of ours makes the client try again, and those who have the
    /// message do not get it twice.
    fn verdict(&self, destinations: &[Destination], fates: &[Fate], id: &str) -> DeliveryVerdict {
        let mut delivered = false;
        let mut refused = None;
        for destination in destinations {
            match fate_of(fates, destination.account) {
                Some(Ok(_)) => delivered = true,
                Some(Err(error @ (mail::Error::OverQuota { .. } | mail::Error::TooLarge { .. }))) => {
                    refused = Some(refusal(error));
                }
                Some(Err(error)) => return DeliveryVerdict::Refuse(refusal(error)),
                None => return DeliveryVerdict::Refuse(try_again()),
            }
        }
        match (delivered, refused) {
            // `mail` has returned: the transaction that holds the message is on the disk.
            (true, _) => DeliveryVerdict::Durable(Receipt::durable(id)),
            (false, Some(refusal)) => DeliveryVerdict::Refuse(refusal),
            (false, None) => DeliveryVerdict::Refuse(try_again()),
        }
    }

    /// What the client will not send again once it has our reply. In SMTP one refused recipient makes it send the
    /// message again for all of them; in LMTP each has a reply of its own.
    fn settled(
        &self,
        verdicts: &[DeliveryVerdict],
        fates: &[Fate],
        fingerprints: Vec<(AccountId, Fingerprint)>,
    ) -> Vec<Fingerprint> {
        let taken = |verdict: &DeliveryVerdict| matches!(verdict, DeliveryVerdict::Durable(_));
        let one_reply = self.server.config.protocol == Protocol::Smtp;
        if one_reply && !verdicts.iter().all(taken) {
            return Vec::new();
        }
        let leads_to =
            |path, account| self.recipients.destinations(path).iter().any(|d| d.account == account);
        let settled = fingerprints.into_iter().filter(|(account, _)| {
            let mut leading =
                self.envelope.recipients.iter().zip(verdicts).filter(|(r, _)| leads_to(&r.path, *account));
            leading.all(|(_, verdict)| taken(verdict)) && matches!(fate_of(fates, *account), Some(Ok(_)))
        });
        settled.map(|(_, fingerprint)| fingerprint).collect()
    }

    fn refused(&self, refusal: &Refusal) -> Outcome {
        Outcome { verdicts: refuse_all(self.envelope, refusal), settled: Vec::new() }
    }
}

fn fate_of(fates: &[Fate], account: AccountId) -> Option<&Result<Delivered, mail::Error>> {
    fates.iter().find(|(other, _)| *other == account).map(|(_, fate)| fate)
}

/// A failure of the mail store in SMTP's words.
fn refusal(error: &mail::Error) -> Refusal {
    match error {
        mail::Error::OverQuota { .. } => {
            Refusal::new(RefusalCode::InsufficientStorage, 2, 2, "This mailbox is full; try again later")
        }
        mail::Error::TooLarge { limit, .. } => {
            let text = format!("The message is too large; the limit is {limit} octets");
            Refusal::new(RefusalCode::ExceededStorage, 3, 4, &text)
        }
        error => {
            tracing::error!(%error, "a message is turned away: the mail store failed");
            if matches!(error, mail::Error::Full(_)) { no_room() } else { try_again() }
        }
    }
}

/// What an operator finds the message by, in its trace field, in our reply and in the log.
fn message_id() -> String {
    Randomness::bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect()
}
