//! NOTIFY (RFC 5465): what it costs, and that what is told adds up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use mail::{DeleteScope, MailboxPath};

use world::{Client, World};

/// Chance that can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

/// A mailbox as a client knows it that does nothing but listen: UIDs and flags by number.
#[derive(Default)]
struct Listener {
    messages: Vec<(u32, String)>,
    /// What STATUS last told, by mailbox.
    status: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Listener {
    fn hear(&mut self, heard: &str) {
        for line in heard.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match &words[..] {
                ["*", n, "EXISTS"] => self.messages.resize(n.parse().unwrap(), (0, "?".to_owned())),
                ["*", n, "EXPUNGE"] => drop(self.messages.remove(n.parse::<usize>().unwrap() - 1)),
                ["*", n, "FETCH", ..] => {
                    let message = &mut self.messages[n.parse::<usize>().unwrap() - 1];
                    let uid = line.split_once("UID ").unwrap().1.split([' ', ')']).next().unwrap();
                    let flags = line.split_once("FLAGS (").unwrap().1.split(')').next().unwrap();
                    assert!(message.0 == 0 || message.0 == uid.parse().unwrap(), "{line}");
                    *message = (uid.parse().unwrap(), flags.to_owned());
                }
                ["*", "STATUS", name, ..] => {
                    let figures = line.split_once('(').unwrap().1.trim_end_matches(')');
                    let figures: Vec<&str> = figures.split(' ').collect();
                    let known = self.status.entry((*name).to_owned()).or_default();
                    // HIGHESTMODSEQ is told once, to a client that does not follow it.
                    for pair in figures.as_chunks::<2>().0.iter().filter(|pair| pair[0] != "HIGHESTMODSEQ") {
                        known.insert(pair[0].to_owned(), pair[1].parse().unwrap());
                    }
                }
                ["*", "FLAGS", ..] => {}
                _ => panic!("{line}"),
            }
        }
    }
}

async fn append(client: &mut Client, mailbox: &str, message: &str) -> String {
    client.say(&format!("ap APPEND {mailbox} {{{}+}}\r\n{message}", message.len())).await
}

/// What there is, as a client sees it that asks.
async fn truth(client: &mut Client) -> Vec<(u32, String)> {
    let answer = client.say("t FETCH 1:* (UID FLAGS)").await;
    let rows = answer.lines().filter(|line| line.contains(" FETCH (UID "));
    let row = |line: &str| {
        let uid = line.split_once("UID ").unwrap().1.split([' ', ')']).next().unwrap().parse().unwrap();
        (uid, line.split_once("FLAGS (").unwrap().1.split(')').next().unwrap().to_owned())
    };
    rows.map(row).collect()
}

async fn figures(client: &mut Client, name: &str) -> BTreeMap<String, u64> {
    let mut listener = Listener::default();
    let answer = client.say(&format!("t STATUS {name} (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)")).await;
    listener.hear(answer.lines().next().unwrap());
    listener.status.remove(name).unwrap()
}

/// Whatever others do in two mailboxes, who listens knows what is there.
#[tokio::test]
async fn what_is_told_adds_up() {
    for seed in 0..6 {
        let world = World::new().await;
        let mut chance = Chance(seed);
        let (mut ears, mut asker) = (world.alice().await, world.alice().await);
        let mut hands = [world.alice().await, world.alice().await];
        hands[0].say("c CREATE Other").await;
        for (hand, name) in hands.iter_mut().zip(["INBOX", "Other"]) {
            hand.say(&format!("s SELECT {name}")).await;
        }
        asker.say("s SELECT INBOX").await;
        ears.say("s SELECT INBOX").await;
        let answer = ears
            .say(
                "n NOTIFY SET STATUS (selected (MessageNew (UID FLAGS) MessageExpunge FlagChange)) \
                 (mailboxes Other (MessageNew MessageExpunge FlagChange))",
            )
            .await;
        let mut listener = Listener::default();
        let (told, answer) = answer.rsplit_once("n OK").unwrap();
        assert!(answer.ends_with("\r\n"));
        listener.hear(told);
        for step in 0..120 {
            let hand = &mut hands[chance.below(2)];
            let (number, other) = (chance.below(6) + 1, ["INBOX", "Other"][chance.below(2)]);
            let flag = ["\\Seen", "\\Deleted", "\\Flagged"][chance.below(3)];
            let command = match chance.below(8) {
                0..=2 => "x EXPUNGE".to_owned(),
                3 => format!("x COPY {number} {other}"),
                4 => format!("x MOVE {number} {other}"),
                5 => format!("x STORE {number} +FLAGS ({flag})"),
                6 => format!("x STORE {number} -FLAGS.SILENT ({flag})"),
                _ => "x STORE 1:* +FLAGS (\\Seen)".to_owned(),
            };
            match chance.below(3) {
                0 => drop(append(hand, other, &format!("Subject: {step}\r\n\r\n\r\n")).await),
                _ => drop(hand.say(&command).await),
            }
            // Sometimes several things happen before somebody looks.
            if chance.below(3) == 0 {
                continue;
            }
            // Whatever happened last, this is news.
            append(&mut asker, "INBOX", "Subject: last\r\n\r\n\r\n").await;
            let told = ears.news().await;
            listener.hear(&told);
            assert_eq!(listener.messages, truth(&mut asker).await, "seed {seed}, step {step}");
            assert_eq!(
                listener.status["Other"],
                figures(&mut asker, "Other").await,
                "seed {seed}, step {step}"
            );
        }
    }
}

/// The work follows what has changed, however many mailboxes there are and however long they are.
#[tokio::test]
async fn work_follows_the_changes() {
    let world = World::new().await;
    let (mut ears, mut hand) = (world.alice().await, world.alice().await);
    for number in 0..200 {
        assert!(hand.say(&format!("c CREATE m{number}/below")).await.contains("c OK"));
    }
    for number in 0..200 {
        append(&mut hand, "m7/below", &format!("Subject: {number}\r\n\r\n\r\n")).await;
    }
    ears.say("n NOTIFY SET (personal (MessageNew MessageExpunge FlagChange MailboxName))").await;
    append(&mut hand, "m7/below", "Subject: new\r\n\r\n\r\n").await;
    hand.say("c CREATE m8/below/more").await;
    world.rows.take();
    let told = ears.news().await;
    assert!(told.contains("* STATUS m7/below (UIDVALIDITY "), "{told}");
    assert!(told.contains("* LIST (\\HasNoChildren) \"/\" m8/below/more\r\n"), "{told}");
    assert!(told.contains("* LIST (\\HasChildren) \"/\" m8/below\r\n"), "{told}");
    let read = world.rows.take();
    assert!(read.rows_read <= 40 && read.commits == 0, "{read:?}");
    // What does not concern it costs a look at the log.
    ears.say("n NOTIFY SET (mailboxes m9 (MailboxName))").await;
    append(&mut hand, "m7/below", "Subject: new\r\n\r\n\r\n").await;
    world.rows.take();
    assert_eq!(ears.news().await, "");
    let read = world.rows.take();
    assert!(read.rows_read <= 4, "{read:?}");
}

/// A client that cannot be told what it missed is told so, and hears of nothing more (RFC 5465 §5.8).
#[tokio::test]
async fn too_far_behind() {
    let world = World::new().await;
    let (mut ears, mut hand) = (world.alice().await, world.alice().await);
    ears.say("n NOTIFY SET (personal (MessageNew MessageExpunge))").await;
    append(&mut hand, "INBOX", "Subject: old\r\n\r\n\r\n").await;
    world.hand.advance(Duration::from_secs(100 * 86_400));
    append(&mut hand, "INBOX", "Subject: new\r\n\r\n\r\n").await;
    world.mail.upkeep(world.alice).await.unwrap();
    assert!(ears.news().await.starts_with("* OK [NOTIFICATIONOVERFLOW] "));
    append(&mut hand, "INBOX", "Subject: newer\r\n\r\n\r\n").await;
    assert!(ears.say("a NOOP").await.starts_with("a OK "));
}

/// A tree with more names than a row of the change log has room for goes at once.
#[tokio::test]
async fn more_than_the_log_can_name() {
    let world = World::new().await;
    let (mut ears, mut hand) = (world.alice().await, world.alice().await);
    hand.say("c CREATE top").await;
    for number in 0..180 {
        let heard = hand.say(&format!("c CREATE top/{number:0>200}")).await;
        assert!(heard.starts_with("c OK"), "{heard}");
    }
    ears.say("n NOTIFY SET (personal (MailboxName))").await;
    let top = world.mail.find_mailbox(world.alice, &MailboxPath::parse("top").unwrap()).await.unwrap();
    world.mail.delete_mailbox(world.alice, top.unwrap().id, DeleteScope::Subtree).await.unwrap();
    assert!(ears.news().await.starts_with("* OK [NOTIFICATIONOVERFLOW] "));
}

/// A new message that is asked for whole is sent piece by piece, and in the middle of it there is no BYE.
#[tokio::test]
async fn new_messages_are_streamed() {
    let world = World::new().await;
    let (mut ears, mut hand) = (world.alice().await, world.alice().await);
    ears.say("s SELECT INBOX").await;
    ears.say("n NOTIFY SET (selected (MessageNew (BODY.PEEK[]) MessageExpunge))").await;
    let long = format!("Subject: long\r\n\r\n{}", "0123456789\r\n".repeat(100_000));
    append(&mut hand, "INBOX", &long).await;
    ears.largest = 0;
    let told = ears.news().await;
    assert!(
        told.starts_with("* 1 EXISTS\r\n* 1 FETCH (BODY[] {1200017}\r\nSubject: long"),
        "{}",
        &told[..100]
    );
    assert!(told.ends_with("\r\n)\r\n"));
    assert!(ears.largest < 300_000, "{}", ears.largest);
}

/// Names beyond number are not watched.
#[tokio::test]
async fn too_many_names() {
    let world = World::new().await;
    let mut client = world.alice().await;
    let names: Vec<String> = (0..1001).map(|number| format!("m{number}")).collect();
    let ask = |names: &[String]| {
        format!("n NOTIFY SET (mailboxes ({}) (MessageNew MessageExpunge))", names.join(" "))
    };
    assert!(client.say(&ask(&names)).await.starts_with("n NO [NOTIFICATIONOVERFLOW] "));
    assert!(client.say(&ask(&names[1..])).await.starts_with("n OK "));
}
