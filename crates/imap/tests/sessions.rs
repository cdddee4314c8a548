//! What a transcript cannot show: many messages, sessions at the same time, faults.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use bytes::{Bytes, BytesMut};
use conversation::{Conversation, Step};
use imap::Config;
use mail::Quota;
use proptest::prelude::*;
use types::{Keywords, MailboxId};
use world::{Client, World};

async fn deliver(world: &World, text: &str) -> u32 {
    let message = world.mail.ingest(Bytes::from(text.to_owned())).await.unwrap();
    let (inbox, now) = (MailboxId::INBOX, world.clock.now());
    let appended =
        world.mail.append(world.alice, inbox, &message, Keywords::new(), false, now, Quota::default()).await;
    appended.unwrap().uid.0
}

async fn deliver_many(world: &World, count: u32) {
    let message = world.mail.ingest(Bytes::from_static(b"Subject: many\r\n\r\ntext\r\n")).await.unwrap();
    for _ in 0..count {
        let (inbox, now) = (MailboxId::INBOX, world.clock.now());
        let appended = world
            .mail
            .append(world.alice, inbox, &message, Keywords::new(), false, now, Quota::default())
            .await;
        appended.unwrap();
    }
}

/// A client that keeps its own list of messages from what it is told, and takes offence at what cannot be.
struct Mirror {
    client: Client,
    /// UIDs as far as they are known.
    uids: Vec<Option<u32>>,
    tags: u32,
}

impl Mirror {
    async fn open(world: &World) -> Self {
        let mut mirror = Self { client: world.alice().await, uids: Vec::new(), tags: 0 };
        mirror.say("SELECT INBOX").await;
        mirror
    }

    async fn say(&mut self, command: &str) -> String {
        self.tags += 1;
        let answer = self.client.say(&format!("m{} {command}", self.tags)).await;
        let keeps_numbers = ["FETCH", "STORE", "SEARCH"].iter().any(|verb| command.starts_with(verb));
        self.listen(&answer, keeps_numbers);
        answer
    }

    fn listen(&mut self, answer: &str, keeps_numbers: bool) {
        for line in answer.lines().filter_map(|line| line.strip_prefix("* ")) {
            let Some((number, what)) = line.split_once(' ') else { continue };
            let Ok(number) = number.parse::<usize>() else { continue };
            if what == "EXISTS" {
                assert!(number >= self.uids.len(), "EXISTS takes messages away: {answer}");
                self.uids.resize(number, None);
            } else if what == "EXPUNGE" {
                assert!(!keeps_numbers, "numbers shift: {answer}");
                assert!(number <= self.uids.len(), "{answer}");
                self.uids.remove(number - 1);
            } else if let Some((_, rest)) = what.split_once("UID ") {
                let uid: u32 = rest.split([' ', ')']).next().unwrap().parse().unwrap();
                let known =
                    self.uids.get_mut(number - 1).unwrap_or_else(|| panic!("unknown number: {answer}"));
                assert!(
                    known.is_none_or(|known| known == uid),
                    "another message under this number: {answer}"
                );
                *known = Some(uid);
            }
        }
    }

    /// Asks for all UIDs; the answer must fit what is known.
    async fn check(&mut self) -> Vec<u32> {
        if !self.uids.is_empty() {
            self.say("FETCH 1:* UID").await;
        }
        self.uids.iter().flatten().copied().collect()
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
        is_send(&client.session.changed());
    });
}

#[tokio::test]
async fn what_follows_starttls_in_the_clear_is_not_run() {
    let world = World::new().await;
    let mut client = world.client(Config::default(), false);
    client.send(b"a STARTTLS\r\nb LOGIN alice \"correct horse\"\r\n").await;
    let heard = client.heard();
    assert!(heard.contains("* BYE") && !heard.contains("a OK") && !heard.contains("b "), "{heard}");
    assert!(client.closed && !client.wants_tls && !client.session.logged_in());
}

#[tokio::test]
async fn fault_34_deep_nesting() {
    let world = World::new().await;
    let mut client = world.alice().await;
    client.say("a SELECT INBOX").await;
    assert!(client.say(&format!("a SEARCH {}", "(".repeat(8000))).await.starts_with("a BAD [PARSE]"));
    assert!(client.say(&format!("a SEARCH {}", "OR ".repeat(2700))).await.starts_with("a BAD [PARSE]"));
    assert!(client.say(&format!("a SEARCH {}", "NOT ".repeat(2000))).await.starts_with("a BAD [PARSE]"));
    assert!(
        client
            .say(&format!("a SEARCH {}", "(".repeat(100_000)))
            .await
            .starts_with("a BAD the line is longer")
    );
    assert!(client.say("b NOOP").await.contains("b OK"));
}

#[tokio::test]
async fn fault_36_a_million_ranges() {
    let world = World::new().await;
    deliver_many(&world, 20).await;
    let mut client = world.alice().await;
    client.say("a SELECT INBOX").await;
    let million: Vec<String> = (1..1_000_000).map(|n| format!("{n}:{}", n + 1)).collect();
    assert!(client.say(&format!("a UID FETCH {} FLAGS", million.join(","))).await.starts_with("a BAD"));
    let many: Vec<String> = (1..700).rev().map(|n| format!("{}:{}", 3 * n, 3 * n + 1)).collect();
    let answer = client.say(&format!("b UID SEARCH UID {}", many.join(","))).await;
    assert!(answer.starts_with("* SEARCH 3 4 6 7 9 10 12 13 15 16 18 19\r\n"), "{answer}");
}

#[tokio::test]
async fn fault_42_a_message_cut_in_the_middle_is_not_there() {
    let world = World::new().await;
    let mut client = world.alice().await;
    client.send(b"a APPEND INBOX {1000}\r\n").await;
    assert_eq!(client.heard(), "+ go ahead\r\n");
    client.send(b"Subject: half").await;
    drop(client);
    let mut other = world.alice().await;
    assert!(other.say("a STATUS INBOX (MESSAGES UIDNEXT)").await.contains("(MESSAGES 0 UIDNEXT 1)"));
}

#[tokio::test]
async fn fault_44_no_uid_is_announced_twice_or_never() {
    let world = World::new().await;
    for round in 0..20 {
        let delivering = async {
            for i in 0..5 {
                deliver(&world, &format!("Subject: {round}.{i}\r\n\r\n")).await;
                tokio::task::yield_now().await;
            }
        };
        let reading = async {
            let mut mirror = Mirror::open(&world).await;
            mirror.say("IDLE").await;
            let (mut last, mut news) = (0, String::new());
            for _ in 0..5 {
                let mut reading =
                    tokio::time::timeout(std::time::Duration::from_millis(50), mirror.client.news()).await;
                if let Ok(heard) = &mut reading {
                    news.push_str(heard);
                    let grown = heard.lines().filter(|l| l.ends_with("EXISTS")).count();
                    assert!(grown <= 1, "{heard}");
                    last = last.max(grown);
                }
            }
            mirror.listen(&news, false);
            let done = mirror.client.say("DONE").await;
            mirror.listen(&done, false);
            mirror
        };
        let ((), mut mirror) = tokio::join!(delivering, reading);
        mirror.say("NOOP").await;
        assert_eq!(mirror.check().await, (1..=(round + 1) * 5).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn output_comes_in_bounded_chunks() {
    let world = World::new().await;
    let body = "0123456789abcdef".repeat(40_000);
    for i in 0..6 {
        deliver(&world, &format!("Subject: {i}\r\n\r\n{body}\r\n")).await;
    }
    let mut client = world.alice().await;
    client.say("a SELECT INBOX").await;
    client.input.extend_from_slice(b"b FETCH 1:* BODY.PEEK[]\r\nc NOOP\r\n");
    let (mut steps, mut bytes, mut largest) = (0, 0, 0);
    loop {
        match client.session.advance(&mut client.input).await {
            Step::Send(chunks) => {
                let size: usize = chunks.iter().map(|c| c.len()).sum();
                (steps, bytes, largest) = (steps + 1, bytes + size, largest.max(size));
            }
            Step::NeedInput => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(bytes > 6 * 640_000);
    assert!(largest < 1_000_000 && steps > 6, "{largest} bytes in one of {steps} steps");
}

#[tokio::test]
async fn a_step_that_was_dropped_ends_the_session() {
    let world = World::new().await;
    deliver(&world, "Subject: x\r\n\r\n").await;
    let mut client = world.alice().await;
    client.say("a SELECT INBOX").await;
    client.input.extend_from_slice(b"b FETCH 1 BODY[]\r\n");
    {
        let mut input = std::mem::take(&mut client.input);
        let advancing = client.session.advance(&mut input);
        // Polled once, then dropped: it may or may not have come to its end.
        tokio::select! { biased; step = advancing => panic!("done at once: {step:?}"), () = std::future::ready(()) => {} }
    }
    client.session.shutdown();
    client.serve().await;
    assert!(client.closed && !client.heard().contains("BYE"));
}

#[tokio::test]
async fn thousands_of_messages() {
    let world = World::new().await;
    deliver_many(&world, 2_500).await;
    let mut one = Mirror::open(&world).await;
    let mut two = Mirror::open(&world).await;
    assert_eq!(one.check().await, (1..=2_500).collect::<Vec<_>>());
    let answer = one.say("STORE 1:* +FLAGS (\\Seen)").await;
    assert_eq!(answer.matches("FETCH (FLAGS (\\Seen))").count(), 2_500);
    let answer = two.say("NOOP").await;
    assert_eq!(answer.matches(" FLAGS (\\Seen))").count(), 2_500);
    assert!(one.say("SEARCH UNSEEN").await.starts_with("* SEARCH\r\n"));
    assert!(one.say("SEARCH RETURN (COUNT MAX) SUBJECT many").await.contains("MAX 2500 COUNT 2500"));
    let answer = one.say("COPY 1:* Archive").await;
    assert!(answer.contains(" 1:2500 1:2500] copied"), "{}", answer.lines().last().unwrap());
    let answer = one.say("UID STORE 1:2400 +FLAGS.SILENT (\\Deleted)").await;
    assert!(!answer.contains("FETCH"), "{answer}");
    one.say("EXPUNGE").await;
    assert_eq!(one.check().await, (2_401..=2_500).collect::<Vec<_>>());
    two.say("NOOP").await;
    assert_eq!(two.check().await, (2_401..=2_500).collect::<Vec<_>>());
}

/// A search that takes long says how far it is, every ten seconds and no more often (RFC 9585).
#[tokio::test]
async fn a_long_command_tells_its_progress() {
    let world = World::new().await;
    deliver_many(&world, 3_000).await;
    let mut client = world.alice().await;
    client.say("a SELECT INBOX").await;
    let quick = client.say("b SEARCH TEXT nothing").await;
    assert!(!quick.contains("INPROGRESS"), "{quick}");
    let time = async {
        loop {
            world.hand.advance(std::time::Duration::from_millis(1_200));
            tokio::task::yield_now().await;
        }
    };
    let slow =
        tokio::select! { slow = client.say("c SEARCH TEXT nothing") => slow, () = time => String::new() };
    let told: Vec<&str> = slow.lines().filter(|line| line.contains("INPROGRESS")).collect();
    assert_eq!(
        told,
        [
            "* OK [INPROGRESS (\"c\" 1000 3000)] 1000 of 3000 messages",
            "* OK [INPROGRESS (\"c\" 2000 3000)] 2000 of 3000 messages",
            "* OK [INPROGRESS (\"c\" 3000 3000)] 3000 of 3000 messages",
        ]
    );
    assert!(slow.ends_with("* SEARCH\r\nc OK searched\r\n"), "{slow}");
}

/// Messages of one command in one transaction, so that a crash leaves none or all; too many for one are refused.
#[tokio::test]
async fn several_messages_are_one_change() {
    let world = World::new().await;
    let mut client = world.alice().await;
    client.say("a STATUS INBOX (MESSAGES)").await;
    let before = world.mail.modseq(world.alice).await.unwrap();
    let many = |count: usize, size: usize| {
        let text = format!("Subject: x\r\n\r\n{}", "y".repeat(size));
        let one = format!(" {{{}+}}\r\n{text}", text.len());
        format!("b APPEND INBOX{}", one.repeat(count))
    };
    let answer = client.say(&many(150, 10)).await;
    assert!(answer.contains(" 1:150] appended"), "{answer}");
    assert_eq!(world.mail.modseq(world.alice).await.unwrap().0, before.0 + 1);
    let answer = client.say(&many(1_001, 10)).await;
    assert!(answer.starts_with("b BAD the command has more than 1000 literals"), "{answer}");
    let answer = client.say(&many(900, 10)).await;
    assert!(answer.contains(" 151:1050] appended") || answer.starts_with("b NO [LIMIT]"), "{answer}");
    assert!(world.mail.verify(world.alice).await.unwrap().is_empty());
}

#[tokio::test]
async fn annotations_have_limits() {
    let world = World::new().await;
    let mut client = world.alice().await;
    let large = format!("a SETMETADATA INBOX (/private/x {{65537+}}\r\n{})", "x".repeat(65_537));
    assert!(client.say(&large).await.starts_with("a NO [METADATA MAXSIZE 65536]"));
    let value = "x".repeat(60_000);
    for n in 0..17 {
        let answer = client.say(&format!("b SETMETADATA Sent (/private/{n} {{60000+}}\r\n{value})")).await;
        assert!(answer.starts_with("b OK"), "{answer}");
    }
    let answer = client.say(&format!("c SETMETADATA INBOX (/private/y {{60000+}}\r\n{value})")).await;
    assert!(answer.starts_with("c NO [METADATA TOOMANY]"), "{answer}");
    assert!(client.say("d GETMETADATA INBOX /private/y").await.contains("(/private/y NIL)"));
    assert!(world.mail.verify(world.alice).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_session_that_slept_longer_than_the_change_log_reaches_back() {
    let world = World::new().await;
    deliver_many(&world, 5).await;
    let mut sleeper = Mirror::open(&world).await;
    sleeper.check().await;
    let mut other = Mirror::open(&world).await;
    other.say("STORE 2 FLAGS.SILENT (\\Deleted)").await;
    other.say("EXPUNGE").await;
    other.say("UID STORE 4 FLAGS.SILENT (\\Flagged)").await;
    deliver_many(&world, 2).await;
    world.hand.advance(std::time::Duration::from_secs(400 * 86_400));
    world.mail.upkeep(world.alice).await.unwrap();
    deliver_many(&world, 1).await;
    let news = sleeper.say("NOOP").await;
    assert!(news.contains("* 2 EXPUNGE\r\n* 7 EXISTS") && news.contains("UID 4 FLAGS (\\Flagged)"), "{news}");
    assert_eq!(sleeper.check().await, [1, 3, 4, 5, 6, 7, 8]);
}

#[derive(Clone, Debug)]
enum Act {
    Deliver,
    Store(u32, &'static str),
    UidStore(u32),
    Expunge,
    UidExpunge(u32),
    Move(u32),
    Copy(u32),
    Fetch(u32),
    Search,
    Noop,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Deliver),
        3 => (1_u32..6, prop::sample::select(vec!["+FLAGS (\\Deleted)", "-FLAGS (\\Deleted)", "FLAGS.SILENT (\\Seen)"]))
            .prop_map(|(n, f)| Act::Store(n, f)),
        2 => (1_u32..12).prop_map(Act::UidStore),
        1 => Just(Act::Expunge),
        1 => (1_u32..12).prop_map(Act::UidExpunge),
        1 => (1_u32..6).prop_map(Act::Move),
        1 => (1_u32..6).prop_map(Act::Copy),
        2 => (1_u32..6).prop_map(Act::Fetch),
        1 => Just(Act::Search),
        2 => Just(Act::Noop),
    ]
}

async fn play(world: &World, mirror: &mut Mirror, act: &Act) {
    let len = u32::try_from(mirror.uids.len()).unwrap();
    let within = |n: u32| if len == 0 { None } else { Some(1 + (n - 1) % len) };
    let command = match act {
        Act::Deliver => {
            deliver(world, "Subject: x\r\n\r\ntext").await;
            return;
        }
        Act::Store(n, flags) => within(*n).map(|n| format!("STORE {n} {flags}")),
        Act::UidStore(uid) => Some(format!("UID STORE {uid}:* +FLAGS (\\Deleted)")),
        Act::Expunge => Some("EXPUNGE".into()),
        Act::UidExpunge(uid) => Some(format!("UID EXPUNGE {uid}:*")),
        Act::Move(n) => within(*n).map(|n| format!("MOVE {n} Archive")),
        Act::Copy(n) => within(*n).map(|n| format!("COPY 1:{n} INBOX")),
        Act::Fetch(n) => within(*n).map(|n| format!("FETCH {n} (UID BODY[])")),
        Act::Search => Some("SEARCH RETURN (ALL) TEXT x".into()),
        Act::Noop => Some("NOOP".into()),
    };
    let Some(command) = command else { return };
    let answer = mirror.say(&command).await;
    assert!(!answer.contains(" BAD ") && !answer.contains(" NO "), "{command}: {answer}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Two sessions on one mailbox do as they like; in the end both know the same messages, and these are there.
    #[test]
    fn two_sessions_agree_in_the_end(acts in prop::collection::vec((any::<bool>(), act()), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let (mut one, mut two) = (Mirror::open(&world).await, Mirror::open(&world).await);
            for (first, act) in &acts {
                play(&world, if *first { &mut one } else { &mut two }, act).await;
            }
            one.say("NOOP").await;
            two.say("NOOP").await;
            let mut fresh = Mirror::open(&world).await;
            let there = fresh.check().await;
            assert_eq!(one.check().await, there);
            assert_eq!(two.check().await, there);
        });
    }

    /// Whatever a client sends, the session neither panics nor stops to answer.
    #[test]
    fn any_bytes_are_survived(words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..80), step in 1_usize..50) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            deliver_many(&world, 3).await;
            let mut client = world.alice().await;
            client.say("a SELECT INBOX").await;
            for chunk in words.concat().into_bytes().chunks(step) {
                client.send(chunk).await;
            }
            assert!(client.session.logged_in());
        });
    }
}

const WORDS: &[&str] = &[
    "\r\n",
    "\r\n",
    "\r\n",
    "a ",
    "b ",
    "UID ",
    "FETCH ",
    "SEARCH ",
    "STORE ",
    "APPEND ",
    "LIST ",
    "COPY ",
    "IDLE\r\n",
    "DONE\r\n",
    "a NOOP\r\n",
    "a FETCH 1:* (FLAGS BODY[])\r\n",
    "a SEARCH TEXT x\r\n",
    "EXPUNGE",
    "1",
    ":",
    "*",
    ",",
    "$",
    "(",
    ")",
    " ",
    " ",
    " ",
    "\"",
    "\\",
    "{3}\r\n",
    "{2+}\r\n",
    "~{1+}\r\n",
    "{99999+}\r\n",
    "BODY",
    "[",
    "]",
    "HEADER.FIELDS ",
    "<0.5>",
    "FLAGS",
    "OR ",
    "NOT ",
    "ALL",
    "SUBJECT ",
    "RETURN ",
    "INBOX",
    "xyz",
    "1-Jan-2000",
    "\u{fc}",
    "\0",
    "\n",
    "+",
    "}",
];

/// What a mailbox of some hundred messages costs, once the server knows it: nothing but asking whether it has changed.
#[tokio::test]
async fn a_known_mailbox_is_read_from_memory() {
    let world = World::new().await;
    deliver_many(&world, 300).await;
    let mut first = world.alice().await;
    first.say("a SELECT INBOX").await;
    first.say("b STORE 1:6,8:* +FLAGS.SILENT (\\Seen)").await;
    let mut second = world.alice().await;
    world.rows.take();
    let selected = second.say("a SELECT INBOX").await;
    assert!(selected.contains("* OK [UNSEEN 7] "), "{selected}");
    let counts = world.rows.take();
    assert_eq!((counts.read_rounds, counts.rows_read), (1, 3), "SELECT: {counts:?}");
    let rows = second.say("b FETCH 1:* (UID FLAGS RFC822.SIZE INTERNALDATE EMAILID)").await;
    assert_eq!(rows.lines().count(), 301, "{rows}");
    assert!(
        rows.starts_with("* 1 FETCH (UID 1 FLAGS (\\Seen) RFC822.SIZE 23 INTERNALDATE \"02-Jan-2026 "),
        "{rows}"
    );
    let found = second.say("c SEARCH UNSEEN LARGER 1").await;
    assert!(found.starts_with("* SEARCH 7\r\n"), "{found}");
    second.say("d NOOP").await;
    let counts = world.rows.take();
    // Each command once before it, and once for what has happened meanwhile.
    assert_eq!((counts.read_rounds, counts.rows_read), (5, 15), "{counts:?}");
    // One message's flags: the account, the mailbox, the message.
    second.say("e STORE 9 +FLAGS (\\Flagged)").await;
    let counts = world.rows.take();
    assert_eq!((counts.read_rounds, counts.rows_read, counts.commits), (3, 8, 1), "{counts:?}");
    assert_eq!(
        first.say("f NOOP").await,
        "* 9 FETCH (UID 9 FLAGS (\\Seen \\Flagged))\r\nf OK nothing done\r\n"
    );
    let counts = world.rows.take();
    assert_eq!((counts.read_rounds, counts.rows_read), (1, 3), "another session's change: {counts:?}");
}

/// A session keeps the numbers that it has told, whoever else has seen the mailbox without the messages.
#[tokio::test]
async fn sessions_that_know_different_messages() {
    let world = World::new().await;
    deliver_many(&world, 1200).await;
    let (mut one, mut two) = (world.alice().await, world.alice().await);
    for client in [&mut one, &mut two] {
        client.say("a SELECT INBOX").await;
    }
    one.say("b STORE 2:600 +FLAGS.SILENT (\\Deleted)").await;
    let expunged = one.say("c EXPUNGE").await;
    assert_eq!(expunged.lines().count(), 600, "{expunged}");
    deliver_many(&world, 3).await;
    // Numbers must not shift: what is gone keeps its place until it may be told.
    let answer = two.say("b FETCH 1,2,601,1200 UID").await;
    let uids: Vec<&str> = answer.lines().collect();
    assert_eq!(
        uids[..3],
        ["* 1 FETCH (UID 1)", "* 601 FETCH (UID 601)", "* 1200 FETCH (UID 1200)"],
        "{answer}"
    );
    assert!(answer.contains("* 1203 EXISTS\r\n") && answer.contains("b OK [EXPUNGEISSUED]"), "{answer}");
    let told = two.say("c NOOP").await;
    assert_eq!(told.lines().filter(|line| line.ends_with(" EXPUNGE")).count(), 599, "{told}");
    let answer = two.say("d FETCH 2,* UID").await;
    assert!(answer.starts_with("* 2 FETCH (UID 601)\r\n* 604 FETCH (UID 1203)\r\n"), "{answer}");
    let answer = one.say("d FETCH 604 UID").await;
    assert!(answer.starts_with("d BAD there are 601 messages"), "{answer}");
}
