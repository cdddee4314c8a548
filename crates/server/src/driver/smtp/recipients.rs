//! Where the recipients of the present transaction lead, as the directory said at RCPT.

use std::collections::HashMap;

use directory::{Directory, Error, Quota, Refusal, Resolution};
use smtp::{ForwardPath, Origin, Recipient, RecipientVerdict, RefusalCode};
use types::AccountId;

use super::SmtpServer;

/// An account that one of the recipients leads to.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    pub(crate) account: AccountId,
    pub(crate) limits: Quota,
}

/// The recipients of one transaction.
#[derive(Default)]
pub(crate) struct Recipients {
    leads_to: HashMap<ForwardPath, Vec<Destination>>,
    announced_size: u64,
}

impl Recipients {
    /// A new transaction begins.
    pub(crate) fn begin(&mut self, origin: &Origin) {
        self.leads_to.clear();
        self.announced_size = origin.size.unwrap_or(0);
    }

    /// Where a recipient leads.
    pub(crate) fn destinations(&self, path: &ForwardPath) -> &[Destination] {
        self.leads_to.get(path).map_or(&[], Vec::as_slice)
    }

    /// Asks the directory for a recipient, and keeps the answer for the delivery.
    pub(crate) async fn resolve(&mut self, server: &SmtpServer, recipient: &Recipient) -> RecipientVerdict {
        let destinations = match find(&server.directory, &recipient.path).await {
            Ok(destinations) => destinations,
            Err(verdict) => return verdict,
        };
        // One account: knowing now spares the client the message. Of many, some will have room.
        if let [only] = destinations.as_slice()
            && !self.fits(server, only).await
        {
            return RecipientVerdict::OverQuota;
        }
        self.leads_to.insert(recipient.path.clone(), destinations);
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

async fn find(directory: &Directory, path: &ForwardPath) -> Result<Vec<Destination>, RecipientVerdict> {
    let address = path.mailbox().map_or_else(|| "postmaster".to_owned(), ToString::to_string);
    match directory.resolve(&address).await {
        Ok(Resolution::Local { recipients }) => {
            let destinations =
                recipients.into_iter().map(|r| Destination { account: r.account, limits: r.limits });
            Ok(destinations.collect())
        }
        Ok(Resolution::UnknownUser) => Err(RecipientVerdict::Unknown),
        Ok(Resolution::NotLocal) => Err(RecipientVerdict::RelayDenied),
        Ok(Resolution::Refused(why)) => Err(refused(why, &address)),
        Err(Error::Name(_)) => Err(RecipientVerdict::Unknown),
        Err(error) => {
            tracing::error!(%error, "the directory cannot be asked for a recipient");
            Err(RecipientVerdict::Unavailable)
        }
    }
}
