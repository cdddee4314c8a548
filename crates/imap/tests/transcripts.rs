//! Every file under `transcripts/` is a conversation. Each is held twice: every block of the client's lines in one
//! piece, and byte by byte; and again with a server that keeps no mailbox in memory. Besides what the transcripts of all
//! protocols may say, these know
//!
//! ```text
//! ! plaintext          an option: no TLS at the beginning
//! ! login              both clients have logged in as alice
//! ! token              both clients have logged in as alice, by an access token
//! ! idle 2             the second client's driver waits for news
//! ! hour               an hour goes by
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::fs;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use conversation::Conversation;
use imap::{Config, Session};
use stage::{Line, Scene};
use world::{Client, World};

struct Stage {
    world: World,
    clients: Vec<Client>,
}

#[tokio::test]
async fn whole() {
    play_all(false, World::new).await;
}

#[tokio::test]
async fn without_memory() {
    play_all(false, World::without_memory).await;
}

#[tokio::test]
async fn byte_by_byte() {
    play_all(true, World::new).await;
}

async fn play_all(bytewise: bool, new_world: impl AsyncFn() -> World) {
    for path in stage::transcripts(env!("CARGO_MANIFEST_DIR")) {
        let lines = stage::parse(&fs::read_to_string(&path).unwrap());
        let tls = !lines.iter().any(|l| matches!(l, Line::Order(order) if order == "plaintext"));
        let world = new_world().await;
        let config = || Config { errors_before_login: 5, ..Config::default() };
        let clients = vec![world.client(config(), tls), world.client(config(), tls)];
        let mut stage = Stage { world, clients };
        for client in &mut stage.clients {
            client.serve().await;
        }
        stage::play(&mut stage, &lines, &path.file_name().unwrap().to_string_lossy(), bytewise).await;
    }
}

impl Scene for Stage {
    type Session = Session;

    fn clients(&mut self) -> &mut [Client] {
        &mut self.clients
    }

    async fn order(&mut self, order: &str) -> bool {
        match order {
            "plaintext" => {}
            "login" => {
                for client in &mut self.clients {
                    let heard = client.say("in LOGIN alice \"correct horse\"").await;
                    assert!(heard.contains("in OK"), "{heard}");
                }
            }
            "token" => {
                let token = self.world.token().await;
                let standard = format!("n,a=alice@example.test,\u{1}auth=Bearer {token}\u{1}\u{1}");
                let older = format!("user=alice@example.test\u{1}auth=Bearer {token}\u{1}\u{1}");
                let messages = [("OAUTHBEARER", standard), ("XOAUTH2", older)];
                for (client, (mechanism, message)) in self.clients.iter_mut().zip(messages) {
                    let message = STANDARD.encode(message);
                    let heard = client.say(&format!("in AUTHENTICATE {mechanism} {message}")).await;
                    assert!(heard.contains("in OK"), "{heard}");
                }
            }
            "idle 1" | "idle 2" => {
                let client = &mut self.clients[usize::from(order.ends_with('2'))];
                client.session.changed().await;
                client.serve().await;
            }
            "hour" => self.world.hand.advance(Duration::from_secs(3600)),
            _ => return false,
        }
        true
    }

    fn is_noise(&self, _client: usize, line: &str) -> bool {
        line.starts_with("* OK [CAPABILITY")
    }
}
