//! Where the recipients of the present transaction lead, as the directory said at RCPT: to accounts here, to addresses on
//! other servers, or both.

use std::collections::HashMap;

use directory::{Directory, Error, Quota, Refusal, Resolution};
use smtp::{ForwardPath, Origin, Protocol, Recipient, RecipientVerdict, RefusalCode};
use types::AccountId;

use super::SmtpServer;

/// An account that one of the recipients leads to.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    pub(crate) account: AccountId,
    pub(crate) limits: Quota,
}

/// Where one recipient leads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Route {
    /// Accounts here.
    pub(crate) local: Vec<Destination>,
    /// Addresses on other servers.
    pub(crate) remote: Vec<String>,
}

impl Route {
    /// Whether it leads to several.
    pub(crate) fn is_expanded(&self) -> bool {
        self.local.len() + self.remote.len() > 1
    }
}

/// The recipients of one transaction.
#[derive(Default)]
pub(crate) struct Recipients {
    routes: HashMap<ForwardPath, Route>,
    announced_size: u64,
}

impl Recipients {
    /// A new transaction begins.
    pub(crate) fn begin(&mut self, origin: &Origin) {
        self.routes.clear();
        self.announced_size = origin.size.unwrap_or(0);
    }

    /// Where a recipient leads.
    pub(crate) fn route(&self, path: &ForwardPath) -> &Route {
        static NOWHERE: Route = Route { local: Vec::new(), remote: Vec::new() };
        self.routes.get(path).unwrap_or(&NOWHERE)
    }

    /// Asks the directory for a recipient, and keeps the answer for the delivery.
    pub(crate) async fn resolve(&mut self, server: &SmtpServer, recipient: &Recipient) -> RecipientVerdict {
        let may_relay = server.config.protocol == Protocol::Submission;
        let route = match find(&server.directory, &recipient.path, may_relay).await {
            Ok(route) => route,
            Err(verdict) => return verdict,
        };
        // One account: knowing now spares the client the message. Of many, some will have room.
        if let Route { local, remote } = &route
            && let [only] = local.as_slice()
            && remote.is_empty()
            && !self.fits(server, only).await
        {
            return RecipientVerdict::OverQuota;
        }
        self.routes.insert(recipient.path.clone(), route);
        RecipientVerdict::Accept
    }

    async fn fits(&self, server: &SmtpServer, destination: &Destination) -> bool {
        let Quota { bytes, messages } = destination.limits;
        if bytes.is_none() && messages.is_none() {
            return true;
        }
        match server.mail.usage(destination.account).await {
            Ok(usage) => {
                bytes.is_none_or(|limit| usage.bytes.saturating_add(self.announced_size.max(1)) <= limit)
                    && messages.is_none_or(|limit| usage.emails < limit)
            }
            // The delivery will find out.
            Err(_) => true,
        }
    }
}

/// A name that takes no mail will take none when the sender tries again: all of this is permanent.
fn refused(why: Refusal, address: &str) -> RecipientVerdict {
    match why {
        Refusal::Disabled => RecipientVerdict::Disabled,
        Refusal::Empty => {
            tracing::debug!(%address, "leads to nobody any more");
            RecipientVerdict::Unknown
        }
        Refusal::TooLarge => {
            tracing::warn!(%address, "leads to too many accounts or over too many steps, and takes no mail");
            let text = "This list leads to too many mailboxes";
            RecipientVerdict::Refuse(smtp::Refusal::new(RefusalCode::MailboxUnavailable, 2, 4, text))
        }
    }
}

/// `may_relay` says whether whoever sends may send to other servers.
async fn find(directory: &Directory, path: &ForwardPath, may_relay: bool) -> Result<Route, RecipientVerdict> {
    let address = path.mailbox().map_or_else(|| "postmaster".to_owned(), ToString::to_string);
    match directory.resolve(&address).await {
        Ok(Resolution::Local { recipients }) => {
            let local = recipients.into_iter().map(|r| Destination { account: r.account, limits: r.limits });
            Ok(Route { local: local.collect(), remote: Vec::new() })
        }
        Ok(Resolution::UnknownUser) => Err(RecipientVerdict::Unknown),
        Ok(Resolution::NotLocal) if may_relay => Ok(Route { local: Vec::new(), remote: vec![address] }),
        Ok(Resolution::NotLocal) => Err(RecipientVerdict::RelayDenied),
        Ok(Resolution::Refused(why)) => Err(refused(why, &address)),
        Err(Error::Name(_)) => Err(RecipientVerdict::Unknown),
        Err(error) => {
            tracing::error!(%error, "the directory cannot be asked for a recipient");
            Err(RecipientVerdict::Unavailable)
        }
    }
}
