//! The parts of a message that may be a report.

use mail::ingest::{self, Limits, transfer};

/// How many parts of one message are looked at.
const PARTS: usize = 4;
/// The largest of them, in octets.
const LARGEST: usize = 16 << 20;

/// What senders call reports; some send any of them as `application/octet-stream`.
const TYPES: [&str; 12] = [
    "application/gzip",
    "application/x-gzip",
    "application/gzip-compressed",
    "application/zip",
    "application/x-zip",
    "application/x-zip-compressed",
    "application/tlsrpt+gzip",
    "application/tlsrpt+json",
    "application/json",
    "application/xml",
    "text/xml",
    "application/octet-stream",
];

/// Those parts, decoded.
pub(super) fn attachments(message: &[u8]) -> Vec<Vec<u8>> {
    let (structure, _) = ingest::structure(message, &Limits::default());
    let parts = structure.0.iter().filter(|part| TYPES.contains(&part.media_type.as_str()));
    let decoded = parts.filter_map(|part| {
        let (begin, end) = (usize::try_from(part.body).ok()?, usize::try_from(part.end).ok()?);
        Some(transfer::decode(message.get(begin..end)?, &part.encoding, LARGEST).into_owned())
    });
    decoded.take(PARTS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_may_be_a_report() {
        let message = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n\
            --x\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n\
            --x\r\nContent-Type: text/xml\r\n\r\n<x/>\r\n--x--\r\n";
        assert_eq!(attachments(message), [b"abc".to_vec(), b"<x/>".to_vec()]);
        let alone =
            b"Content-Type: application/zip; name=x\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n";
        assert_eq!(attachments(alone), [b"abc".to_vec()]);
        assert!(attachments(b"Subject: x\r\n\r\n<feedback/>\r\n").is_empty());
    }
}
