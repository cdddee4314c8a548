//! SORT, THREAD and PREVIEW look at rows and metadata: no message is opened, however long it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use bytes::Bytes;
use mail::Quota;
use types::{Keywords, MailboxId};
use world::World;

const MESSAGES: u64 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sorting_and_threading_open_no_message() {
    let world = World::new().await;
    for number in 0..MESSAGES {
        // Every tenth is too long for its row.
        let noise: String = (0..if number % 10 == 0 { 60_000_u64 } else { 50 })
            .map(|n| {
                char::from(b'!' + (n.wrapping_mul(n + number).wrapping_mul(2_654_435_761) >> 13) as u8 % 90)
            })
            .collect();
        let text = format!(
            "Message-ID: <{number}@x.test>\r\nReferences: <{}@x.test>\r\nFrom: {}@x.test\r\n\
             Subject: Re: {}\r\n\r\n{noise}\r\n",
            number / 2,
            MESSAGES - number,
            number % 7
        );
        let message = world.mail.ingest(Bytes::from(text)).await.unwrap();
        let (inbox, now) = (MailboxId::INBOX, world.clock.now());
        let appended =
            world.mail.append(world.alice, inbox, &message, Keywords::new(), false, now, Quota::default());
        appended.await.unwrap();
    }
    let mut client = world.alice().await;
    client.say("a SELECT INBOX").await;
    for (command, rows) in [
        ("SORT (ARRIVAL) UTF-8 ALL", MESSAGES),
        ("SORT (SUBJECT REVERSE FROM DATE) UTF-8 ALL", 2 * MESSAGES),
        ("UID SORT RETURN (PARTIAL 1:10) (DISPLAYFROM) UTF-8 ALL", 2 * MESSAGES),
        ("THREAD REFERENCES UTF-8 ALL", 2 * MESSAGES),
        ("THREAD ORDEREDSUBJECT UTF-8 ALL", 2 * MESSAGES),
        ("FETCH 1:* (PREVIEW)", 2 * MESSAGES),
    ] {
        world.rows.take();
        world.objects.take();
        let answer = client.say(&format!("b {command}")).await;
        assert!(answer.contains("b OK"), "{answer}");
        let (read, opened) = (world.rows.take(), world.objects.take());
        assert_eq!(opened.reads, 0, "{command}");
        assert!(read.rows_read <= rows + 10 && read.read_rounds <= 20, "{command}: {read:?}");
    }
}
