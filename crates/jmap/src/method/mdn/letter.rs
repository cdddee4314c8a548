//! The message that a receipt is for, as far as that matters: who wants to be told, and whether they may be (RFC 8098 §2).

use bytes::Bytes;
use compose::{About, Reported};
use mail::ingest::{self, decode_text, message_ids};
use mail::{Email, Mail};
use types::{AccountId, Header, SendingMode, addresses};

use crate::blob;
use crate::error::{MethodError, SetError, TransferError};

/// Octets of a message that are read for its header.
const HEADER: u64 = 256 << 10;
/// The most addresses that one receipt goes to: whoever has written the message has chosen them.
const ASKING: usize = 10;

/// A message's header.
pub(super) struct Letter {
    header: Bytes,
    is_notification: bool,
}

impl Letter {
    /// Reads it. None if it is gone.
    pub(super) async fn read(
        mail: &Mail,
        account: AccountId,
        email: &Email,
    ) -> Result<Option<Self>, MethodError> {
        let read = async {
            let source = blob::source(mail, account, email.id).await?;
            let beginning = source.read(0..HEADER.min(source.size())).await?;
            Ok::<_, TransferError>(beginning)
        };
        let beginning = match read.await {
            Ok(beginning) => beginning,
            Err(TransferError::NotFound) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let body = Header::parse(&beginning).body.min(beginning.len());
        let (structure, _) = ingest::structure(&beginning, &ingest::Limits::default());
        let root = structure.part(0);
        let report = root.and_then(|root| root.param("report-type")).unwrap_or_default();
        let is_notification = report.eq_ignore_ascii_case(b"disposition-notification");
        Ok(Some(Self { header: beginning.slice(..body), is_notification }))
    }

    /// Who wants to be told, each once; or why nobody is.
    pub(super) fn asking(&self, sending: SendingMode) -> Result<Vec<String>, SetError> {
        let forbidden = |text: &str| Err(SetError::new("forbidden", text));
        let header = Header::parse(&self.header);
        let mut fields = header.named("disposition-notification-to");
        let (field, another) = (fields.next(), fields.next());
        let mut asking: Vec<String> = Vec::new();
        for address in field.iter().filter(|_| another.is_none()).flat_map(|field| named(field.value())) {
            if !asking.iter().any(|known| known.eq_ignore_ascii_case(&address)) {
                asking.push(address);
            }
        }
        if asking.is_empty() {
            let text = "the message has no valid Disposition-Notification-To: nobody wants to be told";
            return Err(SetError::new("notFound", text));
        }
        if self.is_notification {
            return forbidden("the message is a disposition notification, for which there are none");
        }
        if asking.len() > ASKING {
            return forbidden("the message wants too many people to be told");
        }
        let options = header.named("disposition-notification-options");
        if options.into_iter().any(|field| requires(&String::from_utf8_lossy(field.value()))) {
            return forbidden("the message demands options of its notification that are not known here");
        }
        if sending == SendingMode::Automatic && !self.comes_from(&asking) {
            let text = "nobody was asked, and whoever wants to be told is not who has sent the message";
            return forbidden(text);
        }
        Ok(asking)
    }

    /// Whether the only one who asks is the sender in the envelope (RFC 8098 §2.1).
    fn comes_from(&self, asking: &[String]) -> bool {
        let header = Header::parse(&self.header);
        let path = header.named("return-path").next().map(|field| named(field.value()));
        match (asking, path.as_deref()) {
            ([only], Some([sender])) => only.eq_ignore_ascii_case(sender),
            _ => false,
        }
    }

    /// What a receipt says of it.
    pub(super) fn about(&self, email: &Email) -> About {
        let header = Header::parse(&self.header);
        let value = |name: &'static str| header.named(name).last().map(|field| field.value());
        let id = value("message-id").and_then(|value| message_ids(value).next());
        About {
            subject: value("subject").map(|value| decode_text(value, None).into_owned()),
            id: id.map(|id| String::from_utf8_lossy(&id).into_owned()),
            received: email.received,
        }
    }

    /// Whom the message was for first, as its sender had it (RFC 8098 §2.3).
    pub(super) fn original_recipient(&self) -> Option<Reported> {
        let header = Header::parse(&self.header);
        let field = header.named("original-recipient").next()?;
        let text = decode_text(field.value(), None);
        Reported::parse(text.trim()).filter(|_| text.contains(';'))
    }
}

/// The addresses in a field that can be addresses at all.
fn named(value: &[u8]) -> Vec<String> {
    let fits = |address: &String| {
        let parts = address.rsplit_once('@');
        parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
            && !address.chars().any(|c| c.is_control() || c.is_whitespace())
    };
    addresses(&String::from_utf8_lossy(value)).into_iter().filter(fits).collect()
}

/// Whether a parameter must be understood (RFC 8098 §2.2). None is known here.
fn requires(value: &str) -> bool {
    value.split(';').any(|parameter| {
        let importance =
            parameter.split_once('=').map(|(_, rest)| rest.split(',').next().unwrap_or_default());
        importance.is_some_and(|importance| importance.trim().eq_ignore_ascii_case("required"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(header: &str, sending: SendingMode) -> Result<Vec<String>, String> {
        let header = Bytes::from(header.replace('\n', "\r\n"));
        let letter = Letter { header, is_notification: false };
        let kind = |error: SetError| error.to_json()["type"].as_str().unwrap().to_owned();
        letter.asking(sending).map_err(kind)
    }

    #[test]
    fn who_wants_to_be_told() {
        let manual = |header: &str| asking(header, SendingMode::Manual);
        let one = "Disposition-Notification-To: Ann <ann@x.test>, ANN@x.test,\n bob@y.test\n\n";
        assert_eq!(manual(one).unwrap(), ["ann@x.test", "bob@y.test"]);
        for none in [
            "Subject: x\n\n",
            "Disposition-Notification-To:\n\n",
            "Disposition-Notification-To: yes please\n\n",
            "Disposition-Notification-To: a@x\nDisposition-Notification-To: b@x\n\n",
        ] {
            assert_eq!(manual(none), Err("notFound".to_owned()), "{none}");
        }
        let many: Vec<String> = (0..11).map(|n| format!("a{n}@x.test")).collect();
        let many = format!("Disposition-Notification-To: {}\n\n", many.join(", "));
        assert_eq!(manual(&many), Err("forbidden".to_owned()));
        let options = |value: &str| {
            let field = format!("Disposition-Notification-Options: {value}\n");
            manual(&format!("{field}Disposition-Notification-To: a@x.test\n\n"))
        };
        assert_eq!(options("a=optional,b; c=Required,d"), Err("forbidden".to_owned()));
        assert!(options("a=optional,required").is_ok());
    }

    #[test]
    fn who_was_not_asked_tells_nobody_but_the_sender() {
        let automatic = |path: &str, to: &str| {
            asking(&format!("{path}Disposition-Notification-To: {to}\n\n"), SendingMode::Automatic)
        };
        assert!(automatic("Return-Path: <ann@x.test>\n", "Ann <ANN@x.test>").is_ok());
        for (path, to) in [
            ("", "ann@x.test"),
            ("Return-Path: <>\n", "ann@x.test"),
            ("Return-Path: <bob@x.test>\n", "ann@x.test"),
            ("Return-Path: <ann@x.test>\n", "ann@x.test, bob@x.test"),
        ] {
            assert_eq!(automatic(path, to), Err("forbidden".to_owned()), "{path}{to}");
        }
    }

    #[test]
    fn what_a_receipt_says_of_a_message() {
        let header = "Message-ID: <1@x>\r\nSubject: =?utf-8?B?7ZWc6rWt?=\r\nOriginal-Recipient: rfc822;list@x.test\r\n\r\n";
        let letter = Letter { header: Bytes::from_static(header.as_bytes()), is_notification: true };
        assert_eq!(letter.original_recipient().unwrap().to_string(), "rfc822; list@x.test");
        assert!(letter.asking(SendingMode::Manual).is_err());
    }
}
