//! The load of `make compare`: one kind of work, done over and over on some connections to one server, and timed.
//!
//! ```text
//!   connect, log in, warm up ──> prints `ready`, reads a line ──> works ──> prints figures as JSON, reads a line ──> ends
//! ```
//!
//! In the two pauses whoever started it looks at the server's processes, so that what they show is the work alone.
#![allow(clippy::print_stdout, reason = "a measuring program prints its figures")]

#[path = "../../mail/letters.rs"]
mod letters;

mod deliver;
mod http;
mod imap;
mod jmap;
mod line;
mod mbox;
mod measure;
mod pop3;
mod post;
mod push;
mod sessions;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use self::measure::{Stint, await_line, ready, run};
use self::post::{Kind, Post};

/// Does one kind of work against a mail server.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    work: Work,
}

#[derive(Subcommand)]
enum Work {
    /// SMTP or LMTP deliveries, each a transaction of its own, on connections that stay open.
    Deliver(Deliver),
    /// Mail for another server, each a transaction of its own, on connections that stay open. With a password each logs in.
    Submit {
        #[command(flatten)]
        common: Common,
        /// The domain that it is for.
        #[arg(long)]
        to: String,
        /// Octets of a message.
        #[arg(long, default_value_t = 10_000)]
        size: usize,
        /// The same seed makes the same messages.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Connect, LOGIN, SELECT, LOGOUT.
    Login(Common),
    /// FETCH 1:* of some items.
    Fetch {
        #[command(flatten)]
        common: Common,
        /// In parentheses.
        #[arg(long)]
        items: String,
    },
    /// APPEND.
    Append {
        #[command(flatten)]
        common: Common,
        /// Octets of a message.
        #[arg(long, default_value_t = 10_000)]
        size: usize,
    },
    /// STORE of one flag on one message after the other, or on all at once.
    Store {
        #[command(flatten)]
        common: Common,
        #[arg(long)]
        all: bool,
    },
    /// SEARCH TEXT.
    Search {
        #[command(flatten)]
        common: Common,
        #[arg(long)]
        word: String,
    },
    /// POP3 sessions that retrieve all messages; an operation is one RETR.
    Pop3(Common),
    /// Opens IDLE sessions and keeps them until it is told to end.
    Idle(Common),
    /// Delivers to a client in IDLE; an operation is the time from the 250 to EXISTS.
    News {
        #[command(flatten)]
        common: Common,
        /// Where LMTP is spoken.
        #[arg(long)]
        lmtp: SocketAddr,
    },
    /// Requests of a webmail.
    Jmap {
        #[command(flatten)]
        common: Common,
        #[arg(long)]
        asked: jmap::Asked,
        /// How many emails, where many are asked for.
        #[arg(long, default_value_t = 10_000)]
        emails: usize,
    },
    /// Delivers to clients that are told of changes; an operation is the time from the 250 until the last client of an
    /// account has been told.
    Push {
        #[command(flatten)]
        common: Common,
        #[arg(long)]
        way: push::Way,
        /// Where LMTP is spoken.
        #[arg(long)]
        lmtp: SocketAddr,
    },
    /// Writes an mbox file, and asks no server anything.
    Mbox {
        path: PathBuf,
        #[arg(long)]
        count: u64,
        /// Octets of a message.
        #[arg(long, default_value_t = 1_500)]
        size: usize,
    },
}

/// What all kinds of work are told.
#[derive(Args, Clone)]
struct Common {
    /// Where the server listens.
    #[arg(long)]
    address: SocketAddr,
    #[arg(long, default_value_t = 1)]
    connections: usize,
    #[command(flatten)]
    stint: Stint,
    /// The first of the accounts, userN at their domain.
    #[arg(long, default_value_t = 1)]
    user: usize,
    /// Over how many accounts the connections are spread.
    #[arg(long, default_value_t = 1)]
    users: usize,
    #[arg(long, default_value = "")]
    password: String,
    /// The domain of the accounts; none where they are called userN.
    #[arg(long, default_value = "example.test")]
    domain: String,
}

#[derive(Args)]
struct Deliver {
    #[command(flatten)]
    common: Common,
    #[arg(long)]
    protocol: deliver::Protocol,
    #[arg(long, default_value_t = 10_000)]
    size: usize,
    #[arg(long, default_value = "text")]
    kind: KindName,
    /// The same seed makes the same messages.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A word to be put into every three-thousandth message.
    #[arg(long)]
    rare: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum KindName {
    /// Text.
    Text,
    /// A short text and a large attachment.
    Attachment,
    /// Sizes and kinds as in a mailbox of years; 9.5 KB on average.
    Mixed,
}

impl Common {
    /// The address of the account that a connection works for.
    fn account(&self, connection: usize) -> String {
        let user = format!("user{}", self.user + connection % self.users.max(1));
        if self.domain.is_empty() { user } else { format!("{user}@{}", self.domain) }
    }

    fn imap(&self, connection: usize) -> io::Result<imap::Imap> {
        let mut imap = imap::Imap::connect(self.address)?;
        imap.login(&self.account(connection), &self.password)?;
        Ok(imap)
    }

    /// One selected mailbox for each connection.
    fn selected(&self) -> io::Result<Vec<imap::Imap>> {
        let open = |connection| {
            let mut imap = self.imap(connection)?;
            imap.select()?;
            Ok(imap)
        };
        (0..self.connections).map(open).collect()
    }
}

fn main() -> io::Result<()> {
    match Cli::parse().work {
        Work::Deliver(Deliver { common, protocol, size, kind, seed, rare }) => {
            let kind = match kind {
                KindName::Text => Kind::Text(size),
                KindName::Attachment => Kind::Attachment(size),
                KindName::Mixed => Kind::Mixed,
            };
            let open = |n| {
                let post = Post::new(kind, seed + n as u64, n, common.connections, rare.clone());
                deliver::Delivering::connect(&common, protocol, n, post)
            };
            let workers: Vec<_> = (0..common.connections).map(open).collect::<io::Result<_>>()?;
            run(workers, common.stint)
        }
        Work::Submit { common, to, size, seed } => {
            let open = |n| {
                let post = Post::new(Kind::Text(size), seed + n as u64, n, common.connections, None);
                deliver::Delivering::submit(&common, &to, n, post.from(&common.account(n)))
            };
            let workers: Vec<_> = (0..common.connections).map(open).collect::<io::Result<_>>()?;
            run(workers, common.stint)
        }
        Work::Login(common) => {
            let workers: Vec<_> = (0..common.connections)
                .map(|n| sessions::Visiting::new(&common, n))
                .collect::<io::Result<_>>()?;
            run(workers, common.stint)
        }
        Work::Fetch { common, items } => {
            let fetching = |imap| imap::Fetching::new(imap, &items);
            let workers: Vec<_> = common.selected()?.into_iter().map(fetching).collect::<io::Result<_>>()?;
            run(workers, common.stint)
        }
        Work::Append { common, size } => {
            let open = |n| {
                let post = Post::new(Kind::Text(size), 1000 + n as u64, n, common.connections, None);
                Ok(imap::Appending::new(common.imap(n)?, post))
            };
            let workers: Vec<_> = (0..common.connections).map(open).collect::<io::Result<_>>()?;
            run(workers, common.stint)
        }
        Work::Store { common, all } => {
            let storing = |imap| imap::Storing::new(imap, all);
            let workers: Vec<_> = common.selected()?.into_iter().map(storing).collect::<io::Result<_>>()?;
            run(workers, common.stint)
        }
        Work::Search { common, word } => {
            let searching = |imap| imap::Searching::new(imap, &word);
            let workers: Vec<_> = common.selected()?.into_iter().map(searching).collect::<io::Result<_>>()?;
            run(workers, common.stint)
        }
        Work::Pop3(common) => {
            let open = |n| pop3::Retrieving::new(&common, n);
            let workers: Vec<_> = (0..common.connections).map(open).collect::<io::Result<_>>()?;
            run(workers, common.stint)
        }
        Work::Idle(common) => {
            let _open = sessions::idle(&common)?;
            ready();
            await_line()
        }
        Work::News { common, lmtp } => {
            let worker = sessions::Waiting::new(&common, lmtp)?;
            run(vec![worker], common.stint)
        }
        Work::Jmap { common, asked, emails } => {
            let open = |n| jmap::Asking::new(&common, asked, emails, n);
            let workers: Vec<_> = (0..common.connections).map(open).collect::<io::Result<_>>()?;
            run(workers, common.stint)
        }
        Work::Push { common, way, lmtp } => {
            let worker = push::Pushing::new(&common, way, lmtp)?;
            run(vec![worker], common.stint)
        }
        Work::Mbox { path, count, size } => mbox::write(&path, count, size),
    }
}
