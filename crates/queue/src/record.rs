//! What the rows of a queue hold.

use minicbor::{Decode, Encode};
use types::{AccountId, ObjectId, Timestamp};

use crate::clock::Moment;

/// Where a message comes from and how it wants to be treated: its envelope but for the recipients.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub struct Origin {
    /// The address for notifications, without brackets; empty for `<>`.
    #[n(0)]
    pub sender: String,
    /// Who handed it over.
    #[n(1)]
    #[cbor(default)]
    pub client: Client,
    /// The kind of body that was announced.
    #[n(2)]
    #[cbor(default)]
    pub transfer: Transfer,
    /// Whether addresses and header may hold UTF-8 (RFC 6531).
    #[n(3)]
    #[cbor(default)]
    pub smtputf8: bool,
    /// How much of the message a notification should return (RFC 3461 §4.3).
    #[n(4)]
    pub ret: Option<Return>,
    /// The sender's own id for the envelope (RFC 3461 §4.4).
    #[n(5)]
    pub envid: Option<String>,
    /// The message is still to be checked; none if that was done, or is nobody's business.
    #[n(6)]
    pub unchecked: Option<Unchecked>,
    /// What the sender wants of the protection on the way.
    #[n(7)]
    #[cbor(default)]
    pub protection: Protection,
    /// Who has submitted it, if somebody here has.
    #[n(8)]
    pub submitter: Option<AccountId>,
    /// What it is called among the submitter's submissions, if it has a name there: what becomes of it is written down with
    /// that.
    #[n(9)]
    pub submission: Option<ObjectId>,
    /// The submission that it is a report on, and whose that is.
    #[n(10)]
    pub reports_on: Option<(AccountId, ObjectId)>,
}

impl Origin {
    /// Whether this is its sender: local parts are compared by their letters, domains in whatever case.
    pub fn is_from(&self, sender: &str) -> bool {
        match (self.sender.rsplit_once('@'), sender.rsplit_once('@')) {
            (Some((a, b)), Some((c, d))) => a == c && b.eq_ignore_ascii_case(d),
            _ => self.sender == sender,
        }
    }
}

/// What a sender wants of the protection on the way to other servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(index_only)]
pub enum Protection {
    /// What the domains involved want.
    #[default]
    #[n(0)]
    Usual,
    /// TLS with a proven peer that does the same, or no delivery (REQUIRETLS, RFC 8689 §4.2).
    #[n(1)]
    Required,
    /// Delivery even where policies want a protection that cannot be had (`TLS-Required: No`, RFC 8689 §5).
    #[n(2)]
    Dispensable,
}

/// How to find the message as it came, which is what checks have to see, below the fields that were put on top of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub struct Unchecked {
    /// Octets of the first of these fields: results go below it.
    #[n(0)]
    pub first: u32,
    /// Octets of all of them.
    #[n(1)]
    pub fields: u32,
}

/// Who handed a message over.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub struct Client {
    /// Its IP address.
    #[n(0)]
    pub address: Option<String>,
    /// Its confirmed host name.
    #[n(1)]
    pub name: Option<String>,
    /// What it called itself.
    #[n(2)]
    #[cbor(default)]
    pub hello: String,
    /// The version of TLS that protected the connection.
    #[n(3)]
    pub tls: Option<String>,
}

/// The kind of body (RFC 6152, RFC 3030).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(index_only)]
pub enum Transfer {
    /// Nothing said, or `7BIT`.
    #[default]
    #[n(0)]
    SevenBit,
    /// `8BITMIME`.
    #[n(1)]
    EightBit,
    /// `BINARYMIME`.
    #[n(2)]
    Binary,
}

/// How much of a message a notification should return (RFC 3461 §4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum Return {
    /// All of it.
    #[n(0)]
    Full,
    /// The header.
    #[n(1)]
    Headers,
}

/// One recipient of a leg.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub struct Recipient {
    /// The address that the message was sent to.
    #[n(0)]
    pub address: String,
    /// Whose mail it becomes, if the recipient is local.
    #[n(1)]
    pub account: Option<AccountId>,
    /// The name of the delivery, by which a retry of the client is recognised.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub delivery: Option<[u8; 16]>,
    /// What to notify the sender of (RFC 3461 §4.1): 1 success, 2 failure, 4 delay; 0 is never.
    #[n(3)]
    pub notify: Option<u8>,
    /// The address that the sender first wrote to, as `type;address` (RFC 3461 §4.2).
    #[n(4)]
    pub orcpt: Option<String>,
    /// What became of it.
    #[n(5)]
    #[cbor(default)]
    pub state: RecipientState,
    /// What was said about it last.
    #[n(6)]
    pub said: Option<String>,
    /// The checks found the message suspicious: it goes to the mailbox for such mail.
    #[n(7)]
    #[cbor(default)]
    pub suspicious: bool,
    /// Who said the last about it, and with which codes.
    #[n(16)]
    pub facts: Option<Facts>,
    /// It cannot get the message, and who wanted to know that has been told.
    #[n(17)]
    #[cbor(default)]
    pub reported: bool,
}

impl Recipient {
    /// Whether nothing is left to do about it.
    pub const fn is_over(&self) -> bool {
        match self.state {
            RecipientState::Pending => false,
            RecipientState::Done => true,
            RecipientState::Failed => self.reported,
        }
    }
}

/// What another server's answer was, apart from its text: what a notification (RFC 3464) and an operator want to know.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub struct Facts {
    /// The enhanced status code (RFC 3463), such as `4.2.2`.
    #[n(0)]
    pub status: Option<String>,
    /// The reply code of SMTP.
    #[n(1)]
    pub reply: Option<u16>,
    /// The name of the server that said it.
    #[n(2)]
    pub host: Option<String>,
    /// When, by the wall clock; where it is left out, the queue writes when it heard of it.
    #[n(3)]
    pub at: Option<Timestamp>,
}

impl Facts {
    /// What is stored of them: bounded, without control characters, and nothing if there are none.
    pub(crate) fn kept(&self, wall: Timestamp) -> Option<Self> {
        if self.status.is_none() && self.reply.is_none() && self.host.is_none() {
            return None;
        }
        Some(Self {
            status: self.status.as_deref().map(|status| cut_to(status, STATUS)),
            reply: self.reply,
            host: self.host.as_deref().map(|host| cut_to(host, HOST)),
            at: Some(self.at.unwrap_or(wall)),
        })
    }
}

/// What became of a recipient.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(index_only)]
pub enum RecipientState {
    /// Nothing yet.
    #[default]
    #[n(0)]
    Pending,
    /// It has the message.
    #[n(1)]
    Done,
    /// It cannot get the message.
    #[n(2)]
    Failed,
}

/// What a leg waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum LegState {
    /// Its time.
    #[n(0)]
    Waiting,
    /// A worker that has it.
    #[n(1)]
    Leased,
    /// An operator, who has told it to wait.
    #[n(2)]
    Held,
    /// An operator: it cannot be delivered. This is the error queue.
    #[n(3)]
    Failed,
}

/// Something that happened to a leg.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Event {
    /// When, by the wall clock of the node that wrote it.
    #[n(0)]
    pub at: Timestamp,
    /// What.
    #[n(1)]
    pub kind: EventKind,
    /// Why, or how, in words.
    #[n(2)]
    #[cbor(default)]
    pub text: String,
}

/// What can happen to a leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum EventKind {
    /// It was put into the queue.
    #[n(0)]
    Entered,
    /// An attempt did not get it to everybody.
    #[n(1)]
    Tried,
    /// The worker that had it was not heard of again.
    #[n(2)]
    Lost,
    /// It was given up.
    #[n(3)]
    Failed,
    /// An operator had it tried at once.
    #[n(4)]
    Retried,
    /// An operator told it to wait.
    #[n(5)]
    Held,
    /// An operator had it delivered without further questions.
    #[n(6)]
    Released,
}

/// What an entry's legs share.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct EntryRecord {
    #[n(0)]
    pub(crate) origin: Origin,
    /// Octets of the message.
    #[n(1)]
    pub(crate) size: u64,
    /// When it came, by the wall clock.
    #[n(2)]
    pub(crate) received: Timestamp,
    /// When it entered the queue.
    #[n(3)]
    pub(crate) entered: Moment,
    /// Legs that there were at first.
    #[n(4)]
    pub(crate) legs: u16,
    /// Legs that are left.
    #[n(5)]
    pub(crate) left: u16,
}

/// The recipients of one destination, and their schedule.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct LegRecord {
    /// The next hop; empty for mailboxes here.
    #[n(0)]
    #[cbor(default)]
    pub(crate) destination: String,
    #[n(1)]
    pub(crate) recipients: Vec<Recipient>,
    #[n(2)]
    pub(crate) state: LegState,
    /// When it is tried, or when its lease ends.
    #[n(3)]
    pub(crate) due: Moment,
    #[n(4)]
    pub(crate) attempts: u32,
    /// When the attempts began: what giving up counts from.
    #[n(5)]
    pub(crate) since: Moment,
    #[n(6)]
    pub(crate) lease: Option<LeaseRecord>,
    /// Workers in a row that were not heard of again.
    #[n(7)]
    #[cbor(default)]
    pub(crate) lost: u32,
    /// An operator wants it delivered whatever stands against it.
    #[n(8)]
    #[cbor(default)]
    pub(crate) released: bool,
    #[n(9)]
    #[cbor(default)]
    pub(crate) history: Vec<Event>,
    /// Events that the history has no room for any more.
    #[n(10)]
    #[cbor(default)]
    pub(crate) forgotten: u32,
    /// It stands in its destination's line: it waits for that, and `due` is when its sender must hear of it.
    #[n(16)]
    #[cbor(default)]
    pub(crate) line: bool,
    /// When it is tried, where `due` is an earlier moment at which its sender must hear of it.
    #[n(17)]
    pub(crate) next: Option<Moment>,
    /// When its sender is told that it is late.
    #[n(18)]
    pub(crate) warn: Option<Moment>,
    /// When it is given up; where there is none, the queue's schedule says so.
    #[n(19)]
    pub(crate) expires: Option<Moment>,
    /// When its sender was told that it is late, by the wall clock.
    #[n(20)]
    pub(crate) warned: Option<Timestamp>,
    /// An operator wants it tried once though its destination is failing.
    #[n(21)]
    #[cbor(default)]
    pub(crate) past: bool,
}

/// Who works on a leg.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct LeaseRecord {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) token: [u8; 16],
    #[n(1)]
    pub(crate) holder: String,
}

/// The first events of a leg that are always kept, and how many there are at most.
const FIRST_EVENTS: usize = 2;
const EVENTS: usize = 16;
/// The longest text of an event or about a recipient, in octets.
const TEXT: usize = 400;
/// The longest status code and host name that are kept, in octets.
const STATUS: usize = 16;
const HOST: usize = 255;

impl LegRecord {
    /// A leg that was never tried and waits until a moment.
    pub(crate) const fn new(destination: String, recipients: Vec<Recipient>, due: Moment) -> Self {
        Self {
            destination,
            recipients,
            state: LegState::Waiting,
            due,
            attempts: 0,
            since: due,
            lease: None,
            lost: 0,
            released: false,
            history: Vec::new(),
            forgotten: 0,
            line: false,
            next: None,
            warn: None,
            expires: None,
            warned: None,
            past: false,
        }
    }

    /// Whether somebody should have it in hand at a moment.
    pub(crate) fn is_due_by(&self, moment: Moment) -> bool {
        self.state == LegState::Waiting && self.due <= moment
    }

    /// Writes something into the history, whose middle is forgotten when it gets long.
    pub(crate) fn note(&mut self, at: Timestamp, kind: EventKind, text: &str) {
        self.history.push(Event { at, kind, text: cut(text) });
        if self.history.len() > EVENTS {
            self.history.remove(FIRST_EVENTS);
            self.forgotten = self.forgotten.saturating_add(1);
        }
    }

    /// The recipients that have no outcome yet, with their numbers.
    pub(crate) fn pending(&self) -> impl Iterator<Item = (usize, &Recipient)> {
        self.recipients.iter().enumerate().filter(|(_, recipient)| recipient.state == RecipientState::Pending)
    }
}

/// A text of bounded length, without control characters.
pub(crate) fn cut(text: &str) -> String {
    cut_to(text, TEXT)
}

fn cut_to(text: &str, most: usize) -> String {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let shown = text.get(..end).unwrap_or_default();
    let mut cut: String = shown.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if end < text.len() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_history_forgets_its_middle() {
        let mut leg = LegRecord::new(String::new(), Vec::new(), Moment(0));
        for number in 0..100 {
            leg.note(Timestamp(number), EventKind::Tried, "x");
        }
        let kept: Vec<u64> = leg.history.iter().map(|event| event.at.0).collect();
        assert_eq!((kept.len(), leg.forgotten), (EVENTS, 84));
        assert_eq!((kept[0], kept[1], kept[2], kept[15]), (0, 1, 86, 99));
    }

    #[test]
    fn facts_are_bounded_and_kept_only_if_there_are_any() {
        assert_eq!(Facts::default().kept(Timestamp(1)), None);
        let long = Facts { status: Some("5".repeat(99)), host: Some("h\n".repeat(999)), ..Facts::default() };
        let kept = long.kept(Timestamp(1)).unwrap();
        assert_eq!(kept.status.unwrap().chars().count(), 17);
        let host = kept.host.unwrap();
        assert!(host.len() <= 258 && !host.contains('\n'), "{host}");
        assert_eq!(kept.at, Some(Timestamp(1)));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("a\r\nb\0"), "a  b ");
        assert_eq!(cut(&"한".repeat(400)).chars().count(), 134);
        assert_eq!(cut(""), "");
    }

    /// Fields of other releases are skipped, missing ones take their defaults.
    #[test]
    fn a_leg_of_another_release_is_read() {
        let fields = [0x01, 0x80, 0x02, 0x00, 0x03, 0x05, 0x04, 0x01, 0x05, 0x04, 0x18, 0x63, 0x61, 0x78];
        let bytes = [&[0xa6], &fields[..]].concat();
        let leg: LegRecord = minicbor::decode(&bytes).unwrap();
        assert_eq!((leg.due, leg.attempts, leg.state), (Moment(5), 1, LegState::Waiting));
        assert!(leg.recipients.is_empty() && leg.lease.is_none() && !leg.released);
        assert!(!leg.line && leg.next.is_none() && leg.expires.is_none() && !leg.past);
    }
}
