//! Limits against guessing, in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use directory::{AuthError, LoginLimits, Options, Protocol, Rate};
use world::{World, domain, options};

const WINDOW: Duration = Duration::from_mins(10);

fn limited(per_name: u64, per_peer: u64) -> Options {
    let rate = |failures| Some(Rate { failures, window: WINDOW });
    let login_limits = LoginLimits { per_name: rate(per_name), per_peer: rate(per_peer) };
    Options { login_limits, default_domain: Some(domain("example.test")), ..options() }
}

async fn furnished(options: Options) -> World {
    let world = World::with(options, None).with_domain().await;
    world.account_with("alice@example.test", "correct horse").await;
    world.account_with("bob@example.test", "correct horse").await;
    world
}

async fn login(world: &World, name: &str, secret: &str, peer: &str) -> Result<(), AuthError> {
    let peer: IpAddr = peer.parse().unwrap();
    world.directory.authenticate(name, secret, peer, Protocol::Imap).await.map(|_| ())
}

fn is_limited(result: &Result<(), AuthError>) -> bool {
    *result == Err(AuthError::RateLimited { retry_after: WINDOW })
}

#[tokio::test]
async fn a_name_is_guessed_only_so_often() {
    let world = furnished(limited(5, 100)).await;
    for n in 0..5 {
        // The spelling and the peer make no difference.
        let name = ["alice", "ALICE@example.test"][n % 2];
        let tried = login(&world, name, "wrong horse", &format!("192.0.2.{n}")).await;
        assert_eq!(tried, Err(AuthError::Refused));
    }
    let before = world.directory.hashes_computed();
    let right = login(&world, "alice", "correct horse", "198.51.100.1").await;
    assert!(is_limited(&right), "{right:?}");
    assert_eq!(world.directory.hashes_computed(), before);
    assert!(login(&world, "bob", "correct horse", "192.0.2.1").await.is_ok());

    world.hand.advance(WINDOW * 2);
    assert!(login(&world, "alice", "correct horse", "198.51.100.1").await.is_ok());
}

#[tokio::test]
async fn names_that_do_not_exist_are_limited_alike() {
    let world = furnished(limited(3, 100)).await;
    for name in ["nobody", "no\0body", "*)(uid=*"] {
        for _ in 0..3 {
            assert_eq!(login(&world, name, "x", "192.0.2.1").await, Err(AuthError::Refused));
        }
        assert!(is_limited(&login(&world, name, "x", "192.0.2.1").await), "{name:?}");
    }
}

#[tokio::test]
async fn a_peer_guesses_only_so_often() {
    let world = furnished(limited(100, 5)).await;
    for n in 0..5 {
        let peer = format!("2001:db8:1:2::{n}");
        assert_eq!(login(&world, &format!("user{n}"), "x", &peer).await, Err(AuthError::Refused));
    }
    assert!(is_limited(&login(&world, "bob", "correct horse", "2001:db8:1:2::99").await));
    assert!(login(&world, "bob", "correct horse", "2001:db8:1:3::1").await.is_ok());
    world.hand.advance(WINDOW * 2);
    assert!(login(&world, "bob", "correct horse", "2001:db8:1:2::99").await.is_ok());
}

#[tokio::test]
async fn the_owner_is_not_shut_out_by_others() {
    let world = furnished(limited(5, 100)).await;
    login(&world, "alice", "correct horse", "198.51.100.1").await.unwrap();
    for n in 0..5 {
        assert!(login(&world, "alice", "wrong", &format!("192.0.2.{n}")).await.is_err());
    }
    assert!(is_limited(&login(&world, "alice", "correct horse", "203.0.113.1").await));
    login(&world, "alice", "correct horse", "198.51.100.1").await.unwrap();
    // But a familiar peer has a limit of its own.
    for _ in 0..5 {
        assert_eq!(login(&world, "alice", "wrong", "198.51.100.1").await, Err(AuthError::Refused));
    }
    assert!(is_limited(&login(&world, "alice", "correct horse", "198.51.100.1").await));
    // Nor does being familiar for one name help with another.
    assert_eq!(login(&world, "bob", "wrong", "198.51.100.1").await, Err(AuthError::Refused));
}

#[tokio::test]
async fn successes_do_not_count() {
    let world = furnished(limited(3, 3)).await;
    for _ in 0..20 {
        login(&world, "alice", "correct horse", "192.0.2.1").await.unwrap();
        world.hand.advance(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn limits_can_be_off() {
    let off = LoginLimits { per_name: None, per_peer: None };
    let world = furnished(Options { login_limits: off, ..limited(1, 1) }).await;
    for _ in 0..200 {
        assert_eq!(login(&world, "alice", "wrong", "192.0.2.1").await, Err(AuthError::Refused));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guesses_at_once_do_not_slip_past_the_limit() {
    let at_once = NonZeroUsize::new(2).unwrap();
    let world = furnished(Options { hashes_at_once: at_once, ..limited(5, 1000) }).await;
    let before = world.directory.hashes_computed();
    let guesses = (0..100).map(|n| {
        let directory = world.directory.clone();
        tokio::spawn(async move {
            let peer = format!("192.0.2.{n}").parse().unwrap();
            directory.authenticate("alice", &format!("guess {n}"), peer, Protocol::Imap).await
        })
    });
    let guesses: Vec<_> = guesses.collect();
    let mut refused = 0;
    for guess in guesses {
        match guess.await.unwrap() {
            Err(AuthError::Refused) => refused += 1,
            Err(AuthError::RateLimited { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!((5..5 + at_once.get() as u64).contains(&refused), "{refused}");
    assert_eq!(world.directory.hashes_computed() - before, refused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_finds_an_end_and_harms_nobody_who_is_known() {
    let one = NonZeroUsize::MIN;
    let world = furnished(Options { hashes_at_once: one, hashes_waiting: 3, ..limited(1000, 1000) }).await;
    login(&world, "bob", "correct horse", "198.51.100.1").await.unwrap();
    let flood = (0..300).map(|n| {
        let directory = world.directory.clone();
        tokio::spawn(async move {
            let peer = format!("192.0.2.{}", n % 200).parse().unwrap();
            directory.authenticate(&format!("user{n}"), "x", peer, Protocol::Imap).await
        })
    });
    let flood: Vec<_> = flood.collect();
    // Proven lately: needs no place among those who wait.
    login(&world, "bob", "correct horse", "198.51.100.1").await.unwrap();
    for attempt in flood {
        assert!(matches!(attempt.await.unwrap(), Err(AuthError::Refused | AuthError::Busy)));
    }
    login(&world, "alice", "correct horse", "192.0.2.1").await.unwrap();
}
