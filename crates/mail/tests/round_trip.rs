//! Byte for byte: what comes out is what came in, in whole and in every part, for torture and for real mail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use mail::{ImportId, ImportItem, Imported, MailOptions, Quota, Source};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::blob::{Metered, Segments, SegmentsOptions};
use support::letter::{Attachment, Letter, noise};
use support::{Node, START, Seed, World, seeds};
use types::{AccountId, EmailId, Keywords, MailboxId};

const ALICE: AccountId = AccountId(1);

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Puts messages into a mailbox.
async fn import(node: &Node, raw: &[Bytes]) -> Vec<EmailId> {
    let mut emails = Vec::new();
    for (batch, raw) in raw.chunks(100).enumerate() {
        let mut items = Vec::new();
        for (number, raw) in raw.iter().enumerate() {
            let mut item = [0; 16];
            item[..8].copy_from_slice(&(batch as u64).to_be_bytes());
            item[8..].copy_from_slice(&(number as u64).to_be_bytes());
            let message = node.mail.ingest(raw.clone()).await.unwrap();
            items.push(ImportItem {
                message,
                mailbox: MailboxId::INBOX,
                keywords: Keywords::new(),
                deleted: false,
                received: START,
                id: ImportId { source: [0; 16], item },
            });
        }
        for result in node.mail.import(ALICE, &items, Quota::default()).await.unwrap() {
            match result {
                Ok(Imported::Stored(appended)) => emails.push(appended.email),
                other => panic!("{other:?}"),
            }
        }
    }
    emails
}

/// Reads a source in all ways, and compares.
async fn compare(node: &Node, email: EmailId, raw: &Bytes, rng: &mut StdRng, ranges: usize) {
    let source = node.mail.source(ALICE, email).await.unwrap();
    assert_eq!((source.size(), source.hash()), (raw.len() as u64, *blake3::hash(raw).as_bytes()));
    assert!(source.read(0..u64::MAX).await.unwrap() == *raw, "the whole message differs");
    let len = raw.len() as u64;
    for number in 0..ranges {
        let start = rng.random_range(0..=len);
        let longest = if number % 2 == 0 { 90 } else { len };
        let end = start + rng.random_range(0..=longest.max(1));
        let wanted = raw.slice(usize::try_from(start).unwrap()..usize::try_from(end.min(len)).unwrap());
        assert!(source.read(start..end).await.unwrap() == wanted, "octets {start}..{end} differ");
        assert!(streamed(&source, start..end).await == wanted, "octets {start}..{end} differ in a stream");
    }
    compare_attachments(node, &source, email, raw).await;
}

async fn streamed(source: &Source, range: std::ops::Range<u64>) -> Vec<u8> {
    let mut stream = source.stream(range);
    let mut all = Vec::new();
    while let Some(chunk) = stream.next().await.unwrap() {
        assert!(!chunk.is_empty() && chunk.len() <= 2 << 20, "a chunk of {} octets", chunk.len());
        all.extend_from_slice(&chunk);
    }
    all
}

/// What can be had decoded without decoding is what decoding gives.
async fn compare_attachments(node: &Node, source: &Source, email: EmailId, raw: &Bytes) {
    let metadata = node.mail.metadata(ALICE, &[email]).await.unwrap().pop().flatten().unwrap();
    let leaves =
        metadata.structure.0.iter().filter(|part| part.descendants == 0 && part.encoding == "base64");
    for part in leaves {
        let Some((hash, len)) = source.attachment(part.body..part.end) else { continue };
        let body = &raw[usize::try_from(part.body).unwrap()..usize::try_from(part.end).unwrap()];
        let text: Vec<u8> = body.iter().copied().filter(|byte| !b"\r\n=".contains(byte)).collect();
        let text = text.trim_ascii();
        let plain = base64_simd::STANDARD_NO_PAD.decode_to_vec(text).unwrap();
        let kept = node.blobs.get(&hash).await.unwrap();
        assert_eq!(len, plain.len() as u64);
        assert!(kept == plain, "an attachment differs");
    }
}

async fn round_trip(node: &Node, raw: &[Bytes], seed: u64, ranges: usize) {
    let mut rng = StdRng::seed_from_u64(seed);
    let emails = import(node, raw).await;
    for (email, raw) in emails.into_iter().zip(raw) {
        compare(node, email, raw, &mut rng, ranges).await;
    }
}

fn read_all(paths: &[PathBuf]) -> Vec<Bytes> {
    let raw = paths.iter().map(|path| std::fs::read(path).unwrap());
    raw.filter(|raw| !raw.is_empty()).map(Bytes::from).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_messages_of_the_tests() {
    for seed in seeds(1) {
        let _seed = Seed(seed);
        let world = World::new();
        // Thresholds so low that everything goes through every way of being kept.
        for (inline_size, attachment_size) in [(16 << 10, 32 << 10), (0, 1), (200, 40)] {
            let options = MailOptions { inline_size, attachment_size, ..MailOptions::default() };
            let node = World::new();
            let node = node.node_with(options);
            let data = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data"));
            round_trip(&node, &read_all(&data), seed, 20).await;
            node.assert_sound(&[ALICE]).await;
        }
        drop(world);
    }
}

/// Real mail, where somebody has fetched it: `MAGPIE_CORPUS`, or `.cache/corpus` in the repository.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_corpus() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/corpus");
    let corpus = std::env::var_os("MAGPIE_CORPUS").map_or(here, PathBuf::from);
    if !corpus.is_dir() {
        eprintln!("skipped: there is no corpus at {}", corpus.display());
        return;
    }
    let world = World::new();
    let options = MailOptions { attachment_size: 2000, inline_size: 4000, ..MailOptions::default() };
    let node = world.node_with(options);
    let raw = read_all(&files(&corpus));
    round_trip(&node, &raw, 1, 3).await;
    assert_eq!(node.mail.usage(ALICE).await.unwrap().emails, raw.len() as u64);
}

/// Sizes around every threshold, lines of all lengths, texts that cannot be rebuilt.
fn torture(rng: &mut StdRng) -> Vec<Bytes> {
    let mut all = Vec::new();
    let threshold = (32 << 10) / 4 * 3;
    let sizes = (threshold - 700..threshold + 5).step_by(101).chain([
        threshold - 1,
        threshold,
        threshold + 1,
        40_000,
        40_001,
        40_002,
        65_536,
        196_607,
        196_608,
        262_143,
        262_144,
        262_145,
        600_000,
    ]);
    for size in sizes {
        let attachment = Attachment {
            bytes: noise(rng.random(), size),
            line: [76, 76, 64, 60, 72, 4, 77, 998, 0][rng.random_range(0..9)],
            line_end: if rng.random_bool(0.2) { "\n" } else { "\r\n" },
            padded: rng.random_bool(0.8),
        };
        let letter = Letter { attachments: vec![attachment], ..Letter::new("t", "torture") };
        all.push(letter.write());
        all.push(damaged(&letter.write(), rng));
    }
    let bodies =
        [0, 1, 9, 16_000, 16_384, 20_000, 33_000, 140_000, 163_840, 163_841, 170_000, 300_000, 5 << 20];
    for text in bodies {
        all.push(Letter::new("b", "body").text(text).write());
        all.push(Letter::new("b", "body").text(text).attach(noise(3, 50_000)).write());
    }
    all
}

/// One octet somewhere is another one: the attachment may have to stay where it is.
fn damaged(raw: &Bytes, rng: &mut StdRng) -> Bytes {
    let mut raw = raw.to_vec();
    let at = rng.random_range(raw.len() / 4..raw.len());
    match rng.random_range(0..4) {
        0 => raw[at] = b"\r\n =!A"[rng.random_range(0..6)],
        1 => drop(raw.remove(at)),
        2 => raw.insert(at, b"\n \tA="[rng.random_range(0..5)]),
        _ => raw.truncate(at),
    }
    raw.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attachments_of_all_sizes_and_shapes() {
    for seed in seeds(2) {
        let _seed = Seed(seed);
        let world = World::new();
        let node = world.node();
        round_trip(&node, &torture(&mut StdRng::seed_from_u64(seed)), seed, 12).await;
        node.assert_sound(&[ALICE]).await;
    }
}

/// The same from the engine of one machine, after another opening.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_from_segments() {
    for seed in seeds(1) {
        let _seed = Seed(seed);
        let world = World::new();
        let directory = world.directory().join("blobs");
        let options = SegmentsOptions { segment_bytes: 1 << 20, ..SegmentsOptions::default() };
        let open = || Arc::new(Segments::open(&directory, world.clock.clone(), options).unwrap());
        let node = |engine| world.node_on(world.engine.clone(), engine, MailOptions::default());
        let raw = torture(&mut StdRng::seed_from_u64(seed));
        let emails = import(&node(open()), &raw).await;
        let node = node(open());
        let mut rng = StdRng::seed_from_u64(seed);
        for (email, raw) in emails.into_iter().zip(&raw) {
            compare(&node, email, raw, &mut rng, 3).await;
        }
        node.assert_sound(&[ALICE]).await;
        node.assert_blobs_sound().await;
    }
}

/// More attachments than a recipe holds, half of them the same: each content is stored once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_attachments_in_one_message() {
    let world = World::new();
    let objects = Arc::new(Metered::new(world.memory.clone()));
    let options = MailOptions { attachment_size: 4000, ..MailOptions::default() };
    let node = world.node_on(world.engine.clone(), objects.clone(), options);
    let mut letter = Letter::new("1", "many");
    for number in 0..1010_u64 {
        letter = letter.attach(noise(number / 2, 3100));
    }
    let raw = letter.write();
    let mut rng = StdRng::seed_from_u64(1);
    let email = import(&node, std::slice::from_ref(&raw)).await[0];
    compare(&node, email, &raw, &mut rng, 10).await;
    let counts = objects.take();
    assert!(counts.puts <= 501, "{counts:?}");
    node.assert_sound(&[ALICE]).await;
    node.assert_blobs_sound().await;
}

/// Whoever sends it, however its text is laid out, and in however many messages and accounts it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attachment_is_stored_once() {
    let world = World::new();
    let objects = Arc::new(Metered::new(world.memory.clone()));
    let node = world.node_on(world.engine.clone(), objects.clone(), MailOptions::default());
    let bytes = noise(8, 300_000);
    for (number, (line, line_end)) in
        [(76, "\r\n"), (64, "\r\n"), (76, "\n"), (0, "\r\n"), (998, "\r\n")].into_iter().enumerate()
    {
        let attachment = Attachment { bytes: bytes.clone(), line, line_end, padded: number % 2 == 0 };
        let letter = Letter {
            attachments: vec![attachment.clone(), attachment],
            ..Letter::new(&number.to_string(), "x")
        };
        for account in 1..4 {
            let delivered = node.deliver(AccountId(account), letter.write()).await.unwrap();
            let source = node.mail.source(AccountId(account), delivered.email).await.unwrap();
            assert!(source.read(0..u64::MAX).await.unwrap() == letter.write());
        }
    }
    let counts = objects.take();
    assert_eq!(counts.puts, 1, "{counts:?}");
    assert!(counts.bytes_put < 310_000, "{counts:?}");
    let report = node.assert_blobs_sound().await;
    assert_eq!((report.blobs, report.references), (1, 15));
}
