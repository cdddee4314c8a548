//! The properties of an email and of its parts, as clients name them (RFC 8621 §4.1 and §4.2).

use super::header::{Form, HeaderProperty};
use crate::error::MethodError;

/// Properties that a client may name at once. Each is made for each email, or for each of its parts.
const MOST: usize = 200;

/// A property of an email.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Property {
    Id,
    BlobId,
    ThreadId,
    MailboxIds,
    Keywords,
    Size,
    ReceivedAt,
    /// All header fields.
    Headers,
    /// One header field.
    Header(HeaderProperty),
    BodyStructure,
    BodyValues,
    TextBody,
    HtmlBody,
    Attachments,
    HasAttachment,
    Preview,
}

/// A property of a part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum PartProperty {
    PartId,
    BlobId,
    Size,
    Headers,
    Header(HeaderProperty),
    Name,
    Type,
    Charset,
    Disposition,
    Cid,
    Language,
    Location,
    SubParts,
}

/// A property under the name that the client uses for it.
pub(crate) type Named<P> = (String, P);

/// What `Email/get` returns where the client does not say (RFC 8621 §4.2).
const USUAL: [&str; 26] = [
    "id",
    "blobId",
    "threadId",
    "mailboxIds",
    "keywords",
    "size",
    "receivedAt",
    "messageId",
    "inReplyTo",
    "references",
    "sender",
    "from",
    "to",
    "cc",
    "bcc",
    "replyTo",
    "subject",
    "sentAt",
    "hasAttachment",
    "preview",
    "bodyValues",
    "textBody",
    "htmlBody",
    "attachments",
    "bodyStructure",
    "headers",
];
/// Those of them that are not returned unless they are named.
const UNUSUAL: [&str; 2] = ["bodyStructure", "headers"];
/// What an email that is not stored does not have (RFC 8621 §4.9).
const STORED: [&str; 6] = ["id", "mailboxIds", "keywords", "receivedAt", "threadId", "blobId"];

/// What of a part is returned where the client does not say (RFC 8621 §4.2).
const USUAL_OF_PARTS: [&str; 10] =
    ["partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "language", "location"];

impl Property {
    fn named(name: &str) -> Option<Self> {
        let header = |field: &str, form| Some(Self::Header(HeaderProperty::last(field, form)));
        Some(match name {
            "id" => Self::Id,
            "blobId" => Self::BlobId,
            "threadId" => Self::ThreadId,
            "mailboxIds" => Self::MailboxIds,
            "keywords" => Self::Keywords,
            "size" => Self::Size,
            "receivedAt" => Self::ReceivedAt,
            "headers" => Self::Headers,
            "bodyStructure" => Self::BodyStructure,
            "bodyValues" => Self::BodyValues,
            "textBody" => Self::TextBody,
            "htmlBody" => Self::HtmlBody,
            "attachments" => Self::Attachments,
            "hasAttachment" => Self::HasAttachment,
            "preview" => Self::Preview,
            // RFC 8621 §4.1.3
            "messageId" => return header("Message-ID", Form::MessageIds),
            "inReplyTo" => return header("In-Reply-To", Form::MessageIds),
            "references" => return header("References", Form::MessageIds),
            "sender" => return header("Sender", Form::Addresses),
            "from" => return header("From", Form::Addresses),
            "to" => return header("To", Form::Addresses),
            "cc" => return header("Cc", Form::Addresses),
            "bcc" => return header("Bcc", Form::Addresses),
            "replyTo" => return header("Reply-To", Form::Addresses),
            "subject" => return header("Subject", Form::Text),
            "sentAt" => return header("Date", Form::Date),
            name => return HeaderProperty::parse(name).map(Self::Header),
        })
    }

    /// The properties that a client has named, or the usual ones. An email's id is always among them.
    pub(crate) fn read_all(names: Option<Vec<String>>) -> Result<Vec<Named<Self>>, MethodError> {
        let usual = || USUAL.into_iter().filter(|name| !UNUSUAL.contains(name)).map(str::to_owned);
        let mut properties = read(names.unwrap_or_else(|| usual().collect()), "properties", Self::named)?;
        if !properties.iter().any(|(_, property)| *property == Self::Id) {
            properties.insert(0, ("id".to_owned(), Self::Id));
        }
        Ok(properties)
    }

    /// The same for an email that is only parsed: what only stored emails have is `null`.
    pub(crate) fn read_parsed(names: Option<Vec<String>>) -> Result<Vec<Named<Self>>, MethodError> {
        let shown = |name: &&str| !UNUSUAL.contains(name) && !STORED.contains(name) && *name != "size";
        let usual = || USUAL.into_iter().filter(shown).map(str::to_owned);
        read(names.unwrap_or_else(|| usual().collect()), "properties", Self::named)
    }
}

impl PartProperty {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "partId" => Self::PartId,
            "blobId" => Self::BlobId,
            "size" => Self::Size,
            "headers" => Self::Headers,
            "name" => Self::Name,
            "type" => Self::Type,
            "charset" => Self::Charset,
            "disposition" => Self::Disposition,
            "cid" => Self::Cid,
            "language" => Self::Language,
            "location" => Self::Location,
            "subParts" => Self::SubParts,
            name => return HeaderProperty::parse(name).map(Self::Header),
        })
    }

    /// The properties that a client has named, or the usual ones.
    pub(crate) fn read_all(names: Option<Vec<String>>) -> Result<Vec<Named<Self>>, MethodError> {
        let usual = || USUAL_OF_PARTS.map(str::to_owned).to_vec();
        read(names.unwrap_or_else(usual), "bodyProperties", Self::named)
    }
}

fn read<P>(
    names: Vec<String>,
    argument: &str,
    named: impl Fn(&str) -> Option<P>,
) -> Result<Vec<Named<P>>, MethodError> {
    if names.len() > MOST {
        let text = format!("{argument} names {} properties, and may name {MOST}", names.len());
        return Err(MethodError::RequestTooLarge(text));
    }
    let mut properties: Vec<Named<P>> = Vec::with_capacity(names.len());
    for name in names {
        let unknown = || MethodError::argument(argument, format_args!("names {name:?}, which there is not"));
        let property = named(&name).ok_or_else(unknown)?;
        if !properties.iter().any(|(known, _)| *known == name) {
            properties.push((name, property));
        }
    }
    Ok(properties)
}
