//! Plays every transcript under tests/transcripts, cut in different ways.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;

use support::Transcript;

mod support;

#[test]
fn every_transcript_gives_the_same_replies_however_it_is_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    assert!(files.len() > 30, "only {} transcripts found", files.len());
    let mut wrong = Vec::new();
    for path in files {
        let transcript = Transcript::parse(&fs::read_to_string(&path).unwrap());
        for piece in [usize::MAX, 1, 3] {
            if let Err(difference) = transcript.play(piece) {
                wrong.push(format!("{}: {difference}", path.file_name().unwrap().to_string_lossy()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
