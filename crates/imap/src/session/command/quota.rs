//! GETQUOTA and GETQUOTAROOT (RFC 9208): one quota root, for all mailboxes of the account.

use super::super::error::Error;
use super::super::user::User;
use super::Outcome;
use crate::wire::command::{GetQuota, GetQuotaRoot};
use crate::wire::response::Output;

/// STORAGE is counted in units of so many octets.
const UNIT: u64 = 1024;

pub(super) async fn get(command: &GetQuota, user: &User, out: &mut Output) -> Result<Outcome, Error> {
    if !command.root.is_empty() {
        return Err(Error::NoQuotaRoot);
    }
    tell(user, out).await?;
    Ok(Outcome::ok("that is the quota"))
}

pub(super) async fn root(command: &GetQuotaRoot, user: &User, out: &mut Output) -> Result<Outcome, Error> {
    let mailbox = user.find(&command.mailbox).await?;
    out.put(b"* QUOTAROOT ");
    out.mailbox(&mailbox.path.to_string(), user.dialect);
    out.put(b" \"\"\r\n");
    tell(user, out).await?;
    Ok(Outcome::ok("that is the quota"))
}

/// Only what is limited is told.
async fn tell(user: &User, out: &mut Output) -> Result<(), Error> {
    let quota = user.quota().await?;
    let used = user.mail.usage(user.account).await?;
    let bytes = quota.bytes.map(|limit| ("STORAGE", used.bytes.div_ceil(UNIT), limit.div_ceil(UNIT)));
    let emails = quota.emails.map(|limit| ("MESSAGE", used.emails, limit));
    out.put(b"* QUOTA \"\" (");
    for (i, (resource, used, limit)) in bytes.into_iter().chain(emails).enumerate() {
        let space = if i == 0 { "" } else { " " };
        out.print(format_args!("{space}{resource} {used} {limit}"));
    }
    out.put(b")\r\n");
    Ok(())
}
