//! Sending for JMAP: what a submission asks, in the words of those who carry mail. It goes the way of a message that came by
//! a session for submission, with the same questions in the same order: who may be the sender, where recipients lead, who
//! the authors are, how much was sent already.

mod receipts;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use compose::{HeaderReader, Receipt, Split};
use directory::Authenticated;
use futures::FutureExt;
use futures::future::BoxFuture;
use jmap::{Departure, Departures, NotAcknowledged, NotRecalled, NotSent, Terms};
use mail::{Addressee, EmailChanged, Path, Submission, Undo};
use smtp::{
    BodyType, Config, DeliveryVerdict, Envelope, ForwardPath, HandedIn, HeaderVerdict, Mailbox, Origin,
    Parameters, Recipient, RecipientVerdict, ReversePath, Submitter,
};
use store::kv;
use store::kv::Transaction;
use types::{AccountId, Header, ObjectId};

use crate::carriage::{self, Booking, Carrier, Draft, Incoming, NotSender, Recipients, Spool};
use crate::meters::{self, Refused};

/// Sends what JMAP gives up for sending.
pub(crate) struct Sender {
    carrier: Carrier,
    /// What is on offer: that of a listener for submission.
    config: Config,
    /// Where large messages wait until they are stored.
    spool: PathBuf,
}

impl Sender {
    pub(crate) const fn new(carrier: Carrier, config: Config, spool: PathBuf) -> Self {
        Self { carrier, config, spool }
    }

    async fn send(&self, user: &Authenticated, departure: Departure) -> Result<ObjectId, NotSent> {
        let (account, mail) = (user.account(), &self.carrier.mail);
        let known = mail.submitted(account, &departure.marker).await.map_err(unavailable)?;
        if let Some(submission) = known.submission {
            return Ok(submission);
        }
        self.carrier.kv.health().map_err(unavailable)?;
        let Departure { message, sender, recipients, .. } = &departure;
        let (envelope, routes) = self.envelope(user, message, sender, recipients).await?;
        let (draft, body) = self.draft(user, message, &envelope).await?;
        self.count(account, recipients.len()).await.map_err(NotSent::Forbidden)?;
        let booking = Booking { account, name: known.name, submission: self.submission(&departure) };
        let mut spool = Spool::new(self.spool.clone(), self.carrier.budget.clone());
        spool.write(&body).await.map_err(unavailable)?;
        let incoming = Incoming {
            carrier: &self.carrier,
            envelope: &envelope,
            recipients: &routes,
            client: None,
            checks: None,
            draft: Some(draft),
            booking: Some(&booking),
        };
        let outcome = incoming.deliver(spool).await;
        match outcome.booked {
            Some(recorded) => Ok(recorded.submission),
            None => Err(refused(&outcome.verdicts)),
        }
    }

    /// The envelope, and where its recipients lead.
    async fn envelope(
        &self,
        user: &Authenticated,
        message: &[u8],
        sender: &Path,
        to: &[Path],
    ) -> Result<(Envelope, Recipients), NotSent> {
        let submitter = Submitter::proven(user.account().0, user.address().to_string());
        let now = self.carrier.clock.now();
        let handed_in = HandedIn { config: &self.config, submitter, by: "jmap", now };
        let origin = origin(&handed_in, message, sender, to)?;
        carriage::sender(&self.carrier.directory, user, &origin).await.map_err(|why| {
            let text = why.refusal().to_string();
            match why {
                NotSender::Blocked => NotSent::Forbidden(text),
                NotSender::Foreign => NotSent::Sender(text),
                NotSender::Unavailable => NotSent::Unavailable(text),
            }
        })?;
        let mut routes = Recipients::default();
        routes.begin(&origin);
        let (mut recipients, mut bad) = (Vec::with_capacity(to.len()), Vec::new());
        for path in to {
            match self.recipient(&handed_in, &origin, path, &mut routes).await? {
                Ok(recipient) => recipients.push(recipient),
                Err(why) => bad.push((path.address.clone(), why)),
            }
        }
        if !bad.is_empty() {
            return Err(NotSent::Recipients(bad));
        }
        Ok((Envelope { origin: Arc::new(origin), recipients }, routes))
    }

    /// A recipient, or why it cannot be sent to.
    async fn recipient(
        &self,
        handed_in: &HandedIn<'_>,
        origin: &Origin,
        path: &Path,
        routes: &mut Recipients,
    ) -> Result<Result<Recipient, String>, NotSent> {
        let mailbox = match path.address.parse::<Mailbox>() {
            Ok(mailbox) => mailbox,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let read = handed_in.recipient(origin, ForwardPath::Mailbox(mailbox), parameters(path));
        let recipient = read.map_err(|refusal| NotSent::Parameters(refusal.to_string()))?;
        let why = match routes.resolve(&self.carrier, &recipient).await {
            RecipientVerdict::Accept => return Ok(Ok(recipient)),
            RecipientVerdict::Unavailable => {
                let text = "recipients cannot be looked up now; try again later";
                return Err(NotSent::Unavailable(text.to_owned()));
            }
            RecipientVerdict::Unknown => "there is no such mailbox here".to_owned(),
            RecipientVerdict::Disabled => "the mailbox is closed and takes no mail".to_owned(),
            RecipientVerdict::OverQuota => "the mailbox is full".to_owned(),
            RecipientVerdict::RelayDenied => "it is not at this server".to_owned(),
            RecipientVerdict::Refuse(refusal) => refusal.to_string(),
        };
        Ok(Err(why))
    }

    /// The message with its header apart, whose authors must be whoever sends it.
    async fn draft(
        &self,
        user: &Authenticated,
        message: &[u8],
        envelope: &Envelope,
    ) -> Result<(Draft, Bytes), NotSent> {
        let limit = usize::try_from(self.config.limits.header).unwrap_or(usize::MAX);
        let mut reader = HeaderReader::new(limit);
        let split = match reader.push(message) {
            Ok(Some(split)) => Ok(split),
            Ok(None) => reader.finish(),
            Err(fault) => Err(fault),
        };
        let Split { header, body } = split.map_err(|fault| NotSent::Email(fault.to_string()))?;
        let hops = Header::parse(header.octets()).named("received").count();
        if hops > usize::try_from(self.config.limits.received).unwrap_or(usize::MAX) {
            return Err(NotSent::Email("the message has gone through too many servers already".to_owned()));
        }
        let own = match carriage::own(&self.carrier.directory, user, &header).await {
            Ok(own) => own,
            Err(verdict) => {
                let account = user.account();
                tracing::info!(%account, ?verdict, "not sent: its authors are not whoever sends it");
                return Err(not_author(verdict));
            }
        };
        let mut draft = Draft::new(user, Arc::new(header), own, envelope.origin.body).handed_in();
        draft.body(&body);
        Ok((draft, body.into()))
    }

    /// Counts the message among what the account has sent, or refuses it because that is too much.
    async fn count(&self, account: AccountId, recipients: usize) -> Result<(), String> {
        let Carrier { directory, sending, .. } = &self.carrier;
        let counted = directory.count_sending(account, recipients as u64, sending).await;
        counted.map_err(|too_much| {
            tracing::warn!(%account, recipients, why = %too_much, "not sent: over a limit");
            meters::refused("jmap", Refused::Limit);
            format!("not now: {too_much}; send the rest later, or ask the postmaster")
        })
    }

    /// What is written down, but for what becomes of the message.
    fn submission(&self, departure: &Departure) -> Submission {
        let made = self.carrier.clock.now();
        let to = departure.recipients.iter();
        Submission {
            identity: departure.identity,
            email: departure.email,
            thread: departure.thread,
            sender: departure.sender.clone(),
            recipients: to.map(|path| Addressee { path: path.clone(), ..Addressee::default() }).collect(),
            made,
            send_at: made,
            undo: Undo::Final,
            inbound: None,
            outbound: Vec::new(),
            marker: departure.marker,
            reports: Vec::new(),
            receipts: Vec::new(),
            message: None,
        }
    }

    /// Takes what has not left out of the queues, and writes that down, in one transaction.
    async fn take_back(&self, account: AccountId, submission: ObjectId) -> Result<(), NotRecalled> {
        let work = |tx: Transaction| async move {
            let mail = &self.carrier.mail;
            let pending = mail.pending_submission(&tx, account, submission).await.map_err(Failure::Mail)?;
            let before = pending.ok_or(Failure::TooLate)?;
            let (inbound, outbound) = carriage::entries(&before);
            if let Some(id) = inbound {
                self.withdraw(self.carrier.inbound.queue(), &tx, id).await?;
            }
            for id in outbound {
                self.withdraw(&self.carrier.outbound, &tx, id).await?;
            }
            mail.cancel_submission(&tx, account, submission, &before).await.map_err(Failure::Mail)
        };
        match self.carrier.kv.run(work).await {
            Ok(()) => {
                self.carrier.mail.stir(account).await;
                tracing::info!(%account, %submission, "taken back before it was sent");
                Ok(())
            }
            Err(Failure::TooLate) => Err(NotRecalled::TooLate),
            Err(Failure::Mail(mail::Error::NoSuchObject)) => Err(NotRecalled::NotFound),
            Err(Failure::Mail(error)) => Err(NotRecalled::Unavailable(error.to_string())),
            Err(Failure::Queue(error)) => Err(NotRecalled::Unavailable(error.to_string())),
        }
    }

    async fn withdraw(
        &self,
        queue: &queue::Queue,
        tx: &Transaction,
        id: queue::EntryId,
    ) -> Result<(), Failure> {
        match queue.withdraw(tx, id).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::TooLate),
            Err(error) => Err(Failure::Queue(error)),
        }
    }
}

/// Why a transaction that takes a message back was given up.
enum Failure {
    TooLate,
    Mail(mail::Error),
    Queue(queue::Error),
}

impl From<kv::Error> for Failure {
    fn from(error: kv::Error) -> Self {
        Self::Queue(error.into())
    }
}

impl Departures for Sender {
    fn terms(&self) -> Terms {
        let extensions = &self.config.extensions;
        let mut offered = BTreeMap::from([
            ("8BITMIME", Vec::new()),
            ("DSN", Vec::new()),
            ("SIZE", vec![self.config.limits.message.to_string()]),
        ]);
        if let Some(longest) = extensions.future_release {
            // Until when that is changes with each second; how long it is does not.
            offered.insert("FUTURERELEASE", vec![longest.as_secs().to_string()]);
        }
        if extensions.require_tls {
            offered.insert("REQUIRETLS", Vec::new());
        }
        if self.config.smtputf8 {
            offered.insert("SMTPUTF8", Vec::new());
        }
        Terms {
            longest_hold: extensions.future_release.unwrap_or_default(),
            extensions: offered,
            recipients: self.config.limits.recipients,
            message: self.config.limits.message,
        }
    }

    fn depart<'d>(
        &'d self,
        user: &'d Authenticated,
        departure: Departure,
    ) -> BoxFuture<'d, Result<ObjectId, NotSent>> {
        self.send(user, departure).boxed()
    }

    fn acknowledge<'d>(
        &'d self,
        user: &'d Authenticated,
        email: EmailChanged,
        receipt: Receipt,
    ) -> BoxFuture<'d, Result<(), NotAcknowledged>> {
        async move { self.tell(user, email, &receipt).await }.boxed()
    }

    fn recall<'d>(
        &'d self,
        account: AccountId,
        submission: ObjectId,
    ) -> BoxFuture<'d, Result<(), NotRecalled>> {
        self.take_back(account, submission).boxed()
    }
}

/// Where a message comes from. What its octets are is seen from them, whatever the envelope says.
fn origin(handed_in: &HandedIn<'_>, message: &[u8], sender: &Path, to: &[Path]) -> Result<Origin, NotSent> {
    let from = match sender.address.as_str() {
        "" => ReversePath::Null,
        address => match address.parse() {
            Ok(mailbox) => ReversePath::Mailbox(mailbox),
            Err(error) => return Err(NotSent::Sender(format!("{address}: {error}"))),
        },
    };
    let end = memchr::memmem::find(message, b"\r\n\r\n").unwrap_or(message.len());
    let header = message.get(..end).unwrap_or_default();
    let mut given = parameters(sender).to_vec();
    let addresses = std::iter::once(sender).chain(to);
    let international = !header.is_ascii() || addresses.into_iter().any(|path| !path.address.is_ascii());
    if international && !given.iter().any(|(name, _)| name.eq_ignore_ascii_case("SMTPUTF8")) {
        given.push(("SMTPUTF8".to_owned(), None));
    }
    let read = handed_in.origin(from, &given);
    let origin = read.map_err(|refusal| NotSent::Parameters(refusal.to_string()))?;
    let body = if !is_in_lines(message) {
        BodyType::BinaryMime
    } else if message.is_ascii() {
        BodyType::SevenBit
    } else {
        BodyType::EightBitMime
    };
    Ok(Origin { body, ..origin })
}

fn parameters(path: &Path) -> &Parameters {
    path.parameters.as_deref().unwrap_or_default()
}

/// Whether CR and LF stand only together, and there is no NUL.
fn is_in_lines(message: &[u8]) -> bool {
    let mut before = 0;
    for octet in message {
        match (before, *octet) {
            (b'\r', b'\n') => {}
            (_, 0 | b'\n') | (b'\r', _) => return false,
            _ => {}
        }
        before = *octet;
    }
    before != b'\r'
}

fn not_author(verdict: HeaderVerdict) -> NotSent {
    match verdict {
        HeaderVerdict::Accept | HeaderVerdict::Unavailable => {
            NotSent::Unavailable("your addresses cannot be looked up now; try again later".to_owned())
        }
        HeaderVerdict::NotYours => {
            meters::refused("jmap", Refused::Policy);
            let text = "the address in From is not one of yours; choose one of your own addresses";
            NotSent::Author(text.to_owned())
        }
        HeaderVerdict::Refuse(refusal) => NotSent::Email(refusal.to_string()),
    }
}

/// Why nothing was put on its way.
fn refused(verdicts: &[DeliveryVerdict]) -> NotSent {
    let refusals = verdicts.iter().filter_map(|verdict| match verdict {
        DeliveryVerdict::Refuse(refusal) => Some(refusal),
        DeliveryVerdict::Durable(_) => None,
    });
    let refusals: Vec<_> = refusals.collect();
    match refusals.iter().find(|refusal| !refusal.is_permanent()).or(refusals.first()) {
        Some(refusal) if refusal.is_permanent() => NotSent::Email(refusal.to_string()),
        Some(refusal) => NotSent::Unavailable(refusal.to_string()),
        None => NotSent::Unavailable("it could not be put on its way; try again later".to_owned()),
    }
}

fn unavailable(error: impl std::fmt::Display) -> NotSent {
    tracing::error!(%error, "a message cannot be sent");
    NotSent::Unavailable("the stores cannot be reached now; try again later".to_owned())
}

#[cfg(test)]
mod tests;
