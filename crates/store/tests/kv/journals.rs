//! Stores whose last commits lie in the journal only, to be damaged there: what a power loss leaves, and what
//! only a bad disk does.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use store::kv::{Embedded, EmbeddedOptions, Error, Kv, OpenError, Range};
use tempfile::TempDir;
use types::Clock;

const COMMITS: usize = 8;

/// A way to damage a journal, and its name.
type Damage<'a> = (&'a str, &'a dyn Fn(&File));

/// A store with commits 0 to [`COMMITS`], and how it looked after each.
struct Recorded {
    directory: TempDir,
    journal: PathBuf,
    /// Where the journal ended after each commit.
    ends: Vec<u64>,
    /// What the file beside the tree held then.
    notes: Vec<Vec<u8>>,
}

fn open(directory: &Path) -> Result<Kv, OpenError> {
    Embedded::open(directory, EmbeddedOptions::default())
        .map(|engine| Kv::new(Arc::new(engine), Clock::system()))
}

fn value(n: usize) -> Vec<u8> {
    let mut value = vec![0; 3000 * (n % 3 + 1)];
    StdRng::seed_from_u64(n as u64).fill_bytes(&mut value);
    value
}

async fn commit(kv: &Kv, n: usize) {
    let three_rows = |tx: store::kv::Transaction| async move {
        (0..3).try_for_each(|row| tx.set(format!("row/{n}/{row}"), value(n)))
    };
    kv.run::<_, Error, _, _>(three_rows).await.unwrap();
}

async fn commits_in(kv: &Kv) -> Vec<usize> {
    let rows = kv.read().await.unwrap().range(Range::prefix(b"row/")).all().await.unwrap();
    let mut commits = Vec::new();
    for row in rows.chunks(3) {
        let n: usize = std::str::from_utf8(&row[0].0).unwrap().split('/').nth(1).unwrap().parse().unwrap();
        assert_eq!(row.len(), 3, "a part of commit {n}");
        assert!(row.iter().all(|(_, stored)| *stored == value(n)), "commit {n} is not what was written");
        commits.push(n);
    }
    commits
}

fn journals(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory.join("rows")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "jnl")).collect()
}

fn end(journal: &Path) -> u64 {
    let bytes = fs::read(journal).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1
}

impl Recorded {
    /// The journal of a store that was never reopened ends in reserved space, that of others does not.
    async fn new(reopened: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        if reopened {
            drop(open(directory.path()).unwrap());
            drop(open(directory.path()).unwrap());
        }
        let kv = open(directory.path()).unwrap();
        let journal = journals(directory.path()).pop().unwrap();
        let (mut ends, mut notes) = (Vec::new(), Vec::new());
        for n in 0..COMMITS {
            commit(&kv, n).await;
            ends.push(end(&journal));
            notes.push(fs::read(directory.path().join("sequence")).unwrap());
        }
        Self { journal: journal.file_name().unwrap().into(), directory, ends, notes }
    }

    fn last(&self) -> (u64, u64) {
        (self.ends[COMMITS - 2], self.ends[COMMITS - 1])
    }

    /// A copy whose note is that after commit `noted`, to be damaged.
    fn copy(&self, noted: usize) -> (TempDir, File) {
        let copy = tempfile::tempdir().unwrap();
        copy_tree(self.directory.path(), copy.path());
        fs::write(copy.path().join("sequence"), &self.notes[noted]).unwrap();
        let journal = copy.path().join("rows").join(&self.journal);
        let journal = OpenOptions::new().read(true).write(true).open(journal).unwrap();
        // The copy has no holes; only its length is like the original's.
        (copy, journal)
    }
}

pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, to) = (entry.as_ref().unwrap(), to.join(entry.as_ref().unwrap().file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &to);
        } else {
            copy_file(&entry.path(), &to);
        }
    }
}

/// Copies a file without filling its tail of zeros.
fn copy_file(from: &Path, to: &Path) {
    let source = File::open(from).unwrap();
    let length = source.metadata().unwrap().len();
    let holds = rustix::fs::seek(&source, rustix::fs::SeekFrom::Hole(0)).unwrap_or(length);
    let mut bytes = vec![0; usize::try_from(holds).unwrap()];
    source.read_exact_at(&mut bytes, 0).unwrap();
    let copy = File::create(to).unwrap();
    copy.write_all_at(&bytes, 0).unwrap();
    copy.set_len(length).unwrap();
}

fn noise(seed: u64, length: u64) -> Vec<u8> {
    let mut noise = vec![0; usize::try_from(length).unwrap()];
    StdRng::seed_from_u64(seed).fill_bytes(&mut noise);
    noise
}

/// Places in the last batch: its first and last bytes, and some between.
fn places(from: u64, to: u64) -> Vec<u64> {
    let step = (to - from) / 7;
    let near_the_begin = [1, 2, 5, 12, 13, 14, 20, 34, 40];
    let near_the_end = [1, 2, 4, 5, 12, 13, 14];
    let mut places: Vec<_> =
        near_the_begin.iter().map(|n| from + n).chain(near_the_end.iter().map(|n| to - n)).collect();
    places.extend((1..7).map(|n| from + n * step));
    places
}

/// Opens, and finds all commits but the last; then the store works, and opens again.
async fn lost_only_the_last(directory: &Path, context: &str) {
    let kv = open(directory).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(commits_in(&kv).await, (0..COMMITS - 1).collect::<Vec<_>>(), "{context}");
    commit(&kv, COMMITS).await;
    drop(kv);
    let kv = open(directory).unwrap_or_else(|error| panic!("{context}, reopened: {error}"));
    assert_eq!(commits_in(&kv).await, (0..COMMITS - 1).chain([COMMITS]).collect::<Vec<_>>(), "{context}");
}

/// Each way in which the last batch, never acknowledged, may have reached the disk in part.
#[tokio::test]
async fn a_torn_last_commit_is_cut_off() {
    for reopened in [false, true] {
        let recorded = Recorded::new(reopened).await;
        let (from, to) = recorded.last();
        for (seed, place) in (0..).zip(places(from, to)) {
            let damages: [Damage; 5] = [
                ("cut off", &|journal| journal.set_len(place).unwrap()),
                ("zeros to the end", &|journal| {
                    journal.write_all_at(&vec![0; (to - place) as usize], place).unwrap()
                }),
                ("noise to the end", &|journal| {
                    journal.write_all_at(&noise(seed, to - place), place).unwrap()
                }),
                ("noise beyond the end", &|journal| {
                    journal.write_all_at(&noise(seed, to - place + 9000), place).unwrap()
                }),
                ("a page of zeros inside", &|journal| {
                    let hole = (to - place).saturating_sub(13).min(4096);
                    journal.write_all_at(&vec![0; hole as usize], place).unwrap();
                    // If there is no room for a hole, something else is wrong with the batch.
                    if hole == 0 {
                        journal.write_all_at(b"?", place).unwrap();
                    }
                }),
            ];
            for (name, damage) in damages {
                let (copy, journal) = recorded.copy(COMMITS - 2);
                damage(&journal);
                let context =
                    format!("reopened: {reopened}, {name} from byte {} of {}", place - from, to - from);
                lost_only_the_last(copy.path(), &context).await;
            }
        }
    }
}

/// The same, but the commit was acknowledged.
#[tokio::test]
async fn a_damaged_acknowledged_commit_is_refused() {
    let recorded = Recorded::new(true).await;
    let (from, to) = recorded.last();
    for (seed, place) in (0..).zip(places(from, to)) {
        let damages: [Damage; 4] = [
            ("cut off", &|journal| journal.set_len(place).unwrap()),
            ("cut off before it", &|journal| journal.set_len(from).unwrap()),
            ("zeros", &|journal| journal.write_all_at(&vec![0; (to - place) as usize], place).unwrap()),
            ("noise", &|journal| journal.write_all_at(&noise(seed, to - place), place).unwrap()),
        ];
        for (name, damage) in damages {
            let (copy, journal) = recorded.copy(COMMITS - 1);
            damage(&journal);
            let opened = open(copy.path()).map(drop);
            assert!(
                matches!(opened, Err(OpenError::Gap { .. })),
                "{name} from byte {}: {opened:?}",
                place - from
            );
            // Looking changes nothing: the next look says the same.
            let again = open(copy.path()).map(drop);
            assert!(matches!(again, Err(OpenError::Gap { .. })), "{name}: {again:?}");
        }
    }
}

#[tokio::test]
async fn a_loss_can_be_accepted() {
    let recorded = Recorded::new(true).await;
    let (copy, journal) = recorded.copy(COMMITS - 1);
    journal.set_len(recorded.last().0).unwrap();
    let Err(refused) = open(copy.path()) else { panic!("a lost commit went unnoticed") };
    assert!(refused.to_string().contains("an empty file"), "{refused}");
    fs::write(copy.path().join("sequence"), "").unwrap();
    lost_only_the_last(copy.path(), "accepted").await;
}

/// Damage with whole commits behind it is no power loss. The tree would drop them all.
#[tokio::test]
async fn damage_in_the_middle_is_refused() {
    let recorded = Recorded::new(true).await;
    for middle in [0, 1, COMMITS / 2, COMMITS - 2] {
        let from = if middle == 0 { recorded.ends[0] - 100 } else { recorded.ends[middle - 1] };
        let to = recorded.ends[middle];
        for (seed, place) in (0..).zip(places(from, to)) {
            let damages: [Damage; 3] = [
                ("a flipped bit", &|journal| {
                    let mut byte = [0];
                    journal.read_exact_at(&mut byte, place).unwrap();
                    journal.write_all_at(&[byte[0] ^ 0x10], place).unwrap();
                }),
                ("zeros", &|journal| journal.write_all_at(&vec![0; (to - place) as usize], place).unwrap()),
                ("noise", &|journal| journal.write_all_at(&noise(seed, to - place), place).unwrap()),
            ];
            for (name, damage) in damages {
                // After a power loss the note may be of any time.
                let (copy, journal) = recorded.copy(middle);
                damage(&journal);
                if name == "zeros" && is_unchanged(&recorded, &copy) {
                    continue;
                }
                let before = fs::read(copy.path().join("rows").join(&recorded.journal)).unwrap();
                let opened = open(copy.path()).map(drop);
                let context =
                    format!("{name} in commit {middle} from byte {}: {opened:?}", place.saturating_sub(from));
                // In front of the damage are no commits but those of the new store.
                assert!(matches!(opened, Err(OpenError::Damaged { .. })), "{context}");
                let after = fs::read(copy.path().join("rows").join(&recorded.journal)).unwrap();
                assert!(before == after, "{context}: the look changed the journal");
            }
        }
    }
}

fn is_unchanged(recorded: &Recorded, copy: &TempDir) -> bool {
    let read = |directory: &Path| fs::read(directory.join("rows").join(&recorded.journal)).unwrap();
    read(recorded.directory.path()) == read(copy.path())
}

/// A commit cut out of the middle leaves nothing but whole batches.
#[tokio::test]
async fn a_missing_commit_is_refused() {
    let recorded = Recorded::new(true).await;
    for missing in 1..COMMITS - 1 {
        let (copy, _) = recorded.copy(missing);
        let path = copy.path().join("rows").join(&recorded.journal);
        let mut bytes = fs::read(&path).unwrap();
        bytes.drain(recorded.ends[missing - 1] as usize..recorded.ends[missing] as usize);
        fs::write(&path, bytes).unwrap();
        let opened = open(copy.path()).map(drop);
        let Err(OpenError::Damaged { what, .. }) = opened else {
            panic!("commit {missing} is missing: {opened:?}")
        };
        assert!(what.contains("is followed by commit"), "{what}");
    }
}

/// An old copy of the tree under the note of a newer one, and the other way round.
#[tokio::test]
async fn an_old_copy_of_the_tree_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let kv = open(directory.path()).unwrap();
    commit(&kv, 0).await;
    let old = tempfile::tempdir().unwrap();
    copy_tree(directory.path(), old.path());
    commit(&kv, 1).await;
    drop(kv);
    fs::copy(directory.path().join("sequence"), old.path().join("sequence")).unwrap();
    let opened = open(old.path()).map(drop);
    assert!(matches!(opened, Err(OpenError::Gap { .. })), "{opened:?}");
}

/// Two stores that went different ways from the same beginning: the number is right, the commit is not.
#[tokio::test]
async fn a_tree_of_another_history_is_refused() {
    let first = tempfile::tempdir().unwrap();
    let kv = open(first.path()).unwrap();
    commit(&kv, 0).await;
    drop(kv);
    let second = tempfile::tempdir().unwrap();
    let kv = open(second.path()).unwrap();
    commit(&kv, 1).await;
    drop(kv);
    fs::copy(first.path().join("sequence"), second.path().join("sequence")).unwrap();
    let Err(OpenError::Gap { what, .. }) = open(second.path()).map(drop) else { panic!("went unnoticed") };
    assert!(what.contains("not the one"), "{what}");
}
