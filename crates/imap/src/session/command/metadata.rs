//! GETMETADATA and SETMETADATA (RFC 5464), and the special use of a mailbox among them (RFC 6154 §4).

use std::collections::BTreeMap;

use bytes::Bytes;
use mail::{EntryName, MailboxInfo};

use super::super::announce::Tell;
use super::super::error::Error;
use super::super::user::User;
use super::super::watch::Deed;
use super::list::special_use;
use super::{Outcome, create};
use crate::wire::MailboxName;
use crate::wire::command::{Depth, GetMetadata, SetMetadata};
use crate::wire::response::{Code, Output, Reply, astring};

/// Tied to the mailbox's role.
const SPECIAL_USE: &str = "/private/specialuse";

pub(super) async fn get(command: GetMetadata, user: &User, out: &mut Output) -> Result<Outcome, Error> {
    let mailbox = place(&command.mailbox, user).await?;
    let mut stored: BTreeMap<String, Bytes> = user
        .mail
        .annotations(user.account, mailbox.as_ref().map(|mailbox| mailbox.id))
        .await?
        .into_iter()
        .map(|(name, value)| (name.to_string(), value))
        .collect();
    if let Some(attribute) = mailbox.as_ref().and_then(|mailbox| mailbox.role).and_then(special_use) {
        stored.insert(SPECIAL_USE.to_owned(), Bytes::from_static(attribute.name().as_bytes()));
    }
    let mut found: BTreeMap<String, Option<Bytes>> = BTreeMap::new();
    for entry in &command.entries {
        let base = base(entry)?;
        if command.depth == Depth::Itself {
            found.insert(base.clone(), stored.get(&base).cloned());
            continue;
        }
        let levels = if command.depth == Depth::Children { 1 } else { usize::MAX };
        for (name, value) in &stored {
            let depth = EntryName::parse(name).ok().and_then(|name| name.depth_below(&base));
            if depth.is_some_and(|depth| depth <= levels) {
                found.insert(name.clone(), Some(value.clone()));
            }
        }
    }
    let mut longest = None;
    if let Some(most) = command.max_size {
        let size = |value: &Option<Bytes>| value.as_ref().map_or(0, |value| value.len() as u64);
        longest = found.values().map(size).filter(|size| *size > most).max();
        found.retain(|_, value| size(value) <= most);
    }
    write(mailbox.as_ref(), &found, user, out);
    let reply = Reply::ok("these are the annotations");
    let reply = match longest {
        Some(longest) => reply.code(Code::MetadataLongEntries(longest)),
        None => reply,
    };
    Ok(Outcome::Done(reply, Tell::All))
}

pub(super) async fn set(command: SetMetadata, user: &mut User) -> Result<Outcome, Error> {
    let mailbox = place(&command.mailbox, user).await?;
    let mut changes = Vec::with_capacity(command.entries.len());
    for (entry, value) in command.entries {
        changes.push((EntryName::parse(text(&entry)?)?, value));
    }
    let is_use = |(name, _): &(EntryName, Option<Bytes>)| name.as_str() == SPECIAL_USE;
    match (&mailbox, &changes[..]) {
        // What the server as a whole shares is the operator's.
        (None, changes) if changes.iter().any(|(name, _)| name.is_shared()) => return Err(Error::NotYours),
        (Some(mailbox), [change]) if is_use(change) => set_use(mailbox, change.1.as_deref(), user).await?,
        (Some(_), changes) if changes.iter().any(is_use) => return Err(Error::UseAlone),
        _ => {
            let mailbox = mailbox.as_ref().map(|mailbox| mailbox.id);
            user.mail.annotate(user.account, mailbox, &changes).await?;
            user.did(Deed::Annotated(mailbox));
        }
    }
    Ok(Outcome::ok("annotated"))
}

/// The mailbox of that name; none is the server.
async fn place(name: &MailboxName, user: &User) -> Result<Option<MailboxInfo>, Error> {
    if name.as_bytes().is_empty() { Ok(None) } else { user.find(name).await.map(Some) }
}

fn text(entry: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(entry).map_err(|_| Error::Entry(mail::EntryError::Character))
}

/// A name, or a scope, below which others are looked for.
fn base(entry: &[u8]) -> Result<String, Error> {
    let text = text(entry)?;
    if text.eq_ignore_ascii_case("/private") || text.eq_ignore_ascii_case("/shared") {
        return Ok(text.to_ascii_lowercase());
    }
    Ok(EntryName::parse(text)?.to_string())
}

/// The value is NIL, or attributes as LIST shows them.
async fn set_use(mailbox: &MailboxInfo, value: Option<&[u8]>, user: &User) -> Result<(), Error> {
    let value = text(value.unwrap_or_default())?.to_ascii_lowercase();
    let attributes = value.split_ascii_whitespace().map(|attribute| {
        let name = attribute.strip_prefix('\\').map(str::to_owned);
        name.ok_or(Error::SpecialUse("a special use begins with a backslash"))
    });
    let role = create::role(&attributes.collect::<Result<Vec<_>, _>>()?)?;
    match user.mail.set_role(user.account, mailbox.id, role).await {
        Err(mail::Error::RoleTaken) => Err(Error::SpecialUse("another mailbox has this special use already")),
        set => Ok(set?),
    }
}

/// `* METADATA name (entry value …)`; nothing if there is nothing.
fn write(
    mailbox: Option<&MailboxInfo>,
    entries: &BTreeMap<String, Option<Bytes>>,
    user: &User,
    out: &mut Output,
) {
    if entries.is_empty() {
        return;
    }
    out.put(b"* METADATA ");
    match mailbox {
        Some(mailbox) => out.mailbox(&mailbox.path.to_string(), user.dialect),
        None => out.put(b"\"\""),
    }
    let mut before = " (";
    for (name, value) in entries {
        out.print(format_args!("{before}{} ", astring(name)));
        before = " ";
        match value {
            Some(value) if value.contains(&0) => {
                out.literal8(value.len() as u64);
                out.body(value.clone());
            }
            value => out.nstring(value.as_deref(), user.dialect),
        }
    }
    out.put(b")\r\n");
}
