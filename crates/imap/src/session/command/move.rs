//! MOVE (RFC 9051 §6.4.8): COPYUID first, then the messages vanish like those that anybody expunges.

use super::super::error::Error;
use super::super::user::User;
use super::Outcome;
use super::copy::{to_target, with_copyuid};
use crate::wire::command::Move;
use crate::wire::response::{Output, Reply};

pub(super) async fn run(command: Move, user: &mut User, out: &mut Output) -> Result<Outcome, Error> {
    let view = user.writable()?;
    let uids = view.uids(view.pick(command.unit, &command.messages)?);
    let (account, from) = (view.account, view.mailbox);
    let to = user.target(&command.mailbox).await?.id;
    if !uids.is_empty() {
        let moved = user.mail.r#move(account, from, &uids, to).await.map_err(to_target)?;
        user.put(to, moved.pairs.iter().map(|(_, uid)| *uid));
        if !moved.pairs.is_empty() {
            with_copyuid(Reply::ok("moved"), Some(&moved)).write_untagged(out);
        }
    }
    Ok(Outcome::ok("moved"))
}
