//! Push by events (RFC 8620 §7.3).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use jmap::{Event, EventRequest, Events, Limits};
use serde_json::{Value, json};
use world::World;

async fn listen(world: &World, types: &str, close_after: &str, ping: &str, last: Option<&str>) -> Events {
    let request = EventRequest::read(types, close_after, ping).unwrap();
    world.jmap.events(&world.alice, request, last).await.unwrap()
}

/// What an event says of alice's account.
fn changed(event: &Event) -> Vec<String> {
    assert_eq!(event.name, "state");
    let data: Value = serde_json::from_str(&event.data).unwrap();
    assert_eq!(data["@type"], "StateChange");
    let states = data["changed"]["A1"].as_object().unwrap();
    assert!(states.values().all(|state| state.as_str() == event.id.as_deref()));
    states.keys().cloned().collect()
}

#[tokio::test]
async fn what_has_changed_is_told() {
    let world = World::new(Limits::default()).await;
    let email = world.append(1, &[], 1, "Subject: a\n\ntext\n").await;
    let mut all = listen(&world, "*", "no", "0", None).await;
    let mut deliveries = listen(&world, "EmailDelivery", "no", "0", None).await;
    world.append(1, &["$seen"], 2, "Subject: b\n\ntext\n").await;
    let event = all.next().await.unwrap();
    assert_eq!(changed(&event), ["Email", "EmailDelivery", "Mailbox", "Thread"]);
    assert_eq!(changed(&deliveries.next().await.unwrap()), ["EmailDelivery"]);
    world.call("Email/set", json!({"accountId": "A1", "update": {email: {"keywords/$flagged": true}}})).await;
    assert!(changed(&all.next().await.unwrap()).contains(&"Email".to_owned()));
    // Several changes at once are one event.
    world.append(1, &[], 3, "Subject: c\n\ntext\n").await;
    world.append(1, &[], 4, "Subject: d\n\ntext\n").await;
    assert_eq!(changed(&deliveries.next().await.unwrap()), ["EmailDelivery"]);
}

#[tokio::test]
async fn fault_55_who_comes_back_misses_nothing() {
    let world = World::new(Limits::default()).await;
    world.append(1, &[], 1, "Subject: a\n\ntext\n").await;
    let mut first = listen(&world, "*", "no", "0", None).await;
    world.append(1, &[], 2, "Subject: b\n\ntext\n").await;
    let last = first.next().await.unwrap().id.unwrap();
    drop(first);
    // While nobody listens.
    world.append(1, &[], 3, "Subject: c\n\ntext\n").await;
    let mut again = listen(&world, "*", "state", "0", Some(&last)).await;
    assert!(changed(&again.next().await.unwrap()).contains(&"Email".to_owned()));
    assert_eq!(again.next().await, None, "closeafter=state");
    // Where it stands somebody who says something else does not know.
    let mut lost = listen(&world, "*", "state", "0", Some("what?")).await;
    assert!(lost.next().await.is_some());
    let current = world.call("Email/get", json!({"accountId": "A1", "ids": []})).await;
    let state = current["state"].as_str().unwrap();
    // Who knows the state hears of what comes after it, and of that alone.
    let mut current = listen(&world, "*", "no", "0", Some(state)).await;
    world.append(1, &[], 4, "Subject: d\n\ntext\n").await;
    let event = current.next().await.unwrap();
    let after = world.call("Email/get", json!({"accountId": "A1", "ids": []})).await;
    assert_eq!(event.id.as_deref(), after["state"].as_str());
}

/// RFC 9425 §5.
#[tokio::test]
async fn quotas_are_told_of_where_there_are_limits() {
    let world = World::new(Limits::default()).await;
    let email = world.append(1, &[], 1, "Subject: a\n\ntext\n").await;
    let mut quotas = listen(&world, "Quota", "no", "0", None).await;
    world.append(1, &[], 2, "Subject: b\n\ntext\n").await;
    let limits = |bytes| mail::Quota { bytes, emails: None };
    world.mail.note_limits(world.alice.account(), limits(Some(1_000))).await.unwrap();
    let set = quotas.next().await.unwrap();
    assert_eq!(changed(&set), ["Quota"]);
    let now = world.call("Email/get", json!({"accountId": "A1", "ids": []})).await;
    assert_eq!(
        set.id.as_deref(),
        now["state"].as_str(),
        "not of the email that came before there was a limit"
    );
    // What is read or marked is no news of a quota, and a limit that was noted is none twice.
    world.call("Email/set", json!({"accountId": "A1", "update": {&email: {"keywords/$seen": true}}})).await;
    world.mail.note_limits(world.alice.account(), limits(Some(1_000))).await.unwrap();
    world.call("Email/set", json!({"accountId": "A1", "destroy": [email]})).await;
    let used = quotas.next().await.unwrap();
    let now = world.call("Email/get", json!({"accountId": "A1", "ids": []})).await;
    assert_eq!((changed(&used), used.id.as_deref()), (vec!["Quota".to_owned()], now["state"].as_str()));
    world.mail.note_limits(world.alice.account(), limits(None)).await.unwrap();
    assert_eq!(changed(&quotas.next().await.unwrap()), ["Quota"]);
}
