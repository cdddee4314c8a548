//! Which changes by others make a transaction run again, and which do not.

use futures::FutureExt;
use futures::future::BoxFuture;
use store::kv::{Error, KeyRange, Kv, Range, Transaction};

use crate::engines::Way;

type Work = fn(Transaction) -> BoxFuture<'static, Result<(), Error>>;

struct Case {
    name: &'static str,
    conflicts: bool,
    mine: Work,
    theirs: Work,
}

fn range(begin: &'static str, end: &'static str) -> Range {
    Range::new(keys(begin, end))
}

fn keys(begin: &'static str, end: &'static str) -> KeyRange {
    KeyRange { begin: begin.into(), end: end.into() }
}

/// Rows r1, r3 and r5 are there.
fn cases() -> Vec<Case> {
    let case = |name, conflicts, mine, theirs| Case { name, conflicts, mine, theirs };
    let yes = |name, mine: Work, theirs: Work| case(name, true, mine, theirs);
    let no = |name, mine: Work, theirs: Work| case(name, false, mine, theirs);
    vec![
        yes(
            "a row read is set",
            |tx| async move { tx.get("r1").await.map(drop) }.boxed(),
            |tx| async move { tx.set("r1", "new") }.boxed(),
        ),
        yes(
            "a row read is set to what it was",
            |tx| async move { tx.get("r1").await.map(drop) }.boxed(),
            |tx| async move { tx.set("r1", "v") }.boxed(),
        ),
        yes(
            "a row read is cleared",
            |tx| async move { tx.get("r1").await.map(drop) }.boxed(),
            |tx| async move { tx.clear("r1") }.boxed(),
        ),
        yes(
            "a counter read is added to",
            |tx| async move { tx.get("r1").await.map(drop) }.boxed(),
            |tx| async move { tx.add("r1", 1) }.boxed(),
        ),
        yes(
            "a row read is in a cleared range",
            |tx| async move { tx.get("r1").await.map(drop) }.boxed(),
            |tx| async move { tx.clear_range(keys("r", "s")) }.boxed(),
        ),
        yes(
            "a missing row read is in a cleared range",
            |tx| async move { tx.get("r2").await.map(drop) }.boxed(),
            |tx| async move { tx.clear_range(keys("r", "s")) }.boxed(),
        ),
        no(
            "the range cleared ends before the row",
            |tx| async move { tx.get("r3").await.map(drop) }.boxed(),
            |tx| async move { tx.clear_range(keys("r", "r3")) }.boxed(),
        ),
        yes(
            "a missing row read appears",
            |tx| async move { tx.get("r2").await.map(drop) }.boxed(),
            |tx| async move { tx.set("r2", "new") }.boxed(),
        ),
        no(
            "another row is set",
            |tx| async move { tx.get("r1").await.map(drop) }.boxed(),
            |tx| async move { tx.set("r10", "new") }.boxed(),
        ),
        no(
            "a row read as a snapshot is set",
            |tx| async move { tx.snapshot_get("r1").await.map(drop) }.boxed(),
            |tx| async move { tx.set("r1", "new") }.boxed(),
        ),
        no(
            "both only write",
            |tx| async move { tx.set("r1", "mine") }.boxed(),
            |tx| async move { tx.set("r1", "theirs") }.boxed(),
        ),
        no(
            "both only add",
            |tx| async move { tx.add("n", 1) }.boxed(),
            |tx| async move { tx.add("n", 1) }.boxed(),
        ),
        yes(
            "an added counter was read",
            |tx| {
                async move {
                    tx.add("n", 1)?;
                    tx.get("n").await.map(drop)
                }
                .boxed()
            },
            |tx| async move { tx.add("n", 1) }.boxed(),
        ),
        no(
            "a row was set before it was read",
            |tx| {
                async move {
                    tx.set("r1", "mine")?;
                    tx.get("r1").await.map(drop)
                }
                .boxed()
            },
            |tx| async move { tx.set("r1", "theirs") }.boxed(),
        ),
        no(
            "a row was cleared before it was read",
            |tx| {
                async move {
                    tx.clear_range(keys("r", "s"))?;
                    tx.get("r1").await.map(drop)
                }
                .boxed()
            },
            |tx| async move { tx.set("r1", "theirs") }.boxed(),
        ),
        yes(
            "one of many rows read is set",
            |tx| {
                async move { tx.get_many(vec!["r1".into(), "r1".into(), "r9".into()]).await.map(drop) }
                    .boxed()
            },
            |tx| async move { tx.set("r9", "new") }.boxed(),
        ),
        yes(
            "a phantom in a range",
            |tx| async move { tx.range(range("r", "s")).all().await.map(drop) }.boxed(),
            |tx| async move { tx.set("r4", "new") }.boxed(),
        ),
        yes(
            "a phantom behind the last row of a range",
            |tx| async move { tx.range(range("r", "s")).all().await.map(drop) }.boxed(),
            |tx| async move { tx.set("r9", "new") }.boxed(),
        ),
        yes(
            "a phantom in an empty range",
            |tx| async move { tx.range(range("q", "qz")).all().await.map(drop) }.boxed(),
            |tx| async move { tx.set("q1", "new") }.boxed(),
        ),
        no(
            "a row at a range's end",
            |tx| async move { tx.range(range("r", "r5")).all().await.map(drop) }.boxed(),
            |tx| async move { tx.set("r5", "new") }.boxed(),
        ),
        no(
            "a phantom in a snapshot range",
            |tx| async move { tx.range(range("r", "s").snapshot()).all().await.map(drop) }.boxed(),
            |tx| async move { tx.set("r4", "new") }.boxed(),
        ),
        yes(
            "a phantom before the limit",
            |tx| async move { tx.range(range("r", "s").limit(2)).all().await.map(drop) }.boxed(),
            |tx| async move { tx.set("r2", "new") }.boxed(),
        ),
        no(
            "a phantom behind the limit",
            |tx| async move { tx.range(range("r", "s").limit(2)).all().await.map(drop) }.boxed(),
            |tx| async move { tx.set("r4", "new") }.boxed(),
        ),
        no(
            "a phantom behind a limit of all rows",
            |tx| async move { tx.range(range("r", "s").limit(3)).all().await.map(drop) }.boxed(),
            |tx| async move { tx.set("r6", "new") }.boxed(),
        ),
        yes(
            "a phantom below a limit not reached",
            |tx| async move { tx.range(range("r", "s").limit(4)).all().await.map(drop) }.boxed(),
            |tx| async move { tx.set("r6", "new") }.boxed(),
        ),
        yes(
            "the last row within the limit",
            |tx| async move { tx.range(range("r", "s").limit(2)).all().await.map(drop) }.boxed(),
            |tx| async move { tx.clear("r3") }.boxed(),
        ),
        yes(
            "a new last row, read backwards",
            |tx| async move { tx.range(range("r", "s").reverse().limit(1)).all().await.map(drop) }.boxed(),
            |tx| async move { tx.set("r6", "new") }.boxed(),
        ),
        no(
            "a row before the limit, read backwards",
            |tx| async move { tx.range(range("r", "s").reverse().limit(1)).all().await.map(drop) }.boxed(),
            |tx| async move { tx.set("r4", "new") }.boxed(),
        ),
        no(
            "a row before a limit of all rows, read backwards",
            |tx| async move { tx.range(range("r", "s").reverse().limit(3)).all().await.map(drop) }.boxed(),
            |tx| async move { tx.set("r0", "new") }.boxed(),
        ),
        yes(
            "a limit filled by own rows",
            |tx| {
                async move {
                    tx.set("r2", "mine")?;
                    tx.range(range("r", "s").limit(2)).all().await.map(drop)
                }
                .boxed()
            },
            |tx| async move { tx.set("r15", "new") }.boxed(),
        ),
        no(
            "behind a limit filled by own rows",
            |tx| {
                async move {
                    tx.set("r2", "mine")?;
                    tx.range(range("r", "s").limit(2)).all().await.map(drop)
                }
                .boxed()
            },
            |tx| async move { tx.set("r3", "new") }.boxed(),
        ),
        no(
            "a limit of none",
            |tx| async move { tx.range(range("r", "s").limit(0)).all().await.map(drop) }.boxed(),
            |tx| async move { tx.set("r1", "new") }.boxed(),
        ),
        yes(
            "a range declared as read",
            |tx| async move { tx.conflict_on(keys("r", "s")) }.boxed(),
            |tx| async move { tx.set("r4", "new") }.boxed(),
        ),
        no(
            "nothing is written by the other",
            |tx| async move { tx.get("r1").await.map(drop) }.boxed(),
            |tx| async move { tx.get("r1").await.map(drop) }.boxed(),
        ),
    ]
}

/// How often `mine` is run when `theirs` comes between its reads and its commit.
async fn attempts(kv: &Kv, mine: Work, theirs: Work) -> u32 {
    let reset = |tx: Transaction| async move {
        tx.clear_range(keys("a", "z"))?;
        ["r1", "r3", "r5"].iter().try_for_each(|key| tx.set(*key, "v"))
    };
    kv.run::<_, Error, _, _>(reset).await.unwrap();
    let mut attempts = 0;
    kv.run(|tx| {
        attempts += 1;
        let interferes = attempts == 1;
        async move {
            mine(tx.clone()).await?;
            if interferes {
                kv.run::<_, Error, _, _>(theirs).await?;
            }
            tx.set("z", "written")
        }
    })
    .await
    .unwrap();
    attempts
}

#[tokio::test]
async fn conflicts_are_what_was_read_and_nothing_else() {
    for way in Way::exact() {
        let opened = way.open();
        for case in cases() {
            let attempts = attempts(&opened.kv, case.mine, case.theirs).await;
            assert_eq!(attempts, if case.conflicts { 2 } else { 1 }, "{way}: {}", case.name);
        }
    }
}

#[tokio::test]
async fn a_transaction_in_which_a_read_failed_is_not_committed() {
    let opened = Way::Embedded.open();
    let mut attempts = 0;
    let result: Result<(), Error> = opened
        .kv
        .run(|tx| {
            attempts += 1;
            async move {
                tokio::time::pause();
                tokio::time::advance(std::time::Duration::from_secs(6)).await;
                let found = tx.get("row").await.ok().flatten();
                tokio::time::resume();
                tx.set("row", if found.is_some() { "found" } else { "missing" })
            }
        })
        .await;
    assert_eq!(result, Err(Error::TooOld));
    assert_eq!(attempts, 11);
    assert_eq!(opened.kv.read().await.unwrap().get("row").await.unwrap(), None);
}

#[tokio::test]
async fn endless_conflicts_end_in_an_error() {
    let opened = Way::Embedded.open();
    let kv = &opened.kv;
    let result: Result<(), Error> = kv
        .run(|tx| async move {
            tx.get("row").await?;
            kv.run::<_, Error, _, _>(|other| async move { other.set("row", "theirs") }).await?;
            tx.set("row", "mine")
        })
        .await;
    assert_eq!(result, Err(Error::Conflict { attempts: Kv::ATTEMPTS }));
}
