//! HTTP/1.1, as much of it as the load needs: one request after the other over a connection that stays open.

use std::io;
use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::line::{Connection, unexpected};

/// A client that sends its login along with each request.
pub(crate) struct Http {
    connection: Connection,
    /// The fields that all requests have.
    fields: String,
    answer: Answer,
}

/// What was answered last.
#[derive(Default)]
struct Answer {
    status: u16,
    length: Option<u64>,
    chunked: bool,
    location: Option<String>,
    body: Vec<u8>,
}

impl Http {
    /// Over a connection that is open.
    pub(crate) fn over(connection: Connection, address: SocketAddr, account: &str, password: &str) -> Self {
        let login = BASE64.encode(format!("{account}:{password}"));
        let fields = format!("Host: {address}\r\nAuthorization: Basic {login}\r\n");
        Self { connection, fields, answer: Answer::default() }
    }

    /// The body of the answer to a GET. Where the server says that it is elsewhere, it is fetched there.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<&[u8]> {
        self.ask(&format!("GET {path} HTTP/1.1\r\n{}\r\n", self.fields).into_bytes())?;
        if matches!(self.answer.status, 301 | 302 | 307 | 308) {
            let Some(place) = self.answer.location.take() else { return self.body() };
            self.ask(&format!("GET {} HTTP/1.1\r\n{}\r\n", path_of(&place), self.fields).into_bytes())?;
        }
        self.body()
    }

    /// The body of the answer to a POST of JSON.
    pub(crate) fn post(&mut self, path: &str, json: &[u8]) -> io::Result<&[u8]> {
        let head = format!(
            "POST {path} HTTP/1.1\r\n{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.fields,
            json.len()
        );
        self.ask(&[head.as_bytes(), json].concat())?;
        self.body()
    }

    /// Asks for what does not end, and gives the connection back when it has begun. `status` says that it has.
    pub(crate) fn endless(mut self, path: &str, fields: &str, status: u16) -> io::Result<Connection> {
        let request = format!("GET {path} HTTP/1.1\r\n{}{fields}\r\n", self.fields);
        self.connection.send(request.as_bytes())?;
        self.head()?;
        match self.answer.status {
            told if told == status => Ok(self.connection),
            told => Err(io::Error::other(format!("GET {path}: the server answered with {told}"))),
        }
    }

    /// Asks without waiting for the answer.
    pub(crate) fn begin_get(&mut self, path: &str) -> io::Result<()> {
        self.connection.send(format!("GET {path} HTTP/1.1\r\n{}\r\n", self.fields).as_bytes())
    }

    /// The body of the answer to what was asked.
    pub(crate) fn answer(&mut self) -> io::Result<&[u8]> {
        self.receive()?;
        self.body()
    }

    fn body(&self) -> io::Result<&[u8]> {
        match self.answer.status {
            200 | 201 => Ok(&self.answer.body),
            _ => Err(unexpected("asking by HTTP", &self.answer.body)),
        }
    }

    fn ask(&mut self, request: &[u8]) -> io::Result<()> {
        self.connection.send(request)?;
        self.receive()
    }

    fn receive(&mut self) -> io::Result<()> {
        self.head()?;
        let Self { connection, answer, .. } = self;
        if answer.chunked {
            loop {
                let size = chunk(connection.line()?)?;
                connection.take(size, &mut answer.body)?;
                connection.line()?;
                if size == 0 {
                    return Ok(());
                }
            }
        }
        connection.take(answer.length.unwrap_or(0), &mut answer.body)
    }

    /// Reads the head of an answer.
    fn head(&mut self) -> io::Result<()> {
        let body = std::mem::take(&mut self.answer.body);
        self.answer = Answer { body, ..Answer::default() };
        self.answer.body.clear();
        let line = self.connection.line()?;
        let status = line.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        self.answer.status = status.ok_or_else(|| unexpected("asking by HTTP", line))?;
        loop {
            let line = self.connection.line()?.trim_ascii_end();
            if line.is_empty() {
                return Ok(());
            }
            let Some((name, value)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(':'))
            else {
                continue;
            };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => self.answer.length = value.parse().ok(),
                "transfer-encoding" => self.answer.chunked = value.eq_ignore_ascii_case("chunked"),
                "location" => self.answer.location = Some(value.to_owned()),
                _ => {}
            }
        }
    }
}

/// The size of a chunk.
fn chunk(line: &[u8]) -> io::Result<u64> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let size = std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok());
    size.ok_or_else(|| unexpected("reading a chunk", line))
}

/// The path of a URL, which may be one already.
pub(crate) fn path_of(url: &str) -> &str {
    let Some((_, rest)) = url.split_once("://") else { return url };
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
}
