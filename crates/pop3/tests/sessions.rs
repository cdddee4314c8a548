//! What a transcript cannot show: many messages, long ones, faults.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use conversation::{Conversation, Step, WaitingFor};
use mail::{ImportId, ImportItem, Quota};
use pop3::{Config, Limits};
use proptest::prelude::*;
use types::{Keywords, MailboxId};
use world::{Client, World};

/// Fills the INBOX with copies of one message.
async fn fill(world: &World, count: u32, text: &'static [u8]) {
    let message = world.mail.ingest(Bytes::from_static(text)).await.unwrap();
    let mut id = [0; 16];
    let items: Vec<ImportItem> = (0..count)
        .map(|number| {
            id[..4].copy_from_slice(&number.to_be_bytes());
            ImportItem {
                message: message.clone(),
                mailbox: MailboxId::INBOX,
                keywords: Keywords::new(),
                deleted: false,
                received: world.clock.now(),
                id: ImportId { source: [0; 16], item: id },
            }
        })
        .collect();
    for step in items.chunks(1000) {
        let results = world.mail.import(world.alice, step, Quota::default()).await.unwrap();
        assert!(results.iter().all(Result::is_ok));
    }
}

#[test]
fn a_session_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let world = World::new().await;
        let mut client = world.client(Config::default(), true);
        let mut input = BytesMut::new();
        is_send(&client.session.advance(&mut input));
        is_send(&client.session.end());
    });
}

/// Opening 100,000 messages reads one row for each, in few rounds, and no message.
#[tokio::test]
async fn a_hundred_thousand_messages() {
    let world = World::new().await;
    fill(&world, 100_000, b"Subject: many\r\n\r\ntext\r\n").await;
    let mut client = world.client(Config::default(), true);
    client.say("USER alice").await;
    world.rows.take();
    world.blobs.take();
    assert_eq!(client.say("PASS correct horse").await, "+OK logged in, 100000 messages (2300000 octets)\r\n");
    let counts = world.rows.take();
    // A row for each message, and a few for the login and the mailbox; 50 pages of rows.
    assert!((100_000..100_100).contains(&counts.rows_read), "{counts:?}");
    assert!(counts.read_rounds <= 75, "{counts:?}");
    assert_eq!(counts.commits, 0, "{counts:?}");
    assert_eq!(world.blobs.take().reads, 0);
    assert_eq!(client.say("STAT").await, "+OK 100000 2300000\r\n");
    client.largest = 0;
    let listed = client.say("LIST").await;
    assert!(listed.ends_with("\r\n100000 23\r\n.\r\n") && listed.lines().count() == 100_002);
    assert!(client.largest <= (64 << 10) + 100, "{}", client.largest);
    let listed = client.say("UIDL").await;
    assert!(listed.ends_with("\r\n100000 1767323045.100000\r\n.\r\n") && listed.lines().count() == 100_002);
    assert_eq!(world.rows.take().rows_read, 0);
    assert!(client.say("RETR 77777").await.ends_with("\r\ntext\r\n.\r\n"));
    // The message's row, for it may be gone, and its source.
    let counts = world.rows.take();
    assert_eq!((counts.rows_read, counts.read_rounds, counts.commits), (2, 1, 0), "{counts:?}");
    for number in 1..=1200 {
        client.say(&format!("DELE {number}")).await;
    }
    assert_eq!(client.say("QUIT").await, "+OK 1200 messages removed, bye\r\n");
    let there = world.there().await;
    assert_eq!((there.len(), there[0]), (98_800, 1201));
    assert_eq!(world.seen().await, [77_777]);
}

/// Fetching marks messages as seen in few commits, not one for each.
#[tokio::test]
async fn seen_marks_are_written_together() {
    let world = World::new().await;
    fill(&world, 1200, b"Subject: many\r\n\r\ntext\r\n").await;
    let mut client = world.alice().await;
    world.rows.take();
    for number in 1..=1200 {
        client.say(&format!("RETR {number}")).await;
    }
    assert_eq!((world.rows.take().commits, world.seen().await.len()), (2, 1000));
    // Once more: those that are marked already are not marked again.
    client.say("RETR 1").await;
    client.session.end().await;
    assert_eq!((world.rows.take().commits, world.seen().await.len()), (1, 1200));
}

/// A message of some megabytes with an attachment: byte for byte, in bounded chunks, on demand.
#[tokio::test]
async fn a_long_message_comes_in_bounded_chunks() {
    let world = World::new().await;
    let line = |n: usize| format!("{}{n:060}\r\n", if n.is_multiple_of(7) { "." } else { "" });
    let text: String = (0..40_000).map(line).collect();
    let message = format!("Subject: long\r\n\r\n{text}");
    world.deliver(message.as_bytes()).await;
    let mut client = world.alice().await;
    client.input.extend_from_slice(b"RETR 1\r\nTOP 1 3\r\nNOOP\r\n");
    let (mut steps, mut sent, mut largest) = (0, Vec::new(), 0);
    loop {
        match client.session.advance(&mut client.input).await {
            Step::Send(chunks) => {
                let size: usize = chunks.iter().map(Bytes::len).sum();
                (steps, largest) = (steps + 1, largest.max(size));
                chunks.iter().for_each(|chunk| sent.extend_from_slice(chunk));
            }
            Step::NeedInput => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(largest < 600_000 && steps > 4, "{largest} octets in one of {steps} steps");
    let sent = String::from_utf8(sent).unwrap();
    let rest = sent.strip_prefix(&format!("+OK {} octets\r\n", message.len())).unwrap();
    let (whole, rest) = rest.split_once("\r\n.\r\n").unwrap();
    assert!(format!("{whole}\r\n").replace("\r\n..", "\r\n.") == message, "the message has changed");
    assert_eq!(whole.matches("\r\n..").count(), 40_000_usize.div_ceil(7));
    assert!(rest.ends_with("\r\n.\r\n+OK done\r\n") && rest.lines().count() == 8);
}

/// TOP of a long message reads its beginning only.
#[tokio::test]
async fn top_does_not_read_the_rest() {
    let world = World::new().await;
    let mut state = 1_u64;
    let noise: String = (0..4_000_000)
        .map(|n| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if n % 70 == 69 { '\n' } else { char::from(b'A' + u8::try_from(state >> 59).unwrap()) }
        })
        .collect();
    world.deliver(format!("Subject: long\r\n\r\n{}", noise.replace('\n', "\r\n")).as_bytes()).await;
    let mut client = world.alice().await;
    world.blobs.take();
    assert_eq!(client.say("TOP 1 1").await.lines().count(), 5);
    let read = world.blobs.take().bytes_read;
    assert!(read < 1_500_000, "{read} octets read");
}

#[tokio::test]
async fn shutdown_finishes_the_message() {
    let world = World::new().await;
    let text = format!("Subject: long\r\n\r\n{}", "0123456789\r\n".repeat(100_000));
    world.deliver(text.as_bytes()).await;
    let config = Config { limits: Limits { chunk: 1000, ..Limits::default() }, ..Config::default() };
    let mut client = world.alice_with(config).await;
    client.input.extend_from_slice(b"DELE 1\r\nRSET\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n");
    let Step::Send(_) = client.session.advance(&mut client.input).await else { panic!("nothing sent") };
    client.session.shutdown();
    client.serve().await;
    assert!(client.closed && client.heard().ends_with("0123456789\r\n.\r\n"));
    client.session.end().await;
    assert_eq!((world.there().await, world.seen().await), (vec![1], vec![1]));
}

#[tokio::test]
async fn a_step_that_was_dropped_ends_the_session() {
    let world = World::new().await;
    world.deliver(b"Subject: x\r\n\r\n").await;
    let mut client = world.alice().await;
    client.input.extend_from_slice(b"DELE 1\r\nRETR 1\r\nQUIT\r\n");
    {
        let advancing = client.session.advance(&mut client.input);
        tokio::select! { biased; step = advancing => panic!("done at once: {step:?}"), () = std::future::ready(()) => {} }
    }
    client.serve().await;
    assert!(client.closed);
    client.session.end().await;
    assert_eq!(world.there().await, [1]);
}

#[tokio::test]
async fn what_the_driver_waits_for() {
    let world = World::new().await;
    let mut client = world.client(Config::default(), true);
    client.say("USER alice").await;
    client.say("FOO").await;
    assert_eq!(
        (client.session.waiting(0).on, client.session.waiting(0).timeout),
        (WaitingFor::Login, Duration::from_secs(60))
    );
    client.say("USER alice").await;
    client.say("PASS correct horse").await;
    let begun = client.session.waiting(0);
    assert_eq!(begun.timeout, Duration::from_secs(600));
    client.send(b"NOO").await;
    assert_eq!(client.session.waiting(0), begun);
    client.send(b"P\r\n").await;
    assert_ne!(client.session.waiting(0).on, begun.on);
}

/// In one packet with STLS: the connection ends, and none of it runs.
#[tokio::test]
async fn fault_03_commands_behind_stls() {
    let world = World::new().await;
    for behind in ["QUIT\r\n", "USER alice\r\nPASS correct horse\r\n", "x", "\n"] {
        let mut client = world.client(Config::default(), false);
        client.send(format!("STLS\r\n{behind}").as_bytes()).await;
        let heard = client.heard();
        assert_eq!(heard, "+OK localhost ready\r\n-ERR nothing may follow STLS before TLS begins\r\n");
        assert!(client.closed && !client.wants_tls && !client.session.logged_in());
    }
}

/// What cannot be removed stays, and the client is told.
#[tokio::test]
async fn a_store_that_refuses_to_write() {
    let world = World::new().await;
    fill(&world, 3, b"Subject: many\r\n\r\ntext\r\n").await;
    let mut client = world.client_that_cannot_write();
    client.say("USER alice\r\nPASS correct horse").await;
    assert!(client.say("RETR 3").await.starts_with("+OK 23 octets\r\n"));
    client.say("DELE 1\r\nDELE 2").await;
    let heard = client.say("QUIT\r\nNOOP").await;
    assert!(heard.starts_with("-ERR [SYS/TEMP] 2 of 2 deleted messages were not removed"), "{heard}");
    assert!(client.closed && heard.lines().count() == 1, "{heard}");
    assert_eq!(world.there().await, [1, 2, 3]);
}

/// A line that never ends takes no memory.
#[tokio::test]
async fn fault_08_a_line_without_end() {
    let world = World::new().await;
    let mut client = world.client(Config::default(), true);
    for _ in 0..10_000 {
        client.send(&[b'x'; 1000]).await;
        assert!(client.input.len() <= 9000);
    }
    client.heard();
    assert!(client.say("").await.starts_with("-ERR the line is too long"));
    assert!(client.say("QUIT").await.starts_with("+OK"));
}

/// Guesses are limited over all sessions, and that is told with a code of its own.
#[tokio::test]
async fn too_many_guesses() {
    let world = World::new().await;
    let mut last = String::new();
    for _ in 0..70 {
        let mut client = world.client(Config::default(), true);
        last = client.say("USER alice\r\nPASS wrong").await;
    }
    assert!(last.ends_with("-ERR [SYS/TEMP] too many attempts to log in, try again later\r\n"), "{last}");
}

async fn babble(client: &mut Client, bytes: &[u8], step: usize) {
    for chunk in bytes.chunks(step) {
        if !client.closed {
            client.send(chunk).await;
        }
    }
}

/// Answers, where the lines of messages and lists are none.
fn answers(output: &str) -> usize {
    output.lines().filter(|line| line.starts_with("+OK") || line.starts_with("-ERR") || *line == "+ ").count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a client sends, in whatever pieces, the session answers each line once and removes nothing.
    #[test]
    fn any_bytes_are_survived(
        words in prop::collection::vec(prop_oneof![
            9 => prop::sample::select(WORDS.to_vec()).prop_map(<[u8]>::to_vec),
            1 => prop::collection::vec(any::<u8>(), 0..20),
        ], 0..80),
        step in 1_usize..50,
        logged_in in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            world.deliver(b"Subject: x\r\n\r\n.x\n.\ny").await;
            world.deliver(b"Subject: y\r\n").await;
            let mut client = if logged_in { world.alice().await } else { world.client(Config::default(), true) };
            client.serve().await;
            client.heard();
            let bytes = words.concat();
            babble(&mut client, &bytes, step).await;
            let lines = bytes.iter().filter(|b| **b == b'\n').count();
            let output = client.heard();
            assert!(client.closed && answers(&output) <= lines || answers(&output) == lines, "{output}");
            client.session.end().await;
            assert_eq!(world.there().await, [1, 2]);
        });
    }

    /// How a conversation is cut into packets makes no difference.
    #[test]
    fn cuts_do_not_matter(
        words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..60),
        step in 1_usize..50,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            world.deliver(b"Subject: x\r\n\r\n.x\n.\ny").await;
            let (mut one, mut two) = (world.alice().await, world.alice().await);
            let bytes = words.concat();
            babble(&mut one, &bytes, usize::MAX).await;
            babble(&mut two, &bytes, step).await;
            assert_eq!((one.heard(), one.closed), (two.heard(), two.closed));
        });
    }
}

const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"STAT\r\n",
    b"LIST\r\n",
    b"UIDL\r\n",
    b"RETR 1\r\n",
    b"TOP 1 0\r\n",
    b"DELE 1\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"CAPA\r\n",
    b"AUTH\r\n",
    b"AUTH PLAIN\r\n",
    b"UTF8\r\n",
    b"USER alice\r\n",
    b"PASS x\r\n",
    b"LIST ",
    b"RETR ",
    b"TOP ",
    b"1",
    b"0",
    b"99999999999999999999999",
    b"-",
    b" ",
    b" ",
    b"*",
    b"=",
    b"AGFsaWNlAHdyb25n",
    b"\0",
    b"\n",
    b"\r",
    b"\xff\xfe",
    b".",
];
