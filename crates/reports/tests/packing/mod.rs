//! Archives as senders of reports make them.

use std::io::Write;

use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression, Crc};

/// A file in a zip archive.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub name: &'a str,
    /// 0 is stored, 8 is deflate.
    pub method: u16,
    pub data: &'a [u8],
}

pub fn gzip(data: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(data).unwrap();
    packer.finish().unwrap()
}

pub fn zip(entries: &[Entry<'_>], comment: &[u8]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let packed = if entry.method == 8 { deflate(entry.data) } else { entry.data.to_vec() };
        let mut sum = Crc::new();
        sum.update(entry.data);
        let mut facts = Vec::new();
        facts.extend_from_slice(&[20, 0, 0, 0]);
        facts.extend_from_slice(&entry.method.to_le_bytes());
        facts.extend_from_slice(&[0; 4]);
        facts.extend_from_slice(&sum.sum().to_le_bytes());
        for size in [packed.len(), entry.data.len()] {
            facts.extend_from_slice(&u32::try_from(size).unwrap().to_le_bytes());
        }
        facts.extend_from_slice(&u16::try_from(entry.name.len()).unwrap().to_le_bytes());
        facts.extend_from_slice(&[0, 0]);
        directory.extend_from_slice(b"PK\x01\x02\x14\x00");
        directory.extend_from_slice(&facts);
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&u32::try_from(archive.len()).unwrap().to_le_bytes());
        directory.extend_from_slice(entry.name.as_bytes());
        archive.extend_from_slice(b"PK\x03\x04");
        archive.extend_from_slice(&facts);
        archive.extend_from_slice(entry.name.as_bytes());
        archive.extend_from_slice(&packed);
    }
    let (begin, length) = (archive.len(), directory.len());
    archive.extend_from_slice(&directory);
    let files = u16::try_from(entries.len()).unwrap().to_le_bytes();
    archive.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    archive.extend_from_slice(&files);
    archive.extend_from_slice(&files);
    for number in [length, begin] {
        archive.extend_from_slice(&u32::try_from(number).unwrap().to_le_bytes());
    }
    archive.extend_from_slice(&u16::try_from(comment.len()).unwrap().to_le_bytes());
    archive.extend_from_slice(comment);
    archive
}

fn deflate(data: &[u8]) -> Vec<u8> {
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::default());
    packer.write_all(data).unwrap();
    packer.finish().unwrap()
}
