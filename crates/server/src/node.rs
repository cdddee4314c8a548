//! The services of one machine, opened on its data directory: what a server runs on, and what the command line
//! works with where no server runs.

use std::sync::Arc;
use std::time::Duration;

use directory::Directory;
use mail::{Mail, MailOptions};
use queue::Queue;
use reports::Reports;
use store::blob::{self, Blobs, BlobsOptions, Segments, SegmentsOptions};
use store::bus::Bus;
use store::kv::{self, Embedded, EmbeddedOptions, Kv};
use types::Clock;

use crate::data_dir::DataDir;
use crate::problem::{Kind, Problem};

/// What our own trace fields may add to a message, in octets.
const TRACE: u64 = 64 << 10;

/// How the services are set up.
#[derive(Clone, Debug)]
pub(crate) struct NodeOptions {
    pub(crate) directory: directory::Options,
    pub(crate) mail: MailOptions,
    /// The largest message that anybody may send, in octets.
    pub(crate) message_size: u64,
    pub(crate) kv: EmbeddedOptions,
    pub(crate) segments: SegmentsOptions,
    /// How long a blob to which nothing refers is kept.
    pub(crate) blob_grace: Duration,
    /// When mail to other servers is tried again, and when its sender hears of that.
    pub(crate) outbound: queue::Options,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            directory: directory::Options::default(),
            mail: MailOptions::default(),
            message_size: 50 << 20,
            kv: EmbeddedOptions::default(),
            segments: SegmentsOptions::default(),
            blob_grace: BlobsOptions::default().grace,
            outbound: queue::Options::outbound(),
        }
    }
}

/// All services. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) kv: Kv,
    pub(crate) blobs: Blobs,
    pub(crate) bus: Bus,
    pub(crate) directory: Directory,
    pub(crate) mail: Mail,
    /// Mail for mailboxes here that is not in them yet.
    pub(crate) inbound: Queue,
    /// Mail for other servers.
    pub(crate) outbound: Queue,
    /// What other domains are told of their mail, and tell of ours.
    pub(crate) reports: Reports,
    pub(crate) clock: Clock,
}

impl Node {
    /// Opens the stores in a data directory. Only one process can have them open.
    pub(crate) fn open(data: &DataDir) -> Result<Self, Problem> {
        let options = data.node_options();
        let clock = Clock::system();
        let embedded = Embedded::open(&data.kv(), options.kv).map_err(kv_problem)?;
        let kv = Kv::new(Arc::new(embedded), clock.clone());
        let segments =
            Segments::open(&data.blobs(), clock.clone(), options.segments).map_err(blob_problem)?;
        let blob_options = BlobsOptions { spool: data.spool(), grace: options.blob_grace };
        let blobs = Blobs::new(kv.clone(), Arc::new(segments), clock.clone(), blob_options);
        let bus = Bus::in_process(clock.clone());
        let directory = Directory::new(kv.clone(), bus.clone(), clock.clone(), options.directory.clone());
        let mail_options = MailOptions { message_size: options.message_size + TRACE, ..options.mail.clone() };
        let mail = Mail::new(kv.clone(), blobs.clone(), bus.clone(), clock.clone(), mail_options);
        let queue = |kind, options| Queue::new(kind, kv.clone(), blobs.clone(), clock.clone(), options);
        let inbound = queue(queue::Kind::Inbound, queue::Options::inbound());
        let outbound = queue(queue::Kind::Outbound, options.outbound.clone());
        let reports = Reports::new(kv.clone(), clock.clone(), reports::Limits::default());
        Ok(Self { kv, blobs, bus, directory, mail, inbound, outbound, reports, clock })
    }
}

fn kv_problem(error: kv::OpenError) -> Problem {
    let kind = match error {
        kv::OpenError::InUse(_) => Kind::InUse,
        kv::OpenError::Io { .. } => Kind::Unavailable,
        kv::OpenError::Damaged { .. } | kv::OpenError::Gap { .. } => Kind::Damaged,
    };
    Problem::new(kind, error.to_string())
}

fn blob_problem(error: blob::OpenError) -> Problem {
    Problem::new(Kind::Damaged, error.to_string())
}

impl From<directory::Error> for Problem {
    fn from(error: directory::Error) -> Self {
        use directory::Error as E;
        let kind = match &error {
            E::Store(_) => Kind::Unavailable,
            E::DomainExists(_) | E::NameTaken(_) | E::DkimKeyExists { .. } | E::OAuthClientExists(_) => {
                Kind::Exists
            }
            E::NoSuchDomain(_)
            | E::NoSuchAccount(_)
            | E::NoSuchAccountId(_)
            | E::NoSuchAlias(_)
            | E::NoSuchGroup(_)
            | E::NoSuchTarget(_)
            | E::NoSuchAppPassword(_)
            | E::NoSuchDkimKey { .. }
            | E::NoSuchOAuthClient(_)
            | E::NoSuchGrant(_) => Kind::NotFound,
            _ => Kind::Invalid,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<mail::Error> for Problem {
    fn from(error: mail::Error) -> Self {
        use mail::Error as E;
        let kind = match &error {
            E::Unavailable(_) | E::Full(_) => Kind::Unavailable,
            E::Corrupt { .. } | E::DamagedPack(_) => Kind::Damaged,
            E::NoSuchMailbox | E::NoSuchEmail => Kind::NotFound,
            E::Exists => Kind::Exists,
            _ => Kind::Invalid,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<queue::Error> for Problem {
    fn from(error: queue::Error) -> Self {
        use queue::Error as E;
        let kind = match &error {
            E::Kv(_) | E::Vanished => Kind::Unavailable,
            E::NoSuchEntry(_) | E::LeaseLost(_) => Kind::NotFound,
            E::Exists(_) => Kind::Exists,
            E::Damaged { .. } => Kind::Damaged,
            E::Empty | E::TooMany { .. } | E::Destination(_) => Kind::Invalid,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<reports::Error> for Problem {
    fn from(error: reports::Error) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl From<directory::NameError> for Problem {
    fn from(error: directory::NameError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<mail::NameError> for Problem {
    fn from(error: mail::NameError) -> Self {
        Self::invalid(error.to_string())
    }
}
