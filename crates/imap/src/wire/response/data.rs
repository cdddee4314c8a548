//! Untagged data about the server and its mailboxes (RFC 9051 §§7.2–7.4).

use types::ModSeq;

use super::super::command::{StatusItem, Tag};
use super::super::name::Dialect;
use super::super::results::{ResultRange, Runs};
use super::super::set::{SequenceSet, Unit};
use super::output::{Output, astring};

/// An attribute in LIST (RFC 9051 §7.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attribute {
    /// `\NonExistent`; implies `\Noselect`, which rev1 clients know.
    NonExistent,
    /// `\Noselect`
    NoSelect,
    /// `\Noinferiors`
    NoInferiors,
    /// `\HasChildren`
    HasChildren,
    /// `\HasNoChildren`
    HasNoChildren,
    /// `\Subscribed`
    Subscribed,
    /// `\All`
    All,
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Flagged`
    Flagged,
    /// `\Important` (RFC 8457)
    Important,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

/// One mailbox in LIST or LSUB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Its name in Unicode.
    pub name: &'a str,
    /// What it is.
    pub attributes: &'a [Attribute],
    /// `CHILDINFO ("SUBSCRIBED")`: it is told because of a child that is subscribed.
    pub subscribed_child: bool,
    /// `CHILDINFO ("SPECIAL-USE")`
    pub special_use_child: bool,
}

/// ESEARCH's answer (RFC 9051 §7.3.4). `None` is left out.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct EsearchResult {
    /// The lowest number.
    pub min: Option<u32>,
    /// The highest.
    pub max: Option<u32>,
    /// All of them; left out if empty.
    pub all: Option<Runs>,
    /// A range of them (RFC 9394).
    pub partial: Option<(ResultRange, Runs)>,
    /// How many.
    pub count: Option<u64>,
    /// The highest modseq among those that are told.
    pub modseq: Option<ModSeq>,
}

impl Attribute {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NonExistent => "\\NonExistent",
            Self::NoSelect => "\\Noselect",
            Self::NoInferiors => "\\Noinferiors",
            Self::HasChildren => "\\HasChildren",
            Self::HasNoChildren => "\\HasNoChildren",
            Self::Subscribed => "\\Subscribed",
            Self::All => "\\All",
            Self::Archive => "\\Archive",
            Self::Drafts => "\\Drafts",
            Self::Flagged => "\\Flagged",
            Self::Important => "\\Important",
            Self::Junk => "\\Junk",
            Self::Sent => "\\Sent",
            Self::Trash => "\\Trash",
        }
    }
}

/// `* LIST (…) "/" name`
pub fn list(listed: &Listed<'_>, dialect: Dialect, out: &mut Output) {
    mailbox_list("LIST", listed, dialect, out);
    match (listed.subscribed_child, listed.special_use_child) {
        (false, false) => {}
        (true, false) => out.put(b" (CHILDINFO (\"SUBSCRIBED\"))"),
        (false, true) => out.put(b" (CHILDINFO (\"SPECIAL-USE\"))"),
        (true, true) => out.put(b" (CHILDINFO (\"SUBSCRIBED\" \"SPECIAL-USE\"))"),
    }
    out.end_line();
}

/// `* LIST (…) "/" name ("OLDNAME" (name))` (RFC 5465 §5.4)
pub fn renamed(listed: &Listed<'_>, old: &str, dialect: Dialect, out: &mut Output) {
    mailbox_list("LIST", listed, dialect, out);
    out.put(b" (\"OLDNAME\" (");
    out.mailbox(old, dialect);
    out.put(b"))\r\n");
}

/// `* METADATA name entry …`: which annotations have changed (RFC 5464 §4.4.2). The empty name is the server.
pub fn metadata_changed(name: &str, entries: &[String], dialect: Dialect, out: &mut Output) {
    out.put(b"* METADATA ");
    out.mailbox(name, dialect);
    for entry in entries {
        out.print(format_args!(" {}", astring(entry)));
    }
    out.end_line();
}

/// `* LSUB (…) "/" name` (RFC 3501 §7.2.3)
pub fn lsub(listed: &Listed<'_>, dialect: Dialect, out: &mut Output) {
    mailbox_list("LSUB", listed, dialect, out);
    out.end_line();
}

fn mailbox_list(verb: &str, listed: &Listed<'_>, dialect: Dialect, out: &mut Output) {
    let attributes: Vec<&str> = listed.attributes.iter().map(|a| a.name()).collect();
    out.print(format_args!("* {verb} ({}) \"/\" ", attributes.join(" ")));
    out.mailbox(listed.name, dialect);
}

/// `* STATUS name (…)`
pub fn status(name: &str, figures: &[(StatusItem, u64)], dialect: Dialect, out: &mut Output) {
    out.put(b"* STATUS ");
    out.mailbox(name, dialect);
    let figure = |(item, n): &(StatusItem, u64)| match item {
        StatusItem::MailboxId => format!("MAILBOXID (F{n})"),
        item => format!("{} {n}", item.name()),
    };
    let figures: Vec<String> = figures.iter().map(figure).collect();
    out.print(format_args!(" ({})\r\n", figures.join(" ")));
}

/// `* FLAGS (…)`; `flags` in IMAP's spelling with spaces between.
pub fn flags(flags: &str, out: &mut Output) {
    out.print(format_args!("* FLAGS ({flags})\r\n"));
}

/// `* n EXISTS`
pub fn exists(messages: u32, out: &mut Output) {
    out.print(format_args!("* {messages} EXISTS\r\n"));
}

/// `* n EXPUNGE`
pub fn expunged(number: u32, out: &mut Output) {
    out.print(format_args!("* {number} EXPUNGE\r\n"));
}

/// `* VANISHED …` (RFC 7162 §3.2.10), in lines of bounded length; `earlier` if it was before the mailbox was selected.
pub fn vanished(earlier: bool, uids: &[(u32, u32)], out: &mut Output) {
    /// How many ranges stand in a line.
    const RANGES: usize = 500;
    let verb = if earlier { "VANISHED (EARLIER)" } else { "VANISHED" };
    for ranges in uids.chunks(RANGES) {
        out.print(format_args!("* {verb} {}\r\n", SequenceSet::from_ranges(ranges.iter().copied())));
    }
}

/// `* ENABLED …`
pub fn enabled(capabilities: &[&str], out: &mut Output) {
    out.put(b"* ENABLED");
    for capability in capabilities {
        out.print(format_args!(" {capability}"));
    }
    out.end_line();
}

/// `* NAMESPACE (("" "/")) NIL NIL`: each account has one personal namespace (RFC 9051 §6.3.10).
pub fn namespace(out: &mut Output) {
    out.put(b"* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
}

/// `* SEARCH …` (RFC 3501 §7.2.5) or `* SORT …` (RFC 5256 §4), with the highest modseq if that was searched for
/// (RFC 7162 §3.1.6).
pub fn search(verb: &str, numbers: impl IntoIterator<Item = u32>, modseq: Option<ModSeq>, out: &mut Output) {
    out.print(format_args!("* {verb}"));
    for number in numbers {
        out.print(format_args!(" {number}"));
    }
    if let Some(modseq) = modseq {
        out.print(format_args!(" (MODSEQ {modseq})"));
    }
    out.end_line();
}

/// `* ESEARCH (TAG "…") …`
pub fn esearch(tag: &Tag, unit: Unit, result: &EsearchResult, out: &mut Output) {
    out.put(b"* ESEARCH (TAG ");
    out.string(tag.as_bytes(), Dialect::Rev1);
    out.put(b")");
    if unit == Unit::Uid {
        out.put(b" UID");
    }
    if let Some(min) = result.min {
        out.print(format_args!(" MIN {min}"));
    }
    if let Some(max) = result.max {
        out.print(format_args!(" MAX {max}"));
    }
    if let Some(all) = result.all.as_ref().filter(|all| !all.is_empty()) {
        out.print(format_args!(" ALL {all}"));
    }
    match &result.partial {
        Some((range, runs)) if runs.is_empty() => out.print(format_args!(" PARTIAL ({range} NIL)")),
        Some((range, runs)) => out.print(format_args!(" PARTIAL ({range} {runs})")),
        None => {}
    }
    if let Some(count) = result.count {
        out.print(format_args!(" COUNT {count}"));
    }
    if let Some(modseq) = result.modseq {
        out.print(format_args!(" MODSEQ {modseq}"));
    }
    out.end_line();
}
