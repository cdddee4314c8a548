//! Header fields as properties: `header:{name}`, in one of seven forms, of the last field or of all (RFC 8621 §4.1.2 and
//! §4.1.3).

use mail::ingest::address::{Entry, Mailbox, addresses};
use mail::ingest::fields::{Field, Fields};
use mail::ingest::{decode_text, message_ids, sent_at};
use serde_json::{Value, json};

use crate::wire::{Object, date};

/// The most addresses of one field that are shown.
const ADDRESSES: usize = 10_000;
/// The most URLs of one field that are shown.
const URLS: usize = 1_000;

/// How the value of a field is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// As it stands.
    Raw,
    /// As readable text.
    Text,
    /// As addresses, groups taken apart.
    Addresses,
    /// As groups of addresses.
    GroupedAddresses,
    /// As message ids.
    MessageIds,
    /// As a date.
    Date,
    /// As URLs.
    Urls,
}

/// A header property.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeaderProperty {
    /// The field's name, as the client has written it.
    pub name: String,
    /// How its value is shown.
    pub form: Form,
    /// Of all fields of that name, in their order; else of the last.
    pub all: bool,
}

/// Fields of RFC 5322 and RFC 2369, and in which form besides the raw one each may be asked for.
const KNOWN: [(&str, &[Form]); 30] = [
    ("bcc", &[Form::Addresses, Form::GroupedAddresses]),
    ("cc", &[Form::Addresses, Form::GroupedAddresses]),
    ("comments", &[Form::Text]),
    ("date", &[Form::Date]),
    ("from", &[Form::Addresses, Form::GroupedAddresses]),
    ("in-reply-to", &[Form::MessageIds]),
    ("keywords", &[Form::Text]),
    ("list-archive", &[Form::Urls]),
    ("list-help", &[Form::Urls]),
    ("list-id", &[Form::Text]),
    ("list-owner", &[Form::Urls]),
    ("list-post", &[Form::Urls]),
    ("list-subscribe", &[Form::Urls]),
    ("list-unsubscribe", &[Form::Urls]),
    ("message-id", &[Form::MessageIds]),
    ("received", &[]),
    ("references", &[Form::MessageIds]),
    ("reply-to", &[Form::Addresses, Form::GroupedAddresses]),
    ("resent-bcc", &[Form::Addresses, Form::GroupedAddresses]),
    ("resent-cc", &[Form::Addresses, Form::GroupedAddresses]),
    ("resent-date", &[Form::Date]),
    ("resent-from", &[Form::Addresses, Form::GroupedAddresses]),
    ("resent-message-id", &[Form::MessageIds]),
    ("resent-reply-to", &[Form::Addresses, Form::GroupedAddresses]),
    ("resent-sender", &[Form::Addresses, Form::GroupedAddresses]),
    ("resent-to", &[Form::Addresses, Form::GroupedAddresses]),
    ("return-path", &[]),
    ("sender", &[Form::Addresses, Form::GroupedAddresses]),
    ("subject", &[Form::Text]),
    ("to", &[Form::Addresses, Form::GroupedAddresses]),
];

impl Form {
    const NAMES: [(&str, Self); 7] = [
        ("asRaw", Self::Raw),
        ("asText", Self::Text),
        ("asAddresses", Self::Addresses),
        ("asGroupedAddresses", Self::GroupedAddresses),
        ("asMessageIds", Self::MessageIds),
        ("asDate", Self::Date),
        ("asURLs", Self::Urls),
    ];

    /// Whether a field of this name may be asked for in this form (RFC 8621 §4.1.2). Fields that the base standards do
    /// not define may be in any.
    fn fits(self, name: &str) -> bool {
        let known = KNOWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        self == Self::Raw || known.is_none_or(|(_, forms)| forms.contains(&self))
    }
}

impl HeaderProperty {
    /// Reads `header:{name}`, `header:{name}:{form}`, each also with `:all` behind it. `None` for anything else, and for
    /// a form that the field cannot have.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.strip_prefix("header:")?.split(':');
        let name = words.next().filter(|name| is_field_name(name))?;
        let mut word = words.next();
        let form = word.and_then(|word| Form::NAMES.iter().find(|(name, _)| *name == word));
        if form.is_some() {
            word = words.next();
        }
        let form = form.map_or(Form::Raw, |(_, form)| *form);
        let all = match word {
            None => false,
            Some("all") => true,
            Some(_) => return None,
        };
        let over = words.next().is_none();
        (over && form.fits(name)).then(|| Self { name: name.to_owned(), form, all })
    }

    /// A property of the last field of a name.
    pub(crate) fn last(name: &str, form: Form) -> Self {
        Self { name: name.to_owned(), form, all: false }
    }

    /// Its value, from a header that has all fields of its name. `hint` is the charset of 8-bit text that does not name
    /// one.
    pub fn value(&self, header: &[u8], hint: Option<&str>) -> Value {
        let same = |field: &Field<'_>| field.name.eq_ignore_ascii_case(self.name.as_bytes());
        let values = Fields::new(header).filter(same).map(|field| field.value);
        match self.all {
            true => values.map(|value| self.form.value(value, hint)).collect(),
            false => values.last().map_or(Value::Null, |value| self.form.value(value, hint)),
        }
    }
}

impl Form {
    fn value(self, value: &[u8], hint: Option<&str>) -> Value {
        match self {
            Self::Raw => raw(value).into(),
            Self::Text => decode_text(value, hint).into(),
            Self::Addresses => addresses_of(value, hint),
            Self::GroupedAddresses => groups_of(value, hint),
            Self::MessageIds => {
                let ids: Vec<Value> =
                    message_ids(value).map(|id| String::from_utf8_lossy(&id).into()).collect();
                if ids.is_empty() { Value::Null } else { Value::Array(ids) }
            }
            Self::Date => sent_at(value).map_or(Value::Null, |sent| date::zoned(sent.secs, sent.zone).into()),
            Self::Urls => {
                let urls = urls(value);
                if urls.is_empty() { Value::Null } else { urls.into() }
            }
        }
    }
}

/// All fields of a header in their order, raw (RFC 8621 §4.1.3 `headers`).
pub(crate) fn all_fields(header: &[u8]) -> Value {
    let fields = Fields::new(header).filter(|field| !field.name.is_empty());
    fields
        .map(|field| json!({"name": String::from_utf8_lossy(field.name), "value": raw(field.value)}))
        .collect()
}

/// The octets behind the colon: without NUL, and with U+FFFD for what is no UTF-8 (RFC 8621 §4.1.2.1).
fn raw(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    if text.contains('\0') { text.replace('\0', "") } else { text.into_owned() }
}

fn addresses_of(value: &[u8], hint: Option<&str>) -> Value {
    let mailboxes = addresses(value, ADDRESSES).into_iter().filter_map(|entry| match entry {
        Entry::Mailbox(mailbox) => Some(address(&mailbox, hint)),
        Entry::GroupStart(_) | Entry::GroupEnd => None,
    });
    mailboxes.collect()
}

/// Addresses outside of groups are in groups without a name (RFC 8621 §4.1.2.4).
fn groups_of(value: &[u8], hint: Option<&str>) -> Value {
    let mut groups: Vec<(Option<String>, Vec<Value>)> = Vec::new();
    let mut in_group = false;
    for entry in addresses(value, ADDRESSES) {
        match entry {
            Entry::GroupStart(name) => {
                groups.push((Some(decode_text(&name, hint).into_owned()), Vec::new()));
                in_group = true;
            }
            Entry::GroupEnd => in_group = false,
            Entry::Mailbox(mailbox) => {
                let address = address(&mailbox, hint);
                match groups.last_mut() {
                    Some((name, members)) if in_group || name.is_none() => members.push(address),
                    _ => groups.push((None, vec![address])),
                }
            }
        }
    }
    groups.into_iter().map(|(name, addresses)| json!({"name": name, "addresses": addresses})).collect()
}

fn address(mailbox: &Mailbox, hint: Option<&str>) -> Value {
    let mut address = Object::new();
    address.insert("name".to_owned(), mailbox.display_name(hint).into());
    address.insert("email".to_owned(), mailbox.address().into());
    Value::Object(address)
}

/// The URLs between angle brackets, without white space and comments around them (RFC 2369 §2).
fn urls(value: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(value);
    let mut found = Vec::new();
    let mut rest: &str = &text;
    while found.len() < URLS {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if let Some(inside) = rest.strip_prefix('(') {
            let Some(end) = inside.find(')') else { break };
            rest = inside.get(end + 1..).unwrap_or_default();
        } else if let Some(inside) = rest.strip_prefix('<') {
            let Some(end) = inside.find('>') else { break };
            let url: String =
                inside.get(..end).unwrap_or_default().chars().filter(|c| !c.is_whitespace()).collect();
            if !url.is_empty() {
                found.push(url);
            }
            rest = inside.get(end + 1..).unwrap_or_default();
        } else {
            break;
        }
    }
    found
}

/// Printable ASCII but the colon (RFC 5322 §2.2).
fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| (33..=126).contains(&byte) && byte != b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8621 §4.1.3
    #[test]
    fn property_names() {
        let parse = |text| HeaderProperty::parse(text).map(|p| (p.name, p.form, p.all));
        for (text, name, form, all) in [
            ("header:Subject", "Subject", Form::Raw, false),
            ("header:subject:asText", "subject", Form::Text, false),
            ("header:X-Any:all", "X-Any", Form::Raw, true),
            ("header:To:asGroupedAddresses:all", "To", Form::GroupedAddresses, true),
            ("header:List-Post:asURLs", "List-Post", Form::Urls, false),
            ("header:X-Any:asDate", "X-Any", Form::Date, false),
            ("header:Received:asRaw", "Received", Form::Raw, false),
            ("header:asText", "asText", Form::Raw, false),
        ] {
            assert_eq!(parse(text), Some((name.to_owned(), form, all)), "{text}");
        }
        for text in [
            "header:",
            "header",
            "Header:Subject",
            "header::asText",
            "header:Subject:astext",
            "header:Subject:all:asText",
            "header:Subject:all:all",
            "header:Subject:asText:all:x",
            "header:Sub ject",
            "header:Sübject",
            "header:Subject:",
            // A form that the field cannot have.
            "header:Subject:asAddresses",
            "header:From:asText",
            "header:Received:asText",
            "header:List-Post:asText",
            "header:Date:asMessageIds",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    fn value(property: &str, header: &str) -> Value {
        HeaderProperty::parse(property).unwrap().value(header.as_bytes(), None)
    }

    /// RFC 8621 §4.1.2
    #[test]
    fn forms() {
        for (property, header, shown) in [
            ("header:Subject", "Subject: a\r\n b\r\nSUBJECT:  last \r\n", json!("  last ")),
            ("header:Subject:all", "Subject: a\r\n b\r\nSUBJECT:  last \r\n", json!([" a\r\n b", "  last "])),
            ("header:X", "X: a\0b\r\n", json!(" ab")),
            (
                "header:Subject:asText",
                "Subject: =?utf-8?q?=ED=95=9C?=\r\n =?utf-8?b?6riA?= x \r\n",
                json!("한글 x"),
            ),
            ("header:Subject:asText", "To: a@x\r\n", Value::Null),
            ("header:Subject:asText:all", "To: a@x\r\n", json!([])),
            (
                "header:From:asAddresses",
                "From: \"James Smythe\" <james@example.com>, Friends:\r\n jane@example.com, =?UTF-8?Q?John_Sm=C3=AEth?=\r\n <john@example.com>;\r\n",
                json!([
                    {"name": "James Smythe", "email": "james@example.com"},
                    {"name": null, "email": "jane@example.com"},
                    {"name": "John Smîth", "email": "john@example.com"}
                ]),
            ),
            (
                "header:From:asGroupedAddresses",
                "From: \"James Smythe\" <james@example.com>, Friends:\r\n jane@example.com, =?UTF-8?Q?John_Sm=C3=AEth?=\r\n <john@example.com>;\r\n",
                json!([
                    {"name": null, "addresses": [{"name": "James Smythe", "email": "james@example.com"}]},
                    {"name": "Friends", "addresses": [
                        {"name": null, "email": "jane@example.com"},
                        {"name": "John Smîth", "email": "john@example.com"}
                    ]}
                ]),
            ),
            (
                "header:To:asGroupedAddresses",
                "To: undisclosed:;, a@x, b@x\r\n",
                json!([
                    {"name": "undisclosed", "addresses": []},
                    {"name": null, "addresses": [{"name": null, "email": "a@x"}, {"name": null, "email": "b@x"}]}
                ]),
            ),
            ("header:References:asMessageIds", "References: <a@x>\r\n <b@y>\r\n", json!(["a@x", "b@y"])),
            ("header:References:asMessageIds", "References: none\r\n", Value::Null),
            (
                "header:Date:asDate",
                "Date: Tue, 1 Jul 2003 10:52:37 +0200\r\n",
                json!("2003-07-01T10:52:37+02:00"),
            ),
            ("header:Date:asDate", "Date: soon\r\n", Value::Null),
            (
                "header:List-Unsubscribe:asURLs",
                "List-Unsubscribe: (by mail) <mailto:a@x?subject=u>,\r\n <https://x/\r\n u>\r\n",
                json!(["mailto:a@x?subject=u", "https://x/u"]),
            ),
            ("header:List-Post:asURLs", "List-Post: NO\r\n", Value::Null),
        ] {
            assert_eq!(value(property, header), shown, "{property}");
        }
    }

    #[test]
    fn raw_values_are_unicode() {
        let property = HeaderProperty::last("X", Form::Raw);
        assert_eq!(property.value(b"X: a\xffb\r\n", None), json!(" a\u{fffd}b"));
        assert_eq!(
            all_fields(b"A: 1\r\nno field\r\nB: 2\r\n\r\nC: 3\r\n"),
            json!([
                {"name": "A", "value": " 1"}, {"name": "B", "value": " 2"}
            ])
        );
    }
}
