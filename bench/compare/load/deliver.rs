//! SMTP and LMTP deliveries, as a relay does them: MAIL, RCPT and DATA in one packet (RFC 2920), many messages on
//! one connection. The same for mail that is to go on to another server, with a login where one is wanted.

use std::io;
use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::ValueEnum;

use crate::Common;
use crate::line::{Connection, unexpected};
use crate::measure::{Done, Worker};
use crate::post::Post;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    Smtp,
    Lmtp,
}

/// A connection over which mail goes in.
pub(crate) struct Mailing {
    connection: Connection,
}

impl Mailing {
    pub(crate) fn connect(address: SocketAddr, protocol: Protocol) -> io::Result<Self> {
        let mut mailing = Self { connection: Connection::connect(address)? };
        mailing.reply(b"220")?;
        let hello: &[u8] = match protocol {
            Protocol::Smtp => b"EHLO client.example.net\r\n",
            Protocol::Lmtp => b"LHLO client.example.net\r\n",
        };
        mailing.connection.send(hello)?;
        mailing.reply(b"250")?;
        Ok(mailing)
    }

    /// Logs in by PLAIN (RFC 4616).
    fn login(&mut self, account: &str, password: &str) -> io::Result<()> {
        let response = BASE64.encode(format!("\0{account}\0{password}"));
        self.connection.send(format!("AUTH PLAIN {response}\r\n").as_bytes())?;
        self.reply(b"235")
    }

    /// Sends one message to one recipient and waits for the server's word that it has it.
    pub(crate) fn deliver(&mut self, sender: &str, recipient: &str, message: &[u8]) -> io::Result<()> {
        let envelope = format!("MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n");
        self.connection.send(envelope.as_bytes())?;
        self.reply(b"250")?;
        self.reply(b"250")?;
        self.reply(b"354")?;
        self.connection.send(&[message, b".\r\n"].concat())?;
        self.reply(b"250")
    }

    fn reply(&mut self, wanted: &[u8]) -> io::Result<()> {
        loop {
            let line = self.connection.line()?;
            if !line.starts_with(wanted) {
                return Err(unexpected("delivering", line));
            }
            if line.get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }
}

/// Who sends where nobody has logged in.
pub(crate) const SENDER: &str = "sender@example.net";

/// One connection's deliveries, to each of the recipients in turn.
pub(crate) struct Delivering {
    mailing: Mailing,
    post: Post,
    sender: String,
    recipients: Vec<String>,
    turn: usize,
}

impl Delivering {
    /// To the accounts of the server itself.
    pub(crate) fn connect(common: &Common, protocol: Protocol, place: usize, post: Post) -> io::Result<Self> {
        let mailing = Mailing::connect(common.address, protocol)?;
        let recipients = (0..common.users.max(1)).map(|n| common.account(n)).collect();
        // Steps that are coprime to the number of accounts keep connections from marching in step.
        Ok(Self { mailing, post, sender: SENDER.to_owned(), recipients, turn: place * 37 })
    }

    /// To another domain, from an account of the server, logged in as it if there is a password.
    pub(crate) fn submit(common: &Common, domain: &str, place: usize, post: Post) -> io::Result<Self> {
        let mut mailing = Mailing::connect(common.address, Protocol::Smtp)?;
        let sender = common.account(place);
        if !common.password.is_empty() {
            mailing.login(&sender, &common.password)?;
        }
        let recipients = (0..100).map(|n| format!("recipient{n}@{domain}")).collect();
        Ok(Self { mailing, post, sender, recipients, turn: place * 37 })
    }
}

impl Worker for Delivering {
    fn once(&mut self) -> io::Result<Done> {
        let recipient = self.turn % self.recipients.len().max(1);
        self.turn += 7;
        let message = self.post.next();
        let octets = message.len() as u64;
        let recipient = self.recipients.get(recipient).map_or("", String::as_str);
        self.mailing.deliver(&self.sender, recipient, message)?;
        Ok(Done { octets, took: None })
    }
}
