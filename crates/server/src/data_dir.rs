//! The data directory: where a server on one machine keeps everything, and what lies where in it.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::node::NodeOptions;
use crate::problem::Problem;

/// A data directory.
///
/// ```text
/// kv/           the ordered keys: all metadata
/// blobs/        message sources and attachments
/// tls/          the certificate and its key
/// spool/        messages on their way in, nameless files that vanish with the process
/// admin.sock    where the command line reaches the running server
/// dev-password  the password of the accounts that `magpie dev` makes
/// ```
#[derive(Clone, Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// How the services that work on it are set up.
    node: Arc<NodeOptions>,
}

impl DataDir {
    /// The directory that the command line names, else the default: `$XDG_STATE_HOME/magpie`, which is
    /// `~/.local/state/magpie` if that is not set.
    pub(crate) fn choose(named: Option<PathBuf>) -> Result<Self, Problem> {
        let directory = named.or_else(default_directory).ok_or_else(|| {
            Problem::invalid("no data directory is known, as HOME is not set: name one with --data DIR")
        })?;
        Self::new(&directory, NodeOptions::default())
    }

    /// A directory whose services are set up in a way of their own.
    pub(crate) fn new(path: &Path, node: NodeOptions) -> Result<Self, Problem> {
        let path = std::path::absolute(path).map_err(|e| refused(path, &e))?;
        Ok(Self { path, node: Arc::new(node) })
    }

    /// How the services that work on it are set up.
    pub(crate) fn node_options(&self) -> &NodeOptions {
        &self.node
    }

    /// An error that says what to do if the directory belongs to another user: what this process would write there
    /// the server could not open any more.
    pub(crate) fn must_be_ours(&self) -> Result<(), Problem> {
        let owner = std::fs::metadata(self.kv()).map_err(|e| refused(&self.path, &e))?.uid();
        let user = rustix::process::geteuid().as_raw();
        if owner == user {
            return Ok(());
        }
        Err(Problem::invalid(format!(
            "no server runs on {}, which belongs to the user with the number {owner}: start the server, or run this \
             as that user, as in `sudo -u '#{owner}' magpie …`",
            self.path.display()
        )))
    }

    /// Makes the directory and its rooms where they are missing; nobody but the owner may look into new ones.
    pub(crate) fn create(&self) -> Result<(), Problem> {
        for directory in [&self.path, &self.kv(), &self.blobs(), &self.tls(), &self.spool()] {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
            made.map_err(|e| refused(directory, &e))?;
        }
        Ok(())
    }

    /// An error that says what to do unless there is something to open.
    pub(crate) fn must_exist(&self) -> Result<(), Problem> {
        if self.kv().is_dir() {
            return Ok(());
        }
        Err(Problem::not_found(format!(
            "there is no mail store in {}: name the data directory with --data DIR or MAGPIE_DATA, or make one \
             by starting a server in it",
            self.path.display()
        )))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn kv(&self) -> PathBuf {
        self.path.join("kv")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.path.join("blobs")
    }

    pub(crate) fn tls(&self) -> PathBuf {
        self.path.join("tls")
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.path.join("spool")
    }

    pub(crate) fn admin_socket(&self) -> PathBuf {
        self.path.join("admin.sock")
    }

    pub(crate) fn dev_password(&self) -> PathBuf {
        self.path.join("dev-password")
    }
}

/// Writes a file that only its owner can read, all of it or nothing.
pub(crate) fn write_secret(path: &Path, content: &[u8]) -> Result<(), Problem> {
    let write = || -> io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o600))?;
        io::Write::write_all(&mut file, content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|e| Problem::unavailable(format!("cannot write {}: {e}", path.display())))
}

fn default_directory() -> Option<PathBuf> {
    let from_environment = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let state = from_environment("XDG_STATE_HOME")
        .or_else(|| from_environment("HOME").map(|home| home.join(".local").join("state")))?;
    Some(state.join("magpie"))
}

fn refused(directory: &Path, error: &io::Error) -> Problem {
    Problem::unavailable(format!(
        "cannot use {} as data directory: {error}; choose another with --data DIR",
        directory.display()
    ))
}
