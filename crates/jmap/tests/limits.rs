//! What a client cannot make the server do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::time::Duration;

use jmap::{Limits, TransferError};
use serde_json::{Value, json};
use world::World;

fn calls(calls: Vec<Value>) -> Value {
    json!({"using": ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"], "methodCalls": calls})
}

/// Each call doubles what the one before it echoed.
#[tokio::test]
async fn fault_49_references_do_not_multiply() {
    let world = World::new(Limits { values: 1 << 20, ..Limits::default() }).await;
    let mut chain = vec![json!(["Core/echo", {"a": "x".repeat(1000), "b": 0}, "0"])];
    for n in 1..60 {
        let before = json!({"resultOf": (n - 1).to_string(), "name": "Core/echo", "path": ""});
        chain.push(json!(["Core/echo", {"#a": before, "#b": before}, n.to_string()]));
    }
    let response = world.ask(&world.alice, &calls(chain)).await;
    let responses = response["methodResponses"].as_array().unwrap();
    assert_eq!(responses.len(), 60);
    assert_eq!(responses[5][0], "Core/echo");
    assert_eq!(responses[59][1]["type"], "invalidResultReference");
    assert!(response.to_string().len() < 3 << 20);
}

#[tokio::test]
async fn an_answer_has_an_end() {
    let world = World::new(Limits { answer: 50_000, ..Limits::default() }).await;
    let long = format!("Subject: long\nContent-Type: text/plain\n\n{}\n", "words ".repeat(2_000));
    for n in 0..10 {
        world.append(1, &[], 1_767_000_000_000 + n, &long).await;
    }
    let wanted =
        json!({"accountId": "A1", "ids": null, "properties": ["bodyValues"], "fetchAllBodyValues": true});
    let told = world.call("Email/get", wanted).await;
    assert_eq!(told["type"], "requestTooLarge", "{told}");
    let wanted = json!({"accountId": "A1", "ids": null, "properties": ["bodyValues"], "fetchAllBodyValues": true,
                        "maxBodyValueBytes": 1000});
    let told = world.call("Email/get", wanted).await;
    assert_eq!(told["list"].as_array().unwrap().len(), 10, "{told}");
    // What one call has used up, the others do not have.
    let echo = json!(["Core/echo", {"a": "x".repeat(30_000)}, "a"]);
    let response = world.ask(&world.alice, &calls(vec![echo.clone(), echo])).await;
    assert_eq!(response["methodResponses"][0][0], "Core/echo");
    assert_eq!(response["methodResponses"][1][1]["type"], "requestTooLarge");
}

/// Many parts, each in many forms: what is shown is bounded before it is put together.
#[tokio::test]
async fn fault_49_parts_do_not_multiply() {
    let world = World::new(Limits { answer: usize::MAX, ..Limits::default() }).await;
    let mut raw = "Subject: parts\nContent-Type: multipart/mixed; boundary=x\n\n".to_owned();
    raw += &"--x\nX-Long: y\n\nz\n".repeat(5_000);
    world.append(1, &[], 1_767_000_000_000, &(raw + "--x--\n")).await;
    // Names of fields are the same in any case, and still different properties.
    let cased = |n: u32| -> String {
        let upper = |(at, c): (usize, char)| if n >> at & 1 == 1 { c.to_ascii_uppercase() } else { c };
        "xlongname".char_indices().map(upper).collect()
    };
    let forms: Vec<String> = (0..150).map(|n| format!("header:{}", cased(n))).collect();
    let wanted = |forms: &[String]| {
        json!({"accountId": "A1", "ids": null, "properties": ["bodyStructure", "attachments", "textBody"],
               "bodyProperties": forms})
    };
    let told = world.call("Email/get", wanted(&forms)).await;
    assert_eq!(told["type"], "requestTooLarge", "{}", told["type"]);
    let told = world.call("Email/get", wanted(&forms[..1])).await;
    assert_eq!(told["list"][0]["bodyStructure"]["subParts"].as_array().map(Vec::len), Some(5_000));
}

/// What a request has read of blobs, it reads no more of, whatever becomes of what it was read for.
#[tokio::test]
async fn fault_49_blobs_are_not_read_without_end() {
    let world = World::new(Limits { blobs: 5_000, ..Limits::default() }).await;
    let blob = upload(&world, &[b'x'; 2_000]).await;
    let names: Vec<String> = (0..6).map(|n| format!("c{n}")).collect();
    let each = |object: Value| -> Value { names.iter().map(|name| (name.clone(), object.clone())).collect() };
    let refused = |told: &Value, kind: &str| {
        let refused = told["notCreated"].as_object().unwrap();
        refused.values().filter(|error| error["type"] == kind).count()
    };
    let nowhere = json!({"blobId": blob, "mailboxIds": {"F9999": true}});
    let told = world.call("Email/import", json!({"accountId": "A1", "emails": each(nowhere)})).await;
    assert_eq!((refused(&told, "rateLimit"), refused(&told, "invalidProperties")), (4, 2), "{told}");
    let draft = json!({"mailboxIds": {"F1": true}, "attachments": [{"blobId": blob, "type": "text/plain"}]});
    let told = world.call("Email/set", json!({"accountId": "A1", "create": each(draft)})).await;
    assert_eq!(refused(&told, "rateLimit"), 4, "{told}");
    assert_eq!(told["created"].as_object().map(serde_json::Map::len), Some(2), "{told}");
}

/// What lies in one message is read with it, once.
#[tokio::test]
async fn many_parts_of_one_message_are_forwarded() {
    let world = World::new(Limits { blobs: 5_000, ..Limits::default() }).await;
    let photo = format!("--x\r\nContent-Type: image/png\r\n\r\n{}\r\n", "p".repeat(900));
    let album = format!("Content-Type: multipart/mixed; boundary=x\r\n\r\n{}--x--\r\n", photo.repeat(4));
    let blob = upload(&world, album.as_bytes()).await;
    let part = |index: u32| json!({"blobId": format!("{blob}-{index}"), "type": "image/png"});
    let draft = |parts: Vec<Value>| json!({"mailboxIds": {"F1": true}, "attachments": parts});
    let create = json!({"all": draft((1..=4).map(part).collect()), "none": draft(vec![part(1), part(9)])});
    let told = world.call("Email/set", json!({"accountId": "A1", "create": create})).await;
    assert!(told["created"]["all"]["size"].as_u64().is_some_and(|size| size > 3_600), "{told}");
    assert_eq!(told["notCreated"]["none"]["type"], "rateLimit", "{told}");
    let create = json!({"none": draft(vec![part(1), part(9)])});
    let told = world.call("Email/set", json!({"accountId": "A1", "create": create})).await;
    assert_eq!(told["notCreated"]["none"]["notFound"], json!([format!("{blob}-9")]), "{told}");
}

/// What is to follow from a submission is counted with it, not after it.
#[tokio::test]
async fn nothing_is_sent_if_what_follows_is_refused() {
    let world = World::new(Limits { objects_in_set: 2, ..Limits::default() }).await;
    let email =
        world.append(1, &[], 1_767_000_000_000, "From: alice@example.test\nTo: a@x.test\n\nx\n").await;
    let identity = world.call("Identity/get", json!({"accountId": "A1", "ids": null})).await;
    let wanted = json!({"a": {"emailId": email, "identityId": identity["list"][0]["id"]}});
    let patch = json!({"keywords/$seen": true});
    let too_many = json!({"accountId": "A1", "create": wanted, "onSuccessDestroyEmail": ["#a"],
                          "onSuccessUpdateEmail": {"#a": patch, "#b": patch}});
    let told = world.call("EmailSubmission/set", too_many).await;
    assert_eq!(told["type"], "requestTooLarge", "{told}");
    let sent = world.call("EmailSubmission/query", json!({"accountId": "A1"})).await;
    assert_eq!(sent["ids"], json!([]), "{sent}");
}

async fn upload(world: &World, content: &[u8]) -> String {
    let account = format!("A{}", world.alice.account());
    let mut upload = world.jmap.upload(&world.alice, &account, "text/plain").unwrap();
    for piece in content.chunks(1_000) {
        upload.write(piece).await.unwrap();
    }
    let uploaded = upload.finish().await.unwrap();
    let uploaded: Value = serde_json::from_slice(&uploaded).unwrap();
    uploaded["blobId"].as_str().unwrap().to_owned()
}

async fn is_there(world: &World, blob: &str) -> bool {
    let account = format!("A{}", world.alice.account());
    world.jmap.download(&world.alice, &account, blob).await.is_ok()
}

#[tokio::test]
async fn uploads_are_their_accounts_own() {
    let world = World::new(Limits::default()).await;
    let blob = upload(&world, b"mine").await;
    assert_eq!(blob, upload(&world, b"mine").await);
    let (alice, bob) = (format!("A{}", world.alice.account()), format!("A{}", world.bob.account()));
    let download = world.jmap.download(&world.alice, &alice, &blob).await.unwrap();
    assert_eq!(download.size(), 4);
    let mut stream = download.stream(1..9);
    assert_eq!(stream.next().await.unwrap().as_deref(), Some(&b"ine"[..]));
    assert_eq!(stream.next().await.unwrap(), None);
    for (account, blob) in [(&bob, &*blob), (&alice, &*blob), (&bob, "B1"), (&bob, "nothing")] {
        let refused = world.jmap.download(&world.bob, account, blob).await;
        assert_eq!(refused.err(), Some(TransferError::NotFound));
    }
    let refused = world.jmap.upload(&world.bob, &alice, "text/plain");
    assert_eq!(refused.err(), Some(TransferError::NotFound));
    // They go after a day, and with them what they were kept for.
    world.hand.advance(Duration::from_secs(86_401));
    assert!(!is_there(&world, &blob).await);
    assert_eq!(world.mail.upkeep(world.alice.account()).await.unwrap().uploads_forgotten, 1);
}

#[tokio::test]
async fn of_too_many_uploads_the_oldest_go() {
    let world = World::new(Limits::default()).await;
    let first = upload(&world, b"first").await;
    let mut last = String::new();
    for n in 0..1_000 {
        world.hand.advance(Duration::from_secs(1));
        last = upload(&world, format!("upload {n}").as_bytes()).await;
    }
    assert!(!is_there(&world, &first).await && is_there(&world, &last).await);
}

#[tokio::test]
async fn an_upload_is_no_larger_than_was_announced() {
    let world = World::new(Limits { size_upload: 10, ..Limits::default() }).await;
    let account = format!("A{}", world.alice.account());
    let mut upload = world.jmap.upload(&world.alice, &account, "text/plain").unwrap();
    upload.write(b"0123456789").await.unwrap();
    assert_eq!(upload.write(b"x").await, Err(TransferError::TooLarge(10)));
}

#[tokio::test]
async fn all_urls_of_the_session_are_absolute() {
    let world = World::new(Limits::default()).await;
    let session = world.jmap.session(&world.alice, "https://mail.example.test");
    let session: Value = serde_json::from_slice(&session).unwrap();
    for url in ["apiUrl", "downloadUrl", "uploadUrl", "eventSourceUrl"] {
        assert!(session[url].as_str().unwrap().starts_with("https://mail.example.test/jmap/"), "{url}");
    }
    // RFC 8620 §2
    for (url, variables) in [
        ("downloadUrl", &["{accountId}", "{blobId}", "{type}", "{name}"][..]),
        ("uploadUrl", &["{accountId}"]),
        ("eventSourceUrl", &["{types}", "{closeafter}", "{ping}"]),
    ] {
        let url = session[url].as_str().unwrap();
        assert!(variables.iter().all(|variable| url.contains(variable)), "{url}");
    }
    assert_eq!(session["username"], "alice@example.test");
    let (core, limits) = (&session["capabilities"]["urn:ietf:params:jmap:core"], Limits::default());
    assert_eq!(core["maxObjectsInGet"], limits.objects_in_get);
    assert_eq!(core["maxSizeRequest"], limits.size_request);
    let response = world.ask(&world.alice, &calls(Vec::new())).await;
    assert_eq!(response["sessionState"], session["state"]);
}
