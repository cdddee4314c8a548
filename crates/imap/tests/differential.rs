//! Our wire layer against imap-codec: what both speak, both must understand alike.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::borrow::Cow;

use bytes::BytesMut;
use imap::wire::command::{Tagged, parse};
use imap::wire::response::{Address, Disposition, Envelope, FetchLine, Output, Structure, StructureKind};
use imap::wire::{Dialect, Framed, Framer, Limits};
use imap_codec::decode::Decoder;
use imap_codec::encode::Encoder;
use imap_codec::imap_types::body::{BodyStructure, Disposition as TheirDisposition, SpecificFields};
use imap_codec::imap_types::core::{IString, NString};
use imap_codec::imap_types::envelope::Envelope as TheirEnvelope;
use imap_codec::imap_types::fetch::MessageDataItem;
use imap_codec::imap_types::response::{Data, Response};
use imap_codec::{CommandCodec, ResponseCodec};
use proptest::prelude::*;

/// What our side makes of one command; APPEND's head stands for the whole.
fn ours(bytes: &[u8]) -> Result<Tagged, String> {
    let mut framer = Framer::new(Limits::default());
    framer.logged_in();
    let mut input = BytesMut::from(bytes);
    loop {
        match framer.next(&mut input) {
            Framed::Continue => {}
            Framed::Command(frame) | Framed::Append { head: frame, .. } => {
                return parse(&frame).map_err(|e| e.error.to_string());
            }
            other => return Err(format!("{other:?}")),
        }
    }
}

/// What imap-codec makes of it, written by imap-codec.
fn theirs(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (rest, command) = CommandCodec::default().decode(bytes).map_err(|e| format!("{e:?}"))?;
    if rest.is_empty() {
        Ok(CommandCodec::default().encode(&command).dump())
    } else {
        Err(format!("{rest:?}"))
    }
}

fn text(options: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(options).prop_map(str::to_owned)
}

fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9.@/=_-]{1,12}",
        "[a-zA-Z0-9 ()%*{}]{0,12}".prop_map(|s| format!("\"{s}\"")),
        "[a-zA-Z0-9 \\\\\"()%*{}\r\n]{0,12}".prop_map(|s| format!("{{{}}}\r\n{s}", s.len())),
        "[a-z\"\\\\]{0,6}".prop_map(|s| format!("\"{}\"", s.replace('\\', "\\\\").replace('"', "\\\""))),
    ]
}

fn set() -> impl Strategy<Value = String> {
    let one = prop_oneof![
        (1_u32..2000).prop_map(|n| n.to_string()),
        (1_u32..2000, 1_u32..2000).prop_map(|(a, b)| format!("{a}:{b}")),
        (1_u32..2000).prop_map(|a| format!("{a}:*")),
        Just("*".to_owned()),
    ];
    prop::collection::vec(one, 1..5).prop_map(|v| v.join(","))
}

fn flag() -> impl Strategy<Value = String> {
    text(&["\\Seen", "\\answered", "\\FLAGGED", "\\Deleted", "\\Draft", "$Forwarded", "project-x"])
}

fn date() -> impl Strategy<Value = String> {
    (1_u32..29, text(&["Jan", "feb", "DEC"]), 1900_u32..2100).prop_map(|(d, m, y)| format!("{d}-{m}-{y}"))
}

fn search_key() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        text(&["ALL", "answered", "DELETED", "FLAGGED", "SEEN", "UNSEEN", "UNDRAFT", "UNDELETED"]),
        (text(&["BCC", "BODY", "cc", "FROM", "SUBJECT", "TEXT", "TO"]), string())
            .prop_map(|(k, s)| format!("{k} {s}")),
        (string(), string()).prop_map(|(f, s)| format!("HEADER {f} {s}")),
        (text(&["BEFORE", "ON", "SINCE", "SENTBEFORE", "senton", "SENTSINCE"]), date())
            .prop_map(|(k, d)| format!("{k} {d}")),
        (text(&["LARGER", "SMALLER"]), any::<u32>()).prop_map(|(k, n)| format!("{k} {n}")),
        set(),
        set().prop_map(|s| format!("UID {s}")),
        text(&["KEYWORD $Junk", "UNKEYWORD work"]),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|k| format!("NOT {k}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("OR {a} {b}")),
            prop::collection::vec(inner, 1..4).prop_map(|v| format!("({})", v.join(" "))),
        ]
    })
}

fn section() -> impl Strategy<Value = String> {
    let fields = prop::collection::vec("[A-Za-z-]{1,9}", 1..3).prop_map(|v| v.join(" "));
    (
        prop_oneof![Just(String::new()), Just("1.".to_owned()), Just("2.3.1.".to_owned())],
        prop_oneof![
            text(&["HEADER", "TEXT"]),
            fields.clone().prop_map(|f| format!("HEADER.FIELDS ({f})")),
            fields.prop_map(|f| format!("HEADER.FIELDS.NOT ({f})")),
        ],
        text(&["", "<0.100>", "<17.1>"]),
        text(&["BODY", "BODY.PEEK", "body.peek"]),
    )
        .prop_map(|(part, what, partial, body)| format!("{body}[{part}{what}]{partial}"))
}

fn fetch_item() -> impl Strategy<Value = String> {
    prop_oneof![
        text(&[
            "ENVELOPE",
            "FLAGS",
            "INTERNALDATE",
            "UID",
            "RFC822",
            "RFC822.SIZE",
            "RFC822.HEADER",
            "RFC822.TEXT",
            "BODY"
        ]),
        text(&[
            "BODYSTRUCTURE",
            "BODY[]",
            "BODY.PEEK[]<1.2>",
            "BODY[1.2]",
            "BODY[4.MIME]",
            "BINARY[1]",
            "BINARY.PEEK[2.1]<0.5>",
            "BINARY.SIZE[3]"
        ]),
        section(),
    ]
}

fn command() -> impl Strategy<Value = String> {
    let uid = || text(&["", "", "UID ", "uid "]);
    prop_oneof![
        text(&["CAPABILITY", "noop", "LOGOUT", "CHECK", "CLOSE", "EXPUNGE", "IDLE", "UNSELECT"]),
        (string(), string()).prop_map(|(u, p)| format!("LOGIN {u} {p}")),
        text(&[
            "AUTHENTICATE PLAIN",
            "AUTHENTICATE PLAIN AGEAYg==",
            "authenticate login =",
            "COMPRESS deflate",
            "ENABLE IMAP4rev2 X"
        ]),
        (text(&["SELECT", "examine", "CREATE", "DELETE", "SUBSCRIBE", "UNSUBSCRIBE"]), string())
            .prop_map(|(c, m)| format!("{c} {m}")),
        (text(&["RENAME", "LIST", "LSUB"]), string(), string()).prop_map(|(c, a, b)| format!("{c} {a} {b}")),
        text(&["LIST \"\" %", "LSUB \"a\" b*c%", "LIST {1}\r\nx \"*\""]),
        (string(), text(&["MESSAGES", "UIDNEXT UNSEEN", "recent uidvalidity"]))
            .prop_map(|(m, i)| format!("STATUS {m} ({i})")),
        (
            uid(),
            set(),
            text(&["FLAGS", "+FLAGS", "-flags.silent"]),
            prop::collection::vec(flag(), 1..4),
            any::<bool>()
        )
            .prop_map(|(u, s, a, f, list)| {
                let flags = f.join(" ");
                if list { format!("{u}STORE {s} {a} ({flags})") } else { format!("{u}STORE {s} {a} {flags}") }
            }),
        (uid(), text(&["COPY", "MOVE"]), set(), string()).prop_map(|(u, c, s, m)| format!("{u}{c} {s} {m}")),
        (
            uid(),
            set(),
            prop_oneof![
                text(&["ALL", "fast", "FULL"]),
                fetch_item(),
                prop::collection::vec(fetch_item(), 1..5).prop_map(|v| format!("({})", v.join(" ")))
            ]
        )
            .prop_map(|(u, s, i)| format!("{u}FETCH {s} {i}")),
        (uid(), text(&["", "CHARSET UTF-8 "]), prop::collection::vec(search_key(), 1..4))
            .prop_map(|(u, c, k)| format!("{u}SEARCH {c}{}", k.join(" "))),
        (
            string(),
            prop::collection::vec(flag(), 0..3),
            text(&["", "\"17-Jul-1996 02:44:25 -0700\" ", "\" 1-Jan-2001 00:00:00 +0900\" "])
        )
            .prop_map(|(m, f, d)| format!("APPEND {m} ({}) {d}{{3}}\r\nabc", f.join(" "))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_understand_a_good_command_alike(command in command()) {
        let bytes = format!("a1 {command}\r\n").into_bytes();
        let ours_first = ours(&bytes);
        prop_assert!(ours_first.is_ok(), "{command:?}: {ours_first:?}");
        let written = theirs(&bytes);
        prop_assert!(written.is_ok(), "{command:?}: {written:?}");
        prop_assert_eq!(ours_first, ours(&written.unwrap()));
    }

    /// One byte wrong: where both still see a command, they see the same one.
    #[test]
    fn neither_is_led_astray_by_one_wrong_byte(command in command(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = format!("a1 {command}\r\n").into_bytes();
        let at = at.index(bytes.len() - 2);
        bytes[at] = byte;
        let (one, two) = (ours(&bytes), theirs(&bytes));
        if let (Ok(one), Ok(two)) = (&one, &two) {
            prop_assert_eq!(Ok(one.clone()), ours(two), "{:?}", command);
        }
    }

    #[test]
    fn the_oracle_reads_our_envelopes_and_structures(
        envelope in envelope(), structure in structure(), extended in any::<bool>(),
    ) {
        let mut out = Output::new();
        let mut line = FetchLine::begin(1, &mut out);
        line.envelope(&envelope, Dialect::Rev1, &mut out);
        if extended {
            line.body_structure(&structure, Dialect::Rev1, &mut out);
        } else {
            line.body(&structure, Dialect::Rev1, &mut out);
        }
        line.end(&mut out);
        let bytes = out.take().concat();
        let (rest, response) = ResponseCodec::default().decode(&bytes).unwrap_or_else(|e| panic!("{e:?}: {}", String::from_utf8_lossy(&bytes)));
        prop_assert!(rest.is_empty());
        let Response::Data(Data::Fetch { items, .. }) = response else { panic!() };
        for item in items.as_ref() {
            match item {
                MessageDataItem::Envelope(theirs) => prop_assert!(same_envelope(&envelope, theirs), "{envelope:?} {theirs:?}"),
                MessageDataItem::Body(theirs) => prop_assert!(same(&structure, theirs, false), "{structure:?} {theirs:?}"),
                MessageDataItem::BodyStructure(theirs) => prop_assert!(same(&structure, theirs, true), "{structure:?} {theirs:?}"),
                other => panic!("{other:?}"),
            }
        }
    }
}

fn words() -> impl Strategy<Value = Vec<u8>> + Clone {
    prop_oneof!["[ -~]{0,20}".prop_map(String::into_bytes), prop::collection::vec(1_u8.., 0..20)]
}

fn address() -> impl Strategy<Value = Address<'static>> + Clone {
    prop_oneof![
        4 => (prop::option::of(words()), words(), words()).prop_map(|(name, local, domain)| Address::Mailbox { name: name.map(Cow::Owned), local: local.into(), domain: domain.into() }),
        1 => words().prop_map(|name| Address::GroupStart(name.into())),
        1 => Just(Address::GroupEnd),
    ]
}

fn envelope() -> impl Strategy<Value = Envelope<'static>> + Clone {
    let list = || prop::collection::vec(address(), 0..3);
    let text = || prop::option::of(words().prop_map(Cow::Owned));
    (text(), text(), list(), list(), list(), list(), text()).prop_map(
        |(date, subject, from, sender, to, bcc, message_id)| Envelope {
            date,
            subject,
            from,
            sender,
            to,
            bcc,
            message_id,
            ..Envelope::default()
        },
    )
}

fn structure() -> impl Strategy<Value = Structure<'static>> {
    let around = || {
        let parameters = || prop::collection::vec((words(), words()), 0..3);
        let disposition = prop::option::of(
            (words(), parameters()).prop_map(|(kind, parameters)| Disposition { kind, parameters }),
        );
        (parameters(), disposition, prop::collection::vec(words(), 0..3), prop::option::of(words()))
    };
    let leaf = (around(), prop::option::of(words()), any::<u32>(), any::<bool>()).prop_map(
        |((parameters, disposition, language, location), id, size, text)| Structure {
            subtype: if text { b"plain".to_vec() } else { b"png".to_vec() },
            parameters,
            disposition,
            language,
            location,
            kind: StructureKind::Leaf {
                media: if text { b"text".to_vec() } else { b"image".to_vec() },
                description: id.clone(),
                id,
                encoding: b"base64".to_vec(),
                size: size.into(),
                md5: None,
                lines: text.then_some(3),
                message: None,
            },
        },
    );
    leaf.prop_recursive(3, 12, 3, move |inner| {
        let message = (envelope(), inner.clone()).prop_map(|(envelope, body)| Structure {
            subtype: b"rfc822".to_vec(),
            parameters: Vec::new(),
            disposition: None,
            language: Vec::new(),
            location: None,
            kind: StructureKind::Leaf {
                media: b"message".to_vec(),
                id: None,
                description: None,
                encoding: b"7bit".to_vec(),
                size: 9,
                md5: None,
                lines: Some(4),
                message: Some(Box::new((envelope, body))),
            },
        });
        let multipart = (around(), prop::collection::vec(inner, 1..4)).prop_map(
            |((parameters, disposition, language, location), parts)| Structure {
                subtype: b"mixed".to_vec(),
                parameters,
                disposition,
                language,
                location,
                kind: StructureKind::Multipart(parts),
            },
        );
        prop_oneof![message, multipart]
    })
}

fn bytes<'a>(theirs: &'a NString<'a>) -> Option<&'a [u8]> {
    theirs.0.as_ref().map(AsRef::as_ref)
}

fn same_addresses(ours: &[Address], theirs: &[imap_codec::imap_types::envelope::Address<'_>]) -> bool {
    ours.len() == theirs.len()
        && ours.iter().zip(theirs).all(|(ours, theirs)| {
            let theirs = (bytes(&theirs.name), bytes(&theirs.mailbox), bytes(&theirs.host));
            match ours {
                Address::Mailbox { name, local, domain } => {
                    theirs == (name.as_deref(), Some(local), Some(domain))
                }
                Address::GroupStart(name) => theirs == (None, Some(name), None),
                Address::GroupEnd => theirs == (None, None, None),
            }
        })
}

fn same_envelope(ours: &Envelope, theirs: &TheirEnvelope<'_>) -> bool {
    let sender = if ours.sender.is_empty() { &ours.from } else { &ours.sender };
    bytes(&theirs.date) == ours.date.as_deref()
        && bytes(&theirs.subject) == ours.subject.as_deref()
        && bytes(&theirs.message_id) == ours.message_id.as_deref()
        && same_addresses(&ours.from, &theirs.from)
        && same_addresses(sender, &theirs.sender)
        && same_addresses(&ours.from, &theirs.reply_to)
        && same_addresses(&ours.to, &theirs.to)
        && same_addresses(&ours.bcc, &theirs.bcc)
}

fn same_parameters(ours: &[(Vec<u8>, Vec<u8>)], theirs: &[(IString<'_>, IString<'_>)]) -> bool {
    let theirs = theirs.iter().map(|(a, b)| (Cow::Borrowed(a.as_ref()), Cow::Borrowed(b.as_ref())));
    ours.iter().map(|(a, b)| (Cow::<[u8]>::Borrowed(a), Cow::<[u8]>::Borrowed(b))).eq(theirs)
}

fn same_tail(ours: &Structure, theirs: Option<&TheirDisposition<'_>>) -> bool {
    let Some(theirs) = theirs else { return false };
    let disposition = match (&ours.disposition, &theirs.disposition) {
        (None, None) => true,
        (Some(ours), Some((kind, parameters))) => {
            ours.kind == kind.as_ref() && same_parameters(&ours.parameters, parameters)
        }
        _ => false,
    };
    let Some(language) = &theirs.tail else { return false };
    let languages = ours.language.iter().map(Vec::as_slice).eq(language.language.iter().map(AsRef::as_ref));
    let location = language.tail.as_ref().is_some_and(|l| bytes(&l.location) == ours.location.as_deref());
    disposition && languages && location
}

fn same(ours: &Structure, theirs: &BodyStructure<'_>, extended: bool) -> bool {
    match (&ours.kind, theirs) {
        (StructureKind::Multipart(parts), BodyStructure::Multi { bodies, subtype, extension_data }) => {
            let extension = extension_data.as_ref();
            parts.len() == bodies.as_ref().len()
                && parts.iter().zip(bodies.as_ref()).all(|(o, t)| same(o, t, extended))
                && ours.subtype == subtype.as_ref()
                && extension.is_some() == extended
                && extension.is_none_or(|e| {
                    same_parameters(&ours.parameters, &e.parameter_list) && same_tail(ours, e.tail.as_ref())
                })
        }
        (
            StructureKind::Leaf { id, size, lines, message, .. },
            BodyStructure::Single { body, extension_data },
        ) => {
            let specific = match (&body.specific, message) {
                (SpecificFields::Text { number_of_lines, .. }, None) => {
                    *lines == Some(u64::from(*number_of_lines))
                }
                (SpecificFields::Message { envelope, body_structure, .. }, Some(message)) => {
                    same_envelope(&message.0, envelope) && same(&message.1, body_structure, extended)
                }
                (SpecificFields::Basic { .. }, None) => lines.is_none(),
                _ => false,
            };
            specific
                && bytes(&body.basic.id) == id.as_deref()
                && u64::from(body.basic.size) == *size
                && same_parameters(&ours.parameters, &body.basic.parameter_list)
                && extension_data.is_some() == extended
                && extension_data.as_ref().is_none_or(|e| same_tail(ours, e.tail.as_ref()))
        }
        _ => false,
    }
}
