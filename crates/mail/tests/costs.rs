//! What hot paths cost, counted where they cross the stores' contracts. `docs/performance.md` states these numbers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use mail::search::{Filter, Leaf, Order, Query, Scope, SortKey, Span};
use mail::{
    Delivery, DeliveryId, FlagAction, FlagChange, ImportId, ImportItem, MailOptions, MailboxPath, Quota,
    Vacation,
};
use store::{blob, kv};
use support::{Letter, Node, START, World, keywords, letter, newest, to_inbox};
use types::{AccountId, Keyword, MailboxId, ModSeq, Uid};

const ALICE: AccountId = AccountId(1);
const BOB: AccountId = AccountId(2);
const INBOX: MailboxId = MailboxId::INBOX;

/// A node whose stores count.
struct Counted {
    node: Node,
    rows: Arc<kv::Metered>,
    objects: Arc<blob::Metered>,
    world: World,
}

impl Counted {
    fn new() -> Self {
        let world = World::new();
        let rows = Arc::new(kv::Metered::new(world.engine.clone()));
        let objects = Arc::new(blob::Metered::new(world.memory.clone()));
        let node = world.node_on(rows.clone(), objects.clone(), MailOptions::default());
        Self { node, rows, objects, world }
    }

    fn take(&self) -> (kv::Counts, blob::Counts) {
        (self.rows.take(), self.objects.take())
    }

    /// Emails of about nothing, each a thread of its own, a minute apart.
    async fn fill(&self, account: AccountId, mailbox: MailboxId, count: u64) {
        let letter = Letter { id: None, ..Letter::new("", "bulk") };
        let message = self.node.mail.ingest(letter.text(10).write()).await.unwrap();
        for batch in 0..count.div_ceil(1000) {
            let numbers = batch * 1000..count.min((batch + 1) * 1000);
            let items: Vec<ImportItem> = numbers
                .map(|number| {
                    let mut item = [0; 16];
                    item[..8].copy_from_slice(&number.to_be_bytes());
                    item[8..12].copy_from_slice(&mailbox.to_be_bytes());
                    ImportItem {
                        message: message.clone(),
                        mailbox,
                        keywords: keywords(&["$seen"]),
                        deleted: false,
                        received: START.plus(Duration::from_secs(60 * number)),
                        id: ImportId { source: [0; 16], item },
                    }
                })
                .collect();
            let results = self.node.mail.import(account, &items, Quota::default()).await.unwrap();
            assert!(results.iter().all(Result::is_ok));
        }
    }
}

#[tokio::test]
async fn a_short_message_to_one_recipient() {
    let counted = Counted::new();
    let mail = &counted.node.mail;
    let unborn = mail.ingest(Letter::new("0", "first of all").text(10_000).write()).await.unwrap();
    let first = mail.ingest(Letter::new("1", "new thread").text(10_000).write()).await.unwrap();
    let reply = Letter::new("2", "Re: new thread").reply_to(&["0", "1"]).text(10_000);
    let reply = mail.ingest(reply.write()).await.unwrap();
    for (what, message, rounds) in
        [("the first mail of an account", unborn, 1), ("a new thread", first, 1), ("a reply", reply, 2)]
    {
        counted.take();
        let id = Some(DeliveryId([u8::try_from(message.size() % 251).unwrap(); 16]));
        let delivery = Delivery { id, ..to_inbox(ALICE) };
        mail.deliver(&message, &[delivery]).await.remove(0).unwrap();
        let (rows, objects) = counted.take();
        assert_eq!((rows.commits, rows.snapshots), (1, 1), "{what}: {rows:?}");
        assert!(rows.read_rounds <= rounds, "{what}: {rows:?}");
        assert!(rows.rows_written <= 30 && rows.bytes_written < 16_000, "{what}: {rows:?}");
        assert_eq!(objects, blob::Counts::default(), "{what}");
    }
}

/// Whether anybody is away is known without asking; only who is away is asked whom they have told.
#[tokio::test]
async fn being_away() {
    let counted = Counted::new();
    let mail = &counted.node.mail;
    counted.node.deliver(ALICE, Letter::new("0", "first of all").write()).await.unwrap();
    let mut costs = Vec::new();
    for (enabled, answer_to) in [(false, None), (false, Some("joe@x.test")), (true, Some("joe@x.test"))] {
        mail.set_vacation(ALICE, &|_| Vacation { enabled, ..Vacation::default() }).await.unwrap();
        let number = costs.len().to_string();
        let letter = Letter::new(&format!("away{number}"), &format!("subject {number}"));
        let message = mail.ingest(letter.text(10_000).write()).await.unwrap();
        counted.take();
        let delivery = Delivery { answer_to: answer_to.map(str::to_owned), ..to_inbox(ALICE) };
        mail.deliver(&message, &[delivery]).await.remove(0).unwrap();
        let (rows, _) = counted.take();
        assert_eq!(rows.commits, 1, "{rows:?}");
        costs.push((rows.read_rounds, rows.rows_written));
    }
    let (rounds, rows) = costs[0];
    assert_eq!(costs[1], (rounds, rows), "nobody is away");
    assert_eq!(costs[2], (rounds + 1, rows + 1), "whom was told, and what is due");
    counted.take();
    mail.vacation(ALICE).await.unwrap();
    assert_eq!(counted.take().0.commits, 0);
}

/// APPEND of several messages, and REPLACE: one commit each, however much there is to do.
#[tokio::test]
async fn messages_by_their_owner() {
    let counted = Counted::new();
    let mail = &counted.node.mail;
    let mut emails = Vec::new();
    for number in 0..20 {
        let letter = Letter::new(&number.to_string(), &format!("subject {number}"));
        let message = mail.ingest(letter.text(1_000).write()).await.unwrap();
        emails.push(mail::NewEmail { message, keywords: keywords(&[]), deleted: false, received: START });
    }
    let other = emails.pop().unwrap();
    counted.take();
    mail.append_all(ALICE, INBOX, emails, Quota::default()).await.unwrap();
    let (rows, objects) = counted.take();
    assert_eq!((rows.commits, rows.read_rounds), (1, 1), "{rows:?}");
    mail.replace(ALICE, (INBOX, Uid(3)), INBOX, other, Quota::default()).await.unwrap();
    let (rows, _) = counted.take();
    assert!(rows.commits == 1 && rows.read_rounds <= 5, "{rows:?}");
    assert_eq!(objects, blob::Counts::default());
}

/// METADATA: one commit to write, one range to read.
#[tokio::test]
async fn annotations() {
    let counted = Counted::new();
    let mail = &counted.node.mail;
    let name = |n: u32| mail::EntryName::parse(&format!("/private/{n}")).unwrap();
    let notes: Vec<mail::Annotate> = (0..20).map(|n| (name(n), Some("x".into()))).collect();
    mail.annotate(ALICE, Some(INBOX), &notes).await.unwrap();
    counted.take();
    mail.annotate(ALICE, Some(INBOX), &notes).await.unwrap();
    let (rows, _) = counted.take();
    // Besides the annotations: the mailbox's modseq, the change log and the account (RFC 7162 §3.2).
    assert!(rows.commits == 1 && rows.read_rounds <= 5 && rows.rows_written == 23, "{rows:?}");
    assert_eq!(mail.annotations(ALICE, Some(INBOX)).await.unwrap().len(), 20);
    let (rows, _) = counted.take();
    assert_eq!((rows.commits, rows.read_rounds, rows.rows_read), (0, 1, 20), "{rows:?}");
}

#[tokio::test]
async fn ingest_of_a_short_message_touches_no_store() {
    let counted = Counted::new();
    counted.take();
    counted.node.mail.ingest(Letter::new("1", "x").text(10_000).write()).await.unwrap();
    assert_eq!(counted.take(), (kv::Counts::default(), blob::Counts::default()));
}

#[tokio::test]
async fn a_long_message_with_a_known_attachment() {
    let counted = Counted::new();
    let letter = |id: &str| Letter::new(id, "report").attach(letter::noise(1, 750_000)).write();
    counted.node.deliver(BOB, letter("1")).await.unwrap();
    let (_, objects) = counted.take();
    assert_eq!(objects.puts, 1);
    let raw = letter("2");
    assert!(raw.len() > 1_000_000);
    counted.node.deliver(ALICE, raw).await.unwrap();
    let (rows, objects) = counted.take();
    assert_eq!((objects.put_rounds, objects.bytes_put), (0, 0));
    assert_eq!(rows.commits, 1);
    assert!(rows.read_rounds <= 4, "{rows:?}");
    assert!(rows.bytes_written < 4000, "{rows:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_of_a_hundred_thousand() {
    let counted = Counted::new();
    let mail = &counted.node.mail;
    counted.fill(ALICE, INBOX, 100_000).await;
    let inbox = mail.mailbox(ALICE, INBOX).await.unwrap().unwrap();
    assert_eq!((inbox.total, inbox.threads), (100_000, 100_000));

    lists(&counted).await;
    searches(&counted).await;

    counted.take();
    let members = mail.members(ALICE, INBOX, Uid(50_000), Uid(u32::MAX), 100).await.unwrap();
    let (rows, _) = counted.take();
    assert_eq!(members.len(), 100);
    assert!(rows.rows_read <= 101 && rows.read_rounds == 1, "a page of members: {rows:?}");

    let since = mail.modseq(ALICE).await.unwrap();
    let seen = FlagChange { action: FlagAction::Remove, keywords: keywords(&["$seen"]), deleted: false };
    counted.take();
    mail.store(ALICE, INBOX, &[Uid(77_777)], &seen, None).await.unwrap();
    let (rows, _) = counted.take();
    assert!(rows.commits == 1 && rows.rows_read <= 12 && rows.rows_written <= 10, "one flag: {rows:?}");
    let one = rows.rows_read;
    let flagged = FlagChange { action: FlagAction::Add, keywords: keywords(&["$flagged"]), deleted: false };
    mail.store(ALICE, INBOX, &[Uid(77_777)], &flagged, None).await.unwrap();
    let (rows, _) = counted.take();
    assert!(rows.rows_read < one && rows.rows_written <= 6, "a flag that threads do not count: {rows:?}");
    let changes = mail.mailbox_changes(ALICE, INBOX, since).await.unwrap();
    let (rows, _) = counted.take();
    assert_eq!(changes.changed, [Uid(77_777)]);
    assert!(rows.rows_read <= 3 && rows.read_rounds <= 2, "two changes: {rows:?}");
    mail.changes(ALICE, since, 100).await.unwrap();
    let (rows, _) = counted.take();
    assert!(rows.rows_read <= 4 && rows.read_rounds <= 3, "two changes: {rows:?}");

    mail.mailboxes(ALICE).await.unwrap();
    let (rows, _) = counted.take();
    assert!(rows.rows_read <= 30 && rows.read_rounds <= 2, "all mailboxes with their counters: {rows:?}");

    counted.node.deliver(ALICE, Letter::new("1", "x").text(10_000).write()).await.unwrap();
    let (rows, _) = counted.take();
    assert!(rows.rows_read <= 20, "a delivery to a full mailbox: {rows:?}");
}

/// Rows that say which mailboxes there are.
const TREE: u64 = 30;

/// What so many of the first results cost.
async fn found(counted: &Counted, scope: &Scope, query: Query, count: usize) -> (usize, kv::Counts) {
    counted.take();
    let mut results = counted.node.mail.search(ALICE, scope.clone(), query);
    results.reach(count).await.unwrap();
    (results.known().len(), counted.take().0)
}

/// The list of a mailbox is as many of its rows by date as somebody asks for.
async fn lists(counted: &Counted) {
    for collapse in [false, true] {
        for count in [50, 100] {
            let (known, rows) = found(counted, &Scope::Account, newest(INBOX, collapse), count).await;
            let what = format!("the newest {count}, collapsed {collapse}: {rows:?}");
            assert_eq!(known, count);
            assert!(rows.rows_read <= count as u64 + TREE && rows.read_rounds <= 4, "{what}");
        }
    }
    let mut results = counted.node.mail.search(ALICE, Scope::Account, newest(INBOX, true));
    results.reach(50).await.unwrap();
    counted.take();
    assert_eq!(results.total().await.unwrap(), 100_000);
    assert_eq!(counted.take().0, kv::Counts::default(), "how many there are is counted already");
}

/// What is asked of dates reads the rows of those dates; what is asked in their order ends where enough was found.
async fn searches(counted: &Counted) {
    let minute = |minute: u64| START.plus(Duration::from_secs(60 * minute));
    let span = |from, to| Leaf::Received(Span { from: minute(from), to: Some(minute(to)) });
    let and = |leaves: Vec<Leaf>| Filter::And(leaves.into_iter().map(Filter::Is).collect());
    let keyword = |name| Leaf::Keyword(Keyword::new(name).unwrap());
    let list = || newest(INBOX, false);
    let view = || Scope::View { mailbox: INBOX, uids: (1..=100_000).map(Uid).collect() };
    let by = |key| vec![Order::descending(key), Order::descending(SortKey::Uid)];
    // The node does not have the mailbox in memory, and none of these bring it there.
    for (what, scope, query, count, known, most) in [
        (
            "all of a span",
            Scope::Account,
            Query { filter: and(vec![Leaf::Mailbox(INBOX), span(500, 700)]), all: true, ..list() },
            usize::MAX,
            200,
            200 + TREE,
        ),
        (
            "a span in another order, by flags",
            Scope::Account,
            Query {
                filter: and(vec![Leaf::Mailbox(INBOX), span(500, 700), keyword("$seen")]),
                sort: vec![Order::ascending(SortKey::Size), Order::ascending(SortKey::Email)],
                ..list()
            },
            usize::MAX,
            200,
            2 * 200 + TREE,
        ),
        (
            "the newest with a flag",
            Scope::Account,
            Query { filter: and(vec![Leaf::Mailbox(INBOX), keyword("$seen")]), ..list() },
            50,
            50,
            2 * 50 + TREE,
        ),
        ("the newest of all", Scope::Account, Query { filter: Filter::ALL, ..list() }, 50, 50, 50 + TREE),
        (
            "the newest of all but a mailbox, by flags",
            Scope::Account,
            Query { filter: and(vec![Leaf::OtherThan(vec![MailboxId(2)]), keyword("$seen")]), ..list() },
            50,
            50,
            2 * 50 + TREE,
        ),
        (
            "SEARCH SINCE BEFORE",
            view(),
            Query { filter: and(vec![span(500, 700)]), sort: by(SortKey::Uid), all: true, ..list() },
            usize::MAX,
            200,
            200,
        ),
        (
            "SORT RETURN (PARTIAL 1:50) (REVERSE ARRIVAL)",
            view(),
            Query { filter: Filter::ALL, sort: by(SortKey::Received), ..list() },
            50,
            50,
            51,
        ),
    ] {
        let (found, rows) = found(counted, &scope, query, count).await;
        assert_eq!(found, known, "{what}");
        assert!(rows.rows_read <= most && rows.read_rounds <= 14, "{what}: {rows:?}");
    }
    // One that finds nothing for long is told the mailbox once, and the next one is not.
    let rare = || Query { filter: and(vec![Leaf::Mailbox(INBOX), keyword("$flagged")]), ..list() };
    let (_, rows) = found(counted, &Scope::Account, rare(), 1).await;
    assert!(rows.rows_read <= 100_000 + 4 * 1_000 + TREE, "a flag that nobody has: {rows:?}");
    let (_, rows) = found(counted, &Scope::Account, rare(), 1).await;
    assert!(rows.rows_read <= 3 + TREE, "the same again: {rows:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn select_of_ten_thousand() {
    let counted = Counted::new();
    let mail = &counted.node.mail;
    let small = mail.create_path(ALICE, &MailboxPath::parse("small").unwrap(), None).await.unwrap().id;
    counted.fill(ALICE, small, 10).await;
    counted.fill(ALICE, INBOX, 10_000).await;
    counted.take();
    assert_eq!(mail.select(ALICE, small).await.unwrap().uids.len(), 10);
    let (little, _) = counted.take();
    assert_eq!(mail.select(ALICE, INBOX).await.unwrap().uids.len(), 10_000);
    let (much, _) = counted.take();
    // One range, whose pages grow to 4,096 rows.
    assert!(much.read_rounds <= little.read_rounds + 4, "{little:?} {much:?}");
    assert!(much.rows_read < 10_000 + 50, "{much:?}");
    assert!(mail.expunge(ALICE, INBOX, None).await.unwrap().uids.is_empty());
    let (nothing, _) = counted.take();
    assert!(nothing.rows_read <= 5, "nothing to expunge: {nothing:?}");
}

/// A mailbox that a node knows costs one round of three rows; a change costs what it changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_that_is_known() {
    let counted = Counted::new();
    let mail = &counted.node.mail;
    counted.fill(ALICE, INBOX, 20_000).await;
    counted.take();
    let roll = mail.current(ALICE, INBOX).await.unwrap().roll.unwrap();
    let (rows, _) = counted.take();
    assert!(roll.len() == 20_000 && rows.rows_read <= 20_010 && rows.read_rounds <= 10, "unknown: {rows:?}");
    assert!(roll.bytes() < 20_000 * 44, "{} octets", roll.bytes());
    mail.current(ALICE, INBOX).await.unwrap();
    let (rows, _) = counted.take();
    assert_eq!((rows.read_rounds, rows.rows_read, rows.snapshots), (1, 3, 1), "unchanged: {rows:?}");
    let inbox = MailboxPath::parse("INBOX").unwrap();
    assert_eq!(mail.mailbox_at(ALICE, &inbox).await, Ok(Some(INBOX)));
    assert_eq!(counted.take().0, kv::Counts::default(), "everybody has an INBOX");

    // What this node has changed, it does not read again.
    let flagged = FlagChange { action: FlagAction::Add, keywords: keywords(&["$flagged"]), deleted: false };
    mail.store(ALICE, INBOX, &[Uid(7_777)], &flagged, None).await.unwrap();
    let (rows, _) = counted.take();
    assert_eq!((rows.read_rounds, rows.rows_read, rows.commits), (2, 5, 1), "one flag: {rows:?}");
    assert_eq!(rows.rows_written, 5, "{rows:?}");
    mail.current(ALICE, INBOX).await.unwrap();
    let (rows, _) = counted.take();
    assert_eq!((rows.read_rounds, rows.rows_read), (1, 3), "own change: {rows:?}");
    let seen = FlagChange { action: FlagAction::Remove, keywords: keywords(&["$seen"]), deleted: false };
    mail.store(ALICE, INBOX, &[Uid(7_778)], &seen, None).await.unwrap();
    let (rows, _) = counted.take();
    assert_eq!((rows.read_rounds, rows.rows_read, rows.commits), (3, 7, 1), "seen: {rows:?}");

    // What another has changed costs a row of the log, and the row that it names.
    let other = mail::Mail::new(
        counted.node.kv.clone(),
        counted.node.blobs.clone(),
        store::bus::Bus::in_process(counted.world.clock.clone()),
        counted.world.clock.clone(),
        MailOptions::default(),
    );
    for uid in [5, 10_000, 19_999] {
        other.store(ALICE, INBOX, &[Uid(uid)], &flagged, None).await.unwrap();
    }
    counted.take();
    let roll = mail.current(ALICE, INBOX).await.unwrap().roll.unwrap();
    let (rows, _) = counted.take();
    assert_eq!(roll.changed_since(ModSeq(roll.modseq().0 - 3)), [Uid(5), Uid(10_000), Uid(19_999)]);
    // Twice the three rows, the account, three rows of the log, three members.
    assert!(rows.rows_read <= 13 && rows.read_rounds <= 6, "three changes: {rows:?}");

    let all: Vec<Uid> = (1..=10_000).map(Uid).collect();
    counted.take();
    mail.store(ALICE, INBOX, &all, &flagged, None).await.unwrap();
    let (rows, _) = counted.take();
    assert!(rows.commits == 5 && rows.read_rounds <= 15, "10,000 flags: {rows:?}");
    assert!(rows.rows_read <= 20_000 + 5 * 3 && rows.rows_written <= 20_000 + 5 * 3, "{rows:?}");
    mail.current(ALICE, INBOX).await.unwrap();
    let (rows, _) = counted.take();
    assert_eq!((rows.read_rounds, rows.rows_read), (1, 3), "10,000 own changes: {rows:?}");
}

/// Many recipients cost one transaction for each hundred.
#[tokio::test]
async fn a_message_to_many() {
    let counted = Counted::new();
    let message = counted.node.mail.ingest(Letter::new("1", "x").write()).await.unwrap();
    let deliveries: Vec<Delivery> = (1..=100).map(|id| to_inbox(AccountId(id))).collect();
    counted.take();
    assert!(counted.node.mail.deliver(&message, &deliveries).await.iter().all(Result::is_ok));
    let (rows, _) = counted.take();
    assert_eq!((rows.commits, rows.snapshots, rows.read_rounds), (1, 1, 100), "{rows:?}");
}
