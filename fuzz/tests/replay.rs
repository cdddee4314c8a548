//! Every input in the corpus goes through its target once: what was found stays mended.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use targets::{TARGETS, Target};

/// Even unoptimised and on a busy machine, no seed is near this; one that is costs more than linear time.
const TOO_LONG: Duration = Duration::from_secs(60);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let below = |path: PathBuf| if path.is_dir() { files_below(&path) } else { vec![path] };
    paths.into_iter().flat_map(below).collect()
}

fn seeds(target: &Target) -> Vec<PathBuf> {
    let own = root().join("fuzz/corpus").join(target.name);
    let others = target.seeds.iter().map(|folder| root().join(folder));
    std::iter::once(own).chain(others).flat_map(|folder| files_below(&folder)).collect()
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let seeds = seeds(target);
    assert!(!seeds.is_empty(), "no seeds for {name}");
    for path in seeds {
        let input = std::fs::read(&path).unwrap();
        let begun = Instant::now();
        let outcome = catch_unwind(|| (target.run)(&input));
        assert!(outcome.is_ok(), "{}", path.display());
        assert!(begun.elapsed() < TOO_LONG, "{} took {:?}", path.display(), begun.elapsed());
    }
}

#[test]
fn every_target_survives_nothing_at_all() {
    TARGETS.iter().for_each(|target| (target.run)(b""));
}

#[test]
fn every_folder_of_the_corpus_belongs_to_a_target() {
    for entry in std::fs::read_dir(root().join("fuzz/corpus")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(TARGETS.iter().any(|target| target.name == name), "no target {name}");
    }
}

#[test]
fn jmap_request() {
    replay("jmap_request");
}

#[test]
fn jmap_names() {
    replay("jmap_names");
}

#[test]
fn jmap_socket() {
    replay("jmap_socket");
}

#[test]
fn oauth() {
    replay("oauth");
}

#[test]
fn imap_wire() {
    replay("imap_wire");
}

#[test]
fn imap_session() {
    replay("imap_session");
}

#[test]
fn smtp_session() {
    replay("smtp_session");
}

#[test]
fn smtp_reply() {
    replay("smtp_reply");
}

#[test]
fn pop3_session() {
    replay("pop3_session");
}

#[test]
fn ingest() {
    replay("ingest");
}

#[test]
fn mbox() {
    replay("mbox");
}

#[test]
fn names() {
    replay("names");
}

#[test]
fn metadata() {
    replay("metadata");
}

#[test]
fn recipe() {
    replay("recipe");
}

#[test]
fn report() {
    replay("report");
}

#[test]
fn report_archive() {
    replay("report_archive");
}

#[test]
fn damaged_rows() {
    replay("damaged_rows");
}
