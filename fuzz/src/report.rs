//! Reports that strangers send: XML, JSON, and what they are packed in.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use reports::{Received, Unread, read};

/// A report as it is, and packed: both are read the same, and never without end.
pub fn plain(data: &[u8]) {
    let found = read(data);
    check(&found);
    // What is packed already is unpacked once, and not again.
    if !data.starts_with(b"PK") && !data.starts_with(b"\x1f\x8b") {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(data).unwrap();
        assert_eq!(read(&packer.finish().unwrap()), found);
    }
}

/// An archive.
pub fn archive(data: &[u8]) {
    for head in [b"".as_slice(), b"PK\x03\x04", b"\x1f\x8b\x08\0\0\0\0\0\0\x03"] {
        check(&read(&[head, data].concat()));
    }
}

fn check(found: &Result<Received, Unread>) {
    match found {
        Ok(report) => {
            assert!(!report.domain.is_empty());
            assert!(report.tls.iter().map(|tally| tally.failures.len()).sum::<usize>() <= 100);
            let rows = report.dmarc.as_ref().map_or(0, |dmarc| dmarc.rows.len());
            assert!(rows <= 250, "{rows} rows");
            assert_eq!(report.id().to_string().parse(), Ok(report.id()));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
