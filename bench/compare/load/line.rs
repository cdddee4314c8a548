//! A connection that is written to at once and read line by line.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// No answer takes so long unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(120);
/// Enough to read a mailbox at the speed of memory.
const BUFFER: usize = 128 << 10;

pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    line: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr, buffer: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::with_capacity(buffer, stream), line: Vec::new() })
    }

    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::open(address, BUFFER)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// The next line with its line end; an error if there is none.
    pub(crate) fn line(&mut self) -> io::Result<&[u8]> {
        self.line.clear();
        if self.stream.read_until(b'\n', &mut self.line)? == 0 {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server hung up"));
        }
        Ok(&self.line)
    }

    /// Reads to the server's end of the connection.
    pub(crate) fn until_closed(&mut self) -> io::Result<()> {
        io::copy(&mut self.stream, &mut io::sink()).map(|_| ())
    }

    /// Reads so many octets behind what is there.
    pub(crate) fn take(&mut self, octets: u64, into: &mut Vec<u8>) -> io::Result<()> {
        if (self.stream.by_ref().take(octets).read_to_end(into)? as u64) < octets {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server hung up inside an answer"));
        }
        Ok(())
    }

    /// Reads over so many octets.
    pub(crate) fn skip(&mut self, octets: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.stream.by_ref().take(octets), &mut io::sink())?;
        if skipped < octets {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server hung up inside a literal"));
        }
        Ok(())
    }
}

/// What a server said when it should have said something else.
pub(crate) fn unexpected(doing: &str, said: &[u8]) -> io::Error {
    let said = String::from_utf8_lossy(said);
    io::Error::other(format!("{doing}: the server said {:?}", said.trim_end()))
}
