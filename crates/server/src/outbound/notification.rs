//! Telling senders what became of their mail (RFC 3461, RFC 3464).
//!
//! The queue says inside a transaction who is to be told what, and what tells them goes on its way in the same one. But a
//! report is a message, with blobs perhaps, which has to be made before. So a transaction in which somebody is to be
//! told is run twice: the first time it only says what there is to tell, and changes nothing.
//!
//! A report is sent from `<>`, and the queue reports nothing about mail from `<>`: there is never a report on a report
//! (fault 17).

use bytes::{Bytes, BytesMut};
use compose::{Action, Original, Rendered, Reply, Status};
use directory::{Directory, Resolution};
use mail::Mail;
use parking_lot::Mutex;
use queue::{
    Body, Companion, EntryId, Error, Facts, Fate, Lease, NewEntry, NewLeg, Notice, Origin, Outcome, Queue,
    Recipient, Report, Return, Settled, Transfer,
};
use store::kv::{self, Transaction};
use types::{Clock, Randomness};

use super::Leaving;
use crate::meters::{self, Told};
use crate::node::Node;
use crate::signers::{Unsigned, sign_for_host};

/// How much of a message comes back with a report at most, in octets.
const RETURNED: usize = 1 << 20;
/// How often what there is to tell may change while it is written.
const ROUNDS: usize = 5;
/// RFC 3461 §4.1: never.
const NEVER: u8 = 0;

/// Writes reports, and sends them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Notifications {
    /// The server's name, which reports are signed with.
    host: String,
    directory: Directory,
    mail: Mail,
    inbound: Queue,
    outbound: Queue,
    clock: Clock,
}

/// A report that is ready to be sent, and what it is about.
struct Letter {
    about: Vec<(usize, Fate)>,
    way: Way,
}

/// Where a report goes.
enum Way {
    /// Into mailboxes here.
    Here(Box<NewEntry>),
    /// To another server.
    Elsewhere(Box<NewEntry>),
    /// Nowhere: the sender's address does not lead anywhere any more.
    Nowhere,
}

/// Where a sender is.
enum Place {
    Here(Vec<directory::Recipient>),
    /// At these addresses.
    Elsewhere(Vec<String>),
    Nowhere(&'static str),
}

/// Joins a settling transaction: puts the letter into it, or finds out that another one is needed.
struct Messenger<'a> {
    notifications: &'a Notifications,
    letter: Option<&'a Letter>,
    wanted: Mutex<Option<Report>>,
}

impl Notifications {
    /// Reports in the name of a server.
    pub(crate) fn new(host: &str, node: &Node) -> Self {
        Self {
            host: host.to_owned(),
            directory: node.directory.clone(),
            mail: node.mail.clone(),
            inbound: node.inbound.clone(),
            outbound: node.outbound.clone(),
            clock: node.clock.clone(),
        }
    }

    /// Ends an attempt or another errand, and puts a report on its way in the same transaction if there is anything to
    /// tell. One commit; what there is to tell costs a round that reads, and the look-up of the sender, in addition.
    ///
    /// # Errors
    /// Those of [`Queue::settle_with`]. Then nothing is written down, and nobody is told.
    pub(crate) async fn settle(
        &self,
        queue: &Queue,
        lease: &Lease,
        outcomes: Vec<(usize, Outcome)>,
    ) -> Result<Settled, Error> {
        let mut letter: Option<Letter> = None;
        for _ in 0..ROUNDS {
            let messenger =
                Messenger { notifications: self, letter: letter.as_ref(), wanted: Mutex::default() };
            let settled = queue.settle_with(lease, outcomes.clone(), &messenger).await;
            let wanted = messenger.wanted.into_inner();
            match (settled, wanted) {
                (Err(Error::Vanished), Some(report)) => {
                    letter = Some(self.write(queue, lease, &report).await?);
                }
                (settled, _) => {
                    if settled.is_ok() {
                        letter.iter().for_each(|letter| letter.log(lease));
                    }
                    return settled;
                }
            }
        }
        Err(Error::Vanished)
    }

    /// Puts a report on its way in a transaction.
    async fn send(&self, tx: &Transaction, letter: &Letter) -> Result<(), Error> {
        match &letter.way {
            Way::Here(entry) => self.inbound.enqueue_with(tx, entry).await,
            Way::Elsewhere(entry) => self.outbound.enqueue_with(tx, entry).await,
            Way::Nowhere => Ok(()),
        }
    }

    /// Writes a report, and makes it ready to be sent.
    async fn write(&self, queue: &Queue, lease: &Lease, report: &Report) -> Result<Letter, Error> {
        let about = about(report);
        let sender = &lease.origin().sender;
        let place = self.place(sender).await?;
        if let Place::Nowhere(why) = place {
            tracing::warn!(id = %lease.id(), %sender, why, "its sender cannot be told what became of a message");
            return Ok(Letter { about, way: Way::Nowhere });
        }
        let id = EntryId(Randomness::bytes());
        let letter = self.report(lease, report, id);
        let original = self.original(queue, lease, report).await?;
        let rendered = letter.render(&original, RETURNED);
        let raw = match place {
            Place::Elsewhere(_) => self.signed(lease, whole("", &rendered)).await?,
            Place::Here(_) | Place::Nowhere(_) => whole("Return-Path: <>\r\n", &rendered),
        };
        let size = raw.len() as u64;
        let packed = match self.mail.pack(raw).await {
            Ok(packed) => packed,
            Err(error) if error.is_temporary() => {
                return Err(Error::Kv(kv::Error::Unavailable(error.to_string())));
            }
            Err(error) => {
                tracing::error!(id = %lease.id(), %error, "a report on a message cannot be kept; its sender is not told");
                return Ok(Letter { about, way: Way::Nowhere });
            }
        };
        let origin = Origin {
            transfer: if rendered.eight_bit { Transfer::EightBit } else { Transfer::SevenBit },
            smtputf8: rendered.international,
            ..Origin::default()
        };
        let received = self.clock.now();
        let why = format!("it tells what became of message {}", lease.id());
        let way = match place {
            Place::Here(recipients) => {
                let recipients = recipients.into_iter().map(|recipient| Recipient {
                    address: recipient.delivered_to,
                    account: Some(recipient.account),
                    delivery: Some(Randomness::bytes()),
                    notify: Some(NEVER),
                    ..Recipient::default()
                });
                let legs = vec![NewLeg { recipients: recipients.collect(), ..NewLeg::default() }];
                let body = Body { row: packed.row, blobs: packed.blobs };
                Way::Here(Box::new(NewEntry { id, origin, received, size, body, why, legs }))
            }
            Place::Nowhere(_) => Way::Nowhere,
            Place::Elsewhere(addresses) => {
                let to = |address| Recipient { address, notify: Some(NEVER), ..Recipient::default() };
                let recipients = addresses.into_iter().map(to).collect();
                let after = std::time::Duration::ZERO;
                let leaving = Leaving { id, origin, received, size, packed, why, recipients, after };
                Way::Elsewhere(Box::new(leaving.entry()))
            }
        };
        Ok(Letter { about, way })
    }

    /// A report for another server, signed if there is a key. It is better told without than not at all.
    async fn signed(&self, lease: &Lease, report: Bytes) -> Result<Bytes, Error> {
        match sign_for_host(&self.directory, &self.host, &report, self.clock.now()).await {
            Ok(fields) if fields.is_empty() => Ok(report),
            Ok(fields) => Ok([fields.as_bytes(), &report].concat().into()),
            Err(Unsigned::Directory(directory::Error::Store(error))) => Err(Error::Kv(error)),
            Err(error) => {
                tracing::error!(id = %lease.id(), %error, "a report on a message cannot be signed");
                Ok(report)
            }
        }
    }

    async fn place(&self, sender: &str) -> Result<Place, Error> {
        match self.directory.resolve(sender).await {
            Ok(Resolution::Local { recipients, forwards }) if recipients.is_empty() => {
                Ok(Place::Elsewhere(forwards.iter().map(|forward| forward.address.to_string()).collect()))
            }
            // Of an alias that leads elsewhere too, those here are told: one report is one entry.
            Ok(Resolution::Local { recipients, .. }) => Ok(Place::Here(recipients)),
            Ok(Resolution::NotLocal) => Ok(Place::Elsewhere(vec![sender.to_owned()])),
            // The message was forwarded from here: whoever sent it first is told.
            Ok(Resolution::Sender { address }) => Ok(Place::Elsewhere(vec![address])),
            Ok(Resolution::UnknownUser) => Ok(Place::Nowhere("nobody here has this address any more")),
            Ok(Resolution::Refused(_)) => Ok(Place::Nowhere("its address takes no mail any more")),
            Err(directory::Error::Store(error)) => Err(Error::Kv(error)),
            Err(_) => Ok(Place::Nowhere("its address is none")),
        }
    }

    fn report(&self, lease: &Lease, report: &Report, id: EntryId) -> compose::Report {
        let origin = lease.origin();
        compose::Report {
            host: self.host.clone(),
            to: origin.sender.clone(),
            envelope_id: origin.envid.clone(),
            arrived: lease.received(),
            at: self.clock.now(),
            id: id.to_string(),
            outcomes: report.notices.iter().map(|notice| outcome(notice, report)).collect(),
            international: origin.smtputf8,
        }
    }

    /// As much of the message as may come back. What cannot be read does not keep its sender from being told.
    async fn original(&self, queue: &Queue, lease: &Lease, report: &Report) -> Result<Original, Error> {
        let failed = report.notices.iter().any(|notice| action(notice.fate) == Action::Failed);
        let wanted = match lease.origin().ret {
            Some(Return::Full) if failed => compose::Return::Full,
            _ => compose::Return::Headers,
        };
        let row = match queue.body(lease.id()).await {
            Ok(row) => row,
            Err(Error::NoSuchEntry(id)) => return Err(Error::LeaseLost(id)),
            Err(error) => return Err(error),
        };
        let read = async {
            let source = self.mail.unpack(&row)?;
            let octets = source.read(0..RETURNED as u64).await?;
            Ok::<_, mail::Error>((octets, source.size() <= RETURNED as u64))
        };
        let (octets, whole) = match read.await {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(id = %lease.id(), %error, "a message cannot be returned to its sender");
                (Bytes::new(), false)
            }
        };
        Ok(Original { octets, whole, wanted })
    }
}

impl Companion for Messenger<'_> {
    async fn join(&self, tx: &Transaction, report: &Report) -> Result<(), Error> {
        if report.notices.is_empty() {
            return Ok(());
        }
        let letter = self.letter.filter(|letter| letter.about == about(report));
        let sent = match letter {
            None => Err(Error::Vanished),
            Some(letter) => self.notifications.send(tx, letter).await,
        };
        if sent == Err(Error::Vanished) {
            *self.wanted.lock() = Some(report.clone());
        }
        sent
    }
}

impl Letter {
    /// Says in the log that it was sent.
    fn log(&self, lease: &Lease) {
        let (told, entry) = match &self.way {
            Way::Here(entry) => (Told::Here, entry),
            Way::Elsewhere(entry) => (Told::Elsewhere, entry),
            Way::Nowhere => return meters::told(Told::Nowhere),
        };
        meters::told(told);
        let (id, report, to) = (lease.id(), entry.id, &lease.origin().sender);
        for fate in
            [Fate::Failed, Fate::Expired, Fate::Delayed, Fate::Delivered, Fate::Relayed, Fate::Expanded]
        {
            let recipients = self.about.iter().filter(|(_, other)| *other == fate).count();
            if recipients > 0 {
                tracing::info!(%id, %report, to, ?fate, recipients, "the sender is told what became of a message");
            }
        }
    }
}

fn about(report: &Report) -> Vec<(usize, Fate)> {
    report.notices.iter().map(|notice| (notice.number, notice.fate)).collect()
}

const fn action(fate: Fate) -> Action {
    match fate {
        Fate::Delivered => Action::Delivered,
        Fate::Relayed => Action::Relayed,
        Fate::Expanded => Action::Expanded,
        Fate::Delayed => Action::Delayed,
        Fate::Failed | Fate::Expired => Action::Failed,
    }
}

fn outcome(notice: &Notice, report: &Report) -> compose::Outcome {
    let recipient = &notice.recipient;
    let action = action(notice.fate);
    let facts = recipient.facts.clone().unwrap_or_default();
    let status = facts.status.as_deref().and_then(|status| status.parse::<Status>().ok());
    let status = match (action, notice.fate) {
        // What is not delivered in time fails for that, whatever it was each time.
        (Action::Failed, Fate::Expired) => status.unwrap_or(Status::permanent(4, 7)).given_up(),
        (Action::Failed, _) => status.unwrap_or(Status::permanent(0, 0)).given_up(),
        (Action::Delayed, _) => status.unwrap_or(Status::temporary(0, 0)),
        _ => Status::success(0, 0),
    };
    let said = recipient.said.clone().unwrap_or_default();
    let tried = facts.at;
    let (reply, cause) = match facts {
        Facts { reply: Some(_), host: Some(server), .. } => (Some(Reply { server, text: said }), None),
        _ => (None, Some(said).filter(|said| !said.is_empty())),
    };
    let is_success = !matches!(action, Action::Failed | Action::Delayed);
    let original = recipient.orcpt.as_deref().and_then(|orcpt| orcpt.split_once(';'));
    compose::Outcome {
        address: recipient.address.clone(),
        original: original.map(|(kind, address)| (kind.to_lowercase(), address.to_owned())),
        action,
        status,
        reply,
        cause: cause.filter(|_| !is_success),
        tried,
        until: report.until.filter(|_| action == Action::Delayed),
    }
}

fn whole(head: &str, rendered: &Rendered) -> Bytes {
    let mut raw = BytesMut::with_capacity(head.len() + rendered.size());
    raw.extend_from_slice(head.as_bytes());
    rendered.pieces.iter().for_each(|piece| raw.extend_from_slice(piece));
    raw.freeze()
}
