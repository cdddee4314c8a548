//! Two POP3 sessions of one account. Nothing goes without QUIT.

use std::sync::Arc;

use bytes::BytesMut;
use directory::sasl::ChannelBindings;
use pop3::{Config, Peer, Services, Session, Step};

use crate::conversation::{Event, events};
use crate::world::{PASSWORD, PEER, World, block_on};

pub fn run(data: &[u8]) {
    let (&choice, said) = data.split_first().unwrap_or((&0, b""));
    block_on(async {
        let world = World::new();
        let before = world.inbox().await;
        let mut clients = [Client::new(&world, choice), Client::new(&world, choice)];
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
                event => clients[now].live(event).await,
            }
        }
        for client in clients {
            client.promises();
            client.session.end().await;
        }
        let quit = spoken.iter().any(|said| said.windows(4).any(|word| word.eq_ignore_ascii_case(b"QUIT")));
        assert!(quit || world.inbox().await == before, "messages are gone without QUIT");
        world.check().await;
    });
}

struct Client {
    session: Session,
    input: BytesMut,
    output: Vec<u8>,
    closed: bool,
}

impl Client {
    fn new(world: &World, choice: u8) -> Self {
        let config = Config { plaintext_login: choice & 4 == 0, ..Config::default() };
        let services = Services { mail: world.mail.clone(), directory: world.directory.clone() };
        let session = Session::new(
            Arc::new(config),
            services,
            Peer { address: PEER, tls: (choice & 2 == 0).then_some(ChannelBindings::NONE) },
        );
        Self { session, input: BytesMut::new(), output: Vec::new(), closed: false }
    }

    async fn live(&mut self, event: Event<'_>) {
        match event {
            Event::Says(bytes) => return self.send(bytes).await,
            Event::TimedOut => self.session.timed_out(),
            Event::Shutdown => self.session.shutdown(),
            Event::Switch | Event::Hour | Event::News => {}
        }
        self.serve().await;
    }

    async fn send(&mut self, bytes: &[u8]) {
        if !self.closed {
            self.input.extend_from_slice(bytes);
            self.serve().await;
        }
    }

    async fn serve(&mut self) {
        while !self.closed {
            match self.session.advance(&mut self.input).await {
                Step::Send(chunks) => chunks.iter().for_each(|chunk| self.output.extend_from_slice(chunk)),
                Step::NeedInput => return,
                Step::StartTls => {
                    assert!(self.input.is_empty(), "plaintext is left for the session after the handshake");
                    self.session.secured(ChannelBindings::NONE);
                    return;
                }
                _close => self.closed = true,
            }
        }
    }

    /// The first line is the greeting, and no line is cut or ended by a lone CR or LF.
    fn promises(&self) {
        assert!(self.output.starts_with(b"+OK "));
        assert!(self.output.ends_with(b"\r\n"));
        let bare = self.output.windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r');
        assert!(!bare, "a lone LF");
    }
}
