//! Identities and submissions (RFC 8621 §6, §7). What sends is a stand-in: what it does stands in the server's tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use jmap::Limits;
use mail::Delivery;
use serde_json::{Value, json};
use types::{Keywords, MailboxId, Timestamp};
use world::World;

const LETTER: &str = "From: alice@example.test\nTo: bob@example.test\nBcc: carol@example.test\n\
                      Message-ID: <1@x>\nSubject: x\n\ntext\n";

async fn identity(world: &World) -> Value {
    let found = world.call("Identity/get", json!({"accountId": "A1", "ids": null})).await;
    found["list"][0]["id"].clone()
}

/// The responses to one `EmailSubmission/set`.
async fn set(world: &World, arguments: Value) -> Value {
    let using = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:submission"];
    let request = json!({"using": using, "methodCalls": [["EmailSubmission/set", arguments, "c"]]});
    world.ask(&world.alice, &request).await["methodResponses"].clone()
}

async fn send(world: &World, email: &str, envelope: Value) -> Value {
    let submission = json!({"identityId": identity(world).await, "emailId": email, "envelope": envelope});
    set(world, json!({"accountId": "A1", "create": {"k": submission}})).await[0][1].clone()
}

#[tokio::test]
async fn an_account_has_an_identity_from_its_first_day() {
    let world = World::new(Limits::default()).await;
    let first = world.call("Identity/get", json!({"accountId": "A1", "ids": null})).await;
    let [own] = first["list"].as_array().unwrap().as_slice() else { panic!("{first}") };
    assert_eq!((&own["email"], &own["mayDelete"]), (&json!("alice@example.test"), &json!(false)));
    assert_eq!(
        (&own["replyTo"], &own["bcc"], &own["textSignature"]),
        (&Value::Null, &Value::Null, &json!(""))
    );
    let again = world.call("Identity/get", json!({"accountId": "A1", "ids": [own["id"], "I999", "x"]})).await;
    assert_eq!((&again["state"], &again["list"]), (&first["state"], &first["list"]));
    assert_eq!(again["notFound"], json!(["I999", "x"]));
}

#[tokio::test]
async fn identities_are_changed() {
    let world = World::new(Limits::default()).await;
    let own = identity(&world).await;
    let own = own.as_str().unwrap();
    let state = world.call("Identity/get", json!({"accountId": "A1", "ids": []})).await["state"].clone();
    let set = world
        .call(
            "Identity/set",
            json!({"accountId": "A1", "ifInState": state,
                   "create": {"plus": {"email": "alice+x@example.test", "bcc": [{"email": "b@x.test"}]},
                              "foreign": {"email": "bob@example.test"}, "none": {"name": "x"},
                              "star": {"email": "*@example.test"},
                              "large": {"email": "alice@example.test", "textSignature": "x".repeat(70_000)},
                              "odd": {"email": "alice@example.test", "mayDelete": true}},
                   "update": {own: {"name": "Alice", "htmlSignature": "<b>A</b>"}},
                   "destroy": [own, "I77"]}),
        )
        .await;
    let plus = set["created"]["plus"]["id"].as_str().unwrap();
    assert_eq!(set["created"]["plus"]["mayDelete"], true);
    let refused = |name: &str| set["notCreated"][name]["type"].as_str().unwrap().to_owned();
    assert_eq!([refused("foreign"), refused("star")], ["forbiddenFrom", "forbiddenFrom"]);
    assert_eq!([refused("none"), refused("odd")], ["invalidProperties", "invalidProperties"]);
    assert_eq!(refused("large"), "tooLarge");
    assert_eq!(set["notUpdated"][own]["type"], "willDestroy");
    assert_eq!(set["notDestroyed"][own]["type"], "forbidden");
    assert_eq!(set["notDestroyed"]["I77"]["type"], "notFound");
    let update = json!({"accountId": "A1", "update": {
        own: {"name": "Alice", "replyTo": [{"name": "Desk", "email": "desk@example.test"}]},
        plus: {"email": "bob@example.test"}, "I77": {"name": "x"}}});
    let updated = world.call("Identity/set", update).await;
    assert!(updated["updated"].as_object().unwrap().contains_key(own));
    assert_eq!(updated["notUpdated"][plus]["properties"], json!(["email"]));
    assert_eq!(updated["notUpdated"]["I77"]["type"], "notFound");
    let changes = world.call("Identity/changes", json!({"accountId": "A1", "sinceState": state})).await;
    assert_eq!((&changes["created"], &changes["updated"]), (&json!([plus]), &json!([own])));
    let gone = world.call("Identity/set", json!({"accountId": "A1", "destroy": [plus]})).await;
    assert_eq!(gone["destroyed"], json!([plus]));
}

#[tokio::test]
async fn sending_moves_the_email_or_destroys_it() {
    let world = World::new(Limits::default()).await;
    let (draft, note) = (
        world.append(1, &["$draft"], 1, LETTER).await,
        world.append(1, &["$draft"], 2, &LETTER.replace("<1@x>", "<2@x>")).await,
    );
    let identity = identity(&world).await;
    let submission = |email: &str| json!({"identityId": identity, "emailId": email});
    let responses = set(
        &world,
        json!({"accountId": "A1",
               "create": {"a": submission(&draft), "b": submission(&note), "c": submission("M99T9")},
               "onSuccessUpdateEmail": {"#a": {"keywords/$draft": null}, "#c": {"keywords/$seen": true}},
               "onSuccessDestroyEmail": ["#b", "#c"]}),
    )
    .await;
    let names: Vec<&str> = responses.as_array().unwrap().iter().map(|r| r[0].as_str().unwrap()).collect();
    assert_eq!(names, ["EmailSubmission/set", "Email/set"]);
    assert!(responses.as_array().unwrap().iter().all(|response| response[2] == "c"));
    let (sent, emails) = (&responses[0][1], &responses[1][1]);
    assert_eq!(sent["notCreated"]["c"]["properties"], json!(["emailId"]));
    assert_eq!(emails["updated"], json!({draft.as_str(): null}));
    assert_eq!(emails["destroyed"], json!([note]));
    // The envelope followed from the message, and the submission stays though its email is gone.
    let b = sent["created"]["b"]["id"].clone();
    let found = world.call("EmailSubmission/get", json!({"accountId": "A1", "ids": [b]})).await;
    let shown = &found["list"][0];
    assert_eq!(shown["envelope"]["mailFrom"], json!({"email": "alice@example.test", "parameters": null}));
    let to: Vec<&str> = shown["envelope"]["rcptTo"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["email"].as_str().unwrap())
        .collect();
    assert_eq!(to, ["bob@example.test", "carol@example.test"]);
    assert_eq!((&shown["emailId"], &shown["undoStatus"]), (&json!(note), &json!("final")));
    assert_eq!(shown["deliveryStatus"]["bob@example.test"]["displayed"], "unknown");
}

#[tokio::test]
async fn what_cannot_be_sent() {
    let world = World::new(Limits::default()).await;
    let email = world.append(1, &[], 1, LETTER).await;
    let from = |to: &[&str]| {
        let to: Vec<Value> = to.iter().map(|address| json!({"email": address})).collect();
        json!({"mailFrom": {"email": "alice@example.test"}, "rcptTo": to})
    };
    let refused = async |envelope: Value| send(&world, &email, envelope).await["notCreated"]["k"].clone();
    assert_eq!(refused(from(&[])).await["type"], "noRecipients");
    let many = refused(from(&["a@x", "b@x", "c@x", "d@x"])).await;
    assert_eq!((&many["type"], &many["maxRecipients"]), (&json!("tooManyRecipients"), &json!(3)));
    let unknown = refused(from(&["a@x", "who@example.test"])).await;
    assert_eq!(unknown["type"], "invalidRecipients");
    assert_eq!(unknown["invalidRecipients"], json!(["who@example.test"]));
    assert_eq!(refused(json!({"rcptTo": []})).await["properties"], json!(["envelope"]));
    let large = world.append(1, &[], 2, &format!("{LETTER}{}", "x".repeat(11_000))).await;
    let large = send(&world, &large, Value::Null).await;
    assert_eq!(large["notCreated"]["k"]["maxSize"], 10_000);
    let several = world.append(1, &[], 3, "From: a@x.test, b@x.test\nTo: c@x.test\n\n\n").await;
    assert_eq!(send(&world, &several, Value::Null).await["notCreated"]["k"]["type"], "invalidEmail");
    let odd =
        json!({"accountId": "A1", "create": {"k": {"emailId": email, "identityId": "I1", "sendAt": "x"}}});
    assert_eq!(set(&world, odd).await[0][1]["notCreated"]["k"]["properties"], json!(["sendAt"]));
    let nobody = json!({"accountId": "A1", "create": {"k": {"emailId": email, "identityId": "I77"}}});
    assert_eq!(set(&world, nobody).await[0][1]["notCreated"]["k"]["properties"], json!(["identityId"]));
    let none = world.call("EmailSubmission/query", json!({"accountId": "A1", "calculateTotal": true})).await;
    assert_eq!(none["total"], 0);
}

/// `undoStatus` is the server's (RFC 8621 §7). Some clients say it all the same.
#[tokio::test]
async fn what_a_submission_will_be_may_be_said() {
    let world = World::new(Limits::default()).await;
    let email = world.append(1, &[], 1, LETTER).await;
    let identity = identity(&world).await;
    let hold = json!({"mailFrom": {"email": "alice@example.test", "parameters": {"holdfor": "60"}},
                      "rcptTo": [{"email": "bob@example.test"}]});
    for (envelope, said, taken) in [
        (Value::Null, "final", true),
        (Value::Null, "pending", false),
        (Value::Null, "canceled", false),
        (hold.clone(), "pending", true),
        (hold, "final", false),
    ] {
        let new = json!({"identityId": identity, "emailId": email, "envelope": envelope, "undoStatus": said});
        let responses = set(&world, json!({"accountId": "A1", "create": {"k": new}})).await;
        let (created, refused) = (&responses[0][1]["created"]["k"], &responses[0][1]["notCreated"]["k"]);
        match taken {
            true => assert_eq!(created["undoStatus"], said, "{responses}"),
            false => assert_eq!(refused["properties"], json!(["undoStatus"]), "{responses}"),
        }
    }
}

#[tokio::test]
async fn what_waits_is_undone_and_everything_is_found() {
    let world = World::new(Limits::default()).await;
    let email = world.append(1, &[], 1, LETTER).await;
    let other = world.append(1, &[], 2, &LETTER.replace("<1@x>", "<2@x>")).await;
    let hold = json!({"mailFrom": {"email": "alice@example.test", "parameters": {"HOLDFOR": "60"}},
                      "rcptTo": [{"email": "bob@example.test"}]});
    let start = world.call("EmailSubmission/query", json!({"accountId": "A1"})).await["queryState"].clone();
    let held = send(&world, &email, hold.clone()).await["created"]["k"].clone();
    let gone = send(&world, &other, Value::Null).await["created"]["k"].clone();
    assert_eq!((&held["undoStatus"], &gone["undoStatus"]), (&json!("pending"), &json!("final")));
    let (held, gone) = (held["id"].as_str().unwrap(), gone["id"].as_str().unwrap());
    assert_eq!(send(&world, &email, hold).await["created"]["k"]["id"], held, "a repetition");

    let query = async |filter: Value, sort: Value| {
        let arguments = json!({"accountId": "A1", "filter": filter, "sort": sort});
        world.call("EmailSubmission/query", arguments).await["ids"].clone()
    };
    let sent_at = json!([{"property": "sentAt", "isAscending": false}]);
    assert_eq!(query(Value::Null, sent_at).await, json!([held, gone]));
    assert_eq!(query(json!({"undoStatus": "pending"}), json!([])).await, json!([held]));
    assert_eq!(query(json!({"emailIds": [other]}), json!([])).await, json!([gone]));
    assert_eq!(query(json!({"before": "2026-01-02T03:04:06Z"}), json!([])).await, json!([gone]));
    assert_eq!(query(json!({"after": "2026-01-02T03:04:06Z"}), json!([])).await, json!([held]));
    assert_eq!(query(json!({"identityIds": ["I999"]}), json!([])).await, json!([]));

    let undo = |id: &str| json!({"accountId": "A1", "update": {id: {"undoStatus": "canceled"}}});
    let answer = set(&world, undo(held)).await[0][1].clone();
    assert_eq!(answer["updated"], json!({held: null}));
    let late = set(&world, undo(gone)).await[0][1].clone();
    assert_eq!(late["notUpdated"][gone]["type"], "cannotUnsend");
    let odd = json!({"accountId": "A1", "update": {held: {"undoStatus": "final"}, "S99": {"undoStatus": "canceled"}}});
    let odd = set(&world, odd).await[0][1].clone();
    assert_eq!(odd["notUpdated"][held]["type"], "invalidProperties");
    assert_eq!(odd["notUpdated"]["S99"]["type"], "notFound");
    let since = json!({"accountId": "A1", "sinceQueryState": start, "filter": {"undoStatus": "canceled"}});
    let changes = world.call("EmailSubmission/queryChanges", since).await;
    assert_eq!(changes["added"], json!([{"id": held, "index": 0}]));
    let destroyed = set(&world, json!({"accountId": "A1", "destroy": [held, "S99"]})).await[0][1].clone();
    assert_eq!(destroyed["destroyed"], json!([held]));
    assert_eq!(destroyed["notDestroyed"]["S99"]["type"], "notFound");
}

#[tokio::test]
async fn the_capability_is_needed() {
    let world = World::new(Limits::default()).await;
    let using = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"];
    let request =
        json!({"using": using, "methodCalls": [["Identity/get", {"accountId": "A1", "ids": null}, "c"]]});
    assert_eq!(world.ask(&world.alice, &request).await["methodResponses"][0][1]["type"], "unknownMethod");
    let session: Value = serde_json::from_slice(&world.jmap.session(&world.alice, "https://x")).unwrap();
    let said = &session["accounts"]["A1"]["accountCapabilities"]["urn:ietf:params:jmap:submission"];
    assert_eq!(said, &json!({"maxDelayedSend": 3600, "submissionExtensions": {"FUTURERELEASE": ["3600"]}}));
}

/// Brings a message to alice as mail from outside; returns its blob.
async fn deliver(world: &World, raw: String) -> String {
    let message = world.mail.ingest(raw.into_bytes().into()).await.unwrap();
    let delivery = Delivery {
        account: world.alice.account(),
        mailbox: MailboxId::INBOX,
        keywords: Keywords::new(),
        received: Timestamp(1),
        quota: mail::Quota::default(),
        id: None,
        reports_on: None,
        answer_to: None,
    };
    format!("B{}", world.mail.deliver(&message, &[delivery]).await.remove(0).unwrap().email)
}

/// RFC 8621 §7: `dsnBlobIds`, and `delivered` of those whose server is not ours.
#[tokio::test]
async fn reports_of_others_are_believed_where_nothing_else_is_known() {
    let world = World::new(Limits::default()).await;
    let email = world.append(1, &[], 1, LETTER).await;
    let sent = send(&world, &email, Value::Null).await["created"]["k"]["id"].clone();
    let get = async || {
        let got = world.call("EmailSubmission/get", json!({"accountId": "A1", "ids": [sent]})).await;
        got["list"][0].clone()
    };
    let report = |who: &str, action: &str| {
        format!(
            "From: mailer-daemon@x\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
             --b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n\
             Final-Recipient: rfc822; {who}\r\nAction: {action}\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n\
             Message-ID: <1@x>\r\n\r\n--b--\r\n"
        )
    };
    let delivered = |shown: &Value, who: &str| shown["deliveryStatus"][who]["delivered"].clone();
    // It waits here still: a report of somebody else's is no news of that.
    let first = deliver(&world, report("bob@example.test", "failed")).await;
    let shown = get().await;
    assert_eq!(
        (&shown["dsnBlobIds"], delivered(&shown, "bob@example.test")),
        (&json!([first]), json!("queued"))
    );
    let words = ["bob@example.test", "carol@example.test"].map(|address| mail::Word {
        address: address.to_owned(),
        reply: "250 ok".to_owned(),
        arrival: mail::Arrival::Unknown,
    });
    world.note(&sent, &words).await;
    deliver(&world, report("BOB@example.test", "failed")).await;
    deliver(&world, report("carol@example.test", "relayed")).await;
    let shown = get().await;
    assert_eq!(delivered(&shown, "bob@example.test"), "no");
    assert_eq!(
        (delivered(&shown, "carol@example.test"), &shown["mdnBlobIds"]),
        (json!("unknown"), &json!([]))
    );
    deliver(&world, report("carol@example.test", "delivered")).await;
    deliver(&world, report("bob@example.test", "delivered")).await;
    let shown = get().await;
    assert_eq!(
        (delivered(&shown, "carol@example.test"), delivered(&shown, "bob@example.test")),
        (json!("yes"), json!("no"))
    );
    assert_eq!(shown["dsnBlobIds"].as_array().unwrap().len(), 5);
}

/// RFC 8621 §7: `mdnBlobIds`, and who has displayed a message.
#[tokio::test]
async fn receipts_that_come_are_named_in_the_submission() {
    let world = World::new(Limits::default()).await;
    let email = world.append(1, &[], 1, LETTER).await;
    let sent = send(&world, &email, Value::Null).await["created"]["k"]["id"].clone();
    let get = async || {
        let got = world.call("EmailSubmission/get", json!({"accountId": "A1", "ids": [sent]})).await;
        got["list"][0].clone()
    };
    let state =
        world.call("EmailSubmission/get", json!({"accountId": "A1", "ids": []})).await["state"].clone();
    let receipt = |about: &str, who: &str, what: &str| {
        format!(
            "From: {who}\r\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n\
             --b\r\n\r\nDone.\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\n\
             Final-Recipient: rfc822; {who}\r\nOriginal-Message-ID: <{about}>\r\n\
             Disposition: manual-action/MDN-sent-manually; {what}\r\n--b--\r\n"
        )
    };
    let mut came = Vec::new();
    for (about, who, what) in [
        ("other@x", "bob@example.test", "displayed"),
        ("1@x", "carol@example.test", "deleted"),
        ("1@x", "Bob@example.test", "displayed"),
    ] {
        came.push(deliver(&world, receipt(about, who, what)).await);
    }
    let shown = get().await;
    assert_eq!(shown["mdnBlobIds"], json!(came[1..]));
    assert_eq!(shown["dsnBlobIds"], json!([]));
    let displayed = |who: &str| shown["deliveryStatus"][who]["displayed"].clone();
    assert_eq!(
        (displayed("bob@example.test"), displayed("carol@example.test")),
        (json!("yes"), json!("unknown"))
    );
    let changes =
        world.call("EmailSubmission/changes", json!({"accountId": "A1", "sinceState": state})).await;
    assert_eq!(changes["updated"], json!([sent]));
    assert!(world.mail.verify(world.alice.account()).await.unwrap().is_empty());
    // What was destroyed is not found by the id of its message any more.
    set(&world, json!({"accountId": "A1", "destroy": [sent]})).await;
    assert_eq!(world.mail.sent(world.alice.account(), "1@x").await.unwrap(), None);
    assert!(world.mail.verify(world.alice.account()).await.unwrap().is_empty());
}
