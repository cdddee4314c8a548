use std::io::Cursor;

use super::*;

const LIMIT: usize = 10_000;

fn read(format: Format, file: &str) -> Vec<String> {
    entries(format, file.as_bytes())
        .into_iter()
        .map(|entry| entry.raw.map_or("too large".into(), |raw| String::from_utf8(raw).unwrap()))
        .collect()
}

fn entries(format: Format, file: &[u8]) -> Vec<Entry> {
    let mut mbox = Mbox::open(Cursor::new(file), format, LIMIT).unwrap();
    let mut entries = Vec::new();
    while let Some(entry) = mbox.read().unwrap() {
        entries.push(entry);
    }
    assert_eq!(mbox.position().unwrap(), file.len() as u64);
    entries
}

fn auto(file: &str) -> Vec<String> {
    read(Format::Auto, file)
}

const SEP: &str = "From alice@example.test Wed Jun 30 21:49:08 1993\n";

#[test]
fn plain_messages() {
    let file = format!("{SEP}A: 1\n\none\n\n{SEP}A: 2\n\ntwo\n\n");
    assert_eq!(auto(&file), ["A: 1\n\none\n", "A: 2\n\ntwo\n"]);
    let first = &entries(Format::Auto, file.as_bytes())[0];
    assert_eq!((first.number, first.size), (1, 10));
    assert_eq!(first.date, Some(Timestamp::from_secs(741_476_948)));
}

#[test]
fn the_last_message_may_end_in_any_way() {
    for (end, last) in [("", ""), ("\n", "\n"), ("\n\n", "\n"), ("\n\n\n", "\n\n")] {
        assert_eq!(auto(&format!("{SEP}A: 1\n\none{end}")), [format!("A: 1\n\none{last}")]);
    }
}

#[test]
fn empty_lines_inside_belong_to_the_message() {
    assert_eq!(
        auto(&format!("{SEP}A: 1\n\n\n\none\n\n\n\n{SEP}A: 2\n\n\n")),
        ["A: 1\n\n\n\none\n\n\n", "A: 2\n\n"]
    );
}

#[test]
fn messages_without_body_or_header() {
    assert_eq!(
        auto(&format!("{SEP}A: 1\n\n{SEP}A: 2\n\n\n{SEP}\nbody\n\n{SEP}")),
        ["A: 1\n", "A: 2\n\n", "\nbody\n", ""]
    );
}

#[test]
fn crlf_files_stay_crlf() {
    let sep = SEP.replace('\n', "\r\n");
    let file = format!("{sep}A: 1\r\n\r\n>From x\r\n\r\n{sep}A: 2\r\n\r\ntwo\r\n\r\n");
    assert_eq!(auto(&file), ["A: 1\r\n\r\nFrom x\r\n", "A: 2\r\n\r\ntwo\r\n"]);
}

#[test]
fn quoting_is_undone_by_format() {
    let file = format!("{SEP}A: 1\n\n>From a\n>>From b\n> From c\n>Fromage\n\n");
    assert_eq!(read(Format::Mboxrd, &file), ["A: 1\n\nFrom a\n>From b\n> From c\n>Fromage\n"]);
    assert_eq!(read(Format::Auto, &file), read(Format::Mboxrd, &file));
    assert_eq!(read(Format::Mboxo, &file), ["A: 1\n\nFrom a\n>>From b\n> From c\n>Fromage\n"]);
    assert_eq!(read(Format::Mboxcl2, &file), ["A: 1\n\n>From a\n>>From b\n> From c\n>Fromage\n"]);
}

#[test]
fn a_sentence_is_no_separator() {
    let file =
        format!("{SEP}A: 1\n\nYes.\n\nFrom the beginning, at 10:30 in May, we knew.\n\n{SEP}A: 2\n\n\n");
    assert_eq!(auto(&file).len(), 2);
}

#[test]
fn content_length_rules_where_it_fits() {
    let body = format!("one\n\n{SEP}inside\n>From kept\n");
    let file = format!("{SEP}Content-Length: {}\n\n{body}\n{SEP}A: 2\n\ntwo\n\n", body.len());
    assert_eq!(auto(&file), [format!("Content-Length: {}\n\n{body}", body.len()), "A: 2\n\ntwo\n".into()]);
    let last = format!("{SEP}Content-Length: {}\n\n{body}", body.len());
    assert_eq!(auto(&last).len(), 1);
    assert_eq!(read(Format::Mboxrd, &last).len(), 2, "the format was named");
}

#[test]
fn content_length_that_lies_is_not_believed() {
    for length in ["3", "5", "999999", "18446744073709551615", "-1", "x", ""] {
        let file = format!("{SEP}Content-Length: {length}\n\none\n>From x\n\n{SEP}A: 2\n\ntwo\n\n");
        assert_eq!(
            auto(&file),
            [format!("Content-Length: {length}\n\none\nFrom x\n"), "A: 2\n\ntwo\n".to_owned()]
        );
    }
}

#[test]
fn separators_of_many_programs() {
    for separator in [
        "From - Sat Jan 01 00:00:00 2024",
        "From ???@??? Sat Jan 01 00:00:00 2024",
        "From MAILER-DAEMON Fri Jul  8 12:08:34 2011",
        "From 1612345678901234567@xxx Mon Jan 01 00:00:00 +0000 2024",
        "From a@b Sat, 1 Jan 2024 00:00:00 +0100",
        "From a@b  Wed Jun 30 21:49 1993 remote from uucp",
        "From \"a b\"@c Wed Jun 30 21:49:08 PDT 1993",
    ] {
        let file = format!("{separator}\nA: 1\n\none\n\n{separator}\nA: 2\n\ntwo\n\n");
        assert_eq!(auto(&file), ["A: 1\n\none\n", "A: 2\n\ntwo\n"], "{separator}");
    }
}

#[test]
fn a_writer_that_leaves_out_the_empty_line() {
    assert_eq!(auto(&format!("{SEP}A: 1\n\none\n{SEP}A: 2\n\ntwo\n")), ["A: 1\n\none\n", "A: 2\n\ntwo\n"]);
}

#[test]
fn odd_beginnings() {
    assert_eq!(auto(&format!("\u{feff}\n\r\n{SEP}A: 1\n\none\n")), ["A: 1\n\none\n"]);
    assert_eq!(auto(""), Vec::<String>::new());
    assert_eq!(auto("\n\n"), Vec::<String>::new());
    assert_eq!(auto("From nobody\nA: 1\n\none\n"), ["A: 1\n\none\n"], "the first one needs no date");
    for other in ["Return-Path: <a@b>\n", "\x01\x01\x01\x01\nA: 1\n", "<html>"] {
        assert!(matches!(Mbox::open(Cursor::new(other), Format::Auto, LIMIT), Err(MboxError::NoMbox)));
    }
}

#[test]
fn long_lines_and_large_messages() {
    let line = "x".repeat(9_000);
    assert_eq!(auto(&format!("{SEP}A: {line}\n\n{}", "y")), [format!("A: {line}\n\ny")]);
    let large = format!("{SEP}A: 1\n\n{}\n\n{SEP}A: 2\n\ntwo\n", "x".repeat(300_000));
    let found = entries(Format::Auto, large.as_bytes());
    assert_eq!((found[0].raw.as_ref(), found[0].size), (None, 300_007));
    assert_eq!(found[1].raw.as_deref(), Some(&b"A: 2\n\ntwo\n"[..]));
}

#[test]
fn bytes_are_kept() {
    let message: Vec<u8> = [&b"A: \xff\x00\n\n"[..], &[0, 13, 10, 0xf0, b'\r', b'x'], b"\r\r\n"].concat();
    let file = [SEP.as_bytes(), &message, b"\n"].concat();
    assert_eq!(entries(Format::Auto, &file)[0].raw.as_deref(), Some(&message[..]));
}

proptest::proptest! {
    /// Whatever is written as mboxrd is read back.
    #[test]
    fn mboxrd_round_trip(messages in proptest::collection::vec("(A: [a-z]{0,3}\n){1,2}\n(>{0,2}(From )?[a-z ]{0,5}\n){0,6}", 1..5)) {
        let mut file = String::new();
        for message in &messages {
            file.push_str(SEP);
            for line in message.split_inclusive('\n') {
                if line.trim_start_matches('>').starts_with("From ") {
                    file.push('>');
                }
                file.push_str(line);
            }
            file.push('\n');
        }
        proptest::prop_assert_eq!(read(Format::Mboxrd, &file), messages);
    }

    /// Any bytes are read without a panic, and to the end.
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(proptest::sample::select(b"From a@1:2 9\r\n>-Jun".to_vec()), 0..300)) {
        let file = [SEP.as_bytes(), &bytes].concat();
        for format in [Format::Auto, Format::Mboxo, Format::Mboxrd, Format::Mboxcl2] {
            proptest::prop_assert!(!entries(format, &file).is_empty());
        }
    }
}
