//! Disposition notifications (RFC 8098): what somebody, or a program of theirs, tells that was done with a message.

use types::Disposition;

use super::fields::{Field, Fields};
use super::{decode_text, decoded_text, message_ids, transfer};
use crate::record::Structure;

/// Octets of the part for programs that are read.
const FIELDS: usize = 64 << 10;
/// Octets of the text for people that are read.
const TEXT: usize = 256 << 10;

/// A disposition notification.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notification {
    /// What it says to people.
    pub text: Option<String>,
    /// The program that wrote it.
    pub reporting_ua: Option<String>,
    /// The gateway that made it of a notification of another kind.
    pub gateway: Option<String>,
    /// Whom the message was for first, with the type of the address.
    pub original_recipient: Option<String>,
    /// Whom it was for in the end, with the type of the address.
    pub final_recipient: Option<String>,
    /// The id of the message that it is about, without brackets.
    pub original_message_id: Option<String>,
    /// What was done.
    pub disposition: Disposition,
    /// What went wrong, each in words.
    pub errors: Vec<String>,
    /// Fields that RFC 8098 does not know: names and values.
    pub extension: Vec<(String, String)>,
    /// Whether the message comes along.
    pub has_original: bool,
}

/// The notification that a message is, if it is one: a report with a part for programs that says what was done.
pub fn notification(raw: &[u8], structure: &Structure) -> Option<Notification> {
    let root = structure.part(0).filter(|root| root.media_type == "multipart/report")?;
    let report = root.param("report-type").unwrap_or_default();
    if !report.is_empty() && !report.eq_ignore_ascii_case(b"disposition-notification") {
        return None;
    }
    let mut parts = structure.children(0).filter_map(|index| structure.part(index));
    let (words, fields, original) = (parts.next()?, parts.next()?, parts.next());
    let kinds = ["message/disposition-notification", "message/global-disposition-notification"];
    if !kinds.contains(&fields.media_type.as_str()) {
        return None;
    }
    let block = transfer::decode(fields.octets(raw), &fields.encoding, FIELDS);
    let mut notification = read(block.trim_ascii_start())?;
    if words.media_type.starts_with("text/") {
        let text = decoded_text(words.octets(raw), &words.encoding, words.charset().as_deref(), TEXT);
        notification.text = Some(text.replace("\r\n", "\n"));
    }
    let messages = ["message/rfc822", "message/global"];
    notification.has_original = original.is_some_and(|part| messages.contains(&part.media_type.as_str()));
    Some(notification)
}

impl Notification {
    /// Whether it says that somebody with this address has been shown the message.
    pub fn says_displayed(&self, address: &str) -> bool {
        let recipients = [&self.final_recipient, &self.original_recipient].into_iter().flatten();
        let mut addresses = recipients.map(|text| text.split_once(';').map_or(text.as_str(), |(_, a)| a));
        self.disposition.kind == types::DispositionType::Displayed
            && addresses.any(|known| known.trim().to_lowercase() == address.to_lowercase())
    }
}

/// Reads the fields for programs.
fn read(block: &[u8]) -> Option<Notification> {
    let mut disposition = None;
    let mut found = Notification {
        text: None,
        reporting_ua: None,
        gateway: None,
        original_recipient: None,
        final_recipient: None,
        original_message_id: None,
        disposition: NONE,
        errors: Vec::new(),
        extension: Vec::new(),
        has_original: false,
    };
    for Field { name, value, .. } in Fields::new(block).filter(|field| !field.name.is_empty()) {
        let text = decode_text(value, Some("utf-8")).trim().to_owned();
        let name = String::from_utf8_lossy(name);
        match name.to_ascii_lowercase().as_str() {
            "reporting-ua" => found.reporting_ua = Some(text),
            "mdn-gateway" => found.gateway = Some(text),
            "original-recipient" => found.original_recipient = Some(text),
            "final-recipient" => found.final_recipient = Some(text),
            "original-message-id" => {
                let id = message_ids(value).next().map(|id| String::from_utf8_lossy(&id).into_owned());
                found.original_message_id = id;
            }
            "disposition" => disposition = text.parse().ok(),
            "error" => found.errors.push(text),
            _ => found.extension.push((name.into_owned(), text)),
        }
    }
    disposition.map(|disposition| Notification { disposition, ..found })
}

/// What stands there until the field was read.
const NONE: Disposition = Disposition {
    action: types::ActionMode::Automatic,
    sending: types::SendingMode::Automatic,
    kind: types::DispositionType::Processed,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::{Limits, structure};

    fn read(text: &str) -> Option<Notification> {
        let raw = text.replace('\n', "\r\n");
        notification(raw.as_bytes(), &structure(raw.as_bytes(), &Limits::default()).0)
    }

    /// The example of RFC 8098 §9, with fields of all kinds.
    const EXAMPLE: &str = "From: Joe Recipient <joe@example.com>\nMIME-Version: 1.0\n\
        Content-Type: multipart/report; report-type=disposition-notification;\n boundary=\"RAA\"\n\n--RAA\n\n\
        The message was displayed.\n\n--RAA\nContent-Type: message/disposition-notification\n\n\
        Reporting-UA: joes-pc.cs.example.com; Foomail 97.1\nMDN-Gateway: smtp; gate.example\n\
        Original-Recipient: rfc822;list@example.com\nFinal-Recipient: rfc822;Joe@example.com\n\
        Original-Message-ID:\n <199509192301.23456@example.org>\n\
        Disposition: manual-action/MDN-sent-manually; displayed/error\nError: one\nError: two\n\
        X-Mood: =?utf-8?Q?gl=C3=BCcklich?=\n\n--RAA\nContent-Type: message/rfc822\n\n\
        Subject: x\n\nbody\n--RAA--\n";

    #[test]
    fn the_example_of_the_rfc() {
        let found = read(EXAMPLE).unwrap();
        assert_eq!(found.text.as_deref(), Some("The message was displayed.\n"));
        assert_eq!(found.reporting_ua.as_deref(), Some("joes-pc.cs.example.com; Foomail 97.1"));
        assert_eq!(found.gateway.as_deref(), Some("smtp; gate.example"));
        assert_eq!(found.original_message_id.as_deref(), Some("199509192301.23456@example.org"));
        assert_eq!(found.disposition.to_string(), "manual-action/MDN-sent-manually; displayed");
        assert_eq!(found.errors, ["one", "two"]);
        assert_eq!(found.extension, [("X-Mood".to_owned(), "glücklich".to_owned())]);
        assert!(found.has_original);
        assert!(found.says_displayed("joe@EXAMPLE.com") && found.says_displayed("list@example.com"));
        assert!(!found.says_displayed("bob@example.com"));
    }

    #[test]
    fn parts_in_base64_and_without_the_message() {
        let text = EXAMPLE.split("--RAA\nContent-Type: message/rfc822").next().unwrap();
        let found = read(&format!("{text}--RAA--\n").replace("displayed/error", "deleted")).unwrap();
        assert!(!found.has_original && !found.says_displayed("joe@example.com"));
        let fields =
            "RGlzcG9zaXRpb246IGF1dG9tYXRpYy1hY3Rpb24vTUROLXNlbnQtYXV0b21hdGljYWxseTsg\ncHJvY2Vzc2VkCg==";
        let encoded = format!(
            "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>x\n--b\n\
             Content-Type: message/disposition-notification\nContent-Transfer-Encoding: base64\n\n{fields}\n--b--\n"
        );
        let found = read(&encoded).unwrap();
        assert_eq!(found.disposition.kind, types::DispositionType::Processed);
        assert_eq!((found.final_recipient, found.original_message_id), (None, None));
    }

    #[test]
    fn what_is_none() {
        for (from, to) in [
            ("multipart/report;", "multipart/mixed;"),
            ("report-type=disposition-notification", "report-type=delivery-status"),
            ("message/disposition-notification", "text/plain"),
            ("manual-action/MDN-sent-manually; displayed/error", "denied"),
            ("Disposition: ", "X-Disposition: "),
        ] {
            assert_ne!(EXAMPLE.replace(from, to), EXAMPLE);
            assert_eq!(read(&EXAMPLE.replace(from, to)), None, "{to}");
        }
        assert_eq!(read("Subject: x\n\ntext\n"), None);
        assert_eq!(read(""), None);
    }
}
