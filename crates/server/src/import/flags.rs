//! What mail stores remember about a message, as keywords: Maildir's letters, the header fields of mbox.

use mail::ingest::fields::Fields;
use types::{Keyword, Keywords};

/// The state of a message in the store that it comes from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) keywords: Keywords,
    /// Marked for removal: `\Deleted`.
    pub(crate) deleted: bool,
}

/// The keywords that Dovecot writes as the letters `a` to `z` in one Maildir, by its file `dovecot-keywords`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Letters(Vec<Option<Keyword>>);

impl Letters {
    const COUNT: usize = 26;

    /// Reads the file: lines of a number and a name.
    pub(crate) fn parse(file: &str) -> Self {
        let mut letters = vec![None; Self::COUNT];
        for line in file.lines() {
            let Some((number, name)) = line.split_once(' ') else { continue };
            let place = number.parse::<usize>().ok().and_then(|number| letters.get_mut(number));
            if let Some(place) = place {
                *place = Keyword::new(name.trim()).ok();
            }
        }
        Self(letters)
    }

    fn keyword(&self, letter: u8) -> Option<&Keyword> {
        self.0.get(usize::from(letter.checked_sub(b'a')?))?.as_ref()
    }
}

impl Flags {
    fn add(&mut self, keyword: &str) {
        // Words that no keyword can be are dropped: there is no way to keep them.
        if let Ok(keyword) = Keyword::new(keyword) {
            self.keywords.insert(&keyword);
        }
    }

    /// From the letters behind `:2,` in a Maildir file name.
    pub(crate) fn from_maildir(info: &[u8], letters: &Letters) -> Self {
        let mut flags = Self::default();
        for letter in info {
            match letter {
                b'P' => flags.add("$forwarded"),
                b'R' => flags.add(Keyword::ANSWERED),
                b'S' => flags.add(Keyword::SEEN),
                b'D' => flags.add(Keyword::DRAFT),
                b'F' => flags.add(Keyword::FLAGGED),
                b'T' => flags.deleted = true,
                other => {
                    if let Some(keyword) = letters.keyword(*other) {
                        flags.keywords.insert(keyword);
                    }
                }
            }
        }
        flags
    }

    /// From the header fields that mail programs keep in an mbox: `Status`, `X-Status`, `X-Keywords`,
    /// `X-Mozilla-Status`, `X-Mozilla-Keys`.
    pub(crate) fn from_mbox(header: &[u8]) -> Self {
        let mut flags = Self::default();
        for (name, value) in fields(header) {
            let value = String::from_utf8_lossy(value);
            let value = value.trim();
            match name.to_ascii_lowercase().as_slice() {
                b"status" if value.contains('R') => flags.add(Keyword::SEEN),
                b"x-status" => flags.x_status(value),
                b"x-keywords" | b"x-mozilla-keys" => {
                    value.split_whitespace().for_each(|word| flags.add(word))
                }
                b"x-mozilla-status" => flags.mozilla(u32::from_str_radix(value, 16).unwrap_or(0)),
                _ => {}
            }
        }
        flags
    }

    fn x_status(&mut self, letters: &str) {
        for letter in letters.chars() {
            match letter {
                'A' => self.add(Keyword::ANSWERED),
                'F' => self.add(Keyword::FLAGGED),
                'T' => self.add(Keyword::DRAFT),
                'D' => self.deleted = true,
                _ => {}
            }
        }
    }

    /// Thunderbird's bits. A message that it has removed, but not yet compacted away, is marked for removal.
    fn mozilla(&mut self, bits: u32) {
        for (bit, keyword) in [
            (0x0001, Keyword::SEEN),
            (0x0002, Keyword::ANSWERED),
            (0x0004, Keyword::FLAGGED),
            (0x1000, "$forwarded"),
        ] {
            if bits & bit != 0 {
                self.add(keyword);
            }
        }
        self.deleted |= bits & 0x0008 != 0;
    }
}

/// Whether a header field is one in which mail programs keep state, and so may differ between two looks at the
/// same message.
pub(crate) fn is_state(name: &[u8]) -> bool {
    const STATE: [&[u8]; 8] = [
        b"status",
        b"x-status",
        b"x-keywords",
        b"x-uid",
        b"x-imap",
        b"x-imapbase",
        b"x-mozilla-status",
        b"x-mozilla-status2",
    ];
    STATE.iter().any(|state| name.eq_ignore_ascii_case(state)) || name.eq_ignore_ascii_case(b"x-mozilla-keys")
}

/// The fields of a message's header: names and values. Lines that are no fields are passed over.
pub(crate) fn fields(message: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    Fields::new(message).filter(|field| !field.name.is_empty()).map(|field| (field.name, field.value))
}

/// What stands behind the header and its empty line.
pub(crate) fn body(message: &[u8]) -> &[u8] {
    let mut at = 0;
    while at < message.len() {
        let end = line_end(message, at);
        let line = message.get(at..end).unwrap_or_default();
        at = end;
        if line == b"\n" || line == b"\r\n" {
            break;
        }
    }
    message.get(at..).unwrap_or_default()
}

/// Where the line that begins at `from` ends, its line feed included.
fn line_end(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(bytes.len(), |at| from + at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(flags: &Flags) -> Vec<&str> {
        let mut words: Vec<_> = flags.keywords.iter().collect();
        words.sort_unstable();
        words
    }

    #[test]
    fn maildir_letters() {
        let letters = Letters::parse("0 $Label1\n1 project-x\n2 (bad)\n99 beyond\nrubbish\n");
        let flags = Flags::from_maildir(b"FRSTabcz", &letters);
        assert!(flags.deleted);
        assert_eq!(words(&flags), ["$answered", "$flagged", "$label1", "$seen", "project-x"]);
        assert_eq!(Flags::from_maildir(b"", &letters), Flags::default());
        assert_eq!(words(&Flags::from_maildir(b"PD", &Letters::default())), ["$draft", "$forwarded"]);
    }

    #[test]
    fn mbox_fields() {
        let header =
            b"Subject: x\nStatus: RO\nX-Status: AFD\nX-Keywords: Work  $Later  \n\tfolded\n\nStatus: none\n";
        let flags = Flags::from_mbox(header);
        assert!(flags.deleted);
        assert_eq!(words(&flags), ["$answered", "$flagged", "$later", "$seen", "folded", "work"]);
        assert_eq!(Flags::from_mbox(b"Status: O\n\n"), Flags::default());
    }

    #[test]
    fn thunderbird_fields() {
        let flags = Flags::from_mbox(b"X-Mozilla-Status: 1005\r\nX-Mozilla-Keys: $label1 nonjunk   \r\n\r\n");
        assert_eq!(words(&flags), ["$flagged", "$forwarded", "$label1", "$seen", "nonjunk"]);
        assert!(Flags::from_mbox(b"X-Mozilla-Status: 0009\n\n").deleted);
    }

    #[test]
    fn the_body_begins_behind_the_empty_line() {
        assert_eq!(body(b"A: 1\r\n\r\nx\n\ny"), b"x\n\ny");
        assert_eq!(body(b"A: 1\n\n"), b"");
        assert_eq!(body(b"A: unended"), b"");
        assert_eq!(body(b"\nx"), b"x");
    }
}
