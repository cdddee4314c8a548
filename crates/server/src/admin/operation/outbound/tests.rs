use std::path::Path;
use std::time::Duration;

use queue::{Answer, Cause, EntryId, Lease, NewEntry, NewLeg, Origin, Outcome, Recipient};
use tempfile::TempDir;
use types::Timestamp;

use super::*;
use crate::data_dir::DataDir;
use crate::problem::Kind;

/// A node without a server: nothing moves but what a test moves.
struct Post {
    node: Node,
    _place: TempDir,
}

fn post() -> Post {
    let place = tempfile::tempdir().unwrap();
    let data = DataDir::choose(Some(Path::new(place.path()).to_owned())).unwrap();
    data.create().unwrap();
    Post { node: Node::open(&data).unwrap(), _place: place }
}

impl Post {
    /// Queues a message for one recipient at each of these destinations; its id is made of the number.
    async fn send(&self, number: u8, sender: &str, destinations: &[&str]) -> String {
        self.send_later(number, sender, destinations, Duration::ZERO).await
    }

    /// The same, not to be sent before so much time has passed.
    async fn send_later(&self, number: u8, sender: &str, destinations: &[&str], after: Duration) -> String {
        let leg = |name: &&str| NewLeg {
            destination: (*name).to_owned(),
            recipients: vec![Recipient { address: format!("bob@{name}"), ..Recipient::default() }],
            after,
            ..NewLeg::default()
        };
        let id = EntryId([number; 8]);
        let new = NewEntry {
            id,
            origin: Origin { sender: sender.into(), ..Origin::default() },
            received: Timestamp(u64::from(number)),
            size: 12,
            body: queue::Body::default(),
            why: "a test has sent it".into(),
            legs: destinations.iter().map(leg).collect(),
        };
        self.node.outbound.enqueue(&new).await.unwrap();
        id.to_string()
    }

    async fn ask<O: Operation>(&self, operation: O) -> Result<O::Answer, Problem> {
        operation.run(&self.node, Bytes::new()).await
    }

    async fn decide(&self, selection: Selection, decision: Decision) -> Result<Decided, Problem> {
        self.ask(Decide { selection, decision }).await
    }

    /// What a filter lets through: ids with the states of their parts.
    async fn list(&self, list: List) -> Vec<(String, Vec<State>)> {
        let rows = self.ask(list).await.unwrap().items.into_iter();
        rows.map(|row| (row.id, row.parts.iter().map(|part| part.state).collect())).collect()
    }

    async fn due(&self) -> Vec<Lease> {
        self.node.outbound.claim("a worker", 100).await.unwrap()
    }

    /// Has a destination fail for whatever is due for it; the rest is given back.
    async fn fail(&self, destination: &str) {
        for lease in self.due().await {
            if lease.destination() == destination {
                let said = Answer::from("connection refused");
                self.node.outbound.block(&lease, Cause::Connection, &said).await.unwrap();
            } else {
                self.node.outbound.give_back(&[lease]).await.unwrap();
            }
        }
    }

    async fn sentences(&self, id: &str) -> String {
        let explanation = self.ask(Explain { id: id.to_owned() }).await.unwrap();
        explanation.parts.into_iter().flat_map(|part| part.sentences).collect::<Vec<_>>().join("\n")
    }
}

fn ids(ids: &[&String]) -> Selection {
    Selection::Ids(ids.iter().map(|id| (*id).clone()).collect())
}

fn hold() -> Decision {
    Decision::Hold { why: "by carol: let me see".into() }
}

const A: &str = "a.example";
const B: &str = "b.example";
const ALICE: &str = "alice@example.test";

#[tokio::test]
async fn filters_choose_messages_and_what_of_them_is_meant() {
    let post = post();
    let both = post.send(1, ALICE, &[A, B]).await;
    let one = post.send(2, ALICE, &[A]).await;
    let bounce = post.send(3, "", &[B]).await;
    let none = List::default;
    let waiting = || vec![State::Waiting];
    assert_eq!(post.list(none()).await.len(), 3);
    let to_a = List { destination: Some("A.Example".into()), ..none() };
    assert_eq!(post.list(to_a).await, [(both.clone(), waiting()), (one.clone(), waiting())]);
    let from = |sender: &str| List { sender: Some(sender.into()), ..none() };
    assert_eq!(post.list(from("alice@EXAMPLE.test")).await.len(), 2);
    assert_eq!(post.list(from("<>")).await, [(bounce.clone(), waiting())]);

    post.decide(ids(&[&bounce]), hold()).await.unwrap();
    post.decide(Selection::Destination(A.into()), hold()).await.unwrap();
    post.due().await;
    let held = List { held: true, ..none() };
    assert_eq!(
        post.list(held).await,
        [(both, vec![State::InLine]), (one, vec![State::InLine]), (bounce, vec![State::Held])]
    );
}

#[tokio::test]
async fn what_failed_is_decided_about_without_the_rest_of_the_message() {
    let post = post();
    let id = post.send(1, "", &[A, B]).await;
    for lease in post.due().await {
        let outcome = if lease.destination() == A {
            Outcome::Never("550 no such user".into())
        } else {
            Outcome::Later("450 not now".into())
        };
        post.node.outbound.settle(&lease, vec![(0, outcome)]).await.unwrap();
    }
    let failed = || List { failed: true, ..List::default() };
    assert_eq!(post.list(failed()).await, [(id.clone(), vec![State::Failed])]);
    let decided = post.decide(Selection::Failed, Decision::Drop).await.unwrap();
    assert_eq!((decided.action.as_str(), decided.messages, decided.parts), ("drop", 1, 1));
    assert!(post.list(failed()).await.is_empty());
    assert_eq!(post.list(List::default()).await, [(id, vec![State::Waiting])]);
}

#[tokio::test]
async fn a_destination_is_held_with_what_comes_later_and_released() {
    let post = post();
    post.send(1, ALICE, &[A]).await;
    let at_a = || Selection::Destination(A.into());
    post.decide(at_a(), hold()).await.unwrap();
    let later = post.send(2, ALICE, &[A]).await;
    assert!(post.due().await.is_empty());
    let said = post.sentences(&later).await;
    assert!(said.contains("a.example has been held for") && said.contains("by carol: let me see"), "{said}");

    let problem = post.decide(at_a(), Decision::Retry).await.unwrap_err();
    assert!(problem.message.contains("`magpie queue release --destination a.example`"), "{problem}");
    let retried = post.decide(ids(&[&later]), Decision::Retry).await.unwrap();
    assert!(retried.notes[0].starts_with("a.example is held"), "{retried:?}");
    assert!(post.due().await.is_empty());

    let [line] = post.ask(Lines { after: None }).await.unwrap().items.try_into().unwrap();
    assert_eq!((line.state, line.waiting, line.next.as_deref()), (Still::Held, 2, None));
    let released = post.decide(at_a(), Decision::Release).await.unwrap();
    assert_eq!((released.destination.as_deref(), released.waiting), (Some(A), Some(2)));
    assert_eq!(post.due().await.len(), 2);
    let problem = post.decide(at_a(), Decision::Release).await.unwrap_err();
    assert_eq!(problem.kind, Kind::Invalid);
}

#[tokio::test]
async fn a_destination_that_fails_is_tried_by_one_for_all() {
    let post = post();
    for number in 1..=3 {
        post.send(number, ALICE, &[A]).await;
    }
    let elsewhere = post.send(4, ALICE, &[B]).await;
    post.fail(A).await;
    let decided = post.decide(Selection::Destination(A.into()), Decision::Retry).await.unwrap();
    assert_eq!((decided.messages, decided.waiting), (0, Some(3)));
    let leases = post.due().await;
    let to_a: Vec<&Lease> = leases.iter().filter(|lease| lease.destination() == A).collect();
    assert_eq!(to_a.len(), 1);
    assert!(to_a[0].is_probe());
    let said = post.sentences(&elsewhere).await;
    assert!(said.contains("being sent now, in attempt 1, by a worker"), "{said}");

    let all = post.ask(Survey { after: None }).await.unwrap();
    let told: Vec<_> = all.items.iter().map(|t| (t.destination.as_str(), t.state, t.parts)).collect();
    assert_eq!(told, [(A, State::Waiting, 2), (A, State::Sending, 1), (B, State::Sending, 1)]);
}

#[tokio::test]
async fn a_message_that_is_not_there_keeps_the_others_as_they_were() {
    let post = post();
    let id = post.send(1, ALICE, &[A]).await;
    let gone = EntryId([9; 8]).to_string();
    for decision in [Decision::Retry, hold(), Decision::Release, Decision::Drop] {
        let problem = post.decide(ids(&[&id, &gone]), decision).await.unwrap_err();
        assert_eq!(problem.kind, Kind::NotFound);
    }
    assert_eq!(post.list(List::default()).await, [(id, vec![State::Waiting])]);
    let problem = post.ask(Explain { id: "no-id".into() }).await.unwrap_err();
    assert_eq!(problem.kind, Kind::Invalid);
}

#[tokio::test]
async fn messages_are_held_released_and_rerouted() {
    let post = post();
    let id = post.send(1, ALICE, &[A, B]).await;
    let other = post.send(2, "dave@example.test", &[A]).await;
    let held = post.decide(Selection::Sender("alice@Example.test".into()), hold()).await.unwrap();
    assert_eq!((held.messages, held.parts), (1, 2));
    let retried = post.decide(ids(&[&id]), Decision::Retry).await.unwrap();
    assert_eq!(retried.messages, 0);
    assert!(retried.notes[0].contains(&format!("`magpie queue release {id}`")), "{retried:?}");
    let leases = post.due().await;
    let leased: Vec<String> = leases.iter().map(|lease| lease.id().to_string()).collect();
    assert_eq!(leased, std::slice::from_ref(&other));
    let sending = post.decide(ids(&[&other]), Decision::Drop).await.unwrap();
    assert!(sending.notes[0].contains("may arrive nevertheless"), "{sending:?}");

    post.decide(ids(&[&id]), Decision::Release).await.unwrap();
    let by_way =
        |from: Option<&str>| Decision::Reroute { to: "Relay.example".into(), from: from.map(str::to_owned) };
    let rerouted = post.decide(ids(&[&id]), by_way(Some(A))).await.unwrap();
    assert_eq!((rerouted.messages, rerouted.parts), (1, 1));
    let rerouted = post.decide(ids(&[&id]), by_way(None)).await.unwrap();
    assert_eq!(rerouted.parts, 1, "the other is there already");
    let [row] = post.ask(List::default()).await.unwrap().items.try_into().unwrap();
    assert!(row.parts.iter().all(|part| part.destination == "relay.example"), "{row:?}");
    let same = post.decide(Selection::Destination("relay.example".into()), by_way(None)).await.unwrap_err();
    assert_eq!(same.kind, Kind::Invalid);
    let message = post.ask(Show { id }).await.unwrap();
    assert_eq!((message.sender.as_str(), message.transfer.as_str()), (ALICE, "7bit"));
    assert!(message.parts[0].history.iter().any(|event| event.what.contains("held by carol: let me see")));
}

#[tokio::test]
async fn what_is_for_later_is_sent_before_its_time_by_a_release_alone() {
    let post = post();
    let id = post.send_later(1, ALICE, &[A], Duration::from_hours(24)).await;
    let retried = post.decide(ids(&[&id]), Decision::Retry).await.unwrap();
    assert_eq!(retried.messages, 0);
    assert!(retried.notes[0].contains(&format!("`magpie queue release {id}`")), "{retried:?}");
    for selection in [Selection::Destination(A.into()), Selection::Sender(ALICE.into())] {
        let retried = post.decide(selection, Decision::Retry).await.unwrap();
        assert_eq!(retried.messages, 0);
        assert!(retried.notes[0].starts_with("1 part waits for a time"), "{retried:?}");
    }
    let by_way = || Decision::Reroute { to: B.into(), from: None };
    let rerouted = post.decide(ids(&[&id]), by_way()).await.unwrap();
    assert_eq!((rerouted.messages, rerouted.parts), (1, 1));
    assert!(rerouted.notes[0].contains("goes there at its time"), "{rerouted:?}");
    assert!(post.due().await.is_empty());
    let said = post.sentences(&id).await;
    assert!(said.contains("It is not to be tried before its time"), "{said}");
    post.decide(ids(&[&id]), Decision::Release).await.unwrap();
    let [lease] = post.due().await.try_into().unwrap();
    assert_eq!(lease.destination(), B);
}
