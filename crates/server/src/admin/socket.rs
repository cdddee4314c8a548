//! The admin socket's place in the file system.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::data_dir::DataDir;

/// The longest path that a socket address holds, in bytes, on the systems that hold least.
const LONGEST: usize = 100;

/// A path that is short enough for a socket address; valid as long as this is.
struct Address {
    path: PathBuf,
    /// Keeps the directory open that `path` goes through.
    _directory: Option<File>,
}

impl Address {
    fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().as_bytes().len() <= LONGEST {
            return Ok(Self { path: path.to_owned(), _directory: None });
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let directory = File::open(parent)?;
        let through = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string());
        Ok(Self { path: through.join(name), _directory: Some(directory) })
    }
}

/// Binds the socket. The caller has the stores open: whoever left a socket behind is gone.
pub(super) fn bind(data: &DataDir) -> io::Result<UnixListener> {
    let path = data.admin_socket();
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&Address::of(&path)?.path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Connects to the server of a data directory; `None` if none runs there.
pub(super) async fn connect(data: &DataDir) -> io::Result<Option<UnixStream>> {
    use io::ErrorKind::{ConnectionRefused, NotFound};
    let connected = match Address::of(&data.admin_socket()) {
        Ok(address) => UnixStream::connect(&address.path).await,
        Err(error) => Err(error),
    };
    match connected {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), NotFound | ConnectionRefused) => Ok(None),
        Err(error) => Err(error),
    }
}
