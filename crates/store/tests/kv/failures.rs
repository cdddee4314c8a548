//! What happens when the system refuses: to let a file grow, or to give space. And children: this test binary
//! started again in a role, so that limits and kills hit a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use store::kv::{Embedded, EmbeddedOptions, Error, Kv};
use tokio::runtime::Runtime;
use types::Clock;

use crate::ledger::{self, AckFile, Ledger};

const ROLE: &str = "MAGPIE_TEST_ROLE";
const DIRECTORY: &str = "MAGPIE_TEST_DIRECTORY";

/// Does nothing unless this process was started to play a role.
#[test]
fn child() {
    let (Ok(role), Ok(directory)) = (std::env::var(ROLE), std::env::var(DIRECTORY)) else { return };
    let (directory, runtime) = (PathBuf::from(directory), Runtime::new().unwrap());
    match role.as_str() {
        "write" => {
            let ledger = Ledger::open(&directory.join("store"), true).unwrap();
            let acks = Arc::new(AckFile::append_to(&directory.join("acks")).unwrap());
            runtime.block_on(ledger::write(ledger, acks, 8)).unwrap();
        }
        "grow" => runtime.block_on(write_until_refused(&directory, Rows::DURABLE)),
        "grow tables" => runtime.block_on(write_until_refused(&directory, Rows::COMPRESSIBLE)),
        "fill" => {
            runtime.block_on(keep_space_free(&directory));
            // With nothing kept free, the system's refusal comes in the middle of a write.
            leave_free(&directory, 1 << 20);
            runtime.block_on(write_until_refused(&directory, Rows { reserve_bytes: 0, ..Rows::DURABLE }));
        }
        other => panic!("no role {other}"),
    }
}

/// This test binary in a role, run by a shell after `before`.
fn command(role: &str, directory: &Path, before: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{before} exec \"$0\" --exact failures::child --nocapture");
    command.args(["-c", &script]).arg(std::env::current_exe().unwrap());
    // Its own account of tests run and passed is not ours.
    command.env(ROLE, role).env(DIRECTORY, directory).stdout(Stdio::null());
    command
}

/// Starts a child that writes to a ledger in `directory` until it is killed.
pub fn start_writer(directory: &Path) -> Child {
    command("write", directory, "").spawn().unwrap()
}

fn open(directory: &Path, options: EmbeddedOptions) -> Kv {
    let engine = Embedded::open(&directory.join("store"), options).unwrap();
    Kv::new(Arc::new(engine), Clock::system())
}

/// What is written until the system refuses.
#[derive(Clone, Copy)]
struct Rows {
    noise: bool,
    sync: bool,
    reserve_bytes: u64,
}

impl Rows {
    const DURABLE: Self = Self { noise: true, sync: true, reserve_bytes: 256 << 20 };
    /// The journal keeps these compressed, so that the first file to grow too large is a table.
    const COMPRESSIBLE: Self = Self { noise: false, sync: false, reserve_bytes: 256 << 20 };

    fn open(self, directory: &Path) -> Kv {
        let Self { sync, reserve_bytes, .. } = self;
        open(directory, EmbeddedOptions { sync, reserve_bytes, ..EmbeddedOptions::default() })
    }

    fn value(self, n: u32) -> Vec<u8> {
        let mut value = vec![n as u8; 90_000];
        if self.noise {
            StdRng::seed_from_u64(n.into()).fill_bytes(&mut value);
        }
        value
    }

    async fn put(self, kv: &Kv, n: u32) -> Result<(), Error> {
        kv.run(|tx| async move { tx.set(format!("row/{n:06}"), self.value(n)) }).await
    }

    async fn is_there(self, kv: &Kv, n: u32) -> bool {
        let tx = kv.read().await.unwrap();
        tx.get(format!("row/{n:06}")).await.unwrap().is_some_and(|value| value == self.value(n))
    }
}

/// How many rows `write_until_refused` had acknowledged.
fn acknowledged(directory: &Path) -> u32 {
    std::fs::read_to_string(directory.join("acknowledged")).unwrap().parse().unwrap()
}

/// A failed write poisons: all later ones fail, health says why, reads go on.
async fn write_until_refused(directory: &Path, rows: Rows) {
    let kv = rows.open(directory);
    let mut n = 0;
    let refused = loop {
        match rows.put(&kv, n).await {
            Ok(()) => n += 1,
            Err(error) => break error,
        }
        assert!(n < 10_000, "nothing was refused");
    };
    let Err(Error::Unavailable(why)) = kv.health() else { panic!("health says {:?}", kv.health()) };
    assert!(why.contains("no more writes are taken"), "{why}");
    // A job of the tree in the background fails between commits: then the next one is not even begun.
    let expected = if rows.noise { Error::CommitUnknown } else { Error::Unavailable(why.clone()) };
    assert_eq!(refused, expected);
    for _ in 0..3 {
        assert_eq!(rows.put(&kv, n + 1).await, Err(Error::Unavailable(why.clone())));
    }
    for row in 0..n {
        assert!(rows.is_there(&kv, row).await, "row {row} of {n} cannot be read");
    }
    assert!(!rows.is_there(&kv, n).await, "what was not acknowledged is visible");
    // The disk may be full: this goes over space that is there already.
    let report = std::fs::OpenOptions::new().write(true).open(directory.join("acknowledged")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&report, format!("{n:010}").as_bytes(), 0).unwrap();
}

/// After a restart with the obstacle gone, everything acknowledged is there and writes are taken again.
fn check_recovered(directory: &Path, rows: Rows) {
    let acknowledged = acknowledged(directory);
    Runtime::new().unwrap().block_on(async {
        let kv = rows.open(directory);
        assert!(acknowledged > 0);
        for row in 0..acknowledged {
            assert!(rows.is_there(&kv, row).await, "row {row} of {acknowledged} is lost");
        }
        assert!(!rows.is_there(&kv, acknowledged + 1).await);
        assert_eq!(kv.health(), Ok(()));
        rows.put(&kv, acknowledged + 2).await.unwrap();
    });
}

fn grows_until_refused(role: &str, rows: Rows, limit: &str) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("acknowledged"), "0000000000").unwrap();
    // The journal of a new store reserves more than the limit; that of a reopened one grows as it is written.
    drop(rows.open(directory.path()));
    drop(rows.open(directory.path()));
    let status =
        command(role, directory.path(), &format!("trap '' XFSZ; ulimit -f {limit};")).status().unwrap();
    assert!(status.success());
    check_recovered(directory.path(), rows);
}

#[test]
fn a_failed_write_poisons_the_store() {
    grows_until_refused("grow", Rows::DURABLE, "4000");
}

#[test]
fn a_failed_job_in_the_background_poisons_the_store() {
    grows_until_refused("grow tables", Rows::COMPRESSIBLE, "8000");
}

/// Fills the disk of `directory` until `bytes` are left.
fn leave_free(directory: &Path, bytes: u64) {
    let stat = rustix::fs::statvfs(directory).unwrap();
    let free = stat.f_bavail * stat.f_frsize;
    let filler = std::fs::File::create(directory.join(format!("filler-{bytes}"))).unwrap();
    rustix::fs::fallocate(&filler, rustix::fs::FallocateFlags::empty(), 0, free - bytes).unwrap();
}

async fn keep_space_free(directory: &Path) {
    std::fs::write(directory.join("acknowledged"), "0000000000").unwrap();
    let rows = Rows::DURABLE;
    let kv = rows.open(directory);
    rows.put(&kv, 0).await.unwrap();
    leave_free(directory, 5 << 20);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let Err(Error::Full(why)) = kv.health() else { panic!("health says {:?}", kv.health()) };
    assert!(why.contains("make room"), "{why}");
    assert_eq!(rows.put(&kv, 1).await, Err(Error::Full(why)));
    assert!(rows.is_there(&kv, 0).await);
    std::fs::remove_file(directory.join(format!("filler-{}", 5 << 20))).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(kv.health(), Ok(()));
    rows.put(&kv, 1).await.unwrap();
}

/// On a small disk of its own, in memory: needs the right to mount, which a user name space usually gives.
#[test]
fn a_full_disk_costs_no_commit() {
    let mount = "mount -t tmpfs -o size=160m none \"$MAGPIE_TEST_DIRECTORY\"";
    let unshare = ["-rm", "-m"].iter().find(|flags| {
        let directory = tempfile::tempdir().unwrap();
        let mut probe = Command::new("unshare");
        probe.args([flags, "sh", "-c", mount]).env(DIRECTORY, directory.path()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    });
    let Some(flags) = unshare else {
        eprintln!("skipped: this machine does not let tests mount a disk of their own");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let script = format!(
        "{mount} && \"$0\" --exact failures::child --nocapture && rm \"$MAGPIE_TEST_DIRECTORY\"/filler-* && MAGPIE_TEST_ROLE=recover \"$0\" --exact failures::recovered --nocapture"
    );
    let mut command = Command::new("unshare");
    command.args([flags, "sh", "-c", &script]).arg(std::env::current_exe().unwrap());
    let status =
        command.env(ROLE, "fill").env(DIRECTORY, directory.path()).stdout(Stdio::null()).status().unwrap();
    assert!(status.success());
}

/// The second half of the above, on the same small disk.
#[test]
fn recovered() {
    if std::env::var(ROLE).as_deref() == Ok("recover") {
        check_recovered(&PathBuf::from(std::env::var(DIRECTORY).unwrap()), Rows::DURABLE);
    }
}
