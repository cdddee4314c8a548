//! Replies: `+OK` or `-ERR`, a response code if there is one (RFC 2449 §8), and a text.

use std::borrow::Cow;

use crate::output::Output;

/// A response code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Code {
    /// The credentials, or what they may be used for (RFC 3206 §4).
    Auth,
    /// The system, for the time being (RFC 3206 §3).
    SysTemp,
    /// The system, until somebody mends it (RFC 3206 §3).
    SysPerm,
    /// A message with UTF-8, for a client that has not asked for it (RFC 6856 §5).
    Utf8,
}

/// The first line of an answer.
pub(crate) struct Reply {
    ok: bool,
    code: Option<Code>,
    text: Cow<'static, str>,
}

impl Code {
    const fn name(self) -> &'static str {
        match self {
            Self::Auth => "[AUTH] ",
            Self::SysTemp => "[SYS/TEMP] ",
            Self::SysPerm => "[SYS/PERM] ",
            Self::Utf8 => "[UTF8] ",
        }
    }
}

impl Reply {
    pub(crate) fn ok(text: impl Into<Cow<'static, str>>) -> Self {
        Self { ok: true, code: None, text: text.into() }
    }

    pub(crate) fn err(code: Option<Code>, text: impl Into<Cow<'static, str>>) -> Self {
        Self { ok: false, code, text: text.into() }
    }

    /// Adds why the connection ends with this.
    pub(crate) fn and(mut self, text: &str) -> Self {
        self.text = format!("{}; {text}", self.text).into();
        self
    }

    pub(crate) fn write(&self, out: &mut Output) {
        let status = if self.ok { "+OK" } else { "-ERR" };
        let code = self.code.map_or("", Code::name);
        out.print(format_args!("{status} {code}{}\r\n", self.text));
    }
}
