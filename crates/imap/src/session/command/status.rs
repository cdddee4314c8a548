//! STATUS (RFC 9051 §6.3.11).

use mail::MailboxInfo;

use super::super::error::Error;
use super::super::user::User;
use super::Outcome;
use crate::wire::command::{Status, StatusItem};
use crate::wire::response::{self, Output};

pub(super) async fn run(command: Status, user: &mut User, out: &mut Output) -> Result<Outcome, Error> {
    notice(&command.items, user, out);
    let mailbox = user.find(&command.mailbox).await?;
    write(&mailbox, &command.items, user, out).await?;
    Ok(Outcome::ok("that is its status"))
}

/// Asking for the highest modseq enables CONDSTORE (RFC 7162 §3.1).
pub(super) fn notice(items: &[StatusItem], user: &mut User, out: &mut Output) {
    if items.contains(&StatusItem::HighestModSeq) {
        user.enable_condstore(out);
    }
}

pub(in super::super) async fn write(
    mailbox: &MailboxInfo,
    items: &[StatusItem],
    user: &User,
    out: &mut Output,
) -> Result<(), Error> {
    let mut reclaimable = 0;
    if mailbox.deleted > 0 && items.contains(&StatusItem::DeletedStorage) {
        reclaimable = user.mail.reclaimable(user.account, mailbox.id).await?;
    }
    let figure = |item: &StatusItem| match item {
        StatusItem::Messages => mailbox.total,
        StatusItem::Recent => 0,
        StatusItem::UidNext => mailbox.uidnext.0.into(),
        StatusItem::UidValidity => mailbox.uidvalidity.0.into(),
        StatusItem::Unseen => mailbox.unseen,
        StatusItem::Deleted => mailbox.deleted,
        StatusItem::DeletedStorage => reclaimable,
        StatusItem::Size => mailbox.size,
        StatusItem::AppendLimit => user.append_limit,
        StatusItem::HighestModSeq => mailbox.modseq.0,
        StatusItem::MailboxId => mailbox.id.0.into(),
    };
    let figures: Vec<(StatusItem, u64)> = items.iter().map(|item| (*item, figure(item))).collect();
    response::status(&mailbox.path.to_string(), &figures, user.dialect, out);
    Ok(())
}
