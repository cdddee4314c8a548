//! A client that only follows changes ends with exactly what the server has, whatever happens and however small its steps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::collections::BTreeMap;

use jmap::Limits;
use serde_json::{Map, Value, json};
use world::World;

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).unwrap()
    }
}

/// A client's copy of one type.
struct Copy {
    kind: &'static str,
    state: String,
    things: BTreeMap<String, Value>,
}

impl Copy {
    async fn follow(&mut self, world: &World, step: usize) {
        loop {
            let arguments = json!({"accountId": "A1", "sinceState": self.state, "maxChanges": step});
            let changes = world.call(&format!("{}/changes", self.kind), arguments).await;
            let ids = |list: &str| -> Vec<String> {
                let list = changes[list].as_array().unwrap_or_else(|| panic!("{changes}"));
                list.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
            };
            let changed = [ids("created"), ids("updated")].concat();
            assert!(changed.len() + ids("destroyed").len() <= step, "{changes}");
            for id in ids("destroyed") {
                self.things.remove(&id);
            }
            let got =
                world.call(&format!("{}/get", self.kind), json!({"accountId": "A1", "ids": changed})).await;
            for thing in got["list"].as_array().unwrap() {
                self.things.insert(thing["id"].as_str().unwrap().to_owned(), thing.clone());
            }
            // What is gone by now is among those destroyed in a later step.
            for id in got["notFound"].as_array().unwrap() {
                self.things.remove(id.as_str().unwrap());
            }
            self.state = changes["newState"].as_str().unwrap().to_owned();
            if changes["hasMoreChanges"] == false {
                return;
            }
        }
    }

    async fn check(&self, world: &World) {
        let all = world.call(&format!("{}/get", self.kind), json!({"accountId": "A1", "ids": null})).await;
        let all: BTreeMap<String, Value> = all["list"]
            .as_array()
            .unwrap_or_else(|| panic!("{all}"))
            .iter()
            .map(|thing| (thing["id"].as_str().unwrap().to_owned(), thing.clone()))
            .collect();
        assert_eq!(self.things, all, "{}", self.kind);
    }
}

/// A client's list of a query's results.
struct List {
    query: Value,
    state: String,
    ids: Vec<String>,
}

impl List {
    fn arguments(&self, more: Value) -> Value {
        let mut arguments = self.query.as_object().unwrap().clone();
        arguments.extend(more.as_object().unwrap().clone());
        Value::Object(arguments)
    }

    async fn begin(&mut self, world: &World) {
        let found = world.call("Email/query", self.query.clone()).await;
        let ids = found["ids"].as_array().unwrap_or_else(|| panic!("{found}"));
        self.ids = ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        self.state = found["queryState"].as_str().unwrap().to_owned();
    }

    /// RFC 8620 §5.6: removals first, then what was added, in order.
    async fn follow(&mut self, world: &World) {
        let since = json!({"sinceQueryState": self.state});
        let changes = world.call("Email/queryChanges", self.arguments(since)).await;
        let removed = changes["removed"].as_array().unwrap_or_else(|| panic!("{changes}"));
        self.ids.retain(|id| !removed.contains(&Value::from(id.as_str())));
        for added in changes["added"].as_array().unwrap() {
            let index = usize::try_from(added["index"].as_u64().unwrap()).unwrap();
            self.ids.insert(index, added["id"].as_str().unwrap().to_owned());
        }
        self.state = changes["newQueryState"].as_str().unwrap().to_owned();
    }
}

#[tokio::test]
async fn a_client_that_follows_has_what_the_server_has() {
    let world = World::new(Limits::default()).await;
    world.append(1, &[], 1_767_000_000_000, "Subject: 0\nMessage-ID: <0@x>\n\ntext\n").await;
    let start = world.call("Mailbox/get", json!({"accountId": "A1", "ids": []})).await;
    let state = start["state"].as_str().unwrap().to_owned();
    let mut copies = Vec::new();
    for kind in ["Mailbox", "Thread", "Email"] {
        let got = world.call(&format!("{kind}/get"), json!({"accountId": "A1", "ids": null})).await;
        let things = got["list"].as_array().unwrap().iter();
        let things = things.map(|thing| (thing["id"].as_str().unwrap().to_owned(), thing.clone())).collect();
        copies.push(Copy { kind, state: state.clone(), things });
    }
    let mut lists = Vec::new();
    for (filter, sort, collapse) in [
        (json!({"inMailbox": "F1"}), json!([{"property": "receivedAt", "isAscending": false}]), false),
        (json!({"inMailbox": "F1"}), json!([{"property": "receivedAt", "isAscending": false}]), true),
        (json!({"notKeyword": "$seen"}), json!([{"property": "subject"}, {"property": "receivedAt"}]), false),
        (json!({"someInThreadHaveKeyword": "$flagged"}), json!([{"property": "size"}]), true),
        (json!({"inMailboxOtherThan": ["F1"]}), json!([{"property": "receivedAt"}]), true),
    ] {
        let query = json!({"accountId": "A1", "filter": filter, "sort": sort, "collapseThreads": collapse});
        let mut list = List { query, state: String::new(), ids: Vec::new() };
        list.begin(&world).await;
        lists.push(list);
    }
    let mut dice = Dice(0x5eed_cafe_f00d);
    for round in 1..120_u64 {
        for _ in 0..=dice.roll(3) {
            act(&world, &mut dice, round).await;
        }
        let step = 1 + dice.roll(4);
        for copy in &mut copies {
            copy.follow(&world, step).await;
            copy.check(&world).await;
        }
        for list in &mut lists {
            list.follow(&world).await;
            let found = world.call("Email/query", list.query.clone()).await;
            assert_eq!(json!(list.ids), found["ids"], "{} in round {round}", list.query);
        }
    }
    let findings = world.mail.verify(world.alice.account()).await.unwrap();
    assert!(findings.is_empty(), "{findings:?}");
}

/// Something that somebody does to the account.
async fn act(world: &World, dice: &mut Dice, round: u64) {
    let emails = world.call("Email/query", json!({"accountId": "A1"})).await;
    let emails: Vec<String> =
        emails["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    let any = |dice: &mut Dice| emails.get(dice.roll(emails.len().max(1))).cloned();
    match dice.roll(8) {
        0..=2 => {
            let answers = dice.roll(usize::try_from(round).unwrap());
            let received = 1_767_000_000_000 + u64::try_from(dice.roll(1_000)).unwrap() * 60_000;
            let number = dice.roll(1_000_000);
            let raw = format!(
                "Subject: Re: {}\nMessage-ID: <{number}@x>\nReferences: <{answers}@x>\n\ntext\n",
                answers % 5
            );
            world.append(1 + u32::try_from(dice.roll(3)).unwrap(), &[], received, &raw).await;
        }
        3..=5 => {
            let mut update = Map::new();
            for _ in 0..=dice.roll(6) {
                let Some(email) = any(dice) else { return };
                let keyword = ["$seen", "$flagged"][dice.roll(2)];
                let value = if dice.roll(2) == 0 { Value::Null } else { true.into() };
                update.insert(email, json!({format!("keywords/{keyword}"): value}));
            }
            world.call("Email/set", json!({"accountId": "A1", "update": update})).await;
        }
        6 => {
            let Some(email) = any(dice) else { return };
            let mailbox = format!("F{}", 1 + dice.roll(3));
            let update = json!({email: {"mailboxIds": {mailbox: true}}});
            world.call("Email/set", json!({"accountId": "A1", "update": update})).await;
        }
        _ => {
            let Some(email) = any(dice) else { return };
            world.call("Email/set", json!({"accountId": "A1", "destroy": [email]})).await;
        }
    }
}
