//! ENVELOPE (RFC 9051 §7.5.2).

use std::borrow::Cow;

use super::super::name::Dialect;
use super::output::Output;

/// A message's header fields in the form that clients list it by. Texts are as they stand in the header,
/// unfolded; encoded words are the client's to decode.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Envelope<'a> {
    /// `Date`
    pub date: Option<Cow<'a, [u8]>>,
    /// `Subject`
    pub subject: Option<Cow<'a, [u8]>>,
    /// `From`
    pub from: Vec<Address<'a>>,
    /// `Sender`; `From` if empty.
    pub sender: Vec<Address<'a>>,
    /// `Reply-To`; `From` if empty.
    pub reply_to: Vec<Address<'a>>,
    /// `To`
    pub to: Vec<Address<'a>>,
    /// `Cc`
    pub cc: Vec<Address<'a>>,
    /// `Bcc`
    pub bcc: Vec<Address<'a>>,
    /// `In-Reply-To`
    pub in_reply_to: Option<Cow<'a, [u8]>>,
    /// `Message-ID`
    pub message_id: Option<Cow<'a, [u8]>>,
}

/// An address, or one end of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// `Name <local@domain>`
    Mailbox {
        /// The display name.
        name: Option<Cow<'a, [u8]>>,
        /// Before the `@`.
        local: Cow<'a, [u8]>,
        /// After it.
        domain: Cow<'a, [u8]>,
    },
    /// `Name:`
    GroupStart(Cow<'a, [u8]>),
    /// `;`
    GroupEnd,
}

impl Envelope<'_> {
    /// Writes the parenthesised list.
    pub fn write(&self, dialect: Dialect, out: &mut Output) {
        out.put(b"(");
        out.nstring(self.date.as_deref(), dialect);
        out.put(b" ");
        out.nstring(self.subject.as_deref(), dialect);
        out.put(b" ");
        let begin = out.mark();
        addresses(&self.from, dialect, out);
        let from = begin..out.mark();
        for list in [&self.sender, &self.reply_to] {
            out.put(b" ");
            match &list[..] {
                [] => out.repeat(from.clone()),
                list => addresses(list, dialect, out),
            }
        }
        for list in [&self.to, &self.cc, &self.bcc] {
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

fn addresses(list: &[Address<'_>], dialect: Dialect, out: &mut Output) {
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
