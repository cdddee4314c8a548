//! Whatever plan a search takes, it finds what looking at everything finds, in the same order: random mailboxes, filters
//! and orders, with mailboxes in memory and without; all at once, by windows, from an email on, threads collapsed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod asks;
mod letters;
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use asks::{Ask, Case, KEYWORDS, Known, MINUTES, compare, sort};
use letters::Letter;
use mail::search::{Filter, Html, Leaf, Query, Results, Scope};
use mail::{
    EmailChanged, EmailUpdate, FlagAction, FlagChange, Mail, MailOptions, MailboxPath, NewEmail, Quota,
    SetChange, UidList,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::{Node, START, Seed, World, keywords, seeds};
use types::{AccountId, EmailId, Keyword, MailboxId, Timestamp, Uid};

const ALICE: AccountId = AccountId(1);

/// An account that changes, and what was written into it.
struct Account {
    node: Node,
    mailboxes: Vec<MailboxId>,
    letters: BTreeMap<EmailId, Letter>,
    rng: StdRng,
}

impl Account {
    async fn new(node: Node, seed: u64) -> Self {
        let mut mailboxes = vec![MailboxId::INBOX];
        for name in ["one", "two"] {
            let path = MailboxPath::parse(name).unwrap();
            mailboxes.push(node.mail.create_path(ALICE, &path, None).await.unwrap().id);
        }
        Self { node, mailboxes, letters: BTreeMap::new(), rng: StdRng::seed_from_u64(seed) }
    }

    fn mailbox(&mut self) -> MailboxId {
        self.mailboxes[self.rng.random_range(0..self.mailboxes.len())]
    }

    fn keywords(&mut self) -> types::Keywords {
        let rng = &mut self.rng;
        keywords(&KEYWORDS.into_iter().filter(|_| rng.random_bool(0.4)).collect::<Vec<_>>())
    }

    /// Some emails come, many of them at the same moment.
    async fn receive(&mut self, count: usize) {
        for _ in 0..count {
            let before: Vec<Letter> = self.letters.values().cloned().collect();
            let id = self.letters.keys().last().map_or(1, |last| last.0 + 1000);
            let letter = Letter::random(id, &before, &mut self.rng);
            let message = self.node.mail.ingest(letter.write().into()).await.unwrap();
            let minute = self.rng.random_range(0..MINUTES);
            let received = START.plus(Duration::from_secs(60 * minute));
            let (keywords, deleted) = (self.keywords(), self.rng.random_bool(0.2));
            let email = NewEmail { message, keywords, deleted, received };
            let mailbox = self.mailbox();
            let quota = Quota::default();
            let appended = self.node.mail.append_all(ALICE, mailbox, vec![email], quota).await.unwrap();
            self.letters.insert(appended[0].email, letter);
        }
    }

    /// Some emails get other flags, or go to other mailboxes, or out of all.
    async fn change(&mut self) {
        let ids: Vec<EmailId> = self.letters.keys().copied().collect();
        for email in self.node.mail.email(ALICE, &ids).await.unwrap().into_iter().flatten() {
            let named = EmailChanged { email: email.id, thread: email.thread };
            let mailboxes: Vec<MailboxId> =
                self.mailboxes.clone().into_iter().filter(|_| self.rng.random_bool(0.5)).collect();
            let keywords: Vec<Keyword> =
                self.keywords().iter().map(|keyword| Keyword::new(keyword).unwrap()).collect();
            let update = match self.rng.random_range(0..12) {
                0 => EmailUpdate::Change { keywords: Some(SetChange::Replace(keywords)), mailboxes: None },
                1 | 2 if !mailboxes.is_empty() => {
                    EmailUpdate::Change { keywords: None, mailboxes: Some(SetChange::Replace(mailboxes)) }
                }
                3 => {
                    self.letters.remove(&email.id);
                    EmailUpdate::Destroy
                }
                _ => continue,
            };
            let done = self.node.mail.update_emails(ALICE, &[(named, update)], None).await.unwrap();
            assert_eq!(done, [Ok(())]);
        }
    }

    /// All emails, or those of a mailbox.
    async fn known(&self, mailbox: Option<MailboxId>) -> Vec<Known> {
        let ids: Vec<EmailId> = self.letters.keys().copied().collect();
        let emails = self.node.mail.email(ALICE, &ids).await.unwrap().into_iter().flatten();
        let members = match mailbox {
            Some(mailbox) => {
                self.node.mail.members(ALICE, mailbox, Uid(1), Uid(u32::MAX), usize::MAX).await.unwrap()
            }
            None => Vec::new(),
        };
        let known = emails.map(|email| Known {
            letter: self.letters[&email.id].clone(),
            member: members.iter().find(|member| member.email == email.id).cloned(),
            email,
        });
        known.collect()
    }
}

/// What is right.
fn naive(case: &Case<'_>, ask: &Ask, query: &Query, scope: &Scope) -> Vec<Known> {
    let in_scope = |known: &&Known| match scope {
        Scope::Account => true,
        Scope::View { uids, .. } => known.member.as_ref().is_some_and(|m| uids.index(m.uid).is_some()),
    };
    let found = case.all.iter().filter(in_scope).filter(|known| ask.holds(known, case));
    let mut found: Vec<Known> = found.cloned().collect();
    found.sort_by(|one, two| compare(&query.sort, one, two, case));
    let mut threads = BTreeSet::new();
    found.retain(|known| !query.collapse || threads.insert(known.email.thread));
    found
}

/// Asks in every way.
async fn check(mail: &Mail, query: &Query, scope: &Scope, right: &[Known], rng: &mut StdRng) {
    let search = || mail.search(ALICE, scope.clone(), query.clone());
    let ids = |results: &Results| results.known().iter().map(|hit| hit.email).collect::<Vec<_>>();
    let wanted: Vec<EmailId> = right.iter().map(|known| known.email.id).collect();

    let mut whole = search();
    whole.reach(usize::MAX).await.unwrap();
    assert_eq!(ids(&whole), wanted, "everything");
    assert_eq!(whole.total().await.unwrap(), wanted.len() as u64);
    for (hit, known) in whole.known().iter().zip(right) {
        assert_eq!((hit.thread, hit.received), (known.email.thread, known.email.received));
        if let Some(member) = &known.member {
            assert_eq!(hit.uid, Some(member.uid));
        }
        if query.modseqs && matches!(scope, Scope::View { .. }) {
            assert_eq!(hit.modseq, known.modseq());
        }
    }
    assert_eq!(search().total().await.unwrap(), wanted.len() as u64, "counted before anything is known");

    let mut window = search();
    let mut count = 0;
    while count <= wanted.len() {
        count += rng.random_range(1..8);
        window.reach(count).await.unwrap();
        let known = ids(&window);
        assert!(
            known.len() >= count.min(wanted.len()) && wanted.starts_with(&known),
            "{count} of {wanted:?}"
        );
    }
    assert_eq!(window.total().await.unwrap(), wanted.len() as u64, "counted behind a window");

    for _ in 0..2 {
        let Some(anchor) = right.get(rng.random_range(0..right.len() + 1)) else {
            assert_eq!(search().find(EmailId(999), types::ThreadId(1)).await.unwrap(), None);
            continue;
        };
        let at = wanted.iter().position(|id| *id == anchor.email.id);
        assert_eq!(search().find(anchor.email.id, anchor.email.thread).await.unwrap(), at, "an anchor");
        let mut places = search();
        places.reach_places(std::slice::from_ref(&anchor.email)).await.unwrap();
        assert!(places.known().len() > at.unwrap() && wanted.starts_with(&ids(&places)), "up to a place");
    }
}

async fn ask(account: &mut Account, mails: &[Mail]) {
    let in_view = account.rng.random_bool(0.4);
    let mailbox = account.mailbox();
    // Half of the time a question of one mailbox, as most are.
    let depth = account.rng.random_range(0..4);
    let asked = Ask::random(depth, in_view, &mut account.rng);
    let asked = match !in_view && account.rng.random() {
        true => Ask::And(vec![Ask::Is(Leaf::Mailbox(mailbox)), asked]),
        false => asked,
    };
    let sort = match account.rng.random_bool(0.3) && !in_view {
        true => support::newest(mailbox, false).sort,
        false => sort(in_view, &mut account.rng),
    };
    let html = if account.rng.random() { Html::Source } else { Html::Text };
    let (collapse, modseqs, all) = (account.rng.random(), account.rng.random(), account.rng.random());
    let query = Query { filter: asked.filter(), sort, collapse, html, modseqs, all };
    let scope = match in_view {
        true => {
            // Somebody who has looked before the last emails came, and before others went.
            let uids = account.node.uids(ALICE, mailbox).await;
            let seen = uids.len() - uids.len().min(account.rng.random_range(0..4));
            let gone = account.rng.random_bool(0.3).then(|| uids.get(2).copied()).flatten();
            if let Some(uid) = gone {
                account.node.mail.expunge(ALICE, mailbox, Some(&[uid])).await.unwrap();
                let ids: Vec<EmailId> = account.letters.keys().copied().collect();
                let left = account.node.mail.email(ALICE, &ids).await.unwrap();
                account.letters.retain(|id, _| left.iter().flatten().any(|email| email.id == *id));
            }
            Scope::View { mailbox, uids: UidList::new(&uids[..seen]) }
        }
        false => Scope::Account,
    };
    let all = account.known(in_view.then_some(mailbox)).await;
    let case = Case { all: &all, html };
    let right = naive(&case, &asked, &query, &scope);
    for mail in mails {
        let mut rng = StdRng::seed_from_u64(account.rng.random());
        let check = check(mail, &query, &scope, &right, &mut rng);
        let what = format!("{asked:?}\n{:?}\n{scope:?}, collapsed {collapse}", query.sort);
        let said = std::panic::AssertUnwindSafe(check);
        if let Err(panic) = futures::FutureExt::catch_unwind(said).await {
            eprintln!("{what}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_plan_finds_what_looking_at_everything_finds() {
    for seed in seeds(3) {
        let _seed = Seed(seed);
        let world = World::new();
        let node = world.node();
        let other = world.node_with(MailOptions { mailbox_cache: 0, ..MailOptions::default() });
        let mut account = Account::new(node.clone(), seed).await;
        for _ in 0..5 {
            account.receive(12).await;
            for _ in 0..40 {
                // A third one knows no mailbox yet, and reads none that it need not.
                let fresh = world.node();
                ask(&mut account, &[node.mail.clone(), other.mail.clone(), fresh.mail]).await;
            }
            account.change().await;
        }
        node.assert_sound(&[ALICE]).await;
    }
}

/// A walk through thousands of emails that do not match goes on in memory, and finds the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_that_strays() {
    let world = World::new();
    let node = world.node();
    let message = node.mail.ingest(support::Letter::new("1", "many").text(10).write()).await.unwrap();
    let mut emails = Vec::new();
    for number in 0..3_000_u64 {
        let received = Timestamp(START.0 + number / 7 * 1_000);
        let (message, keywords) = (message.clone(), keywords(&[]));
        emails.push(NewEmail { message, keywords, deleted: false, received });
        if emails.len() == 500 {
            let emails = std::mem::take(&mut emails);
            node.mail.append_all(ALICE, MailboxId::INBOX, emails, Quota::default()).await.unwrap();
        }
    }
    let flagged = FlagChange { action: FlagAction::Add, keywords: keywords(&["$flagged"]), deleted: false };
    let rare: Vec<Uid> = (0..10).map(|n| Uid(1 + n * 299)).collect();
    node.mail.store(ALICE, MailboxId::INBOX, &rare, &flagged, None).await.unwrap();
    let keyword = Leaf::Keyword(Keyword::new("$flagged").unwrap());
    let plain = support::newest(MailboxId::INBOX, false);
    for ascending in [false, true] {
        let mut query = plain.clone();
        query.filter = Filter::And(vec![query.filter, keyword.clone().into()]);
        query.sort[0].ascending = ascending;
        for options in [MailOptions::default(), MailOptions { mailbox_cache: 0, ..MailOptions::default() }] {
            let mail = world.node_with(options).mail;
            let mut results = mail.search(ALICE, Scope::Account, query.clone());
            results.reach(7).await.unwrap();
            let mut found: Vec<Uid> = results.known().iter().filter_map(|hit| hit.uid).collect();
            if !ascending {
                found.reverse();
            }
            let wanted = if ascending { &rare[..found.len()] } else { &rare[rare.len() - found.len()..] };
            assert!(found.len() >= 7 && found == wanted, "{found:?}");
            assert_eq!(results.total().await.unwrap(), 10);
        }
    }
}
