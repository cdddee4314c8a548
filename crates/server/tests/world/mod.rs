//! The real binary on a data directory of its own, and bare sockets to talk to it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

pub const PASSWORD: &str = "correct-horse-battery";
/// Long enough for a loaded machine; nothing waits this long when it works.
const PATIENCE: Duration = Duration::from_secs(60);

/// A data directory, and the server that runs on it between `start` and its end.
pub struct Server {
    pub base: u16,
    directory: tempfile::TempDir,
    below: String,
    options: &'static [&'static str],
    process: Option<(Child, BufReader<ChildStdout>)>,
}

impl Server {
    pub fn start() -> Self {
        Self::start_in("")
    }

    /// Starts with further options of `magpie dev`.
    pub fn start_with(options: &'static [&'static str]) -> Self {
        let mut server = Self::new("");
        server.options = options;
        server.restart();
        server
    }

    /// Starts in a directory `below` the one that is made for it.
    pub fn start_in(below: &str) -> Self {
        let mut server = Self::new(below);
        server.restart();
        server
    }

    fn new(below: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { base: free_base(), directory, below: below.to_owned(), options: &[], process: None }
    }

    /// Starts the server on the directory as it is.
    pub fn restart(&mut self) {
        assert!(self.process.is_none());
        for _ in 0..5 {
            let mut child = self.dev().stdout(Stdio::piped()).spawn().unwrap();
            let mut output = BufReader::new(child.stdout.take().unwrap());
            if is_ready(&mut output) {
                self.process = Some((child, output));
                return;
            }
            child.wait().unwrap();
            // Tests that run at the same time start servers, too: one of them may have been quicker.
            self.base = free_base();
        }
        panic!("the server ended five times before it was ready");
    }

    /// `magpie dev` on this directory.
    pub fn dev(&self) -> Command {
        let base = self.base.to_string();
        self.command(&[&["dev", "--password", PASSWORD, "--port-base", &base], self.options].concat())
    }

    /// `magpie …` on this directory.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_magpie"));
        command.args(arguments).arg("--data").arg(self.data()).stdin(Stdio::null()).env_remove("MAGPIE_LOG");
        command
    }

    /// Runs a command that must succeed, and reads its answer.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.command(arguments).arg("--json").output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a command, whatever comes of it.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub fn data(&self) -> PathBuf {
        self.directory.path().join(&self.below).join("data")
    }

    pub fn signal(&self, name: &str) {
        let id = self.process.as_ref().unwrap().0.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Waits for the end; returns the exit code, if it was not a signal.
    pub fn wait(&mut self) -> Option<i32> {
        let (mut child, mut output) = self.process.take().unwrap();
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        child.wait().unwrap().code()
    }

    pub fn kill(&mut self) {
        self.signal("KILL");
        self.wait();
    }

    pub fn smtp(&self) -> Wire {
        Wire::connect(self.base + 25)
    }

    pub fn lmtp(&self) -> Wire {
        Wire::connect(self.base + 24)
    }

    pub fn imap(&self) -> Wire {
        Wire::connect(self.base + 143)
    }

    /// Delivers a message by SMTP and returns the reply to it.
    pub fn deliver(&self, recipient: &str, message: &str) -> String {
        let mut smtp = self.smtp();
        smtp.begin(recipient);
        smtp.send(&format!("{message}\r\n.\r\n"));
        let reply = smtp.reply();
        assert_eq!(smtp.command("QUIT").get(..3), Some("221"));
        reply
    }

    /// The sources of all messages in an account's INBOX.
    pub fn inbox(&self, user: &str) -> Vec<String> {
        let mut imap = self.imap();
        imap.line();
        imap.imap(&format!("LOGIN {user} {PASSWORD}"));
        let selected = imap.imap("SELECT INBOX");
        let exists =
            selected.iter().find_map(|line| line.strip_prefix("* ")?.strip_suffix(" EXISTS")).unwrap();
        let mut sources = Vec::new();
        for number in 1..=exists.parse::<u32>().unwrap() {
            imap.send(&format!("f FETCH {number} BODY.PEEK[]\r\n"));
            let head = imap.line();
            let size = head.rsplit_once('{').unwrap().1.trim_end_matches('}').parse().unwrap();
            sources.push(imap.exactly(size));
            while !imap.line().starts_with("f OK") {}
        }
        imap.imap("LOGOUT");
        sources
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A bare connection.
pub struct Wire {
    stream: BufReader<TcpStream>,
}

impl Wire {
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    pub fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The next line without its end; empty when the connection was closed.
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        match self.stream.read_until(b'\n', &mut line) {
            Ok(_) => String::from_utf8(line).unwrap().trim_end().to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => String::new(),
            Err(error) => panic!("{error}"),
        }
    }

    pub fn exactly(&mut self, size: usize) -> String {
        let mut bytes = vec![0; size];
        self.stream.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Whatever comes until the connection is closed.
    pub fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => panic!("{error}"),
            _ => String::from_utf8_lossy(&rest).into_owned(),
        }
    }

    /// Says that nothing more will be sent.
    pub fn half_close(&self) {
        self.stream.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// An SMTP reply, its last line.
    pub fn reply(&mut self) -> String {
        loop {
            let line = self.line();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    pub fn command(&mut self, command: &str) -> String {
        self.send(&format!("{command}\r\n"));
        self.reply()
    }

    /// Greeting, EHLO, MAIL, RCPT, DATA.
    pub fn begin(&mut self, recipient: &str) {
        assert!(self.reply().starts_with("220"));
        assert!(self.command("EHLO client.example.com").starts_with("250"));
        self.transaction(recipient);
    }

    pub fn transaction(&mut self, recipient: &str) {
        assert!(self.command("MAIL FROM:<sender@example.com>").starts_with("250"));
        assert!(self.command(&format!("RCPT TO:<{recipient}>")).starts_with("250"));
        assert!(self.command("DATA").starts_with("354"));
    }

    /// An IMAP command that must succeed; returns the responses before its end.
    pub fn imap(&mut self, command: &str) -> Vec<String> {
        self.send(&format!("t {command}\r\n"));
        let mut responses = Vec::new();
        loop {
            let line = self.line();
            if let Some(outcome) = line.strip_prefix("t ") {
                assert!(outcome.starts_with("OK"), "{command}: {outcome}");
                return responses;
            }
            assert!(!line.is_empty(), "{command}: the connection was closed");
            responses.push(line);
        }
    }
}

static NEXT: AtomicU16 = AtomicU16::new(0);

/// Waits for the line that says so; false if the server ends before.
fn is_ready(output: &mut impl BufRead) -> bool {
    let mut line = String::new();
    while line != "ready\n" {
        line.clear();
        if output.read_line(&mut line).unwrap() == 0 {
            return false;
        }
    }
    true
}

/// A base whose ports are free, below those that the system gives to outgoing connections.
fn free_base() -> u16 {
    let start = u16::try_from(std::process::id() % 500).unwrap() * 20;
    for _ in 0..1000 {
        let base = 11_000 + (start + NEXT.fetch_add(7, Ordering::SeqCst)) % 16_000;
        let free = |offset| TcpListener::bind(("127.0.0.1", base + offset)).is_ok();
        if [24, 25, 80, 110, 143, 443, 465, 587, 993, 995].into_iter().all(free) {
            return base;
        }
    }
    panic!("no ports are free");
}

/// A message that no other test sends.
pub fn message(subject: &str) -> String {
    format!("Message-ID: <{subject}@example.com>\r\nSubject: {subject}\r\n\r\nBody of {subject}.")
}
