//! What holds for any input: no panic, one reply per line, bounded batches, linear work, dots that survive.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use smtp::{Config, Protocol};
use support::Driver;

#[allow(dead_code)]
mod support;

fn driver(protocol: Protocol) -> Driver {
    let mut config = Config::new("mx.example.test", protocol);
    config.dsn = true;
    config.binarymime = true;
    Driver::new(config, false)
}

/// Final lines of replies: those with a space after the code.
fn replies(driver: &Driver) -> usize {
    driver.replies.split(|b| *b == b'\n').filter(|line| line.get(3) == Some(&b' ')).count()
}

/// Lines that a fuzzer would not find soon.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let known = prop_oneof![
        Just("EHLO c.test"),
        Just("LHLO c.test"),
        Just("HELO c.test"),
        Just("MAIL FROM:<a@b.test>"),
        Just("MAIL FROM:<> SIZE=10 BODY=BINARYMIME SMTPUTF8 RET=HDRS ENVID=x"),
        Just("RCPT TO:<c@d.test>"),
        Just("RCPT TO:<\"a b\"@[192.0.2.1]> NOTIFY=NEVER ORCPT=rfc822;a+40b"),
        Just("DATA"),
        Just("BDAT 7"),
        Just("BDAT 3 LAST"),
        Just("BDAT 0 LAST"),
        Just("RSET"),
        Just("NOOP"),
        Just("STARTTLS"),
        Just("."),
        Just(".."),
        Just("Received: x"),
        Just(""),
    ];
    prop_oneof![
        8 => known.prop_map(|text| [text.as_bytes(), b"\r\n"].concat()),
        1 => vec(any::<u8>(), 0..40),
        1 => "[ -~]{0,30}\r\n".prop_map(String::into_bytes),
        1 => prop::sample::select(&["\n", "\r", "\r\n", "\n.\r\n", "\0"][..]).prop_map(|text| text.as_bytes().to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The support driver asserts the order of effects; here, that no cut of the input changes anything.
    #[test]
    fn sessions_do_not_depend_on_how_input_is_cut(
        lines in vec(line(), 0..60),
        piece in 1_usize..50,
        lmtp in any::<bool>(),
    ) {
        let protocol = if lmtp { Protocol::Lmtp } else { Protocol::Smtp };
        // What follows STARTTLS in one read is refused, in another read it belongs to the handshake.
        let input: Vec<u8> = lines.into_iter().filter(|line| !line.starts_with(b"STARTTLS")).flatten().collect();
        let (mut whole, mut cut) = (driver(protocol), driver(protocol));
        whole.run();
        cut.run();
        whole.give(&input, usize::MAX);
        cut.give(&input, piece);
        prop_assert_eq!(String::from_utf8_lossy(&whole.replies), String::from_utf8_lossy(&cut.replies));
        prop_assert_eq!(&whole.effects, &cut.effects);
    }

    #[test]
    fn random_octets_never_get_more_than_one_reply_a_line(
        pieces in vec(prop_oneof![vec(any::<u8>(), 0..60), Just(b"\r\n".to_vec()), Just(b"STARTTLS\r\n".to_vec())], 0..80),
    ) {
        let mut driver = driver(Protocol::Smtp);
        driver.run();
        let input = pieces.concat();
        driver.give(&input, 1);
        let lines = input.windows(2).filter(|pair| pair == b"\r\n").count();
        let greeting = 1;
        prop_assert!(replies(&driver) <= lines + greeting);
        if !driver.closed {
            prop_assert_eq!(replies(&driver), lines + greeting);
        }
    }

    /// Any body of whole lines survives stuffing, any cut, and unstuffing.
    #[test]
    fn stuffed_dots_survive_the_way_in(
        lines in vec(prop_oneof![Just(String::new()), "\\.{0,3}[a-z.]{0,6}", "[ -~]{0,80}"], 0..30),
        piece in 1_usize..30,
    ) {
        let stuffed: String = lines
            .iter()
            .map(|line| format!("{}{line}\r\n", if line.starts_with('.') { "." } else { "" }))
            .collect();
        let body: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let mut driver = driver(Protocol::Smtp);
        driver.give(b"EHLO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nDATA\r\n", usize::MAX);
        driver.give(format!("{stuffed}.\r\nQUIT\r\n").as_bytes(), piece);
        let shown = support::escape(body.as_bytes());
        prop_assert_eq!(&driver.effects, &vec![format!("end <> -> <a@b.test> \"{shown}\""), "close".into()]);
    }

    /// Any octets at all survive BDAT in any chunks.
    #[test]
    fn chunked_octets_survive_the_way_in(chunks in vec(vec(any::<u8>(), 0..30), 1..8), piece in 1_usize..30) {
        let mut wire = Vec::new();
        for (number, chunk) in chunks.iter().enumerate() {
            let last = if number + 1 == chunks.len() { " LAST" } else { "" };
            wire.extend_from_slice(format!("BDAT {}{last}\r\n", chunk.len()).as_bytes());
            wire.extend_from_slice(chunk);
        }
        let mut config = Config::new("mx.example.test", Protocol::Smtp);
        config.binarymime = true;
        let mut driver = Driver::new(config, false);
        driver.give(b"EHLO c.test\r\nMAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<a@b.test>\r\n", usize::MAX);
        driver.give(&wire, piece);
        let shown = support::escape(&chunks.concat());
        prop_assert_eq!(&driver.effects, &vec![format!("end <> -> <a@b.test> \"{shown}\"")]);
        prop_assert!(String::from_utf8_lossy(&driver.replies).ends_with("250 2.0.0 Message stored, id 1\r\n"));
    }
}

/// Octet by octet, a quadratic session would take hours for these.
#[test]
fn work_is_linear_in_the_input() {
    let begun = Instant::now();
    let mut config = Config::new("mx.example.test", Protocol::Smtp);
    config.limits.line = 1 << 20;
    let mut driver = Driver::new(config, false);
    driver.give(b"EHLO c.test\r\n", 1);
    driver.give(&[&vec![b'\n'; (1 << 20) - 10][..], b"\r\n"].concat(), 1);
    driver.give(b"MAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nDATA\r\n", 1);
    driver.give(&b"Subject: x\r\n\r\n..\r\n".repeat(60_000), 1);
    driver.give(b".\r\nQUIT\r\n", 1);
    assert!(driver.closed && driver.effects.iter().any(|effect| effect.starts_with("end ")));
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

/// 100,000 pipelined recipients: their replies go out in batches, not in one.
#[test]
fn replies_are_sent_before_they_pile_up() {
    let mut driver = driver(Protocol::Smtp);
    driver.give(b"EHLO c.test\r\nMAIL FROM:<>\r\n", usize::MAX);
    driver.give(&b"RCPT TO:<a@b.test>\r\n".repeat(100_000), usize::MAX);
    let (accepted, other) = (b"250 2.1.5 ", b"452 4.5.3 ");
    let count =
        |start: &[u8]| driver.replies.split(|b| *b == b'\n').filter(|line| line.starts_with(start)).count();
    assert_eq!((count(accepted), count(other)), (1_000, 99_000));
    assert!(driver.largest < 32 << 10, "{}", driver.largest);
}
