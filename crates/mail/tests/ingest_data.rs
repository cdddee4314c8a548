//! Each mail in `data/` says next to it, in a `.txt` of the same name, what IMAP and JMAP shall see of it.
//! `UPDATE_EXPECTED=1` rewrites the expectations, to be read before they are committed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::borrow::Cow;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use mail::ingest::address::Entry;
use mail::ingest::fields::unfold;
use mail::ingest::{Limits, decoded_text, html, metadata};
use mail::record::metadata::Metadata;
use mail::record::metadata_header::HeaderIndex;
use mail::record::metadata_parts::{Param, Part, Structure};

fn mails() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut mails: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    mails.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
    mails.sort();
    mails
}

#[test]
fn mails_are_understood() {
    let mails = mails();
    assert!(mails.len() >= 15);
    for path in mails {
        let raw = std::fs::read(&path).unwrap();
        let record = metadata(&raw, &Limits::default());
        assert_eq!(Metadata::from_bytes(&record.to_bytes()).unwrap(), record, "{}", path.display());
        let seen = describe(&record, &raw);
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&expected, &seen).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap();
        assert_eq!(seen, expected, "{}", path.display());
    }
}

fn describe(record: &Metadata, raw: &[u8]) -> String {
    let mut out = String::new();
    let bodies = record.structure.bodies();
    let hint = record.structure.charset_hint();
    let from: Vec<String> = record
        .addresses("from", 100)
        .iter()
        .filter_map(|entry| match entry {
            Entry::Mailbox(m) => Some(format!("{:?} {}", m.display_name(hint.as_deref()), m.address())),
            _ => None,
        })
        .collect();
    writeln!(out, "ENVELOPE {}", envelope(&record.header)).unwrap();
    writeln!(out, "BODYSTRUCTURE {}", body(&record.structure, 0)).unwrap();
    writeln!(out, "subject: {}", record.subject().unwrap_or_default()).unwrap();
    writeln!(out, "from: {}", from.join(", ")).unwrap();
    writeln!(out, "sent: {:?}", record.sent.map(|sent| (sent.secs, sent.zone))).unwrap();
    writeln!(out, "preview: {}", record.preview).unwrap();
    writeln!(out, "text {:?} html {:?} attachments {:?}", bodies.text, bodies.html, bodies.attachments)
        .unwrap();
    writeln!(out, "names: {:?} attachment: {}", record.structure.attachment_names(), record.has_attachment)
        .unwrap();
    writeln!(out, "thread keys: {} cuts: {}", record.thread_keys.len(), record.cuts.0).unwrap();
    for part in &record.structure.0 {
        let body = raw.get(part.body as usize..part.end as usize).unwrap();
        let edge = |bytes: &[u8]| bytes.escape_ascii().to_string();
        let (head, tail) = (&body[..body.len().min(16)], &body[body.len().saturating_sub(16)..]);
        writeln!(
            out,
            "  {} {}+{} {}…{}",
            part.media_type,
            part.header,
            part.body - part.header,
            edge(head),
            edge(tail)
        )
        .unwrap();
    }
    out
}

fn envelope(header: &HeaderIndex) -> String {
    let text = |name| header.last(name).map_or("NIL".into(), |value| string(&unfold(value)));
    let list = |name: &str| {
        let entries = mail::ingest::address::addresses(header.last(name).unwrap_or_default(), 100);
        let entries: String = entries.iter().map(address).collect();
        if entries.is_empty() { "NIL".into() } else { format!("({entries})") }
    };
    let lists: Vec<String> =
        ["from", "sender", "reply-to", "to", "cc", "bcc"].into_iter().map(list).collect();
    format!(
        "({} {} {} {} {})",
        text("date"),
        text("subject"),
        lists.join(" "),
        text("in-reply-to"),
        text("message-id")
    )
}

fn address(entry: &Entry<'_>) -> String {
    match entry {
        Entry::GroupStart(name) => format!("(NIL NIL {} NIL)", string(name)),
        Entry::GroupEnd => "(NIL NIL NIL NIL)".into(),
        Entry::Mailbox(m) => {
            let opt = |value: &Option<Cow<'_, [u8]>>| value.as_deref().map_or("NIL".into(), string);
            format!("({} {} {} {})", opt(&m.name), opt(&m.route), string(&m.local), string(&m.domain))
        }
    }
}

fn body(tree: &Structure, index: usize) -> String {
    let part = tree.part(index).unwrap();
    let (kind, subtype) = part.media_type.split_once('/').unwrap();
    let children: String = tree.children(index).map(|child| body(tree, child)).collect();
    let extension = format!(
        "{} {} {}",
        part.disposition.as_ref().map_or("NIL".into(), |d| format!(
            "({} {})",
            string(d.kind.as_bytes()),
            params(&d.params)
        )),
        optional(part.language.as_deref()),
        optional(part.location.as_deref())
    );
    if part.is_multipart() {
        return format!("({children} {} {} {extension})", string(subtype.as_bytes()), params(&part.params));
    }
    let encoding = if part.encoding.is_empty() { "7bit" } else { &part.encoding };
    let mut out = format!(
        "({} {} {} {} {} {} {}",
        string(kind.as_bytes()),
        string(subtype.as_bytes()),
        params(&part.params),
        optional(part.id.as_deref()),
        optional(part.description.as_deref()),
        string(encoding.as_bytes()),
        part.size()
    );
    if let Some(fields) = &part.envelope {
        let nested = HeaderIndex { fields: fields.clone(), ..HeaderIndex::default() };
        write!(out, " {} {children}", envelope(&nested)).unwrap();
    }
    if part.envelope.is_some() || kind == "text" {
        write!(out, " {}", part.lines).unwrap();
    }
    format!("{out} {} {extension})", md5(part))
}

fn md5(part: &Part) -> String {
    optional(part.md5.as_deref())
}

fn params(params: &[Param]) -> String {
    let list: Vec<String> = params
        .iter()
        .map(|param| format!("{} {}", string(param.name.as_bytes()), string(&param.value)))
        .collect();
    if list.is_empty() { "NIL".into() } else { format!("({})", list.join(" ")) }
}

fn optional(value: Option<&[u8]>) -> String {
    value.map_or("NIL".into(), string)
}

fn string(value: &[u8]) -> String {
    format!("\"{}\"", value.escape_ascii())
}

/// What `tests/corpus/expect.json` promises a reader of the mails there.
#[test]
fn corpus_is_readable() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    let expected = std::fs::read(corpus.join("expect.json")).unwrap();
    let expected: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&expected).unwrap();
    assert!(expected.len() > 30);
    for (name, expected) in expected {
        let raw = std::fs::read(corpus.join(format!("{name}.eml"))).unwrap();
        let record = metadata(&raw, &Limits::default());
        if let Some(subject) = expected["subject"].as_str() {
            assert_eq!(record.subject().as_deref(), Some(subject), "{name}");
        }
        let text = readable(&record, &raw);
        for word in expected["finds"].as_array().unwrap() {
            assert!(text.contains(word.as_str().unwrap()), "{name}: {word} in {text}");
        }
    }
}

fn readable(record: &Metadata, raw: &[u8]) -> String {
    let mut text = record.subject().unwrap_or_default();
    let shown = |part: &&Part| {
        ["text/", "message/delivery-status"].iter().any(|kind| part.media_type.starts_with(kind))
    };
    for part in record.structure.0.iter().filter(shown) {
        let body = raw.get(part.body as usize..part.end as usize).unwrap();
        let decoded = decoded_text(body, &part.encoding, part.charset().as_deref(), 1_000_000);
        text += "\n";
        text += &if part.media_type == "text/html" {
            html::text(&decoded, usize::MAX)
        } else {
            decoded.into_owned()
        };
    }
    text += &record.structure.attachment_names().join("\n");
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    unicode_normalization::UnicodeNormalization::nfc(joined.chars()).collect()
}
