//! Reports, as a parser of others reads them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use compose::{Action, Original, Outcome, Rendered, Reply, Report, Return, Status, Wishes};
use mail_parser::{Message, MessageParser, MimeHeaders};
use proptest::prelude::{any, prop, proptest};
use types::Timestamp;

const NOW: Timestamp = Timestamp(1_795_359_480_000);
const MESSAGE: &str = "From: alice@x.test\r\nMessage-ID: <7@x.test>\r\nSubject: s\r\n\r\nThe body.\r\n";

fn outcome(action: Action, status: Status) -> Outcome {
    Outcome {
        address: "bob@y.test".to_owned(),
        original: Some(("rfc822".to_owned(), "bobby@y.test".to_owned())),
        action,
        status,
        reply: Some(Reply { server: "mx.y.test".to_owned(), text: "550 5.1.1 No such user".to_owned() }),
        cause: None,
        tried: Some(NOW),
        until: Some(NOW),
    }
}

fn report(outcomes: Vec<Outcome>) -> Report {
    Report {
        host: "mail.x.test".to_owned(),
        to: "alice@x.test".to_owned(),
        envelope_id: Some("QQ314159".to_owned()),
        arrived: NOW,
        at: NOW,
        id: "1.abc".to_owned(),
        outcomes,
        international: false,
    }
}

fn original(text: &str, wanted: Return) -> Original {
    Original { octets: Bytes::from(text.to_owned()), whole: true, wanted }
}

fn octets(rendered: &Rendered) -> Vec<u8> {
    let octets = rendered.pieces.concat();
    assert_eq!(octets.len(), rendered.size());
    assert!(rendered.eight_bit || octets.is_ascii(), "8-bit octets are announced");
    octets
}

fn failed() -> Report {
    report(vec![outcome(Action::Failed, Status::permanent(1, 1))])
}

/// The parts: their types, and their contents.
fn parts(message: &Message<'_>) -> Vec<(String, String)> {
    let part = |part: &mail_parser::MessagePart<'_>| {
        let kind = part.content_type().unwrap();
        let range = part.offset_body as usize..part.offset_end as usize;
        let content = String::from_utf8_lossy(&message.raw_message()[range]).into_owned();
        (format!("{}/{}", kind.ctype(), kind.subtype().unwrap()), content)
    };
    message.parts.iter().skip(1).map(part).collect()
}

#[test]
fn a_failure_says_what_whom_and_why() {
    let rendered = failed().render(&original(MESSAGE, Return::Full), 1 << 20);
    let octets = octets(&rendered);
    assert!(!rendered.eight_bit && !rendered.international);
    let message = MessageParser::new().parse(&octets).unwrap();
    let kind = message.content_type().unwrap();
    assert_eq!(
        (kind.ctype(), kind.subtype(), kind.attribute("report-type")),
        ("multipart", Some("report"), Some("delivery-status"))
    );
    assert_eq!(message.subject(), Some("Your message could not be delivered"));
    assert_eq!(message.header("Auto-Submitted").unwrap().as_text(), Some("auto-replied"));
    assert_eq!(message.in_reply_to().as_text(), Some("7@x.test"));
    let parts = parts(&message);
    let kinds: Vec<&str> = parts.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["text/plain", "message/delivery-status", "message/rfc822"]);
    for words in
        ["mail.x.test", "<bob@y.test>", "no mailbox of this name", "mx.y.test said: 550 5.1.1 No such user"]
    {
        assert!(parts[0].1.contains(words), "{words}: {}", parts[0].1);
    }
    for field in [
        "Reporting-MTA: dns; mail.x.test\r\nOriginal-Envelope-Id: QQ314159\r\nArrival-Date: Sun, 22 Nov 2026 14:58:00 +0000\r\n\r\n",
        "Original-Recipient: rfc822; bobby@y.test\r\nFinal-Recipient: rfc822; bob@y.test\r\nAction: failed\r\nStatus: 5.1.1\r\n",
        "Remote-MTA: dns; mx.y.test\r\nDiagnostic-Code: smtp; 550 5.1.1 No such user\r\nLast-Attempt-Date: ",
    ] {
        assert!(parts[1].1.contains(field), "{field}: {}", parts[1].1);
    }
    assert!(!parts[1].1.contains("Will-Retry-Until"));
    assert!(parts[2].1.starts_with(MESSAGE), "{}", parts[2].1);
}

#[test]
fn every_action_has_its_words() {
    let table = [
        (Action::Failed, Status::permanent(2, 2), "could not be delivered", "failed"),
        (Action::Delayed, Status::temporary(4, 1), "is delayed", "delayed"),
        (Action::Delivered, Status::success(0, 0), "was delivered", "delivered"),
        (Action::Relayed, Status::success(0, 0), "was passed on", "relayed"),
        (Action::Expanded, Status::success(0, 0), "to several people", "expanded"),
    ];
    for (action, status, words, name) in table {
        let octets =
            octets(&report(vec![outcome(action, status)]).render(&original(MESSAGE, Return::Full), 1 << 20));
        let message = MessageParser::new().parse(&octets).unwrap();
        assert!(message.subject().unwrap().contains(words));
        let parts = parts(&message);
        assert!(parts[1].1.contains(&format!("Action: {name}\r\n")));
        assert_eq!(parts[1].1.contains("Will-Retry-Until"), action == Action::Delayed);
        // Only a failure returns the message (RFC 3461 §6.2).
        assert_eq!(parts[2].0 == "message/rfc822", action == Action::Failed, "{action:?}");
    }
    let both = report(vec![
        outcome(Action::Delivered, Status::success(0, 0)),
        outcome(Action::Failed, Status::permanent(0, 0)),
    ]);
    let octets = octets(&both.render(&original(MESSAGE, Return::Headers), 1 << 20));
    assert_eq!(
        MessageParser::new().parse(&octets).unwrap().subject(),
        Some("Your message could not be delivered")
    );
}

#[test]
fn what_is_too_large_comes_back_as_its_header() {
    let large = format!("Subject: s\r\n\r\n{}", "line\r\n".repeat(1_000));
    let table = [
        (large.as_str(), Return::Full, 100_000, "message/rfc822", large.as_str()),
        (&large, Return::Full, 1_000, "text/rfc822-headers", "Subject: s\r\n"),
        (&large, Return::Headers, 100_000, "text/rfc822-headers", "Subject: s\r\n"),
        (MESSAGE, Return::Headers, 30, "text/rfc822-headers", "From: alice@x.test\r\n"),
        // What could smuggle, or what no server takes, does not travel inside a report.
        ("Subject: s\r\n\r\na\n.\n", Return::Full, 1_000, "text/rfc822-headers", "Subject: s\r\n"),
        ("Subject: s\r\n\r\na\0", Return::Full, 1_000, "text/rfc822-headers", "Subject: s\r\n"),
    ];
    for (message, wanted, largest, kind, content) in table {
        let rendered = failed().render(&original(message, wanted), largest);
        let octets = octets(&rendered);
        let parts = parts(&MessageParser::new().parse(&octets).unwrap());
        assert_eq!(parts[2].0, kind);
        assert_eq!(rendered.pieces[1], content, "{message:?}");
    }
    let part = Original { whole: false, ..original(MESSAGE, Return::Full) };
    assert!(failed().render(&part, 1 << 20).pieces[0].windows(19).any(|w| w == b"text/rfc822-headers"));
}

#[test]
fn octets_above_127_are_told() {
    let korean = "Subject: =?utf-8?q?x?=\r\n\r\n안녕하세요\r\n";
    let rendered = failed().render(&original(korean, Return::Full), 1 << 20);
    assert!(rendered.eight_bit && !rendered.international);
    let text = String::from_utf8(octets(&rendered)).unwrap();
    assert!(text.contains("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n"), "{text}");

    let international = "Subject: 안녕\r\n\r\nx\r\n";
    let rendered = failed().render(&original(international, Return::Full), 1 << 20);
    assert!(rendered.eight_bit && rendered.international);
    assert!(String::from_utf8(octets(&rendered)).unwrap().contains("Content-Type: message/global\r\n"));

    let whom =
        Outcome { address: "밥@y.test".to_owned(), ..outcome(Action::Failed, Status::permanent(1, 1)) };
    let seven = report(vec![whom.clone()]).render(&original(MESSAGE, Return::Full), 1 << 20);
    let seven = String::from_utf8(octets(&seven)).unwrap();
    assert!(seven.contains("Final-Recipient: utf-8; \\x{BC25}@y.test\r\n"), "{seven}");
    let eight = Report { international: true, ..report(vec![whom]) }
        .render(&original(MESSAGE, Return::Full), 1 << 20);
    assert!(eight.international);
    let eight = String::from_utf8(octets(&eight)).unwrap();
    assert!(
        eight.contains("message/global-delivery-status")
            && eight.contains("Final-Recipient: utf-8; 밥@y.test\r\n")
    );
}

#[test]
fn who_wants_what() {
    let usual = Wishes::default();
    assert!(usual.want(Action::Failed) && usual.want(Action::Delayed) && !usual.want(Action::Delivered));
    let never = Wishes { success: false, failure: false, delay: false };
    let all = [Action::Failed, Action::Delayed, Action::Delivered, Action::Relayed, Action::Expanded];
    assert!(!all.iter().any(|action| never.want(*action)));
}

proptest! {
    #[test]
    fn nothing_from_outside_becomes_a_field_or_a_part(
        texts in prop::collection::vec("[ -~\r\n\0é한]{0,40}", 6),
        message in any::<Vec<u8>>(),
        wanted in prop::bool::ANY,
        international in prop::bool::ANY,
    ) {
        let text = |at: usize| texts[at].clone();
        let outcome = Outcome {
            address: format!("{}\r\nInjected: yes", text(0)),
            original: Some((text(1), format!("{}\r\nInjected: yes", text(2)))),
            reply: Some(Reply { server: text(3), text: format!("{}\r\nInjected: yes\r\n--=_1.abc--", text(4)) }),
            cause: Some(text(5)),
            ..outcome(Action::Failed, Status::permanent(7, 1))
        };
        let report = Report { international, envelope_id: Some(text(5)), ..report(vec![outcome]) };
        let message = message.iter().map(|b| if *b == b'=' { b'-' } else { *b }).collect::<Vec<u8>>();
        let original = Original { octets: message.into(), whole: true, wanted: if wanted { Return::Full } else { Return::Headers } };
        let octets = octets(&report.render(&original, 1 << 20));
        let lines: Vec<&[u8]> = octets.split(|b| *b == b'\n').collect();
        assert!(!lines.iter().any(|line| line.starts_with(b"Injected")));
        assert!(lines.iter().rev().skip(1).all(|line| line.ends_with(b"\r") && line.len() <= 999));
        let boundaries = lines.iter().filter(|line| line.starts_with(b"--=_1.abc")).count();
        assert_eq!(boundaries, 4);
        let parsed = MessageParser::new().parse(&octets).unwrap();
        assert_eq!(parsed.content_type().map(mail_parser::ContentType::ctype), Some("multipart"));
    }
}
