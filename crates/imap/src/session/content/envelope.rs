//! ENVELOPE from header fields (RFC 9051 §7.5.2).

use mail::ingest::address::{Entry, addresses};
use mail::ingest::fields::{Fields, unfold};

use crate::wire::response::{Address, Envelope};

/// The most addresses of one field that an answer shows.
const ADDRESSES: usize = 10_000;

/// The envelope in a block of header fields, whose memory it shares. Of fields that are there twice the last counts, as
/// in JMAP.
pub(in super::super) fn envelope(block: &[u8]) -> Envelope<'_> {
    let mut envelope = Envelope::default();
    for field in Fields::new(block) {
        let text = || Some(unfold(field.value)).filter(|text| !text.is_empty());
        let list = || addresses(field.value, ADDRESSES).into_iter().map(address).collect();
        // No name that counts is longer.
        let mut name = [0; 11];
        let Some(name) = name.get_mut(..field.name.len()) else { continue };
        name.copy_from_slice(field.name);
        name.make_ascii_lowercase();
        match &*name {
            b"date" => envelope.date = text(),
            // An empty Subject is not the same as none.
            b"subject" => envelope.subject = Some(unfold(field.value)),
            b"from" => envelope.from = list(),
            b"sender" => envelope.sender = list(),
            b"reply-to" => envelope.reply_to = list(),
            b"to" => envelope.to = list(),
            b"cc" => envelope.cc = list(),
            b"bcc" => envelope.bcc = list(),
            b"in-reply-to" => envelope.in_reply_to = text(),
            b"message-id" => envelope.message_id = text(),
            _ => {}
        }
    }
    envelope
}

fn address(entry: Entry<'_>) -> Address<'_> {
    match entry {
        Entry::Mailbox(mailbox) => {
            Address::Mailbox { name: mailbox.name, local: mailbox.local, domain: mailbox.domain }
        }
        Entry::GroupStart(name) => Address::GroupStart(name),
        Entry::GroupEnd => Address::GroupEnd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_clients_list_by() {
        let block = b"Date: Tue, 1 Jul 2003 10:52:37 +0200\r\nSubject: =?utf-8?q?a?=\r\n b\r\n\
                      From: \"A, B\" <a@x.test>\r\nTo: team: c@x.test;\r\nMessage-ID: <1@x>\r\nSubject:\r\n\r\n";
        let envelope = envelope(block);
        assert_eq!(envelope.subject.as_deref(), Some(&b""[..]));
        assert_eq!(envelope.message_id.as_deref(), Some(&b"<1@x>"[..]));
        let from = Address::Mailbox {
            name: Some(b"A, B"[..].into()),
            local: b"a"[..].into(),
            domain: b"x.test"[..].into(),
        };
        assert_eq!(envelope.from, [from]);
        assert_eq!(envelope.to.len(), 3);
        assert_eq!(envelope.to.last(), Some(&Address::GroupEnd));
    }
}
