//! COPY (RFC 9051 §6.4.7): all or nothing.

use super::super::announce::Tell;
use super::super::error::Error;
use super::super::user::User;
use super::Outcome;
use crate::wire::SequenceSet;
use crate::wire::command::Copy;
use crate::wire::response::{Code, Reply};

pub(super) async fn run(command: Copy, user: &mut User) -> Result<Outcome, Error> {
    let view = user.view()?;
    let uids = view.uids(view.pick(command.unit, &command.messages)?);
    let (account, from) = (view.account, view.mailbox);
    let to = user.target(&command.mailbox).await?.id;
    let copied = match uids.is_empty() {
        true => None,
        false => {
            Some(user.mail.copy(account, from, &uids, to, user.quota().await?).await.map_err(to_target)?)
        }
    };
    let there = copied.iter().flat_map(|copied| &copied.pairs);
    user.put(to, there.map(|(_, uid)| *uid));
    Ok(Outcome::Done(with_copyuid(Reply::ok("copied"), copied.as_ref()), Tell::All))
}

/// The mailbox that may have gone in the meantime is the other one: the selected one would be noticed.
pub(super) fn to_target(error: mail::Error) -> Error {
    match error {
        mail::Error::NoSuchMailbox => Error::NoTarget,
        error => error.into(),
    }
}

/// COPYUID lists the sets so that the n-th old UID became the n-th new one (RFC 9051 §7.1).
pub(super) fn with_copyuid(reply: Reply, copied: Option<&mail::Copied>) -> Reply {
    let Some(copied) = copied.filter(|c| !c.pairs.is_empty()) else { return reply };
    let mut pairs: Vec<(u32, u32)> = copied.pairs.iter().map(|(from, to)| (from.0, to.0)).collect();
    pairs.sort_unstable();
    let from = SequenceSet::from_ascending(pairs.iter().map(|(from, _)| *from));
    let to = SequenceSet::from_ascending(pairs.iter().map(|(_, to)| *to));
    reply.code(Code::CopyUid(copied.uidvalidity, from, to))
}
