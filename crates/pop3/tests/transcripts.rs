//! Every file under `transcripts/` is a conversation. Each is held twice: every block of the client's lines in one
//! piece, and byte by byte.
//!
//! ```text
//! # comment
//! ! plaintext          options: no TLS at the beginning / `! login`: both clients have logged in as alice
//! ! allow-plaintext    … passwords without TLS / `! no-stls` / `! unseen`: RETR marks nothing / `! refuse-utf8`
//! M: Subject: x\r\n    a message arrives, \r \n \\ \xNN for what a text file cannot hold
//! C: STAT              the first client says; C2: the second one; C*9: the same nine times
//! C| STAT\n            … without adding CRLF
//! S: +OK 1 12          the server answers; `..` is anything; S2: to the second one; S*9: the same nine times
//! ! expunge 1 2        another program removes UIDs 1 and 2
//! ! there 1 2          these UIDs are in the INBOX / `! seen 1 2`: of them, these are marked as seen
//! ! end 1              the first client's connection is over
//! ! close 1            the server has closed the first connection / `! open 1`: it has not / `! tls 1`: it begins TLS
//! ! timeout 1          the driver's clock has run out / `! shutdown 1`: the server stops
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::fs;
use std::path::{Path, PathBuf};

use pop3::{Config, InternationalMail};
use types::Uid;
use world::{Client, World};

struct Stage {
    world: World,
    clients: Vec<Client>,
    config: Config,
    tls: bool,
    bytewise: bool,
    name: String,
}

enum Line {
    Says(usize, Vec<u8>),
    Hears(usize, String),
    Arrives(Vec<u8>),
    Order(String),
}

#[tokio::test]
async fn whole() {
    for path in transcripts() {
        play(&path, false).await;
    }
}

#[tokio::test]
async fn byte_by_byte() {
    for path in transcripts() {
        play(&path, true).await;
    }
}

fn transcripts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut paths: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.retain(|path| {
        std::env::var("TRANSCRIPT").map_or(true, |only| path.to_string_lossy().contains(&only))
    });
    assert!(!paths.is_empty());
    paths
}

fn parse(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(order) = line.strip_prefix("! ") {
            lines.push(Line::Order(order.to_owned()));
            continue;
        }
        let at = line.find([':', '|']).unwrap_or_else(|| panic!("what is {line:?}?"));
        let (who, what) = (&line[..at], &line[at + 1..]);
        let what = what.strip_prefix(' ').unwrap_or(what);
        let (who, times) = who.split_once('*').map_or((who, 1), |(who, n)| (who, n.parse().unwrap()));
        let client = usize::from(who.ends_with('2'));
        let ending: &[u8] = if line.as_bytes()[at] == b'|' { b"" } else { b"\r\n" };
        match who.trim_end_matches('2') {
            "M" => lines.push(Line::Arrives(unescape(what))),
            "C" => lines.push(Line::Says(client, [&unescape(what)[..], ending].concat().repeat(times))),
            "S" => lines.extend((0..times).map(|_| Line::Hears(client, what.to_owned()))),
            _ => panic!("what is {line:?}?"),
        }
    }
    lines
}

fn unescape(text: &str) -> Vec<u8> {
    let (mut octets, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        octets.push(match byte {
            b'\\' => match rest.next().unwrap() {
                b'r' => b'\r',
                b'n' => b'\n',
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other,
            },
            other => other,
        });
    }
    octets
}

async fn play(path: &Path, bytewise: bool) {
    let file = path.file_name().unwrap().to_string_lossy();
    let name = format!("{file} ({})", if bytewise { "bytes" } else { "whole" });
    let lines = parse(&fs::read_to_string(path).unwrap());
    let is_set = |option: &str| lines.iter().any(|l| matches!(l, Line::Order(order) if order == option));
    let config = Config {
        plaintext_login: is_set("allow-plaintext"),
        stls: !is_set("no-stls"),
        marks_seen: !is_set("unseen"),
        international: match is_set("refuse-utf8") {
            true => InternationalMail::Refused,
            false => InternationalMail::AsItIs,
        },
        ..Config::default()
    };
    let (world, tls) = (World::new().await, !is_set("plaintext"));
    let clients = vec![world.client(config.clone(), tls), world.client(config.clone(), tls)];
    let mut stage = Stage { world, clients, config, tls, bytewise, name };
    for client in &mut stage.clients {
        client.serve().await;
    }
    let greeted = !matches!(
        lines.iter().find(|l| matches!(l, Line::Hears(..) | Line::Says(..))),
        Some(Line::Hears(..))
    );
    if greeted {
        stage.clients.iter_mut().for_each(|client| assert_eq!(client.heard(), "+OK localhost ready\r\n"));
    }
    let mut at = 0;
    while at < lines.len() {
        at = stage.act(&lines, at).await;
    }
    for (i, client) in stage.clients.iter_mut().enumerate() {
        let rest = client.heard();
        let silent = rest.is_empty() || (!greeted && i == 1);
        assert!(silent, "{}: client {} also heard {rest:?}", stage.name, i + 1);
    }
}

impl Stage {
    /// Plays the next block of lines of one kind; returns where the next one begins.
    async fn act(&mut self, lines: &[Line], at: usize) -> usize {
        match &lines[at] {
            Line::Order(order) => {
                self.order(order).await;
                at + 1
            }
            Line::Arrives(message) => {
                self.world.deliver(message).await;
                at + 1
            }
            Line::Says(client, _) => {
                let block = lines[at..].iter().map_while(|line| match line {
                    Line::Says(who, bytes) if who == client => Some(bytes.clone()),
                    _ => None,
                });
                let block: Vec<Vec<u8>> = block.collect();
                let bytes = block.concat();
                match self.bytewise {
                    true => self.clients[*client].send_byte_by_byte(&bytes).await,
                    false => self.clients[*client].send(&bytes).await,
                }
                at + block.len()
            }
            Line::Hears(client, _) => {
                let expected = lines[at..].iter().map_while(|line| match line {
                    Line::Hears(who, heard) if who == client => Some(heard.as_str()),
                    _ => None,
                });
                let expected: Vec<&str> = expected.collect();
                self.compare(*client, &expected);
                at + expected.len()
            }
        }
    }

    fn compare(&mut self, client: usize, expected: &[&str]) {
        let output = std::mem::take(&mut self.clients[client].output);
        let output = output
            .escape_ascii()
            .to_string()
            .replace("\\r\\n", "\r\n")
            .replace("\\'", "'")
            .replace("\\\"", "\"");
        let heard: Vec<&str> = output.split_terminator("\r\n").collect();
        let same = heard.len() == expected.len() && expected.iter().zip(&heard).all(|(e, h)| matches(e, h));
        let (heard, expected) = (heard.join("\n  "), expected.join("\n  "));
        assert!(same, "{}, client {}:\nheard\n  {heard}\nexpected\n  {expected}\n", self.name, client + 1);
        assert!(output.is_empty() || output.ends_with("\r\n"), "{}: half a line", self.name);
    }

    async fn order(&mut self, order: &str) {
        let (word, rest) = order.split_once(' ').unwrap_or((order, ""));
        let numbers: Vec<u32> = rest.split_terminator(' ').map(|n| n.parse().unwrap()).collect();
        let client = numbers.first().map_or(0, |n| (*n as usize).saturating_sub(1)).min(1);
        let name = &self.name;
        match word {
            "login" => {
                for client in &mut self.clients {
                    client.send(b"USER alice\r\nPASS correct horse\r\n").await;
                    let heard = client.heard();
                    assert!(client.session.logged_in(), "{heard}");
                }
            }
            "expunge" => {
                let uids: Vec<Uid> = numbers.into_iter().map(Uid).collect();
                self.world.expunge(&uids).await;
            }
            "there" => assert_eq!(self.world.there().await, numbers, "{name}: in the INBOX"),
            "seen" => assert_eq!(self.world.seen().await, numbers, "{name}: seen"),
            "end" => {
                let fresh = self.world.client(self.config.clone(), self.tls);
                std::mem::replace(&mut self.clients[client], fresh).session.end().await;
                self.clients[client].serve().await;
                assert_eq!(self.clients[client].heard(), "+OK localhost ready\r\n");
            }
            "close" => assert!(self.clients[client].closed, "{name}: the connection is still open"),
            "open" => assert!(!self.clients[client].closed, "{name}: the connection is closed"),
            "tls" => assert!(std::mem::take(&mut self.clients[client].wants_tls), "{name}: no TLS"),
            "timeout" => {
                self.clients[client].session.timed_out();
                self.clients[client].serve().await;
            }
            "shutdown" => {
                self.clients[client].session.shutdown();
                self.clients[client].serve().await;
            }
            "plaintext" | "allow-plaintext" | "no-stls" | "unseen" | "refuse-utf8" => {}
            other => panic!("{name}: what is {other:?}?"),
        }
    }
}

/// `..` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split("..");
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}
