//! What is in a message that decides how it can be sent.

use super::walk::{Entity, Listener, Walker, is_identity, is_message};

/// What a first reading has found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Survey {
    /// Octets, with every line ended by CRLF.
    pub size: u64,
    /// A header, of the message or of a part, holds octets beyond ASCII.
    pub header: bool,
    /// A body holds octets beyond ASCII.
    pub eight_bit: bool,
    /// A part is labelled `binary`: it may not be sent as lines (RFC 3030 §3).
    pub binary: bool,
    /// What would have to be converted may not be changed: it is signed or encrypted, or coded in a way that is not known.
    pub sealed: bool,
    /// For each entity in the order of their headers, what a conversion to seven bits has to do.
    pub(crate) parts: Vec<Treatment>,
}

/// What a conversion has to do with an entity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Treatment {
    /// Nothing.
    Keep,
    /// Its content is clean, but its label says more than seven bits.
    Relabel,
    /// Code its content as quoted-printable.
    Quote,
    /// Code its content as base64.
    Base64,
    /// It is quoted-printable with octets in it that should have been coded, too.
    Mend,
}

/// Reads a message for its survey.
pub struct Surveyor {
    walker: Walker,
    found: Finder,
}

#[derive(Default)]
struct Finder {
    survey: Survey,
    entity: Entity,
    /// Octets that are not ASCII, or not text, in the content of the present entity.
    dirty: bool,
    any: bool,
    /// The last octet was a CR.
    cr: bool,
    /// The last octet was the end of a line, or there was none.
    ended: bool,
}

impl Default for Surveyor {
    fn default() -> Self {
        let found = Finder { ended: true, ..Finder::default() };
        Self { walker: Walker::new(), found }
    }
}

impl Surveyor {
    /// Reads a piece.
    pub fn read(&mut self, piece: &[u8]) {
        self.found.lines(piece);
        self.walker.walk(piece, &mut self.found);
    }

    /// The message is over.
    pub fn finish(mut self) -> Survey {
        self.walker.finish(&mut self.found);
        self.found.judge();
        if self.found.cr {
            self.found.alone();
        }
        if !self.found.ended {
            self.found.survey.size += 2;
        }
        self.found.survey
    }
}

impl Finder {
    /// Counts octets as they will be on the wire, and looks at line ends.
    fn lines(&mut self, piece: &[u8]) {
        self.survey.size += piece.len() as u64;
        let mut at = 0;
        while let Some(byte) = piece.get(at) {
            match byte {
                b'\n' => {
                    if !std::mem::take(&mut self.cr) {
                        self.alone();
                    }
                    self.ended = true;
                    at += 1;
                }
                _ if self.cr => {
                    self.cr = false;
                    self.alone();
                    self.ended = true;
                }
                b'\r' => {
                    self.cr = true;
                    self.ended = false;
                    at += 1;
                }
                _ => {
                    self.ended = false;
                    let rest = piece.get(at..).unwrap_or_default();
                    at += memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                }
            }
        }
    }

    /// Half a line end, which becomes a whole one.
    fn alone(&mut self) {
        self.survey.size += 1;
        self.ended = true;
    }

    /// The present entity is over: what has to be done with it?
    fn judge(&mut self) {
        let Some(last) = self.survey.parts.last_mut() else { return };
        let entity = &self.entity;
        let label = matches!(entity.encoding.as_str(), "8bit" | "binary");
        let composite =
            entity.kind == "multipart" || (entity.kind == "message" && is_message(&entity.subkind));
        let text = entity.kind.is_empty() || entity.kind == "text";
        *last = match (self.dirty, entity.encoding.as_str()) {
            (false, _) if !label => Treatment::Keep,
            (false, _) => Treatment::Relabel,
            (true, "quoted-printable") => Treatment::Mend,
            (true, "binary") if !composite && entity.kind != "message" => Treatment::Base64,
            (true, encoding) if !is_identity(encoding) || composite => {
                self.survey.sealed = true;
                Treatment::Keep
            }
            // RFC 2046 §5.2: other kinds of message may not be coded.
            (true, _) if entity.kind == "message" => {
                self.survey.sealed = true;
                Treatment::Keep
            }
            (true, _) if text => Treatment::Quote,
            (true, _) => Treatment::Base64,
        };
        if *last != Treatment::Keep && entity.sealed {
            self.survey.sealed = true;
        }
        self.dirty = false;
    }
}

impl Listener for Finder {
    fn header(&mut self, header: &[u8], entity: &Entity) {
        if self.any {
            self.judge();
        }
        self.any = true;
        self.survey.header |= !header.is_ascii();
        self.survey.binary |= entity.encoding == "binary";
        self.entity = entity.clone();
        self.survey.parts.push(Treatment::Keep);
    }

    fn content(&mut self, line: &[u8]) {
        self.survey.eight_bit |= !line.is_ascii();
        let text = line.strip_suffix(b"\r\n").unwrap_or(line);
        let broken = || self.entity.encoding == "binary" && memchr::memchr2(b'\r', b'\n', text).is_some();
        self.dirty |= !line.is_ascii() || memchr::memchr(0, line).is_some() || broken();
    }

    fn between(&mut self, line: &[u8]) {
        self.survey.eight_bit |= !line.is_ascii();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(message: &str, step: usize) -> Survey {
        let mut surveyor = Surveyor::default();
        message.as_bytes().chunks(step).for_each(|piece| surveyor.read(piece));
        surveyor.finish()
    }

    #[test]
    fn what_decides_how_a_message_is_sent() {
        let table = [
            ("Subject: a\r\n\r\nplain\r\n", "", "Keep"),
            ("Subject: a\r\n\r\nköln\r\n", "eight", "Quote"),
            ("Subject: köln\r\n\r\na\r\n", "header", "Keep"),
            ("Content-Transfer-Encoding: 8bit\r\n\r\na\r\n", "", "Relabel"),
            (
                "Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\na\nb\r\n",
                "binary",
                "Base64",
            ),
            ("Content-Transfer-Encoding: quoted-printable\r\n\r\nö=\r\n", "eight", "Mend"),
            ("Content-Transfer-Encoding: x-uu\r\n\r\nö\r\n", "eight sealed", "Keep"),
            (
                "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nö\r\n--b\r\n\r\nx\r\n--b--\r\n",
                "eight sealed",
                "Keep Quote Keep",
            ),
            (
                "Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
                 Subject: x\r\n\r\nö\r\n--b\r\nContent-Type: image/png\r\n\r\nö\r\n--b--\r\n",
                "eight",
                "Keep Keep Quote Base64",
            ),
        ];
        for (message, flags, parts) in table {
            for step in [1, 7, 1000] {
                let found = survey(message, step);
                let all = [
                    (found.header, "header"),
                    (found.eight_bit, "eight"),
                    (found.binary, "binary"),
                    (found.sealed, "sealed"),
                ];
                let words: Vec<&str> = all.iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect();
                assert_eq!(words.join(" "), flags, "{message}");
                let treatments: Vec<String> = found.parts.iter().map(|part| format!("{part:?}")).collect();
                assert_eq!(treatments.join(" "), parts, "{message}");
            }
        }
    }

    #[test]
    fn the_size_is_that_on_the_wire() {
        let table =
            [("", 0), ("a", 3), ("a\r\n", 3), ("a\nb\r\n", 6), ("a\rb", 6), ("\r\r\n\n\r", 8), ("a\r", 3)];
        for (message, size) in table {
            assert_eq!((survey(message, 1).size, survey(message, 9).size), (size, size), "{message:?}");
        }
    }
}
