//! What becomes of a message that was received whole. Here is the one place that says it is durable.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use checks::Pending;
use mail::{Delivery, DeliveryId, Message, Packed, Quota, Recorded};
use queue::{EntryId, Unchecked};
use smtp::{DeliveryVerdict, Envelope, Protocol, Receipt, Refusal, RefusalCode};
use tokio::time::timeout_at;
use types::{AccountId, Keywords, MailboxId, Randomness, Timestamp};

use super::Carrier;
use super::booking::Booking;
use super::departure::{Bound, Departure, Grounded};
use super::draft::Draft;
use super::examination::{Arrived, Examined, Place, examine};
use super::owed::Debt;
use super::recipients::{Destination, Recipients, Route};
use super::refusal::{no_room, refuse_all, try_again};
use super::retries::Fingerprint;
use super::spool::Spool;
use crate::inbound::{Taking, Waiting};
use crate::junk;
use crate::meters::{self, Became, Refused, Why};
use crate::reporting::Author;

/// A message that was received whole, and where it is to go.
pub(crate) struct Incoming<'a> {
    pub(crate) carrier: &'a Carrier,
    pub(crate) envelope: &'a Envelope,
    pub(crate) recipients: &'a Recipients,
    /// The client's address, where it has one that says something.
    pub(crate) client: Option<IpAddr>,
    /// The checks that have begun, if it is to be checked.
    pub(crate) checks: Option<Pending>,
    /// Its header, if it is submitted: the spool then holds the body alone.
    pub(crate) draft: Option<Draft>,
    /// What is written down together with what is put on its way, if it is submitted by JMAP.
    pub(crate) booking: Option<&'a Booking>,
}

/// The verdicts in the envelope's order, and what is settled when the client has got the reply.
pub(crate) struct Outcome {
    pub(crate) verdicts: Vec<DeliveryVerdict>,
    pub(crate) settled: Vec<Fingerprint>,
    /// What was written down, if anything was to be.
    pub(crate) booked: Option<Recorded>,
}

/// What became of the message for one account.
pub(super) type Fate = (AccountId, Result<Safe, mail::Error>);

/// Where a message is that survives a power loss.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Safe {
    /// In the mailbox.
    Delivered { duplicate: bool },
    /// In the inbound queue.
    Queued(Why),
}

/// How the message stands with one of its recipients.
pub(super) enum Standing<'f> {
    /// It is safe for all that the recipient leads to, or for all of them that ever get it.
    Safe,
    /// The recipient will not get it.
    Lost(&'f mail::Error),
    /// The client has to send it again.
    Open(Refusal),
}

/// What is to be done with a message: one delivery for each account that any recipient leads to, and departures for those
/// elsewhere.
pub(super) struct Plan {
    pub(super) id: EntryId,
    size: u64,
    pub(super) received: Timestamp,
    /// How long it waits before it goes anywhere (RFC 4865).
    pub(super) after: Duration,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) departures: Vec<Departure>,
    /// It is suspicious, and stays here.
    kept_back: bool,
    /// The hash of the message as it came, if a retry of it can be told from a second message.
    pub(super) recognised: Option<blake3::Hash>,
    /// By what a retry of the client is recognised; none where it cannot be.
    fingerprints: Vec<(AccountId, Fingerprint)>,
}

impl Plan {
    /// The name of the delivery to an account.
    pub(super) fn delivery(&self, account: AccountId) -> Option<DeliveryId> {
        let at = self.deliveries.binary_search_by_key(&account, |delivery| delivery.account).ok()?;
        self.deliveries.get(at)?.id
    }

    /// Whether there is somebody on another server to send it to.
    pub(super) fn leaves(&self) -> bool {
        !self.departures.is_empty()
    }
}

/// What became of the part for other servers; none if there is none.
type Departed = Option<Result<Option<EntryId>, Grounded>>;

impl Incoming<'_> {
    /// Makes the message durable for every recipient: in their mailboxes, which is the normal path, else in the inbound
    /// queue; and for those elsewhere in the outbound one.
    pub(crate) async fn deliver(mut self, spool: Spool) -> Outcome {
        let began = Instant::now();
        let size = spool.size();
        // From here on the sender waits for us.
        let patience = tokio::time::Instant::now() + self.patience();
        if let Some(checks) = &mut self.checks {
            let _whether_or_not = timeout_at(patience, checks.settled()).await;
        }
        // The message itself, and what parsing and storing make of it.
        let Some(_memory) = self.carrier.budget.store(size.saturating_mul(2)).await else {
            tracing::warn!(size, "a message is turned away: too many are being stored");
            return self.refused(&no_room(), Refused::NoRoom);
        };
        let id = EntryId(Randomness::bytes());
        let received = self.carrier.clock.now();
        let checks = self.checks.take();
        let message = Arrived { envelope: self.envelope, id: &id.to_string(), at: received };
        let examined = match self.draft.take() {
            Some(draft) => draft.finish(self.carrier, message, spool).await,
            None => examine(self.carrier, message, checks, spool, patience).await,
        };
        let examined = match examined {
            Ok(examined) => examined,
            Err((refusal, why)) => return self.refused(&refusal, why),
        };
        if examined.place == Place::Junk && self.leads_only_elsewhere() {
            return self.refused(&not_sent_on(), Refused::Policy);
        }
        self.read_reports(id, &examined);
        let plan = self.plan(id, &examined, received).await;
        let fates = match self.bring_home(&plan, &examined).await {
            Ok(fates) => fates,
            Err((refusal, why)) => return self.refused(&refusal, why),
        };
        let (booked, departed) = match self.booking {
            Some(booking) => self.send_booked(booking, &plan, &examined, &fates).await,
            None => (None, self.send_off(&plan, &examined).await),
        };
        self.log(&plan, &fates, &departed, began);
        meters::took(began.elapsed());
        let standing = |path| self.standing(&plan, self.recipients.route(path), &fates, &departed);
        let standings: Vec<_> =
            self.envelope.recipients.iter().map(|recipient| standing(&recipient.path)).collect();
        let debt = self.pay(&plan, &examined, &fates, &standings, booked).await;
        let verdicts: Vec<_> = standings.into_iter().map(|standing| verdict(standing, &debt, id)).collect();
        let settled = self.settled(&verdicts, &fates, plan, debt);
        Outcome { verdicts, settled, booked }
    }

    /// How long checks may take before they are left for later. A message that is sent on waits for them: nothing leaves
    /// unchecked, and what they find is sealed. They come to an end by themselves.
    fn patience(&self) -> Duration {
        let leaves = self.envelope.recipients.iter().any(|r| self.recipients.route(&r.path).leaves());
        if leaves { Duration::from_hours(1) } else { self.carrier.inbound.slow_checks() }
    }

    /// Whether there is a recipient without a mailbox here in which a suspicious message could be kept.
    fn leads_only_elsewhere(&self) -> bool {
        let routes = self.envelope.recipients.iter().map(|recipient| self.recipients.route(&recipient.path));
        routes.into_iter().any(|route| route.local.is_empty() && route.leaves())
    }

    /// Has a message looked at that may be a report on a domain of ours, unless it is suspicious or still to be checked.
    fn read_reports(&self, id: EntryId, examined: &Examined) {
        let reporting = &self.carrier.reporting;
        let mut addresses = self.envelope.recipients.iter().filter_map(|one| one.path.mailbox());
        if self.carrier.protocol != Protocol::Submission
            && examined.unchecked.is_none()
            && examined.place == Place::Inbox
            && addresses.any(|address| reporting.takes_reports(&address.to_string()))
        {
            reporting.read(id.to_string(), examined.bytes.clone(), Author::of(examined.results.as_ref()));
        }
    }

    /// What becomes of the message for the accounts here; or why it is refused for everybody.
    async fn bring_home(&self, plan: &Plan, examined: &Examined) -> Result<Vec<Fate>, (Refusal, Refused)> {
        if plan.deliveries.is_empty() {
            return Ok(Vec::new());
        }
        if plan.after > Duration::ZERO {
            let why = "its sender wants it to be delivered later";
            let put_off = self.put_off(plan, examined, why, Why::Held).await;
            return put_off.map_err(|()| (try_again(), Refused::Failure));
        }
        let placed = match (examined.unchecked, self.carrier.inbound.load().begin()) {
            // Nothing gets into a mailbox unchecked.
            (Some(_), _) => {
                let put_off = self.put_off(plan, examined, &self.too_slow(), Why::SlowChecks).await;
                return put_off.map_err(|()| (try_again(), Refused::Unchecked));
            }
            (None, Ok(_under_way)) => self.place(plan, examined.bytes.clone()).await,
            (None, Err(why)) => match self.put_off(plan, examined, &why, Why::Load).await {
                Ok(fates) => Ok(fates),
                // Without a queue the load is the lesser evil.
                Err(()) => self.place(plan, examined.bytes.clone()).await,
            },
        };
        placed.map_err(|error| (refusal(&error), Refused::Failure))
    }

    /// Puts the message on its way to other servers, if anybody is there.
    async fn send_off(&self, plan: &Plan, examined: &Examined) -> Departed {
        let bound = Bound {
            envelope: self.envelope,
            received: plan.received,
            bytes: examined.bytes.slice(examined.top.min(examined.bytes.len())..),
            results: examined.results.as_ref(),
            after: plan.after,
        };
        let mut departed = None;
        for departure in &plan.departures {
            // What has left already is recognised when the client comes again.
            match departure.depart(self.carrier, &bound).await {
                Ok(earlier) => departed = Some(Ok(earlier)),
                Err(error) => return Some(Err(error)),
            }
        }
        departed
    }

    /// Puts the message on its way to wherever it is to wait, and writes its submission down.
    async fn send_booked(
        &self,
        booking: &Booking,
        plan: &Plan,
        examined: &Examined,
        fates: &[Fate],
    ) -> (Option<Recorded>, Departed) {
        if !self.can_be_booked(plan, fates) {
            return (None, None);
        }
        match self.book(booking, plan, examined, fates).await {
            Ok(recorded) => (Some(recorded), plan.leaves().then_some(Ok(None))),
            Err(error) => {
                tracing::error!(id = %plan.id, account = %booking.account, %error, "a submission is not written down");
                (None, plan.leaves().then_some(Err(error)))
            }
        }
    }

    /// One delivery for each account that any recipient leads to, and departures for all others. Suspicious mail is not sent
    /// on: in our name it would be our spam, and whoever reads it there could not tell it from the rest.
    async fn plan(&self, id: EntryId, examined: &Examined, received: Timestamp) -> Plan {
        // Without a Message-ID two equal messages may both be meant.
        let recognised = Some(examined.hash).filter(|_| examined.recognisable && self.booking.is_none());
        let sender = self.envelope.origin.sender.mailbox().map(ToString::to_string);
        let (mut deliveries, mut known): (Vec<Delivery>, _) = (Vec::new(), HashSet::new());
        let mut fingerprints = Vec::new();
        for recipient in &self.envelope.recipients {
            for Destination { account, limits } in &self.recipients.route(&recipient.path).local {
                if !known.insert(*account) {
                    continue;
                }
                let id = if let Some(booking) = self.booking {
                    DeliveryId(booking.name_of(&account.to_be_bytes()))
                } else if let Some(hash) = &recognised {
                    let fingerprint = Fingerprint::new(&self.envelope.origin.sender, *account, hash);
                    let id = self.carrier.retries.name(&fingerprint).await;
                    fingerprints.push((*account, fingerprint));
                    id
                } else {
                    // Still, what is delivered and queued at once, because the store lost an answer, is one.
                    DeliveryId(Randomness::bytes())
                };
                deliveries.push(Delivery {
                    account: *account,
                    mailbox: match examined.place {
                        Place::Inbox => MailboxId::INBOX,
                        Place::Junk => junk::mailbox(&self.carrier.mail, *account).await,
                    },
                    keywords: Keywords::new(),
                    received,
                    quota: Quota { bytes: limits.bytes, emails: limits.messages },
                    id: Some(id),
                    reports_on: None,
                    answer_to: sender.clone().filter(|_| examined.place == Place::Inbox),
                });
            }
        }
        // They are looked for by their accounts, and a list may lead to thousands.
        deliveries.sort_unstable_by_key(|delivery| delivery.account);
        let kept_back = examined.place == Place::Junk;
        let departures = match kept_back {
            true => Vec::new(),
            false => {
                Departure::plan(self.carrier, id, self.envelope, self.recipients, recognised.as_ref()).await
            }
        };
        let held = self.envelope.origin.submission.hold_until;
        Plan {
            id,
            size: examined.bytes.len() as u64,
            received,
            after: held.map_or(Duration::ZERO, |until| until.since(received)),
            deliveries,
            departures,
            kept_back,
            recognised,
            fingerprints,
        }
    }

    /// Delivers the message. What fails for a reason of ours that may be over soon goes to the queue.
    async fn place(&self, plan: &Plan, bytes: Bytes) -> Result<Vec<Fate>, mail::Error> {
        let began = Instant::now();
        let message = self.carrier.mail.ingest(bytes).await?;
        let results = self.carrier.mail.deliver(&message, &plan.deliveries).await;
        self.carrier.inbound.load().took(began.elapsed());
        let safe = |done: mail::Delivered| Safe::Delivered { duplicate: done.duplicate };
        let results = results.into_iter().map(|result| result.map(safe));
        let mut fates: Vec<Fate> =
            plan.deliveries.iter().map(|delivery| delivery.account).zip(results).collect();
        if fates.iter().any(|(_, fate)| is_ours(fate)) {
            self.put_off_failures(plan, &message, &mut fates).await;
        }
        Ok(fates)
    }

    /// Puts the message into the queue for everybody.
    async fn put_off(
        &self,
        plan: &Plan,
        examined: &Examined,
        why: &str,
        reason: Why,
    ) -> Result<Vec<Fate>, ()> {
        let queued = || {
            let queued = |delivery: &Delivery| (delivery.account, Ok(Safe::Queued(reason)));
            Ok(plan.deliveries.iter().map(queued).collect())
        };
        if self.booking.is_some() {
            // It enters the queue together with what says so.
            return queued();
        }
        let packed = self.carrier.mail.pack(examined.bytes.clone()).await;
        let packed =
            packed.map_err(|error| tracing::warn!(id = %plan.id, %error, "a message cannot be queued"))?;
        let recipients = plan.deliveries.iter().map(|delivery| self.waiting(delivery, None)).collect();
        self.enqueue(plan, packed, examined.unchecked, why, recipients).await?;
        queued()
    }

    /// Puts the message into the queue for those to whom it could not be delivered now.
    async fn put_off_failures(&self, plan: &Plan, message: &Message, fates: &mut [Fate]) {
        let failed = plan.deliveries.iter().zip(fates.iter()).filter(|(_, (_, fate))| is_ours(fate));
        let said = |fate: &Fate| fate.1.as_ref().err().map(ToString::to_string);
        let recipients = failed.map(|(delivery, fate)| self.waiting(delivery, said(fate))).collect();
        let why = "its delivery failed for now";
        if self.enqueue(plan, message.packed(), None, why, recipients).await.is_ok() {
            for (_, fate) in fates.iter_mut().filter(|(_, fate)| is_ours(fate)) {
                *fate = Ok(Safe::Queued(Why::Failure));
            }
        }
    }

    async fn enqueue(
        &self,
        plan: &Plan,
        packed: Packed,
        unchecked: Option<Unchecked>,
        why: &str,
        recipients: Vec<Waiting<'_>>,
    ) -> Result<(), ()> {
        if self.booking.is_some() {
            return Ok(());
        }
        let taken = self.carrier.inbound.take(self.taking(plan, packed, unchecked, why, recipients)).await;
        taken.map_err(|error| tracing::error!(id = %plan.id, %error, "a message cannot be queued"))
    }

    pub(super) fn taking<'t>(
        &'t self,
        plan: &Plan,
        packed: Packed,
        unchecked: Option<Unchecked>,
        why: &'t str,
        recipients: Vec<Waiting<'t>>,
    ) -> Taking<'t> {
        let Plan { id, received, size, after, .. } = *plan;
        Taking { id, envelope: self.envelope, received, size, packed, unchecked, why, recipients, after }
    }

    pub(super) fn waiting<'d>(&'d self, delivery: &'d Delivery, said: Option<String>) -> Waiting<'d> {
        let leads_there =
            |path| self.recipients.route(path).local.iter().any(|d| d.account == delivery.account);
        let recipient = self.envelope.recipients.iter().find(|recipient| leads_there(&recipient.path));
        let address = self.address_of(recipient);
        let expanded = recipient.is_some_and(|one| self.recipients.route(&one.path).is_expanded());
        Waiting { address, delivery, said, recipient, expanded }
    }

    /// The address by which the queue knows a recipient.
    pub(super) fn address_of(&self, recipient: Option<&smtp::Recipient>) -> String {
        let address = recipient.and_then(|recipient| recipient.path.mailbox());
        address.map_or_else(|| "postmaster".to_owned(), ToString::to_string)
    }

    fn too_slow(&self) -> String {
        let mark = self.carrier.inbound.slow_checks().as_millis();
        format!("its checks took longer than {mark} ms, as they do when DNS does not answer")
    }

    fn log(&self, plan: &Plan, fates: &[Fate], departed: &Departed, began: Instant) {
        let (id, size) = (plan.id, plan.size);
        let client = self.client.map(tracing::field::display);
        let (sender, ms) = (&self.envelope.origin.sender, began.elapsed().as_millis());
        let via = self.via();
        for (account, fate) in fates {
            meters::delivered(via, became(fate));
            match fate {
                Ok(Safe::Delivered { duplicate }) => {
                    tracing::info!(%id, %account, client, %sender, size, ms, duplicate, "delivered");
                }
                Ok(Safe::Queued(_)) => tracing::info!(%id, %account, client, %sender, size, ms, "queued"),
                Err(error) => tracing::warn!(%id, %account, client, %error, "not delivered"),
            }
        }
        let recipients: usize = plan.departures.iter().map(Departure::recipients).sum();
        match departed {
            None => {}
            Some(Ok(earlier)) => {
                let why = if earlier.is_some() { Why::Duplicate } else { Why::Elsewhere };
                meters::delivered(via, Became::Queued(why));
                let earlier = earlier.map(|id| id.to_string());
                tracing::info!(%id, client, %sender, size, recipients, ms, earlier, "queued for other servers");
            }
            Some(Err(error)) => {
                meters::delivered(via, Became::Refused(Why::Failure));
                tracing::error!(%id, client, recipients, %error, "not queued for other servers");
            }
        }
    }

    /// How the message stands with one recipient. Where an address leads to many accounts, the message counts as taken when
    /// one has it and the others refuse it for good or are full, as on a list: the healthy ones would else get it
    /// again with every retry after a day. A failure of ours makes the client try again, and those who have the
    /// message do not get it twice.
    fn standing<'f>(
        &self,
        plan: &Plan,
        route: &Route,
        fates: &'f [Fate],
        departed: &Departed,
    ) -> Standing<'f> {
        let mut safe = false;
        let mut lost = None;
        for destination in &route.local {
            match fate_of(fates, destination.account) {
                Some(Ok(Safe::Delivered { .. } | Safe::Queued(_))) => safe = true,
                Some(Err(error @ (mail::Error::OverQuota { .. } | mail::Error::TooLarge { .. }))) => {
                    lost = Some(error);
                }
                Some(Err(error)) => return Standing::Open(refusal(error)),
                None => return Standing::Open(try_again()),
            }
        }
        if route.leaves() && !plan.kept_back {
            match departed {
                Some(Ok(_)) => safe = true,
                Some(Err(_)) | None => return Standing::Open(try_again()),
            }
        }
        match (safe, lost) {
            (true, _) => Standing::Safe,
            (false, Some(error)) => Standing::Lost(error),
            (false, None) => Standing::Open(try_again()),
        }
    }

    /// What the client will not send again once it has our reply. In SMTP one refused recipient makes it send the
    /// message again for all of them; in LMTP each has a reply of its own.
    fn settled(
        &self,
        verdicts: &[DeliveryVerdict],
        fates: &[Fate],
        plan: Plan,
        debt: Debt,
    ) -> Vec<Fingerprint> {
        let taken = |verdict: &DeliveryVerdict| matches!(verdict, DeliveryVerdict::Durable(_));
        let one_reply = self.carrier.protocol != Protocol::Lmtp;
        if one_reply && !verdicts.iter().all(taken) {
            return Vec::new();
        }
        let refused = self.envelope.recipients.iter().zip(verdicts).filter(|(_, verdict)| !taken(verdict));
        let refused = refused.flat_map(|(recipient, _)| &self.recipients.route(&recipient.path).local);
        let open: HashSet<AccountId> = refused.map(|destination| destination.account).collect();
        let settled = plan.fingerprints.into_iter().filter(|(account, _)| {
            !open.contains(account) && matches!(fate_of(fates, *account), Some(Ok(_)))
        });
        let mut settled: Vec<Fingerprint> = settled.map(|(_, fingerprint)| fingerprint).collect();
        let departs = |path| self.recipients.route(path).leaves();
        let mut departing = self.envelope.recipients.iter().zip(verdicts).filter(|(r, _)| departs(&r.path));
        if departing.all(|(_, verdict)| taken(verdict)) {
            settled.extend(plan.departures.into_iter().filter_map(|departure| departure.fingerprint));
        }
        if let Debt::Paid(Some(fingerprint)) = debt {
            settled.push(fingerprint);
        }
        settled
    }

    /// The protocol, for counters.
    fn via(&self) -> &'static str {
        match self.carrier.protocol {
            _ if self.booking.is_some() => "jmap",
            Protocol::Smtp => "smtp",
            Protocol::Lmtp => "lmtp",
            Protocol::Submission => "submission",
        }
    }

    fn refused(&self, refusal: &Refusal, why: Refused) -> Outcome {
        meters::refused(self.via(), why);
        Outcome { verdicts: refuse_all(self.envelope, refusal), settled: Vec::new(), booked: None }
    }
}

/// What the client is told of one recipient. This is where a message is said to be safe.
fn verdict(standing: Standing<'_>, debt: &Debt, id: EntryId) -> DeliveryVerdict {
    match (standing, debt) {
        (Standing::Open(refusal), _) => DeliveryVerdict::Refuse(refusal),
        (_, Debt::Open) => DeliveryVerdict::Refuse(try_again()),
        (Standing::Lost(error), Debt::None) => DeliveryVerdict::Refuse(refusal(error)),
        // `mail` or the queues have returned: the transactions that hold the message, or what the sender is told instead,
        // are on the disk.
        (Standing::Safe, _) | (Standing::Lost(_), Debt::Paid(_)) => {
            DeliveryVerdict::Durable(Receipt::durable(id.to_string()))
        }
    }
}

/// What became of a message for an account, for counters.
fn became(fate: &Result<Safe, mail::Error>) -> Became {
    match fate {
        Ok(Safe::Delivered { duplicate: false }) => Became::Delivered(Why::New),
        Ok(Safe::Delivered { duplicate: true }) => Became::Delivered(Why::Duplicate),
        Ok(Safe::Queued(why)) => Became::Queued(*why),
        Err(error) => Became::Refused(Why::of(error)),
    }
}

/// What became of the message for an account, of all deliveries by account.
pub(super) fn fate_of(fates: &[Fate], account: AccountId) -> Option<&Result<Safe, mail::Error>> {
    let at = fates.binary_search_by_key(&account, |(other, _)| *other).ok()?;
    fates.get(at).map(|(_, fate)| fate)
}

/// Whether a delivery failed for a reason of ours that may be over soon. That a mailbox is full is none.
fn is_ours(fate: &Result<Safe, mail::Error>) -> bool {
    fate.as_ref().is_err_and(mail::Error::is_temporary)
}

/// For suspicious mail that would have to be sent on.
fn not_sent_on() -> Refusal {
    let text =
        "The author's domain does not stand behind this message (DMARC), and such mail is not forwarded";
    Refusal::new(RefusalCode::MailboxUnavailable, 7, 26, text)
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

#[cfg(test)]
mod tests;
