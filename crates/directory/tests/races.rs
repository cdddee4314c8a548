//! Several at once: what must not both happen does not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::future::Future;

use directory::{
    AccountSpec, Directory, DomainSettings, Error, NewPassword, Page, PageRequest, Protocol, Refusal,
    Resolution, Scopes,
};
use world::{World, address, domain};

/// Runs `work` for each number at once.
async fn at_once<T, F, Fut>(world: &World, count: usize, work: F) -> Vec<T>
where
    T: Send + 'static,
    F: Fn(Directory, usize) -> Fut,
    Fut: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..count).map(|n| tokio::spawn(work(world.directory.clone(), n))).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

async fn worlds() -> [World; 2] {
    [World::new().with_domain().await, World::chaotic(7).with_domain().await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_creators_of_one_name_one_wins() {
    for world in worlds().await {
        world.account("target@example.test").await;
        for round in 0..5 {
            let created = at_once(&world, 6, move |directory, n| async move {
                let at = address(&format!("{}{round}@example.test", ["name", "Name", "NAME"][n % 3]));
                let target = [address("target@example.test")];
                match n % 3 {
                    0 => directory.create_account(AccountSpec::new(at, None)).await.map(|_| ()),
                    1 => directory.create_alias(&at, &target).await.map(|_| ()),
                    _ => directory.create_group(&at, None, &[]).await.map(|_| ()),
                }
            })
            .await;
            assert_eq!(created.iter().filter(|created| created.is_ok()).count(), 1, "{created:?}");
            let lost = created.iter().filter(|created| matches!(created, Err(Error::NameTaken(_)))).count();
            assert_eq!(lost, 5, "{created:?}");
        }
        let domains = at_once(&world, 4, |directory, _| async move {
            directory.create_domain(&domain("new.test"), DomainSettings::default()).await
        })
        .await;
        assert_eq!(domains.iter().filter(|created| created.is_ok()).count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ids_are_given_out_once() {
    for world in worlds().await {
        let mut ids = at_once(&world, 20, |directory, n| async move {
            let spec = AccountSpec::new(address(&format!("user{n}@example.test")), None);
            directory.create_account(spec).await.unwrap()
        })
        .await;
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 20);
        for id in ids {
            assert_eq!(world.directory.account(id).await.unwrap().unwrap().id, id);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_domain_does_not_vanish_under_a_new_account() {
    for world in worlds().await {
        for round in 0..8 {
            let name = format!("d{round}.test");
            world.domain(&name).await;
            at_once(&world, 2, move |directory, n| async move {
                let at = address(&format!("alice@d{round}.test"));
                match n {
                    0 => directory.create_account(AccountSpec::new(at, None)).await.map(|_| ()),
                    _ => directory.delete_domain(&domain(&format!("d{round}.test"))).await,
                }
            })
            .await;
            let there = world.directory.domain(&domain(&name)).await.unwrap().is_some();
            let resolved = world.resolve(&format!("alice@{name}")).await;
            assert_eq!(there, matches!(resolved, Resolution::Local { .. }), "{resolved:?}");
            assert_eq!(!there, resolved == Resolution::NotLocal, "{resolved:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_sent_on_to_a_domain_of_ours() {
    for world in worlds().await {
        for round in 0..8 {
            at_once(&world, 3, move |directory, n| async move {
                let name = domain(&format!("d{round}.test"));
                let target = address(&format!("alice@d{round}.test"));
                match n {
                    0 => directory.create_domain(&name, DomainSettings::default()).await.map(|_| ()),
                    1 => {
                        let at = address(&format!("alias{round}@example.test"));
                        directory.create_alias(&at, std::slice::from_ref(&target)).await.map(|_| ())
                    }
                    _ => {
                        let at = address(&format!("group{round}@example.test"));
                        directory.create_group(&at, None, &[target]).await.map(|_| ())
                    }
                }
            })
            .await;
            for name in ["alias", "group"] {
                let at = format!("{name}{round}@example.test");
                let resolved = world.resolve(&at).await;
                let nobody = Resolution::Refused(Refusal::Empty);
                assert!(resolved == nobody || resolved == Resolution::UnknownUser, "{resolved:?}");
            }
            let alice = world.account(&format!("alice@d{round}.test")).await;
            for name in ["alias", "group"] {
                match world.resolve(&format!("{name}{round}@example.test")).await {
                    Resolution::Local { recipients, forwards } => {
                        assert_eq!((recipients[0].account, forwards), (alice, Vec::new()));
                    }
                    other => assert_eq!(other, Resolution::UnknownUser),
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_halves_of_a_circle_do_not_meet() {
    for world in worlds().await {
        for round in 0..8 {
            let names: Vec<_> = (0..3).map(|n| format!("g{round}{n}@example.test")).collect();
            for name in &names {
                world.group(name, &[]).await;
            }
            let added = at_once(&world, 3, move |directory, n| async move {
                let at = |n: usize| address(&format!("g{round}{}@example.test", n % 3));
                directory.add_member(&at(n), &at(n + 1)).await
            })
            .await;
            let circles = added.iter().filter(|added| matches!(added, Err(Error::Circle { .. }))).count();
            assert_eq!(circles, 1, "{added:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn members_and_app_passwords_are_all_there() {
    for world in worlds().await {
        world.group("team@example.test", &[]).await;
        let alice = world.account("alice@example.test").await;
        for n in 0..10 {
            world.account(&format!("user{n}@example.test")).await;
        }
        let added = at_once(&world, 20, |directory, n| async move {
            let member = address(&format!("user{}@example.test", n % 10));
            directory.add_member(&address("team@example.test"), &member).await.unwrap()
        })
        .await;
        assert_eq!(added.iter().filter(|added| **added).count(), 10);
        let team = world.directory.group(&address("team@example.test")).await.unwrap().unwrap();
        assert_eq!(team.members, 10);
        let page = PageRequest::first(7);
        let Page { items, next } = world.directory.members(&team.address, &page).await.unwrap();
        assert_eq!((items.len(), next.is_some()), (7, true));
        let rest = PageRequest { after: next, limit: 7 };
        assert_eq!(world.directory.members(&team.address, &rest).await.unwrap().items.len(), 3);

        let mut ids: Vec<_> = at_once(&world, 8, move |directory, _| async move {
            directory.create_app_password(alice, "app", Scopes::MAIL_APP).await.unwrap().id
        })
        .await;
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 8);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_password_changes_whole() {
    for world in worlds().await {
        let alice = world.account_with("alice@example.test", "password 0").await;
        at_once(&world, 4, move |directory, n| async move {
            let password = NewPassword::Clear(format!("password {}", n + 1));
            directory.set_password(alice, &password).await.unwrap();
        })
        .await;
        let peer = "192.0.2.1".parse().unwrap();
        let mut right = 0;
        for n in 0..5 {
            let secret = format!("password {n}");
            let login =
                world.directory.authenticate("alice@example.test", &secret, peer, Protocol::Imap).await;
            right += usize::from(login.is_ok());
        }
        assert_eq!(right, 1);
    }
}
