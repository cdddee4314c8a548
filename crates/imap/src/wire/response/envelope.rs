//! ENVELOPE (RFC 9051 §7.5.2).

use super::super::name::Dialect;
use super::output::Output;

/// A message's header fields in the form that clients list it by. Texts are as they stand in the header,
/// unfolded; encoded words are the client's to decode.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Envelope {
    /// `Date`
    pub date: Option<Vec<u8>>,
    /// `Subject`
    pub subject: Option<Vec<u8>>,
    /// `From`
    pub from: Vec<Address>,
    /// `Sender`; `From` if empty.
    pub sender: Vec<Address>,
    /// `Reply-To`; `From` if empty.
    pub reply_to: Vec<Address>,
    /// `To`
    pub to: Vec<Address>,
    /// `Cc`
    pub cc: Vec<Address>,
    /// `Bcc`
    pub bcc: Vec<Address>,
    /// `In-Reply-To`
    pub in_reply_to: Option<Vec<u8>>,
    /// `Message-ID`
    pub message_id: Option<Vec<u8>>,
}

/// An address, or one end of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `Name <local@domain>`
    Mailbox {
        /// The display name.
        name: Option<Vec<u8>>,
        /// Before the `@`.
        local: Vec<u8>,
        /// After it.
        domain: Vec<u8>,
    },
    /// `Name:`
    GroupStart(Vec<u8>),
    /// `;`
    GroupEnd,
}

impl Envelope {
    /// Writes the parenthesised list.
    pub fn write(&self, dialect: Dialect, out: &mut Output) {
        out.put(b"(");
        out.nstring(self.date.as_deref(), dialect);
        out.put(b" ");
        out.nstring(self.subject.as_deref(), dialect);
        let or_from = |list| if <[Address]>::is_empty(list) { &self.from[..] } else { list };
        let lists =
            [&self.from[..], or_from(&self.sender), or_from(&self.reply_to), &self.to, &self.cc, &self.bcc];
        for list in lists {
            out.put(b" ");
            addresses(list, dialect, out);
        }
        out.put(b" ");
        out.nstring(self.in_reply_to.as_deref(), dialect);
        out.put(b" ");
        out.nstring(self.message_id.as_deref(), dialect);
        out.put(b")");
    }
}

fn addresses(list: &[Address], dialect: Dialect, out: &mut Output) {
    if list.is_empty() {
        return out.put(b"NIL");
    }
    out.put(b"(");
    for address in list {
        let (name, local, domain) = match address {
            Address::Mailbox { name, local, domain } => {
                (name.as_deref(), Some(&local[..]), Some(&domain[..]))
            }
            Address::GroupStart(name) => (None, Some(&name[..]), None),
            Address::GroupEnd => (None, None, None),
        };
        out.put(b"(");
        out.nstring(name, dialect);
        out.put(b" NIL ");
        out.nstring(local, dialect);
        out.put(b" ");
        out.nstring(domain, dialect);
        out.put(b")");
    }
    out.put(b")");
}
