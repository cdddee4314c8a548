//! SASL exchanges against a real store: who gets in, who does not, and what either can learn.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use directory::sasl::{ChannelBindings, Error, Exchange, Mechanism, Progress, Response};
use directory::{
    AccountState, AuthError, Authenticated, Directory, LoginLimits, NewPassword, Options, Protocol, Rate,
    Scopes, ScramIterations,
};
use types::AccountId;
use world::{World, domain, options};

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const CHANNEL: ChannelBindings = ChannelBindings::NONE.with_exporter([7; 32]);

async fn furnished() -> (World, AccountId) {
    let options = Options { default_domain: Some(domain("example.test")), ..options() };
    let world = World::with(options, None).with_domain().await;
    let alice = world.account_with("Alice@example.test", "correct horse").await;
    (world, alice)
}

/// The client's side of SCRAM-SHA-256, or of -PLUS if it has a channel.
#[derive(Clone)]
struct Client {
    login: String,
    secret: String,
    channel: Option<(&'static str, Vec<u8>)>,
    nonce: String,
}

impl Client {
    fn new(login: &str, secret: &str) -> Self {
        Self { login: login.into(), secret: secret.into(), channel: None, nonce: "client".into() }
    }

    fn header(&self) -> String {
        self.channel.as_ref().map_or("n,,".to_owned(), |(name, _)| format!("p={name},,"))
    }

    fn bare(&self) -> String {
        let login = self.login.replace('=', "=3D").replace(',', "=2C");
        format!("n={login},r={}", self.nonce)
    }

    fn first(&self) -> Response {
        Response::new(format!("{}{}", self.header(), self.bare()).into_bytes())
    }

    /// The final message in answer to the server's challenge, and the signature that the server has to give.
    fn last(&self, challenge: &str) -> (Response, String) {
        let (nonce, salt, iterations) = terms(challenge);
        assert!(nonce.starts_with(&self.nonce) && nonce.len() >= self.nonce.len() + 24);
        let channel = self.channel.as_ref().map_or(&[][..], |(_, data)| data);
        let binding = STANDARD.encode([self.header().as_bytes(), channel].concat());
        let unproven = format!("c={binding},r={nonce}");
        let transcript = format!("{},{challenge},{unproven}", self.bare());
        let mut salted = [0; 32];
        let iterations = NonZeroU32::new(iterations).unwrap();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, self.secret.as_bytes(), &mut salted);
        let client = sign(&salted, "Client Key");
        let stored = digest::digest(&digest::SHA256, &client);
        let signature = sign(stored.as_ref(), &transcript);
        let proof: Vec<u8> = client.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        let server = sign(&sign(&salted, "Server Key"), &transcript);
        let last = format!("{unproven},p={}", STANDARD.encode(proof));
        (Response::new(last.into_bytes()), format!("v={}", STANDARD.encode(server)))
    }

    /// The exchange up to the server's challenge.
    async fn begin(&self, directory: &Directory) -> Result<(Exchange, String), Error> {
        let mechanism =
            if self.channel.is_some() { Mechanism::ScramSha256Plus } else { Mechanism::ScramSha256 };
        let bindings = if self.channel.is_some() { CHANNEL } else { ChannelBindings::NONE };
        let exchange = Exchange::new(mechanism, &bindings);
        assert_eq!(exchange.challenge(), "");
        challenged(directory.respond(exchange, self.first(), PEER, Protocol::Imap).await)
    }

    async fn login(&self, directory: &Directory, scope: Protocol) -> Result<Authenticated, Error> {
        let (exchange, challenge) = self.begin(directory).await?;
        let (last, signature) = self.last(&challenge);
        let (exchange, challenge) = challenged(directory.respond(exchange, last, PEER, scope).await)?;
        assert_eq!(challenge, signature);
        match directory.respond(exchange, Response::new(Vec::new()), PEER, scope).await? {
            Progress::Admitted(authenticated) => Ok(authenticated),
            Progress::Challenge(_) => panic!("another challenge"),
        }
    }
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn challenged(progress: Result<Progress, Error>) -> Result<(Exchange, String), Error> {
    match progress? {
        Progress::Challenge(exchange) => {
            let challenge = String::from_utf8(STANDARD.decode(exchange.challenge()).unwrap()).unwrap();
            Ok((exchange, challenge))
        }
        Progress::Admitted(_) => panic!("admitted too early"),
    }
}

/// Nonce, salt and iterations of the server's first message.
fn terms(challenge: &str) -> (String, Vec<u8>, u32) {
    let mut fields = challenge.split(',').map(|field| field.split_once('=').unwrap().1);
    let mut next = || fields.next().unwrap();
    (next().to_owned(), STANDARD.decode(next()).unwrap(), next().parse().unwrap())
}

async fn login(world: &World, name: &str, secret: &str) -> Result<Authenticated, Error> {
    Client::new(name, secret).login(&world.directory, Protocol::Imap).await
}

const REFUSED: Error = Error::Login(AuthError::Refused);

#[tokio::test]
async fn the_owner_gets_in_without_sending_the_password() {
    let (world, alice) = furnished().await;
    for name in ["alice@example.test", "ALICE@Example.Test", "alice"] {
        let token = login(&world, name, "correct horse").await.unwrap();
        assert_eq!((token.account(), token.app_password()), (alice, None));
        assert_eq!(token.address().to_string(), "Alice@example.test");
    }
    // Neither side computes a password hash here.
    assert_eq!(world.directory.hashes_computed(), 1);
    let mut bound = Client::new("alice", "correct horse");
    bound.channel = Some(("tls-exporter", vec![7; 32]));
    assert!(bound.login(&world.directory, Protocol::Pop3).await.is_ok());
}

#[tokio::test]
async fn a_login_passed_on_through_another_channel_is_refused() {
    let (world, _) = furnished().await;
    let mut client = Client::new("alice", "correct horse");
    client.channel = Some(("tls-exporter", vec![8; 32]));
    assert_eq!(client.login(&world.directory, Protocol::Imap).await, Err(REFUSED));
}

/// Faults 38: whoever asks learns nothing from the answers.
#[tokio::test]
async fn names_that_exist_and_names_that_do_not_look_the_same() {
    let (world, _) = furnished().await;
    world.account("nopassword@example.test").await;
    let gone = world.account_with("gone@example.test", "correct horse").await;
    world.directory.set_state(gone, AccountState::Disabled).await.unwrap();
    let names =
        ["alice", "nobody", "nopassword", "gone", "alice@elsewhere.test", "*)(uid=*", "al\u{7}ice", "@"];
    let node = world.node(Options { default_domain: Some(domain("example.test")), ..options() });
    let mut salts = Vec::new();
    for name in names {
        let client = Client::new(name, "wrong horse");
        let (_, first) = client.begin(&world.directory).await.unwrap();
        let (_, again) = client.begin(&node).await.unwrap();
        let ((nonce, salt, iterations), (other, same, _)) = (terms(&first), terms(&again));
        assert_eq!((salt.len(), iterations), (16, 4096), "{name}");
        // The salt is the same every time and on every node, the nonce never.
        assert_eq!(salt, same, "{name}");
        assert_ne!(nonce, other, "{name}");
        assert!(!salts.contains(&salt), "{name}");
        salts.push(salt);

        let secret = if name == "alice" { "wrong horse" } else { "correct horse" };
        assert_eq!(login(&world, name, secret).await, Err(REFUSED), "{name}");
    }
    // Nor does a salt change when somebody is given the name, or leaves.
    let salt = async |name| terms(&Client::new(name, "x").begin(&world.directory).await.unwrap().1).1;
    let before = salt("nobody").await;
    let nobody = world.account_with("nobody@example.test", "correct horse").await;
    assert_eq!(salt("NOBODY@example.test").await, before);
    world.directory.delete_account(nobody).await.unwrap();
    assert_eq!(salt("nobody").await, before);
    assert_eq!(login(&world, "nobody", "correct horse").await, Err(REFUSED));
}

/// Fault 38: an answer that was overheard is worth nothing.
#[tokio::test]
async fn what_was_said_before_proves_nothing() {
    let (world, _) = furnished().await;
    let client = Client::new("alice", "correct horse");
    let (exchange, challenge) = client.begin(&world.directory).await.unwrap();
    let (last, _) = client.last(&challenge);
    let respond = |exchange, response| world.directory.respond(exchange, response, PEER, Protocol::Imap);
    assert!(challenged(respond(exchange, last.clone()).await).is_ok());
    let (again, _) = client.begin(&world.directory).await.unwrap();
    assert_eq!(respond(again, last).await.err(), Some(REFUSED));
}

#[tokio::test]
async fn the_end_of_an_exchange_is_an_empty_answer() {
    let (world, _) = furnished().await;
    let client = Client::new("alice", "correct horse");
    let (exchange, challenge) = client.begin(&world.directory).await.unwrap();
    let (last, _) = client.last(&challenge);
    let respond = |exchange, response| world.directory.respond(exchange, response, PEER, Protocol::Imap);
    let (exchange, _) = challenged(respond(exchange, last).await).unwrap();
    let junk = respond(exchange, Response::new(b"junk".into())).await;
    assert!(matches!(junk.err(), Some(Error::Malformed(_))));
}

/// Fault 37: floods of exchanges that are never finished, or finished badly, shut nobody out.
#[tokio::test]
async fn aborted_exchanges_do_no_harm() {
    let (world, _) = furnished().await;
    let client = Client::new("alice", "correct horse");
    for _ in 0..200 {
        client.begin(&world.directory).await.unwrap();
        let exchange = Exchange::new(Mechanism::ScramSha256, &CHANNEL);
        let junk = Response::new(b"n,,n=alice".into());
        assert!(world.directory.respond(exchange, junk, PEER, Protocol::Imap).await.is_err());
    }
    assert!(client.login(&world.directory, Protocol::Imap).await.is_ok());
}

#[tokio::test]
async fn guesses_count_whatever_the_mechanism() {
    let window = Duration::from_mins(10);
    let limits = LoginLimits { per_name: Some(Rate { failures: 4, window }), per_peer: None };
    let options = Options { login_limits: limits, default_domain: Some(domain("example.test")), ..options() };
    let world = World::with(options, None).with_domain().await;
    world.account_with("alice@example.test", "correct horse").await;
    for name in ["alice", "nobody"] {
        for _ in 0..2 {
            assert_eq!(login(&world, name, "wrong horse").await, Err(REFUSED));
            let plain = world.directory.authenticate(name, "wrong horse", PEER, Protocol::Imap).await;
            assert_eq!(plain, Err(AuthError::Refused));
        }
        // Not even the challenge is computed any more.
        let limited = Client::new(name, "correct horse").begin(&world.directory).await.err();
        assert_eq!(limited, Some(Error::Login(AuthError::RateLimited { retry_after: window })));
    }
    world.hand.advance(window * 2);
    assert!(login(&world, "alice", "correct horse").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guesses_at_once_do_not_slip_past_the_limit() {
    let rate = Rate { failures: 5, window: Duration::from_mins(10) };
    let limits = LoginLimits { per_name: Some(rate), per_peer: None };
    let options = Options { login_limits: limits, default_domain: Some(domain("example.test")), ..options() };
    let at_once = options.hashes_at_once.get();
    let world = World::with(options, None).with_domain().await;
    world.account_with("alice@example.test", "correct horse").await;
    let client = Client::new("alice", "wrong horse");
    let mut begun = Vec::new();
    for _ in 0..50 {
        begun.push(client.begin(&world.directory).await.unwrap());
    }
    let guesses = begun.into_iter().map(|(exchange, challenge)| {
        let (directory, last) = (world.directory.clone(), client.last(&challenge).0);
        tokio::spawn(async move { directory.respond(exchange, last, PEER, Protocol::Imap).await.err() })
    });
    let mut refused = 0;
    for guess in guesses.collect::<Vec<_>>() {
        match guess.await.unwrap() {
            Some(Error::Login(AuthError::Refused)) => refused += 1,
            Some(Error::Login(AuthError::RateLimited { .. })) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!((5..5 + at_once).contains(&refused), "{refused}");
}

#[tokio::test]
async fn a_change_counts_at_once_even_in_mid_exchange() {
    let (world, alice) = furnished().await;
    let client = Client::new("alice", "correct horse");
    let (exchange, challenge) = client.begin(&world.directory).await.unwrap();
    world.directory.set_password(alice, &NewPassword::Clear("new horse".into())).await.unwrap();
    let last = client.last(&challenge).0;
    assert_eq!(world.directory.respond(exchange, last, PEER, Protocol::Imap).await.err(), Some(REFUSED));
    assert!(login(&world, "alice", "new horse").await.is_ok());
    world.directory.set_state(alice, AccountState::Disabled).await.unwrap();
    assert_eq!(login(&world, "alice", "new horse").await, Err(REFUSED));
}

#[tokio::test]
async fn app_passwords_work_for_what_they_are_for() {
    let (world, alice) = furnished().await;
    let scopes = Scopes::NONE.with(Protocol::Imap);
    let made = world.directory.create_app_password(alice, "phone", scopes).await.unwrap();
    let other = world.directory.create_app_password(alice, "tablet", scopes).await.unwrap();
    for typed in [made.password.clone(), made.password.replace('-', "")] {
        let client = Client::new("alice", &typed);
        let token = client.login(&world.directory, Protocol::Imap).await.unwrap();
        assert_eq!(token.app_password(), Some(made.id));
        assert_eq!(client.login(&world.directory, Protocol::Submission).await, Err(REFUSED));
    }
    let used = world.directory.app_passwords(alice).await.unwrap();
    assert!(used[0].last_used.is_some() && used[1].last_used.is_none());
    // A new password leaves them alone, and they leave the old password no way in.
    world.directory.set_password(alice, &NewPassword::Clear("new horse".into())).await.unwrap();
    assert!(login(&world, "alice", &made.password).await.is_ok());
    assert!(login(&world, "alice", "new horse").await.is_ok());
    assert_eq!(login(&world, "alice", "correct horse").await, Err(REFUSED));
    world.directory.revoke_app_password(alice, made.id).await.unwrap();
    assert_eq!(login(&world, "alice", &made.password).await, Err(REFUSED));
    assert!(login(&world, "alice", &other.password).await.is_ok());
}

/// An account from before SCRAM, or one whose password came as a hash, is refused like a wrong password until its
/// owner has logged in with the password itself once.
#[tokio::test]
async fn accounts_without_keys_get_them_at_a_login() {
    let (world, alice) = furnished().await;
    let off = Options { scram: None, default_domain: Some(domain("example.test")), ..options() };
    let before = world.node(off);
    before.set_password(alice, &NewPassword::Clear("old horse".into())).await.unwrap();
    assert_eq!(login(&world, "alice", "old horse").await, Err(REFUSED));
    assert_eq!(login(&world, "alice", "correct horse").await, Err(REFUSED));
    world.directory.authenticate("alice", "old horse", PEER, Protocol::Imap).await.unwrap();
    assert!(login(&world, "alice", "old horse").await.is_ok());
}

#[tokio::test]
async fn another_number_of_iterations_comes_with_the_next_login() {
    let (world, alice) = furnished().await;
    let dearer = Options {
        scram: Some(ScramIterations::new(5000).unwrap()),
        default_domain: Some(domain("example.test")),
        ..options()
    };
    let node = world.node(dearer);
    let iterations = async |name| terms(&Client::new(name, "x").begin(&node).await.unwrap().1).2;
    assert_eq!((iterations("alice").await, iterations("nobody").await), (4096, 5000));
    assert!(Client::new("alice", "correct horse").login(&node, Protocol::Imap).await.is_ok());
    node.authenticate("alice", "correct horse", PEER, Protocol::Imap).await.unwrap();
    assert_eq!(iterations("alice").await, 5000);
    assert!(Client::new("alice", "correct horse").login(&node, Protocol::Imap).await.is_ok());
    // Keys of app passwords cannot be derived anew: with them the account keeps its number.
    node.create_app_password(alice, "phone", Scopes::MAIL_APP).await.unwrap();
    world.directory.set_password(alice, &NewPassword::Clear("new horse".into())).await.unwrap();
    assert_eq!(iterations("alice").await, 5000);
    assert!(login(&world, "alice", "new horse").await.is_ok());
}

#[tokio::test]
async fn mechanisms_are_offered_when_they_are_whole() {
    use Mechanism::{Login, Plain, ScramSha256, ScramSha256Plus};
    let (world, _) = furnished().await;
    let directory = &world.directory;
    assert_eq!(directory.mechanisms(&ChannelBindings::NONE), [ScramSha256, Plain, Login]);
    assert_eq!(directory.mechanisms(&CHANNEL), [ScramSha256Plus, ScramSha256, Plain, Login]);
    let off = world.node(Options { scram: None, ..options() });
    assert_eq!(off.mechanisms(&CHANNEL), [Plain, Login]);
    assert_eq!(Client::new("alice", "correct horse").login(&off, Protocol::Imap).await, Err(REFUSED));
}

#[tokio::test]
async fn passwords_come_prepared_as_the_rfc_says() {
    let (world, alice) = furnished().await;
    for (set, typed) in [
        ("\u{2168}\u{ad} horse", "IX horse"),
        ("pass\u{a0}word", "pass word"),
        ("비밀번호", "비밀번호"),
        ("쥐🐭쥐🐭", "쥐🐭쥐🐭"),
    ] {
        world.directory.set_password(alice, &NewPassword::Clear(set.into())).await.unwrap();
        assert!(login(&world, "alice", typed).await.is_ok(), "{set}");
        assert!(world.directory.authenticate("alice", set, PEER, Protocol::Imap).await.is_ok(), "{set}");
    }
}

#[tokio::test]
async fn plain_and_login() {
    let (world, alice) = furnished().await;
    let respond = |exchange, text: &str| {
        world.directory.respond(exchange, Response::new(text.as_bytes().to_vec()), PEER, Protocol::Imap)
    };
    let plain = || Exchange::new(Mechanism::Plain, &ChannelBindings::NONE);
    let Ok(Progress::Admitted(token)) = respond(plain(), "\0alice\0correct horse").await else { panic!() };
    assert_eq!(token.account(), alice);
    assert_eq!(respond(plain(), "\0alice\0wrong horse").await.err(), Some(REFUSED));
    assert_eq!(respond(plain(), "bob\0alice\0correct horse").await.err(), Some(Error::Authorization));

    let exchange = Exchange::new(Mechanism::Login, &ChannelBindings::NONE);
    assert_eq!(exchange.challenge(), STANDARD.encode("Username:"));
    let (exchange, challenge) = challenged(respond(exchange, "alice").await).unwrap();
    assert_eq!(challenge, "Password:");
    assert!(matches!(respond(exchange, "correct horse").await, Ok(Progress::Admitted(_))));
}
