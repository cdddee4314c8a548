//! smtp-proto's parser as an oracle: on well-formed commands it and this crate must understand the same. And its
//! known faults, reproduced, so that whoever thinks of using it directly sees what would come in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use proptest::prelude::*;
use smtp::{Action, BodyType, Config, Origin, Peer, Protocol, Recipient, Session};
use smtp::{RecipientVerdict, Return, SenderVerdict};
use smtp_proto::request::receiver::DataReceiver;
use smtp_proto::{
    MAIL_BODY_8BITMIME, MAIL_BODY_BINARYMIME, MAIL_RET_FULL, MAIL_RET_HDRS, MAIL_SMTPUTF8, RCPT_NOTIFY_DELAY,
    RCPT_NOTIFY_FAILURE, RCPT_NOTIFY_NEVER, RCPT_NOTIFY_SUCCESS, Request,
};

/// What this crate makes of a MAIL and a RCPT.
fn ours(mail: &str, rcpt: &str) -> (Arc<Origin>, Recipient) {
    let mut config = Config::new("mx.example.test", Protocol::Smtp);
    config.dsn = true;
    config.binarymime = true;
    let mut session = Session::new(Arc::new(config), Peer::default());
    session.input().extend_from_slice(format!("EHLO c.test\r\n{mail}{rcpt}").as_bytes());
    let mut replies = Vec::new();
    loop {
        match session.next() {
            Action::Send(reply) => replies.extend_from_slice(&reply),
            Action::VerifySender(_) => session.sender(SenderVerdict::Accept).unwrap(),
            Action::VerifyRecipient(origin, recipient) => {
                session.recipient(RecipientVerdict::Accept).unwrap();
                return (origin, recipient);
            }
            other => panic!("{mail}{rcpt}: {other:?} after {}", String::from_utf8_lossy(&replies)),
        }
    }
}

fn theirs(line: &str) -> Request<String> {
    Request::parse(&mut line.as_bytes().iter()).unwrap().into_owned()
}

fn address() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9+_=-]{1,12}(\\.[a-z0-9가-힣]{1,8}){0,2}@[a-z][a-z0-9]{0,8}(\\.[a-z가-힣]{2,8}){1,2}"
}

fn parameter(choices: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(choices)
}

proptest! {
    #[test]
    fn well_formed_commands_mean_the_same_to_both(
        sender in prop_oneof![Just(String::new()), address()],
        recipient in address(),
        size in 0_u64..50_000_000,
        body in parameter(&["", " BODY=7BIT", " BODY=8BITMIME", " body=BinaryMime"]),
        ret in parameter(&["", " RET=FULL", " RET=HDRS"]),
        envid in parameter(&["", " ENVID=a+2Bb+3D"]),
        notify in parameter(&["", " NOTIFY=NEVER", " NOTIFY=SUCCESS,DELAY", " NOTIFY=FAILURE"]),
    ) {
        let mail = format!("MAIL FROM:<{sender}> SIZE={size}{body}{ret}{envid} SMTPUTF8\r\n");
        let rcpt = format!("RCPT TO:<{recipient}>{notify}\r\n");
        let (origin, ours) = ours(&mail, &rcpt);
        let (Request::Mail { from }, Request::Rcpt { to }) = (theirs(&mail), theirs(&rcpt)) else { panic!() };
        prop_assert_eq!(origin.sender.to_string(), format!("<{}>", from.address));
        prop_assert_eq!(origin.size, Some(from.size as u64));
        prop_assert_eq!(origin.smtputf8, from.flags & MAIL_SMTPUTF8 != 0);
        let kind = match from.flags {
            flags if flags & MAIL_BODY_8BITMIME != 0 => BodyType::EightBitMime,
            flags if flags & MAIL_BODY_BINARYMIME != 0 => BodyType::BinaryMime,
            _ => BodyType::SevenBit,
        };
        prop_assert_eq!(origin.body, kind);
        let returned = match from.flags {
            flags if flags & MAIL_RET_FULL != 0 => Some(Return::Full),
            flags if flags & MAIL_RET_HDRS != 0 => Some(Return::Headers),
            _ => None,
        };
        prop_assert_eq!(origin.ret, returned);
        prop_assert_eq!(&origin.envid, &from.env_id);
        prop_assert_eq!(ours.path.to_string(), format!("<{}>", to.address));
        let flags = ours.notify.map_or(0, |notify| {
            let bit = |on: bool, bit: u64| if on { bit } else { 0 };
            let bits = bit(notify.success, RCPT_NOTIFY_SUCCESS)
                | bit(notify.failure, RCPT_NOTIFY_FAILURE)
                | bit(notify.delay, RCPT_NOTIFY_DELAY);
            if bits == 0 { RCPT_NOTIFY_NEVER } else { bits }
        });
        prop_assert_eq!(flags, to.flags);
    }
}

/// The transcripts `empty-body`, `dots-stuffed-and-unstuffed`, `postmaster` and `bare-lf-ends-no-line` show this
/// crate's answers to the same. When one of these fails, the fault is mended there and the verdict can be weighed
/// anew.
#[test]
fn the_faults_that_keep_it_an_oracle_are_still_there() {
    let decode = |wire: &[u8]| {
        let mut body = Vec::new();
        let ended = DataReceiver::new().ingest(&mut wire.iter(), &mut body);
        (ended, body)
    };
    assert!(!decode(b".\r\n").0, "an empty body ends now");
    assert_eq!(decode(b"..a\r\n.\r\n"), (true, b"..a\r\n".to_vec()), "the first line is unstuffed now");
    let Request::Rcpt { to } = theirs("RCPT TO:<Postmaster>\r\n") else { panic!() };
    assert_eq!(to.address, "", "postmaster is an address now");
    assert_eq!(theirs("QUIT\n"), Request::Quit, "a bare LF ends no line now");
}
