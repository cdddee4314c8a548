//! `jmap-client`, a library that others have written for JMAP, walks through an account of the real server. It speaks
//! HTTP/2, since it is offered that over TLS, and reads whatever comes back by its own idea of what the RFCs say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::slice::from_ref;
use std::time::Duration;

use futures::StreamExt;
use jmap_client::client::Client;
use jmap_client::client_ws::WebSocketMessage;
use jmap_client::core::query::Filter;
use jmap_client::core::set::{SetErrorType, SetObject};
use jmap_client::email::{self, BodyProperty, EmailBodyPart, Property};
use jmap_client::email_submission::query::{Comparator as SubmissionOrder, Filter as SubmissionFilter};
use jmap_client::email_submission::{Address, Delivered, UndoStatus};
use jmap_client::event_source::{Changes, PushNotification};
use jmap_client::mailbox::{self, Role};
use jmap_client::push_subscription::Keys;
use jmap_client::{DataType, Error, PushObject, URI, identity, vacation_response};
use world::{PASSWORD, Server, message};

const ALICE: &str = "alice@example.test";
const BOB: &str = "bob@example.test";
/// 1 January 2026, 12:34:56 UTC
const RECEIVED: i64 = 1_767_270_896;
const NO_NAME: Option<&str> = None;

async fn open(server: &Server, user: &str) -> Client {
    let url = format!("https://127.0.0.1:{}", server.base + 443);
    let client = Client::new()
        .credentials((user, PASSWORD))
        .accept_invalid_certs(true)
        .timeout(Duration::from_mins(1))
        .follow_redirects(["127.0.0.1"])
        .connect(&url);
    client.await.unwrap()
}

/// The id of the mailbox with a role, and the state of all mailboxes.
async fn role(client: &Client, role: Role) -> (String, String) {
    let mut request = client.build();
    request.get_mailbox();
    let mut got = request.send_get_mailbox().await.unwrap();
    let id = got.list().iter().find(|mailbox| mailbox.role() == role).unwrap().id().unwrap().to_owned();
    (id, got.take_state())
}

async fn email_state(client: &Client) -> String {
    let mut request = client.build();
    request.get_email().ids(Vec::<String>::new());
    request.send_get_email().await.unwrap().take_state()
}

fn letter(subject: &str, more: &str) -> Vec<u8> {
    format!(
        "From: Bob <{BOB}>\r\nTo: {ALICE}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@example.com>\r\n{more}\
         Content-Type: text/plain; charset=utf-8\r\n\r\nA word on {subject}: 나비.\r\n"
    )
    .into_bytes()
}

/// The type of the error that an object was refused with.
fn refused<T: std::fmt::Debug>(answer: jmap_client::Result<T>) -> SetErrorType {
    match answer {
        Err(Error::Set(error)) => error.error().clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn session() {
    let server = Server::start();
    let client = open(&server, ALICE).await;
    let session = client.session();
    assert_eq!(session.username(), ALICE);
    let core = session.core_capabilities().unwrap();
    assert!(core.max_calls_in_request() >= 16 && core.max_objects_in_get() >= 500);
    assert!(core.collation_algorithms().iter().any(|name| name == "i;unicode-casemap"));
    assert!(session.websocket_capabilities().unwrap().supports_push());
    let account = session.account(client.default_account_id()).unwrap();
    assert!(account.is_personal() && !account.is_read_only() && account.name() == ALICE);
    assert!(session.api_url().starts_with("https://127.0.0.1:"), "{}", session.api_url());

    let wrong = Client::new().credentials((ALICE, "wrong")).accept_invalid_certs(true);
    assert!(wrong.connect(&format!("https://127.0.0.1:{}", server.base + 443)).await.is_err());
    let mut request = client.build();
    request.add_capability(URI::Calendars);
    request.get_mailbox();
    assert!(matches!(request.send_get_mailbox().await, Err(Error::Problem(_))));
}

#[tokio::test]
async fn mailboxes() {
    let server = Server::start();
    let client = open(&server, ALICE).await;
    let (inbox, state) = role(&client, Role::Inbox).await;
    let shown = client.mailbox_get(&inbox, None::<[mailbox::Property; 0]>).await.unwrap().unwrap();
    assert!(shown.my_rights().unwrap().may_add_items() && !shown.my_rights().unwrap().may_delete());

    let parent = client.mailbox_create("Projects", NO_NAME, Role::None).await.unwrap().take_id();
    let child = client.mailbox_create("Bridge", Some(&parent), Role::None).await.unwrap().take_id();
    assert_eq!(
        refused(client.mailbox_create("Bridge", Some(&parent), Role::None).await),
        SetErrorType::InvalidProperties
    );
    client.mailbox_rename(&child, "Tunnel").await.unwrap();
    client.mailbox_update_sort_order(&child, 7).await.unwrap();
    client.mailbox_subscribe(&child, false).await.unwrap();
    let wanted = [mailbox::Property::Name, mailbox::Property::ParentId, mailbox::Property::SortOrder];
    let shown = client.mailbox_get(&child, Some(wanted)).await.unwrap().unwrap();
    assert_eq!((shown.name(), shown.parent_id()), (Some("Tunnel"), Some(parent.as_str())));
    assert_eq!(shown.sort_order(), 7);

    let by_name = mailbox::query::Filter::name("tunnel");
    let mut found =
        client.mailbox_query(Some(by_name), Some([mailbox::query::Comparator::name()])).await.unwrap();
    assert_eq!(found.ids(), from_ref(&child));
    let query_state = found.take_query_state();
    let mut request = client.build();
    request.query_mailbox().arguments().sort_as_tree(true).filter_as_tree(true);
    assert!(request.send_query_mailbox().await.unwrap().ids().contains(&child));

    let changes = client.mailbox_changes(&state, 100).await.unwrap();
    let mut created = changes.created().to_vec();
    created.sort_unstable();
    let mut expected = [parent.clone(), child.clone()];
    expected.sort_unstable();
    assert_eq!(created, expected);

    assert_eq!(refused(client.mailbox_destroy(&parent, true).await), SetErrorType::MailboxHasChild);
    client.mailbox_move(&child, NO_NAME).await.unwrap();
    let mut request = client.build();
    request.query_mailbox_changes(query_state).filter(mailbox::query::Filter::name("tunnel"));
    assert!(request.send_query_mailbox_changes().await.is_ok());
    for id in [&parent, &child] {
        client.mailbox_destroy(id, true).await.unwrap();
    }
    let changes = client.mailbox_changes(changes.new_state(), 100).await.unwrap();
    assert_eq!((changes.destroyed().len(), changes.has_more_changes()), (2, false));
}

#[tokio::test]
async fn emails() {
    let server = Server::start();
    let client = open(&server, ALICE).await;
    let (inbox, _) = role(&client, Role::Inbox).await;
    let (archive, _) = role(&client, Role::Archive).await;
    let state = email_state(&client).await;

    let source = letter("bridges", "");
    let import = client.email_import(source.clone(), [&inbox], Some(["$seen"]), Some(RECEIVED));
    let first = import.await.unwrap().take_id();
    let answer =
        letter("Re: bridges", "In-Reply-To: <bridges@example.com>\r\nReferences: <bridges@example.com>\r\n");
    let second = client.email_import(answer, [&inbox], None::<[&str; 0]>, None).await.unwrap().take_id();
    assert_eq!(
        refused(client.email_import(source.clone(), ["none"], None::<[&str; 0]>, None).await),
        SetErrorType::InvalidProperties
    );

    // All that a list shows, the body, and the octets.
    let mut request = client.build();
    request.get_email().ids([&first]).arguments().fetch_text_body_values(true);
    let email = request.send_get_email().await.unwrap().take_list().pop().unwrap();
    assert_eq!(email.subject(), Some("bridges"));
    assert_eq!(email.from().unwrap().first().unwrap().email(), BOB);
    assert_eq!(email.received_at(), Some(RECEIVED));
    assert_eq!((email.keywords(), email.mailbox_ids()), (vec!["$seen"], vec![inbox.as_str()]));
    assert_eq!(email.preview(), Some("A word on bridges: 나비."));
    assert_eq!((email.size(), email.has_attachment()), (source.len(), false));
    let part = email.text_body().unwrap().first().unwrap();
    assert_eq!(part.content_type(), Some("text/plain"));
    assert_eq!(email.body_value(part.part_id().unwrap()).unwrap().value(), "A word on bridges: 나비.\n");
    assert_eq!(client.download(email.blob_id().unwrap()).await.unwrap(), source);
    let email = client.email_get(&first, Some([Property::BodyStructure])).await.unwrap().unwrap();
    assert_eq!(email.body_structure().unwrap().charset(), Some("utf-8"));

    let thread = client.email_get(&first, Some([Property::ThreadId])).await.unwrap().unwrap();
    let thread = client.thread_get(thread.thread_id().unwrap()).await.unwrap().unwrap();
    assert_eq!(thread.email_ids(), [first.clone(), second.clone()]);

    // Queries, what changes of them, and references from one call to another.
    let unseen = || {
        Filter::and([email::query::Filter::in_mailbox(&inbox), email::query::Filter::not_keyword("$seen")])
    };
    let order = email::query::Comparator::received_at().descending();
    let mut found = client.email_query(Some(unseen()), Some([order])).await.unwrap();
    assert_eq!(found.ids(), from_ref(&second));
    let query_state = found.take_query_state();
    client.email_set_keyword(&second, "$seen", true).await.unwrap();
    let changes = client.email_query_changes(query_state, Some(unseen())).await.unwrap();
    assert_eq!((changes.removed(), changes.added().len()), (&[second.clone()][..], 0));
    let mut request = client.build();
    let query = request.query_email().filter(email::query::Filter::text("bridges"));
    query.arguments().collapse_threads(true);
    let ids = query.result_reference();
    request.get_email().ids_ref(ids).properties([Property::Id, Property::ThreadId]);
    let mut response = request.send().await.unwrap();
    let mut emails = response.pop_method_response().unwrap().unwrap_get_email().unwrap();
    assert_eq!(emails.take_list().len(), 1);
    let word = email::query::Filter::body("나비");
    let snippets = client.search_snippet_get(Some(word), [&first]).await.unwrap();
    assert_eq!(snippets.snippet(&first).unwrap().preview(), Some("A word on bridges: <mark>나비</mark>."));

    // Changes of emails, and what others hear of them.
    client.email_set_mailboxes(&first, [&archive]).await.unwrap();
    client.email_set_mailbox(&second, &archive, true).await.unwrap();
    client.email_set_keywords(&second, ["$flagged", "label"]).await.unwrap();
    let email =
        client.email_get(&second, Some([Property::Keywords, Property::MailboxIds])).await.unwrap().unwrap();
    assert_eq!((email.keywords().len(), email.mailbox_ids().len()), (2, 2));
    client.email_destroy(&first).await.unwrap();
    assert_eq!(refused(client.email_destroy(&first).await), SetErrorType::NotFound);
    let changes = client.email_changes(&state, Some(100)).await.unwrap();
    assert_eq!((changes.created(), changes.destroyed().len()), (&[second.clone()][..], 0));
    assert!(client.email_changes("nonsense", None).await.is_err());
}

#[tokio::test]
async fn blobs_and_drafts() {
    let server = Server::start();
    let client = open(&server, ALICE).await;
    let (drafts, _) = role(&client, Role::Drafts).await;

    let source = letter("parsed", "");
    let uploaded = client.upload(None, source.clone(), Some("message/rfc822")).await.unwrap();
    assert_eq!((uploaded.size(), uploaded.content_type()), (source.len(), "message/rfc822"));
    assert_eq!(client.download(uploaded.blob_id()).await.unwrap(), source);
    let parts = Some([BodyProperty::PartId, BodyProperty::Type, BodyProperty::Size]);
    let wanted = Some([Property::Subject, Property::TextBody, Property::BodyValues]);
    let parsed = client.email_parse(uploaded.blob_id(), wanted, parts, Some(6)).await.unwrap();
    assert_eq!(parsed.subject(), Some("parsed"));
    let part = parsed.text_body().unwrap().first().unwrap().part_id().unwrap();
    let value = parsed.body_value(part).unwrap();
    assert!(value.value() == "A word" && value.is_truncated());
    assert!(client.download("B999999-1").await.is_err());

    let mut request = client.build();
    let draft = request.set_email().create();
    draft
        .mailbox_ids([&drafts])
        .keywords(["$draft"])
        .from([ALICE])
        .to([("Bob", BOB)])
        .subject("나비")
        .text_body(EmailBodyPart::new().part_id("t").content_type("text/plain"))
        .body_value("t".to_owned(), "Flap.\n")
        .attachment(
            EmailBodyPart::new().blob_id(uploaded.blob_id()).content_type("message/rfc822").name("m.eml"),
        );
    let name = draft.create_id().unwrap();
    let id = request.send_set_email().await.unwrap().created(&name).unwrap().take_id();
    let wanted = [Property::Subject, Property::To, Property::Attachments, Property::HasAttachment];
    let email = client.email_get(&id, Some(wanted)).await.unwrap().unwrap();
    assert_eq!((email.subject(), email.has_attachment()), (Some("나비"), true));
    assert_eq!(email.to().unwrap().first().unwrap().name(), Some("Bob"));
    let attached = email.attachments().unwrap().first().unwrap();
    assert_eq!(attached.name(), Some("m.eml"));
    assert_eq!(client.download(attached.blob_id().unwrap()).await.unwrap(), source);
}

/// Makes a draft to bob; its id.
async fn draft(client: &Client, drafts: &str, subject: &str) -> String {
    let mut request = client.build();
    let draft = request.set_email().create();
    draft
        .mailbox_ids([drafts])
        .keywords(["$draft"])
        .from([ALICE])
        .to([BOB])
        .subject(subject)
        .text_body(EmailBodyPart::new().part_id("t").content_type("text/plain"))
        .body_value("t".to_owned(), "Hello.\n");
    let name = draft.create_id().unwrap();
    request.send_set_email().await.unwrap().created(&name).unwrap().take_id()
}

/// Makes an identity and destroys it; the id of the one that the account has by itself. The library's own calls for identities
/// do not name the capability that they are part of (RFC 8621 §6).
async fn identities(client: &Client) -> String {
    let request = || {
        let mut request = client.build();
        request.add_capability(URI::Submission);
        request
    };
    let mut get = request();
    get.get_identity();
    let mut got = get.send_get_identity().await.unwrap();
    let own = got.list().first().unwrap();
    assert_eq!(own.email(), Some(ALICE));
    let own = own.id().unwrap().to_owned();
    let create = async |name: &str, email: &str| {
        let mut set = request();
        let id = set.set_identity().create().name(name).email(email).create_id().unwrap();
        set.send_set_identity().await.unwrap().created(&id)
    };
    let made = create("Alice's news", "alice+news@example.test").await.unwrap().take_id();
    let mut get = request();
    get.get_identity().ids([&made]).properties([identity::Property::Name]);
    assert_eq!(get.send_get_identity().await.unwrap().list().first().unwrap().name(), Some("Alice's news"));
    assert_eq!(refused(create("Bob", BOB).await), SetErrorType::ForbiddenFrom);
    let mut changes = request();
    changes.changes_identity(got.take_state()).max_changes(10);
    assert_eq!(changes.send_changes_identity().await.unwrap().created(), from_ref(&made));
    let mut set = request();
    set.set_identity().destroy([&made]);
    set.send_set_identity().await.unwrap().destroyed(&made).unwrap();
    own
}

#[tokio::test]
async fn sending() {
    let server = Server::start();
    let client = open(&server, ALICE).await;
    let (drafts, _) = role(&client, Role::Drafts).await;
    let (sent, _) = role(&client, Role::Sent).await;

    let own = identities(&client).await;

    // A draft is sent, and moves to where what was sent is.
    let mut request = client.build();
    request.get_email_submission();
    let state = request.send_get_email_submission().await.unwrap().take_state();
    let email = draft(&client, &drafts, "dispatch").await;
    let mut request = client.build();
    let set = request.set_email_submission();
    let name = set.create().email_id(&email).identity_id(&own).create_id().unwrap();
    let after = set.arguments().on_success_update_email(&name);
    // As a whole: where the library takes one out, it says false, and null is what the RFCs have.
    after.mailbox_ids([&sent]).keywords(["$seen"]);
    let mut responses = request.send().await.unwrap().unwrap_method_responses().into_iter();
    let mut done = responses.next().unwrap().unwrap_set_email_submission().unwrap();
    let submission = done.created(&name).unwrap().take_id();
    responses.next().unwrap().unwrap_set_email().unwrap().updated(&email).unwrap();
    let shown = client.email_submission_get(&submission, None).await.unwrap().unwrap();
    assert_eq!(shown.undo_status(), Some(&UndoStatus::Final));
    assert_eq!(shown.delivery_status_email(BOB).unwrap().delivered(), &Delivered::Yes);
    assert_eq!(shown.rcpt_to().unwrap().first().unwrap().email(), BOB);
    let moved =
        client.email_get(&email, Some([Property::MailboxIds, Property::Keywords])).await.unwrap().unwrap();
    assert_eq!((moved.mailbox_ids(), moved.keywords().len()), (vec![sent.as_str()], 1));
    let inbox = server.inbox("bob");
    assert!(inbox.len() == 1 && inbox[0].contains("Subject: dispatch\r\n"), "{inbox:?}");

    // Another waits, and is taken back.
    let email = draft(&client, &drafts, "regret").await;
    let later = Address::new(ALICE).parameter("HOLDFOR", Some("3600"));
    let held = client.email_submission_create_envelope(&email, &own, later, [BOB]).await.unwrap().take_id();
    let waits = Some(SubmissionFilter::undo_status(UndoStatus::Pending));
    let found = client.email_submission_query(waits, Some([SubmissionOrder::sent_at()])).await.unwrap();
    assert_eq!(found.ids(), from_ref(&held));
    client.email_submission_change_status(&held, UndoStatus::Canceled).await.unwrap();
    let changes = client.email_submission_changes(state, 10).await.unwrap();
    assert_eq!(changes.created().len(), 2);
    assert_eq!(
        refused(client.email_submission_change_status(&submission, UndoStatus::Canceled).await),
        SetErrorType::CannotUnsend
    );
    client.email_submission_destroy(&held).await.unwrap();
    assert_eq!(server.inbox("bob").len(), 1);
}

#[tokio::test]
async fn being_away() {
    let server = Server::start();
    let client = open(&server, ALICE).await;
    let everything = || None::<[vacation_response::Property; 0]>;
    client.vacation_response_enable("Not here", Some("I am away."), NO_NAME).await.unwrap();
    client.vacation_response_set_dates(Some(RECEIVED), None).await.unwrap();
    let shown = client.vacation_response_get(everything()).await.unwrap().unwrap();
    assert!(shown.is_enabled() && shown.html_body().is_none());
    assert_eq!((shown.subject(), shown.text_body()), (Some("Not here"), Some("I am away.")));
    assert_eq!((shown.from_date(), shown.to_date()), (Some(RECEIVED), None));
    assert_eq!(refused(client.vacation_response_destroy().await), SetErrorType::Singleton);
    client.vacation_response_disable().await.unwrap();
    assert!(!client.vacation_response_get(everything()).await.unwrap().unwrap().is_enabled());
}

/// The event's id, and the types that it says have changed.
fn told(event: Option<jmap_client::Result<PushNotification>>, account: &str) -> (String, Vec<DataType>) {
    let Some(Ok(PushNotification::StateChange(changes))) = event else { panic!("{event:?}") };
    let types = |changes: &Changes| changes.changes(account).unwrap().map(|(name, _)| name.clone()).collect();
    (changes.id().unwrap().to_owned(), types(&changes))
}

#[tokio::test]
async fn event_source() {
    let server = Server::start();
    let client = open(&server, ALICE).await;
    let account = client.default_account_id();
    let types = || Some([DataType::EmailDelivery, DataType::Mailbox]);
    let mut events = client.event_source(types(), false, Some(60), None).await.unwrap();
    server.deliver(ALICE, &message("first"));
    let (id, kinds) = told(events.next().await, account);
    assert!(kinds.contains(&DataType::EmailDelivery) && kinds.contains(&DataType::Mailbox), "{kinds:?}");
    drop(events);
    // Who was away and says what it knows hears what it has missed, and with `closeafter` that is all.
    server.deliver(ALICE, &message("second"));
    let mut events = client.event_source(types(), true, None, Some(&id)).await.unwrap();
    let (later, _) = told(events.next().await, account);
    assert!(events.next().await.is_none());
    let changes = client.email_changes(&id, None).await.unwrap();
    assert_eq!((changes.created().len(), changes.new_state()), (1, later.as_str()));
}

#[tokio::test]
async fn web_socket() {
    let server = Server::start();
    let client = open(&server, ALICE).await;
    let account = client.default_account_id();
    let mut heard = client.connect_ws().await.unwrap();
    client.enable_push_ws(Some([DataType::EmailDelivery]), NO_NAME).await.unwrap();
    let mut request = client.build();
    request.get_mailbox();
    let name = request.send_ws().await.unwrap();
    let Some(Ok(WebSocketMessage::Response(mut response))) = heard.next().await else {
        panic!("no response")
    };
    assert_eq!(response.request_id(), Some(name.as_str()));
    let mut mailboxes = response.pop_method_response().unwrap().unwrap_get_mailbox().unwrap();
    let state = mailboxes.take_state();
    assert!(mailboxes.list().iter().any(|mailbox| mailbox.role() == Role::Inbox));

    // Push was on before the request was answered.
    server.deliver(ALICE, &message("first"));
    let changed = |heard: Option<jmap_client::Result<WebSocketMessage>>| match heard {
        Some(Ok(WebSocketMessage::PushNotification(PushObject::StateChange { changed }))) => {
            changed[account].keys().cloned().collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(changed(heard.next().await), [DataType::EmailDelivery]);
    client.ws_ping().await.unwrap();
    // From an earlier state on: what has happened since is told at once.
    client.enable_push_ws(Some([DataType::EmailDelivery]), Some(state)).await.unwrap();
    assert_eq!(changed(heard.next().await), [DataType::EmailDelivery]);
    client.disable_push_ws().await.unwrap();
    let mut request = client.build();
    request.add_capability(URI::Calendars);
    request.send_ws().await.unwrap();
    assert!(matches!(heard.next().await, Some(Err(Error::Problem(_)))));
}

#[tokio::test]
async fn push_subscriptions() {
    // Push services are there where mail may leave; nobody is at this host.
    let server = Server::start_with(&["--smarthost", "127.0.0.1:1"]);
    let client = open(&server, ALICE).await;
    // RFC 8291, appendix A: the key of a browser.
    let key = [
        4, 37, 113, 178, 190, 205, 253, 227, 96, 85, 26, 175, 30, 208, 244, 205, 54, 108, 17, 206, 190, 85,
        95, 137, 188, 183, 177, 134, 165, 51, 57, 23, 49, 104, 236, 226, 235, 224, 24, 89, 123, 211, 4, 121,
        184, 110, 60, 143, 142, 206, 213, 119, 202, 89, 24, 126, 146, 70, 153, 13, 182, 130, 0, 139, 14,
    ];
    let keys = Keys::new(&key, &[5; 16]);
    let made = client.push_subscription_create("my phone", "https://push.example.test/x", Some(keys)).await;
    let id = made.unwrap().take_id();
    client.push_subscription_update_types(&id, Some([DataType::EmailDelivery])).await.unwrap();
    // The library cannot read what PushSubscription/get answers, which has no state (RFC 8620 §7.2.1).
    assert_eq!(
        refused(client.push_subscription_verify(&id, "not the code").await),
        SetErrorType::InvalidProperties
    );
    client.push_subscription_destroy(&id).await.unwrap();
}
