//! What reading costs, counted where it crosses the stores' contracts, and how little of it is copied.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use bytes::Bytes;
use conversation::{Conversation, Step};
use mail::Quota;
use store::kv::Counts;
use types::{Keywords, MailboxId};
use world::{Client, World};

/// Messages that are alike but for their length, and a client that has selected their mailbox.
async fn filled(world: &World, count: usize, length: usize) -> Client {
    let text = format!("Subject: many\r\nX-Other: field\r\n\r\n{}\r\n", "all the same ".repeat(length / 13));
    let message = world.mail.ingest(Bytes::from(text)).await.unwrap();
    for _ in 0..count {
        let now = world.clock.now();
        let (inbox, keywords, quota) = (MailboxId::INBOX, Keywords::new(), Quota::default());
        world.mail.append(world.alice, inbox, &message, keywords, false, now, quota).await.unwrap();
    }
    let mut client = world.alice().await;
    client.say("a SELECT INBOX").await;
    world.rows.take();
    client
}

/// What a command costs, besides the few rounds in which each looks for news.
async fn cost(world: &World, client: &mut Client, command: &str) -> Counts {
    let answer = client.say(&format!("b {command}")).await;
    assert!(answer.contains("b OK"), "{command}: {answer}");
    world.rows.take()
}

#[tokio::test]
async fn messages_are_read_by_the_page() {
    const NEWS: u64 = 6;
    let world = World::new().await;
    let mut client = filled(&world, 1_000, 500).await;
    // Rounds for rows, for records and for sources.
    for (command, rounds, rows) in [
        ("FETCH 1:* (ENVELOPE BODYSTRUCTURE PREVIEW)", 10 + 10, 2_000),
        ("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)])", 10 + 10, 2_000),
        ("FETCH 1:* BODY.PEEK[]", 32 + 32, 2_000),
        ("FETCH 1:* (UID FLAGS BODY.PEEK[]<0.100>)", 32 + 32, 2_000),
        ("FETCH 1:* (PREVIEW BODY.PEEK[])", 32 + 32 + 32, 3_000),
        ("FETCH 1:* (BODY.PEEK[1] BODY.PEEK[HEADER] BINARY.SIZE[1])", 32 + 32 + 32, 3_000),
        ("SEARCH SUBJECT nowhere", 1 + 10, 2_000),
        ("SEARCH SEEN TEXT nowhere", 1, 1_000),
        ("SEARCH TEXT nowhere", 1 + 10 + 40, 3_000),
        ("SORT (SUBJECT) UTF-8 ALL", 1 + 5 + 5, 3_000),
    ] {
        let counts = cost(&world, &mut client, command).await;
        assert!(counts.read_rounds <= rounds + NEWS, "{command}: {counts:?}");
        assert!(counts.rows_read <= rows + NEWS, "{command}: {counts:?}");
        assert_eq!(counts.commits, 0, "{command}");
    }
    // Marking them as seen takes a commit for each page that is shown.
    let counts = cost(&world, &mut client, "FETCH 1:320 BODY[]").await;
    assert_eq!(counts.commits, 10, "{counts:?}");
}

/// Of a mailbox that is too large for memory, too, what is asked of dates reads the rows of those dates, and what is told
/// in part is looked for no further than that.
#[tokio::test]
async fn a_search_reads_no_more_than_it_tells() {
    const NEWS: u64 = 8;
    let world = World::without_memory().await;
    let message = world.mail.ingest(Bytes::from("Subject: many\r\n\r\nall the same\r\n")).await.unwrap();
    let day = std::time::Duration::from_secs(86_400);
    for number in 0..1_000 {
        // The last one has come on 2 January 2026.
        let (received, inbox) = (world.clock.now().minus(day * (999 - number)), MailboxId::INBOX);
        let (keywords, quota) = (Keywords::new(), Quota::default());
        world.mail.append(world.alice, inbox, &message, keywords, false, received, quota).await.unwrap();
    }
    let mut client = world.alice().await;
    client.say("a SELECT INBOX").await;
    world.rows.take();
    for (command, told, rows) in [
        ("SEARCH SINCE 24-Dec-2025", "* SEARCH 991 992 993 994 995 996 997 998 999 1000", 10),
        ("SEARCH SINCE 24-Dec-2025 BEFORE 26-Dec-2025 UNSEEN", "* SEARCH 991 992", 4),
        ("SEARCH NOT BEFORE 1-Jan-2026", "* SEARCH 999 1000", 2),
        ("SEARCH SINCE 3-Jan-2026", "* SEARCH", 0),
        ("SORT RETURN (PARTIAL 1:3) (REVERSE ARRIVAL) UTF-8 ALL", "PARTIAL (1:3 1000,999,998)", 4),
        ("SORT RETURN (MIN) (ARRIVAL) UTF-8 ALL", "MIN 1", 2),
        ("SORT (ARRIVAL) UTF-8 ON 1-Jan-2026", "* SORT 999", 1),
        ("SEARCH RETURN (MIN) UNSEEN", "MIN 1", 1),
        ("SEARCH RETURN (MAX) UNSEEN", "MAX 1000", 1),
        ("SEARCH RETURN (PARTIAL -1:-5) SUBJECT many", "PARTIAL (-1:-5 996:1000)", 2 * 5),
        ("SEARCH RETURN (PARTIAL 1:5) TEXT same", "PARTIAL (1:5 1:5)", 3 * 5),
        ("SEARCH 7,900 SUBJECT many", "* SEARCH 7 900", 2 * 2),
        ("SEARCH RETURN (COUNT) ALL", "COUNT 1000", 0),
    ] {
        let answer = client.say(&format!("b {command}")).await;
        assert!(answer.contains(&format!("{told}\r\n")) && answer.contains("b OK"), "{command}: {answer}");
        let counts = world.rows.take();
        assert!(counts.rows_read <= rows + NEWS && counts.read_rounds <= 4 + NEWS, "{command}: {counts:?}");
    }
}

/// Most of the mailbox by range, and what lies far apart by key: one round either way.
#[tokio::test]
async fn messages_far_apart_are_read_at_once_too() {
    let world = World::new().await;
    let mut client = filled(&world, 700, 100).await;
    let every_seventh: Vec<String> = (0..100).map(|n| (n * 7 + 1).to_string()).collect();
    let command = format!("FETCH {} ENVELOPE", every_seventh.join(","));
    let counts = cost(&world, &mut client, &command).await;
    assert!(counts.read_rounds <= 2 + 6 && counts.rows_read <= 200 + 6, "{counts:?}");
}

/// A body is unpacked once, and goes out in the memory into which it was unpacked.
#[tokio::test]
async fn bodies_are_not_copied() {
    let world = World::new().await;
    let mut client = filled(&world, 100, 10_000).await;
    client.input.extend_from_slice(b"b FETCH 1:* (UID BODY.PEEK[])\r\n");
    let (mut by_reference, mut copied, mut sends) = (0, 0, 0);
    loop {
        match client.session.advance(&mut client.input).await {
            Step::Send(chunks) => {
                sends += 1;
                for chunk in chunks {
                    if chunk.starts_with(b"Subject: many") {
                        by_reference += 1
                    } else {
                        copied += chunk.len()
                    }
                }
            }
            Step::NeedInput => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(by_reference, 100);
    assert!(copied < 100 * 60, "{copied} octets of the answer are text of the protocol");
    // 64 KiB at a time: few calls of the system.
    assert!(sends <= 17, "{sends}");
}

/// Sessions wait most of their lives.
#[test]
fn a_session_takes_little_room() {
    let room = size_of::<imap::Session>();
    assert!(room <= 1_500, "{room}");
}
