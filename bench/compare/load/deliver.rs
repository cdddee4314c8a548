//! SMTP and LMTP deliveries, as a relay does them: MAIL, RCPT and DATA in one packet (RFC 2920), many messages on
//! one connection.

use std::io;
use std::net::SocketAddr;

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

    /// Sends one message to one recipient and waits for the server's word that it has it.
    pub(crate) fn deliver(&mut self, recipient: &str, message: &[u8]) -> io::Result<()> {
        let envelope = format!("MAIL FROM:<sender@example.net>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n");
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

/// One connection's deliveries, to each of the accounts in turn.
pub(crate) struct Delivering {
    mailing: Mailing,
    post: Post,
    accounts: Vec<String>,
    turn: usize,
}

impl Delivering {
    pub(crate) fn connect(common: &Common, protocol: Protocol, place: usize, post: Post) -> io::Result<Self> {
        let mailing = Mailing::connect(common.address, protocol)?;
        let accounts = (0..common.users.max(1)).map(|n| common.account(n)).collect();
        // Steps that are coprime to the number of accounts keep connections from marching in step.
        Ok(Self { mailing, post, accounts, turn: place * 37 })
    }
}

impl Worker for Delivering {
    fn once(&mut self) -> io::Result<Done> {
        let account = self.turn % self.accounts.len().max(1);
        self.turn += 7;
        let message = self.post.next();
        let octets = message.len() as u64;
        self.mailing.deliver(self.accounts.get(account).map_or("", String::as_str), message)?;
        Ok(Done { octets, took: None })
    }
}
