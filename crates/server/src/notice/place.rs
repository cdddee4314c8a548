//! Where a sender is.

use directory::{Directory, Resolution};
use queue::{Error, Recipient};
use types::Randomness;

/// RFC 3461 §4.1: never. Nobody is told what becomes of a notification.
const NEVER: u8 = 0;

/// Who reads what is sent to a sender.
pub(super) struct Place {
    /// In mailboxes here.
    pub(super) here: Vec<Recipient>,
    /// At other servers.
    pub(super) elsewhere: Vec<Recipient>,
}

impl Place {
    /// Looks a sender up. The inner error says why there is nobody.
    ///
    /// # Errors
    /// [`Error::Kv`]: the directory cannot be asked now.
    pub(super) async fn of(directory: &Directory, sender: &str) -> Result<Result<Self, &'static str>, Error> {
        Ok(match directory.resolve(sender).await {
            // An alias may lead to both.
            Ok(Resolution::Local { recipients, forwards }) => Ok(Self {
                here: recipients.into_iter().map(reader).collect(),
                elsewhere: forwards.iter().map(|forward| away(forward.address.to_string())).collect(),
            }),
            Ok(Resolution::NotLocal) => Ok(Self::at(sender.to_owned())),
            // The message was sent on from here: whoever sent it first is told.
            Ok(Resolution::Sender { address }) => Ok(Self::at(address)),
            Ok(Resolution::UnknownUser) => Err("nobody here has this address any more"),
            Ok(Resolution::Refused(_)) => Err("its address takes no mail any more"),
            Err(directory::Error::Store(error)) => return Err(Error::Kv(error)),
            Err(_) => Err("its address is none"),
        })
    }

    fn at(address: String) -> Self {
        Self { here: Vec::new(), elsewhere: vec![away(address)] }
    }
}

fn reader(found: directory::Recipient) -> Recipient {
    let (account, delivery) = (Some(found.account), Some(Randomness::bytes()));
    Recipient { account, delivery, ..away(found.delivered_to) }
}

fn away(address: String) -> Recipient {
    Recipient { address, notify: Some(NEVER), ..Recipient::default() }
}
