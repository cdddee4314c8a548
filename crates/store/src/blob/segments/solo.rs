//! A large blob in a segment of its own: it is drawn and written chunk by chunk, whoever else puts meanwhile.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;

use super::format::{self, Address, HEAD, Kind, Record};
use super::full;
use super::log::Log;
use super::shelf::Segment;
use crate::blob::Hash;
use crate::blob::engine::{EngineError, Place};

/// Puts what `chunks` bring. Blocks.
pub(super) fn put(
    log: &Log,
    hash: Hash,
    chunks: impl Iterator<Item = io::Result<Bytes>>,
) -> Result<Place, EngineError> {
    log.health()?;
    let created = log.clock.now();
    let begun = log.shelf.create(Kind::Solo, created);
    let (number, file) = begun.map_err(|error| {
        let path = log.shelf.path(0).with_file_name("");
        let what = format!("beginning a segment in {} failed: {error}", path.display());
        full(&error, &path).unwrap_or(EngineError::Unavailable(what))
    })?;
    let written = write(log, number, &file, chunks).and_then(|len| {
        let head = format::record_head(&Record { hash, len, created });
        let durable = file.write_all_at(&head, HEAD).and_then(|()| log.sync(&file));
        durable.and_then(|()| log.shelf.sync_names()).map_err(|error| failed(log, number, &error))?;
        Ok(len)
    });
    match written {
        Ok(len) => {
            let bytes = HEAD + HEAD + len;
            log.shelf
                .update(number, Segment { bytes, kind: Kind::Solo, last_put: log.clock.now(), open: false });
            Ok(Address { segment: number, offset: HEAD, len }.place())
        }
        Err(error) => {
            // If this fails too, compaction finds an empty segment after the next start.
            let _left_behind = fs::remove_file(log.shelf.path(number));
            Err(error)
        }
    }
}

/// Writes the chunks behind where the record's head will be, and returns their length.
fn write(
    log: &Log,
    number: u64,
    file: &File,
    chunks: impl Iterator<Item = io::Result<Bytes>>,
) -> Result<u64, EngineError> {
    let mut len = 0;
    for chunk in chunks {
        log.health()?;
        let chunk = chunk.map_err(|error| EngineError::Content(error.to_string()))?;
        file.write_all_at(&chunk, HEAD + HEAD + len).map_err(|error| failed(log, number, &error))?;
        len += chunk.len() as u64;
    }
    Ok(len)
}

fn failed(log: &Log, number: u64, error: &io::Error) -> EngineError {
    full(error, &log.shelf.path(number)).unwrap_or_else(|| log.poison(number, error))
}
