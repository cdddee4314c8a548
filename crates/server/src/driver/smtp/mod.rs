//! SMTP, LMTP and submission on sockets: moves bytes between a connection and its session, keeps the time, and asks the
//! services. What the protocol means is in the `smtp` crate, what a delivery means in `mail`.

mod connection;
mod delivery;
mod departure;
mod examination;
mod forwarding;
mod owed;
mod pace;
mod recipients;
mod retries;
mod spool;
mod submission;
#[cfg(test)]
mod world;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use checks::Checks;
use directory::{Directory, SendingLimits};
use mail::Mail;
use queue::Queue;
use smtp::Config;
use store::bus::Bus;
use store::kv::Kv;
use tokio::net::TcpStream;
use types::Clock;

pub(crate) use self::delivery::why;
use self::retries::Retries;
use super::budget::Budget;
use super::port::Port;
use crate::inbound::Inbound;
use crate::net::Lifecycle;
use crate::notice::Notifier;
use crate::reporting::Reporting;

/// What a server for SMTP, LMTP or submission works with.
pub(crate) struct SmtpServer {
    config: Arc<Config>,
    port: Port,
    budget: Budget,
    spool: PathBuf,
    kv: Kv,
    directory: Directory,
    mail: Mail,
    inbound: Inbound,
    outbound: Queue,
    notifier: Notifier,
    retries: Retries,
    checks: Option<Checks>,
    sending: SendingLimits,
    reporting: Reporting,
    clock: Clock,
}

/// The services that [`SmtpServer`] uses.
pub(crate) struct SmtpServices {
    pub(crate) kv: Kv,
    pub(crate) bus: Bus,
    pub(crate) directory: Directory,
    pub(crate) mail: Mail,
    pub(crate) inbound: Inbound,
    /// Takes what is for other servers.
    pub(crate) outbound: Queue,
    pub(crate) notifier: Notifier,
    pub(crate) budget: Budget,
    /// What messages are checked with. None where the peer is trusted to have checked them, as over LMTP, or where
    /// there is no DNS.
    pub(crate) checks: Option<Checks>,
    /// How much each account may send.
    pub(crate) sending: SendingLimits,
    /// What becomes of mail is noted here, and reports of others are read.
    pub(crate) reporting: Reporting,
    pub(crate) clock: Clock,
}

impl SmtpServer {
    /// A server whose large messages wait in `spool` while they are received.
    pub(crate) fn new(config: Config, port: Port, spool: PathBuf, services: SmtpServices) -> Self {
        Self {
            config: Arc::new(config),
            port,
            spool,
            budget: services.budget,
            kv: services.kv,
            directory: services.directory,
            mail: services.mail,
            inbound: services.inbound,
            outbound: services.outbound,
            notifier: services.notifier,
            retries: Retries::new(services.bus),
            checks: services.checks,
            sending: services.sending,
            reporting: services.reporting,
            clock: services.clock,
        }
    }

    /// Serves one connection to its end.
    pub(crate) async fn serve(self: Arc<Self>, socket: TcpStream, client: IpAddr, lifecycle: Lifecycle) {
        let mut link = self.port.link(socket);
        match self.port.open(&mut link).await {
            Ok(encryption) => {
                connection::Connection::new(&self, link, client, encryption).run(&lifecycle).await
            }
            Err(why) => {
                tracing::debug!(%client, %why, "smtp connection ended");
                link.close().await;
            }
        }
    }
}
