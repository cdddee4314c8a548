//! One process, one store: the data directory is locked before anything in it is looked at.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::open::OpenError;

/// Held while the store is open. The system releases it when the process dies, however that happens.
pub(super) struct Lock(#[expect(dead_code, reason = "dropping it unlocks")] File);

impl Lock {
    pub(super) fn take(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join("lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| OpenError::Io { path: path.clone(), error })?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(directory.to_owned())),
            Err(TryLockError::Error(error)) => Err(OpenError::Io { path, error }),
        }
    }
}
