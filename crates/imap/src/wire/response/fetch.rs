//! `* n FETCH (…)` (RFC 9051 §7.5.2), item by item. Bodies are announced here and follow by
//! [`Output::body`], in as many slices as they come in.

use types::{EmailId, Keywords, ModSeq, ThreadId, Timestamp, Uid};

use super::super::command::Rfc822;
use super::super::date::DateTime;
use super::super::flag::Flag;
use super::super::name::Dialect;
use super::super::section::{Section, write_part};
use super::envelope::Envelope;
use super::output::Output;
use super::structure::Structure;

/// One answer under construction. Between its items the output may be taken and sent.
#[derive(Debug)]
pub struct FetchLine {
    empty: bool,
}

impl FetchLine {
    /// `* n FETCH (`
    pub fn begin(number: u32, out: &mut Output) -> Self {
        out.put(b"* ");
        out.number(number.into());
        out.put(b" FETCH (");
        Self { empty: true }
    }

    /// `)` CRLF
    pub fn end(self, out: &mut Output) {
        out.put(b")\r\n");
    }

    fn item(&mut self, out: &mut Output) {
        if !self.empty {
            out.put(b" ");
        }
        self.empty = false;
    }

    /// `UID`
    pub fn uid(&mut self, uid: Uid, out: &mut Output) {
        self.item(out);
        out.put(b"UID ");
        out.number(uid.0.into());
    }

    /// `FLAGS`
    pub fn flags(&mut self, keywords: &Keywords, deleted: bool, out: &mut Output) {
        self.item(out);
        out.put(b"FLAGS (");
        for (i, flag) in Flag::list(keywords, deleted).enumerate() {
            out.put(if i == 0 { b"" } else { b" " });
            out.put(flag.as_bytes());
        }
        out.put(b")");
    }

    /// `FLAGS`, where they are spelled already
    pub fn spelled_flags(&mut self, flags: &[u8], out: &mut Output) {
        self.item(out);
        out.put(b"FLAGS (");
        out.put(flags);
        out.put(b")");
    }

    /// `MODSEQ` (RFC 7162)
    pub fn modseq(&mut self, modseq: ModSeq, out: &mut Output) {
        self.item(out);
        out.put(b"MODSEQ (");
        out.number(modseq.0);
        out.put(b")");
    }

    /// `EMAILID` (RFC 8474)
    pub fn email_id(&mut self, email: EmailId, out: &mut Output) {
        self.item(out);
        out.print(format_args!("EMAILID (M{email})"));
    }

    /// `THREADID` (RFC 8474)
    pub fn thread_id(&mut self, thread: ThreadId, out: &mut Output) {
        self.item(out);
        out.print(format_args!("THREADID (T{thread})"));
    }

    /// `INTERNALDATE`
    pub fn internal_date(&mut self, moment: Timestamp, out: &mut Output) {
        self.item(out);
        out.print(format_args!("INTERNALDATE \"{}\"", DateTime::from(moment)));
    }

    /// `SAVEDATE` (RFC 8514)
    pub fn save_date(&mut self, moment: Timestamp, out: &mut Output) {
        self.item(out);
        out.print(format_args!("SAVEDATE \"{}\"", DateTime::from(moment)));
    }

    /// `PREVIEW` (RFC 8970)
    pub fn preview(&mut self, text: &str, dialect: Dialect, out: &mut Output) {
        self.item(out);
        out.put(b"PREVIEW ");
        out.string(text.as_bytes(), dialect);
    }

    /// `RFC822.SIZE`
    pub fn size(&mut self, size: u64, out: &mut Output) {
        self.item(out);
        out.put(b"RFC822.SIZE ");
        out.number(size);
    }

    /// `ENVELOPE`
    pub fn envelope(&mut self, envelope: &Envelope<'_>, dialect: Dialect, out: &mut Output) {
        self.item(out);
        out.put(b"ENVELOPE ");
        envelope.write(dialect, out);
    }

    /// `BODY`
    pub fn body(&mut self, structure: &Structure<'_>, dialect: Dialect, out: &mut Output) {
        self.item(out);
        out.put(b"BODY ");
        structure.write(false, dialect, out);
    }

    /// `BODYSTRUCTURE`
    pub fn body_structure(&mut self, structure: &Structure<'_>, dialect: Dialect, out: &mut Output) {
        self.item(out);
        out.put(b"BODYSTRUCTURE ");
        structure.write(true, dialect, out);
    }

    /// `BODY[…]<origin>`; `size` bytes must follow, or nothing if there is no such part.
    pub fn section(&mut self, section: &Section, origin: Option<u64>, size: Option<u64>, out: &mut Output) {
        self.item(out);
        out.print(format_args!("BODY{section}"));
        nliteral(origin, size, out);
    }

    /// `RFC822`, `RFC822.HEADER` or `RFC822.TEXT`; `size` bytes must follow.
    pub fn rfc822(&mut self, what: Rfc822, size: u64, out: &mut Output) {
        self.item(out);
        out.put(match what {
            Rfc822::Whole => b"RFC822",
            Rfc822::Header => b"RFC822.HEADER",
            Rfc822::Text => b"RFC822.TEXT",
        });
        nliteral(None, Some(size), out);
    }

    /// `BINARY[…]<origin>`; `size` bytes must follow, or nothing if there is no such part.
    pub fn binary(&mut self, part: &[u32], origin: Option<u64>, size: Option<u64>, out: &mut Output) {
        self.item(out);
        out.put(b"BINARY[");
        let _ = write_part(out, part);
        out.put(b"]");
        if let Some(origin) = origin {
            out.print(format_args!("<{origin}>"));
        }
        match size {
            Some(size) => {
                out.put(b" ");
                out.literal8(size);
            }
            None => out.put(b" NIL"),
        }
    }

    /// `BINARY.SIZE[…]`
    pub fn binary_size(&mut self, part: &[u32], size: u64, out: &mut Output) {
        self.item(out);
        out.put(b"BINARY.SIZE[");
        let _ = write_part(out, part);
        out.print(format_args!("] {size}"));
    }
}

fn nliteral(origin: Option<u64>, size: Option<u64>, out: &mut Output) {
    if let Some(origin) = origin {
        out.print(format_args!("<{origin}>"));
    }
    match size {
        Some(size) => {
            out.put(b" ");
            out.literal(size);
        }
        None => out.put(b" NIL"),
    }
}
