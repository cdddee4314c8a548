//! Clients that keep a copy and catch up: what they end up with is what is there, and it costs what has changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use mail::Quota;
use types::{Keywords, MailboxId};
use world::{Client, World};

async fn deliver_many(world: &World, count: u32) {
    let message = world.mail.ingest(Bytes::from_static(b"Subject: many\r\n\r\ntext\r\n")).await.unwrap();
    for _ in 0..count {
        let (inbox, now) = (MailboxId::INBOX, world.clock.now());
        let appended =
            world.mail.append(world.alice, inbox, &message, Keywords::new(), false, now, Quota::default());
        appended.await.unwrap();
    }
}

/// What the last HIGHESTMODSEQ in an answer says.
fn highest(answer: &str) -> Option<u64> {
    let (_, rest) = answer.rsplit_once("[HIGHESTMODSEQ ")?;
    rest.split(']').next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn catching_up_costs_what_has_changed() {
    let world = World::new().await;
    deliver_many(&world, 2000).await;
    let mut client = world.alice().await;
    client.say("a ENABLE QRESYNC").await;
    let opened = client.say("b SELECT INBOX").await;
    let before = highest(&opened).unwrap();
    let mut other = world.alice().await;
    other.say("a SELECT INBOX").await;
    other.say("b UID STORE 5,700 +FLAGS (\\Flagged)").await;
    other.say("c UID STORE 9 +FLAGS (\\Deleted)").await;
    other.say("d EXPUNGE").await;

    client.say("c SELECT INBOX").await;
    world.rows.take();
    client.say("d SELECT INBOX").await;
    let plain = world.rows.take();
    let answer = client.say(&format!("e SELECT INBOX (QRESYNC (1767323045 {before}))")).await;
    let resync = world.rows.take();
    assert!(answer.contains("* VANISHED (EARLIER) 9\r\n"), "{answer}");
    assert!(answer.contains("* 5 FETCH (UID 5 ") && answer.contains("* 699 FETCH (UID 700 "), "{answer}");
    assert_eq!(answer.matches(" FETCH (").count(), 2, "{answer}");
    assert!(resync.rows_read <= plain.rows_read + 12, "{plain:?} {resync:?}");

    let answer = client.say(&format!("f UID FETCH 1:* (FLAGS) (CHANGEDSINCE {before} VANISHED)")).await;
    let fetch = world.rows.take();
    assert_eq!(answer.matches(" FETCH (").count(), 2, "{answer}");
    assert!(fetch.rows_read <= 12, "{fetch:?}");
    let answer = client.say("g UID FETCH 1:* (FLAGS) (CHANGEDSINCE 999999)").await;
    let nothing = world.rows.take();
    assert!(answer.starts_with("g OK") && nothing.rows_read <= 3, "{answer} {nothing:?}");
}

/// The log is forgotten after a month: then everything that could have changed is told.
#[tokio::test]
async fn catching_up_from_before_the_change_log() {
    let world = World::new().await;
    deliver_many(&world, 10).await;
    let mut other = world.alice().await;
    let opened = other.say("a SELECT INBOX").await;
    let before = highest(&opened).unwrap();
    other.say("b UID STORE 2,6:8 +FLAGS (\\Deleted)").await;
    other.say("c EXPUNGE").await;
    other.say("d UID STORE 9 +FLAGS (\\Flagged)").await;
    let latest = highest(&other.say("e SELECT INBOX").await).unwrap();
    world.hand.advance(Duration::from_secs(31 * 86_400));
    assert!(world.mail.upkeep(world.alice).await.unwrap().log_trimmed > 0);

    let mut client = world.alice().await;
    client.say("a ENABLE QRESYNC").await;
    let select = |rest: &str| format!("b SELECT INBOX (QRESYNC (1767323045 {before}{rest}))");
    let answer = client.say(&select("")).await;
    assert!(answer.contains("* VANISHED (EARLIER) 2,6:8\r\n"), "{answer}");
    assert_eq!(answer.matches(" FETCH (").count(), 1, "{answer}");
    assert!(answer.contains("* 5 FETCH (UID 9 FLAGS (\\Flagged) MODSEQ ("), "{answer}");
    // Of what the client knows, and behind the last message of which it knows the number.
    let answer = client.say(&select(" 1:6")).await;
    assert!(answer.contains("* VANISHED (EARLIER) 2,6\r\n") && !answer.contains(" FETCH ("), "{answer}");
    let answer = client.say(&select(" 1:10 (1,4 1,5)")).await;
    assert!(answer.contains("* VANISHED (EARLIER) 6:8\r\n"), "{answer}");
    let answer = client.say(&select(" 1:10 (1:3 1:3)")).await;
    assert!(answer.contains("* VANISHED (EARLIER) 2,6:8\r\n"), "{answer}");
    let answer = client.say(&select(" 1:10 (1,5:6 1,9:10)")).await;
    assert!(!answer.contains("VANISHED"), "{answer}");
    let answer = client.say(&select(" 1:10 (1:4294967295 1:4294967295)")).await;
    assert!(answer.contains("* VANISHED (EARLIER) 2,6:8\r\n"), "{answer}");
    // Where nothing has happened since, the log is not needed.
    let answer = client.say(&format!("c SELECT INBOX (QRESYNC (1767323045 {latest}))")).await;
    assert!(!answer.contains("VANISHED") && !answer.contains(" FETCH ("), "{answer}");
    let answer = client.say(&format!("d UID FETCH 1:* (FLAGS) (CHANGEDSINCE {before} VANISHED)")).await;
    assert!(answer.starts_with("* VANISHED (EARLIER) 2,6:8\r\n* 5 FETCH (UID 9 "), "{answer}");
}

/// The rules by which RFC 7162 §6 lets a client keep its copy.
struct Copy {
    client: Client,
    tags: u32,
    /// UID and flags, in the order of sequence numbers; UID 0 is not known yet.
    rows: Vec<(u32, String)>,
    highest: u64,
    /// The UID up to which it has fetched everything that came.
    fetched: u32,
    /// What a silent STORE does to the flags: the client has to do it to its copy by itself.
    silent: Option<(&'static str, &'static str)>,
}

impl Copy {
    async fn new(world: &World) -> Self {
        let mut copy = Self {
            client: world.alice().await,
            tags: 0,
            rows: Vec::new(),
            highest: 0,
            fetched: 0,
            silent: None,
        };
        copy.client.say("e ENABLE QRESYNC").await;
        copy.say("SELECT INBOX").await;
        copy.fetch_new().await;
        copy
    }

    async fn fetch_new(&mut self) {
        self.say(&format!("UID FETCH {}:* (FLAGS MODSEQ)", self.fetched + 1)).await;
        self.fetched = self.rows.iter().map(|(uid, _)| *uid).max().unwrap_or(0).max(self.fetched);
    }

    /// The connection breaks; what is known is what was written down.
    async fn reconnect(&mut self, world: &World, names_uids: bool) {
        self.client = world.alice().await;
        self.client.say("e ENABLE QRESYNC").await;
        self.rows.retain(|(uid, _)| *uid != 0);
        let known: Vec<String> = self.rows.iter().map(|(uid, _)| uid.to_string()).collect();
        let known =
            if names_uids && !known.is_empty() { format!(" {}", known.join(",")) } else { String::new() };
        let highest = self.highest.max(1);
        let select = format!("SELECT INBOX (QRESYNC (1767323045 {highest}{known}))");
        self.say(&select).await;
        self.fetch_new().await;
    }

    async fn say(&mut self, command: &str) -> String {
        self.tags += 1;
        let answer = self.client.say(&format!("t{} {command}", self.tags)).await;
        let (mut seen, mut told) = (0, None);
        let mut opening = command.starts_with("SELECT");
        self.silent = self.silent.filter(|_| command.contains("STORE"));
        for line in answer.split_terminator("\r\n") {
            if let Some(modseq) = highest(line) {
                told = Some(modseq);
            }
            if let Some(uids) = line.strip_prefix("* VANISHED (EARLIER) ") {
                let gone = set(uids);
                self.rows.retain(|(uid, _)| !gone.iter().any(|(first, last)| (first..=last).contains(&uid)));
                continue;
            }
            if let Some(uids) = line.strip_prefix("* VANISHED ") {
                for uid in set(uids).into_iter().flat_map(|(first, last)| first..=last) {
                    let at = self.rows.iter().position(|(known, _)| *known == uid);
                    // One of those that are not known by UID yet: they are the last ones.
                    let at = at.or_else(|| self.rows.iter().position(|(known, _)| *known == 0));
                    self.rows.remove(at.unwrap_or_else(|| panic!("{uid} was never there: {answer}")));
                }
                continue;
            }
            let Some((number, what)) = line.strip_prefix("* ").and_then(|l| l.split_once(' ')) else {
                continue;
            };
            let Ok(number) = number.parse::<usize>() else { continue };
            if what == "EXISTS" {
                if opening {
                    // What has vanished is still to come; the numbers are told by the FETCH of new messages.
                    opening = false;
                    continue;
                }
                assert!(number >= self.rows.len(), "{answer}");
                self.rows.resize(number, (0, String::new()));
            } else if what.starts_with("FETCH") {
                seen = seen.max(self.take(number, what));
            } else {
                assert!(!what.starts_with("EXPUNGE"), "{answer}");
            }
        }
        // What was told counts, not what was seen (RFC 7162 §6).
        self.highest = told.unwrap_or(self.highest.max(seen));
        answer
    }

    fn take(&mut self, number: usize, what: &str) -> u64 {
        let after = |name: &str| what.split_once(name).map(|(_, rest)| rest);
        let uid: u32 = after("UID ").unwrap().split([' ', ')']).next().unwrap().parse().unwrap();
        if self.rows.len() < number {
            self.rows.resize(number, (0, String::new()));
        }
        let known = self.rows.iter().position(|(known, _)| *known == uid);
        let at = known.unwrap_or(number - 1);
        self.rows[at].0 = uid;
        let told = after("FLAGS (").map(|flags| flags.split(')').next().unwrap());
        let row = self.rows[at].1.clone();
        let flags: Option<BTreeSet<&str>> = match (told, self.silent) {
            (Some(flags), _) => Some(flags.split(' ').collect()),
            (None, Some(("+", flag))) => Some(row.split(' ').chain([flag]).collect()),
            (None, Some(("-", flag))) => Some(row.split(' ').filter(|f| *f != flag).collect()),
            (None, Some((_, flag))) => Some([flag].into()),
            (None, None) => None,
        };
        if let Some(flags) = flags {
            self.rows[at].1 = flags.into_iter().filter(|f| !f.is_empty()).collect::<Vec<_>>().join(" ");
        }
        after("MODSEQ (").map_or(0, |modseq| modseq.split(')').next().unwrap().parse().unwrap())
    }

    fn mailbox(&self) -> BTreeMap<u32, String> {
        self.rows.iter().filter(|(uid, _)| *uid != 0).cloned().collect()
    }
}

fn set(uids: &str) -> Vec<(u32, u32)> {
    let range = |range: &str| {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        (first.parse().unwrap(), last.parse().unwrap())
    };
    uids.split(',').map(range).collect()
}

async fn truth(world: &World) -> BTreeMap<u32, String> {
    let mut client = world.alice().await;
    client.say("a SELECT INBOX").await;
    let answer = client.say("b UID FETCH 1:* FLAGS").await;
    let row = |line: &str| {
        let uid = line.split_once("UID ")?.1.split(' ').next()?.parse().ok()?;
        let mut flags: Vec<&str> = line.split_once("FLAGS (")?.1.split(')').next()?.split(' ').collect();
        flags.sort_unstable();
        Some((uid, flags.join(" ")))
    };
    answer.lines().filter_map(row).collect()
}

/// Whenever its connection breaks, a client that follows the rules catches up to what is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_the_connection_breaks_the_copy_comes_out_right() {
    for seed in 1..=25_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let world = match seed % 5 {
            0 => World::without_memory().await,
            _ => World::new().await,
        };
        deliver_many(&world, 6).await;
        let mut copy = Copy::new(&world).await;
        let mut other = world.alice().await;
        other.say("o SELECT INBOX").await;
        for step in 0..60 {
            let flag = ["\\Seen", "\\Flagged", "\\Deleted", "work"][random(4) as usize];
            let sign = ["+", "-", ""][random(3) as usize];
            let silent = ["", ".SILENT"][random(2) as usize];
            let uid = random(14) + 1;
            copy.silent = (silent == ".SILENT").then_some((sign, flag));
            match random(14) {
                0..3 => drop(other.say(&format!("o UID STORE {uid} {sign}FLAGS ({flag})")).await),
                3 => drop(other.say("o EXPUNGE").await),
                4 => deliver_many(&world, 1).await,
                5 => drop(other.say(&format!("o UID COPY {uid} INBOX")).await),
                6..8 if !copy.rows.is_empty() => {
                    let number = random(copy.rows.len() as u64) + 1;
                    copy.say(&format!("STORE {number} {sign}FLAGS{silent} ({flag})")).await;
                }
                8 => drop(copy.say(&format!("UID STORE {uid}:* {sign}FLAGS{silent} ({flag})")).await),
                9 if !copy.rows.is_empty() => drop(copy.say("FETCH 1:* (UID FLAGS MODSEQ)").await),
                10 => drop(copy.say("EXPUNGE").await),
                11 => drop(copy.say("NOOP").await),
                12 => copy.reconnect(&world, random(2) == 0).await,
                _ => copy.fetch_new().await,
            }
            if step % 20 == 19 {
                copy.reconnect(&world, random(2) == 0).await;
                assert_eq!(copy.mailbox(), truth(&world).await, "seed {seed}, step {step}");
            }
        }
    }
}
