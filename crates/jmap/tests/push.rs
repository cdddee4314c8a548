//! Push by WebSocket, by long-poll and by push services (RFC 8887, RFC 8620 §7.2).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use jmap::{Limits, Message, PollRequest, PushSource};
use push::{Answer, Endpoint, Transport, Unreached};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use world::World;

/// A point on P-256 (RFC 8291 §5).
const POINT: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";

/// Hands on what is posted.
struct Post(mpsc::UnboundedSender<Value>);

#[async_trait]
impl Transport for Post {
    async fn post(
        &self,
        _: &Endpoint,
        _: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Answer, Unreached> {
        self.0.send(serde_json::from_slice(&body).unwrap()).unwrap();
        Ok(Answer { status: 201, retry_after: None })
    }
}

async fn set(world: &World, arguments: Value) -> Value {
    world.call("PushSubscription/set", arguments).await
}

async fn poll(world: &World, since: Option<&str>, types: &str, time: &str) -> Value {
    let request = PollRequest::read(since, types, Some(time)).unwrap();
    let told = world.jmap.poll(&world.alice, request, std::future::pending()).await.unwrap();
    serde_json::from_slice(&told).unwrap()
}

#[tokio::test]
async fn the_session_tells_of_all_channels() {
    let world = World::new(Limits::default()).await;
    let session =
        |base: &str| -> Value { serde_json::from_slice(&world.jmap.session(&world.alice, base)).unwrap() };
    let there = session("https://mail.example.test");
    let capabilities = &there["capabilities"];
    assert_eq!(
        capabilities["urn:ietf:params:jmap:websocket"],
        json!({"url": "wss://mail.example.test/jmap/ws", "supportsPush": true})
    );
    assert_eq!(
        capabilities["urn:magpie:params:jmap:long-poll"],
        json!({
            "url": "https://mail.example.test/jmap/poll?since={since}&types={types}&timeout={timeout}",
            "maxTimeout": 300,
        })
    );
    let key = capabilities["urn:ietf:params:jmap:webpush-vapid"]["applicationServerKey"].as_str().unwrap();
    let key = URL_SAFE_NO_PAD.decode(key).unwrap();
    assert_eq!((key.len(), key[0]), (65, 4));
    let elsewhere = session("http://localhost:8080");
    assert_eq!(
        elsewhere["capabilities"]["urn:ietf:params:jmap:websocket"]["url"],
        "ws://localhost:8080/jmap/ws"
    );
    assert_eq!(there["state"], elsewhere["state"]);
}

/// RFC 9749 §5: clients learn of another key by another state of the session.
#[tokio::test]
async fn another_key_is_another_session() {
    let (one, two) = (World::new(Limits::default()).await, World::new(Limits::default()).await);
    let state = async |world: &World| {
        let request = json!({"using": ["urn:ietf:params:jmap:core"], "methodCalls": []});
        world.ask(&world.alice, &request).await["sessionState"].clone()
    };
    assert_ne!(one.push.application_server_key(), two.push.application_server_key());
    assert_ne!(state(&one).await, state(&two).await);
}

#[tokio::test]
async fn a_subscription_from_its_code_to_its_end() {
    let world = World::new(Limits::default()).await;
    world.append(1, &[], 1, "Subject: a\n\ntext\n").await;
    let (sender, mut posted) = mpsc::unbounded_channel();
    let (push, source) = (world.push.clone(), Arc::new(PushSource(world.mail.clone())));
    tokio::spawn(async move { push.run(source, Arc::new(Post(sender)), std::future::pending()).await });
    let made = set(&world, json!({"create": {"a": {
        "deviceClientId": "phone", "url": "https://push.example.net/a", "types": ["EmailDelivery", "Mailbox"],
    }}}))
    .await;
    assert!(made.get("accountId").is_none() && made.get("newState").is_none());
    let (id, expires) = (&made["created"]["a"]["id"], &made["created"]["a"]["expires"]);
    assert_eq!(expires, "2026-01-09T03:04:05Z", "a week from now");
    let verification = posted.recv().await.unwrap();
    assert_eq!(
        (&verification["@type"], &verification["pushSubscriptionId"]),
        (&json!("PushVerification"), id)
    );
    let id = id.as_str().unwrap();
    let all = world.call("PushSubscription/get", json!({"ids": null})).await;
    assert_eq!(
        all,
        json!({"notFound": [], "list": [{
            "id": id, "deviceClientId": "phone", "verificationCode": null, "expires": expires,
            "types": ["EmailDelivery", "Mailbox"],
        }]})
    );
    let wrong = set(&world, json!({"update": {id: {"verificationCode": "x"}}})).await;
    assert_eq!(wrong["notUpdated"][id]["properties"], json!(["verificationCode"]));
    let code = &verification["verificationCode"];
    let right =
        set(&world, json!({"update": {id: {"verificationCode": code, "deviceClientId": "phone"}}})).await;
    assert_eq!(right["updated"], json!({id: null}));
    world.append(1, &[], 2, "Subject: b\n\ntext\n").await;
    let state = world.call("Email/get", json!({"accountId": "A1", "ids": []})).await["state"].clone();
    assert_eq!(
        posted.recv().await.unwrap(),
        json!({"@type": "StateChange", "changed": {"A1": {"EmailDelivery": state, "Mailbox": state}}})
    );
    let shown =
        world.call("PushSubscription/get", json!({"ids": [id], "properties": ["verificationCode"]})).await;
    assert_eq!(shown["list"], json!([{"id": id, "verificationCode": code}]));
    // A longer time than there is becomes as long as there is, and the client is told.
    let longer = set(&world, json!({"update": {id: {"expires": "2027-01-01T00:00:00Z"}}})).await;
    assert_eq!(longer["updated"], json!({id: {"expires": "2026-01-09T03:04:05Z"}}));
    let shorter =
        set(&world, json!({"update": {id: {"expires": "2026-01-03T00:00:00Z", "types": null}}})).await;
    assert_eq!(shorter["updated"], json!({id: null}));
    let gone = set(&world, json!({"destroy": [id, "P0000000000000000", "x"]})).await;
    assert_eq!(gone["destroyed"], json!([id]));
    assert_eq!(gone["notDestroyed"]["x"]["type"], "notFound");
    assert_eq!(world.call("PushSubscription/get", json!({})).await["list"], json!([]));
}

#[tokio::test]
async fn what_is_no_subscription() {
    let world = World::new(Limits::default()).await;
    let good = json!({"deviceClientId": "d", "url": "https://push.example.net/a"});
    for (name, value) in [
        ("url", json!("http://push.example.net/a")),
        ("url", json!("https://127.0.0.1/a")),
        ("url", json!(null)),
        ("deviceClientId", json!("")),
        ("keys", json!({"p256dh": POINT})),
        ("keys", json!({"p256dh": "AAAA", "auth": "AAAAAAAAAAAAAAAAAAAAAA"})),
        ("expires", json!("2025-01-01T00:00:00Z")),
        ("expires", json!("tomorrow")),
        ("types", json!("Email")),
        ("verificationCode", json!("x")),
        ("colour", json!("red")),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        let refused = set(&world, json!({"create": {"a": bad}})).await;
        let error = &refused["notCreated"]["a"];
        assert_eq!(
            (&error["type"], &error["properties"]),
            (&json!("invalidProperties"), &json!([name])),
            "{error}"
        );
    }
    // Keys with padding and without; and what is made can be named in the same call.
    let padded = URL_SAFE.encode([7; 16]);
    let mut keyed = good.clone();
    keyed["keys"] = json!({"p256dh": POINT, "auth": padded});
    let made =
        set(&world, json!({"create": {"a": keyed}, "update": {"#a": {"url": "https://b.test/"}}})).await;
    assert!(made["created"]["a"]["id"].is_string(), "{made}");
    assert_eq!(made["notUpdated"]["#a"]["properties"], json!(["url"]));
    for asked in ["url", "keys"] {
        let refused = world.call("PushSubscription/get", json!({"ids": null, "properties": [asked]})).await;
        assert_eq!(refused["type"], "forbidden");
    }
    let refused = world.call("PushSubscription/get", json!({"accountId": "A1"})).await;
    assert_eq!(refused["type"], "invalidArguments");
    // Somebody else does not find it.
    let request = json!({"using": ["urn:ietf:params:jmap:core"], "methodCalls": [
        ["PushSubscription/get", {"ids": null}, "a"],
        ["PushSubscription/set", {"destroy": [made["created"]["a"]["id"]]}, "b"],
    ]});
    let answers = world.ask(&world.bob, &request).await;
    assert_eq!(answers["methodResponses"][0][1]["list"], json!([]));
    assert_eq!(answers["methodResponses"][1][1]["destroyed"], Value::Null);
}

#[tokio::test]
async fn fault_55_a_socket_goes_on_from_a_state() {
    let world = World::new(Limits::default()).await;
    world.append(1, &[], 1, "Subject: a\n\ntext\n").await;
    let mut first = world.jmap.changes(&world.alice, None, None).await.unwrap();
    world.append(1, &[], 2, "Subject: b\n\ntext\n").await;
    let told: Value = serde_json::from_slice(&first.next().await.unwrap()).unwrap();
    assert_eq!(told["@type"], "StateChange");
    let state = told["pushState"].as_str().unwrap().to_owned();
    assert_eq!(told["changed"]["A1"]["Email"], state);
    drop(first);
    world.append(1, &[], 3, "Subject: c\n\ntext\n").await;
    let types = Some(vec!["EmailDelivery".to_owned()]);
    let mut again = world.jmap.changes(&world.alice, types, Some(&state)).await.unwrap();
    let told: Value = serde_json::from_slice(&again.next().await.unwrap()).unwrap();
    assert_eq!(told["changed"], json!({"A1": {"EmailDelivery": told["pushState"]}}));
    assert_ne!(told["pushState"], state);
}

#[tokio::test]
async fn a_socket_answers_under_the_names_of_the_client() {
    let world = World::new(Limits::default()).await;
    let said = br#"{"@type":"Request","id":"R7","using":["urn:ietf:params:jmap:core","urn:ietf:params:jmap:websocket"],
        "methodCalls":[["Core/echo",{"a":1},"c"]],"createdIds":{}}"#;
    let Ok(Message::Request(id, request)) = world.jmap.read(said) else { panic!("it is a request") };
    let answer: Value =
        serde_json::from_slice(&world.jmap.answer_message(&world.alice, id, request).await).unwrap();
    assert_eq!((&answer["@type"], &answer["requestId"]), (&json!("Response"), &json!("R7")));
    assert_eq!(answer["methodResponses"], json!([["Core/echo", {"a": 1}, "c"]]));
    assert!(answer["createdIds"].is_object() && answer["sessionState"].is_string());
}

#[tokio::test]
async fn a_poll_waits_for_what_it_does_not_know() {
    let world = World::new(Limits::default()).await;
    world.append(1, &[], 1, "Subject: a\n\ntext\n").await;
    // Who knows nothing learns where things stand.
    let now = poll(&world, None, "*", "60").await;
    assert_eq!(now["changed"], json!({}));
    let state = now["pushState"].as_str().unwrap();
    assert_eq!(poll(&world, Some(state), "*", "0").await, now);
    assert_eq!(poll(&world, Some(state), "*", "1").await, now, "the time is up");
    let email = world.append(1, &[], 2, "Subject: b\n\ntext\n").await;
    let told = poll(&world, Some(state), "*", "0").await;
    assert_eq!(told["@type"], "StateChange");
    let after = told["pushState"].as_str().unwrap();
    assert_eq!(told["changed"]["A1"]["EmailDelivery"], after);
    // One that waits hears of it when it happens.
    let flag = async {
        world
            .call("Email/set", json!({"accountId": "A1", "update": {email: {"keywords/$flagged": true}}}))
            .await
    };
    let (told, _) = tokio::join!(poll(&world, Some(after), "Email", "300"), flag);
    assert_eq!(told["changed"], json!({"A1": {"Email": told["pushState"]}}));
    // What it does not want to hear of moves the state all the same.
    let quiet = poll(&world, Some(after), "EmailDelivery", "0").await;
    assert_eq!((&quiet["changed"], &quiet["pushState"]), (&json!({}), &told["pushState"]));
    // Whoever says what is no state knows nothing.
    assert!(poll(&world, Some("what?"), "*", "0").await["changed"]["A1"].is_object());
}
