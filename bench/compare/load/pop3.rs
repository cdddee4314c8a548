//! POP3: sessions that retrieve all there is and delete nothing.

use std::io;
use std::net::SocketAddr;

use crate::Common;
use crate::line::{Connection, unexpected};
use crate::measure::{Done, Worker};

/// One client, and the session that it is in.
pub(crate) struct Retrieving {
    address: SocketAddr,
    account: String,
    password: String,
    session: Session,
}

struct Session {
    connection: Connection,
    messages: u64,
    next: u64,
}

impl Retrieving {
    pub(crate) fn new(common: &Common, place: usize) -> io::Result<Self> {
        let (address, account) = (common.address, common.account(place));
        let session = Session::open(address, &account, &common.password)?;
        Ok(Self { address, account, password: common.password.clone(), session })
    }
}

impl Worker for Retrieving {
    /// The time of a RETR that opens a new session includes that.
    fn once(&mut self) -> io::Result<Done> {
        if self.session.next > self.session.messages {
            self.session.command("QUIT")?;
            self.session.connection.until_closed()?;
            self.session = Session::open(self.address, &self.account, &self.password)?;
        }
        self.session.retrieve().map(|octets| Done { octets, took: None })
    }
}

impl Session {
    fn open(address: SocketAddr, account: &str, password: &str) -> io::Result<Self> {
        let mut session = Self { connection: Connection::connect(address)?, messages: 0, next: 1 };
        session.reply("connecting")?;
        session.command(&format!("USER {account}"))?;
        session.command(&format!("PASS {password}"))?;
        let status = session.command("STAT")?;
        session.messages =
            status.split(' ').nth(1).and_then(|number| number.parse().ok()).filter(|n| *n > 0).ok_or_else(
                || io::Error::other(format!("STAT: the server said {status:?}, and there should be mail")),
            )?;
        Ok(session)
    }

    fn command(&mut self, command: &str) -> io::Result<String> {
        self.connection.send(format!("{command}\r\n").as_bytes())?;
        self.reply(command)
    }

    fn reply(&mut self, doing: &str) -> io::Result<String> {
        let line = self.connection.line()?;
        if !line.starts_with(b"+OK") {
            return Err(unexpected(doing, line));
        }
        Ok(String::from_utf8_lossy(line).trim_end().to_owned())
    }

    fn retrieve(&mut self) -> io::Result<u64> {
        self.command(&format!("RETR {}", self.next))?;
        self.next += 1;
        let mut octets = 0;
        loop {
            let line = self.connection.line()?;
            if line == b".\r\n" {
                return Ok(octets);
            }
            octets += line.len() as u64;
        }
    }
}
