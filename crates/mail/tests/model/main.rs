//! The mail core against a simple model of what RFC 9051 and RFC 8621 say: random operations, and after each the
//! same answers to everything that can be asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod account;
mod check;
mod concurrent;
mod followers;
mod script;
#[path = "../support/mod.rs"]
mod support;
mod trees;

use followers::{Followed, ImapFollower, JmapFollower};
use mail::MailOptions;
use rand::RngExt;
use script::Script;
use store::blob::SweepLimits;
use support::{GRACE, Seed, World, seeds};
use types::AccountId;

const ACCOUNTS: u64 = 3;

fn options() -> MailOptions {
    MailOptions { mailboxes: trees::MOST_MAILBOXES, ..MailOptions::default() }
}

/// Clients that follow the script from its beginning.
struct Audience {
    imap: Vec<ImapFollower>,
    jmap: Vec<JmapFollower>,
}

impl Audience {
    async fn new(script: &Script) -> Self {
        let mail = &script.calm.mail;
        let mut audience = Self { imap: Vec::new(), jmap: Vec::new() };
        for (id, model) in &script.models {
            audience.jmap.push(JmapFollower::new(mail, *id).await);
            for mailbox in model.boxes.keys() {
                audience.imap.push(ImapFollower::new(mail, *id, *mailbox, true).await);
            }
        }
        audience
    }

    /// Some of them look.
    async fn look(&mut self, script: &mut Script) {
        let mail = script.calm.mail.clone();
        for follower in &mut self.jmap {
            if script.rng.random_bool(0.3) {
                follower.check(&mail, script.rng.random_range(1..10)).await;
            }
        }
        let mut left = Vec::new();
        for mut follower in std::mem::take(&mut self.imap) {
            let looks = script.rng.random_bool(0.3);
            if !looks || follower.check(&mail).await != Followed::Gone {
                left.push(follower);
            }
        }
        let id = script.account();
        let mailbox = script.mailbox(id);
        if script.models[&id].boxes.contains_key(&mailbox) {
            left.push(ImapFollower::new(&mail, id, mailbox, true).await);
        }
        left.truncate(40);
        self.imap = left;
    }
}

/// Runs a script and looks at everything after each step.
async fn run(mut script: Script, steps: usize) {
    let accounts: Vec<AccountId> = script.models.keys().copied().collect();
    let mut audience = Audience::new(&script).await;
    for step in 0..steps {
        script.step().await;
        script.compare().await;
        if step % 5 == 0 {
            audience.look(&mut script).await;
        }
        if step % 25 == 0 {
            script.calm.assert_sound(&accounts).await;
        }
    }
    script.compare_bytes().await;
    script.calm.assert_sound(&accounts).await;
    script.clean_up().await;
    script.compare().await;
    script.calm.assert_sound(&accounts).await;
}

/// When the last email that held it is purged and the grace period is over, a blob goes.
async fn assert_no_blob_is_left_over(world: &World, script: &Script) {
    for _ in 0..3 {
        world.hand.advance(GRACE);
        script.calm.blobs.sweep(SweepLimits::default()).await.unwrap();
        let mut after = None;
        loop {
            let report = script.calm.blobs.collect_orphans(after.as_ref()).await.unwrap();
            after = report.next;
            if after.is_none() {
                break;
            }
        }
    }
    let mut wanted = std::collections::BTreeSet::new();
    for (id, model) in &script.models {
        for (email, shown) in &model.emails {
            if shown.content.raw.len() < 32 << 10 {
                continue;
            }
            let metadata = script.calm.mail.metadata(*id, &[*email]).await.unwrap().pop().flatten().unwrap();
            let source = script.calm.mail.source(*id, *email).await.unwrap();
            for part in &metadata.structure.0 {
                let body = part.body..part.end;
                wanted.extend(source.attachment(body).map(|(hash, _)| hash));
            }
        }
    }
    let report = script.calm.assert_blobs_sound().await;
    assert_eq!(report.blobs, wanted.len() as u64, "blobs that are known");
    assert_eq!(world.memory.len(), wanted.len(), "objects that are kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_can_be_asked_is_answered_as_the_standards_say() {
    for seed in seeds(3) {
        let _seed = Seed(seed);
        let world = World::new();
        let node = world.node_with(options());
        let script = Script::new(node.clone(), node, world.hand.clone(), ACCOUNTS, seed).await;
        run(script, 350).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_go_with_the_last_email_that_needs_them() {
    for seed in seeds(1) {
        let _seed = Seed(seed);
        let world = World::new();
        let node = world.node_with(options());
        let mut script = Script::new(node.clone(), node, world.hand.clone(), ACCOUNTS, seed).await;
        for _ in 0..400 {
            script.step().await;
        }
        script.clean_up().await;
        script.compare().await;
        assert_no_blob_is_left_over(&world, &script).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_on_a_store_that_conflicts_and_loses_answers() {
    for seed in seeds(4) {
        let _seed = Seed(seed);
        let world = World::new();
        let rough = world.rough_node(seed, options());
        let script = Script::new(rough, world.node_with(options()), world.hand.clone(), ACCOUNTS, seed).await;
        run(script, 80).await;
    }
}
