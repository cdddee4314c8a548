//! Attachments cut out and put back: every form of base64 that mail programs write, and those that they should not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mail::ingest::recipe::{Recipe, Step};
use mail::ingest::transfer;
use mail::ingest::{Limits, Split, split, structure};
use proptest::prelude::*;

/// Cuts everything from 64 octets on.
fn take_apart(raw: &[u8]) -> Split {
    let (structure, _) = structure(raw, &Limits::default());
    split(raw, &structure, 64)
}

/// The octets `range` of the source, made as a server would: steps, ranged reads, chunks of `chunk` octets.
fn rebuild(split: &Split, literal: &[u8], range: std::ops::Range<u64>, chunk: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for step in split.recipe.steps(range) {
        match step {
            Step::Literal(range) => out.extend_from_slice(&literal[range.start as usize..range.end as usize]),
            Step::Attachment { cut, plain, mut encoder } => {
                let attachment = split.attachments.iter().find(|a| a.hash == cut.hash).unwrap();
                for chunk in attachment.bytes[plain.start as usize..plain.end as usize].chunks(chunk) {
                    encoder.push(chunk, &mut out);
                }
                encoder.finish(&mut out);
            }
        }
    }
    out
}

fn assert_exact(raw: &[u8], split: &Split) {
    let literal = split.literal(raw);
    let recipe: Recipe = minicbor::decode(&minicbor::to_vec(&split.recipe).unwrap()).unwrap();
    assert_eq!(recipe, split.recipe);
    assert_eq!(split.recipe.cuts.len(), split.attachments.len());
    for chunk in [1, 2, 5, 4096] {
        assert!(rebuild(split, &literal, 0..u64::MAX, chunk) == raw, "chunk {chunk}");
    }
}

fn mail(bodies: &[&str]) -> Vec<u8> {
    let mut raw = "Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_owned();
    for body in bodies {
        raw +=
            &format!("--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: Base64\r\n\r\n{body}\r\n");
    }
    (raw + "--b--\r\n").into_bytes()
}

/// `len` octets in base64 lines of `line` characters (0: one line) with `end` between them.
fn base64(len: usize, line: usize, end: &str) -> String {
    let bytes: Vec<u8> = (0..len).map(|i| (i * 7 + i / 256) as u8).collect();
    let chars = base64_simd::STANDARD.encode_to_string(&bytes);
    let lines: Vec<&str> = chars
        .as_bytes()
        .chunks(if line == 0 { usize::MAX } else { line })
        .map(|l| std::str::from_utf8(l).unwrap())
        .collect();
    lines.join(end)
}

#[test]
fn regular_forms_are_cut_and_come_back() {
    for len in [100, 101, 102, 57 * 40, 57 * 40 + 1, 30_000] {
        for (line, end) in [
            (76, "\r\n"),
            (72, "\r\n"),
            (64, "\n"),
            (60, "\r\n"),
            (0, ""),
            (75, "\r\n"),
            (1000, "\n"),
            (5, "\n"),
        ] {
            let text = base64(len, line, end);
            for (lead, tail) in [("", ""), ("\r\n", "\r\n\r\n"), ("", "\n \t")] {
                let raw = mail(&[&format!("{lead}{text}{tail}")]);
                let split = take_apart(&raw);
                assert_eq!(split.recipe.cuts.len(), 1, "{len} {line} {end:?}");
                assert_eq!(split.attachments[0].bytes, transfer::base64(text.as_bytes(), usize::MAX));
                assert_eq!(split.attachments[0].hash, *blake3::hash(&split.attachments[0].bytes).as_bytes());
                assert_eq!(split.literal(&raw).len(), raw.len() - text.len());
                assert_exact(&raw, &split);
            }
        }
    }
}

#[test]
fn missing_padding_comes_back_missing() {
    for len in [100, 101, 102] {
        for line in [0, 76] {
            let text = base64(len, line, "\r\n").trim_end_matches('=').to_owned();
            let raw = mail(&[&text]);
            let split = take_apart(&raw);
            assert_eq!(split.recipe.cuts.len(), 1, "{len}");
            assert_exact(&raw, &split);
        }
    }
}

#[test]
fn irregular_forms_stay_as_they_came() {
    let text = base64(300, 76, "\r\n");
    let last = text.len() - 5;
    let cases = [
        text.replacen("\r\n", "\n", 1),
        text.replacen("\r\n", " \r\n", 1),
        text.replacen("\r\n", "\r\n\r\n", 1),
        text.replacen('A', "-", 1),
        text.replace("\r\n", "\r"),
        format!("{}\r\n{}", &text[..last - 100], &text[last - 100..]),
        format!("{text}\r\n-- \r\nA list footer.\r\n"),
        format!("{text}===="),
        format!("{}=", base64(102, 0, "")),
        format!("{}QR==", &base64(102, 0, "")),
        "=".repeat(200),
        "A".repeat(65),
        " ".repeat(100),
    ];
    for text in cases {
        let raw = mail(&[&text]);
        let split = take_apart(&raw);
        assert!(split.recipe.cuts.is_empty(), "{text:?}");
        assert_eq!(split.literal(&raw), raw);
    }
}

#[test]
fn small_parts_and_other_encodings_are_left() {
    let raw = mail(&[&base64(40, 76, "\r\n")]);
    assert!(take_apart(&raw).recipe.cuts.is_empty());
    let text = String::from_utf8(mail(&[&base64(400, 76, "\r\n")])).unwrap();
    assert!(take_apart(text.replace("Base64", "8bit").as_bytes()).recipe.cuts.is_empty());
}

#[test]
fn any_range_comes_back() {
    let parts = [base64(200, 76, "\r\n"), base64(77, 5, "\n"), base64(90, 0, ""), "short".into()];
    let raw = mail(&parts.each_ref().map(String::as_str));
    let split = take_apart(&raw);
    assert_eq!(split.recipe.cuts.len(), 3);
    let literal = split.literal(&raw);
    for start in 0..raw.len() {
        for end in start..raw.len() {
            let made = rebuild(&split, &literal, start as u64..end as u64, 7);
            assert!(made == raw[start..end], "{start}..{end}");
        }
    }
    assert!(rebuild(&split, &literal, 10_000..20_000, 7).is_empty());
}

#[test]
fn a_range_fetches_no_more_than_it_needs() {
    let raw = mail(&[&base64(1_000_000, 76, "\r\n")]);
    let split = take_apart(&raw);
    for step in split.recipe.steps(500_000..500_100) {
        let Step::Attachment { plain, .. } = step else { panic!("literal") };
        assert!(plain.end - plain.start < 80);
    }
}

#[test]
fn a_cut_part_is_found_by_its_body() {
    let raw = mail(&[&base64(200, 76, "\r\n"), "short", &base64(300, 76, "\r\n")]);
    let (tree, _) = structure(&raw, &Limits::default());
    let split = split(&raw, &tree, 64);
    let cut = |index: usize| split.recipe.cut_in(tree.0[index].body..tree.0[index].end).map(|cut| cut.len);
    assert_eq!([cut(1), cut(2), cut(3)], [Some(200), None, Some(300)]);
}

proptest! {
    #[test]
    fn whatever_comes_is_exact(
        len in 0_usize..700,
        line in prop_oneof![Just(0), Just(76), 4_usize..90],
        lf in any::<bool>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let mut raw = mail(&[&base64(len, line, if lf { "\n" } else { "\r\n" }), "QUJD"]);
        for (at, byte) in damage {
            let at = at.index(raw.len());
            raw[at] = byte;
        }
        let split = take_apart(&raw);
        assert_exact(&raw, &split);
        let (a, b) = (from.index(raw.len()), to.index(raw.len()));
        let (a, b) = (a.min(b), a.max(b));
        let literal = split.literal(&raw);
        prop_assert!(rebuild(&split, &literal, a as u64..b as u64, 10) == raw[a..b]);
    }
}
