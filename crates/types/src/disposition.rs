//! What somebody, or a program of theirs, has done with a message: the heart of a disposition notification (RFC 8098 §3.2.6).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What was done with a message, and by whom.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Disposition {
    /// Who did it.
    pub action: ActionMode,
    /// Who has the notification sent.
    pub sending: SendingMode,
    /// What was done.
    pub kind: DispositionType,
}

/// Who has done something with a message (RFC 8098 §3.2.6.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ActionMode {
    /// A person, with a command of their own.
    Manual,
    /// A program, by a rule.
    Automatic,
}

/// Who has a notification sent (RFC 8098 §3.2.6.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SendingMode {
    /// A person, who was asked for this one.
    Manual,
    /// A program, by a rule.
    Automatic,
}

/// What was done with a message (RFC 8098 §3.2.6.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DispositionType {
    /// It was deleted, whether anybody had seen it or not.
    Deleted,
    /// It was sent on or printed, say, whether anybody had seen it or not.
    Dispatched,
    /// It was shown to whoever reads this mail, or to somebody else who has access to it. Nobody knows whether it was read.
    Displayed,
    /// A program has dealt with it, without showing it.
    Processed,
}

/// A text says nothing of a message's disposition.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("a disposition is written like manual-action/MDN-sent-manually; displayed")]
pub struct NoDisposition;

impl ActionMode {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Manual, Self::Automatic];

    /// Its name in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual-action",
            Self::Automatic => "automatic-action",
        }
    }
}

impl SendingMode {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Manual, Self::Automatic];

    /// Its name in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "mdn-sent-manually",
            Self::Automatic => "mdn-sent-automatically",
        }
    }
}

impl DispositionType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Deleted, Self::Dispatched, Self::Displayed, Self::Processed];

    /// Its name in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Dispatched => "dispatched",
            Self::Displayed => "displayed",
            Self::Processed => "processed",
        }
    }
}

/// As a notification has it; `MDN` in capitals, as the RFC writes it.
impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sending = self.sending.as_str().replacen("mdn", "MDN", 1);
        write!(f, "{}/{sending}; {}", self.action.as_str(), self.kind.as_str())
    }
}

impl FromStr for Disposition {
    type Err = NoDisposition;

    /// Reads the field's value, whose words have no case. Modifiers behind the type, such as `/error`, are not kept.
    fn from_str(text: &str) -> Result<Self, NoDisposition> {
        let (modes, kind) = text.split_once(';').ok_or(NoDisposition)?;
        let (action, sending) = modes.split_once('/').ok_or(NoDisposition)?;
        let kind = kind.split('/').next().unwrap_or_default();
        let is = |text: &str, name: &str| text.trim().eq_ignore_ascii_case(name);
        Ok(Self {
            action: find(&ActionMode::ALL, |mode| is(action, mode.as_str()))?,
            sending: find(&SendingMode::ALL, |mode| is(sending, mode.as_str()))?,
            kind: find(&DispositionType::ALL, |known| is(kind, known.as_str()))?,
        })
    }
}

fn find<T: Copy>(all: &[T], is: impl Fn(&T) -> bool) -> Result<T, NoDisposition> {
    all.iter().copied().find(is).ok_or(NoDisposition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dispositions_are_read_as_they_are_written() {
        for action in ActionMode::ALL {
            for sending in SendingMode::ALL {
                for kind in DispositionType::ALL {
                    let disposition = Disposition { action, sending, kind };
                    assert_eq!(disposition.to_string().parse(), Ok(disposition));
                }
            }
        }
        let text = "Automatic-Action / mdn-SENT-manually ; Deleted/error, x-odd";
        assert_eq!(
            text.parse::<Disposition>().unwrap().to_string(),
            "automatic-action/MDN-sent-manually; deleted"
        );
        for bad in [
            "",
            "displayed",
            "manual-action; displayed",
            "manual-action/x; displayed",
            "manual-action/MDN-sent-manually; read",
            "manual-action/MDN-sent-manually;",
        ] {
            assert_eq!(bad.parse::<Disposition>(), Err(NoDisposition), "{bad:?}");
        }
    }
}
