//! From eight bits to seven, for a peer that has no 8BITMIME (RFC 6152 §3): parts with octets beyond ASCII are coded, all
//! else stays as it is.
//!
//! A signature of DKIM over the body does not survive this; there is nothing that a relay could do about it but not to
//! deliver. A signature inside the message (`multipart/signed`) would tell the recipient that somebody has tampered with
//! it, so [`super::Survey::sealed`] messages are not converted.

use bytes::BytesMut;

use super::survey::{Survey, Treatment};
use super::transfer::{Base64, Quoter, mend};
use super::walk::{Entity, Listener, Walker, fields, value_of};

/// Converts a message as it streams.
pub struct Converter {
    walker: Walker,
    writer: Writer,
}

struct Writer {
    parts: std::vec::IntoIter<Treatment>,
    first: bool,
    coder: Coder,
    out: BytesMut,
}

enum Coder {
    None,
    Quote(Quoter),
    Mend,
    Base64(Base64),
}

impl Converter {
    /// A converter for the message of this survey.
    pub fn new(survey: &Survey) -> Self {
        let parts = survey.parts.clone().into_iter();
        let writer = Writer { parts, first: true, coder: Coder::None, out: BytesMut::new() };
        Self { walker: Walker::new(), writer }
    }

    /// Converts a piece: what is ready.
    pub fn convert(&mut self, piece: &[u8]) -> BytesMut {
        self.walker.walk(piece, &mut self.writer);
        self.writer.out.split()
    }

    /// The message is over: what was left.
    pub fn finish(mut self) -> BytesMut {
        self.walker.finish(&mut self.writer);
        self.writer.flush(false);
        self.writer.out
    }
}

impl Writer {
    fn flush(&mut self, bounded: bool) {
        if let Coder::Base64(coder) = std::mem::replace(&mut self.coder, Coder::None) {
            coder.finish(bounded, &mut self.out);
        }
    }

    /// The header with another transfer encoding, and what a reader needs to know that it is MIME at all.
    fn relabel(&mut self, header: &[u8], encoding: &str, first: bool) {
        let mut end: &[u8] = b"\r\n";
        let (mut versioned, mut typed) = (!first, false);
        for field in fields(header) {
            if value_of(field, "Content-Transfer-Encoding").is_some() {
                continue;
            }
            if matches!(field, b"\r\n" | b"\n") {
                end = field;
                continue;
            }
            versioned |= value_of(field, "MIME-Version").is_some();
            typed |= value_of(field, "Content-Type").is_some();
            self.out.extend_from_slice(field);
            if !field.ends_with(b"\n") {
                self.out.extend_from_slice(b"\r\n");
            }
        }
        if !versioned {
            self.out.extend_from_slice(b"MIME-Version: 1.0\r\n");
        }
        if !typed && encoding != "7bit" {
            // RFC 1428 §3: nobody has said what these octets mean.
            self.out.extend_from_slice(b"Content-Type: text/plain; charset=unknown-8bit\r\n");
        }
        self.out.extend_from_slice(format!("Content-Transfer-Encoding: {encoding}\r\n").as_bytes());
        self.out.extend_from_slice(end);
    }
}

impl Listener for Writer {
    fn header(&mut self, header: &[u8], _entity: &Entity) {
        self.flush(true);
        let first = std::mem::take(&mut self.first);
        match self.parts.next().unwrap_or(Treatment::Keep) {
            Treatment::Keep => self.out.extend_from_slice(header),
            Treatment::Relabel => self.relabel(header, "7bit", first),
            Treatment::Mend => {
                self.out.extend_from_slice(header);
                self.coder = Coder::Mend;
            }
            Treatment::Quote => {
                self.relabel(header, "quoted-printable", first);
                self.coder = Coder::Quote(Quoter::default());
            }
            Treatment::Base64 => {
                self.relabel(header, "base64", first);
                self.coder = Coder::Base64(Base64::default());
            }
        }
    }

    fn content(&mut self, line: &[u8]) {
        match &mut self.coder {
            Coder::None => self.out.extend_from_slice(line),
            Coder::Quote(quoter) => quoter.line(line, &mut self.out),
            Coder::Mend => mend(line, &mut self.out),
            Coder::Base64(coder) => coder.line(line, &mut self.out),
        }
    }

    fn between(&mut self, line: &[u8]) {
        self.flush(true);
        // Nobody is shown what stands here, so nothing is lost.
        self.out.extend(line.iter().map(|byte| if byte.is_ascii() { *byte } else { b'?' }));
    }
}
