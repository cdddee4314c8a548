//! Where addresses lead, and what it costs to find out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::sync::atomic::Ordering;

use directory::{
    AccountSpec, AccountState, DomainSettings, Error, NameError, Options, PageRequest, Quota, Refusal,
    Resolution, Separator,
};
use world::{World, address, domain, options};

async fn furnished() -> World {
    let world = World::new().with_domain().await;
    world.domain("other.test").await;
    for name in ["alice", "bob", "carol"] {
        world.account(&format!("{name}@example.test")).await;
    }
    world
}

#[tokio::test]
async fn a_look_up_costs_what_the_documentation_says() {
    let world = furnished().await;
    world.alias("sales@example.test", &["alice@example.test"]).await;
    world.alias("shop@other.test", &["sales@example.test"]).await;
    world.group("team@example.test", &["alice@example.test", "bob@example.test", "sales@example.test"]).await;
    world.alias("away@example.test", &["a@elsewhere.test", "b@elsewhere.test", "c@far.test"]).await;
    world.directory.set_catch_all(&domain("other.test"), Some(&address("bob@example.test"))).await.unwrap();

    let costs = [
        ("alice@example.test", 1),
        ("ALICE@EXAMPLE.TEST", 1),
        ("nobody@example.test", 1),
        ("someone@elsewhere.test", 1),
        ("someone@[192.0.2.1]", 0),
        ("alice+list@example.test", 2),
        ("nobody+list@example.test", 2),
        ("sales@example.test", 2),
        ("sales+list@example.test", 3),
        ("shop@other.test", 3),
        ("whoever@other.test", 2),
        ("whoever+list@other.test", 2),
        // The name, the members, and what these are; then what the alias among them leads to is known already.
        ("team@example.test", 3),
        // The name, and whether the domains that it leads to are ours.
        ("away@example.test", 2),
    ];
    for (at, expected) in costs {
        let (rounds, _) = world.rounds(world.resolve(at)).await;
        assert_eq!(rounds, expected, "{at}");
    }
}

#[tokio::test]
async fn a_recipient_is_told_how_the_mail_came() {
    let world = World::new();
    world.domain("example.test").await;
    let quota = Quota { bytes: Some(100), messages: Some(7) };
    let spec = AccountSpec { quota, ..AccountSpec::new(address("Alice@example.test"), None) };
    let alice = world.directory.create_account(spec).await.unwrap();

    let Resolution::Local { recipients, .. } = world.resolve("aLICE+Shop@Example.Test").await else {
        panic!()
    };
    let [recipient] = recipients.as_slice() else { panic!() };
    assert_eq!(recipient.account, alice);
    assert_eq!(recipient.address.to_string(), "Alice@example.test");
    assert_eq!(recipient.delivered_to, "aLICE+Shop@Example.Test");
    assert_eq!(recipient.detail.as_deref(), Some("Shop"));
    assert_eq!(recipient.limits, quota);
    assert_eq!(world.directory.limits(alice).await.unwrap(), Some(quota));
}

#[tokio::test]
async fn an_exact_name_goes_before_a_detail_and_that_before_the_catch_all() {
    let world = furnished().await;
    let exact = world.account("alice+vip@example.test").await;
    let alice = world.accounts_of("alice@example.test").await;
    let carol = world.accounts_of("carol@example.test").await;
    let name = domain("example.test");
    world.directory.set_catch_all(&name, Some(&address("carol@example.test"))).await.unwrap();
    assert_eq!(world.accounts_of("alice+vip@example.test").await, [exact]);
    assert_eq!(world.accounts_of("alice+vip+more@example.test").await, [exact]);
    assert_eq!(world.accounts_of("alice+other@example.test").await, alice);
    for caught in ["nobody@example.test", "nobody+x@example.test", "+x@example.test", "*)(uid=*@example.test"]
    {
        assert_eq!(world.accounts_of(caught).await, carol, "{caught}");
    }
    assert_eq!(world.accounts_of(&format!("{}@example.test", "x".repeat(300))).await, carol);
    world.directory.set_catch_all(&name, None).await.unwrap();
    assert_eq!(world.resolve("nobody@example.test").await, Resolution::UnknownUser);

    let separator = Some(Separator::new('-').unwrap());
    let settings = DomainSettings { separator };
    world.directory.set_domain(&name, settings).await.unwrap();
    assert_eq!(world.accounts_of("alice-x@example.test").await, alice);
    assert_eq!(world.resolve("alice+x@example.test").await, Resolution::UnknownUser);
    world.directory.set_domain(&name, DomainSettings { separator: None }).await.unwrap();
    assert_eq!(world.resolve("alice-x@example.test").await, Resolution::UnknownUser);
    assert!(Separator::new('@').is_err() && Separator::new('.').is_err());
}

#[tokio::test]
async fn groups_reach_each_account_once() {
    let world = furnished().await;
    world.alias("sales@example.test", &["alice@example.test", "bob@example.test"]).await;
    world.group("inner@example.test", &["alice@example.test", "sales@example.test"]).await;
    world.group("outer@other.test", &["inner@example.test", "bob@example.test", "carol@example.test"]).await;
    assert_eq!(world.accounts_of("outer@other.test").await.len(), 3);
    assert_eq!(world.accounts_of("inner@example.test").await.len(), 2);
    let shown = world.directory.group(&address("outer@other.test")).await.unwrap().unwrap();
    assert_eq!(shown.members, 3);
    assert!(!world.directory.add_member(&shown.address, &address("Bob@example.test")).await.unwrap());
    assert!(world.directory.remove_member(&shown.address, &address("carol@example.test")).await.unwrap());
    assert!(!world.directory.remove_member(&shown.address, &address("carol@example.test")).await.unwrap());
    assert_eq!(world.accounts_of("outer@other.test").await.len(), 2);
}

#[tokio::test]
async fn circles_are_refused() {
    let world = furnished().await;
    world.group("a@example.test", &["alice@example.test"]).await;
    world.group("b@example.test", &["a@example.test"]).await;
    world.alias("c@example.test", &["b@example.test"]).await;
    for (group, member) in [("a", "a"), ("a", "b"), ("a", "c"), ("b", "c")] {
        let (group, member) = (format!("{group}@example.test"), format!("{member}@example.test"));
        let refused = world.directory.add_member(&address(&group), &address(&member)).await;
        assert!(matches!(refused, Err(Error::Circle { .. })), "{group} {member}: {refused:?}");
    }
    world.alias("d@example.test", &["c@example.test"]).await;
    let refused = world.directory.set_alias(&address("c@example.test"), &[address("d@example.test")]).await;
    assert!(matches!(refused, Err(Error::Circle { .. })), "{refused:?}");
    assert_eq!(world.accounts_of("d@example.test").await.len(), 1);
}

#[tokio::test]
async fn there_is_an_end_to_members_steps_and_recipients() {
    let narrow = Options { group_members: 3, recipients: 4, nesting: 2, ..options() };
    let world = World::with(narrow, None).with_domain().await;
    for n in 0..6 {
        world.account(&format!("u{n}@example.test")).await;
    }
    world.group("a@example.test", &["u0@example.test", "u1@example.test", "u2@example.test"]).await;
    let refused = world.directory.add_member(&address("a@example.test"), &address("u3@example.test")).await;
    assert_eq!(refused, Err(Error::TooMany { what: "members of a group", limit: 3 }));
    world.group("b@example.test", &["u3@example.test", "u4@example.test"]).await;
    world.group("ab@example.test", &["a@example.test", "b@example.test"]).await;
    assert_eq!(world.resolve("ab@example.test").await, Resolution::Refused(Refusal::TooLarge));

    world.alias("one@example.test", &["u0@example.test"]).await;
    world.alias("two@example.test", &["one@example.test"]).await;
    world.alias("three@example.test", &["two@example.test"]).await;
    assert_eq!(world.accounts_of("two@example.test").await.len(), 1);
    assert_eq!(world.resolve("three@example.test").await, Resolution::Refused(Refusal::TooLarge));
}

#[tokio::test]
async fn a_group_comes_with_all_of_its_members_or_not_at_all() {
    let world = furnished().await;
    let (team, members) = (address("team@example.test"), ["alice", "nobody"]);
    let members = members.map(|name| address(&format!("{name}@example.test")));
    let refused = Err(Error::NoSuchTarget(members[1].clone()));
    assert_eq!(world.directory.create_group(&team, None, &members).await, refused);
    assert_eq!(world.directory.group(&team).await.unwrap(), None);
    assert_eq!(world.resolve("team@example.test").await, Resolution::UnknownUser);

    let alice = [members[0].clone(), members[0].clone()];
    assert_eq!(world.directory.create_group(&team, None, &alice).await.unwrap().members, 1);
    let more = [address("bob@example.test"), members[1].clone()];
    assert_eq!(world.directory.add_members(&team, &more).await, Err(Error::NoSuchTarget(more[1].clone())));
    assert_eq!(world.accounts_of("team@example.test").await.len(), 1);
    let more = [address("bob@example.test"), members[0].clone()];
    assert_eq!(world.directory.add_members(&team, &more).await, Ok(1));
    assert_eq!(world.directory.group(&team).await.unwrap().unwrap().members, 2);
}

#[tokio::test]
async fn states_decide_who_gets_mail() {
    let world = furnished().await;
    let alice = world.accounts_of("alice@example.test").await[0];
    world.alias("sales@example.test", &["alice@example.test"]).await;
    world.group("team@example.test", &["alice@example.test", "bob@example.test"]).await;
    world.directory.set_state(alice, AccountState::ReceiveOnly).await.unwrap();
    assert_eq!(world.accounts_of("sales@example.test").await, [alice]);
    world.directory.set_state(alice, AccountState::Disabled).await.unwrap();
    for refused in ["alice@example.test", "alice+x@example.test", "sales@example.test"] {
        assert_eq!(world.resolve(refused).await, Resolution::Refused(Refusal::Disabled), "{refused}");
    }
    assert_eq!(world.accounts_of("team@example.test").await.len(), 1);
}

#[tokio::test]
async fn a_freed_name_does_not_inherit_mail() {
    let world = furnished().await;
    world.alias("sales@example.test", &["bob@example.test"]).await;
    world.group("team@example.test", &["bob@example.test", "alice@example.test"]).await;
    let name = domain("example.test");
    world.directory.set_catch_all(&name, Some(&address("bob@example.test"))).await.unwrap();
    let bob = world.accounts_of("bob@example.test").await[0];
    world.directory.delete_account(bob).await.unwrap();
    assert_eq!(world.directory.account(bob).await.unwrap(), None);
    assert_eq!(world.directory.delete_account(bob).await, Err(Error::NoSuchAccountId(bob)));

    let other = world.account("bob@example.test").await;
    assert!(other > bob);
    assert_eq!(world.accounts_of("bob@example.test").await, [other]);
    assert_eq!(world.resolve("sales@example.test").await, Resolution::Refused(Refusal::Empty));
    assert_eq!(world.resolve("nobody@example.test").await, Resolution::UnknownUser);
    assert_eq!(world.accounts_of("team@example.test").await.len(), 1);
    let targets = world.directory.alias_targets(&address("sales@example.test")).await.unwrap();
    assert!(!targets[0].exists);
    let members =
        world.directory.members(&address("team@example.test"), &PageRequest::default()).await.unwrap();
    assert_eq!(members.items.iter().map(|member| member.exists).collect::<Vec<_>>(), [true, false]);

    // Added again, the name means its new owner.
    assert!(
        world
            .directory
            .add_member(&address("team@example.test"), &address("bob@example.test"))
            .await
            .unwrap()
    );
    assert!(world.accounts_of("team@example.test").await.contains(&other));
    assert_eq!(world.directory.group(&address("team@example.test")).await.unwrap().unwrap().members, 2);
}

#[tokio::test]
async fn a_store_out_of_reach_is_never_an_unknown_user() {
    let world = furnished().await;
    world.switch.off.store(true, Ordering::SeqCst);
    for at in ["alice@example.test", "nobody@example.test", "a@elsewhere.test", "postmaster"] {
        assert!(matches!(world.directory.resolve(at).await, Err(Error::Store(_))), "{at}");
    }
    world.switch.off.store(false, Ordering::SeqCst);
    assert_eq!(world.resolve("nobody@example.test").await, Resolution::UnknownUser);
}

#[tokio::test]
async fn odd_addresses_get_plain_answers() {
    let world = furnished().await;
    for bad in ["alice@example.test\r\nDATA", "al\0ice@example.test", "a\n@example.test"] {
        assert_eq!(world.directory.resolve(bad).await, Err(Error::Name(NameError::Control)), "{bad:?}");
    }
    assert_eq!(world.directory.resolve("alice").await, Err(Error::Name(NameError::NoDomain)));
    for unknown in ["@example.test", "al\u{200b}ice@example.test", "a b@example.test", "\"\"@example.test"] {
        assert_eq!(world.resolve(unknown).await, Resolution::UnknownUser, "{unknown:?}");
    }
    for foreign in ["alice@exa_mple.test", "alice@[IPv6:::1]", "alice@", "alice@\u{202e}example.test"] {
        assert_eq!(world.resolve(foreign).await, Resolution::NotLocal, "{foreign:?}");
    }
    assert_eq!(world.accounts_of("\"Alice\"@example.test").await.len(), 1);
}

#[tokio::test]
async fn a_postmaster_needs_no_domain() {
    let options = Options { default_domain: Some(domain("example.test")), ..options() };
    let world = World::with(options, None).with_domain().await;
    world.domain("other.test").await;
    let alice = world.account("alice@example.test").await;
    world.alias("postmaster@example.test", &["alice@example.test"]).await;
    assert_eq!(world.accounts_of("Postmaster").await, [alice]);
}

#[tokio::test]
async fn one_name_has_one_form() {
    let world = World::new().with_domain().await;
    world.domain("메일.example").await;
    let kim = world.account("김철수@메일.example").await;
    // NFD, and the domain as A-labels.
    let spelled = "\u{1100}\u{1175}\u{11b7}\u{110e}\u{1165}\u{11af}\u{1109}\u{116e}@xn--h32bq4v.EXAMPLE";
    assert_eq!(domain("메일.example").as_str(), domain(&spelled[spelled.find('@').unwrap() + 1..]).as_str());
    assert_eq!(world.accounts_of(spelled).await, [kim]);
    let again = world.directory.create_account(AccountSpec::new(address(spelled), None)).await;
    assert!(matches!(again, Err(Error::NameTaken(_))));
    // A look-alike of "alice" with a Cyrillic letter, and names that only make trouble.
    for bad in
        ["\u{0430}lice@example.test", "*)(uid=*@example.test", "%{user}@example.test", "a b@example.test"]
    {
        let refused = world.directory.create_account(AccountSpec::new(address(bad), None)).await;
        assert!(matches!(refused, Err(Error::Name(_))), "{bad:?}: {refused:?}");
        assert_eq!(world.resolve(bad).await, Resolution::UnknownUser);
    }
}
