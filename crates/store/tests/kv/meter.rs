//! What [`Metered`] counts: the figures by which other tests prove what a hot path costs.

use std::sync::Arc;

use store::kv::{Counts, Embedded, EmbeddedOptions, Error, KeyRange, Kv, Metered, Range};
use types::Clock;

#[tokio::test]
async fn counts_rounds_rows_and_commits() {
    let directory = tempfile::tempdir().unwrap();
    let embedded = Arc::new(Embedded::open(directory.path(), EmbeddedOptions::default()).unwrap());
    let metered = Arc::new(Metered::new(embedded));
    let kv = Kv::new(metered.clone(), Clock::system());
    kv.run::<_, Error, _, _>(
        |tx| async move { (0..200).try_for_each(|n| tx.set(format!("k{n:03}"), "value")) },
    )
    .await
    .unwrap();
    let written =
        Counts { snapshots: 1, commits: 1, rows_written: 200, bytes_written: 200 * 9, ..Counts::default() };
    assert_eq!(metered.take(), written);

    let work = |tx: store::kv::Transaction| async move {
        tx.get_many(vec!["k001".into(), "k002".into(), "missing".into()]).await?;
        tx.range(Range::prefix(b"k").limit(50)).all().await?;
        tx.add("n", 1)?;
        tx.clear_range(KeyRange::prefix(b"x"))
    };
    kv.run(work).await.unwrap();
    let both = Counts {
        snapshots: 1,
        read_rounds: 2,
        rows_read: 53,
        commits: 1,
        rows_written: 2,
        bytes_written: 9 + 2,
    };
    assert_eq!(metered.take(), both);

    kv.run(|tx| async move { tx.range(Range::prefix(b"k")).all().await }).await.unwrap();
    let read = Counts { snapshots: 1, read_rounds: 2, rows_read: 200, ..Counts::default() };
    assert_eq!(metered.take(), read, "128 rows at first, then more; a read commits nothing");
}
