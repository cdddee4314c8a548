//! Plays transcripts.

use conversation::Conversation;

use crate::Client;
use crate::script::{Heard, Line, matches};

/// Where a transcript is played: the clients of one protocol, and the world around them.
pub trait Scene {
    /// What serves the clients.
    type Session: Conversation;

    /// The clients, the first one first.
    fn clients(&mut self) -> &mut [Client<Self::Session>];

    /// A message arrives.
    fn arrives(&mut self, _message: &[u8]) -> impl Future<Output = ()> {
        async { panic!("in this protocol's transcripts no message arrives by itself") }
    }

    /// Does what only transcripts of this protocol order; false if it does not know the order.
    fn order(&mut self, order: &str) -> impl Future<Output = bool>;

    /// What a client has heard, as transcripts write it.
    fn shown(&self, heard: &[u8]) -> String {
        String::from_utf8_lossy(heard).into_owned()
    }

    /// Whether a client may hear this at the end though no transcript says so.
    fn is_noise(&self, _client: usize, _line: &str) -> bool {
        false
    }
}

/// Plays a transcript: every block of a client's lines in one piece, or byte by byte. `name` is for messages.
pub async fn play(scene: &mut impl Scene, lines: &[Line], name: &str, bytewise: bool) {
    let name = &format!("{name} ({})", if bytewise { "bytes" } else { "whole" });
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let rest = &lines[at..];
        at += match line {
            Line::Order(order) => {
                obey(scene, order, name).await;
                1
            }
            Line::Arrives(message) => {
                scene.arrives(message).await;
                1
            }
            Line::Says(client, _) => say(&mut scene.clients()[*client], *client, rest, bytewise).await,
            Line::Hears(client, _) => hear(scene, *client, rest, name),
        };
    }
    for client in 0..scene.clients().len() {
        let heard = take_heard(scene, client);
        let unread: Vec<&str> = heard.lines().filter(|line| !scene.is_noise(client, line)).collect();
        assert!(unread.is_empty(), "{name}: client {} also heard {unread:?}", client + 1);
    }
}

/// Says all lines up to the next that are not this client's; returns how many.
async fn say<C: Conversation>(
    client: &mut Client<C>,
    number: usize,
    lines: &[Line],
    bytewise: bool,
) -> usize {
    let said = lines.iter().map_while(|line| match line {
        Line::Says(who, bytes) if *who == number => Some(bytes.as_slice()),
        _ => None,
    });
    let said: Vec<&[u8]> = said.collect();
    match bytewise {
        true => client.send_byte_by_byte(&said.concat()).await,
        false => client.send(&said.concat()).await,
    }
    said.len()
}

/// Compares all lines up to the next that are not this client's with what it has heard; returns how many.
fn hear(scene: &mut impl Scene, client: usize, lines: &[Line], name: &str) -> usize {
    let expected = lines.iter().map_while(|line| match line {
        Line::Hears(who, heard) if *who == client => Some(heard),
        _ => None,
    });
    let expected: Vec<&Heard> = expected.collect();
    let heard = take_heard(scene, client);
    assert!(heard.is_empty() || heard.ends_with("\r\n"), "{name}: half a line: {heard:?}");
    let mut rest = heard.split_terminator("\r\n").peekable();
    let mut same = true;
    for line in &expected {
        same &= rest.next_if(|heard| matches(&line.text, heard)).is_some() || line.optional;
    }
    same &= rest.next().is_none();
    let wanted: Vec<&str> = expected.iter().map(|line| line.text.as_str()).collect();
    let (heard, wanted) = (heard.replace("\r\n", "\n  "), wanted.join("\n  "));
    assert!(same, "{name}, client {}:\nheard\n  {heard}\nexpected\n  {wanted}\n", client + 1);
    expected.len()
}

fn take_heard(scene: &mut impl Scene, client: usize) -> String {
    let heard = std::mem::take(&mut scene.clients()[client].output);
    scene.shown(&heard)
}

/// Does what every protocol's transcripts may order, of the client with a number from 1.
async fn obey(scene: &mut impl Scene, order: &str, name: &str) {
    if scene.order(order).await {
        return;
    }
    let (word, number) = order.split_once(' ').unwrap_or((order, "1"));
    let number: usize = number.parse().unwrap_or_else(|_| panic!("{name}: what is {order:?}?"));
    let client = &mut scene.clients()[number - 1];
    match word {
        "close" => assert!(client.closed, "{name}: connection {number} is still open"),
        "open" => assert!(!client.closed, "{name}: connection {number} is closed"),
        "tls" => assert!(std::mem::take(&mut client.wants_tls), "{name}: no TLS"),
        "compressed" => assert!(client.compressed, "{name}: not compressed"),
        "timeout" => {
            client.session.timed_out();
            client.serve().await;
        }
        "shutdown" => {
            client.session.shutdown();
            client.serve().await;
        }
        _ => panic!("{name}: what is {order:?}?"),
    }
}
