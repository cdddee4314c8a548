//! SELECT (RFC 9051 §6.3.2) and EXAMINE (§6.3.3).

use super::super::announce::Tell;
use super::super::error::Error;
use super::super::user::User;
use super::super::view::View;
use super::Outcome;
use crate::wire::response::{self, Code, Listed, Output, Reply};
use crate::wire::{Dialect, MailboxName};

pub(super) async fn run(
    name: &MailboxName,
    read_only: bool,
    user: &mut User,
    out: &mut Output,
) -> Result<Outcome, Error> {
    // Even if this fails, nothing is selected any more.
    if user.view.take().is_some() {
        Reply::ok("the mailbox selected before is closed").code(Code::Closed).write_untagged(out);
    }
    let mailbox = user.find(name).await?;
    // First listen, then look: no change can fall between.
    let news = user.mail.subscribe(user.account);
    let selected = user.mail.select(user.account, mailbox.id).await?;
    let (uidvalidity, uidnext) = (selected.info.uidvalidity, selected.info.uidnext);
    let view = View::new(user.account, selected, read_only, news);
    response::flags(&view.flags(), out);
    response::exists(view.len(), out);
    if user.dialect == Dialect::Rev1 {
        out.put(b"* 0 RECENT\r\n");
    }
    Reply::ok("these UIDs are valid").code(Code::UidValidity(uidvalidity)).write_untagged(out);
    Reply::ok("the next UID").code(Code::UidNext(uidnext)).write_untagged(out);
    let permanent = if read_only { String::new() } else { format!("{} \\*", view.flags()) };
    Reply::ok("these flags are kept").code(Code::PermanentFlags(permanent)).write_untagged(out);
    if user.dialect == Dialect::Rev2 {
        let path = mailbox.path.to_string();
        let listed =
            Listed { name: &path, attributes: &[], subscribed_child: false, special_use_child: false };
        response::list(&listed, user.dialect, out);
    }
    user.view = Some(view);
    let code = if read_only { Code::ReadOnly } else { Code::ReadWrite };
    Ok(Outcome::Done(Reply::ok("selected").code(code), Tell::Nothing))
}
