//! ENABLE (RFC 9051 §6.3.1).

use super::super::error::Error;
use super::super::user::{Syncs, User};
use super::Outcome;
use crate::wire::Dialect;
use crate::wire::command::Enable;
use crate::wire::response::{self, Output};

pub(super) fn run(command: Enable, user: &mut User, out: &mut Output) -> Result<Outcome, Error> {
    if user.view.is_some() {
        return Err(Error::NotNow("ENABLE comes before a mailbox is selected"));
    }
    let mut enabled = Vec::new();
    for (name, syncs) in [("CONDSTORE", Syncs::CondStore), ("QRESYNC", Syncs::QResync)] {
        if command.capabilities.iter().any(|c| c == name) {
            user.syncs = user.syncs.max(syncs);
            enabled.push(name);
        }
    }
    if user.dialect != Dialect::Rev2 && command.capabilities.iter().any(|c| c == "IMAP4REV2") {
        user.dialect = Dialect::Rev2;
        enabled.push("IMAP4rev2");
    }
    if !user.utf8_accept && command.capabilities.iter().any(|c| c == "UTF8=ACCEPT") {
        user.utf8_accept = true;
        if user.dialect == Dialect::Rev1 {
            user.dialect = Dialect::Utf8;
        }
        enabled.push("UTF8=ACCEPT");
    }
    response::enabled(&enabled, out);
    Ok(Outcome::ok("enabled"))
}
