//! Every file under `transcripts/` is a conversation. Each is held twice: every block of the client's lines in one
//! piece, and byte by byte. Besides what the transcripts of all protocols may say, these know
//!
//! ```text
//! ! plaintext          options: no TLS at the beginning / `! allow-plaintext`: passwords without TLS / `! no-stls`
//! ! unseen             RETR marks nothing / `! refuse-utf8`
//! ! login              both clients have logged in as alice / `! token`: by an access token
//! ! expunge 1 2        another program removes UIDs 1 and 2
//! ! there 1 2          these UIDs are in the INBOX / `! seen 1 2`: of them, these are marked as seen
//! ! end 1              the first client's connection is over
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use conversation::Conversation;
use pop3::{Config, InternationalMail, Session};
use stage::{Line, Scene};
use types::Uid;
use world::{Client, World};

const GREETING: &str = "+OK localhost ready\r\n";

struct Stage {
    world: World,
    clients: Vec<Client>,
    config: Config,
    tls: bool,
    /// The transcript shows the greeting, to the first client.
    shows_greeting: bool,
}

#[tokio::test]
async fn whole() {
    play_all(false).await;
}

#[tokio::test]
async fn byte_by_byte() {
    play_all(true).await;
}

async fn play_all(bytewise: bool) {
    for path in stage::transcripts(env!("CARGO_MANIFEST_DIR")) {
        let lines = stage::parse(&fs::read_to_string(&path).unwrap());
        let mut stage = Stage::new(&lines).await;
        for client in &mut stage.clients {
            client.serve().await;
            if !stage.shows_greeting {
                assert_eq!(client.heard(), GREETING);
            }
        }
        stage::play(&mut stage, &lines, &path.file_name().unwrap().to_string_lossy(), bytewise).await;
    }
}

impl Stage {
    async fn new(lines: &[Line]) -> Self {
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
        let first = lines.iter().find(|l| matches!(l, Line::Hears(..) | Line::Says(..)));
        let shows_greeting = matches!(first, Some(Line::Hears(..)));
        let (world, tls) = (World::new().await, !is_set("plaintext"));
        let clients = vec![world.client(config.clone(), tls), world.client(config.clone(), tls)];
        Self { world, clients, config, tls, shows_greeting }
    }

    async fn replace(&mut self, client: usize) {
        let fresh = self.world.client(self.config.clone(), self.tls);
        std::mem::replace(&mut self.clients[client], fresh).session.end().await;
        self.clients[client].serve().await;
        assert_eq!(self.clients[client].heard(), GREETING);
    }
}

impl Scene for Stage {
    type Session = Session;

    fn clients(&mut self) -> &mut [Client] {
        &mut self.clients
    }

    async fn arrives(&mut self, message: &[u8]) {
        self.world.deliver(message).await;
    }

    async fn order(&mut self, order: &str) -> bool {
        let (word, rest) = order.split_once(' ').unwrap_or((order, ""));
        let numbers: Vec<u32> = rest.split_terminator(' ').map(|n| n.parse().unwrap()).collect();
        match word {
            "login" => {
                for client in &mut self.clients {
                    client.send(b"USER alice\r\nPASS correct horse\r\n").await;
                    let heard = client.heard();
                    assert!(client.session.logged_in(), "{heard}");
                }
            }
            "token" => {
                let token = self.world.token().await;
                let standard = format!("n,a=alice@example.test,\u{1}auth=Bearer {token}\u{1}\u{1}");
                let older = format!("user=alice@example.test\u{1}auth=Bearer {token}\u{1}\u{1}");
                let messages = [("OAUTHBEARER", standard), ("XOAUTH2", older)];
                for (client, (mechanism, message)) in self.clients.iter_mut().zip(messages) {
                    let message = STANDARD.encode(message);
                    client.send(format!("AUTH {mechanism} {message}\r\n").as_bytes()).await;
                    let heard = client.heard();
                    assert!(client.session.logged_in(), "{heard}");
                }
            }
            "expunge" => {
                let uids: Vec<Uid> = numbers.into_iter().map(Uid).collect();
                self.world.expunge(&uids).await;
            }
            "there" => assert_eq!(self.world.there().await, numbers, "in the INBOX"),
            "seen" => assert_eq!(self.world.seen().await, numbers, "seen"),
            "end" => self.replace(usize::from(rest == "2")).await,
            "plaintext" | "allow-plaintext" | "no-stls" | "unseen" | "refuse-utf8" => {}
            _ => return false,
        }
        true
    }

    /// Octets beyond ASCII as `\xNN`.
    fn shown(&self, heard: &[u8]) -> String {
        let escaped = heard.escape_ascii().to_string();
        escaped.replace("\\r\\n", "\r\n").replace("\\'", "'").replace("\\\"", "\"")
    }

    fn is_noise(&self, client: usize, line: &str) -> bool {
        self.shows_greeting && client == 1 && line == GREETING.trim_end()
    }
}
