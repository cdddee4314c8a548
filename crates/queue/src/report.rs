//! Who is to be told what, when a message leaves or waits too long (RFC 3461, RFC 3464). The queue decides whom, once;
//! somebody else writes the notification, and puts it on its way in the same transaction.

use std::future::Future;

use store::kv::Transaction;
use types::Timestamp;

use crate::Error;
use crate::record::{LegRecord, Recipient, RecipientState};

/// What a notification says about a recipient.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fate {
    /// The message is in the mailbox.
    Delivered,
    /// Another server has it, and will not say what becomes of it.
    Relayed,
    /// A list or an alias has taken it apart.
    Expanded,
    /// It is late, and tried further.
    Delayed,
    /// The recipient cannot get it.
    Failed,
    /// It was tried for as long as it may be.
    Expired,
}

impl Fate {
    /// The event of RFC 3461 §4.1 that it is, as a bit of [`Recipient::notify`].
    const fn event(self) -> u8 {
        match self {
            Self::Delivered | Self::Relayed | Self::Expanded => SUCCESS,
            Self::Failed | Self::Expired => FAILURE,
            Self::Delayed => DELAY,
        }
    }
}

const SUCCESS: u8 = 1;
const FAILURE: u8 = 2;
const DELAY: u8 = 4;

/// One line of a notification.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// The recipient's number in its leg.
    pub number: usize,
    /// The recipient, with what was said about it last.
    pub recipient: Recipient,
    /// What became of it.
    pub fate: Fate,
}

/// Whom the sender of a message wants to hear of now. Empty if of nobody.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// The recipients, in their order.
    pub notices: Vec<Notice>,
    /// When what is late will be given up, by the wall clock, as far as can be foreseen.
    pub until: Option<Timestamp>,
    /// All recipients of the leg as they are now. Only of a message that has a name among submissions: nobody else asks.
    pub recipients: Vec<Recipient>,
}

/// What else a settling transaction does, so that both happen or neither.
pub trait Companion: Sync {
    /// Joins the transaction, which may run several times. Who is in the report is told of by what this puts into the
    /// transaction, or never: the queue does not report it again. An error gives up the transaction.
    fn join(&self, tx: &Transaction, report: &Report) -> impl Future<Output = Result<(), Error>> + Send;
}

impl LegRecord {
    /// Draws up what is to be told, and notes that it was. Nobody hears of mail without a sender: what failed of it stays
    /// unreported.
    pub(crate) fn report(&mut self, sender: &str, fates: &[(usize, Fate)]) -> Vec<Notice> {
        let mut notices = Vec::new();
        if sender.is_empty() {
            return notices;
        }
        for (number, fate) in fates {
            let Some(recipient) = self.recipients.get_mut(*number) else { continue };
            recipient.reported |= recipient.state == RecipientState::Failed;
            // Who asked for nothing hears of failures, and of delays where that is the custom (RFC 3461 §4.1).
            if recipient.notify.unwrap_or(FAILURE | DELAY) & fate.event() != 0 {
                notices.push(Notice { number: *number, recipient: recipient.clone(), fate: *fate });
            }
        }
        notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Moment;

    #[test]
    fn who_is_told_is_what_the_sender_asked_for() {
        use Fate::{Delayed, Delivered, Expanded, Expired, Failed, Relayed};
        for (notify, told) in [
            (None, vec![Delayed, Failed, Expired]),
            (Some(0), vec![]),
            (Some(1), vec![Delivered, Relayed, Expanded]),
            (Some(2), vec![Failed, Expired]),
            (Some(4), vec![Delayed]),
            (Some(7), vec![Delivered, Relayed, Expanded, Delayed, Failed, Expired]),
        ] {
            for fate in [Delivered, Relayed, Expanded, Delayed, Failed, Expired] {
                let state = match fate {
                    Delayed => RecipientState::Pending,
                    Failed | Expired => RecipientState::Failed,
                    _ => RecipientState::Done,
                };
                let recipient = Recipient { notify, state, ..Recipient::default() };
                let mut leg = LegRecord::new(String::new(), vec![recipient], Moment(0));
                assert!(leg.clone().report("", &[(0, fate)]).is_empty());
                let notices = leg.report("a@example.test", &[(0, fate)]);
                assert_eq!(!notices.is_empty(), told.contains(&fate), "{notify:?} {fate:?}");
                assert_eq!(leg.recipients[0].reported, matches!(fate, Failed | Expired));
            }
        }
    }
}
