//! Sessions as such: coming and going, and staying.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::Common;
use crate::deliver::{Mailing, Protocol, SENDER};
use crate::imap::Imap;
use crate::line::Connection;
use crate::measure::{Done, Worker};
use crate::post::{Kind, Post};

/// Connect, LOGIN, SELECT, LOGOUT.
pub(crate) struct Visiting {
    address: SocketAddr,
    account: String,
    password: String,
}

impl Visiting {
    /// Visits once before it counts: a server may remember that the password was right.
    pub(crate) fn new(common: &Common, place: usize) -> io::Result<Self> {
        let (address, password) = (common.address, common.password.clone());
        let mut visiting = Self { address, account: common.account(place), password };
        visiting.once()?;
        Ok(visiting)
    }
}

impl Worker for Visiting {
    fn once(&mut self) -> io::Result<Done> {
        let mut imap = Imap::connect(self.address)?;
        imap.login(&self.account, &self.password)?;
        imap.select()?;
        imap.logout()?;
        Ok(Done::default())
    }
}

/// Sessions that idle, opened some at a time.
pub(crate) fn idle(common: &Common) -> io::Result<Vec<Imap>> {
    const AT_ONCE: usize = 8;
    let open = |connection: usize| {
        // Thousands of them: their own buffers stay small.
        let mut imap = Imap::over(Connection::open(common.address, 512)?)?;
        imap.login(&common.account(connection), &common.password)?;
        imap.select()?;
        imap.idle()?;
        Ok(imap)
    };
    let groups: Vec<io::Result<Vec<Imap>>> = std::thread::scope(|scope| {
        let lost = || Err(io::Error::other("a thread panicked"));
        let group =
            |first| scope.spawn(move || (first..common.connections).step_by(AT_ONCE).map(open).collect());
        let threads: Vec<_> = (0..AT_ONCE).map(group).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| lost())).collect()
    });
    groups.into_iter().collect::<io::Result<Vec<_>>>().map(|groups| groups.into_iter().flatten().collect())
}

/// One client in IDLE, and somebody who writes to it.
pub(crate) struct Waiting {
    imap: Imap,
    mailing: Mailing,
    account: String,
    post: Post,
    number: u64,
}

impl Waiting {
    pub(crate) fn new(common: &Common, lmtp: SocketAddr) -> io::Result<Self> {
        let mut imap = common.imap(0)?;
        imap.select()?;
        imap.idle()?;
        let mailing = Mailing::connect(lmtp, Protocol::Lmtp)?;
        let post = Post::new(Kind::Text(4000), 77, 0, 1, None);
        Ok(Self { imap, mailing, account: common.account(0), post, number: 0 })
    }
}

impl Worker for Waiting {
    /// News that come before the sender has its 250 have taken no time.
    fn once(&mut self) -> io::Result<Done> {
        // Mail comes when it comes: not in the rhythm of anything that the server does.
        self.number += 1;
        std::thread::sleep(Duration::from_micros(20_000 + self.number * 7919 % 50_000));
        self.mailing.deliver(SENDER, &self.account, self.post.next())?;
        let sent = Instant::now();
        self.imap.news()?;
        Ok(Done { octets: 0, took: Some(sent.elapsed()) })
    }
}
