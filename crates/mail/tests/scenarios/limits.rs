//! What is long, wide or deep goes through in steps that fit the store, or is refused in words.

use mail::{
    DeleteScope, Delivery, Error, FlagAction, FlagChange, ImportId, ImportItem, Imported, MailboxName,
    MailboxPath, NewMailbox, Quota,
};
use types::{AccountId, Keyword, Keywords, MailboxId, Uid};

use crate::support::{Letter, Node, START, World, keywords, to_inbox};

const ALICE: AccountId = AccountId(1);
const INBOX: MailboxId = MailboxId::INBOX;

/// Fills the INBOX with short emails.
async fn fill(node: &Node, count: u32, letter: impl Fn(u32) -> Letter) -> Vec<Uid> {
    let mut items = Vec::new();
    for number in 0..count {
        let mut item = [0; 16];
        item[..4].copy_from_slice(&number.to_be_bytes());
        items.push(ImportItem {
            message: node.mail.ingest(letter(number).text(10).write()).await.unwrap(),
            mailbox: INBOX,
            keywords: Keywords::new(),
            deleted: false,
            received: START,
            id: ImportId { source: [9; 16], item },
        });
    }
    let results = node.mail.import(ALICE, &items, Quota::default()).await.unwrap();
    results
        .into_iter()
        .map(|result| match result {
            Ok(Imported::Stored(appended)) => appended.uid,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn alone(number: u32) -> Letter {
    Letter::new(&number.to_string(), &format!("subject {number}"))
}

async fn folder(node: &Node, name: &str) -> MailboxId {
    node.mail.create_path(ALICE, &MailboxPath::parse(name).unwrap(), None).await.unwrap().id
}

const DELETED: FlagChange = FlagChange { action: FlagAction::Add, keywords: Keywords::new(), deleted: true };

/// RFC 8621 §1.3.1 `maxMailboxesPerEmail`: without such a limit rows would outgrow the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emails_in_as_many_mailboxes_as_they_may_be() {
    let world = World::new();
    let node = world.node();
    let uids = fill(&node, 600, |n| Letter::new(&n.to_string(), "one thread").reply_to(&["root"])).await;
    let mut placed = 1;
    let refusal = loop {
        let to = folder(&node, &format!("label {placed}")).await;
        match node.mail.copy(ALICE, INBOX, &uids, to, Quota::default()).await {
            Ok(copied) => assert_eq!(copied.pairs.len(), 600),
            Err(error) => break error,
        }
        placed += 1;
        assert!(placed < 1000, "there is no limit");
    };
    assert!(matches!(refusal, Error::TooManyPlaces { .. }), "{refusal}");
    assert!(placed >= 32, "only {placed}");
    let flagged = FlagChange { action: FlagAction::Add, keywords: keywords(&["$flagged"]), deleted: true };
    let stored = node.mail.store(ALICE, INBOX, &uids, &flagged, None).await.unwrap();
    assert_eq!(stored.members.len(), 600);
    assert_eq!(node.mail.expunge(ALICE, INBOX, None).await.unwrap().uids.len(), 600);
    let trash = folder(&node, "elsewhere").await;
    let label =
        node.mail.find_mailbox(ALICE, &MailboxPath::parse("label 1").unwrap()).await.unwrap().unwrap().id;
    let there = node.uids(ALICE, label).await;
    assert_eq!(node.mail.r#move(ALICE, label, &there, trash).await.unwrap().pairs.len(), 600);
    let label =
        node.mail.find_mailbox(ALICE, &MailboxPath::parse("label 2").unwrap()).await.unwrap().unwrap().id;
    node.mail.delete_mailbox(ALICE, label, DeleteScope::Leaf).await.unwrap();
    // A link that makes two long threads one touches every email of the shorter.
    node.deliver(ALICE, Letter::new("root", "one thread").write()).await.unwrap();
    node.assert_sound(&[ALICE]).await;
}

/// Two halves of a long discussion that many people read, and then the message between them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_link_for_many_at_once() {
    let world = World::new();
    let node = world.node();
    let accounts: Vec<AccountId> = (1..=100).map(AccountId).collect();
    let to_all: Vec<Delivery> = accounts.iter().map(|id| to_inbox(*id)).collect();
    for half in ["left", "right"] {
        for number in 0..70 {
            let parents: Vec<String> = (0..12).map(|back| format!("{half}{}", number - back)).collect();
            let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
            let letter = Letter::new(&format!("{half}{number}"), "long").reply_to(&parents).text(10);
            let message = node.mail.ingest(letter.write()).await.unwrap();
            assert!(node.mail.deliver(&message, &to_all).await.iter().all(Result::is_ok));
        }
    }
    let link = Letter::new("link", "long").reply_to(&["left10", "right10"]);
    let message = node.mail.ingest(link.write()).await.unwrap();
    let results = node.mail.deliver(&message, &to_all).await;
    assert!(results.iter().all(Result::is_ok), "{:?}", results.iter().find(|r| r.is_err()));
    let inbox = node.mail.mailbox(ALICE, INBOX).await.unwrap().unwrap();
    assert_eq!((inbox.total, inbox.threads), (141, 1));
    node.assert_sound(&accounts[..3]).await;
}

/// More UIDs than one transaction takes, in no order, some twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_lists_in_any_order() {
    let world = World::new();
    let node = world.node();
    let uids = fill(&node, 1300, alone).await;
    let mut asked: Vec<Uid> = uids.iter().rev().copied().collect();
    asked.extend(uids.iter().step_by(3));
    let since = node.mail.modseq(ALICE).await.unwrap();
    let stored = node.mail.store(ALICE, INBOX, &asked, &DELETED, Some(since)).await.unwrap();
    assert_eq!(stored.conflicting, []);
    assert!(stored.members.iter().map(|m| m.uid).eq(uids.iter().copied()), "ascending, each once");
    let folder = folder(&node, "copies").await;
    let copied = node.mail.copy(ALICE, INBOX, &asked, folder, Quota::default()).await.unwrap();
    assert!(copied.pairs.iter().map(|(uid, _)| *uid).eq(uids.iter().copied()));
    assert!(copied.pairs.is_sorted_by_key(|(_, uid)| *uid));
    let gone = node.mail.expunge(ALICE, INBOX, Some(&asked)).await.unwrap().uids;
    assert!(gone.iter().eq(&uids), "ascending, each once");
    node.mail.delete_mailbox(ALICE, folder, DeleteScope::Leaf).await.unwrap();
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page = node.mail.expunged(ALICE, after, 100).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.at, last.email));
        listed.extend(page.into_iter().map(|e| e.email));
    }
    listed.sort_unstable();
    listed.dedup();
    assert_eq!(listed.len(), 1300, "all of them can be brought back");
    node.assert_sound(&[ALICE]).await;
}

/// A copy that does not fit the quota as a whole is not made in part.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_copy_is_all_or_nothing() {
    let world = World::new();
    let node = world.node();
    let uids = fill(&node, 700, alone).await;
    let quota = Quota { bytes: None, emails: Some(1300) };
    let copied = node.mail.copy(ALICE, INBOX, &uids, INBOX, quota).await;
    assert!(matches!(copied, Err(Error::OverQuota { .. })), "{copied:?}");
    assert_eq!(node.uids(ALICE, INBOX).await, uids);
    assert_eq!(node.mail.usage(ALICE).await.unwrap().emails, 700);
    node.assert_sound(&[ALICE]).await;
}

/// A thread holds so many emails and no more; what comes then begins another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_have_an_end() {
    let world = World::new();
    let node = world.node();
    let uids = fill(&node, 1250, |n| Letter::new(&n.to_string(), "endless").reply_to(&["root"])).await;
    let inbox = node.mail.mailbox(ALICE, INBOX).await.unwrap().unwrap();
    assert_eq!((inbox.total, inbox.threads, inbox.unread_threads), (1250, 3, 3));
    node.assert_sound(&[ALICE]).await;
    let seen = FlagChange { action: FlagAction::Add, keywords: keywords(&["$seen"]), deleted: true };
    node.mail.store(ALICE, INBOX, &uids[..1000], &seen, None).await.unwrap();
    node.mail.expunge(ALICE, INBOX, None).await.unwrap();
    node.deliver(ALICE, Letter::new("root", "Re: endless").reply_to(&["5", "700"]).write()).await.unwrap();
    world.hand.advance(crate::support::DAY * 15);
    node.mail.upkeep(ALICE).await.unwrap();
    node.deliver(ALICE, Letter::new("last", "Re: endless").reply_to(&["root", "1200"]).write())
        .await
        .unwrap();
    let inbox = node.mail.mailbox(ALICE, INBOX).await.unwrap().unwrap();
    assert_eq!((inbox.total, inbox.threads), (252, 1));
    node.assert_sound(&[ALICE]).await;
}

#[tokio::test]
async fn hundreds_of_references() {
    let world = World::new();
    let node = world.node();
    node.deliver(ALICE, Letter::new("0", "deep").write()).await.unwrap();
    for number in 1..100 {
        let parents: Vec<String> = (0..number).map(|n| n.to_string()).collect();
        let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
        node.deliver(ALICE, Letter::new(&number.to_string(), "Re: deep").reply_to(&parents).write())
            .await
            .unwrap();
    }
    let inbox = node.mail.mailbox(ALICE, INBOX).await.unwrap().unwrap();
    assert_eq!((inbox.total, inbox.threads), (100, 1));
    node.assert_sound(&[ALICE]).await;
}

#[tokio::test]
async fn many_keywords_are_refused_before_anything_is_written() {
    let world = World::new();
    let node = world.node();
    let many: Keywords = (0..129).map(|n| Keyword::new(&format!("k{n}")).unwrap()).collect();
    let message = node.mail.ingest(alone(1).write()).await.unwrap();
    let delivery = Delivery { keywords: many.clone(), ..to_inbox(ALICE) };
    let refused = node.mail.deliver(&message, &[delivery]).await.remove(0);
    assert!(matches!(refused, Err(Error::TooManyKeywords { limit: 128 })));
    let uid = node.deliver(ALICE, alone(2).write()).await.unwrap().uid;
    let change = FlagChange { action: FlagAction::Replace, keywords: many, deleted: false };
    let refused = node.mail.store(ALICE, INBOX, &[uid], &change, None).await;
    assert!(matches!(refused, Err(Error::TooManyKeywords { .. })));
    node.assert_sound(&[ALICE]).await;
}

/// As many mailboxes as an account may have, wide and deep: each operation still fits one transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_mailboxes() {
    let world = World::new();
    let options = mail::MailOptions { mailboxes: 2000, ..mail::MailOptions::default() };
    let node = world.node_with(options);
    let root = folder(&node, "root").await;
    let mut parent = root;
    for number in 0..1200 {
        let name = MailboxName::new(&format!("{number:0>200}")).unwrap();
        let new = NewMailbox { name, parent: Some(parent), role: None, subscribed: false, sort_order: 0 };
        let made = node.mail.create_mailbox(ALICE, new).await.unwrap();
        if number % 60 == 59 {
            parent = made.id;
        }
    }
    let before = std::time::Instant::now();
    node.mail.rename_mailbox(ALICE, root, &MailboxPath::parse("elsewhere/root").unwrap()).await.unwrap();
    assert_eq!(node.mail.mailboxes(ALICE).await.unwrap().len(), 6 + 1202);
    node.mail.delete_mailbox(ALICE, root, DeleteScope::Subtree).await.unwrap();
    assert!(before.elapsed().as_secs() < 5, "{:?}", before.elapsed());
    assert_eq!(node.mail.mailboxes(ALICE).await.unwrap().len(), 7);
    node.assert_sound(&[ALICE]).await;
}
