//! Keys with which a domain's mail is signed: their lives, and what signing costs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::time::Duration;

use directory::{DkimAlgorithm, DkimState, Error, NewDkimKey, Selector};
use world::{World, domain};

fn selector(text: &str) -> Selector {
    Selector::parse(text).unwrap()
}

fn new(name: &str, algorithm: DkimAlgorithm) -> NewDkimKey {
    NewDkimKey {
        selector: selector(name),
        algorithm,
        public: format!("public {name}").into_bytes(),
        private: format!("private {name}").into_bytes(),
    }
}

async fn furnished() -> World {
    let world = World::new().with_domain().await;
    let keys =
        [new("r1", DkimAlgorithm::Rsa), new("e1", DkimAlgorithm::Ed25519), new("r2", DkimAlgorithm::Rsa)];
    world.directory.create_dkim_keys(&domain("example.test"), &keys).await.unwrap();
    world
}

async fn signing(world: &World) -> Vec<String> {
    let secrets = world.directory.signing_keys(&domain("example.test")).await.unwrap();
    secrets.iter().map(|secret| String::from_utf8(secret.private().to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn a_key_signs_from_its_activation_to_its_successors() {
    let world = furnished().await;
    let (d, directory) = (domain("example.test"), &world.directory);
    assert!(signing(&world).await.is_empty());
    directory.activate_dkim_key(&d, &selector("R1")).await.unwrap();
    directory.activate_dkim_key(&d, &selector("e1")).await.unwrap();
    assert_eq!(signing(&world).await, ["private e1", "private r1"]);
    world.hand.advance(Duration::from_secs(60));
    let second = directory.activate_dkim_key(&d, &selector("r2")).await.unwrap();
    assert_eq!((second.state, second.activated), (DkimState::Active, Some(world.clock.now())));
    assert_eq!(signing(&world).await, ["private e1", "private r2"]);
    let again = directory.activate_dkim_key(&d, &selector("r2")).await.unwrap();
    assert_eq!(again, second);
    let keys = directory.dkim_keys(&d).await.unwrap();
    let states: Vec<_> = keys.iter().map(|key| (key.selector.as_str(), key.state)).collect();
    assert_eq!(states, [("e1", DkimState::Active), ("r1", DkimState::Retired), ("r2", DkimState::Active)]);
    assert_eq!(keys[1].retired, Some(world.clock.now()));
}

#[tokio::test]
async fn a_retired_key_is_nowhere_any_more() {
    let world = furnished().await;
    let (d, directory) = (domain("example.test"), &world.directory);
    directory.activate_dkim_key(&d, &selector("r1")).await.unwrap();
    assert!(matches!(directory.remove_dkim_key(&d, &selector("r1")).await, Err(Error::DkimKeyActive { .. })));
    directory.retire_dkim_key(&d, &selector("r1")).await.unwrap();
    let rows = world.kv.run(|tx| async move {
        tx.range(store::kv::Range::new(store::kv::KeyRange::prefix(b"d"))).all().await
    });
    let stored = rows.await.unwrap();
    let holds =
        |text: &str| stored.iter().any(|(_, value)| value.windows(text.len()).any(|w| w == text.as_bytes()));
    assert!(!holds("private r1") && holds("public r1") && holds("private r2"));
    let refused = directory.activate_dkim_key(&d, &selector("r1")).await;
    assert!(matches!(refused, Err(Error::DkimKeyRetired { .. })), "{refused:?}");
    directory.retire_dkim_key(&d, &selector("r1")).await.unwrap();
    directory.remove_dkim_key(&d, &selector("r1")).await.unwrap();
    assert!(matches!(directory.retire_dkim_key(&d, &selector("r1")).await, Err(Error::NoSuchDkimKey { .. })));
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let world = furnished().await;
    let (d, directory) = (domain("example.test"), &world.directory);
    let twice =
        directory.create_dkim_keys(&d, &[new("x", DkimAlgorithm::Rsa), new("r1", DkimAlgorithm::Rsa)]).await;
    assert!(matches!(twice, Err(Error::DkimKeyExists { .. })));
    assert_eq!(directory.dkim_keys(&d).await.unwrap().len(), 3, "all or none");
    let elsewhere = domain("elsewhere.test");
    assert!(matches!(directory.dkim_keys(&elsewhere).await, Err(Error::NoSuchDomain(_))));
    assert!(matches!(directory.create_dkim_keys(&elsewhere, &[]).await, Err(Error::NoSuchDomain(_))));
    assert!(directory.signing_keys(&elsewhere).await.unwrap().is_empty());
    let many: Vec<_> = (0..18).map(|n| new(&format!("m{n}"), DkimAlgorithm::Rsa)).collect();
    assert!(matches!(directory.create_dkim_keys(&d, &many).await, Err(Error::TooMany { .. })));
    for bad in ["", "-a", "a-", "a b", "a.b", "a_b", "é", &"a".repeat(64)] {
        assert!(Selector::parse(bad).is_err(), "{bad:?}");
    }
}

#[tokio::test]
async fn keys_go_with_their_domain() {
    let world = World::new();
    let d = domain("gone.test");
    world.domain("gone.test").await;
    world.domain("gone.test.example").await;
    for name in [&d, &domain("gone.test.example")] {
        world.directory.create_dkim_keys(name, &[new("s", DkimAlgorithm::Rsa)]).await.unwrap();
        world.directory.activate_dkim_key(name, &selector("s")).await.unwrap();
    }
    world.directory.delete_domain(&d).await.unwrap();
    world.domain("gone.test").await;
    assert!(world.directory.dkim_keys(&d).await.unwrap().is_empty());
    assert!(world.directory.signing_keys(&d).await.unwrap().is_empty());
    assert_eq!(world.directory.signing_keys(&domain("gone.test.example")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn to_sign_costs_one_read() {
    let world = furnished().await;
    world.directory.activate_dkim_key(&domain("example.test"), &selector("r1")).await.unwrap();
    let (rounds, keys) = world.rounds(signing(&world)).await;
    assert_eq!((rounds, keys.len()), (1, 1));
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?}", new("s", DkimAlgorithm::Rsa));
    assert_eq!(shown, "NewDkimKey(s, …)");
}
