//! What ingest costs: CPU time per message and per byte, and how large the records are.
//!
//! `cargo run --release -p magpie-mail --example ingest_cost [DIR of .eml files]`

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use mail::ingest::recipe::Step;
use mail::ingest::{Limits, THRESHOLD, metadata, split, structure, transfer};
use mail::record::metadata::Metadata;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let mut out = std::io::stdout().lock();
    let limits = Limits::default();
    let plain = typical(10_000);
    let cost = best(|| metadata(&plain, &limits));
    writeln!(out, "metadata of a {} B mail: {:.1} µs", plain.len(), micros(cost))?;
    let (tree, _) = structure(&plain, &limits);
    writeln!(out, "  scan {:.1} µs", micros(best(|| structure(&plain, &limits))))?;
    writeln!(out, "  bodies {:.2} µs", micros(best(|| tree.bodies())))?;
    let record = metadata(&plain, &limits);
    let bytes = record.to_bytes();
    writeln!(out, "  record {} B, encode {:.2} µs", bytes.len(), micros(best(|| record.to_bytes())))?;
    writeln!(out, "  decode {:.2} µs", micros(best(|| Metadata::from_bytes(&bytes))))?;
    writeln!(out, "  subject {:.2} µs", micros(best(|| record.subject())))?;
    writeln!(out, "  from {:.2} µs", micros(best(|| record.addresses("from", 100))))?;
    attachments(&mut out, &limits)?;
    match std::env::args().nth(1) {
        Some(dir) => corpus(&mut out, Path::new(&dir), &limits),
        None => Ok(()),
    }
}

/// Splitting and rebuilding a large message.
fn attachments(out: &mut impl Write, limits: &Limits) -> Outcome {
    let raw = attached(20_000_000);
    let rate = |cost: Duration| raw.len() as f64 / cost.as_secs_f64() / 1e9;
    writeln!(out, "a {} B mail with an attachment, GB/s of message:", raw.len())?;
    writeln!(out, "  metadata {:.1}", rate(best(|| metadata(&raw, limits))))?;
    let (tree, _) = structure(&raw, limits);
    let parts = split(&raw, &tree, THRESHOLD);
    writeln!(out, "  split {:.1} (hash alone {:.1})", rate(best(|| split(&raw, &tree, THRESHOLD))), {
        rate(best(|| parts.attachments.iter().map(|a| blake3::hash(&a.bytes)).collect::<Vec<_>>()))
    })?;
    let body =
        tree.part(2).and_then(|part| raw.get(part.body as usize..part.end as usize)).unwrap_or_default();
    writeln!(out, "  lenient base64 {:.1}", rate(best(|| transfer::base64(body, usize::MAX))))?;
    let mut again = Vec::with_capacity(100_000);
    let cost = best(|| {
        let mut attachments = parts.attachments.iter();
        for step in parts.recipe.steps(0..u64::MAX) {
            let Step::Attachment { mut encoder, .. } = step else { continue };
            for chunk in attachments.next().map_or(&[][..], |a| &a.bytes).chunks(64 * 1024) {
                again.clear();
                encoder.push(chunk, &mut again);
            }
            encoder.finish(&mut again);
        }
    });
    writeln!(out, "  rebuild {:.1}", rate(cost))?;
    Ok(())
}

/// Time and record sizes over real mails.
fn corpus(out: &mut impl Write, dir: &Path, limits: &Limits) -> Outcome {
    let mut mails = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        mails.push(std::fs::read(entry?.path())?);
    }
    let octets: usize = mails.iter().map(Vec::len).sum();
    let cost = best(|| mails.iter().map(|raw| metadata(raw, limits).size).sum::<u64>());
    let records: usize = mails.iter().map(|raw| metadata(raw, limits).to_bytes().len()).sum();
    let count = mails.len().max(1);
    writeln!(
        out,
        "{count} mails of {} B on average: {:.1} µs each; records {} B, of which header fields {} B",
        octets / count,
        micros(cost) / count as f64,
        records / count,
        mails.iter().map(|raw| metadata(raw, limits).header.fields.len()).sum::<usize>() / count,
    )?;
    Ok(())
}

/// The shortest time that `work` takes.
fn best<T>(mut work: impl FnMut() -> T) -> Duration {
    let started = Instant::now();
    let mut best = Duration::MAX;
    let mut rounds = 0;
    while started.elapsed() < Duration::from_millis(500) || rounds < 3 {
        let start = Instant::now();
        black_box(work());
        best = best.min(start.elapsed());
        rounds += 1;
    }
    best
}

fn micros(cost: Duration) -> f64 {
    cost.as_secs_f64() * 1e6
}

const HEADER: &str = "Received: from mail.example.com (mail.example.com [192.0.2.1])\r\n\tby mx.example.test (Postfix) with ESMTPS id 4XyZ\r\n\tfor <alice@example.test>; Mon,  5 Oct 2026 09:00:01 +0900 (KST)\r\n";

/// A mail of about `len` octets, half of it in HTML, with a header as it has after a few relays.
fn typical(len: usize) -> Vec<u8> {
    let mut raw = HEADER.repeat(4);
    raw += "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=mail;\r\n\th=from:to:subject:date:message-id;\r\n\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\tb=";
    raw += &"dGhpcyBpcyBhIHNpZ25hdHVyZQ\r\n\t ".repeat(10);
    raw += "\r\nDate: Mon, 5 Oct 2026 09:00:00 +0900\r\nFrom: =?UTF-8?B?6rmA7LKg7IiY?= <kim@example.com>\r\n";
    raw += "To: Alice <alice@example.test>, \"Bob, B.\" <bob@example.test>\r\nCc: carol@example.test\r\n";
    raw += "Subject: Re: =?UTF-8?B?7ZqM7J2Y66Gd6rO8IOqyrOyggeyEnCDqsoDthqAg7JqU7LKt?=\r\n";
    raw += "Message-ID: <CAFx1234567890@mail.example.com>\r\nIn-Reply-To: <root@example.test>\r\n";
    raw += "References: <root@example.test> <second@example.test>\r\n <third@example.test>\r\nMIME-Version: 1.0\r\n";
    raw += "X-Mailer: Example 1.0\r\nX-Priority: 3\r\nList-Id: <list.example.com>\r\n";
    raw += "Content-Type: multipart/alternative; boundary=\"0000000000009e9b7a05f0a1b2c3\"\r\n\r\n";
    let half = len.saturating_sub(raw.len() + 600) / 2;
    raw += "--0000000000009e9b7a05f0a1b2c3\r\nContent-Type: text/plain; charset=\"UTF-8\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
    raw +=
        &"=EC=95=88=EB=85=95 The minutes of the meeting are below, with the numbers.\r\n".repeat(half / 76);
    raw += "\r\n--0000000000009e9b7a05f0a1b2c3\r\nContent-Type: text/html; charset=\"UTF-8\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
    raw +=
        &"<p class=3D\"line\">=EC=95=88=EB=85=95 The minutes of <b>the meeting</b></p>\r\n".repeat(half / 76);
    raw += "\r\n--0000000000009e9b7a05f0a1b2c3--\r\n";
    raw.into_bytes()
}

/// A mail with an attachment of `len` octets.
fn attached(len: usize) -> Vec<u8> {
    let mut raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSee attachment.\r\n--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_vec();
    let bytes: Vec<u8> =
        (0..len as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    for line in bytes.chunks(57) {
        raw.extend(base64_simd::STANDARD.encode_to_string(line).bytes());
        raw.extend(b"\r\n");
    }
    raw.extend(b"--b--\r\n");
    raw
}
