//! The envelope of a submission: as the client gives it, or as it follows from the message (RFC 8621 §7).

use std::collections::HashSet;

use mail::Path;
use serde_json::Value;
use types::{Header, addresses};

use crate::error::SetError;

/// Who sends a message to whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Envelope {
    pub(super) sender: Path,
    /// Each once.
    pub(super) recipients: Vec<Path>,
}

impl Envelope {
    /// Reads what a client gives.
    pub(super) fn read(value: &Value) -> Result<Self, SetError> {
        let bad = |what: &str| SetError::properties(&["envelope"], format!("envelope {what}"));
        let envelope = value.as_object().ok_or_else(|| bad("must be an object"))?;
        if envelope.keys().any(|name| !matches!(name.as_str(), "mailFrom" | "rcptTo")) {
            return Err(bad("has mailFrom and rcptTo, and nothing else"));
        }
        let path =
            |value: &Value| path(value).ok_or_else(|| bad("names addresses with email and parameters"));
        let sender = path(envelope.get("mailFrom").ok_or_else(|| bad("lacks mailFrom"))?)?;
        let Some(Value::Array(list)) = envelope.get("rcptTo") else { return Err(bad("lacks rcptTo")) };
        let (mut recipients, mut known) = (Vec::with_capacity(list.len()), HashSet::new());
        for one in list {
            let one = path(one)?;
            if known.insert(one.address.clone()) {
                recipients.push(one);
            }
        }
        Ok(Self { sender, recipients })
    }

    /// Makes it of the header. The sender is whoever Sender names, else the author, if `may_be` says that they may be the
    /// sender; else it is the identity's own address.
    pub(super) fn derive(message: &[u8], identity: &str) -> Result<(Self, bool), SetError> {
        let header = Header::parse(message);
        let named = |name: &str| -> Vec<String> {
            let fields = header.named(name);
            fields.flat_map(|field| addresses(&String::from_utf8_lossy(field.value()))).collect()
        };
        let origin = if header.named("sender").next().is_some() { "sender" } else { "from" };
        let (fields, mut senders) = (header.named(origin).count(), named(origin));
        if fields > 1 || senders.len() > 1 {
            let text = "the message has several authors and no Sender, or several of those: say in the envelope \
                        who sends it";
            return Err(SetError::new("invalidEmail", text).with("properties", vec![origin.to_owned()]));
        }
        let found = senders.pop();
        let is_named = found.is_some();
        let sender = Path { address: found.unwrap_or_else(|| identity.to_owned()), parameters: None };
        let mut known = HashSet::new();
        let named = ["to", "cc", "bcc"].into_iter().flat_map(named);
        let recipients = named
            .filter(|address| known.insert(address.clone()))
            .map(|address| Path { address, parameters: None })
            .collect();
        Ok((Self { sender, recipients }, is_named))
    }
}

/// An `Address` (RFC 8621 §7).
fn path(value: &Value) -> Option<Path> {
    let members = value.as_object()?;
    if members.keys().any(|name| !matches!(name.as_str(), "email" | "parameters")) {
        return None;
    }
    let address = members.get("email")?.as_str()?.to_owned();
    let parameter = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::Null => None,
            value => Some(value.as_str()?.to_owned()),
        };
        Some((name.clone(), value))
    };
    let parameters = match members.get("parameters") {
        None | Some(Value::Null) => None,
        Some(Value::Object(parameters)) => {
            Some(parameters.iter().map(parameter).collect::<Option<Vec<_>>>()?)
        }
        Some(_) => return None,
    };
    Some(Path { address, parameters })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn addresses_of(paths: &[Path]) -> Vec<&str> {
        paths.iter().map(|path| path.address.as_str()).collect()
    }

    #[test]
    fn an_envelope_follows_from_the_header() {
        let message = b"From: Alice <alice@example.test>\r\nTo: bob@x.test, Carol <carol@x.test>\r\n\
                        Cc: bob@x.test\r\nBcc: dave@x.test\r\n\r\nTo: nobody@x.test\r\n";
        let (envelope, named) = Envelope::derive(message, "alice@example.test").unwrap();
        assert_eq!((envelope.sender.address.as_str(), named), ("alice@example.test", true));
        assert_eq!(addresses_of(&envelope.recipients), ["bob@x.test", "carol@x.test", "dave@x.test"]);
        let sent_for = b"From: a@x.test, b@x.test\r\nSender: c@x.test\r\n\r\n";
        let (envelope, _) = Envelope::derive(sent_for, "i@x.test").unwrap();
        assert_eq!(envelope.sender.address, "c@x.test");
        assert!(envelope.recipients.is_empty());
        let (nameless, named) = Envelope::derive(b"To: a@x.test\r\n\r\n", "i@x.test").unwrap();
        assert_eq!((nameless.sender.address.as_str(), named), ("i@x.test", false));
        for several in ["From: a@x.test, b@x.test\r\n\r\n", "Sender: a@x\r\nSender: b@x\r\n\r\n"] {
            let error = Envelope::derive(several.as_bytes(), "i@x.test").unwrap_err();
            assert_eq!(error.to_json()["type"], "invalidEmail");
        }
    }

    #[test]
    fn an_envelope_is_read() {
        let given = json!({
            "mailFrom": {"email": "a@x.test", "parameters": {"HOLDFOR": "60", "SMTPUTF8": null}},
            "rcptTo": [{"email": "b@x.test"}, {"email": "b@x.test", "parameters": null}, {"email": "c@x.test"}],
        });
        let envelope = Envelope::read(&given).unwrap();
        assert_eq!(envelope.sender.parameters.as_ref().unwrap().len(), 2);
        assert_eq!(addresses_of(&envelope.recipients), ["b@x.test", "c@x.test"]);
        for bad in [
            json!(1),
            json!({"rcptTo": []}),
            json!({"mailFrom": {"email": "a@x.test"}}),
            json!({"mailFrom": {"email": 1}, "rcptTo": []}),
            json!({"mailFrom": {"email": "a@x.test", "parameters": {"A": 1}}, "rcptTo": []}),
            json!({"mailFrom": {"email": "a@x.test"}, "rcptTo": [{"email": "b", "name": "x"}]}),
            json!({"mailFrom": {"email": "a@x.test"}, "rcptTo": [], "more": 1}),
        ] {
            assert!(Envelope::read(&bad).is_err(), "{bad}");
        }
    }
}
