//! Status responses (RFC 9051 §7.1) and their codes (RFC 5530).

use std::borrow::Cow;
use std::fmt;

use types::{MailboxId, ModSeq, Uid, UidValidity};

use super::super::command::Tag;
use super::super::set::SequenceSet;
use super::output::Output;

/// How a command ended, or what the server says unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Done.
    Ok,
    /// Not done.
    No,
    /// Not understood, or not allowed now.
    Bad,
    /// The server closes the connection.
    Bye,
}

/// `resp-text-code`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// `ALERT`
    Alert,
    /// `ALREADYEXISTS`
    AlreadyExists,
    /// `APPENDUID`: the UIDs in the order of the messages
    AppendUid(UidValidity, SequenceSet),
    /// `AUTHENTICATIONFAILED`
    AuthenticationFailed,
    /// `AUTHORIZATIONFAILED`
    AuthorizationFailed,
    /// `BADEVENT` with all events that are known (RFC 5465)
    BadEvent,
    /// `BADCHARSET` with the charsets that are understood
    BadCharset(&'static [&'static str]),
    /// `CANNOT`
    Cannot,
    /// `CAPABILITY`
    Capability(String),
    /// `CLIENTBUG`
    ClientBug,
    /// `CLOSED`
    Closed,
    /// `COMPRESSIONACTIVE` (RFC 4978)
    CompressionActive,
    /// `COPYUID`: the destination's UIDVALIDITY, the old UIDs, the new ones in the same order
    CopyUid(UidValidity, SequenceSet, SequenceSet),
    /// `CORRUPTION`
    Corruption,
    /// `EXPUNGEISSUED`
    ExpungeIssued,
    /// `HASCHILDREN`
    HasChildren,
    /// `INPROGRESS` (RFC 9585): the command's tag, how much is done, and of how much
    InProgress(String, u64, u64),
    /// `HIGHESTMODSEQ` (RFC 7162)
    HighestModSeq(ModSeq),
    /// `INUSE`
    InUse,
    /// `LIMIT`
    Limit,
    /// `METADATA LONGENTRIES`: the longest value that was left out (RFC 5464)
    MetadataLongEntries(u64),
    /// `METADATA MAXSIZE`: the longest value that is kept
    MetadataMaxSize(u64),
    /// `METADATA TOOMANY`
    MetadataTooMany,
    /// `MAILBOXID` (RFC 8474)
    MailboxId(MailboxId),
    /// `MODIFIED`: the messages that had changed (RFC 7162)
    Modified(SequenceSet),
    /// `NONEXISTENT`
    NonExistent,
    /// `NOPERM`
    NoPerm,
    /// `NOTSAVED`
    NotSaved,
    /// `OVERQUOTA`
    OverQuota,
    /// `PARSE`
    Parse,
    /// `PERMANENTFLAGS`
    PermanentFlags(String),
    /// `PRIVACYREQUIRED`
    PrivacyRequired,
    /// `READ-ONLY`
    ReadOnly,
    /// `READ-WRITE`
    ReadWrite,
    /// `SERVERBUG`
    ServerBug,
    /// `TOOBIG` (RFC 4469)
    TooBig,
    /// `NOTIFICATIONOVERFLOW` (RFC 5465)
    NotificationOverflow,
    /// `TRYCREATE`
    TryCreate,
    /// `UIDNEXT`
    UidNext(Uid),
    /// `UIDVALIDITY`
    UidValidity(UidValidity),
    /// `UNAVAILABLE`
    Unavailable,
    /// `USEATTR` (RFC 6154)
    UseAttr,
    /// `UNKNOWN-CTE`
    UnknownCte,
    /// `UNSEEN`: the sequence number of the first unseen message (IMAP4rev1)
    Unseen(u32),
}

/// A status response without its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// How it went.
    pub condition: Condition,
    /// What a program should know.
    pub code: Option<Code>,
    /// What a human should know.
    pub text: Cow<'static, str>,
}

impl Reply {
    /// OK
    pub fn ok(text: impl Into<Cow<'static, str>>) -> Self {
        Self { condition: Condition::Ok, code: None, text: text.into() }
    }

    /// NO
    pub fn no(text: impl Into<Cow<'static, str>>) -> Self {
        Self { condition: Condition::No, code: None, text: text.into() }
    }

    /// BAD
    pub fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Self { condition: Condition::Bad, code: None, text: text.into() }
    }

    /// BYE
    pub fn bye(text: impl Into<Cow<'static, str>>) -> Self {
        Self { condition: Condition::Bye, code: None, text: text.into() }
    }

    /// With a code.
    #[must_use]
    pub fn code(mut self, code: Code) -> Self {
        self.code = Some(code);
        self
    }

    /// As the answer to a command.
    pub fn write_tagged(&self, tag: &Tag, out: &mut Output) {
        out.put(tag.as_bytes());
        self.write(out);
    }

    /// Unasked, or where the tag is unknown.
    pub fn write_untagged(&self, out: &mut Output) {
        out.put(b"*");
        self.write(out);
    }

    fn write(&self, out: &mut Output) {
        let condition = match self.condition {
            Condition::Ok => " OK ",
            Condition::No => " NO ",
            Condition::Bad => " BAD ",
            Condition::Bye => " BYE ",
        };
        out.put(condition.as_bytes());
        if let Some(code) = &self.code {
            out.print(format_args!("[{code}] "));
        }
        // A text is never empty and never breaks the line, whatever it quotes.
        let text = if self.text.is_empty() { "-" } else { &self.text };
        for piece in text.split_inclusive(|c: char| c.is_control()) {
            match piece.strip_suffix(|c: char| c.is_control()) {
                Some(clean) => {
                    out.put(clean.as_bytes());
                    out.put(b" ");
                }
                None => out.put(piece.as_bytes()),
            }
        }
        out.end_line();
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Alert => "ALERT",
            Self::AlreadyExists => "ALREADYEXISTS",
            Self::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Self::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Self::Cannot => "CANNOT",
            Self::ClientBug => "CLIENTBUG",
            Self::Closed => "CLOSED",
            Self::CompressionActive => "COMPRESSIONACTIVE",
            Self::Corruption => "CORRUPTION",
            Self::ExpungeIssued => "EXPUNGEISSUED",
            Self::HasChildren => "HASCHILDREN",
            Self::InUse => "INUSE",
            Self::Limit => "LIMIT",
            Self::MetadataTooMany => "METADATA TOOMANY",
            Self::NonExistent => "NONEXISTENT",
            Self::NoPerm => "NOPERM",
            Self::NotificationOverflow => "NOTIFICATIONOVERFLOW",
            Self::BadEvent => {
                "BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange \
                 MailboxMetadataChange ServerMetadataChange)"
            }
            Self::NotSaved => "NOTSAVED",
            Self::OverQuota => "OVERQUOTA",
            Self::Parse => "PARSE",
            Self::PrivacyRequired => "PRIVACYREQUIRED",
            Self::ReadOnly => "READ-ONLY",
            Self::ReadWrite => "READ-WRITE",
            Self::ServerBug => "SERVERBUG",
            Self::TooBig => "TOOBIG",
            Self::TryCreate => "TRYCREATE",
            Self::Unavailable => "UNAVAILABLE",
            Self::UnknownCte => "UNKNOWN-CTE",
            Self::UseAttr => "USEATTR",
            Self::AppendUid(validity, uids) => return write!(f, "APPENDUID {validity} {uids}"),
            Self::BadCharset(charsets) => return write!(f, "BADCHARSET ({})", charsets.join(" ")),
            Self::Capability(words) => return write!(f, "CAPABILITY {words}"),
            Self::CopyUid(validity, from, to) => return write!(f, "COPYUID {validity} {from} {to}"),
            Self::InProgress(tag, done, goal) => {
                // A bracket in the tag would end the code for clients that look no further.
                return match tag.contains(']') {
                    true => write!(f, "INPROGRESS (NIL {done} {goal})"),
                    false => write!(f, "INPROGRESS (\"{tag}\" {done} {goal})"),
                };
            }
            Self::MetadataLongEntries(size) => return write!(f, "METADATA LONGENTRIES {size}"),
            Self::MetadataMaxSize(size) => return write!(f, "METADATA MAXSIZE {size}"),
            Self::HighestModSeq(modseq) => return write!(f, "HIGHESTMODSEQ {modseq}"),
            Self::MailboxId(mailbox) => return write!(f, "MAILBOXID (F{mailbox})"),
            Self::Modified(messages) => return write!(f, "MODIFIED {messages}"),
            Self::PermanentFlags(flags) => return write!(f, "PERMANENTFLAGS ({flags})"),
            Self::UidNext(uid) => return write!(f, "UIDNEXT {uid}"),
            Self::UidValidity(validity) => return write!(f, "UIDVALIDITY {validity}"),
            Self::Unseen(number) => return write!(f, "UNSEEN {number}"),
        };
        f.write_str(name)
    }
}
