//! Servers in memory that take mail, or do not.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use relay::{Network, Stream};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::Notify;

/// What a server does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Manner {
    /// It takes mail.
    Good,
    /// It takes mail, and sends reports itself.
    Notifies,
    /// It answers this to a command.
    Answers(&'static str, &'static str),
    /// It takes a message to its end, and then says nothing.
    Silent,
}

/// All servers that there are, and what they were given.
#[derive(Default)]
pub(super) struct Peers {
    manners: Mutex<HashMap<IpAddr, Manner>>,
    /// Messages, with the lines of MAIL and RCPT before them.
    pub(super) mail: Mutex<Vec<String>>,
    /// Something has come, or somebody waits for an answer.
    pub(super) news: Notify,
    pub(super) calls: Mutex<Vec<SocketAddr>>,
    pub(super) goodbyes: Mutex<usize>,
    pub(super) at_once: Mutex<(usize, usize)>,
}

impl Peers {
    /// Has the server at an address behave like this from now on.
    pub(super) fn set(&self, address: &str, manner: Manner) {
        self.manners.lock().insert(address.parse().unwrap(), manner);
    }

    /// Has nobody answer at an address.
    pub(super) fn kill(&self, address: &str) {
        self.manners.lock().remove(&address.parse::<IpAddr>().unwrap());
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.lock().len()
    }

    /// Waits until so many messages have come.
    pub(super) async fn wait_for(&self, count: usize) {
        loop {
            let news = self.news.notified();
            if self.mail.lock().len() >= count {
                return;
            }
            news.await;
        }
    }

    async fn talk(&self, stream: Box<dyn Stream>, at: IpAddr) -> io::Result<()> {
        let manner = || self.manners.lock().get(&at).cloned().unwrap_or(Manner::Good);
        let mut stream = BufReader::new(stream);
        if let Manner::Answers("connect", answer) = manner() {
            return stream.write_all(format!("{answer}\r\n").as_bytes()).await;
        }
        stream.write_all(b"220 mx.test\r\n").await?;
        let mut envelope = String::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let verb = line.split_whitespace().next().unwrap_or_default().to_owned();
            if let Manner::Answers(wanted, answer) = manner()
                && wanted == verb
            {
                stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
                continue;
            }
            match verb.as_str() {
                "EHLO" => {
                    let dsn = if manner() == Manner::Notifies { "250-DSN\r\n" } else { "" };
                    stream.write_all(format!("250-mx.test\r\n{dsn}250 PIPELINING\r\n").as_bytes()).await?;
                }
                "DATA" if !envelope.contains("RCPT ") => {
                    envelope.clear();
                    stream.write_all(b"554 5.5.1 nobody to give it to\r\n").await?;
                }
                "DATA" => {
                    stream.write_all(b"354 go\r\n").await?;
                    let mut text = String::new();
                    while !text.ends_with("\r\n.\r\n") {
                        if stream.read_line(&mut text).await? == 0 {
                            return Ok(());
                        }
                    }
                    self.mail.lock().push(format!("{}{text}", std::mem::take(&mut envelope)));
                    self.news.notify_one();
                    if manner() == Manner::Silent {
                        stream.read_line(&mut text).await?;
                        return Ok(());
                    }
                    stream.write_all(b"250 2.0.0 taken\r\n").await?;
                }
                "MAIL" | "RCPT" => {
                    envelope.push_str(&line);
                    stream.write_all(b"250 ok\r\n").await?;
                }
                "QUIT" => {
                    *self.goodbyes.lock() += 1;
                    return stream.write_all(b"221 bye\r\n").await;
                }
                _ => stream.write_all(b"250 ok\r\n").await?,
            }
        }
    }
}

/// The way to them.
pub(super) struct Wire(pub(super) Arc<Peers>);

#[async_trait]
impl Network for Wire {
    async fn connect(&self, to: SocketAddr, _from: Option<IpAddr>) -> io::Result<Box<dyn Stream>> {
        self.0.calls.lock().push(to);
        if !self.0.manners.lock().contains_key(&to.ip()) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let peers = self.0.clone();
        tokio::spawn(async move {
            let open = |by: isize| {
                let (now, most) = &mut *peers.at_once.lock();
                *now = now.saturating_add_signed(by);
                *most = (*most).max(*now);
            };
            open(1);
            let _gone = peers.talk(Box::new(theirs), to.ip()).await;
            open(-1);
        });
        Ok(Box::new(ours))
    }
}
