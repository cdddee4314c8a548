//! Every file under `transcripts/` is a conversation. Each is held twice: every block of the client's lines in one
//! piece, and byte by byte.
//!
//! ```text
//! # comment
//! ! plaintext          options: no TLS at the beginning / `! login`: both clients have logged in as alice
//! C: a NOOP            the first client says; C2: the second one
//! C+: a APPEND INBOX   … with a literal of the lines that follow
//! | Subject: x
//! S: a OK ..           the server answers; `..` is anything; S?: it may say that, or not
//! ! idle 2             the second client's driver waits for news
//! ! close 1            the server has closed the first connection; `! open 1`: it is served anew
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::fs;
use std::path::{Path, PathBuf};

use imap::Config;
use world::{Client, World};

struct Stage {
    world: World,
    clients: Vec<Client>,
    bytewise: bool,
    name: String,
}

enum Line {
    Says(usize, Vec<u8>),
    Hears(usize, Heard),
    Order(String),
}

struct Heard {
    text: String,
    optional: bool,
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
    let mut lines: Vec<Line> = Vec::new();
    let mut literal: Option<(usize, String, Vec<String>)> = None;
    for line in text.lines() {
        if let Some(part) = line.strip_prefix("| ").or_else(|| (line == "|").then_some("")) {
            literal.as_mut().expect("a literal belongs to a line with C+:").2.push(part.to_owned());
            continue;
        }
        finish(&mut literal, &mut lines);
        let Some((who, what)) =
            line.split_once(':').filter(|(who, _)| !who.contains(' ') && !who.starts_with('#'))
        else {
            if let Some(order) = line.strip_prefix("! ") {
                lines.push(Line::Order(order.to_owned()));
            }
            continue;
        };
        let what = what.strip_prefix(' ').unwrap_or(what);
        let client = usize::from(who.contains('2'));
        match who.replace('2', "").as_str() {
            "C" => lines.push(Line::Says(client, [unescape(what), b"\r\n".to_vec()].concat())),
            "C+" => literal = Some((client, what.to_owned(), Vec::new())),
            "S" => lines.push(Line::Hears(client, Heard { text: what.to_owned(), optional: false })),
            "S?" => lines.push(Line::Hears(client, Heard { text: what.to_owned(), optional: true })),
            _ => panic!("{line}"),
        }
    }
    finish(&mut literal, &mut lines);
    lines
}

/// `\xNN` and `\n` (a bare LF), for what a text file cannot hold.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(&after[..2], 16).unwrap());
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

fn finish(literal: &mut Option<(usize, String, Vec<String>)>, lines: &mut Vec<Line>) {
    if let Some((client, command, parts)) = literal.take() {
        let body: String = parts.iter().map(|part| format!("{part}\r\n")).collect();
        let bytes = format!("{command} {{{}+}}\r\n{body}\r\n", body.len());
        lines.push(Line::Says(client, bytes.into_bytes()));
    }
}

async fn play(path: &Path, bytewise: bool) {
    let name = format!(
        "{} ({})",
        path.file_name().unwrap().to_string_lossy(),
        if bytewise { "bytes" } else { "whole" }
    );
    let lines = parse(&fs::read_to_string(path).unwrap());
    let tls = !lines.iter().any(|l| matches!(l, Line::Order(order) if order == "plaintext"));
    let world = World::new().await;
    let config = || Config { errors_before_login: 5, ..Config::default() };
    let clients = vec![world.client(config(), tls), world.client(config(), tls)];
    let mut stage = Stage { world, clients, bytewise, name };
    for client in &mut stage.clients {
        client.serve().await;
    }
    let mut at = 0;
    while at < lines.len() {
        at = stage.act(&lines, at).await;
    }
    for (i, client) in stage.clients.iter_mut().enumerate() {
        let rest = client.heard();
        let unread = rest.lines().filter(|l| !l.starts_with("* OK [CAPABILITY")).collect::<Vec<_>>();
        assert!(unread.is_empty(), "{}: client {} also heard {unread:?}", stage.name, i + 1);
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
                    Line::Hears(who, heard) if who == client => Some(heard),
                    _ => None,
                });
                let expected: Vec<&Heard> = expected.collect();
                self.compare(*client, &expected);
                at + expected.len()
            }
        }
    }

    fn compare(&mut self, client: usize, expected: &[&Heard]) {
        let heard = self.clients[client].heard();
        let mut rest = heard.split_terminator("\r\n").peekable();
        let mut same = true;
        for line in expected {
            match rest.next_if(|h| matches(&line.text, h)) {
                None if !line.optional => same = false,
                _ => {}
            }
        }
        same &= rest.next().is_none();
        let expected: Vec<&str> = expected.iter().map(|line| line.text.as_str()).collect();
        let (heard, expected) = (heard.replace("\r\n", "\n  "), expected.join("\n  "));
        assert!(same, "{}, client {}:\nheard\n  {heard}\nexpected\n  {expected}\n", self.name, client + 1);
    }

    async fn order(&mut self, order: &str) {
        match order {
            "login" => {
                for client in &mut self.clients {
                    let heard = client.say("in LOGIN alice \"correct horse\"").await;
                    assert!(heard.contains("in OK"), "{heard}");
                }
            }
            "idle 1" | "idle 2" => {
                let client = &mut self.clients[usize::from(order.ends_with('2'))];
                client.session.changed().await;
                client.serve().await;
            }
            "close 1" => assert!(self.clients[0].closed, "{}: the connection is still open", self.name),
            "open 1" => assert!(!self.clients[0].closed, "{}: the connection is closed", self.name),
            "close 2" => {
                assert!(self.clients[1].closed, "{}: the second connection is still open", self.name)
            }
            "tls 1" => assert!(std::mem::take(&mut self.clients[0].wants_tls), "{}: no TLS", self.name),
            "compressed 1" => assert!(self.clients[0].compressed, "{}: not compressed", self.name),
            "timeout 1" => {
                self.clients[0].session.timed_out();
                self.clients[0].serve().await;
            }
            "shutdown 1" => {
                self.clients[0].session.shutdown();
                self.clients[0].serve().await;
            }
            "hour" => self.world.hand.advance(std::time::Duration::from_secs(3600)),
            "plaintext" => {}
            other => panic!("{}: what is {other:?}?", self.name),
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
