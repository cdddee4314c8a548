//! What reading costs, counted where it crosses the store's contract: it follows the page, not the account.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use jmap::Limits;
use serde_json::{Value, json};
use store::kv::Counts;
use world::World;

async fn filled(count: u64) -> World {
    let world = World::new(Limits::default()).await;
    for n in 0..count {
        let raw = format!("From: a@example.test\nSubject: letter {n}\nMessage-ID: <{n}@x>\n\ntext\n");
        world.append(1, &[], 1_767_000_000_000 + n * 1000, &raw).await;
    }
    world
}

async fn cost(world: &World, calls: Value) -> (Value, Counts) {
    world.rows.take();
    let using = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"];
    let response = world.ask(&world.alice, &json!({"using": using, "methodCalls": calls})).await;
    (response["methodResponses"].clone(), world.rows.take())
}

/// What a list of emails shows.
const SHOWN: [&str; 9] = [
    "threadId",
    "mailboxIds",
    "keywords",
    "receivedAt",
    "from",
    "subject",
    "preview",
    "hasAttachment",
    "size",
];

/// The first page of a webmail: 50 threads with what a list shows.
fn first_page() -> Value {
    json!([
        ["Email/query", {"accountId": "A1", "filter": {"inMailbox": "F1"}, "collapseThreads": true,
                         "limit": 50, "calculateTotal": true}, "a"],
        ["Email/get", {"accountId": "A1", "#ids": {"resultOf": "a", "name": "Email/query", "path": "/ids"},
                       "properties": SHOWN}, "b"],
        ["Thread/get", {"accountId": "A1", "#ids": {"resultOf": "b", "name": "Email/get",
                                                    "path": "/list/*/threadId"}}, "c"],
    ])
}

#[tokio::test]
async fn the_first_page_does_not_grow_with_the_mailbox() {
    let mut costs = Vec::new();
    for count in [100, 1_000] {
        let world = filled(count).await;
        let (responses, counts) = cost(&world, first_page()).await;
        assert_eq!(responses[0][1]["total"], count);
        assert_eq!(responses[1][1]["list"].as_array().unwrap().len(), 50);
        assert_eq!(responses[2][1]["list"].as_array().unwrap().len(), 50);
        costs.push((counts.read_rounds, counts.rows_read));
    }
    assert_eq!(costs[0], costs[1], "rounds and rows");
    let (rounds, rows) = costs[0];
    assert!(rounds <= 11 && rows <= 51 + 50 + 50 + 50 + 60, "{rounds} rounds, {rows} rows");
}

#[tokio::test]
async fn what_has_changed_is_read_from_the_log_whatever_else_there_is() {
    let mut costs = Vec::new();
    for count in [100, 1_000] {
        let world = filled(count).await;
        let flag =
            json!([["Email/set", {"accountId": "A1", "update": {"M50T50": {"keywords/$seen": true}}}, "a"]]);
        let (responses, _) = cost(&world, flag).await;
        assert_eq!(responses[0][1]["updated"], json!({"M50T50": null}));
        let since = json!({"accountId": "A1", "sinceState": responses[0][1]["oldState"]});
        let (responses, counts) = cost(&world, json!([["Email/changes", since, "a"]])).await;
        assert_eq!(responses[0][1]["updated"], json!(["M50T50"]));
        costs.push((counts.read_rounds, counts.rows_read));
    }
    assert_eq!(costs[0], costs[1], "rounds and rows");
    let (rounds, rows) = costs[0];
    assert!(rounds <= 8 && rows <= 16, "{rounds} rounds, {rows} rows");
}

#[tokio::test]
async fn a_call_that_sets_a_thousand_flags_is_one_commit() {
    let world = filled(1_000).await;
    let update: serde_json::Map<String, Value> =
        (1..=1_000).map(|n| (format!("M{n}T{n}"), json!({"keywords/$flagged": true}))).collect();
    let set = json!([["Email/set", {"accountId": "A1", "update": update}, "a"]]);
    let (responses, counts) = cost(&world, set).await;
    assert_eq!(responses[0][1]["updated"].as_object().unwrap().len(), 1_000);
    assert_eq!(counts.commits, 1, "{counts:?}");
    // Of each its row, its thread and its place in the mailbox; of the mailbox its row and counters.
    assert!(counts.rows_read <= 4 * 1_000 && counts.rows_written <= 6 * 1_000, "{counts:?}");
}

#[tokio::test]
async fn what_a_list_shows_of_a_thousand_emails_is_their_rows_and_records() {
    let world = filled(1_000).await;
    let ids: Vec<String> = (1..=1_000).map(|n| format!("M{n}T{n}")).collect();
    let get = json!([["Email/get", {"accountId": "A1", "ids": ids, "properties": SHOWN}, "a"]]);
    let (responses, counts) = cost(&world, get).await;
    assert_eq!(responses[0][1]["list"].as_array().unwrap().len(), 1_000);
    assert!(counts.read_rounds <= 20 && counts.rows_read <= 2 * 1_000 + 20, "{counts:?}");
}

#[tokio::test]
async fn changes_of_a_list_are_read_from_its_beginning() {
    let world = filled(1_000).await;
    let (responses, _) = cost(&world, first_page()).await;
    let state = responses[0][1]["queryState"].clone();
    world.append(1, &[], 1_768_000_000_000, "Subject: new\n\ntext\n").await;
    let arguments = json!({"accountId": "A1", "filter": {"inMailbox": "F1"}, "collapseThreads": true,
                           "sinceQueryState": state, "calculateTotal": true});
    let (responses, counts) = cost(&world, json!([["Email/queryChanges", arguments, "a"]])).await;
    assert_eq!(responses[0][1]["added"][0]["index"], 0, "{responses}");
    assert_eq!(responses[0][1]["total"], 1_001);
    assert!(counts.rows_read <= 64 + 100, "{counts:?}");
}

/// What of a search is looked at follows from what it asks for, not from how much mail there is.
#[tokio::test]
async fn a_page_of_a_search_does_not_grow_with_the_account() {
    const NEWS: u64 = 60;
    let world = filled(1_000).await;
    world.append(3, &[], 1_768_000_000_000, "Subject: elsewhere\n\ntext\n").await;
    let hour = json!({"inMailbox": "F1", "after": "2025-12-29T09:30:00Z", "before": "2025-12-29T09:31:00Z"});
    let by_size = json!([{"property": "size"}]);
    for (arguments, ids, total, rows) in [
        // As much as there is of that minute, in whatever order.
        (json!({"filter": hour, "calculateTotal": true}), 60, json!(60), 60),
        (json!({"filter": hour, "calculateTotal": true, "sort": by_size}), 60, json!(60), 2 * 60),
        // The list, the row, the record and the message of as many as are shown.
        (json!({"filter": {"inMailbox": "F1", "text": "letter"}, "limit": 10}), 10, json!(null), 3 * 10),
        (json!({"filter": {"inMailbox": "F1", "body": "text"}, "limit": 10}), 10, json!(null), 4 * 10),
        // Everywhere, the newest first.
        (json!({"limit": 10}), 10, json!(null), 10),
        (json!({"filter": {"inMailboxOtherThan": ["F3"]}, "limit": 10}), 10, json!(null), 10),
        (json!({"filter": {"body": "text"}, "limit": 10}), 10, json!(null), 4 * 10),
    ] {
        let mut arguments = arguments;
        arguments["accountId"] = json!("A1");
        let what = arguments.to_string();
        let (responses, counts) = cost(&world, json!([["Email/query", arguments, "a"]])).await;
        assert_eq!(responses[0][1]["ids"].as_array().unwrap().len(), ids, "{what}: {responses}");
        assert_eq!(responses[0][1]["total"], total, "{what}");
        assert!(counts.rows_read <= rows + NEWS, "{what}: {counts:?}");
    }
}
