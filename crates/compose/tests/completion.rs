//! Completed headers: whatever comes, the body stays what it is, and real mail keeps its fields.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use compose::{Fault, HeaderReader, Split, Stamp};
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use types::{Header, Timestamp};

const STAMP: Stamp<'static> = Stamp {
    received: "Received: by mx.x.test; Sun, 22 Nov 2026 14:58:00 +0000\r\n",
    account: "alice@x.test",
    at: Timestamp(1_795_359_480_000),
    id: "1.abc",
    host: "mx.x.test",
};

fn split(message: &[u8], step: usize) -> Result<Split, Fault> {
    let mut reader = HeaderReader::new(256 << 10);
    let mut found: Option<Split> = None;
    for piece in message.chunks(step) {
        match &mut found {
            Some(split) => split.body.extend_from_slice(piece),
            None => found = reader.push(piece)?,
        }
    }
    found.map_or_else(|| reader.finish(), Ok)
}

/// The message as it would be sent.
fn sent(split: &Split) -> Vec<u8> {
    let mut message = split.header.complete(&STAMP, |address| address.ends_with("@x.test"));
    message.extend_from_slice(&split.body);
    message
}

/// What does not leave.
const REMOVED: [&str; 4] = ["bcc", "resent-bcc", "return-path", "authentication-results"];

/// Names and octets of the fields that completing is not about.
fn others(message: &[u8]) -> Vec<Vec<u8>> {
    let about = ["sender", "date", "message-id", "received", "from"];
    let header = Header::parse(message);
    let is_about = |field: &types::Field<'_>| about.iter().chain(&REMOVED).any(|name| field.is(name));
    let fields = header.fields().iter().filter(|field| !is_about(field));
    // The last line of a cut message lacks its end, and gets it.
    fields.map(|field| field.raw.trim_ascii_end().to_vec()).collect()
}

fn count(header: &Header<'_>, name: &str) -> usize {
    header.named(name).count()
}

fn check(message: &[u8], split: &Split) {
    assert!(message.ends_with(&split.body), "the body is the message's end, untouched");
    let completed = sent(split);
    let header = Header::parse(&completed);
    assert_eq!(&completed[header.body..], split.body);
    assert_eq!(REMOVED.map(|name| count(&header, name)), [0; 4]);
    for name in ["from", "date", "message-id"] {
        assert!(count(&header, name) >= 1, "{name}");
    }
    assert!(count(&header, "sender") <= 1);
    let of_the_original = message.len() - split.body.len();
    let (before, after) = (others(&message[..of_the_original]), others(&completed));
    assert_eq!(before, after, "all other fields stay, in their order");
    // What is complete stays as it is, but for the next server's trace.
    let again = self::split(&completed, usize::MAX).unwrap();
    assert_eq!(sent(&again), [STAMP.received.as_bytes(), &completed].concat());
}

#[test]
fn real_mail_keeps_its_fields_and_its_body() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut mails = below(&repository.join("tests/corpus"));
    // Fetched by scripts/corpus.py; not there on a machine without network.
    mails.extend(below(&repository.join(".cache/corpus")));
    assert!(mails.len() > 40, "{}", mails.len());
    let (mut completed, mut refused) = (0, 0);
    for path in mails {
        let message = as_sent(&std::fs::read(&path).unwrap());
        match split(&message, 1_000) {
            Ok(split) => {
                check(&message, &split);
                completed += 1;
            }
            Err(Fault::NoField(_) | Fault::TooLarge(_)) => refused += 1,
        }
    }
    assert!(completed > 10 * refused, "{completed} completed, {refused} refused");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn any_header_and_any_body(
        fields in prop::collection::vec(
            ("(From|Bcc|bcc |Date|Message-ID|Sender|Subject|Return-Path|X-Y)", "[ -~]{0,20}(\r\n[ \t][ -~]{0,20}){0,2}"), 0..8),
        body in any::<Vec<u8>>(),
        step in 1..50usize,
    ) {
        let fields: String = fields.iter().map(|(name, value)| format!("{name}:{value}\r\n")).collect();
        let message = [fields.as_bytes(), b"\r\n", &body].concat();
        let whole = split(&message, usize::MAX).unwrap();
        assert_eq!(split(&message, step).unwrap(), whole);
        assert_eq!(whole.body, body);
        check(&message, &whole);
    }

    #[test]
    fn any_octets_at_all(octets in any::<Vec<u8>>(), step in 1..9usize) {
        let whole = split(&octets, usize::MAX);
        assert_eq!(split(&octets, step), whole);
        if let Ok(split) = whole {
            let _sent = sent(&split);
        }
    }
}

/// CRLF at the end of each line, as it is on the wire.
fn as_sent(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len() + octets.len() / 40);
    for (at, byte) in octets.iter().enumerate() {
        if *byte == b'\n' && at.checked_sub(1).and_then(|at| octets.get(at)) != Some(&b'\r') {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(below(&path));
        } else if path.extension().is_none_or(|extension| extension == "eml") {
            found.push(path);
        }
    }
    found
}
