//! Two POP3 sessions of one account. Nothing goes without QUIT.

use std::sync::Arc;

use conversation::Conversation as _;
use directory::sasl::ChannelBindings;
use pop3::{Config, Peer, Services, Session};
use stage::Client;

use crate::events::{Event, events};
use crate::world::{PASSWORD, PEER, World, block_on};

pub fn run(data: &[u8]) {
    let (&choice, said) = data.split_first().unwrap_or((&0, b""));
    block_on(async {
        let world = World::new();
        let before = world.inbox().await;
        let mut clients = [client(&world, choice), client(&world, choice)];
        for client in &mut clients {
            client.serve().await;
            if choice & 1 != 0 {
                client.send(format!("USER alice\r\nPASS {PASSWORD}\r\n").as_bytes()).await;
            }
        }
        let mut now = 0;
        let mut spoken = [Vec::new(), Vec::new()];
        for event in events(said) {
            if let Event::Says(bytes) = event {
                spoken[now].extend_from_slice(bytes);
            }
            match event {
                Event::Switch => now = 1 - now,
                Event::Hour => world.hand.advance(std::time::Duration::from_secs(3600)),
                event => event.happen(&mut clients[now]).await,
            }
        }
        for client in clients {
            promises(&client);
            client.session.end().await;
        }
        let quit = spoken.iter().any(|said| said.windows(4).any(|word| word.eq_ignore_ascii_case(b"QUIT")));
        assert!(quit || world.inbox().await == before, "messages are gone without QUIT");
        world.check().await;
    });
}

fn client(world: &World, choice: u8) -> Client<Session> {
    let config = Config { plaintext_login: choice & 4 == 0, ..Config::default() };
    let services = Services { mail: world.mail.clone(), directory: world.directory.clone() };
    let peer = Peer { address: PEER, tls: (choice & 2 == 0).then_some(ChannelBindings::NONE) };
    Client::new(Session::new(Arc::new(config), services, peer))
}

/// The first line is the greeting, and no line is cut or ended by a lone CR or LF.
fn promises(client: &Client<Session>) {
    assert!(client.output.starts_with(b"+OK "));
    assert!(client.output.ends_with(b"\r\n"));
    let bare = client.output.windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r');
    assert!(!bare, "a lone LF");
}
