//! What the owner of an account may send: in whose name, and how much.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::time::Duration;

use directory::{Authenticated, PageRequest, Protocol, SendingLimits};
use world::{World, address, domain};

async fn login(world: &World, name: &str) -> Authenticated {
    let peer = "192.0.2.1".parse().unwrap();
    world.directory.authenticate(name, "secret", peer, Protocol::Submission).await.unwrap()
}

#[tokio::test]
async fn everybody_writes_in_their_own_name() {
    let world = World::new().with_domain().await;
    world.domain("other.test").await;
    for name in ["alice@example.test", "bob@example.test"] {
        world.account_with(name, "secret").await;
    }
    world.alias("info@example.test", &["alice@example.test", "bob@example.test"]).await;
    world.alias("sales@other.test", &["info@example.test"]).await;
    world.alias("bobby@example.test", &["bob@example.test"]).await;
    world.group("team@example.test", &["alice@example.test"]).await;
    world.alias("crew@example.test", &["team@example.test"]).await;
    world.directory.set_catch_all(&domain("other.test"), Some(&address("alice@example.test"))).await.unwrap();
    let alice = login(&world, "alice@example.test").await;
    let table = [
        ("alice@example.test", true),
        ("ALICE@Example.TEST", true),
        ("alice+shop@example.test", true),
        ("info@example.test", true),
        ("sales@other.test", true),
        ("whoever@other.test", true),
        ("bob@example.test", false),
        ("bobby@example.test", false),
        ("team@example.test", false),
        ("crew@example.test", false),
        ("nobody@example.test", false),
        ("alice@elsewhere.test", false),
        ("", false),
        ("alice", false),
        ("alice@example.test\r\nBcc: x", false),
    ];
    for (name, may) in table {
        assert_eq!(world.directory.may_write_as(&alice, name).await.unwrap(), may, "{name:?}");
    }
    let (rounds, _) = world.rounds(world.directory.may_write_as(&alice, "alice@example.test")).await;
    assert_eq!(rounds, 1);
}

#[tokio::test]
async fn aliases_in_a_circle_and_freed_names_lead_nowhere() {
    let world = World::new().with_domain().await;
    for name in ["alice@example.test", "bob@example.test"] {
        world.account_with(name, "secret").await;
    }
    world.alias("old@example.test", &["bob@example.test"]).await;
    world.directory.delete_account(world.accounts_of("bob@example.test").await[0]).await.unwrap();
    world.account_with("bob@example.test", "secret").await;
    let bob = login(&world, "bob@example.test").await;
    assert!(!world.directory.may_write_as(&bob, "old@example.test").await.unwrap());
}

#[tokio::test]
async fn nobody_sends_without_measure() {
    let world = World::new().with_domain().await;
    let alice = world.account("alice@example.test").await;
    let bob = world.account("bob@example.test").await;
    let limits = SendingLimits {
        messages_per_hour: Some(3),
        recipients_per_hour: Some(50),
        recipients_per_day: Some(60),
    };
    let send = async |who, recipients| world.directory.count_sending(who, recipients, &limits).await;
    assert!(send(alice, 51).await.is_err(), "what is refused counts for nothing");
    for _ in 0..3 {
        send(alice, 10).await.unwrap();
    }
    let refused = send(alice, 1).await.unwrap_err();
    assert_eq!(refused.to_string(), "this account has sent as many messages as it may: 3 in 1 h");
    send(bob, 50).await.unwrap();
    assert!(send(bob, 1).await.is_err());
    world.hand.advance(Duration::from_hours(2));
    assert!(send(alice, 31).await.is_err(), "a day's recipients");
    send(alice, 30).await.unwrap();
    let none = SendingLimits { messages_per_hour: None, recipients_per_hour: None, recipients_per_day: None };
    world.directory.count_sending(bob, 1_000_000, &none).await.unwrap();
}

#[tokio::test]
async fn an_account_knows_the_addresses_that_lead_to_it() {
    let world = World::new().with_domain().await;
    world.domain("other.test").await;
    let mut ids = Vec::new();
    for name in ["alice@example.test", "bob@example.test"] {
        ids.push(world.account_with(name, "secret").await);
    }
    world.alias("info@example.test", &["alice@example.test", "bob@example.test"]).await;
    world.alias("sales@other.test", &["info@example.test"]).await;
    world.alias("bobby@example.test", &["bob@example.test", "someone@elsewhere.test"]).await;
    world.group("team@example.test", &["alice@example.test"]).await;
    let of = async |at: usize| -> Vec<String> {
        let found = world.directory.addresses_of(ids[at]).await.unwrap();
        found.iter().map(ToString::to_string).collect()
    };
    assert_eq!(of(0).await, ["alice@example.test", "info@example.test", "sales@other.test"]);
    assert_eq!(of(1).await.len(), 4);
    let directory = &world.directory;
    directory.set_alias(&address("info@example.test"), &[address("bob@example.test")]).await.unwrap();
    assert_eq!(of(0).await, ["alice@example.test"]);
    directory.delete_alias(&address("bobby@example.test")).await.unwrap();
    assert_eq!(of(1).await, ["bob@example.test", "info@example.test", "sales@other.test"]);
    // What an older release has left out is written down.
    world.forget_referrers().await;
    assert_eq!(of(1).await, ["bob@example.test"]);
    assert_eq!(directory.index_aliases(&PageRequest::first(1000)).await.unwrap(), None);
    assert_eq!(of(1).await.len(), 3);
}
