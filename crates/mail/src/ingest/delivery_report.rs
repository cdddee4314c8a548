//! Delivery reports (RFC 3464, RFC 6533): what a server tells of a message that it could deliver, or could not.

use super::fields::Fields;
use super::{decode_text, message_ids, transfer};
use crate::record::{Part, Structure};

/// Octets of the part for programs that are read, and of a header that comes back.
const FIELDS: usize = 256 << 10;
/// Recipients that are read.
const RECIPIENTS: usize = 1_000;

/// A delivery report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryReport {
    /// The id of the message that it is about, without brackets, as the message or its header says that came back.
    pub message_id: String,
    /// Those of whom it says something final.
    pub outcomes: Vec<DeliveryOutcome>,
}

/// What became of a message for a recipient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryOutcome {
    /// The address that was tried, and the one that the sender first wrote to, as far as they are told; without types.
    pub addresses: Vec<String>,
    /// Whether it is in the mailbox. False: it will not arrive.
    pub delivered: bool,
}

/// The delivery report that a message is, if it is one that says of which message.
pub fn delivery_report(raw: &[u8], structure: &Structure) -> Option<DeliveryReport> {
    structure.part(0).filter(|root| root.media_type == "multipart/report")?;
    let mut parts = structure.children(0).filter_map(|index| structure.part(index)).skip(1);
    let (status, original) = (parts.next()?, parts.next()?);
    let kinds = ["message/delivery-status", "message/global-delivery-status"];
    if !kinds.contains(&status.media_type.as_str()) {
        return None;
    }
    let message_id = id_in(raw, original)?;
    let block = transfer::decode(status.octets(raw), &status.encoding, FIELDS);
    // The first group of fields is about the message, each other about a recipient.
    let groups = groups(&block).skip(1).take(RECIPIENTS);
    Some(DeliveryReport { message_id, outcomes: groups.filter_map(outcome).collect() })
}

impl DeliveryOutcome {
    /// Whether it is about this address.
    pub fn is_of(&self, address: &str) -> bool {
        self.addresses.iter().any(|known| known.to_lowercase() == address.to_lowercase())
    }
}

/// The message's id in what came back of it.
fn id_in(raw: &[u8], original: &Part) -> Option<String> {
    let header = match (&original.envelope, original.media_type.as_str()) {
        (Some(envelope), _) => envelope.to_vec(),
        (None, "text/rfc822-headers" | "message/global-headers" | "message/rfc822-headers") => {
            transfer::decode(original.octets(raw), &original.encoding, FIELDS).into_owned()
        }
        (None, _) => return None,
    };
    let field = Fields::new(&header).find(|field| field.name.eq_ignore_ascii_case(b"message-id"))?;
    message_ids(field.value).next().map(|id| String::from_utf8_lossy(&id).into_owned())
}

/// Groups of fields, between which stand empty lines.
fn groups(block: &[u8]) -> impl Iterator<Item = Vec<(String, String)>> {
    let mut rest = block.trim_ascii_start();
    std::iter::from_fn(move || {
        let mut group = Vec::new();
        let mut length = 0;
        for field in Fields::new(rest) {
            length += field.raw.len();
            let name = String::from_utf8_lossy(field.name).to_ascii_lowercase();
            group.push((name, decode_text(field.value, Some("utf-8")).trim().to_owned()));
        }
        rest = rest.get(length..).unwrap_or_default().trim_ascii_start();
        (!group.is_empty()).then_some(group)
    })
}

fn outcome(group: Vec<(String, String)>) -> Option<DeliveryOutcome> {
    let value = |name: &str| group.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let delivered = match value("action")?.to_ascii_lowercase().as_str() {
        "delivered" => true,
        "failed" => false,
        _ => return None,
    };
    let addresses = ["final-recipient", "original-recipient"].into_iter().filter_map(value);
    let addresses = addresses.map(|text| text.split_once(';').map_or(text, |(_, address)| address));
    Some(DeliveryOutcome { addresses: addresses.map(|text| text.trim().to_owned()).collect(), delivered })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::{Limits, structure};

    fn read(text: &str) -> Option<DeliveryReport> {
        let raw = text.replace('\n', "\r\n");
        delivery_report(raw.as_bytes(), &structure(raw.as_bytes(), &Limits::default()).0)
    }

    const REPORT: &str = "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nSorry.\n\n--b\n\
        Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.com\n\n\
        Original-Recipient: rfc822; Team@example.com\nFinal-Recipient: rfc822; joe@example.com\nAction: failed\nStatus: 5.1.1\n\n\
        Final-Recipient: rfc822; ann@example.com\nAction: delayed\nStatus: 4.4.1\n\n\n\
        Final-Recipient: rfc822; eve@example.com\nAction: Delivered\nStatus: 2.0.0\n\n\
        --b\nContent-Type: text/rfc822-headers\n\nSubject: x\nMessage-ID: <1@x.test>\n\n--b--\n";

    #[test]
    fn what_became_of_whom() {
        let report = read(REPORT).unwrap();
        assert_eq!(report.message_id, "1@x.test");
        let [lost, arrived] = report.outcomes.as_slice() else { panic!("{report:?}") };
        assert!(!lost.delivered && lost.is_of("JOE@example.com") && lost.is_of("team@example.com"));
        assert!(arrived.delivered && arrived.is_of("eve@example.com") && !arrived.is_of("ann@example.com"));
        let whole = REPORT.replace("text/rfc822-headers", "message/rfc822");
        assert_eq!(read(&whole).unwrap().message_id, "1@x.test");
    }

    #[test]
    fn what_is_none() {
        for (from, to) in [
            ("multipart/report;", "multipart/mixed;"),
            ("message/delivery-status", "message/disposition-notification"),
            ("Message-ID: <1@x.test>\n", ""),
            ("text/rfc822-headers", "text/plain"),
        ] {
            assert_eq!(read(&REPORT.replace(from, to)), None, "{to}");
        }
        assert_eq!(read(""), None);
    }
}
