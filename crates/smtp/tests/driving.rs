//! What a driver relies on beyond the transcripts: clocks, answers out of turn, the edges of a connection.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use smtp::{
    Action, BeginVerdict, Config, Domain, ForwardPath, Notify, OutOfTurn, Peer, Protocol, RecipientVerdict,
    Refusal, RefusalCode, Return, SenderVerdict, Session, Tls, WaitingFor,
};

fn session() -> Session {
    let mut config = Config::new("mx.example.test", Protocol::Smtp);
    config.dsn = true;
    Session::new(Arc::new(config), Peer::default())
}

/// Gives octets and returns what is sent until the session wants anything else.
fn give(session: &mut Session, octets: &str) -> (String, Action) {
    session.input().extend_from_slice(octets.as_bytes());
    let mut sent = Vec::new();
    loop {
        match session.next() {
            Action::Send(replies) => sent.extend_from_slice(&replies),
            Action::VerifySender(_) => session.sender(SenderVerdict::Accept).unwrap(),
            Action::VerifyRecipient(..) => session.recipient(RecipientVerdict::Accept).unwrap(),
            Action::Begin(_) => session.begin(BeginVerdict::Proceed).unwrap(),
            other => return (String::from_utf8(sent).unwrap(), other),
        }
    }
}

const TO_DATA: &str = "EHLO c.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n";

#[test]
fn the_clock_starts_again_with_each_command_and_each_part_of_a_body() {
    let mut session = session();
    give(&mut session, "");
    let first = session.waiting();
    assert_eq!((first.on, first.timeout), (WaitingFor::Command(0), Duration::from_secs(300)));
    assert_eq!(first.minimum_rate, None);
    give(&mut session, "EHLO c.te");
    assert_eq!(session.waiting(), first, "half a command gets no new time");
    give(&mut session, "st\r\n");
    assert_eq!(session.waiting().on, WaitingFor::Command(1));
    give(&mut session, "MAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n");
    let body = session.waiting();
    assert_eq!((body.on, body.minimum_rate), (WaitingFor::Body(0), Some(500)));
    give(&mut session, "12345");
    assert_eq!(session.waiting().on, WaitingFor::Body(5));
    give(&mut session, "\nbare");
    assert_eq!(session.waiting().on, WaitingFor::Body(10), "dropped octets are progress too");
}

#[test]
fn questions_are_repeated_until_answered_and_answers_out_of_turn_change_nothing() {
    let mut session = session();
    give(&mut session, "EHLO c.test\r\n");
    session.input().extend_from_slice(b"MAIL FROM:<a@b.test>\r\n");
    for _ in 0..3 {
        assert!(matches!(session.next(), Action::VerifySender(_)));
        assert_eq!(session.waiting().on, WaitingFor::Verdict);
        assert_eq!(session.recipient(RecipientVerdict::Accept), Err(OutOfTurn));
        assert_eq!(session.begin(BeginVerdict::Proceed), Err(OutOfTurn));
        assert_eq!(session.delivered(Vec::new()), Err(OutOfTurn));
        assert_eq!(session.tls_started(Tls::new("", "")), Err(OutOfTurn));
        assert_eq!(session.fail_body(Refusal::new(RefusalCode::LocalError, 3, 0, "")), Err(OutOfTurn));
    }
    session.sender(SenderVerdict::Accept).unwrap();
    assert_eq!(session.sender(SenderVerdict::Accept), Err(OutOfTurn));
    assert!(matches!(session.next(), Action::Send(_)));
}

#[test]
fn the_envelope_carries_all_that_was_said() {
    let mut session = session();
    give(&mut session, "EHLO c.test\r\n");
    let (_, end) = give(
        &mut session,
        "MAIL FROM:<a@b.test> SIZE=9 RET=HDRS ENVID=id+2B1\r\n\
         RCPT TO:<c@[192.0.2.1]> NOTIFY=DELAY,FAILURE ORCPT=rfc822;x+40y.test\r\nBDAT 0 LAST\r\n",
    );
    let Action::End(envelope) = end else { panic!("{end:?}") };
    let origin = &envelope.origin;
    assert_eq!(origin.client.hello.name(), "c.test");
    assert_eq!(origin.sender.mailbox().unwrap().local(), "a");
    assert_eq!(
        (origin.size, origin.ret, origin.envid.as_deref()),
        (Some(9), Some(Return::Headers), Some("id+1"))
    );
    let recipient = &envelope.recipients[0];
    let ForwardPath::Mailbox(mailbox) = &recipient.path else { panic!() };
    assert_eq!(mailbox.domain(), &Domain::Address("192.0.2.1".parse().unwrap()));
    assert_eq!(recipient.notify, Some(Notify { success: false, failure: true, delay: true }));
    let orcpt = recipient.orcpt.as_ref().unwrap();
    assert_eq!((orcpt.kind.as_str(), orcpt.address.as_str()), ("rfc822", "x@y.test"));
}

#[test]
fn a_client_can_be_turned_away_instead_of_greeted() {
    let mut session = session();
    session.turn_away(Refusal::new(RefusalCode::NotAvailable, 7, 0, "Too many connections"));
    let (sent, last) = give(&mut session, "EHLO c.test\r\n");
    assert_eq!(sent, "421 4.7.0 Too many connections\r\n");
    assert!(matches!(last, Action::Close));
}

#[test]
fn a_session_that_is_over_says_nothing_more() {
    let mut session = session();
    let (sent, last) = give(&mut session, "QUIT\r\nNOOP\r\n");
    assert!(sent.ends_with("221 2.0.0 mx.example.test is closing the connection\r\n"));
    assert!(matches!(last, Action::Close));
    session.timed_out();
    session.too_slow();
    session.shutdown();
    session.turn_away(Refusal::new(RefusalCode::NotAvailable, 7, 0, "x"));
    let (sent, last) = give(&mut session, "NOOP\r\n");
    assert_eq!(sent, "");
    assert!(matches!(last, Action::Close));
    assert_eq!(session.waiting().on, WaitingFor::Nobody);
}

#[test]
fn plaintext_read_during_the_handshake_ends_the_session() {
    let mut session = session();
    let (_, action) = give(&mut session, "EHLO c.test\r\n");
    assert!(matches!(action, Action::NeedInput));
    let (sent, action) = give(&mut session, "STARTTLS\r\n");
    assert!(sent.starts_with("220 ") && matches!(action, Action::StartTls));
    assert_eq!(session.waiting().on, WaitingFor::Handshake);
    session.input().extend_from_slice(b"EHLO evil.test\r\n");
    session.tls_started(Tls::new("TLSv1.3", "x")).unwrap();
    assert!(matches!(session.next(), Action::Close));
}

#[test]
fn a_spool_that_fails_on_the_last_octets_is_still_a_refusal() {
    let mut session = session();
    give(&mut session, TO_DATA);
    let (_, action) = give(&mut session, "text\r\n.\r\n");
    assert!(matches!(action, Action::Body(_)));
    session.fail_body(Refusal::new(RefusalCode::InsufficientStorage, 3, 1, "disk full")).unwrap();
    assert!(matches!(session.next(), Action::Abandon));
    let (sent, _) = give(&mut session, "");
    assert_eq!(sent, "452 4.3.1 disk full\r\n");
}

#[test]
fn a_body_is_handed_on_in_one_piece_per_read() {
    let mut session = session();
    give(&mut session, TO_DATA);
    let (_, action) = give(&mut session, "..a\r\n..b\r\n..c\r\n");
    let Action::Body(chunk) = action else { panic!("{action:?}") };
    assert_eq!(&chunk[..], b".a\r\n.b\r\n.c\r\n");
}

#[test]
fn logins_are_bound_to_a_channel_only_where_the_driver_knows_it() {
    let mut config = Config::new("mx.example.test", Protocol::Submission);
    config.login.mechanisms = vec!["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"];
    for (bindable, offered) in
        [(true, "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256"), (false, "AUTH SCRAM-SHA-256")]
    {
        let tls = Some(Tls::new("TLSv1.2", "x").bindable(bindable));
        let mut session = Session::new(Arc::new(config.clone()), Peer { tls, ..Peer::default() });
        let (sent, _) = give(&mut session, "EHLO c.test\r\n");
        assert!(sent.lines().any(|line| line.get(4..) == Some(offered)), "{sent}");
        let (sent, action) = give(&mut session, "AUTH SCRAM-SHA-256-PLUS\r\n");
        assert_eq!(sent.starts_with("504 5.5.4"), !bindable, "{sent}");
        assert_eq!(matches!(action, Action::Authenticate(_)), bindable, "{action:?}");
    }
}
