//! IMAP, as much of it as the load needs.

use std::io;
use std::net::SocketAddr;

use crate::line::{Connection, unexpected};
use crate::measure::{Done, Worker};
use crate::post::Post;

/// A client.
pub(crate) struct Imap {
    connection: Connection,
    commands: u64,
    /// What EXISTS said last.
    pub(crate) exists: u64,
}

/// What the server sent up to the end of a command.
#[derive(Default)]
pub(crate) struct Answer {
    /// Untagged FETCH responses.
    pub(crate) fetched: u64,
    /// All octets.
    pub(crate) octets: u64,
    /// The last untagged line that began with this command's own name, as it is.
    pub(crate) last: Vec<u8>,
}

impl Imap {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::over(Connection::connect(address)?)
    }

    /// Greets over a connection that is open.
    pub(crate) fn over(mut connection: Connection) -> io::Result<Self> {
        let greeting = connection.line()?;
        if !greeting.starts_with(b"* OK") {
            return Err(unexpected("connecting", greeting));
        }
        Ok(Self { connection, commands: 0, exists: 0 })
    }

    pub(crate) fn login(&mut self, account: &str, password: &str) -> io::Result<()> {
        self.command(&format!("LOGIN {account} \"{password}\"")).map(|_| ())
    }

    pub(crate) fn select(&mut self) -> io::Result<()> {
        self.command("SELECT INBOX").map(|_| ())
    }

    /// Sends a command and reads to its OK.
    pub(crate) fn command(&mut self, command: &str) -> io::Result<Answer> {
        let tag = self.begin(command)?;
        self.answer(&tag, command)
    }

    fn begin(&mut self, command: &str) -> io::Result<String> {
        self.commands += 1;
        let tag = format!("t{}", self.commands);
        self.connection.send(format!("{tag} {command}\r\n").as_bytes())?;
        Ok(tag)
    }

    fn answer(&mut self, tag: &str, command: &str) -> io::Result<Answer> {
        let mut answer = Answer::default();
        loop {
            let line = self.connection.line()?;
            answer.octets += line.len() as u64;
            if let Some(rest) = line.strip_prefix(tag.as_bytes()) {
                if !rest.starts_with(b" OK") {
                    return Err(unexpected(command, line));
                }
                return Ok(answer);
            }
            if let Some(number) = number_before(line, b" EXISTS") {
                self.exists = number;
            } else if line.starts_with(b"* SEARCH") || line.starts_with(b"* ESEARCH") {
                answer.last = line.to_vec();
            } else if line.starts_with(b"* ")
                && line.get(..40).unwrap_or(line).windows(7).any(|w| w == b" FETCH ")
            {
                answer.fetched += 1;
            } else if line.starts_with(b"* BYE") {
                return Err(unexpected(command, line));
            }
            // A response goes on behind its literals; what follows is not the beginning of another one.
            let mut literal = literal(line);
            while let Some(octets) = literal {
                self.connection.skip(octets)?;
                let rest = self.connection.line()?;
                answer.octets += octets + rest.len() as u64;
                literal = self::literal(rest);
            }
        }
    }

    /// Begins IDLE, which goes on until the connection ends.
    pub(crate) fn idle(&mut self) -> io::Result<()> {
        self.begin("IDLE")?;
        loop {
            let line = self.connection.line()?;
            if line.starts_with(b"+") {
                return Ok(());
            }
            if !line.starts_with(b"* ") {
                return Err(unexpected("IDLE", line));
            }
        }
    }

    /// Waits in IDLE for an EXISTS.
    pub(crate) fn news(&mut self) -> io::Result<u64> {
        loop {
            let line = self.connection.line()?;
            if let Some(number) = number_before(line, b" EXISTS") {
                return Ok(number);
            }
            if line.starts_with(b"* BYE") {
                return Err(unexpected("IDLE", line));
            }
        }
    }

    /// LOGOUT, to the end of the connection.
    pub(crate) fn logout(&mut self) -> io::Result<()> {
        let tag = self.begin("LOGOUT")?;
        loop {
            let line = self.connection.line()?;
            if line.starts_with(tag.as_bytes()) {
                break;
            }
        }
        self.connection.until_closed()
    }

    /// APPEND with a literal that waits for the server's go-ahead, as clients send it to servers they do not know.
    fn append(&mut self, message: &[u8]) -> io::Result<()> {
        let command = format!("APPEND INBOX (\\Seen) {{{}}}", message.len());
        let tag = self.begin(&command)?;
        let line = self.connection.line()?;
        if !line.starts_with(b"+") {
            return Err(unexpected("APPEND", line));
        }
        self.connection.send(&[message, b"\r\n"].concat())?;
        self.answer(&tag, "APPEND").map(|_| ())
    }
}

/// The number of `* 12 EXISTS`.
fn number_before(line: &[u8], word: &[u8]) -> Option<u64> {
    let number = line.strip_prefix(b"* ")?.trim_ascii_end().strip_suffix(word)?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// The size of the literal that a line announces.
fn literal(line: &[u8]) -> Option<u64> {
    let line = line.trim_ascii_end().strip_suffix(b"}")?;
    let at = line.iter().rposition(|b| *b == b'{')?;
    std::str::from_utf8(line.get(at + 1..)?).ok()?.parse().ok()
}

/// FETCH 1:*
pub(crate) struct Fetching {
    imap: Imap,
    command: String,
}

impl Fetching {
    /// Fetches once before it counts: a server that keeps a cache has filled it then.
    pub(crate) fn new(imap: Imap, items: &str) -> io::Result<Self> {
        let mut fetching = Self { imap, command: format!("FETCH 1:* {items}") };
        fetching.once()?;
        Ok(fetching)
    }
}

impl Worker for Fetching {
    fn once(&mut self) -> io::Result<Done> {
        let answer = self.imap.command(&self.command)?;
        if answer.fetched != self.imap.exists {
            let missing = format!("{} of {} were fetched", answer.fetched, self.imap.exists);
            return Err(io::Error::other(missing));
        }
        Ok(Done { octets: answer.octets, took: None })
    }
}

/// APPEND
pub(crate) struct Appending {
    imap: Imap,
    post: Post,
}

impl Appending {
    pub(crate) const fn new(imap: Imap, post: Post) -> Self {
        Self { imap, post }
    }
}

impl Worker for Appending {
    fn once(&mut self) -> io::Result<Done> {
        let message = self.post.next();
        let octets = message.len() as u64;
        self.imap.append(message)?;
        Ok(Done { octets, took: None })
    }
}

/// STORE
pub(crate) struct Storing {
    imap: Imap,
    all: bool,
    turn: u64,
}

impl Storing {
    /// Begins with the flag on no message.
    pub(crate) fn new(mut imap: Imap, all: bool) -> io::Result<Self> {
        imap.command("STORE 1:* -FLAGS.SILENT (\\Flagged)")?;
        Ok(Self { imap, all, turn: 0 })
    }
}

impl Worker for Storing {
    /// Every STORE changes something: the flag is set, then taken off again, on one message after the other.
    fn once(&mut self) -> io::Result<Done> {
        let sign = if self.turn.is_multiple_of(2) { '+' } else { '-' };
        let command = match self.all {
            true => format!("STORE 1:* {sign}FLAGS (\\Flagged)"),
            false => format!("STORE {} {sign}FLAGS (\\Flagged)", self.turn / 2 % self.imap.exists.max(1) + 1),
        };
        self.turn += 1;
        let answer = self.imap.command(&command)?;
        Ok(Done { octets: answer.octets, took: None })
    }
}

/// SEARCH TEXT
pub(crate) struct Searching {
    imap: Imap,
    command: String,
}

impl Searching {
    /// Searches once before it counts, and insists that something is found.
    pub(crate) fn new(imap: Imap, word: &str) -> io::Result<Self> {
        let mut searching = Self { imap, command: format!("SEARCH TEXT {word}") };
        searching.once()?;
        Ok(searching)
    }
}

impl Worker for Searching {
    fn once(&mut self) -> io::Result<Done> {
        let answer = self.imap.command(&self.command)?;
        if !answer.last.iter().any(u8::is_ascii_digit) {
            return Err(unexpected(&self.command, &answer.last));
        }
        Ok(Done { octets: answer.octets, took: None })
    }
}
