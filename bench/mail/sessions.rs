//! What IMAP and POP3 sessions cost without their sockets: bytes in, bytes out, and nobody who reads them.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use conversation::{Conversation, Step};
use directory::sasl::ChannelBindings;
use directory::{AccountSpec, Address, Cost, Directory, DomainName, DomainSettings, NewPassword, Options};
use mail::{ImportId, ImportItem, Mail, Quota};
use types::{AccountId, Clock, Keywords, MailboxId, Timestamp};

use crate::Stores;
use crate::letters::Letters;
use crate::machine::cpu_time;

const MESSAGES: u64 = 10_000;
const OCTETS: usize = 9_500;
const PASSWORD: &str = "correct horse";

pub(crate) async fn run(stores: &Stores, span: Duration) -> Result<(), Box<dyn Error>> {
    let (directory, account) = somebody(stores).await?;
    fill(&stores.mail, account).await?;
    println!("\nsessions without sockets, a mailbox of {MESSAGES} messages of {OCTETS} octets");

    let services =
        imap::Services { mail: stores.mail.clone(), directory: directory.clone(), clock: Clock::system() };
    let peer = imap::Peer { address: IpAddr::V4(Ipv4Addr::LOCALHOST), tls: Some(ChannelBindings::NONE) };
    let mut imap = Talk::with(imap::Session::new(Arc::new(imap::Config::default()), services, peer));
    imap.say(&format!("a LOGIN user@example.test {PASSWORD:?}")).await?;
    imap.say("a SELECT INBOX").await?;
    for (what, items) in [
        ("FETCH of flags", "(UID FLAGS)"),
        ("FETCH of envelopes", "(FLAGS UID RFC822.SIZE ENVELOPE)"),
        ("FETCH of structures", "(UID BODYSTRUCTURE)"),
        ("FETCH of bodies", "(BODY.PEEK[])"),
    ] {
        let command = format!("a FETCH 1:* {items}");
        measured(what, span, async || Ok((MESSAGES, imap.say(&command).await?))).await?;
    }

    let services = pop3::Services { mail: stores.mail.clone(), directory };
    let peer = pop3::Peer { address: IpAddr::V4(Ipv4Addr::LOCALHOST), tls: Some(ChannelBindings::NONE) };
    let mut pop3 = Talk::with(pop3::Session::new(Arc::new(pop3::Config::default()), services, peer));
    pop3.say(&format!("USER user@example.test\r\nPASS {PASSWORD}")).await?;
    let mut turn = 0;
    measured("RETR", span, async || {
        turn = turn % MESSAGES + 1;
        Ok((1, pop3.say(&format!("RETR {turn}")).await?))
    })
    .await
}

/// A directory with one account in it. To log in costs next to nothing here.
async fn somebody(stores: &Stores) -> Result<(Directory, AccountId), Box<dyn Error>> {
    let one = NonZeroUsize::MIN;
    let options = Options { cost: Cost::new(8, 1, 1)?, hashes_at_once: one, ..Options::default() };
    let directory = Directory::new(stores.kv.clone(), stores.bus.clone(), Clock::system(), options);
    directory.create_domain(&DomainName::parse("example.test")?, DomainSettings::default()).await?;
    let password = Some(NewPassword::Clear(PASSWORD.to_owned()));
    let spec = AccountSpec::new(Address::parse("user@example.test")?, password);
    let account = directory.create_account(spec).await?;
    Ok((directory, account))
}

async fn fill(mail: &Mail, account: AccountId) -> Result<(), Box<dyn Error>> {
    let mut letters = Letters::new(4);
    for batch in 0..MESSAGES / 100 {
        let mut items = Vec::with_capacity(100);
        for number in batch * 100..batch * 100 + 100 {
            let mut item = [0; 16];
            item[..8].copy_from_slice(&number.to_be_bytes());
            items.push(ImportItem {
                message: mail.ingest(letters.text(OCTETS)).await?,
                mailbox: MailboxId::INBOX,
                keywords: Keywords::new(),
                deleted: false,
                received: Timestamp(1_700_000_000_000 + number * 60_000),
                id: ImportId { source: [1; 16], item },
            });
        }
        for result in mail.import(account, &items, Quota::default()).await? {
            result?;
        }
    }
    Ok(())
}

/// A session and what its client has said.
struct Talk<C> {
    session: C,
    input: BytesMut,
}

impl<C: Conversation> Talk<C> {
    fn with(session: C) -> Self {
        Self { session, input: BytesMut::new() }
    }

    /// Says a line and takes the answer; how many octets that has.
    async fn say(&mut self, line: &str) -> Result<u64, Box<dyn Error>> {
        self.input.extend_from_slice(line.as_bytes());
        self.input.extend_from_slice(b"\r\n");
        let mut octets = 0;
        loop {
            match self.session.advance(&mut self.input).await {
                Step::Send(chunks) => octets += chunks.iter().map(Bytes::len).sum::<usize>() as u64,
                Step::NeedInput => return Ok(octets),
                other => return Err(format!("{line}: {other:?}").into()),
            }
        }
    }
}

/// Does work over and over; each time it says how many messages and octets it was.
async fn measured(
    what: &str,
    span: Duration,
    mut work: impl AsyncFnMut() -> Result<(u64, u64), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    work().await?;
    let (begun, cpu) = (Instant::now(), cpu_time());
    let (mut messages, mut octets) = (0, 0);
    while begun.elapsed() < span {
        let (more, length) = work().await?;
        messages += more;
        octets += length;
    }
    let cpu = cpu_time().saturating_sub(cpu).as_secs_f64() * 1e6;
    println!(
        "  {what:24} {:8.3} µs CPU a message   {:6.0} octets",
        cpu / messages as f64,
        octets as f64 / messages as f64
    );
    Ok(())
}
