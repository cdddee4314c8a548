//! In whose name somebody may write: the sender in the envelope and the authors in the header are addresses of whoever has
//! logged in (RFC 6409 §6.1, §6.2).

use compose::Submitted;
use directory::{AccountState, Authenticated, Directory, Error};
use smtp::{HeaderVerdict, Origin, Refusal, RefusalCode};

/// The most addresses in From and Sender together: each is looked up.
const ADDRESSES: usize = 50;

/// Why somebody may not be the sender of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NotSender {
    /// The account sends nothing any more.
    Blocked,
    /// The address is somebody else's.
    Foreign,
    /// It cannot be looked up now.
    Unavailable,
}

impl NotSender {
    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Self::Blocked => {
                let text = "This account may not send mail any more; ask the postmaster";
                Refusal::new(RefusalCode::MailboxUnavailable, 7, 1, text)
            }
            Self::Foreign => {
                let text = "The sender's address is not one of yours; choose one of your own addresses";
                Refusal::new(RefusalCode::NameNotAllowed, 7, 1, text)
            }
            Self::Unavailable => {
                let text = "Cannot look up your addresses now; try again later";
                Refusal::new(RefusalCode::LocalError, 3, 0, text)
            }
        }
    }
}

/// Whether this may be the sender in the envelope. `<>` may: notifications on reading (RFC 8098 §3) come from it.
///
/// An account that was closed since it logged in sends nothing more, however long the connection stays open.
pub(crate) async fn sender(
    directory: &Directory,
    who: &Authenticated,
    origin: &Origin,
) -> Result<(), NotSender> {
    let verdict = async {
        let account = directory.account(who.account()).await?;
        if account.is_none_or(|account| account.state != AccountState::Active) {
            return Ok(Err(NotSender::Blocked));
        }
        match origin.sender.mailbox() {
            None => Ok(Ok(())),
            Some(mailbox) if directory.may_write_as(who, &mailbox.to_string()).await? => Ok(Ok(())),
            Some(_) => Ok(Err(NotSender::Foreign)),
        }
    };
    verdict.await.unwrap_or_else(|error: Error| {
        tracing::error!(%error, "the directory cannot be asked for a sender");
        Err(NotSender::Unavailable)
    })
}

/// The addresses in From and Sender that belong to whoever has logged in. Every author must be among them. Somebody else's
/// Sender is no reason to refuse: it does not leave, as the completed header has its own.
pub(crate) async fn own(
    directory: &Directory,
    who: &Authenticated,
    header: &Submitted,
) -> Result<Vec<String>, HeaderVerdict> {
    let (authors, senders) = (header.authors(), header.senders());
    if header.is_anonymous() {
        let text = "From names nobody; put one of your own addresses there";
        return Err(HeaderVerdict::Refuse(Refusal::new(RefusalCode::MailboxUnavailable, 6, 0, text)));
    }
    if authors.len() + senders.len() > ADDRESSES {
        let text = "From and Sender name too many addresses";
        return Err(HeaderVerdict::Refuse(Refusal::new(RefusalCode::MailboxUnavailable, 6, 0, text)));
    }
    let mut own = Vec::new();
    for (address, needed) in
        authors.into_iter().map(|author| (author, true)).chain(senders.into_iter().map(|s| (s, false)))
    {
        if own.contains(&address) {
            continue;
        }
        match directory.may_write_as(who, &address).await {
            Ok(true) => own.push(address),
            Ok(false) if needed => return Err(HeaderVerdict::NotYours),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, "the directory cannot be asked for an author");
                return Err(HeaderVerdict::Unavailable);
            }
        }
    }
    Ok(own)
}
