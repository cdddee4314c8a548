//! Zip archives, as far as reports come in them: one file, stored or deflated (APPNOTE.TXT §4.3).
//!
//! A crate for zip would bring encryption, other methods and its own idea of limits along; reports need the central
//! directory and deflate, which is here already. Nothing is written anywhere, so names lead nowhere.

use flate2::read::DeflateDecoder;

use super::archive::bounded;
use super::{INFLATED, Unread};

/// The signatures of the records.
const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
/// The length of the last record without its comment, and the longest comment.
const END_LENGTH: usize = 22;
const COMMENT: usize = 0xffff;
/// The most files that are looked at.
const FILES: u16 = 16;

/// The first file that may be a report.
pub(super) fn first(archive: &[u8]) -> Result<Vec<u8>, Unread> {
    let (files, mut at) = directory(archive).ok_or(Unread::Archive("it has no directory"))?;
    for _ in 0..files.min(FILES) {
        let file = File::read(archive, at).ok_or(Unread::Archive("its directory is damaged"))?;
        if file.may_be_a_report() {
            return file.open(archive);
        }
        at = file.next;
    }
    Err(Unread::Archive("there is no report in it"))
}

/// How many files there are, and where the directory begins.
fn directory(archive: &[u8]) -> Option<(u16, usize)> {
    let last = archive.len().checked_sub(END_LENGTH)?;
    let first = last.saturating_sub(COMMENT);
    let end = (first..=last).rev().find(|at| u32_at(archive, *at) == Some(END))?;
    Some((u16_at(archive, end + 10)?, u32_at(archive, end + 16)? as usize))
}

/// A file as the directory describes it.
struct File<'a> {
    name: &'a [u8],
    encrypted: bool,
    method: u16,
    packed: usize,
    size: usize,
    local: usize,
    next: usize,
}

impl<'a> File<'a> {
    fn read(archive: &'a [u8], at: usize) -> Option<Self> {
        if u32_at(archive, at)? != CENTRAL {
            return None;
        }
        let length = |offset| u16_at(archive, at + offset).map(usize::from);
        let (name, extra, comment) = (length(28)?, length(30)?, length(32)?);
        let begin = at + 46;
        Some(Self {
            name: archive.get(begin..begin + name)?,
            encrypted: u16_at(archive, at + 8)? & 1 != 0,
            method: u16_at(archive, at + 10)?,
            packed: u32_at(archive, at + 20)? as usize,
            size: u32_at(archive, at + 24)? as usize,
            local: u32_at(archive, at + 42)? as usize,
            next: begin + name + extra + comment,
        })
    }

    fn may_be_a_report(&self) -> bool {
        let ends = |end: &[u8]| {
            self.name.len() >= end.len()
                && self
                    .name
                    .get(self.name.len() - end.len()..)
                    .is_some_and(|own| own.eq_ignore_ascii_case(end))
        };
        // What macOS adds beside each file begins like this.
        (ends(b".xml") || ends(b".json")) && !self.name.starts_with(b"__MACOSX/")
    }

    fn open(&self, archive: &[u8]) -> Result<Vec<u8>, Unread> {
        if self.encrypted {
            return Err(Unread::Archive("it is encrypted"));
        }
        if self.size > INFLATED {
            return Err(Unread::TooLarge);
        }
        let packed = self.bytes(archive).ok_or(Unread::Archive("the file in it is cut"))?;
        let plain = match self.method {
            0 => packed.to_vec(),
            8 => bounded(DeflateDecoder::new(packed))?,
            _ => return Err(Unread::Archive("its method is neither stored nor deflate")),
        };
        if plain.len() != self.size {
            return Err(Unread::Archive("the file in it is damaged"));
        }
        Ok(plain)
    }

    fn bytes(&self, archive: &'a [u8]) -> Option<&'a [u8]> {
        if u32_at(archive, self.local)? != LOCAL {
            return None;
        }
        let length = |offset| u16_at(archive, self.local + offset).map(usize::from);
        let begin = self.local + 30 + length(26)? + length(28)?;
        archive.get(begin..begin.checked_add(self.packed)?)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(two.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}
