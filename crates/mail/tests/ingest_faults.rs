//! The bad inputs that a mail server meets, at full size: faults 23 to 27 and 32. Time is compared with the time
//! for half as much of the same, never with a clock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use mail::ingest::params::MAX_PARAMS;
use mail::ingest::{Limits, decoded_text, metadata, structure};
use mail::record::metadata::{Cuts, Metadata};
use mail::record::metadata_parts::PartFlags;

/// Parses what `make` makes of `n` and of `2n`; the second must not take more than about twice as long.
fn assert_linear(name: &str, n: usize, make: impl Fn(usize) -> Vec<u8>) -> Metadata {
    let (half, whole) = (make(n), make(2 * n));
    let limits = Limits::default();
    let mut tries = (0..6).map(|_| {
        let cost = |raw: &[u8]| {
            let start = Instant::now();
            let record = metadata(raw, &limits);
            assert!(record.to_bytes().len() <= Metadata::MAX_LEN, "{name}");
            start.elapsed()
        };
        (cost(&half), cost(&whole))
    });
    // Quadratic is a ratio of 4. Noise goes away when tried again; what takes a moment only is linear enough.
    let linear = tries.any(|(half, whole)| whole < half * 3 || whole < Duration::from_millis(20));
    assert!(linear, "{name} is not linear");
    metadata(&whole, &limits)
}

fn nested(depth: usize, name: impl Fn(usize) -> String) -> Vec<u8> {
    let mut raw = String::from("Subject: deep\r\n");
    for level in 0..depth {
        let boundary = name(level);
        raw += &format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n");
    }
    raw += "\r\nbottom\r\n";
    for level in (0..depth).rev() {
        raw += &format!("--{}--\r\n", name(level));
    }
    raw.into_bytes()
}

#[test]
fn fault_23_hundred_megabytes_of_headers() {
    let mut raw = b"Subject: first\r\n".to_vec();
    raw.extend(b"X-Filler: abcdefghijklmnopqrstuvwxyz\r\n".repeat(100 * 1024 * 1024 / 38));
    raw.extend(b"Subject: last\r\n\r\nbody\r\n");
    let record = metadata(&raw, &Limits::default());
    assert_eq!(record.subject().as_deref(), Some("first"));
    assert_eq!(record.structure.0[0].size(), 6);
    assert!(record.cuts.contains(Cuts::HEADER) && record.header.partial);
    assert!(record.header.select(&["Subject"]).is_none());
    let names = assert_linear("names", 200_000, |n| {
        (0..n).flat_map(|i| format!("X-{i}: y\r\n").into_bytes()).collect()
    });
    assert!(names.header.partial);
}

#[test]
fn fault_23_a_million_addresses() {
    let record = assert_linear("addresses", 500_000, |n| {
        let mut raw = b"From: a@x.test\r\nTo: ".to_vec();
        raw.extend(b"\"N, N\" <someone@example.test>,\r\n ".repeat(n));
        raw.extend(b"last@example.test\r\nSubject: many\r\n\r\n.\r\n");
        raw
    });
    assert!(record.cuts.contains(Cuts::HEADER));
    assert!(!record.header.covers(["to"]) && record.header.covers(["from", "subject", "cc"]));
    assert_eq!(record.subject().as_deref(), Some("many"));
    assert!(record.addresses("to", 100_000).len() > 100);
}

#[test]
fn fault_24_a_hundred_thousand_parameters() {
    for separator in
        ["; filename*{}*=a", "; x{}=a", ";;{}", "; name*0*=utf-8''%20{}", "; \"{}\"=\"", "; (c{})a=b"]
    {
        let record = assert_linear(separator, 50_000, |n| {
            let mut raw = b"Content-Type: text/plain".to_vec();
            (0..n).for_each(|i| raw.extend(separator.replace("{}", &i.to_string()).bytes()));
            raw.extend(b"\r\nContent-Disposition: attachment");
            (0..n).for_each(|i| raw.extend(separator.replace("{}", &i.to_string()).bytes()));
            raw.extend(b"\r\n\r\n.\r\n");
            raw
        });
        let part = &record.structure.0[0];
        assert_eq!(part.media_type, "text/plain");
        assert!(part.params.len() <= MAX_PARAMS && part.flags.contains(PartFlags::CUT));
        record.structure.attachment_names();
    }
}

#[test]
fn fault_25_ten_thousand_levels() {
    let record = assert_linear("depth", 5_000, |n| nested(n, |level| format!("b{level}")));
    assert_eq!(record.structure.0.len(), 101);
    let innermost = record.structure.0.last().unwrap();
    assert!(
        innermost.flags.contains(PartFlags::OPAQUE) && innermost.media_type == "application/octet-stream"
    );
    assert!(innermost.size() > 100_000);
    let hundred = metadata(&nested(100, |level| format!("b{level}")), &Limits::default());
    assert_eq!(hundred.preview, "bottom");
    let messages = assert_linear("messages", 20_000, |n| b"Content-Type: message/rfc822\r\n\r\n".repeat(n));
    assert_eq!(messages.structure.0.len(), 101);
}

#[test]
fn fault_26_a_million_parts() {
    let make = |n: usize| {
        let mut raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
        raw.extend(b"--b\r\n\r\nx\r\n".repeat(n));
        raw
    };
    let record = assert_linear("parts", 500_000, make);
    assert!(record.cuts.contains(Cuts::STRUCTURE));
    assert!(record.structure.0.len() > 500);
    assert_eq!(record.structure.0[0].descendants as usize + 1, record.structure.0.len());
    let (whole, full) = structure(&make(1_000_000), &Limits::default());
    assert!(full && whole.0.len() == 10_000);
    // Half as many as the limit are all found, although the record cannot hold them.
    let (whole, full) = structure(&make(5_000), &Limits::default());
    assert!(!full && whole.0.len() == 5_001);
}

#[test]
fn fault_26_boundaries_that_are_prefixes() {
    // A hundred open multiparts, each boundary a prefix of the next, and lines that almost match them all.
    let name = |level: usize| "x".repeat(level + 1);
    let open = String::from_utf8(nested(99, name)).unwrap();
    let (head, tail) = open.split_once("bottom\r\n").unwrap();
    for line in [
        "--\r\n",
        "--y\r\n",
        "-- \r\n",
        "\r\n--\r\n",
        "--xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy\r\n",
        "\r\n",
    ] {
        let record = assert_linear(line, 200_000, |n| [head, &line.repeat(n), tail].concat().into_bytes());
        assert_eq!(record.structure.0.len(), 100, "{line:?}");
        assert_eq!(record.structure.0[99].end, record.structure.0[98].end - 2 - 99 - 4);
    }
    let flat = assert_linear("closings", 200_000, |n| {
        [head, &"--x\r\n--x--\r\n".repeat(n), tail].concat().into_bytes()
    });
    assert!(flat.structure.0.len() >= 100);
}

#[test]
fn fault_27_cut_in_mid_character() {
    let cases: &[&[u8]] = &[
        b"Subject: (comment \\",
        b"From: a@x (comment\\",
        b"From: \"quoted\\",
        b"Content-Type: text/plain; charset=\"\\",
        b"Content-Type: (((((\\",
        b"Subject: =?utf-8?B?7ZW",
        b"Subject: =?utf-8?Q?=ED=9",
        b"Subject: \xed\x95",
        b"Content-Type: text/plain; charset=utf-8\n\n\xed\x95\x9c\xed\x95",
        b"Content-Type: text/html; charset=iso-2022-kr\n\n\x1b$)C\x0eGQ1",
        b"Content-Disposition: attachment; filename*=utf-8''%ED%9",
        b"\0\0\0",
        b"\n",
        b"\r",
        b"",
        b":",
        b" ",
        b"From ",
        b"--",
    ];
    for raw in cases {
        for end in 0..=raw.len() {
            let record = metadata(&raw[..end], &Limits::default());
            record.subject();
            record.addresses("from", 10);
            record.structure.attachment_names();
            assert_eq!(record.size, end as u64);
        }
    }
}

#[test]
fn fault_32_korean_is_readable() {
    let euc = b"\xb4\xe4\xbf\xa1 \xb0\xa1\xc0\xda";
    for label in ["ks_c_5601-1987", "EUC-KR", "cp949", "us-ascii", "utf-8", "unknown-8bit"] {
        assert_eq!(decoded_text(euc, "8bit", Some(label), 1000), "답에 가자", "{label}");
    }
}

#[test]
fn floods_within_a_header_or_a_body_are_linear() {
    let floods = [
        "Subject: {}\r\n\r\n",
        "From: {}\r\n\r\n",
        "References: {}\r\n\r\n",
        "Date: {}\r\n\r\n",
        "Content-Type: {}\r\n\r\n",
        "\r\n{}",
        "Content-Type: text/html\r\n\r\n{}",
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n{}",
        "Content-Transfer-Encoding: base64\r\n\r\n{}",
    ];
    let pieces = [
        "=?a?q?",
        "=?utf-8?b?QQ==?= ",
        "(",
        "\"",
        "<",
        "<a@b> ",
        "[a]",
        "re:",
        "=",
        "\\",
        "<!--",
        "&amp;",
        "\u{ac00}",
        "\x1b$B",
        "\r\n ",
        "> ",
    ];
    for flood in floods {
        for piece in pieces {
            assert_linear(&format!("{flood:?} {piece:?}"), 60_000, |n| {
                flood.replace("{}", &piece.repeat(n)).into_bytes()
            });
        }
    }
}
