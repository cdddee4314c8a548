//! Several nodes at once: they share nothing but the engines.

use std::collections::BTreeSet;

use mail::{MailOptions, MailboxPath, Quota};
use types::{AccountId, MailboxId, ModSeq, Uid};

use crate::support::{Letter, Node, Seed, World, seeds, to_inbox};

const ALICE: AccountId = AccountId(1);
const INBOX: MailboxId = MailboxId::INBOX;

/// What one node was told while it worked.
#[derive(Default)]
struct Told {
    /// UIDs that were given in a mailbox, in the order in which this node was told.
    uids: Vec<(MailboxId, Uid)>,
    modseqs: Vec<ModSeq>,
}

async fn append(node: &Node, number: usize, told: &mut Told) {
    let message = node.mail.ingest(Letter::new(&format!("{number}"), "x").write()).await.unwrap();
    let done = node.mail.deliver(&message, &[to_inbox(ALICE)]).await.pop().unwrap().unwrap();
    told.uids.push((INBOX, done.uid));
}

/// Appends, moves to and fro and renames, and looks after each step where the account stands.
async fn work(node: Node, name: &'static str, there: MailboxId) -> Told {
    let mut told = Told::default();
    for number in 0..25 {
        append(&node, number, &mut told).await;
        let inbox = node.uids(ALICE, INBOX).await;
        let some: Vec<Uid> = inbox.into_iter().take(2).collect();
        let moved = node.mail.r#move(ALICE, INBOX, &some, there).await.unwrap();
        told.uids.extend(moved.pairs.iter().map(|(_, uid)| (there, *uid)));
        if number % 5 == 0 {
            let path = MailboxPath::parse(&format!("{name}-{number}")).unwrap();
            let renamed = node.mail.create_path(ALICE, &path, None).await.unwrap();
            let new = MailboxPath::parse(&format!("{name}-renamed-{number}")).unwrap();
            node.mail.rename_mailbox(ALICE, renamed.id, &new).await.unwrap();
        }
        if number % 3 == 0 {
            let back: Vec<Uid> = node.uids(ALICE, there).await.into_iter().take(1).collect();
            let copied = node.mail.copy(ALICE, there, &back, INBOX, Quota::default()).await.unwrap();
            told.uids.extend(copied.pairs.iter().map(|(_, uid)| (INBOX, *uid)));
        }
        told.modseqs.push(node.mail.modseq(ALICE).await.unwrap());
    }
    told
}

/// Fault 43: APPEND, MOVE and RENAME at once on two nodes, whose store loses answers and finds conflicts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_43_uids_stay_unique_and_ascending_on_two_nodes() {
    for seed in seeds(2) {
        let _seed = Seed(seed);
        let world = World::new();
        let calm = world.node();
        let there =
            calm.mail.create_path(ALICE, &MailboxPath::parse("there").unwrap(), None).await.unwrap().id;
        let nodes = [seed, seed.wrapping_add(1)].map(|seed| world.rough_node(seed, MailOptions::default()));
        let [first, second] = nodes;
        let (first, second) =
            tokio::join!(tokio::spawn(work(first, "a", there)), tokio::spawn(work(second, "b", there)));
        let told = [first.unwrap(), second.unwrap()];
        for Told { uids, modseqs } in &told {
            assert!(modseqs.is_sorted(), "the modseq of the account went back");
            for mailbox in [INBOX, there] {
                let mine: Vec<Uid> =
                    uids.iter().filter(|(m, _)| *m == mailbox).map(|(_, uid)| *uid).collect();
                assert!(mine.is_sorted_by(|a, b| a < b), "UIDs of {mailbox:?} do not ascend: {mine:?}");
            }
        }
        let all: Vec<(MailboxId, Uid)> = told.iter().flat_map(|told| told.uids.clone()).collect();
        let distinct: BTreeSet<(MailboxId, Uid)> = all.iter().copied().collect();
        assert_eq!(all.len(), distinct.len(), "a UID was given twice");
        calm.assert_sound(&[ALICE]).await;
    }
}
