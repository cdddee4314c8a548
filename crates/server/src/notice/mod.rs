//! Telling senders what became of their mail (RFC 3461, RFC 3464).
//!
//! ```text
//!   About ──> Notifier::write ──> Letter ──┬─ send: by itself, once under its name
//!    Post ──> Notifier::post ───────┘      └─ join: in a transaction that does something else too
//!                  └── Place: where the sender is
//!   settling: Notifier::settle, what a queue has to tell when an attempt ends
//! ```
//!
//! A notification goes the way of all mail, to a mailbox here through the inbound queue, to another server through the
//! outbound one. It is sent from `<>`, and the queues report nothing about mail from `<>`: there is never a report on a
//! report (fault 17). The answers of those who are away go the same way, from `<>` as well.

mod letter;
mod place;
mod settling;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use compose::{Original, Outcome, Rendered, Report};
use directory::{Directory, DomainName};
use mail::{Mail, Packed};
use queue::{
    Body, EntryId, Error, Handover, NewEntry, NewLeg, Origin, Protection, Queue, Recipient, Return, Transfer,
};
use store::kv;
use types::{AccountId, Clock, ObjectId, Timestamp};

pub(crate) use self::letter::Letter;
use self::place::Place;
pub(crate) use self::settling::submission_of;
use crate::leaving;
use crate::meters::Told;
use crate::node::Node;
use crate::signers::{Unsigned, sign_for_host, sign_whole};

/// The most of a message that comes back with a notification, in octets. Whoever wants a larger one has it still: they
/// sent it.
const RETURNED: usize = 1 << 20;

/// Writes notifications, and sends them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Notifier {
    /// The server's name, which notifications are signed with.
    host: String,
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
    /// Its octets, or the first of them.
    pub(crate) octets: Bytes,
    /// Whether those are all.
    pub(crate) whole: bool,
    /// What became of whom; at least one.
    pub(crate) outcomes: Vec<Outcome>,
}

/// A message from somebody here to a sender.
pub(crate) struct Post<'a> {
    /// What it is called in the log.
    pub(crate) id: EntryId,
    /// Who gets it.
    pub(crate) to: &'a str,
    pub(crate) rendered: &'a Rendered,
    /// In whose name it is signed.
    pub(crate) name: Name,
    /// Why it is in a queue, in words.
    pub(crate) why: String,
}

/// In whose name something is signed.
pub(crate) enum Name {
    /// The server's own.
    Host,
    /// That of an author of this domain.
    Author(DomainName),
}

impl Notifier {
    /// Notifications of a node, in the name of a host.
    pub(crate) fn new(node: &Node, host: &str) -> Self {
        Self {
            host: host.to_owned(),
            directory: node.directory.clone(),
            mail: node.mail.clone(),
            inbound: node.inbound.clone(),
            outbound: node.outbound.clone(),
            clock: node.clock.clone(),
        }
    }

    /// Writes a notification, and makes it ready to be sent. Of a message from `<>` nobody is told; nor is a sender whose
    /// address leads nowhere any more, or to whom it cannot be brought: the log says so, and nothing waits for that.
    ///
    /// # Errors
    /// [`Error::Kv`]: the store cannot be reached now.
    pub(crate) async fn write(&self, about: About<'_>) -> Result<Letter, Error> {
        let message = about.id;
        let sender = about.origin.sender.clone();
        let mut letter = Letter::new(message, &sender, &about.outcomes).protected(about.origin.protection);
        if sender.is_empty() {
            return Ok(letter);
        }
        let place = match Place::of(&self.directory, &sender).await? {
            Ok(place) => place,
            Err(why) => {
                tracing::warn!(id = %message, sender, why, "its sender cannot be told what became of a message");
                return Ok(letter);
            }
        };
        let reports_on = about.origin.submitter.zip(about.origin.submission);
        let rendered = self.render(about, letter.id());
        let why = format!("it tells what became of message {message}");
        self.address(&mut letter, place, &rendered, &Name::Host, &why, reports_on).await?;
        Ok(letter)
    }

    /// Makes a message of somebody's here ready to be sent from `<>`. The inner error says why it cannot be.
    ///
    /// # Errors
    /// [`Error::Kv`]: the store cannot be reached now.
    pub(crate) async fn post(&self, post: Post<'_>) -> Result<Result<Letter, &'static str>, Error> {
        let Post { id, to, rendered, name, why } = post;
        let place = match Place::of(&self.directory, to).await? {
            Ok(place) => place,
            Err(why) => return Ok(Err(why)),
        };
        let mut letter = Letter::new(id, to, &[]);
        self.address(&mut letter, place, rendered, &name, &why, None).await?;
        Ok(if letter.goes_nowhere() { Err("it cannot be signed, or kept") } else { Ok(letter) })
    }

    /// Says which ways a letter goes: to mailboxes here, to other servers, or both.
    async fn address(
        &self,
        letter: &mut Letter,
        place: Place,
        rendered: &Rendered,
        name: &Name,
        why: &str,
        reports_on: Option<(AccountId, ObjectId)>,
    ) -> Result<(), Error> {
        if !place.here.is_empty() {
            // As all mail in mailboxes has it.
            let raw = whole("Return-Path: <>\r\n", rendered);
            let legs = vec![NewLeg { recipients: place.here, ..NewLeg::default() }];
            if let Some(entry) = self.entry(letter, rendered, raw, legs, why).await? {
                letter.goes(Told::Here, &self.inbound, on(entry, reports_on));
            }
        }
        if !place.elsewhere.is_empty()
            && let Some(raw) = self.signed(letter.message(), whole("", rendered), name).await?
        {
            let legs = leaving::legs(place.elsewhere, Duration::ZERO);
            if let Some(entry) = self.entry(letter, rendered, raw, legs, why).await? {
                letter.goes(Told::Elsewhere, &self.outbound, entry);
            }
        }
        Ok(())
    }

    fn render(&self, about: About<'_>, id: EntryId) -> Rendered {
        let About { origin, received, octets, whole, outcomes, .. } = about;
        let report = Report {
            host: self.host.clone(),
            to: origin.sender.clone(),
            envelope_id: origin.envid.clone(),
            arrived: received,
            at: self.clock.now(),
            id: id.to_string(),
            outcomes,
            international: origin.smtputf8,
        };
        let wanted = match (origin.ret, origin.protection) {
            // RFC 8689 §5: whatever was asked for.
            (_, Protection::Required) => compose::Return::Headers,
            (Some(Return::Full), _) => compose::Return::Full,
            (Some(Return::Headers) | None, _) => compose::Return::Headers,
        };
        report.render(&Original { octets, whole, wanted }, RETURNED)
    }

    /// What goes to another server, signed if there is a key. A notification is better sent without than not at all; what is
    /// written in an author's name is not sent where its readers would take it for forged.
    async fn signed(&self, message: EntryId, raw: Bytes, name: &Name) -> Result<Option<Bytes>, Error> {
        let at = self.clock.now();
        let signed = match name {
            Name::Host => sign_for_host(&self.directory, &self.host, &raw, at).await,
            Name::Author(domain) => sign_whole(&self.directory, vec![domain.clone()], raw.clone(), at).await,
        };
        match signed {
            Ok(fields) if fields.is_empty() => Ok(Some(raw)),
            Ok(fields) => Ok(Some([fields.as_bytes(), &raw].concat().into())),
            Err(Unsigned::Directory(directory::Error::Store(error))) => Err(Error::Kv(error)),
            Err(error) => {
                tracing::error!(id = %message, %error, "what the server writes cannot be signed");
                Ok(matches!(name, Name::Host).then_some(raw))
            }
        }
    }

    /// The notification as a queue takes it. None if it can never be kept, which must not hold up what it is about.
    async fn entry(
        &self,
        letter: &Letter,
        rendered: &Rendered,
        raw: Bytes,
        legs: Vec<NewLeg>,
        why: &str,
    ) -> Result<Option<NewEntry>, Error> {
        let size = raw.len() as u64;
        let Packed { row, blobs } = match self.mail.pack(raw).await {
            Ok(packed) => packed,
            Err(error) if error.is_temporary() => {
                return Err(Error::Kv(kv::Error::Unavailable(error.to_string())));
            }
            Err(error) => {
                let id = letter.message();
                tracing::error!(%id, %error, "what the server writes to a sender cannot be kept; they are not told");
                return Ok(None);
            }
        };
        Ok(Some(NewEntry {
            id: letter.id(),
            origin: Origin {
                transfer: if rendered.eight_bit { Transfer::EightBit } else { Transfer::SevenBit },
                smtputf8: rendered.international,
                protection: letter.protection(),
                ..Origin::default()
            },
            received: self.clock.now(),
            size,
            body: Body { row, blobs },
            why: why.to_owned(),
            legs,
        }))
    }
}

/// The same, as a report on a submission.
fn on(mut entry: NewEntry, submission: Option<(AccountId, ObjectId)>) -> NewEntry {
    entry.origin.reports_on = submission;
    entry
}

/// The address that the sender of a message first wrote to, and its type (RFC 3461 §4.2).
pub(crate) fn original(recipient: &Recipient) -> Option<(String, String)> {
    let (kind, address) = recipient.orcpt.as_deref()?.split_once(';')?;
    Some((kind.to_lowercase(), address.to_owned()))
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

fn whole(head: &str, rendered: &Rendered) -> Bytes {
    let mut raw = BytesMut::with_capacity(head.len() + rendered.size());
    raw.extend_from_slice(head.as_bytes());
    rendered.pieces.iter().for_each(|piece| raw.extend_from_slice(piece));
    raw.freeze()
}
