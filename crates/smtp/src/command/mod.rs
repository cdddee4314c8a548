//! Runs a command line: one file per command.
//!
//! The grammar is read by this crate's own parsers, not by smtp-proto's. That crate folds framing, grammar and
//! policy into one pass over the stream: it accepts a bare LF as a line's end, skips CR anywhere, ignores what
//! follows `DATA`, unquotes an address before anyone can see that it was quoted, and turns `<Postmaster>` into
//! an empty address; its body decoder never ends an empty body, leaves a dot stuffed on the first line, and
//! copies every octet. Each of these would have to be looked for before or after it, which is most of a parser
//! again, and two parsers that must agree are worse than one. It stays as an oracle: `tests/oracle.rs` holds
//! both against each other on well-formed input, and the transcripts show what each of its faults would do.

pub(crate) mod auth;
pub(crate) mod bdat;
pub(crate) mod data;
pub(crate) mod ehlo;
pub(crate) mod expn;
pub(crate) mod helo;
pub(crate) mod help;
pub(crate) mod lhlo;
pub(crate) mod mail;
pub(crate) mod noop;
pub(crate) mod quit;
pub(crate) mod rcpt;
pub(crate) mod rset;
pub(crate) mod starttls;
pub(crate) mod vrfy;

use crate::core::{Answering, Core};
use crate::phase::{Phase, Rest};
use crate::reply::Reply;

/// The commands that are known, whether or not they are on offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verb {
    Ehlo,
    Helo,
    Lhlo,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Vrfy,
    Expn,
    Help,
    Quit,
    StartTls,
    Auth,
    /// A client that says whom it speaks for.
    XClient,
    /// A command of an extension that is not offered here.
    NotOffered,
    /// The first word of an HTTP request: a browser or proxy that was tricked into talking to a mail server.
    Http,
}

impl Verb {
    const NAMES: [(&str, Self); 25] = [
        ("EHLO", Self::Ehlo),
        ("HELO", Self::Helo),
        ("LHLO", Self::Lhlo),
        ("MAIL", Self::Mail),
        ("RCPT", Self::Rcpt),
        ("DATA", Self::Data),
        ("BDAT", Self::Bdat),
        ("RSET", Self::Rset),
        ("NOOP", Self::Noop),
        ("VRFY", Self::Vrfy),
        ("EXPN", Self::Expn),
        ("HELP", Self::Help),
        ("QUIT", Self::Quit),
        ("STARTTLS", Self::StartTls),
        ("AUTH", Self::Auth),
        ("ETRN", Self::NotOffered),
        ("ATRN", Self::NotOffered),
        ("TURN", Self::NotOffered),
        ("BURL", Self::NotOffered),
        ("XCLIENT", Self::XClient),
        ("XFORWARD", Self::NotOffered),
        ("GET", Self::Http),
        ("POST", Self::Http),
        ("PUT", Self::Http),
        ("CONNECT", Self::Http),
    ];

    /// How many counters commands need: one for each, and one for those that are unknown.
    pub(crate) const COUNT: usize = Self::Http as usize + 2;

    /// Its own counter.
    pub(crate) fn place(verb: Option<Self>) -> usize {
        verb.map_or(0, |verb| verb as usize + 1)
    }

    /// Its name among metrics.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ehlo => "ehlo",
            Self::Helo => "helo",
            Self::Lhlo => "lhlo",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Bdat => "bdat",
            Self::Rset => "rset",
            Self::Noop => "noop",
            Self::Vrfy => "vrfy",
            Self::Expn => "expn",
            Self::Help => "help",
            Self::Quit => "quit",
            Self::StartTls => "starttls",
            Self::Auth => "auth",
            Self::XClient => "xclient",
            Self::NotOffered => "not_offered",
            Self::Http => "http",
        }
    }

    fn parse(word: &[u8]) -> Option<Self> {
        let same = |name: &str| name.as_bytes().eq_ignore_ascii_case(word);
        Self::NAMES.iter().find(|(name, _)| same(name)).map(|(_, verb)| *verb)
    }

    /// Whether the command moves no mail. BDAT judges for itself.
    fn is_junk(self) -> bool {
        matches!(
            self,
            Self::Ehlo
                | Self::Helo
                | Self::Lhlo
                | Self::Rset
                | Self::Noop
                | Self::Vrfy
                | Self::Expn
                | Self::Help
                | Self::NotOffered
        )
    }
}

/// Runs one line, without its CRLF, and gives one reply to it now or when its question is answered.
pub(crate) fn run(line: &[u8], rest: Rest, core: &mut Core) -> Phase {
    core.lines += 1;
    let end = line.iter().position(|b| *b == b' ').unwrap_or(line.len());
    let (word, arguments) = line.split_at(end);
    let verb = Verb::parse(word);
    core.answering = Answering::Command(verb);
    if verb.is_some_and(Verb::is_junk) {
        core.conduct.junk();
    }
    if let Some(reply) = core.conduct.verdict(&core.config.limits) {
        return core.close(&reply, Phase::Command(rest));
    }
    match (verb, text(arguments)) {
        (Some(Verb::Http), _) => {
            let reply = Reply::new(421, (7, 0), "This is a mail server; it does not speak HTTP");
            core.close(&reply, Phase::Command(rest))
        }
        // Who goes on would count as somebody else than it takes itself for.
        (Some(Verb::XClient), _) => {
            let text = "This client is not trusted to speak for others; connect again without XCLIENT";
            core.close(&Reply::new(421, (7, 1), text), Phase::Command(rest))
        }
        (Some(verb), Some(arguments)) => dispatch(verb, arguments, rest, core),
        // The size of the chunk that follows cannot be known.
        (Some(Verb::Bdat), None) => bdat::lost(rest, core),
        (Some(_), None) => core.fail(
            &Reply::new(501, (5, 2), "The line holds a control character, a bare CR or LF, or bad UTF-8"),
            rest,
        ),
        (None, _) => {
            core.fail(&Reply::new(500, (5, 1), "Unknown command; HELP lists those that are known"), rest)
        }
    }
}

/// Answers a line that was longer than the limit, and dropped.
pub(crate) fn too_long(rest: Rest, core: &mut Core) -> Phase {
    core.lines += 1;
    core.answering = Answering::Command(None);
    if let Some(reply) = core.conduct.verdict(&core.config.limits) {
        return core.close(&reply, Phase::Command(rest));
    }
    let text = format!("The line is longer than {} octets; it was dropped", core.config.limits.line);
    core.fail(&Reply::new(500, (5, 2), text), rest)
}

fn dispatch(verb: Verb, arguments: &str, rest: Rest, core: &mut Core) -> Phase {
    match verb {
        Verb::Ehlo => ehlo::run(arguments, rest, core),
        Verb::Helo => helo::run(arguments, rest, core),
        Verb::Lhlo => lhlo::run(arguments, rest, core),
        Verb::Mail => mail::run(arguments, rest, core),
        Verb::Rcpt => rcpt::run(arguments, rest, core),
        Verb::Data => data::run(arguments, rest, core),
        Verb::Bdat => bdat::run(arguments, rest, core),
        Verb::Rset => rset::run(arguments, rest, core),
        Verb::Noop => noop::run(rest, core),
        Verb::Vrfy => vrfy::run(arguments, rest, core),
        Verb::Expn => expn::run(rest, core),
        Verb::Help => help::run(rest, core),
        Verb::Quit => quit::run(arguments, rest, core),
        Verb::StartTls => starttls::run(arguments, rest, core),
        Verb::Auth => auth::run(arguments, rest, core),
        Verb::NotOffered | Verb::XClient | Verb::Http => {
            core.fail(&Reply::new(502, (5, 1), "This command is not offered here"), rest)
        }
    }
}

/// A line's arguments as text, if they hold no control character. With this, no CR, LF or NUL gets any further.
fn text(arguments: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(arguments).ok()?;
    (!text.chars().any(char::is_control)).then(|| text.trim_matches(' '))
}

/// Refuses arguments where there must be none (RFC 5321 §4.1.1).
fn no_arguments(arguments: &str) -> Result<(), Reply> {
    match arguments {
        "" => Ok(()),
        _ => Err(Reply::new(501, (5, 4), "This command takes no arguments")),
    }
}

/// Takes `FROM:` or `TO:` off the arguments of MAIL or RCPT. A space after the colon is wrong (RFC 5321 §3.3),
/// but common.
fn strip_word<'a>(arguments: &'a str, word: &str) -> Option<&'a str> {
    let (head, rest) = arguments.split_at_checked(word.len())?;
    head.eq_ignore_ascii_case(word).then(|| rest.trim_start_matches(' '))
}
