//! Refusing writes while the disk still has room to finish what was begun: a full disk must cost new mail a
//! temporary error, never the store.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Watches the free space of the file system that holds the data.
pub(crate) struct FreeSpace {
    directory: PathBuf,
    reserve: u64,
    checked: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl FreeSpace {
    const CHECK_EVERY: Duration = Duration::from_millis(250);

    /// Keeps `reserve` bytes free, or a twentieth of a disk on which that would be more than a twentieth.
    pub(crate) fn new(directory: &Path, reserve: u64) -> Self {
        Self { directory: directory.to_owned(), reserve, checked: Mutex::default() }
    }

    /// `Err` with words for the operator if too little is free. Looks at most four times a second.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut checked = self.checked.lock();
        match &*checked {
            Some((at, result)) if at.elapsed() < Self::CHECK_EVERY => result.clone(),
            _ => {
                let result = self.look();
                *checked = Some((Instant::now(), result.clone()));
                result
            }
        }
    }

    fn look(&self) -> Result<(), String> {
        let Ok(stat) = rustix::fs::statvfs(&self.directory) else { return Ok(()) };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let reserve = self.reserve.min(stat.f_blocks.saturating_mul(stat.f_frsize) / 20);
        if free >= reserve {
            return Ok(());
        }
        let directory = self.directory.display();
        Err(format!("the disk of {directory} is full ({free} bytes left of {reserve} kept free): make room"))
    }
}
