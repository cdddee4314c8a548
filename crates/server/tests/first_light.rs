//! Mail comes in by SMTP and LMTP, and is read by IMAP; what each reply promises holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use world::{Server, message};

#[test]
fn delivered_by_smtp_and_read_by_imap() {
    let server = Server::start();
    assert!(server.deliver("alice@example.test", &message("light")).starts_with("250 2.0.0"));
    let inbox = server.inbox("alice");
    assert_eq!(inbox.len(), 1);
    assert!(inbox[0].starts_with("Return-Path: <sender@example.com>\r\nReceived: from client.example.com"));
    assert!(inbox[0].ends_with(&format!("{}\r\n", message("light"))));
    assert_eq!(server.inbox("bob@example.test").len(), 0);
}

#[test]
fn lmtp_answers_for_each_recipient() {
    let server = Server::start();
    let mut lmtp = server.lmtp();
    lmtp.reply();
    assert!(lmtp.command("LHLO client.example.com").starts_with("250"));
    lmtp.command("MAIL FROM:<>");
    assert!(lmtp.command("RCPT TO:<alice@example.test>").starts_with("250"));
    assert!(lmtp.command("RCPT TO:<nobody@example.test>").starts_with("550 5.1.1"));
    assert!(lmtp.command("RCPT TO:<bob+lists@example.test>").starts_with("250"));
    assert!(lmtp.command("RCPT TO:<someone@elsewhere.test>").starts_with("550 5.7.1"));
    lmtp.command("DATA");
    lmtp.send(&format!("{}\r\n.\r\n", message("two")));
    assert!(lmtp.reply().starts_with("250") && lmtp.reply().starts_with("250"));
    lmtp.command("QUIT");
    assert_eq!((server.inbox("alice").len(), server.inbox("bob").len()), (1, 1));
}

#[test]
fn a_retry_after_a_lost_reply_makes_no_second_copy() {
    let server = Server::start();
    let text = message("retry");
    for _ in 0..3 {
        let mut smtp = server.smtp();
        smtp.begin("alice@example.test");
        smtp.send(&format!("{text}\r\n.\r\n"));
        // The reply comes, but the client is gone before it is read.
        assert!(smtp.reply().starts_with("250"));
        drop(smtp);
    }
    assert_eq!(server.inbox("alice").len(), 1);
}

#[test]
fn the_same_message_sent_twice_on_purpose_arrives_twice() {
    let server = Server::start();
    let mut smtp = server.smtp();
    smtp.begin("alice@example.test");
    smtp.send(&format!("{}\r\n.\r\n", message("twice")));
    assert!(smtp.reply().starts_with("250"));
    smtp.transaction("alice@example.test");
    smtp.send(&format!("{}\r\n.\r\n", message("twice")));
    assert!(smtp.reply().starts_with("250"));
    assert!(smtp.command("QUIT").starts_with("221"));
    assert_eq!(server.inbox("alice").len(), 2);
}

#[test]
fn a_large_message_goes_through_the_spool() {
    let server = Server::start();
    let line = format!("{}\r\n", "0123456789".repeat(7));
    let text = format!("{}\r\n{}", message("large"), line.repeat(60_000));
    assert!(server.deliver("alice@example.test", &text).starts_with("250"));
    let inbox = server.inbox("alice");
    assert!(inbox[0].ends_with(&format!("{text}\r\n")));
    assert_eq!(std::fs::read_dir(server.data().join("spool")).unwrap().count(), 0);
}

#[test]
fn a_full_mailbox_refuses_for_now() {
    let server = Server::start();
    server.json(&["account", "quota", "alice", "--messages", "1"]);
    assert!(server.deliver("alice@example.test", &message("first")).starts_with("250"));
    let mut smtp = server.smtp();
    smtp.reply();
    smtp.command("EHLO client.example.com");
    smtp.command("MAIL FROM:<sender@example.com>");
    assert!(smtp.command("RCPT TO:<alice@example.test>").starts_with("452 4.2.2"));
}

#[test]
fn half_closed_clients_get_their_answers() {
    let server = Server::start();
    let mut smtp = server.smtp();
    smtp.send("EHLO client.example.com\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nQUIT\r\n");
    smtp.half_close();
    let answers = smtp.rest();
    assert!(answers.contains("250 2.1.5 ") && answers.contains("\r\n221 "), "{answers}");
}

#[test]
fn health_is_told_over_http() {
    let server = Server::start();
    for (path, status) in [("live", "200"), ("ready", "200"), ("other", "404")] {
        let mut http = world::Wire::connect(server.base + 80);
        http.send(&format!("GET /healthz/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        assert!(http.line().starts_with(&format!("HTTP/1.1 {status}")));
    }
}

#[test]
fn a_refusal_for_one_recipient_makes_no_copies_for_the_others() {
    let server = Server::start();
    server.json(&["account", "quota", "bob", "--bytes", "10"]);
    let mut smtp = server.smtp();
    smtp.reply();
    smtp.command("EHLO client.example.com");
    for attempt in ["452 4.2.2", "452 4.2.2", "250 2.0.0"] {
        if attempt.starts_with("250") {
            server.json(&["account", "quota", "bob", "--bytes", "none"]);
        }
        smtp.command("MAIL FROM:<sender@example.com>");
        assert!(smtp.command("RCPT TO:<alice@example.test>").starts_with("250"));
        assert!(smtp.command("RCPT TO:<bob@example.test>").starts_with("250"));
        smtp.command("DATA");
        smtp.send(&format!("{}\r\n.\r\n", message("both")));
        let reply = smtp.reply();
        assert!(reply.starts_with(attempt), "{reply}");
    }
    smtp.command("QUIT");
    assert_eq!((server.inbox("alice").len(), server.inbox("bob").len()), (1, 1));
}
