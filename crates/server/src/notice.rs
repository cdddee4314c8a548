//! Notifications to senders (RFC 3461, RFC 3464) as mail that is put on its way: into the inbound queue where the sender is
//! here, else into the outbound one. They come from `<>`, and nobody is notified of what becomes of them.

use bytes::Bytes;
use compose::{Original, Outcome, Report};
use directory::{Directory, Resolution};
use mail::{Mail, Packed};
use queue::{Body, Client, EntryId, Handover, NewEntry, NewLeg, Origin, Queue, Recipient, Transfer};
use store::kv::Transaction;
use thiserror::Error;
use types::{Clock, Randomness, Timestamp};

use crate::node::Node;
use crate::outbound::Leaving;
use crate::signers::sign_for_host;

/// The most of a message that comes back with a notification, in octets.
const RETURNED: usize = 10 << 20;

/// Writes notifications. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Notifier {
    hostname: String,
    directory: Directory,
    mail: Mail,
    inbound: Queue,
    outbound: Queue,
    clock: Clock,
}

/// What a notification is about.
pub(crate) struct About<'a> {
    /// The message.
    pub(crate) id: EntryId,
    /// Where it came from; its sender is told.
    pub(crate) origin: &'a Origin,
    /// When it came.
    pub(crate) received: Timestamp,
    /// Its octets.
    pub(crate) octets: Bytes,
    /// What became of whom.
    pub(crate) outcomes: Vec<Outcome>,
}

/// A notification that is ready to go.
pub(crate) struct Notice {
    /// One for each queue that it goes into.
    entries: Vec<(Queue, NewEntry)>,
}

/// Why a notification cannot be sent now.
#[derive(Debug, Error)]
pub(crate) enum NoticeError {
    #[error("the directory cannot be asked for the sender: {0}")]
    Directory(#[from] directory::Error),
    #[error(transparent)]
    Mail(#[from] mail::Error),
    #[error(transparent)]
    Queue(#[from] queue::Error),
}

impl Notifier {
    /// Notifications of this node, in the name of a host.
    pub(crate) fn new(node: &Node, hostname: &str) -> Self {
        Self {
            hostname: hostname.to_owned(),
            directory: node.directory.clone(),
            mail: node.mail.clone(),
            inbound: node.inbound.clone(),
            outbound: node.outbound.clone(),
            clock: node.clock.clone(),
        }
    }

    /// Writes a notification; none if there is nobody to be told.
    pub(crate) async fn draw_up(&self, about: About<'_>) -> Result<Option<Notice>, NoticeError> {
        let to = about.origin.sender.clone();
        if to.is_empty() || about.outcomes.is_empty() {
            return Ok(None);
        }
        let id = EntryId(Randomness::bytes());
        let at = self.clock.now();
        let report = Report {
            host: self.hostname.clone(),
            to: to.clone(),
            envelope_id: about.origin.envid.clone(),
            arrived: about.received,
            at,
            id: id.to_string(),
            outcomes: about.outcomes,
            international: about.origin.smtputf8,
        };
        let wanted = match about.origin.ret {
            Some(queue::Return::Full) => compose::Return::Full,
            Some(queue::Return::Headers) | None => compose::Return::Headers,
        };
        let rendered = report.render(&Original { octets: about.octets, whole: true, wanted }, RETURNED);
        let origin = Origin {
            client: Client { hello: self.hostname.clone(), ..Client::default() },
            transfer: if rendered.eight_bit { Transfer::EightBit } else { Transfer::SevenBit },
            smtputf8: rendered.international,
            ..Origin::default()
        };
        let why = format!("it tells the sender of message {} what became of it", about.id);
        let message = rendered.pieces.concat();
        let (recipients, elsewhere) = match self.directory.resolve(&to).await? {
            Resolution::Local { recipients, forwards } => {
                (recipients, forwards.iter().map(|forward| forward.address.to_string()).collect())
            }
            Resolution::NotLocal => (Vec::new(), vec![to.clone()]),
            // A message that was forwarded from here: whoever sent it first is told.
            Resolution::Sender { address } => (Vec::new(), vec![address]),
            Resolution::UnknownUser | Resolution::Refused(_) => {
                tracing::warn!(id = %about.id, sender = to, "nobody is there to be told what became of the message");
                return Ok(None);
            }
        };
        let mut entries = Vec::new();
        if !recipients.is_empty() {
            let message = [b"Return-Path: <>\r\n".as_slice(), &message].concat();
            let recipients = recipients.into_iter().map(|recipient| Recipient {
                address: to.clone(),
                account: Some(recipient.account),
                delivery: Some(Randomness::bytes()),
                ..Recipient::default()
            });
            let leg = NewLeg { recipients: recipients.collect(), ..NewLeg::default() };
            let size = message.len() as u64;
            let Packed { row, blobs } = self.mail.pack(message.into()).await?;
            let (body, legs) = (Body { row, blobs }, vec![leg]);
            let (origin, why) = (origin.clone(), why.clone());
            let entry = NewEntry { id, origin, received: at, size, body, why, legs };
            entries.push((self.inbound.clone(), entry));
        }
        if !elsewhere.is_empty() {
            // Better told without a signature than not at all.
            let signed = sign_for_host(&self.directory, &self.hostname, &message, at).await;
            let fields = signed.unwrap_or_else(|error| {
                tracing::error!(id = %about.id, %error, "a report on a message cannot be signed");
                String::new()
            });
            let message = [fields.as_bytes(), &message].concat();
            let recipients =
                elsewhere.into_iter().map(|address| Recipient { address, ..Recipient::default() });
            let leaving = Leaving {
                id,
                origin,
                received: at,
                size: message.len() as u64,
                packed: self.mail.pack(message.into()).await?,
                why,
                recipients: recipients.collect(),
                after: std::time::Duration::ZERO,
            };
            entries.push((self.outbound.clone(), leaving.entry()));
        }
        Ok(Some(Notice { entries }))
    }
}

impl Notice {
    /// Puts it on its way, once under this name. Durable when this returns.
    pub(crate) async fn send(&self, name: Handover) -> Result<(), NoticeError> {
        for (queue, entry) in &self.entries {
            match queue.enqueue_once(entry, name).await {
                Ok(()) | Err(queue::Error::Exists(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Puts it on its way in a transaction that does something else too, once under this name.
    pub(crate) async fn join(&self, tx: &Transaction, name: Handover) -> Result<(), queue::Error> {
        for (queue, entry) in &self.entries {
            match queue.enqueue_once_with(tx, entry, name).await {
                Ok(()) | Err(queue::Error::Exists(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The name of the notification that a delivery was made. A delivery that is repeated, in the session or from the queue, has
/// the same name and is told of once.
pub(crate) fn of_arrival(delivery: &[u8; 16], address: &str) -> Handover {
    let mut name = [0; 16];
    let mut hasher = blake3::Hasher::new_derive_key("magpie 2026-11 notice of arrival");
    hasher.update(delivery).update(address.as_bytes());
    hasher.finalize_xof().fill(&mut name);
    Handover(name)
}
