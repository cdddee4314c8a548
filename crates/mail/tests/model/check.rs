//! Comparing what the service shows with a model.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use mail::search::{Hit, Scope};
use mail::{Mail, Member};
use types::{AccountId, EmailId, MailboxId, Uid};

use crate::account::{Account, Content, Counts, Email, Mailbox, Place};
use crate::support::newest;

/// Everything that can be seen of an account is as the model has it.
pub async fn compare(mail: &Mail, model: &Account) {
    let id = model.id;
    assert_eq!(mail.modseq(id).await.unwrap(), model.modseq, "the account's modseq");
    let usage = mail.usage(id).await.unwrap();
    assert_eq!((usage.bytes, usage.emails), model.usage(), "usage");
    compare_mailboxes(mail, model).await;
    for mailbox in model.boxes.keys() {
        compare_members(mail, model, *mailbox).await;
        compare_lists(mail, model, *mailbox).await;
    }
    compare_emails(mail, model).await;
    let expunged = mail.expunged(id, None, 10_000).await.unwrap();
    let shown: Vec<_> = expunged.iter().map(|e| (e.at, e.email)).collect();
    let mut wanted: Vec<_> = model.expunged.iter().map(|(id, e)| (e.at, *id)).collect();
    wanted.sort_by(|a, b| b.cmp(a));
    assert_eq!(shown, wanted, "expunged emails, the latest first");
    for shown in expunged {
        let wanted = &model.expunged[&shown.email];
        assert_eq!((shown.keywords, shown.received), (wanted.keywords.clone(), wanted.received));
        assert_eq!(shown.size, wanted.content.raw.len() as u64);
        assert!(!shown.mailboxes.is_empty());
    }
}

async fn compare_mailboxes(mail: &Mail, model: &Account) {
    let infos = mail.mailboxes(model.id).await.unwrap();
    let shown: BTreeSet<MailboxId> = infos.iter().map(|info| info.id).collect();
    assert_eq!(shown, model.boxes.keys().copied().collect(), "mailboxes");
    let lost = mail.lost_subscriptions(model.id).await.unwrap();
    assert!(
        lost.iter().map(ToString::to_string).eq(model.lost.iter().cloned()),
        "subscriptions without a mailbox"
    );
    let mut seen = BTreeSet::new();
    for info in infos {
        let wanted = &model.boxes[&info.id];
        assert!(info.parent.is_none_or(|parent| seen.contains(&parent)), "parents come before children");
        seen.insert(info.id);
        assert_eq!(info.path.to_string(), model.path(info.id));
        assert_eq!(info.name.as_str(), wanted.name);
        assert_eq!(
            (info.parent, info.role, info.subscribed),
            (wanted.parent, wanted.role, wanted.subscribed)
        );
        assert_eq!((info.uidvalidity, info.uidnext), (wanted.uidvalidity, wanted.uidnext), "{}", info.path);
        assert_eq!(info.modseq, wanted.modseq, "modseq of {}", info.path);
        let counts = Counts {
            total: info.total,
            unread: info.unread,
            unseen: info.unseen,
            deleted: info.deleted,
            size: info.size,
            threads: info.threads,
            unread_threads: info.unread_threads,
        };
        assert_eq!(counts, model.counts(info.id), "what {} counts", info.path);
        assert_eq!(mail.mailbox(model.id, info.id).await.unwrap().as_ref(), Some(&info));
        assert_eq!(mail.find_mailbox(model.id, &info.path).await.unwrap(), Some(info));
    }
}

async fn compare_members(mail: &Mail, model: &Account, mailbox: MailboxId) {
    let wanted = &model.boxes[&mailbox].members;
    let selected = mail.select(model.id, mailbox).await.unwrap();
    assert!(selected.uids.iter().eq(wanted.keys()), "UIDs of {mailbox}");
    assert_eq!(selected.modseq, model.modseq);
    let shown = mail.members(model.id, mailbox, Uid(1), Uid(u32::MAX), usize::MAX).await.unwrap();
    assert_eq!(shown.len(), wanted.len());
    for (member, (uid, place)) in shown.iter().zip(wanted) {
        let email = &model.emails[&place.email];
        assert_eq!((member.uid, member.email, member.deleted), (*uid, place.email, place.deleted));
        assert_eq!((member.thread, member.modseq), (email.thread, place.modseq), "email {}", place.email);
        assert_eq!((&member.keywords, member.received), (&email.keywords, email.received));
        assert_eq!(member.size, email.content.raw.len() as u64);
    }
    compare_roll(mail, model, mailbox, &shown).await;
    if let Some(middle) = shown.get(shown.len() / 2) {
        let some = mail.members(model.id, mailbox, middle.uid, Uid(u32::MAX), 3).await.unwrap();
        let from = shown.len() / 2;
        assert_eq!(some, shown[from..(from + 3).min(shown.len())]);
        let asked = [Uid(u32::MAX), middle.uid, Uid(0), shown[0].uid, middle.uid];
        let found = mail.members_at(model.id, mailbox, &asked).await.unwrap();
        assert!(found.iter().all(|m| shown.contains(m)) && found.is_sorted_by_key(|m| m.uid));
        assert_eq!(found.len(), if middle.uid == shown[0].uid { 1 } else { 2 });
    }
}

/// What a node holds in memory is what its stores say.
pub async fn compare_roll(mail: &Mail, model: &Account, mailbox: MailboxId, members: &[Member]) {
    let wanted = &model.boxes[&mailbox];
    let current = mail.current(model.id, mailbox).await.unwrap();
    assert_eq!((current.uidvalidity, current.uidnext), (wanted.uidvalidity, wanted.uidnext));
    assert_eq!(current.modseq, wanted.modseq, "modseq of {mailbox}");
    let roll = current.roll.unwrap();
    let held: Vec<Member> = roll.iter().map(|entry| entry.member()).collect();
    assert_eq!(held, members, "members of {mailbox} in memory");
    assert!(roll.uids().iter().eq(members.iter().map(|member| member.uid)));
}

async fn compare_lists(mail: &Mail, model: &Account, mailbox: MailboxId) {
    let mut hits: Vec<Hit> = model.boxes[&mailbox]
        .members
        .iter()
        .map(|(uid, place)| {
            let email = &model.emails[&place.email];
            let (thread, received) = (email.thread, email.received);
            Hit { email: place.email, thread, received, uid: Some(*uid), modseq: None }
        })
        .collect();
    hits.sort_by_key(|hit| std::cmp::Reverse((hit.received, hit.email)));
    let mut threads = BTreeSet::new();
    let collapsed: Vec<Hit> = hits.iter().filter(|hit| threads.insert(hit.thread)).copied().collect();
    for page in [3, 7, 1000] {
        assert_eq!(list(mail, model.id, mailbox, page, false).await, hits, "a list in pages of {page}");
        let shown = list(mail, model.id, mailbox, page, true).await;
        assert_eq!(shown, collapsed, "a collapsed list in pages of {page}");
    }
}

/// A list by date, the newest first, page by page.
pub async fn list(mail: &Mail, id: AccountId, mailbox: MailboxId, page: usize, collapse: bool) -> Vec<Hit> {
    let mut results = mail.search(id, Scope::Account, newest(mailbox, collapse));
    let mut count = 0;
    while results.known().len() >= count && !results.is_over() {
        count += page;
        results.reach(count).await.unwrap();
    }
    results.known().to_vec()
}

async fn compare_emails(mail: &Mail, model: &Account) {
    let mut ids: Vec<EmailId> = model.emails.keys().copied().collect();
    ids.push(EmailId(u64::MAX));
    let shown = mail.email(model.id, &ids).await.unwrap();
    assert_eq!(shown.last(), Some(&None));
    for (id, shown) in ids.iter().zip(&shown).take(model.emails.len()) {
        let (shown, wanted) = (shown.as_ref().unwrap(), &model.emails[id]);
        assert_eq!((shown.id, shown.thread, shown.modseq), (*id, wanted.thread, wanted.modseq));
        assert_eq!((&shown.keywords, shown.received), (&wanted.keywords, wanted.received));
        assert_eq!(shown.size, wanted.content.raw.len() as u64);
        assert_eq!(shown.mailboxes.iter().copied().collect::<BTreeSet<_>>(), model.places(*id));
    }
    let metadata = mail.metadata(model.id, &ids).await.unwrap();
    assert!(metadata[..model.emails.len()].iter().all(Option::is_some));
    for (thread, emails) in model.threads() {
        assert_eq!(mail.thread(model.id, thread).await.unwrap(), Some(emails), "thread {thread}");
    }
}

/// What modseqs may do: a change raises the account's and the modseq of what changed, and of nothing else. Takes
/// the service's numbers into the model.
pub async fn take_modseqs(mail: &Mail, before: &Account, model: &mut Account) {
    let now = mail.modseq(model.id).await.unwrap();
    if model.differs(before) {
        assert!(now > before.modseq, "a change has to raise the modseq from {}", before.modseq);
    } else {
        assert_eq!(now, before.modseq, "nothing changed");
    }
    model.modseq = now;
    let ids: Vec<EmailId> = model.emails.keys().copied().collect();
    for (id, email) in ids.iter().zip(mail.email(model.id, &ids).await.unwrap()) {
        let shown = email.unwrap_or_else(|| panic!("email {id} is missing")).modseq;
        if model.email_differs(before, *id) {
            assert!(shown > before.modseq && shown <= now, "email {id} changed, its modseq is {shown}");
        } else {
            assert_eq!(shown, before.emails[id].modseq, "email {id} did not change");
        }
        model.emails.get_mut(id).unwrap().modseq = shown;
    }
    for info in mail.mailboxes(model.id).await.unwrap() {
        let changed = take_place_modseqs(mail, before, model, info.id).await;
        let mailbox = model.boxes.get_mut(&info.id).unwrap_or_else(|| panic!("{} is too much", info.path));
        if changed {
            assert!(info.modseq > before.modseq && info.modseq <= now, "{} changed", info.path);
        } else {
            assert_eq!(info.modseq, before.boxes[&info.id].modseq, "{} did not change", info.path);
        }
        mailbox.modseq = info.modseq;
    }
}

/// The same for the emails in a mailbox. Whether anything about them changed (RFC 7162 §3.1.2.1 HIGHESTMODSEQ).
async fn take_place_modseqs(mail: &Mail, before: &Account, model: &mut Account, mailbox: MailboxId) -> bool {
    let old = before.boxes.get(&mailbox).map(|b| b.members.clone()).unwrap_or_default();
    let gone = |uid: &Uid| !model.boxes.get(&mailbox).is_some_and(|b| b.members.contains_key(uid));
    let mut changed = old.keys().any(gone) || !before.boxes.contains_key(&mailbox);
    for member in mail.members(model.id, mailbox, Uid(1), Uid(u32::MAX), usize::MAX).await.unwrap() {
        let differs = model.place_differs(before, mailbox, member.uid);
        changed |= differs;
        if differs {
            assert!(member.modseq > before.modseq && member.modseq <= model.modseq, "{mailbox}: {member:?}");
        } else {
            let wanted = old.get(&member.uid).map(|place| place.modseq);
            assert_eq!(Some(member.modseq), wanted, "{mailbox}, UID {} did not change", member.uid);
        }
        let place = model.boxes.get_mut(&mailbox).and_then(|b| b.members.get_mut(&member.uid));
        place.unwrap_or_else(|| panic!("UID {} is too much in {mailbox}", member.uid)).modseq = member.modseq;
    }
    changed
}

/// The account as its rows have it, for when nobody knows in which order things happened: what follows from the
/// rows can be compared with it.
pub async fn read(mail: &Mail, id: AccountId) -> Account {
    let mut boxes = BTreeMap::new();
    let mut account = Account::new(id, mail.modseq(id).await.unwrap(), fresh_boxes(mail, id).await);
    for info in mail.mailboxes(id).await.unwrap() {
        let members = mail.members(id, info.id, Uid(1), Uid(u32::MAX), usize::MAX).await.unwrap();
        let mut mailbox = account.boxes[&info.id].clone();
        for member in members {
            assert!(member.uid < mailbox.uidnext);
            let (email, deleted, modseq) = (member.email, member.deleted, member.modseq);
            let place = Place { email, deleted, modseq };
            mailbox.members.insert(member.uid, place);
            if let Entry::Vacant(slot) = account.emails.entry(member.email) {
                let source = mail.source(id, member.email).await.unwrap();
                let raw = source.read(0..u64::MAX).await.unwrap();
                assert_eq!(raw.len() as u64, member.size);
                let content = Content { raw, keys: Vec::new() };
                let state = mail.email(id, &[member.email]).await.unwrap().pop().flatten().unwrap();
                let (thread, modseq) = (member.thread, state.modseq);
                let email =
                    Email { thread, keywords: member.keywords, received: member.received, modseq, content };
                slot.insert(email);
            }
        }
        boxes.insert(info.id, mailbox);
    }
    account.boxes = boxes;
    account.lost = mail.lost_subscriptions(id).await.unwrap().iter().map(ToString::to_string).collect();
    for gone in mail.expunged(id, None, 100_000).await.unwrap() {
        let raw = mail.source(id, gone.email).await.unwrap().read(0..u64::MAX).await.unwrap();
        let content = Content { raw, keys: Vec::new() };
        let expunged = crate::account::Expunged {
            at: gone.at,
            keywords: gone.keywords,
            received: gone.received,
            content,
        };
        account.expunged.insert(gone.email, expunged);
    }
    account
}

/// The mailboxes as the service shows them, without members.
pub async fn fresh_boxes(mail: &Mail, id: AccountId) -> BTreeMap<MailboxId, Mailbox> {
    let infos = mail.mailboxes(id).await.unwrap();
    let boxes = infos.into_iter().map(|info| {
        let mailbox = Mailbox {
            name: info.name.as_str().to_owned(),
            parent: info.parent,
            role: info.role,
            subscribed: info.subscribed,
            uidvalidity: info.uidvalidity,
            uidnext: info.uidnext,
            modseq: info.modseq,
            members: BTreeMap::new(),
        };
        (info.id, mailbox)
    });
    boxes.collect()
}
