//! An email is marked together with what the mark says was done, and once.

use futures::future::join_all;
use mail::{Companion, Delivered, EmailChanged, Error, Mail};
use store::kv::{Kv, Transaction, counter};
use types::{AccountId, Keyword};

use crate::support::{Letter, World};

const ALICE: AccountId = AccountId(1);
const DONE: &[u8] = b"test-done";

/// Counts how often something is done; or cannot do it.
struct Doing {
    works: bool,
}

impl Companion for Doing {
    async fn join(&self, tx: &Transaction, _: &[(AccountId, Result<Delivered, Error>)]) -> Result<(), Error> {
        tx.add(DONE, 1)?;
        if self.works { Ok(()) } else { Err(Error::Withdrawn("not now".to_owned())) }
    }
}

async fn done(kv: &Kv) -> i64 {
    let value = kv.run(|tx| async move { tx.get(DONE).await }).await.unwrap();
    value.map_or(0, |value| counter(&value))
}

async fn is_marked(mail: &Mail, email: EmailChanged) -> bool {
    let found = mail.email(ALICE, &[email.email]).await.unwrap().remove(0).unwrap();
    found.keywords.contains(Keyword::MDN_SENT)
}

#[tokio::test]
async fn a_mark_and_what_it_stands_for_are_one() {
    let world = World::new();
    let node = world.node();
    let delivered = node.deliver(ALICE, Letter::new("a", "hello").write()).await.unwrap();
    let email = EmailChanged { email: delivered.email, thread: delivered.thread };
    let keyword = Keyword::new(Keyword::MDN_SENT).unwrap();
    let before = node.mail.modseq(ALICE).await.unwrap();
    let failed = node.mail.mark(ALICE, email, &keyword, &Doing { works: false }).await;
    assert_eq!(failed, Err(Error::Withdrawn("not now".to_owned())));
    assert_eq!((is_marked(&node.mail, email).await, done(&node.kv).await), (false, 0));
    let doing = &Doing { works: true };
    let results = join_all((0..10).map(|_| node.mail.mark(ALICE, email, &keyword, doing))).await;
    assert_eq!(results.iter().filter(|result| **result == Ok(true)).count(), 1);
    assert_eq!(results.iter().filter(|result| **result == Ok(false)).count(), 9);
    assert_eq!((is_marked(&node.mail, email).await, done(&node.kv).await), (true, 1));
    assert_eq!(node.mail.modseq(ALICE).await.unwrap(), before.next());
    let moved = EmailChanged { thread: types::ThreadId(99), ..email };
    assert_eq!(node.mail.mark(ALICE, moved, &keyword, doing).await, Err(Error::NoSuchEmail));
    assert!(node.mail.verify(ALICE).await.unwrap().is_empty());
}
