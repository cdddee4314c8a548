//! Files that are flipped, cut or gone: told at open, or by a typed error at the read that hits them. Never a
//! row less or a wrong one in silence, never a panic.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use store::kv::{Embedded, EmbeddedOptions, Error, Kv, OpenError, Range};
use tempfile::TempDir;
use types::Clock;

use crate::journals::copy_tree;

/// A store with rows in tables as well as in the journal.
struct Original {
    directory: TempDir,
    rows: BTreeMap<Bytes, Bytes>,
}

fn open(directory: &Path) -> Result<Kv, OpenError> {
    let options = EmbeddedOptions { sync: false, ..EmbeddedOptions::default() };
    Embedded::open(directory, options).map(|engine| Kv::new(Arc::new(engine), Clock::system()))
}

async fn put(kv: &Kv, rows: &BTreeMap<Bytes, Bytes>) {
    let all = |tx: store::kv::Transaction| async move {
        rows.iter().try_for_each(|(key, value)| tx.set(key.clone(), value.clone()))
    };
    kv.run::<_, Error, _, _>(all).await.unwrap();
}

fn tables(directory: &Path) -> usize {
    fs::read_dir(directory.join("rows/keyspaces/1/tables")).map_or(0, Iterator::count)
}

impl Original {
    /// Writes until the tree moves its rows from memory to a table.
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let kv = open(directory.path()).unwrap();
        let mut rng = StdRng::seed_from_u64(1);
        let mut rows = BTreeMap::new();
        let begun = Instant::now();
        for n in 0_u32.. {
            let mut batch = BTreeMap::new();
            for row in 0..20 {
                let mut value = vec![0; if row == 0 { 90_000 } else { rng.random_range(0..200) }];
                rng.fill_bytes(&mut value);
                batch.insert(Bytes::from(format!("row/{:08x}/{n}", rng.random::<u32>())), Bytes::from(value));
            }
            put(&kv, &batch).await;
            rows.extend(batch);
            if n % 50 == 0 && tables(directory.path()) > 0 {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "the tree writes no table");
        }
        drop(kv);
        // Two more starts: the journal shrinks to what it holds.
        drop(open(directory.path()).unwrap());
        drop(open(directory.path()).unwrap());
        Self { directory, rows }
    }

    /// All files but the locks, relative to the store.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut directories = vec![self.directory.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else if !path.ends_with("lock") {
                    files.push(path.strip_prefix(self.directory.path()).unwrap().to_owned());
                }
            }
        }
        files.sort();
        files
    }

    /// Whether `file` is a manifest that a newer one has replaced, and that the tree had no time to remove.
    fn is_superseded(&self, file: &Path) -> bool {
        let name = file.file_name().unwrap().to_str().unwrap();
        let Some(number) = name.strip_prefix('v').and_then(|number| number.parse::<u64>().ok()) else {
            return false;
        };
        let current = fs::read(self.directory.path().join(file).with_file_name("current")).unwrap();
        u64::from_le_bytes(*current.first_chunk().unwrap()) != number
    }

    /// A copy in which `file` may be changed. Tables are shared with the original: they are never changed.
    fn copy(&self, file: &Path) -> (TempDir, PathBuf) {
        let copy = tempfile::tempdir().unwrap();
        for other in self.files() {
            let (from, to) = (self.directory.path().join(&other), copy.path().join(&other));
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            if other.parent().unwrap().ends_with("tables") && other != file {
                fs::hard_link(from, to).unwrap();
            } else {
                fs::copy(from, to).unwrap();
            }
        }
        fs::write(copy.path().join("rows/lock"), "").unwrap();
        let changed = copy.path().join(file);
        (copy, changed)
    }

    /// Whether the damage was told: at open, or by an error at each read that does not give the right rows.
    async fn is_told(&self, directory: &Path, context: &str) -> bool {
        let kv = match open(directory) {
            Ok(kv) => kv,
            Err(OpenError::Damaged { .. } | OpenError::Gap { .. }) => return true,
            Err(other) => panic!("{context}: {other:?}"),
        };
        let mut told = false;
        for (at, (key, value)) in self.rows.iter().enumerate() {
            if at % 20 != 0 {
                continue;
            }
            match kv.read().await.unwrap().get(key.clone()).await {
                Ok(read) => assert_eq!(read.as_ref(), Some(value), "{context}: a wrong row"),
                Err(Error::Corrupt(_)) => told = true,
                Err(other) => panic!("{context}: {other:?}"),
            }
        }
        match kv.read().await.unwrap().range(Range::prefix(b"row/")).all().await {
            Ok(rows) => {
                assert!(rows.iter().map(|(k, v)| (k, v)).eq(self.rows.iter()), "{context}: wrong rows")
            }
            Err(Error::Corrupt(_) | Error::TooOld) => told = true,
            Err(other) => panic!("{context}: {other:?}"),
        }
        told
    }
}

/// Where to flip a bit in a file of this length: begin, end, and a few places between.
fn places(length: u64, seed: u64) -> Vec<u64> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut places = vec![0, length / 2, length.saturating_sub(1)];
    places.extend((0..3).map(|_| rng.random_range(0..length.min(300))));
    places.extend((0..3).map(|_| length - 1 - rng.random_range(0..length.min(300))));
    places.extend((0..2).map(|_| rng.random_range(0..length)));
    places
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_always_told() {
    let original = Original::new().await;
    let files = original.files();
    assert!(files.iter().any(|file| file.parent().unwrap().ends_with("keyspaces/1/tables")), "{files:?}");
    let mut silent = Vec::new();
    for file in &files {
        let name = file.display();
        let (copy, gone) = original.copy(file);
        fs::remove_file(gone).unwrap();
        let told = original.is_told(copy.path(), &format!("{name} is gone")).await;
        assert!(told || original.is_superseded(file), "{name} is gone, and nobody said so");

        let length = fs::metadata(original.directory.path().join(file)).unwrap().len();
        for cut in [0, length / 2, length.saturating_sub(1)] {
            let (copy, path) = original.copy(file);
            fs::OpenOptions::new().write(true).open(path).unwrap().set_len(cut).unwrap();
            let context = format!("{name} is cut from {length} to {cut} bytes");
            if !original.is_told(copy.path(), &context).await {
                silent.push(context);
            }
        }
        for place in places(length, 1) {
            let (copy, path) = original.copy(file);
            let mut bytes = fs::read(&path).unwrap();
            bytes[place as usize] ^= 1 << (place % 8);
            fs::write(&path, bytes).unwrap();
            let context = format!("{name} has a flipped bit at {place} of {length}");
            if !original.is_told(copy.path(), &context).await {
                silent.push(context);
            }
        }
    }
    println!("harmless: {silent:#?}");
}

#[tokio::test]
async fn a_directory_that_is_gone_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let kv = open(directory.path()).unwrap();
    put(&kv, &BTreeMap::from([("k".into(), "v".into())])).await;
    drop(kv);
    for gone in ["rows", "rows/keyspaces", "rows/keyspaces/0", "rows/keyspaces/1", "rows/keyspaces/1/tables"]
    {
        let copy = tempfile::tempdir().unwrap();
        copy_tree(directory.path(), copy.path());
        fs::remove_dir_all(copy.path().join(gone)).unwrap();
        match open(copy.path()).map(drop) {
            Err(OpenError::Damaged { .. } | OpenError::Gap { .. }) => {}
            // An empty directory of tables holds nothing that could be lost.
            Ok(()) if gone.ends_with("tables") => {}
            other => panic!("{gone} is gone: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_crash_while_a_store_is_made_leaves_no_trace() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("rows.unfinished/keyspaces/0")).unwrap();
    fs::write(directory.path().join("rows.unfinished/0.jnl"), [0; 100]).unwrap();
    fs::write(directory.path().join("rows.unfinished/version"), "").unwrap();
    fs::write(directory.path().join("sequence"), "").unwrap();
    let kv = open(directory.path()).unwrap();
    put(&kv, &BTreeMap::from([("k".into(), "v".into())])).await;
    drop(kv);
    assert!(open(directory.path()).is_ok());
    assert!(!directory.path().join("rows.unfinished").exists());
}

#[test]
fn a_directory_that_cannot_be_made_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "").unwrap();
    let opened = Embedded::open(&path.join("store"), EmbeddedOptions::default()).map(drop);
    assert!(matches!(opened, Err(OpenError::Io { .. })), "{opened:?}");
}
