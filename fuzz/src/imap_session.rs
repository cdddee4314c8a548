//! Two IMAP sessions of one account, which change the same mailboxes; what they are told must add up.

use std::sync::Arc;

use directory::sasl::ChannelBindings;
use imap::{Config, Peer, Services, Session};
use stage::Client;

use crate::events::{Event, events};
use crate::world::{PASSWORD, PEER, World, block_on};

pub fn run(data: &[u8]) {
    let (&choice, said) = data.split_first().unwrap_or((&0, b""));
    block_on(async {
        let world = World::new();
        let mut clients = [client(&world, choice), client(&world, choice)];
        for client in &mut clients {
            client.serve().await;
            if choice & 1 != 0 {
                client.send(format!("in LOGIN alice \"{PASSWORD}\"\r\n").as_bytes()).await;
            }
        }
        let mut now = 0;
        for event in events(said) {
            match event {
                Event::Switch => now = 1 - now,
                Event::Hour => world.hand.advance(std::time::Duration::from_secs(3600)),
                event => event.happen(&mut clients[now]).await,
            }
        }
        for client in &clients {
            promises(client);
        }
        world.check().await;
    });
}

fn client(world: &World, choice: u8) -> Client<Session> {
    let tls = choice & 2 == 0;
    let config = Config { plaintext_login: choice & 4 == 0, errors: 1000, ..Config::default() };
    let services =
        Services { mail: world.mail.clone(), directory: world.directory.clone(), clock: world.clock.clone() };
    let peer = Peer { address: PEER, tls: tls.then_some(ChannelBindings::NONE) };
    Client::new(Session::new(Arc::new(config), services, peer))
}

/// All that was said is whole responses, and their numbers are those of messages that are there.
fn promises(client: &Client<Session>) {
    let (mut exists, mut after_flags) = (0, false);
    let mut rest = client.output.as_slice();
    while !rest.is_empty() {
        let (line, after) = response(rest);
        rest = after;
        let mut words = line.split(|byte| *byte == b' ');
        let (star, first, second) = (words.next(), words.next().unwrap_or(b""), words.next().unwrap_or(b""));
        if star != Some(b"*") {
            continue;
        }
        let number = std::str::from_utf8(first).ok().and_then(|word| word.trim_end().parse::<u32>().ok());
        match (number, second.trim_ascii_end()) {
            (None, _) if first == b"VANISHED" && second != b"(EARLIER)" => exists -= gone(second),
            (Some(n), b"EXISTS") => {
                // SELECT says FLAGS and then EXISTS; another mailbox may have fewer.
                assert!(n >= exists || after_flags, "{n} EXISTS after {exists}");
                exists = n;
            }
            (Some(n), b"EXPUNGE") => {
                assert!(n > 0 && n <= exists, "{n} EXPUNGE of {exists}");
                exists -= 1;
            }
            (Some(n), b"FETCH") => {
                assert!(n > 0 && n <= exists, "{n} FETCH of {exists} in {}", client.output.escape_ascii())
            }
            _ => {}
        }
        after_flags = first == b"FLAGS";
    }
}

/// One response, literals included, and what follows it.
fn response(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    loop {
        let line = memchr::memmem::find(&bytes[at..], b"\r\n").expect("a response ends with CRLF");
        let text = &bytes[at..at + line];
        assert!(
            !text.contains(&b'\n') && !text.contains(&b'\r') && !text.contains(&0),
            "{}",
            text.escape_ascii()
        );
        at += line + 2;
        let Some(size) = literal(text) else { return bytes.split_at(at) };
        assert!(at + size <= bytes.len(), "a literal is cut short");
        at += size;
    }
}

fn literal(line: &[u8]) -> Option<usize> {
    let text = line.strip_suffix(b"}")?;
    let digits = &text[memchr::memrchr(b'{', text)? + 1..];
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// How many messages a set of UIDs names.
fn gone(set: &[u8]) -> u32 {
    let text = std::str::from_utf8(set).unwrap_or_default().trim_end();
    let ranges = text.split(',').map(|range| range.split_once(':').unwrap_or((range, range)));
    let number = |text: &str| text.parse::<u32>().unwrap_or(0);
    ranges.map(|(first, last)| number(last).abs_diff(number(first)) + 1).sum()
}
