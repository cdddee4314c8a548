//! Random operations against a simple model, on a good store and on one that fails in every allowed way. After
//! each step the results agree; every few steps, where all addresses lead.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::collections::{BTreeMap, BTreeSet};

use directory::{
    AccountSpec, AccountState, Address, DomainSettings, Error, PageRequest, Refusal, Resolution,
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use types::AccountId;
use world::{World, address, domain};

const DOMAINS: [&str; 2] = ["one.test", "two.test"];
/// Where targets may be; the last one never becomes ours.
const TARGETS: [&str; 3] = ["one.test", "two.test", "away.test"];
const LOCALS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "a+x"];

/// What has a name: its number, and what it is.
#[derive(Clone, Debug)]
struct Named {
    id: u64,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Account { disabled: bool },
    Alias { targets: Vec<(String, u64)> },
    Group { members: BTreeMap<String, u64> },
}

#[derive(Default, Debug)]
struct Model {
    domains: BTreeMap<String, Option<(String, u64)>>,
    names: BTreeMap<String, Named>,
    last: u64,
}

#[derive(PartialEq, Eq, Debug)]
enum Led {
    To(BTreeSet<u64>, BTreeSet<String>),
    Unknown,
    NotLocal,
    Disabled,
    Empty,
}

impl Model {
    fn is_vacant(&self, at: &str) -> bool {
        let (_, domain) = at.split_once('@').unwrap();
        self.domains.contains_key(domain) && !self.names.contains_key(at)
    }

    fn create(&mut self, at: &str, what: What) {
        self.last += 1;
        self.names.insert(at.to_owned(), Named { id: self.last, what });
    }

    fn reference(&self, at: &str) -> Option<(String, u64)> {
        self.names.get(at).map(|named| (at.to_owned(), named.id))
    }

    /// What an alias or a group may lead to: a name that is here, or 0 for one in a domain that is not.
    fn target(&self, at: &str) -> Option<(String, u64)> {
        let (_, domain) = at.split_once('@').unwrap();
        self.reference(at).or_else(|| (!self.domains.contains_key(domain)).then(|| (at.to_owned(), 0)))
    }

    /// The name here that an address means, in a domain of ours.
    fn meant(&self, at: &str) -> Option<(String, u64)> {
        let (local, domain) = at.split_once('@').unwrap();
        let bases = local.rmatch_indices('+').map(|(at, _)| format!("{}@{domain}", &local[..at]));
        let start = std::iter::once(at.to_owned()).chain(bases).find_map(|at| self.reference(&at));
        let catch_all = self.domains.get(domain).unwrap();
        let caught =
            || catch_all.clone().filter(|(at, id)| self.reference(at).is_some_and(|now| now.1 == *id));
        start.or_else(caught)
    }

    fn led(&self, at: &str) -> Led {
        let (_, domain) = at.split_once('@').unwrap();
        if !self.domains.contains_key(domain) {
            return Led::NotLocal;
        }
        let Some(start) = self.meant(at) else { return Led::Unknown };
        let mut way = Way::default();
        self.walk(&start, &mut way);
        match (way.accounts.is_empty() && way.forwards.is_empty(), way.disabled) {
            (false, _) => Led::To(way.accounts, way.forwards),
            (true, true) => Led::Disabled,
            (true, false) => Led::Empty,
        }
    }

    fn walk(&self, (at, id): &(String, u64), way: &mut Way) {
        if *id == 0 {
            let (_, domain) = at.split_once('@').unwrap();
            if !self.domains.contains_key(domain) {
                way.forwards.insert(at.clone());
            } else if let Some(meant) = self.meant(at) {
                self.walk(&meant, way);
            }
            return;
        }
        let Some(named) = self.names.get(at).filter(|named| named.id == *id) else { return };
        if !way.passed.insert(named.id) {
            return;
        }
        match &named.what {
            What::Account { disabled: true } => way.disabled = true,
            What::Account { disabled: false } => {
                way.accounts.insert(named.id);
            }
            What::Alias { targets } => targets.iter().for_each(|target| self.walk(target, way)),
            What::Group { members } => {
                let members = members.iter().map(|(at, id)| (at.clone(), *id));
                members.for_each(|member| self.walk(&member, way));
            }
        }
    }

    fn leads_over(&self, from: &str, id: u64) -> bool {
        let mut way = Way::default();
        if let Some(start) = self.target(from) {
            self.walk(&start, &mut way);
        }
        way.passed.contains(&id)
    }
}

/// Where a name leads.
#[derive(Default)]
struct Way {
    passed: BTreeSet<u64>,
    accounts: BTreeSet<u64>,
    forwards: BTreeSet<String>,
    disabled: bool,
}

/// One random step in both; they must agree on whether it worked.
async fn step(world: &World, model: &mut Model, rng: &mut StdRng) -> Result<(), Error> {
    let directory = &world.directory;
    let mut pick =
        |domains: &[&str]| format!("{}@{}", LOCALS.choose(rng).unwrap(), domains.choose(rng).unwrap());
    let (at, other, third) = (pick(&DOMAINS), pick(&TARGETS), pick(&TARGETS));
    let here = address(&at);
    let name = at.split_once('@').unwrap().1.to_owned();
    match rng.random_range(0..100) {
        0..3 => {
            let done = directory.create_domain(&domain(&name), DomainSettings::default()).await.map(|_| ());
            assert_eq!(done.is_ok(), !model.domains.contains_key(&name), "{done:?}");
            model.domains.entry(name).or_default();
            done
        }
        3..6 => {
            let used = model.names.keys().any(|at| at.ends_with(&format!("@{name}")));
            let done = directory.delete_domain(&domain(&name)).await;
            assert_eq!(done.is_ok(), model.domains.contains_key(&name) && !used, "{done:?}");
            if done.is_ok() {
                model.domains.remove(&name);
            }
            done
        }
        6..12 => {
            let target = rng.random_bool(0.8).then(|| address(&other));
            let done = directory.set_catch_all(&domain(&name), target.as_ref()).await.map(|_| ());
            let found = model.reference(&other);
            let works = model.domains.contains_key(&name) && (target.is_none() || found.is_some());
            assert_eq!(done.is_ok(), works, "{done:?}");
            if works {
                model.domains.insert(name, target.and(found));
            }
            done
        }
        12..32 => {
            let done = directory.create_account(AccountSpec::new(here, None)).await;
            assert_eq!(done.is_ok(), model.is_vacant(&at), "{done:?}");
            if let Ok(id) = &done {
                model.create(&at, What::Account { disabled: false });
                // Numbers of failed attempts are not used up.
                assert_eq!(id.0, model.last);
            }
            done.map(|_| ())
        }
        32..44 => {
            let done = directory.create_alias(&here, &[address(&other), address(&third)]).await.map(|_| ());
            let targets: Option<Vec<_>> = [&other, &third].into_iter().map(|t| model.target(t)).collect();
            assert_eq!(done.is_ok(), model.is_vacant(&at) && targets.is_some(), "{done:?}");
            if done.is_ok() {
                model.create(&at, What::Alias { targets: targets.unwrap() });
            }
            done
        }
        44..50 => {
            let done = directory.set_alias(&here, &[address(&other)]).await.map(|_| ());
            let id = match model.names.get(&at) {
                Some(Named { id, what: What::Alias { .. } }) => Some(*id),
                _ => None,
            };
            let target = model.target(&other);
            let works = id.is_some_and(|id| target.is_some() && !model.leads_over(&other, id));
            assert_eq!(done.is_ok(), works, "{done:?}");
            if works {
                let targets = vec![target.unwrap()];
                model.names.get_mut(&at).unwrap().what = What::Alias { targets };
            }
            done
        }
        50..58 => {
            let done = directory.create_group(&here, None, &[]).await.map(|_| ());
            assert_eq!(done.is_ok(), model.is_vacant(&at), "{done:?}");
            if done.is_ok() {
                model.create(&at, What::Group { members: BTreeMap::new() });
            }
            done
        }
        58..74 => add_member(world, model, &at, &other).await,
        74..80 => {
            let done = directory.remove_member(&here, &address(&other)).await;
            match model.names.get_mut(&at) {
                Some(Named { what: What::Group { members }, .. }) => {
                    assert_eq!(done, Ok(members.remove(&other).is_some()));
                }
                _ => assert!(matches!(done, Err(Error::NoSuchGroup(_))), "{done:?}"),
            }
            done.map(|_| ())
        }
        80..86 => {
            let Some(Named { id, what: What::Account { disabled } }) = model.names.get_mut(&at) else {
                return Ok(());
            };
            *disabled = !*disabled;
            let state = if *disabled { AccountState::Disabled } else { AccountState::Active };
            directory.set_state(AccountId(*id), state).await
        }
        _ => delete(world, model, &at).await,
    }
}

async fn add_member(world: &World, model: &mut Model, at: &str, member: &str) -> Result<(), Error> {
    let done = world.directory.add_member(&address(at), &address(member)).await;
    let target = model.target(member);
    let circle = model.reference(at).is_some_and(|(_, id)| model.leads_over(member, id));
    match (model.names.get_mut(at), target) {
        (Some(Named { what: What::Group { members }, .. }), Some((_, id))) if !circle => {
            let before = members.insert(member.to_owned(), id);
            assert_eq!(done, Ok(before != Some(id)));
        }
        _ => assert!(done.is_err(), "{done:?}"),
    }
    done.map(|_| ())
}

async fn delete(world: &World, model: &mut Model, at: &str) -> Result<(), Error> {
    let directory = &world.directory;
    let here = address(at);
    let Some(named) = model.names.get(at).cloned() else {
        assert!(directory.delete_alias(&here).await.is_err() && directory.delete_group(&here).await.is_err());
        return Ok(());
    };
    let done = match named.what {
        What::Account { .. } => directory.delete_account(AccountId(named.id)).await,
        What::Alias { .. } => directory.delete_alias(&here).await,
        What::Group { .. } => directory.delete_group(&here).await,
    };
    assert_eq!(done, Ok(()));
    model.names.remove(at);
    done
}

/// Where every address leads, and what the lists show.
async fn compare(world: &World, model: &Model) {
    for name in DOMAINS {
        for local in LOCALS.into_iter().chain(["b+y", "a+x+z", "nobody"]) {
            let at = format!("{local}@{name}");
            let led = match world.resolve(&at).await {
                Resolution::Local { recipients, forwards } => Led::To(
                    recipients.iter().map(|r| r.account.0).collect(),
                    forwards.iter().map(|f| f.address.to_string()).collect(),
                ),
                Resolution::UnknownUser => Led::Unknown,
                Resolution::NotLocal => Led::NotLocal,
                Resolution::Refused(Refusal::Disabled) => Led::Disabled,
                Resolution::Refused(Refusal::Empty) => Led::Empty,
                other => panic!("{at}: {other:?}"),
            };
            assert_eq!(led, model.led(&at), "{at}\n{model:#?}");
        }
    }
    let mut shown = Vec::new();
    let mut page = PageRequest::first(2);
    loop {
        let listed = world.directory.accounts(None, &page).await.unwrap();
        shown.extend(listed.items.iter().map(|account| (account.address.to_string(), account.id.0)));
        let Some(next) = listed.next else { break };
        page = PageRequest { after: Some(next.to_string().parse().unwrap()), limit: 2 };
    }
    let accounts = model.names.iter().filter(|(_, named)| matches!(named.what, What::Account { .. }));
    let mut expected: Vec<_> = accounts.map(|(at, named)| (at.clone(), named.id)).collect();
    expected.sort();
    shown.sort();
    assert_eq!(shown, expected);
    for (at, named) in &model.names {
        if let What::Group { members } = &named.what {
            let group = world.directory.group(&address(at)).await.unwrap().unwrap();
            assert_eq!(group.members as usize, members.len());
            let listed = world.directory.members(&group.address, &PageRequest::default()).await.unwrap();
            let listed: Vec<_> = listed.items.iter().map(|m| m.address.to_string()).collect();
            let expected: Vec<_> =
                members.keys().map(|at| address(at)).map(|at: Address| at.to_string()).collect();
            assert_eq!(BTreeSet::from_iter(listed), BTreeSet::from_iter(expected));
        }
    }
}

async fn play(world: World, seed: u64, steps: usize) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut model = Model::default();
    for name in DOMAINS {
        world.domain(name).await;
        model.domains.insert(name.to_owned(), None);
    }
    let mut worked = 0;
    for n in 0..steps {
        let done = step(&world, &mut model, &mut rng).await;
        assert!(!matches!(done, Err(Error::Store(_))), "{done:?}");
        worked += usize::from(done.is_ok());
        if n % 20 == 19 {
            compare(&world, &model).await;
        }
    }
    assert!(worked > steps / 5, "only {worked} of {steps} steps did something");
}

#[tokio::test]
async fn random_operations_agree_with_the_model() {
    for seed in 0..6 {
        play(World::new(), seed, 500).await;
    }
}

#[tokio::test]
async fn random_operations_agree_with_the_model_on_bad_days() {
    for seed in 0..3 {
        play(World::chaotic(seed), seed + 100, 200).await;
    }
}
