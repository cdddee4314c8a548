//! NOTIFY (RFC 5465). What is told, and how, is in [`super::super::watch`].

use super::super::error::Error;
use super::super::user::User;
use super::super::watch::{Watching, first_figures};
use super::{Outcome, status};
use crate::wire::command::{EventGroup, EventKinds, FetchItem, MailboxFilter, Notify};
use crate::wire::response::Output;

/// How many names one NOTIFY may have.
const MOST_NAMES: usize = 1000;

pub(super) async fn run(command: Notify, user: &mut User, out: &mut Output) -> Result<Outcome, Error> {
    let Notify::Set { status, groups } = command else {
        user.watching = Some(Box::default());
        return Ok(Outcome::ok("you will hear of nothing"));
    };
    let strange = EventKinds::UNKNOWN.with(EventKinds::ANNOTATION_CHANGE);
    if groups.iter().any(|group| group.events.any(strange)) {
        return Err(Error::BadEvent);
    }
    if groups.iter().map(names).sum::<usize>() > MOST_NAMES {
        return Err(Error::TooManyWatched);
    }
    if groups.iter().any(|group| group.fetch.contains(&FetchItem::ModSeq)) {
        user.enable_condstore(out);
    }
    let watching = Watching::new(groups, user).await?;
    if status {
        tell_status(&watching, user, out).await?;
    }
    user.watching = Some(Box::new(watching));
    Ok(Outcome::ok("you will hear of it"))
}

fn names(group: &EventGroup) -> usize {
    match &group.mailboxes {
        MailboxFilter::Subtree(names) | MailboxFilter::Mailboxes(names) => names.len(),
        _ => 1,
    }
}

/// How the mailboxes are now, but for the selected one.
async fn tell_status(watching: &Watching, user: &User, out: &mut Output) -> Result<(), Error> {
    let selected = user.view.as_ref().map(|view| view.mailbox);
    let mailboxes = user.mail.mailboxes(user.account).await?;
    for mailbox in mailboxes.iter().filter(|mailbox| Some(mailbox.id) != selected) {
        let events = watching.wanted(&mailbox.path.to_string(), mailbox.subscribed);
        let items = first_figures(events);
        if !items.is_empty() {
            status::write(mailbox, &items, user, out).await?;
        }
    }
    Ok(())
}
