//! Where the recipients of the present transaction lead, as the directory said at RCPT: to accounts here, to addresses on
//! other servers, or both.

use std::collections::HashMap;

use directory::{Directory, Error, Forward, Quota, Refusal, Resolution, SrsError};
use smtp::{ForwardPath, Origin, Protocol, Recipient, RecipientVerdict, RefusalCode, ReversePath};
use types::AccountId;

use super::Carrier;

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
    /// Addresses on other servers that the message goes to as it is: those that whoever has logged in sends to, and
    /// senders of forwarded messages who are to get a notification.
    pub(crate) remote: Vec<String>,
    /// Addresses on other servers to which it is sent on in our name.
    pub(crate) forwards: Vec<Forward>,
}

impl Route {
    /// Whether it leads to several.
    pub(crate) fn is_expanded(&self) -> bool {
        self.local.len() + self.remote.len() + self.forwards.len() > 1
    }

    /// Whether it leads to other servers.
    pub(crate) fn leaves(&self) -> bool {
        !self.remote.is_empty() || !self.forwards.is_empty()
    }
}

/// The recipients of one transaction.
#[derive(Default)]
pub(crate) struct Recipients {
    routes: HashMap<ForwardPath, Route>,
    announced_size: u64,
    /// The message comes from `<>`.
    is_notification: bool,
}

impl Recipients {
    /// A new transaction begins.
    pub(crate) fn begin(&mut self, origin: &Origin) {
        self.routes.clear();
        self.announced_size = origin.size.unwrap_or(0);
        self.is_notification = origin.sender == ReversePath::Null;
    }

    /// Where a recipient leads.
    pub(crate) fn route(&self, path: &ForwardPath) -> &Route {
        static NOWHERE: Route = Route { local: Vec::new(), remote: Vec::new(), forwards: Vec::new() };
        self.routes.get(path).unwrap_or(&NOWHERE)
    }

    /// Asks the directory for a recipient, and keeps the answer for the delivery.
    pub(crate) async fn resolve(&mut self, carrier: &Carrier, recipient: &Recipient) -> RecipientVerdict {
        let may_relay = carrier.protocol == Protocol::Submission;
        let found = find(&carrier.directory, &recipient.path, may_relay, self.is_notification).await;
        let route = match found {
            Ok(route) => route,
            Err(verdict) => return verdict,
        };
        // One account: knowing now spares the client the message. Of many, some will have room.
        if let [only] = route.local.as_slice()
            && !route.leaves()
            && !self.fits(carrier, only).await
        {
            return RecipientVerdict::OverQuota;
        }
        self.routes.insert(recipient.path.clone(), route);
        RecipientVerdict::Accept
    }

    async fn fits(&self, carrier: &Carrier, destination: &Destination) -> bool {
        let Quota { bytes, messages } = destination.limits;
        if bytes.is_none() && messages.is_none() {
            return true;
        }
        match carrier.mail.usage(destination.account).await {
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
            tracing::warn!(%address, "leads to too many recipients or over too many steps, and takes no mail");
            let text = "This list leads to too many mailboxes";
            RecipientVerdict::Refuse(smtp::Refusal::new(RefusalCode::MailboxUnavailable, 2, 4, text))
        }
        Refusal::Sender(why) => {
            let text = match why {
                SrsError::Forged => {
                    "This looks like the sender of a forwarded message, but was not made here"
                }
                SrsError::Expired => "The message that this was the sender of was forwarded too long ago",
            };
            RecipientVerdict::Refuse(smtp::Refusal::new(RefusalCode::MailboxUnavailable, 1, 1, text))
        }
    }
}

/// `may_relay` says whether whoever sends may send to other servers.
async fn find(
    directory: &Directory,
    path: &ForwardPath,
    may_relay: bool,
    is_notification: bool,
) -> Result<Route, RecipientVerdict> {
    let address = path.mailbox().map_or_else(|| "postmaster".to_owned(), ToString::to_string);
    match directory.resolve(&address).await {
        Ok(Resolution::Local { recipients, forwards }) => {
            let local = recipients.into_iter().map(|r| Destination { account: r.account, limits: r.limits });
            Ok(Route { local: local.collect(), remote: Vec::new(), forwards })
        }
        Ok(Resolution::Sender { address }) if is_notification => {
            Ok(Route { remote: vec![address], ..Route::default() })
        }
        // Whoever has seen the address could else have us send on anything.
        Ok(Resolution::Sender { .. }) => {
            let text = "This address is for notifications, which have no sender (<>)";
            Err(RecipientVerdict::Refuse(smtp::Refusal::new(RefusalCode::MailboxUnavailable, 7, 1, text)))
        }
        Ok(Resolution::UnknownUser) => Err(RecipientVerdict::Unknown),
        Ok(Resolution::NotLocal) if may_relay => Ok(Route { remote: vec![address], ..Route::default() }),
        Ok(Resolution::NotLocal) => Err(RecipientVerdict::RelayDenied),
        Ok(Resolution::Refused(why)) => Err(refused(why, &address)),
        Err(Error::Name(_)) => Err(RecipientVerdict::Unknown),
        Err(error) => {
            tracing::error!(%error, "the directory cannot be asked for a recipient");
            Err(RecipientVerdict::Unavailable)
        }
    }
}
