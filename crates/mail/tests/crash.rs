//! A process delivers from sixteen tasks and is killed at any moment: everything that it acknowledged is there,
//! once, byte for byte, and nothing contradicts itself. `examples/deliverer.rs` is that process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Rounds in one directory, each going on with what the one before left.
const ROUNDS: u64 = 5;
const DIRECTORIES: u64 = 4;

/// The example, which `cargo test` builds beside the tests.
fn deliverer() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join("examples/deliverer");
    assert!(path.exists(), "run `cargo build --example deliverer` first: {} is missing", path.display());
    path
}

/// Delivers for a moment and dies without warning.
fn deliver_until_killed(directory: &Path, acks: &Path, seed: u64, moment: Duration) {
    let mut child = Command::new(deliverer())
        .arg(directory)
        .arg("--ack")
        .arg(acks)
        .args(["--threads", "16", "--seed", &seed.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "delivering\n");
    std::thread::sleep(moment);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), None, "it ended by itself");
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_sigkill() {
    let seed: u64 =
        std::env::var("MAGPIE_TEST_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    let mut rng = StdRng::seed_from_u64(seed);
    let mut acknowledged = 0;
    for _ in 0..DIRECTORIES {
        let directory = tempfile::tempdir().unwrap();
        let (data, acks) = (directory.path().join("data"), directory.path().join("acks"));
        std::fs::create_dir(&data).unwrap();
        for _ in 0..ROUNDS {
            let moment = Duration::from_millis(rng.random_range(5..350));
            deliver_until_killed(&data, &acks, rng.random(), moment);
            let check = Command::new(deliverer()).arg(&data).arg("--check").arg(&acks).output().unwrap();
            let said = String::from_utf8_lossy(&check.stdout);
            let complained = String::from_utf8_lossy(&check.stderr);
            assert!(
                check.status.success(),
                "MAGPIE_TEST_SEED={seed}, {:?}: {said}{complained}",
                check.status
            );
        }
        acknowledged += std::fs::read_to_string(&acks).unwrap().lines().count();
    }
    assert!(acknowledged > 200, "only {acknowledged} deliveries: that proves little");
}

/// The check would notice: an acknowledgement of something that is not there is a loss.
#[test]
fn the_check_finds_what_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let (data, acks) = (directory.path().join("data"), directory.path().join("acks"));
    std::fs::create_dir(&data).unwrap();
    deliver_until_killed(&data, &acks, 1, Duration::from_millis(200));
    let mut text = std::fs::read_to_string(&acks).unwrap();
    text.truncate(text.rfind('\n').map_or(0, |at| at + 1));
    text.push_str(&format!("1 4000000 10 {}\n", "0".repeat(64)));
    std::fs::write(&acks, text).unwrap();
    let check = Command::new(deliverer()).arg(&data).arg("--check").arg(&acks).status().unwrap();
    assert_eq!(check.code(), Some(3));
}
