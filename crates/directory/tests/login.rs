//! Who gets in, by what, and at what cost. Costs are counted, not timed: rounds of reading and password hashes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use argon2::{Argon2, Params, PasswordHasher};
use directory::{
    AccountState, AppPassword, AuthError, Authenticated, Cost, Error, NewPassword, Options, PasswordError,
    Protocol, Scopes,
};
use types::AccountId;
use world::{World, address, domain, options};

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

async fn login(world: &World, name: &str, secret: &str) -> Result<Authenticated, AuthError> {
    world.directory.authenticate(name, secret, PEER, Protocol::Imap).await
}

/// What a login costs: rounds of reading, and password hashes.
async fn cost(world: &World, name: &str, secret: &str) -> (u64, u64) {
    let before = world.directory.hashes_computed();
    let (rounds, _) = world.rounds(login(world, name, secret)).await;
    (rounds, world.directory.hashes_computed() - before)
}

async fn furnished() -> (World, AccountId) {
    let options = Options { default_domain: Some(domain("example.test")), ..options() };
    let world = World::with(options, None).with_domain().await;
    let alice = world.account_with("Alice@example.test", "correct horse").await;
    (world, alice)
}

#[tokio::test]
async fn the_owner_gets_a_token() {
    let (world, alice) = furnished().await;
    for name in ["alice@example.test", "ALICE@Example.Test", "alice", "Alice"] {
        let token = login(&world, name, "correct horse").await.unwrap();
        assert_eq!(token.account(), alice);
        assert_eq!(token.address().to_string(), "Alice@example.test");
        assert_eq!((token.scope(), token.may_send(), token.app_password()), (Protocol::Imap, true, None));
        let account = world.directory.account_by_login(name).await.unwrap().unwrap();
        assert_eq!(account.id, alice);
    }
}

#[tokio::test]
async fn every_refusal_has_the_same_answer_after_the_same_work() {
    let (world, _) = furnished().await;
    world.account("nopassword@example.test").await;
    let gone = world.account_with("gone@example.test", "correct horse").await;
    world.directory.set_state(gone, AccountState::Disabled).await.unwrap();
    world.alias("sales@example.test", &["alice@example.test"]).await;
    world.group("team@example.test", &["alice@example.test"]).await;
    let long = "x".repeat(5000);
    let refused = [
        ("alice@example.test", "wrong horse"),
        ("alice", "wrong horse"),
        ("nobody@example.test", "correct horse"),
        ("alice@elsewhere.test", "correct horse"),
        ("gone@example.test", "correct horse"),
        ("gone@example.test", "wrong horse"),
        ("nopassword@example.test", ""),
        ("sales@example.test", "correct horse"),
        ("team@example.test", "correct horse"),
        ("alice+x@example.test", "correct horse"),
        ("alice@example.test", ""),
        ("alice@example.test", &long),
        ("alice@example.test", "abcd-efgh-ijkm-npqr-stuv-wxyz"),
        ("*)(uid=*", "correct horse"),
        ("%{user}@example.test", "correct horse"),
        ("\"alice\" OR 1=1", "correct horse"),
    ];
    for (name, secret) in refused {
        assert_eq!(login(&world, name, secret).await, Err(AuthError::Refused), "{name}");
        assert_eq!(cost(&world, name, secret).await, (1, 1), "{name}");
    }
    // Names that nobody can have are not even looked up; the hash is computed all the same.
    for name in ["alice\r\n@example.test", "al\0ice@example.test", "alice@", "@", "", long.as_str()] {
        assert_eq!(login(&world, name, "correct horse").await, Err(AuthError::Refused), "{name:?}");
        assert_eq!(cost(&world, name, "correct horse").await, (0, 1), "{name:?}");
    }
}

#[tokio::test]
async fn what_was_proven_lately_costs_one_read() {
    let (world, alice) = furnished().await;
    assert_eq!(cost(&world, "alice", "correct horse").await, (1, 1));
    assert_eq!(cost(&world, "alice", "correct horse").await, (1, 0));
    assert_eq!(cost(&world, "alice@example.test", "correct horse").await, (1, 0));
    assert_eq!(cost(&world, "alice", "wrong horse").await, (1, 1));
    world.hand.advance(Duration::from_mins(10));
    assert_eq!(cost(&world, "alice", "correct horse").await, (1, 1));

    // A change counts at once, on every node.
    let node = world.node(options());
    world.directory.set_password(alice, &NewPassword::Clear("new horse".into())).await.unwrap();
    assert_eq!(login(&world, "alice", "correct horse").await, Err(AuthError::Refused));
    assert!(login(&world, "alice", "new horse").await.is_ok());
    assert!(node.authenticate("alice@example.test", "new horse", PEER, Protocol::Jmap).await.is_ok());
    node.set_state(alice, AccountState::Disabled).await.unwrap();
    assert_eq!(login(&world, "alice", "new horse").await, Err(AuthError::Refused));
    node.set_state(alice, AccountState::Active).await.unwrap();
    assert!(login(&world, "alice", "new horse").await.is_ok());
    node.delete_account(alice).await.unwrap();
    assert_eq!(login(&world, "alice", "new horse").await, Err(AuthError::Refused));
    world.account_with("alice@example.test", "other horse").await;
    assert_eq!(login(&world, "alice", "new horse").await, Err(AuthError::Refused));
}

#[tokio::test]
async fn a_blocked_sender_still_reads() {
    let (world, alice) = furnished().await;
    world.directory.set_state(alice, AccountState::ReceiveOnly).await.unwrap();
    assert!(!login(&world, "alice", "correct horse").await.unwrap().may_send());
    let submit = |secret| world.directory.authenticate("alice", secret, PEER, Protocol::Submission);
    assert_eq!(submit("correct horse").await, Err(AuthError::SendingBlocked));
    assert_eq!(submit("wrong horse").await, Err(AuthError::Refused));
}

#[tokio::test]
async fn a_bare_name_belongs_to_the_only_domain() {
    let world = World::new();
    assert_eq!(login(&world, "alice", "correct horse").await, Err(AuthError::Refused));
    let world = world.with_domain().await;
    world.account_with("alice@example.test", "correct horse").await;
    assert_eq!(cost(&world, "alice", "correct horse").await, (2, 1));
    assert!(login(&world, "alice", "correct horse").await.is_ok());
    world.domain("other.test").await;
    assert_eq!(login(&world, "alice", "correct horse").await, Err(AuthError::Refused));
    assert!(login(&world, "alice@example.test", "correct horse").await.is_ok());
}

#[tokio::test]
async fn app_passwords_are_cheap_scoped_and_revocable() {
    let (world, alice) = furnished().await;
    let scopes = Scopes::NONE.with(Protocol::Imap).with(Protocol::Submission);
    let made = world.directory.create_app_password(alice, "phone", scopes).await.unwrap();
    assert!(!format!("{made:?}").contains(&made.password));
    let token = login(&world, "alice", &made.password).await.unwrap();
    assert_eq!(token.app_password(), Some(made.id));
    assert_eq!(cost(&world, "alice", &made.password.to_uppercase()).await, (1, 0));
    assert!(login(&world, "alice", "correct horse").await.is_ok());

    // Outside its scope it is as wrong as any other.
    let before = world.directory.hashes_computed();
    let refused = world.directory.authenticate("alice", &made.password, PEER, Protocol::Jmap).await;
    assert_eq!(refused, Err(AuthError::Refused));
    assert_eq!(world.directory.hashes_computed(), before + 1);

    // It is one account's own.
    let bob = world.account("bob@example.test").await;
    let bobs = world.directory.create_app_password(bob, "tablet", Scopes::MAIL_APP).await.unwrap();
    assert_eq!(login(&world, "alice", &bobs.password).await, Err(AuthError::Refused));
    assert!(login(&world, "bob", &bobs.password).await.is_ok());

    let second = world.directory.create_app_password(alice, "laptop", Scopes::MAIL_APP).await.unwrap();
    world.directory.revoke_app_password(alice, made.id).await.unwrap();
    assert_eq!(login(&world, "alice", &made.password).await, Err(AuthError::Refused));
    assert!(login(&world, "alice", &second.password).await.is_ok());
    let again = world.directory.revoke_app_password(alice, made.id).await;
    assert_eq!(again, Err(Error::NoSuchAppPassword(made.id.0)));
    let third = world.directory.create_app_password(alice, "watch", Scopes::MAIL_APP).await.unwrap();
    assert!(third.id > second.id);
    let shown = world.directory.app_passwords(alice).await.unwrap();
    let labels: Vec<_> = shown.iter().map(|app| app.label.as_str()).collect();
    assert_eq!(labels, ["laptop", "watch"]);

    world.directory.set_state(alice, AccountState::Disabled).await.unwrap();
    assert_eq!(login(&world, "alice", &second.password).await, Err(AuthError::Refused));
}

#[tokio::test]
async fn the_use_of_an_app_password_is_written_once_a_day() {
    let (world, alice) = furnished().await;
    let made = world.directory.create_app_password(alice, "phone", Scopes::MAIL_APP).await.unwrap();
    let last_used = async || world.directory.app_passwords(alice).await.unwrap()[0].last_used;
    assert_eq!(last_used().await, None);
    let first_day = world.clock.now();
    for (hours, commits) in [(0, 1), (1, 0), (22, 0), (1, 1), (23, 0)] {
        world.hand.advance(Duration::from_hours(hours));
        world.meter.take();
        login(&world, "alice", &made.password).await.unwrap();
        assert_eq!(world.meter.take().commits, commits, "after {hours} h");
    }
    assert_eq!(last_used().await, Some(first_day.plus(Duration::from_hours(24))));
}

#[tokio::test]
async fn there_is_an_end_to_app_passwords() {
    let (world, alice) = furnished().await;
    let create = || world.directory.create_app_password(alice, "phone", Scopes::MAIL_APP);
    for _ in 0..AppPassword::MAX {
        create().await.unwrap();
    }
    assert!(matches!(create().await, Err(Error::TooMany { .. })));
    let bad = world.directory.create_app_password(alice, "pho\nne", Scopes::MAIL_APP).await;
    assert!(matches!(bad, Err(Error::Text { .. })));
    let nobody = world.directory.create_app_password(AccountId(999), "phone", Scopes::MAIL_APP).await;
    assert!(matches!(nobody, Err(Error::NoSuchAccountId(_))));
}

#[tokio::test]
async fn hashes_of_another_cost_are_renewed() {
    let (world, _) = furnished().await;
    let dear = world.node(Options { cost: Cost::new(16, 2, 1).unwrap(), ..options() });
    let enter = || dear.authenticate("alice@example.test", "correct horse", PEER, Protocol::Imap);
    enter().await.unwrap();
    assert_eq!(dear.hashes_computed(), 2);
    // The proof of the old hash is no longer one; the new hash stays.
    enter().await.unwrap();
    assert_eq!(dear.hashes_computed(), 3);
    enter().await.unwrap();
    assert_eq!(dear.hashes_computed(), 3);
}

#[tokio::test]
async fn passwords_come_in_as_hashes_too() {
    let (world, alice) = furnished().await;
    let set = async |password| world.directory.set_password(alice, &password).await;
    let params = Params::new(16, 1, 2, Some(24)).unwrap();
    let foreign = Argon2::from(params).hash_password_with_salt(b"foreign horse", b"salty salt").unwrap();
    set(NewPassword::Hash(foreign.to_string())).await.unwrap();
    assert_eq!(login(&world, "alice", "correct horse").await, Err(AuthError::Refused));
    assert!(login(&world, "alice", "foreign horse").await.is_ok());

    let refused = set(NewPassword::Hash("$1$salt$md5".into())).await;
    assert_eq!(refused, Err(Error::Password(PasswordError::Hash)));
    for (bad, why) in [
        ("abc".to_owned(), PasswordError::TooShort(4)),
        ("a\r\nbcd".to_owned(), PasswordError::Control),
        ("a".repeat(1025), PasswordError::TooLong),
    ] {
        assert_eq!(set(NewPassword::Clear(bad)).await, Err(Error::Password(why)));
    }
    assert!(login(&world, "alice", "foreign horse").await.is_ok());
}

#[tokio::test]
async fn a_store_out_of_reach_is_not_a_wrong_password() {
    let (world, _) = furnished().await;
    world.switch.off.store(true, Ordering::SeqCst);
    for name in ["alice", "nobody"] {
        assert!(matches!(login(&world, name, "correct horse").await, Err(AuthError::Store(_))));
    }
    world.switch.off.store(false, Ordering::SeqCst);
    assert!(login(&world, "alice", "correct horse").await.is_ok());
    assert_eq!(world.directory.alias(&address("alice@example.test")).await.unwrap(), None);
}

#[tokio::test]
async fn what_was_logged_in_with_counts_until_it_is_changed_or_taken_away() {
    let (world, alice) = furnished().await;
    let directory = &world.directory;
    let app = directory.create_app_password(alice, "phone", Scopes::MAIL_APP).await.unwrap();
    let by_app = login(&world, "alice", &app.password).await.unwrap();
    let by_password = login(&world, "alice", "correct horse").await.unwrap();
    let (rounds, by_app) = world.rounds(directory.credential(&by_app)).await;
    let (by_app, by_password) =
        (by_app.unwrap().unwrap(), directory.credential(&by_password).await.unwrap().unwrap());
    assert_eq!((rounds, by_app.app_password), (3, Some(app.id)));
    let count = async || {
        [directory.still_counts(&by_app).await.unwrap(), directory.still_counts(&by_password).await.unwrap()]
    };
    assert_eq!(count().await, [true, true]);
    directory.set_state(alice, AccountState::Disabled).await.unwrap();
    assert_eq!(count().await, [false, false]);
    directory.set_state(alice, AccountState::ReceiveOnly).await.unwrap();
    assert_eq!(count().await, [true, true]);
    // Also if the new password is the old one: whoever sets it wants others out.
    world.hand.advance(Duration::from_secs(1));
    directory.set_password(alice, &NewPassword::Clear("correct horse".to_owned())).await.unwrap();
    assert_eq!(count().await, [true, false]);
    directory.revoke_app_password(alice, app.id).await.unwrap();
    assert_eq!(count().await, [false, false]);
}
