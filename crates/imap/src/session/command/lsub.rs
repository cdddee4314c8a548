//! LSUB (RFC 3501 §6.3.9): what IMAP4rev1 clients use in place of LIST (SUBSCRIBED).

use std::collections::BTreeSet;

use super::super::error::Error;
use super::super::user::User;
use super::Outcome;
use super::list::{compile, order, special_use};
use crate::wire::command::Lsub;
use crate::wire::response::{self, Attribute, Listed, Output};

pub(super) async fn run(command: Lsub, user: &mut User, out: &mut Output) -> Result<Outcome, Error> {
    let pattern = compile(&command.reference, &command.pattern, user.dialect)?;
    let mut mailboxes = user.mail.mailboxes(user.account).await?;
    mailboxes.sort_by_cached_key(order);
    // Where `%` stops above a subscribed mailbox, that level is shown as one that cannot be selected.
    let mut above: BTreeSet<String> = BTreeSet::new();
    let mut shown: BTreeSet<String> = BTreeSet::new();
    for mailbox in mailboxes.iter().filter(|m| m.subscribed) {
        let path = mailbox.path.to_string();
        if pattern.matches(&path) {
            let attributes: Vec<Attribute> = mailbox.role.and_then(special_use).into_iter().collect();
            tell(&path, &attributes, user, out);
            shown.insert(path);
        } else {
            above
                .extend(path.match_indices('/').map(|(at, _)| path.get(..at).unwrap_or_default().to_owned()));
        }
    }
    for path in user.mail.lost_subscriptions(user.account).await? {
        let path = path.to_string();
        if pattern.matches(&path) {
            tell(&path, &[Attribute::NoSelect], user, out);
            shown.insert(path);
        } else {
            above
                .extend(path.match_indices('/').map(|(at, _)| path.get(..at).unwrap_or_default().to_owned()));
        }
    }
    for path in above.iter().filter(|path| !shown.contains(*path) && pattern.matches(path)) {
        tell(path, &[Attribute::NoSelect], user, out);
    }
    Ok(Outcome::ok("listed"))
}

fn tell(name: &str, attributes: &[Attribute], user: &User, out: &mut Output) {
    let listed = Listed { name, attributes, subscribed_child: false, special_use_child: false };
    response::lsub(&listed, user.dialect, out);
}
