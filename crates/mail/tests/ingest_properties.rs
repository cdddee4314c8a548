//! What holds for any bytes at all, and for every real mail that is at hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use mail::ingest::recipe::Step;
use mail::ingest::{Limits, Section, decoded_text, header_fields, html, metadata, split};
use mail::record::metadata::Metadata;
use proptest::prelude::*;

fn mails_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            match path.extension() {
                _ if path.is_dir() => dirs.push(path),
                Some(extension) if extension == "eml" => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Everything that must hold for a message, whatever it is.
fn check(raw: &[u8], limits: &Limits) -> Metadata {
    let record = metadata(raw, limits);
    let bytes = record.to_bytes();
    assert!(bytes.len() <= Metadata::MAX_LEN);
    assert_eq!(Metadata::from_bytes(&bytes).unwrap(), record);
    assert_eq!(record.size, raw.len() as u64);
    assert!(record.preview.chars().count() <= 256);
    let tree = &record.structure;
    assert!(tree.0.len() <= limits.parts);
    for (index, part) in tree.0.iter().enumerate() {
        assert!(part.header <= part.body && part.body <= part.end && part.end <= record.size);
        for child in tree.children(index) {
            let child = tree.part(child).unwrap();
            assert!(part.body <= child.header && child.end <= part.end);
        }
        let body = &raw[part.body as usize..part.end as usize];
        let text = decoded_text(body, &part.encoding, part.charset().as_deref(), 2000);
        if part.media_type == "text/html" {
            html::text(&text, 1000);
        }
    }
    let whole = tree.section(&Section::default()).unwrap();
    assert_eq!(whole, 0..record.size);
    let head = tree.section(&Section::parse("HEADER").unwrap()).unwrap();
    let header = &raw[head.start as usize..head.end as usize];
    if let Some(kept) = record.header.select(&["Subject", "From", "To", "X-None"]) {
        assert_eq!(kept, header_fields(header, &["from", "to", "subject", "x-none"], false));
    }
    record.subject();
    record.addresses("from", 10);
    record.message_ids("references");
    tree.attachment_names();
    check_split(raw, &record);
    record
}

fn check_split(raw: &[u8], record: &Metadata) {
    let split = split(raw, &record.structure, 200);
    let literal = split.literal(raw);
    let mut again = Vec::new();
    let mut attachments = split.attachments.iter();
    for step in split.recipe.steps(0..record.size) {
        match step {
            Step::Literal(range) => {
                again.extend_from_slice(&literal[range.start as usize..range.end as usize])
            }
            Step::Attachment { mut encoder, .. } => {
                encoder.push(&attachments.next().unwrap().bytes, &mut again);
                encoder.finish(&mut again);
            }
        }
    }
    assert!(again == raw);
}

#[test]
fn every_mail_at_hand_is_parsed_and_split() {
    let mut mails = mails_below(&repository().join("crates/mail/tests/data"));
    mails.extend(mails_below(&repository().join("tests/corpus")));
    // Fetched by scripts/corpus.py; not there on a machine without network.
    mails.extend(mails_below(&repository().join(".cache/corpus")));
    assert!(mails.len() > 60);
    for path in mails {
        let raw = std::fs::read(&path).unwrap();
        let outcome = std::panic::catch_unwind(|| check(&raw, &Limits::default()));
        assert!(outcome.is_ok(), "{}", path.display());
    }
}

/// Mails to damage: short ones of every kind.
fn samples() -> Vec<Vec<u8>> {
    let mut mails = mails_below(&repository().join("crates/mail/tests/data"));
    mails.extend(mails_below(&repository().join("tests/corpus")));
    mails.iter().map(|path| std::fs::read(path).unwrap()).filter(|raw| raw.len() < 20_000).collect()
}

#[derive(Clone, Debug)]
enum Damage {
    Set(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
    Insert(prop::sample::Index, &'static [u8]),
}

fn damage() -> impl Strategy<Value = Damage> {
    const SCRAPS: &[&[u8]] = &[
        b"\n",
        b"\r\n\r\n",
        b"--",
        b"\0",
        b"\xff",
        b"=?utf-8?B?",
        b"?=",
        b"(",
        b"\"",
        b"\\",
        b"<",
        b";",
        b"*0*=",
        b"\x1b$)C",
        b" ",
    ];
    prop_oneof![
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        any::<prop::sample::Index>().prop_map(Damage::Cut),
        (any::<prop::sample::Index>(), 1_usize..200).prop_map(|(at, len)| Damage::Remove(at, len)),
        (any::<prop::sample::Index>(), 1_usize..200).prop_map(|(at, len)| Damage::Repeat(at, len)),
        (any::<prop::sample::Index>(), prop::sample::select(SCRAPS))
            .prop_map(|(at, scrap)| Damage::Insert(at, scrap)),
    ]
}

fn apply(raw: &mut Vec<u8>, damage: &Damage) {
    if raw.is_empty() {
        return;
    }
    match damage {
        Damage::Set(at, byte) => {
            let at = at.index(raw.len());
            raw[at] = *byte;
        }
        Damage::Cut(at) => raw.truncate(at.index(raw.len())),
        Damage::Remove(at, len) => {
            let at = at.index(raw.len());
            raw.drain(at..(at + len).min(raw.len()));
        }
        Damage::Repeat(at, len) => {
            let at = at.index(raw.len());
            let piece = raw[at..(at + len).min(raw.len())].to_vec();
            raw.splice(at..at, piece);
        }
        Damage::Insert(at, scrap) => {
            let at = at.index(raw.len());
            raw.splice(at..at, scrap.iter().copied());
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(raw in proptest::collection::vec(any::<u8>(), 0..600)) {
        check(&raw, &Limits::default());
    }

    #[test]
    fn any_words_of_mime_are_survived(words in proptest::collection::vec(
        prop::sample::select(&[
            "--a", "--ab", "--a--", "--", "\r\n", "\n", "\r\n\r\n", " ", "Content-Type: multipart/mixed; boundary=a\r\n",
            "Content-Type: multipart/digest; boundary=ab\n", "Content-Type: message/rfc822\r\n", "Subject: x\r\n",
            "Content-Transfer-Encoding: base64\r\n", "text", "QUJD", "Content-Type: text/html; charset=euc-kr\r\n\r\n", "\0", "<p>",
        ][..]), 0..60), tight in any::<bool>()) {
        let limits = if tight {
            Limits { depth: 2, parts: 3, fields: 2, header: 40, nested_envelope: 10, kept_header: 20 }
        } else {
            Limits::default()
        };
        check(words.concat().as_bytes(), &limits);
    }

    #[test]
    fn damaged_mails_are_survived(pick in any::<prop::sample::Index>(), damages in proptest::collection::vec(damage(), 1..6)) {
        thread_local!(static SAMPLES: Vec<Vec<u8>> = samples());
        let mut raw = SAMPLES.with(|samples| samples[pick.index(samples.len())].clone());
        for damage in &damages {
            apply(&mut raw, damage);
        }
        check(&raw, &Limits::default());
    }
}

#[test]
fn records_of_other_releases_are_read() {
    #[derive(minicbor::Encode)]
    #[cbor(map)]
    struct Newer {
        #[n(0)]
        size: u64,
        #[n(5)]
        preview: &'static str,
        #[n(40)]
        unknown: Vec<Option<&'static str>>,
    }
    let newer = Newer { size: 7, preview: "p", unknown: vec![Some("x"), None] };
    let record = Metadata::from_bytes(&minicbor::to_vec(newer).unwrap()).unwrap();
    assert_eq!((record.size, record.preview.as_str(), record.structure.0.len()), (7, "p", 0));
    assert_eq!(Metadata::from_bytes(&[0xa0]).unwrap(), Metadata::default());
}
