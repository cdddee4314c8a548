//! SELECT (RFC 9051 §6.3.2) and EXAMINE (§6.3.3), and how a client that was away catches up (RFC 7162 §3.2.5).

use mail::{Current, Mail};
use types::{ModSeq, Uid};

use super::super::announce::Tell;
use super::super::error::Error;
use super::super::resync::{UidRanges, above, within};
use super::super::user::{Syncs, User};
use super::super::view::{Picked, View};
use super::{Finished, Outcome, Task};
use crate::wire::command::{Known, SelectOptions};
use crate::wire::response::{self, Code, FetchLine, Listed, Output, Reply};
use crate::wire::{Dialect, MailboxName};

/// How many rows a client that catches up is told of at once.
const PAGE: usize = 500;

/// A client that catches up: flags, after what has vanished was told.
pub(in super::super) struct CatchingUp {
    since: ModSeq,
    /// Which UIDs the client knows.
    known: UidRanges,
    left: Picked,
    reply: Option<Reply>,
}

pub(super) async fn run(
    name: &MailboxName,
    read_only: bool,
    options: &SelectOptions,
    user: &mut User,
    out: &mut Output,
) -> Result<Outcome, Error> {
    if options.known.is_some() && user.syncs != Syncs::QResync {
        return Err(Error::NotNow("ENABLE QRESYNC comes before its use"));
    }
    // Even if this fails, nothing is selected any more.
    if user.view.take().is_some() {
        Reply::ok("the mailbox selected before is closed").code(Code::Closed).write_untagged(out);
    }
    if options.condstore {
        user.enable_condstore(out);
    }
    let (mailbox, path) = user.locate(name).await?;
    // First listen, then look: no change can fall between.
    let news = user.mail.subscribe(user.account);
    let place = (user.account, mailbox);
    let opened = View::open(&user.mail, place, read_only, user.syncs, news).await;
    let (view, current) = match opened {
        Err(Error::Mail(mail::Error::NoSuchMailbox)) => return Err(Error::NoMailbox),
        opened => opened?,
    };
    let uidvalidity = current.uidvalidity;
    response::flags(&view.flags(), out);
    response::exists(view.len(), out);
    if user.dialect != Dialect::Rev2 {
        out.put(b"* 0 RECENT\r\n");
        tell_unseen(&current, out);
    }
    Reply::ok("these UIDs are valid").code(Code::UidValidity(uidvalidity)).write_untagged(out);
    Reply::ok("the next UID").code(Code::UidNext(current.uidnext)).write_untagged(out);
    let permanent = if read_only { String::new() } else { format!("{} \\*", view.flags()) };
    Reply::ok("these flags are kept").code(Code::PermanentFlags(permanent)).write_untagged(out);
    Reply::ok("the last change").code(Code::HighestModSeq(view.highest())).write_untagged(out);
    Reply::ok("the id of the mailbox").code(Code::MailboxId(mailbox)).write_untagged(out);
    if user.dialect == Dialect::Rev2 {
        let path = path.to_string();
        let listed =
            Listed { name: &path, attributes: &[], subscribed_child: false, special_use_child: false };
        response::list(&listed, user.dialect, out);
    }
    let code = if read_only { Code::ReadOnly } else { Code::ReadWrite };
    let reply = Reply::ok("selected").code(code);
    let known = options.known.as_ref().filter(|known| known.uidvalidity == uidvalidity);
    let view = user.view.insert(view);
    match known {
        Some(known) => {
            let catching_up = CatchingUp::begin(known, view, &user.mail, reply, out).await?;
            Ok(Outcome::Task(Task::CatchUp(Box::new(catching_up))))
        }
        None => Ok(Outcome::Done(reply, Tell::Nothing)),
    }
}

/// Where rev1 clients begin to read (RFC 3501 §6.3.1), if that is known without looking for it.
fn tell_unseen(current: &Current, out: &mut Output) {
    let first = current.roll.as_ref().and_then(|roll| roll.first_unseen());
    if let Some(number) = first.and_then(|index| u32::try_from(index + 1).ok()) {
        Reply::ok("the first unseen message").code(Code::Unseen(number)).write_untagged(out);
    }
}

impl CatchingUp {
    /// Tells what has vanished (RFC 7162 §3.2.10.1).
    async fn begin(
        known: &Known,
        view: &View,
        mail: &Mail,
        reply: Reply,
        out: &mut Output,
    ) -> Result<Self, Error> {
        // A client that is ahead of the mailbox has seen what is no more, before a backup was put back for example.
        let since = if known.modseq > view.highest() { ModSeq(0) } else { known.modseq };
        let missed = view.missed(mail, since).await?;
        let uids = match &known.uids {
            Some(set) => set.resolve(0),
            None => vec![(1, view.last_uid().max(1))],
        };
        let asked = match (&missed, &known.sample) {
            (None, Some((numbers, sampled))) => above(uids.clone(), view.matched(numbers, sampled)),
            _ => uids.clone(),
        };
        response::vanished(true, &view.vanished(&asked, missed.as_ref()), out);
        let left = match &missed {
            Some(missed) => view.narrow(&view.all(), missed),
            None => view.all(),
        };
        Ok(Self { since, known: uids, left, reply: Some(reply) })
    }

    /// Tells the flags of some messages.
    pub(super) async fn step(&mut self, user: &mut User, out: &mut Output) -> Result<Finished, Error> {
        let mail = user.mail.clone();
        let view = user.view()?;
        let mut page = view.page(&mut self.left, PAGE);
        if page.is_empty() {
            // Rows are read as they are now, so what else has happened meanwhile comes before the answer.
            let reply = self.reply.take().unwrap_or_else(|| Reply::ok("selected"));
            return Ok(Some((reply, Tell::All)));
        }
        page.retain(|(_, Uid(uid))| within(&self.known, *uid));
        for (number, member) in view.members(&mail, &page).await? {
            if member.modseq <= self.since {
                continue;
            }
            view.learn(&member, out);
            let mut line = FetchLine::begin(number, out);
            line.uid(member.uid, out);
            line.flags(&member.keywords, member.deleted, out);
            line.modseq(member.modseq, out);
            line.end(out);
        }
        Ok(None)
    }
}
