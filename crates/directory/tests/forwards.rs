//! Aliases and groups that lead to other servers, and the senders of what is sent on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::time::Duration;

use directory::{DomainSettings, Error, Options, PageRequest, Refusal, Resolution, SrsError};
use world::{World, address, domain, options};

async fn furnished() -> World {
    let world = World::new().with_domain().await;
    world.account("alice@example.test").await;
    world
}

#[tokio::test]
async fn an_alias_leads_here_and_elsewhere() {
    let world = furnished().await;
    let alice = world.accounts_of("alice@example.test").await;
    world.alias("both@example.test", &["alice@example.test", "Bob@Elsewhere.test"]).await;
    world.alias("outer@example.test", &["both@example.test", "bob@elsewhere.test", "carol@far.test"]).await;
    assert_eq!(world.accounts_of("both@example.test").await, alice);
    assert_eq!(world.forwards_of("both@example.test").await, ["Bob@elsewhere.test"]);
    assert_eq!(world.accounts_of("outer@example.test").await, alice);
    let Resolution::Local { forwards, .. } = world.resolve("outer@example.test").await else { panic!() };
    let shown: Vec<_> = forwards.iter().map(|f| (f.address.to_string(), f.via.to_string())).collect();
    let expected = [("bob@elsewhere.test", "outer@example.test"), ("carol@far.test", "outer@example.test")];
    assert_eq!(shown, expected.map(|(address, via)| (address.to_owned(), via.to_owned())));

    world.directory.set_alias(&address("both@example.test"), &[address("bob@elsewhere.test")]).await.unwrap();
    assert_eq!(world.accounts_of("both@example.test").await, []);
    let targets = world.directory.alias_targets(&address("both@example.test")).await.unwrap();
    assert!(targets[0].exists && targets[0].elsewhere);
}

#[tokio::test]
async fn a_group_has_members_elsewhere() {
    let world = furnished().await;
    world.group("team@example.test", &["alice@example.test", "bob@elsewhere.test"]).await;
    let team = address("team@example.test");
    assert!(!world.directory.add_member(&team, &address("BOB@elsewhere.test")).await.unwrap());
    assert_eq!(world.forwards_of("team@example.test").await, ["bob@elsewhere.test"]);
    let page = world.directory.members(&team, &PageRequest::default()).await.unwrap();
    let shown: Vec<_> = page.items.iter().map(|m| (m.address.to_string(), m.exists, m.elsewhere)).collect();
    assert!(shown.contains(&("bob@elsewhere.test".to_owned(), true, true)), "{shown:?}");
    assert!(world.directory.remove_member(&team, &address("bob@elsewhere.test")).await.unwrap());
    assert!(world.forwards_of("team@example.test").await.is_empty());
}

#[tokio::test]
async fn what_can_be_meant_elsewhere() {
    let world = furnished().await;
    let create = async |target: &str| {
        world.directory.create_alias(&address("x@example.test"), &[address(target)]).await
    };
    let missing = address("bob@example.test");
    assert_eq!(create("bob@example.test").await, Err(Error::NoSuchTarget(missing)));
    for bad in ["bob@localhost", "bob@192.0.2.1"] {
        assert!(matches!(create(bad).await, Err(Error::Name(_))), "{bad}");
    }
    create("\"odd name\"@elsewhere.test").await.unwrap();
    assert_eq!(world.forwards_of("x@example.test").await, ["\"odd name\"@elsewhere.test"]);
    let caught = world.directory.set_catch_all(&domain("example.test"), Some(&address("a@far.test"))).await;
    assert!(matches!(caught, Err(Error::NoSuchTarget(_))), "{caught:?}");
}

#[tokio::test]
async fn a_domain_that_becomes_ours_is_resolved_here() {
    let world = furnished().await;
    world.alias("a@example.test", &["bob+list@later.test", "carol@later.test"]).await;
    world.alias("c@example.test", &["a@later.test"]).await;
    assert_eq!(world.forwards_of("a@example.test").await.len(), 2);
    world.directory.create_domain(&domain("later.test"), DomainSettings::default()).await.unwrap();
    assert_eq!(world.resolve("a@example.test").await, Resolution::Refused(Refusal::Empty));
    let bob = world.account("bob@later.test").await;
    assert_eq!(world.accounts_of("a@example.test").await, [bob]);
    assert!(world.forwards_of("a@example.test").await.is_empty());
    let targets = world.directory.alias_targets(&address("a@example.test")).await.unwrap();
    assert_eq!(
        targets.iter().map(|t| (t.exists, t.elsewhere)).collect::<Vec<_>>(),
        [(true, false), (false, false)]
    );

    // It may lead back by now: then it is passed once, and another way back is refused.
    world.alias("a@later.test", &["c@example.test"]).await;
    assert_eq!(world.resolve("c@example.test").await, Resolution::Refused(Refusal::Empty));
    let circle = world.directory.set_alias(&address("a@later.test"), &[address("c@example.test")]).await;
    assert!(matches!(circle, Err(Error::Circle { .. })), "{circle:?}");
}

#[tokio::test]
async fn recipients_elsewhere_count() {
    let narrow = Options { recipients: 2, nesting: 1, ..options() };
    let world = World::with(narrow, None).with_domain().await;
    world.account("alice@example.test").await;
    world.alias("two@example.test", &["alice@example.test", "b@far.test"]).await;
    world.alias("three@example.test", &["alice@example.test", "b@far.test", "c@far.test"]).await;
    world.alias("nested@example.test", &["two@example.test"]).await;
    assert_eq!(world.forwards_of("two@example.test").await, ["b@far.test"]);
    assert_eq!(world.resolve("three@example.test").await, Resolution::Refused(Refusal::TooLarge));
    assert_eq!(world.resolve("nested@example.test").await, Resolution::Refused(Refusal::TooLarge));
}

#[tokio::test]
async fn a_sender_is_found_again() {
    let world = furnished().await;
    let ours = domain("example.test");
    let rewritten = world.directory.forwarded_sender("Bob@far.test", &ours).await.unwrap();
    assert!(
        rewritten.starts_with("SRS0=") && rewritten.ends_with("=far.test=Bob@example.test"),
        "{rewritten}"
    );
    let sender = Resolution::Sender { address: "Bob@far.test".to_owned() };
    assert_eq!(world.resolve(&rewritten).await, sender);
    // Another node knows the secret too, and others' changes of case do no harm.
    let node = world.node(options());
    assert!(matches!(node.resolve(&rewritten.to_lowercase()).await, Ok(Resolution::Sender { .. })));
    assert_eq!(world.directory.forwarded_sender("", &ours).await.unwrap(), "");
    let own = "alice@example.test";
    assert_eq!(world.directory.forwarded_sender(own, &ours).await.unwrap(), own);
    let long = format!("{}@far.test", "x".repeat(250));
    assert_eq!(world.directory.forwarded_sender(&long, &ours).await.unwrap(), long);

    let forged = rewritten.replace("Bob", "carol");
    assert_eq!(world.resolve(&forged).await, Resolution::Refused(Refusal::Sender(SrsError::Forged)));
    assert_eq!(world.resolve(&rewritten.replace("example", "foreign")).await, Resolution::NotLocal);
    world.hand.advance(Duration::from_hours(24 * 22));
    assert_eq!(world.resolve(&rewritten).await, Resolution::Refused(Refusal::Sender(SrsError::Expired)));
}

#[tokio::test]
async fn a_sender_whose_domain_became_ours_is_here() {
    let world = furnished().await;
    let rewritten =
        world.directory.forwarded_sender("bob@later.test", &domain("example.test")).await.unwrap();
    world.domain("later.test").await;
    assert_eq!(world.resolve(&rewritten).await, Resolution::UnknownUser);
    let bob = world.account("bob@later.test").await;
    assert_eq!(world.accounts_of(&rewritten).await, [bob]);
}
