//! Import: each item exactly once, and in any order.

use mail::{Error, ImportId, ImportItem, Imported, MailOptions, Quota};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use types::{AccountId, Keyword, Keywords, MailboxId, ModSeq};

use crate::support::{Letter, Node, START, World, keywords};

const ALICE: AccountId = AccountId(1);

fn id(number: u32) -> ImportId {
    let mut item = [0; 16];
    item[..4].copy_from_slice(&number.to_be_bytes());
    ImportId { source: [1; 16], item }
}

async fn item(node: &Node, number: u32, letter: Letter) -> ImportItem {
    ImportItem {
        message: node.mail.ingest(letter.write()).await.unwrap(),
        mailbox: MailboxId::INBOX,
        keywords: keywords(&["$seen"]),
        deleted: false,
        received: START,
        id: id(number),
    }
}

async fn items(node: &Node, count: u32) -> Vec<ImportItem> {
    let mut items = Vec::new();
    for number in 0..count {
        items.push(item(node, number, Letter::new(&number.to_string(), &format!("subject {number}"))).await);
    }
    items
}

fn stored(results: &[Result<Imported, Error>]) -> usize {
    results.iter().filter(|r| matches!(r, Ok(Imported::Stored(_)))).count()
}

#[tokio::test]
async fn what_is_in_is_not_imported_again() {
    let world = World::new();
    let node = world.node();
    let items = items(&node, 230).await;
    let first = node.mail.import(ALICE, &items, Quota::default()).await.unwrap();
    assert_eq!(stored(&first), 230);
    let again = node.mail.import(ALICE, &items, Quota::default()).await.unwrap();
    assert!(again.iter().all(|r| r == &Ok(Imported::Known)));
    let ids: Vec<ImportId> = (225..235).map(id).collect();
    let known = node.mail.known_imports(ALICE, &ids).await.unwrap();
    assert_eq!(known.iter().filter(|known| **known).count(), 5);
    assert_eq!(node.mail.usage(ALICE).await.unwrap().emails, 230);
    node.mail.forget_import(ALICE, [1; 16]).await.unwrap();
    let anew = node.mail.import(ALICE, &items[..3], Quota::default()).await.unwrap();
    assert_eq!(stored(&anew), 3);
    node.assert_sound(&[ALICE]).await;
}

#[tokio::test]
async fn an_import_that_was_cut_off_goes_on() {
    let world = World::new();
    let node = world.node();
    let items = items(&node, 350).await;
    for commits in [1, 0, 1, 2] {
        let cut = world.cut_node(commits, MailOptions::default());
        let result = cut.mail.import(ALICE, &items, Quota::default()).await;
        if result.is_ok() {
            break;
        }
    }
    let last = node.mail.import(ALICE, &items, Quota::default()).await.unwrap();
    assert!(last.iter().all(Result::is_ok));
    assert_eq!(node.mail.usage(ALICE).await.unwrap().emails, 350);
    node.assert_sound(&[ALICE]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_imports_of_the_same_at_once_and_lost_answers() {
    let world = World::new();
    let (rough, node) = (world.rough_node(11, MailOptions::default()), world.node());
    let items = items(&node, 250).await;
    let (a, b) = tokio::join!(
        rough.mail.import(ALICE, &items, Quota::default()),
        node.mail.import(ALICE, &items, Quota::default())
    );
    assert_eq!(stored(&a.unwrap()) + stored(&b.unwrap()), 250);
    assert_eq!(node.mail.usage(ALICE).await.unwrap().emails, 250);
    node.assert_sound(&[ALICE]).await;
}

/// What one item is refused for leaves no trace in those that share its transaction.
#[tokio::test]
async fn a_refused_item_leaves_no_trace() {
    let world = World::new();
    let node = world.node();
    let mut items = items(&node, 4).await;
    items[1].keywords = (0..200).map(|n| Keyword::new(&format!("k{n}")).unwrap()).collect::<Keywords>();
    items[2].mailbox = MailboxId(99);
    let results = node.mail.import(ALICE, &items, Quota::default()).await.unwrap();
    assert!(matches!(results[0], Ok(Imported::Stored(_))) && matches!(results[3], Ok(Imported::Stored(_))));
    assert!(matches!(results[1], Err(Error::TooManyKeywords { .. })));
    assert_eq!(results[2], Err(Error::NoSuchMailbox));
    node.assert_sound(&[ALICE]).await;
    let known = node.mail.known_imports(ALICE, &[id(0), id(1), id(2), id(3)]).await.unwrap();
    assert_eq!(known, [true, false, false, true]);
    assert_eq!(node.mail.usage(ALICE).await.unwrap().emails, 2);
}

/// The second of two items with one name is not in if the first was refused.
#[tokio::test]
async fn a_refused_item_is_not_known() {
    let world = World::new();
    let node = world.node();
    let mut items = items(&node, 2).await;
    items[1].id = items[0].id;
    items[0].mailbox = MailboxId(99);
    let results = node.mail.import(ALICE, &items, Quota::default()).await.unwrap();
    assert_eq!(results[0], Err(Error::NoSuchMailbox));
    assert!(matches!(results[1], Ok(Imported::Stored(_))), "{:?}", results[1]);
}

#[tokio::test]
async fn the_quota_counts_within_a_batch() {
    let world = World::new();
    let node = world.node();
    let items = items(&node, 10).await;
    let results = node.mail.import(ALICE, &items, Quota { bytes: None, emails: Some(4) }).await.unwrap();
    assert_eq!(stored(&results), 4);
    assert!(results[4..].iter().all(|r| matches!(r, Err(Error::OverQuota { used: 4, .. }))));
    node.assert_sound(&[ALICE]).await;
}

/// The link between two threads comes in the same batch as both.
#[tokio::test]
async fn threads_merge_within_a_batch() {
    let world = World::new();
    let node = world.node();
    let mut items = Vec::new();
    for (number, letter) in [
        Letter::new("a", "trip"),
        Letter::new("b", "Re: trip").reply_to(&["x"]),
        Letter::new("c", "Re: trip").reply_to(&["y"]),
        Letter::new("x", "Re: trip").reply_to(&["a"]),
        Letter::new("y", "Re: trip").reply_to(&["x"]),
        Letter::new("z", "Re: trip").reply_to(&["c"]),
    ]
    .into_iter()
    .enumerate()
    {
        items.push(item(&node, u32::try_from(number).unwrap(), letter).await);
    }
    let since = node.mail.select(ALICE, MailboxId::INBOX).await.unwrap().modseq;
    node.mail.import(ALICE, &items, Quota::default()).await.unwrap();
    let inbox = node.mail.mailbox(ALICE, MailboxId::INBOX).await.unwrap().unwrap();
    assert_eq!((inbox.total, inbox.threads), (6, 1));
    let changes = node.mail.changes(ALICE, since, 100).await.unwrap();
    assert_eq!((changes.created.len(), changes.threads_created.len()), (6, 1));
    assert_eq!((changes.threads_updated.len(), changes.threads_destroyed.len()), (0, 0));
    node.assert_sound(&[ALICE]).await;
}

/// The archive of a mailing list in any order, as a directory lists it: each batch merges many long threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailing_list_in_any_order() {
    let world = World::new();
    let node = world.node();
    let mut items = Vec::new();
    for thread in 0..40 {
        let subject = format!("discussion {thread}");
        for number in 0..60_u32 {
            let id = format!("{thread}.{number}");
            let parents: Vec<String> =
                (number.saturating_sub(10)..number).map(|n| format!("{thread}.{n}")).collect();
            let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
            let letter = Letter::new(&id, &subject).reply_to(&parents).text(20);
            items.push(item(&node, thread * 1000 + number, letter).await);
        }
    }
    items.shuffle(&mut StdRng::seed_from_u64(3));
    let results = node.mail.import(ALICE, &items, Quota::default()).await.unwrap();
    assert_eq!(stored(&results), items.len());
    let inbox = node.mail.mailbox(ALICE, MailboxId::INBOX).await.unwrap().unwrap();
    assert_eq!((inbox.total, inbox.threads), (2400, 40));
    assert!(node.mail.changes(ALICE, ModSeq(0), 100_000).await.unwrap().created.len() == 2400);
    node.assert_sound(&[ALICE]).await;
}
