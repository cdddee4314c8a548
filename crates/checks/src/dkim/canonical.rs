//! The forms in which header and body are signed (RFC 6376 §3.4).

use std::collections::HashMap;

use aws_lc_rs::digest::{Context, SHA256};
use memchr::{memchr2, memchr3};

use crate::header::{Field, Header};

/// Canonical octets are hashed in pieces of about this size.
const PIECE: usize = 16 << 10;

/// How much may change on the way without harm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// Nothing.
    Simple,
    /// White space and folding.
    Relaxed,
}

/// How a body is hashed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BodyForm {
    pub(crate) form: Form,
    /// How many octets of it (`l=`); all if it is not said.
    pub(crate) length: Option<u64>,
}

/// A body's hash.
#[derive(Clone, Debug)]
pub(crate) struct BodyHash {
    pub(crate) digest: Vec<u8>,
    /// Whether all of the body went into it.
    pub(crate) whole: bool,
}

/// A body's hashes in all forms that were asked for.
#[derive(Debug, Default)]
pub(crate) struct BodyHashes(Vec<(BodyForm, BodyHash)>);

impl BodyHashes {
    /// Hashes a body, going over it once for each form.
    pub(crate) fn of(body: &[u8], wanted: impl Iterator<Item = BodyForm>) -> Self {
        let mut forms: Vec<BodyForm> = Vec::new();
        for form in wanted {
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        let mut hashes = Vec::new();
        for form in [Form::Simple, Form::Relaxed] {
            let forms = forms.iter().filter(|wanted| wanted.form == form);
            let mut sink =
                Sink { hashers: forms.map(|form| Hasher::new(*form)).collect(), piece: Vec::new() };
            if sink.hashers.is_empty() {
                continue;
            }
            let mut canonical = Body::default();
            match form {
                Form::Simple => canonical.simple(body, &mut |octets| sink.write(octets)),
                Form::Relaxed => canonical.relaxed(body, &mut |octets| sink.write(octets)),
            }
            canonical.end(form, &mut |octets| sink.write(octets));
            hashes.extend(sink.finish());
        }
        Self(hashes)
    }

    /// The hash in one form; none if that names more octets than there are.
    pub(crate) fn get(&self, form: BodyForm) -> Option<&BodyHash> {
        self.0.iter().find(|(other, _)| *other == form).map(|(_, hash)| hash)
    }
}

struct Hasher {
    form: BodyForm,
    context: Context,
    left: u64,
    seen: u64,
}

impl Hasher {
    fn new(form: BodyForm) -> Self {
        Self { form, context: Context::new(&SHA256), left: form.length.unwrap_or(u64::MAX), seen: 0 }
    }

    fn update(&mut self, piece: &[u8]) {
        self.seen += piece.len() as u64;
        let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(piece.len());
        self.left -= take as u64;
        self.context.update(piece.get(..take).unwrap_or_default());
    }

    fn finish(self) -> Option<(BodyForm, BodyHash)> {
        let signed = self.form.length.unwrap_or(self.seen);
        let hash = BodyHash { digest: self.context.finish().as_ref().to_vec(), whole: signed == self.seen };
        (signed <= self.seen).then_some((self.form, hash))
    }
}

/// Collects small pieces, so that the hashers get large ones.
struct Sink {
    hashers: Vec<Hasher>,
    piece: Vec<u8>,
}

impl Sink {
    fn write(&mut self, octets: &[u8]) {
        if octets.len() >= PIECE {
            self.flush();
            self.hashers.iter_mut().for_each(|hasher| hasher.update(octets));
            return;
        }
        self.piece.extend_from_slice(octets);
        if self.piece.len() >= PIECE {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let piece = std::mem::take(&mut self.piece);
        self.hashers.iter_mut().for_each(|hasher| hasher.update(&piece));
        self.piece = piece;
        self.piece.clear();
    }

    fn finish(mut self) -> impl Iterator<Item = (BodyForm, BodyHash)> {
        self.flush();
        self.hashers.into_iter().filter_map(Hasher::finish)
    }
}

/// A body that is brought into the form in which it is hashed, piece by piece, wherever it is cut.
#[derive(Debug, Default)]
struct Body {
    /// Line ends that count only if something follows them: empty lines at the end of a body are none.
    line_ends: usize,
    /// A CR that may be the first half of a line end.
    cr: bool,
    /// A run of blanks that counts only if something follows it on its line.
    blanks: bool,
    /// Whether something of the current line was handed on.
    begun: bool,
}

impl Body {
    /// As it is, but for what [`Body::end`] leaves out (RFC 6376 §3.4.3).
    fn simple(&mut self, piece: &[u8], write: &mut impl FnMut(&[u8])) {
        let mut rest = piece;
        while let Some(&byte) = rest.first() {
            if std::mem::take(&mut self.cr) {
                if byte == b'\n' {
                    self.line_ends += 1;
                    rest = rest.get(1..).unwrap_or_default();
                    continue;
                }
                self.flush_line_ends(write);
                write(b"\r");
            }
            if byte == b'\r' {
                self.cr = true;
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            // All up to the last line end of the piece is certain: what is held back is at its end.
            let end = rest.iter().rposition(|b| !matches!(b, b'\r' | b'\n')).map_or(0, |at| at + 1);
            let end = end.max(1);
            let (text, behind) = rest.split_at(end);
            self.flush_line_ends(write);
            write(text);
            rest = behind;
        }
    }

    /// With white space within a line reduced to one space and none at its end (RFC 6376 §3.4.4).
    fn relaxed(&mut self, piece: &[u8], write: &mut impl FnMut(&[u8])) {
        let mut rest = piece;
        while let Some(&byte) = rest.first() {
            if std::mem::take(&mut self.cr) {
                if byte == b'\n' {
                    self.end_line(write);
                    rest = rest.get(1..).unwrap_or_default();
                    continue;
                }
                self.begin_text(write);
                write(b"\r");
            }
            let end = memchr3(b' ', b'\t', b'\r', rest).unwrap_or(rest.len());
            let (text, behind) = rest.split_at(end);
            if !text.is_empty() {
                self.begin_text(write);
                write(text);
            }
            match behind.first() {
                Some(b'\r') => self.cr = true,
                Some(_) => self.blanks = true,
                None => {}
            }
            rest = behind.get(1..).unwrap_or_default();
        }
    }

    /// The body is complete: with one CRLF at its end, or nothing if it is relaxed and nothing is left.
    fn end(mut self, form: Form, write: &mut impl FnMut(&[u8])) {
        match form {
            Form::Simple => {
                if self.cr {
                    self.flush_line_ends(write);
                    write(b"\r");
                }
                write(b"\r\n");
            }
            Form::Relaxed => {
                if self.cr {
                    self.begin_text(write);
                    write(b"\r");
                }
                if self.begun {
                    write(b"\r\n");
                }
            }
        }
    }

    fn end_line(&mut self, write: &mut impl FnMut(&[u8])) {
        self.blanks = false;
        match std::mem::take(&mut self.begun) {
            true => write(b"\r\n"),
            false => self.line_ends += 1,
        }
    }

    fn begin_text(&mut self, write: &mut impl FnMut(&[u8])) {
        if !self.begun {
            self.flush_line_ends(write);
            self.begun = true;
        }
        if std::mem::take(&mut self.blanks) {
            write(b" ");
        }
    }

    fn flush_line_ends(&mut self, write: &mut impl FnMut(&[u8])) {
        for _ in 0..std::mem::take(&mut self.line_ends) {
            write(b"\r\n");
        }
    }
}

/// The hash of a whole body in the relaxed form, while the body streams by: what a signature of ours says.
pub(crate) struct StreamedBodyHash {
    body: Body,
    sink: Sink,
}

impl StreamedBodyHash {
    pub(crate) fn new() -> Self {
        let hasher = Hasher::new(BodyForm { form: Form::Relaxed, length: None });
        Self { body: Body::default(), sink: Sink { hashers: vec![hasher], piece: Vec::new() } }
    }

    pub(crate) fn update(&mut self, piece: &[u8]) {
        let Self { body, sink } = self;
        body.relaxed(piece, &mut |octets| sink.write(octets));
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.body.end(Form::Relaxed, &mut |octets| self.sink.write(octets));
        self.sink.finish().map(|(_, hash)| hash.digest).next().unwrap_or_default()
    }
}

/// Hands on a line with each run of spaces and tabs as one space.
fn reduce_blanks(line: &[u8], mut write: impl FnMut(&[u8])) {
    let mut rest = line;
    while let Some(at) = memchr2(b' ', b'\t', rest) {
        let (text, blanks) = rest.split_at(at);
        let end = blanks.iter().position(|b| !is_blank(*b)).unwrap_or(blanks.len());
        write(text);
        write(b" ");
        rest = blanks.get(end..).unwrap_or_default();
    }
    write(rest);
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Which of a header's fields a signature covers: of several with one name, the lowest first (RFC 6376 §5.4.2).
#[derive(Debug)]
pub(crate) struct Selection<'a>(HashMap<Vec<u8>, Vec<&'a Field<'a>>>);

impl<'a> Selection<'a> {
    pub(crate) fn new(header: &'a Header<'a>) -> Self {
        let mut by_name: HashMap<Vec<u8>, Vec<&Field<'_>>> = HashMap::new();
        for field in header.fields() {
            by_name.entry(field.name.to_ascii_lowercase()).or_default().push(field);
        }
        Self(by_name)
    }

    /// Appends the fields of these names, which are in lower case. A name without a field, or without one more, adds
    /// nothing, and so nobody can add such a field later.
    pub(crate) fn write(&self, names: &[String], form: Form, out: &mut Vec<u8>) {
        let mut used: HashMap<&str, usize> = HashMap::new();
        for name in names {
            let count = used.entry(name).or_default();
            let field = self.0.get(name.as_bytes()).and_then(|fields| fields.iter().rev().nth(*count));
            if let Some(field) = field {
                *count += 1;
                write_field(field, form, out);
            }
        }
    }
}

/// Appends one field with its CRLF.
pub(crate) fn write_field(field: &Field<'_>, form: Form, out: &mut Vec<u8>) {
    match form {
        Form::Simple => out.extend_from_slice(field.raw),
        Form::Relaxed => {
            relaxed_field(field.name, field.value(), out);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Appends a signature's own field: without the signature (`b=`), and without a CRLF (RFC 6376 §3.7).
pub(crate) fn write_unsigned(field: &Field<'_>, form: Form, out: &mut Vec<u8>) {
    let value = without_signature(field.value());
    match form {
        Form::Simple => {
            let head = field.raw.len() - field.value().len();
            out.extend_from_slice(field.raw.get(..head).unwrap_or_default());
            out.extend_from_slice(value.strip_suffix(b"\r\n").unwrap_or(&value));
        }
        Form::Relaxed => relaxed_field(field.name, &value, out),
    }
}

/// `name:value` (RFC 6376 §3.4.2).
fn relaxed_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend(name.iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let begin = out.len();
    for line in value.split(|b| *b == b'\n') {
        reduce_blanks(line.strip_suffix(b"\r").unwrap_or(line), |octets| {
            let follows_blank = out.len() == begin || out.last() == Some(&b' ');
            match octets {
                b" " if follows_blank => {}
                _ => out.extend_from_slice(octets),
            }
        });
    }
    if out.len() > begin && out.last() == Some(&b' ') {
        out.pop();
    }
}

/// A list of tags in which `b` has no value.
fn without_signature(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for (number, tag) in value.split(|b| *b == b';').enumerate() {
        if number > 0 {
            out.push(b';');
        }
        let equals = tag.iter().position(|b| *b == b'=').unwrap_or(0);
        let (name, _) = tag.split_at(equals);
        let kept = if name.trim_ascii() == b"b" { tag.get(..=equals).unwrap_or_default() } else { tag };
        out.extend_from_slice(kept);
    }
    out
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::digest;

    use super::*;

    fn hash(body: &str, form: Form, length: Option<u64>) -> Option<(Vec<u8>, bool)> {
        let form = BodyForm { form, length };
        let hashes = BodyHashes::of(body.as_bytes(), [form, form].into_iter());
        hashes.get(form).map(|hash| (hash.digest.clone(), hash.whole))
    }

    fn of(text: &str) -> Vec<u8> {
        digest(&SHA256, text.as_bytes()).as_ref().to_vec()
    }

    #[test]
    fn bodies() {
        let table = [
            // RFC 6376 §3.4.5
            (" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"),
            ("", "\r\n", ""),
            ("\r\n\r\n", "\r\n", ""),
            (" \r\n\t\r\n", " \r\n\t\r\n", ""),
            ("no end", "no end\r\n", "no end\r\n"),
            ("a\r\n\r\n b\r\n \r\n", "a\r\n\r\n b\r\n \r\n", "a\r\n\r\n b\r\n"),
            ("a\nb\rc  d\r\n", "a\nb\rc  d\r\n", "a\nb\rc d\r\n"),
        ];
        for (body, simple, relaxed) in table {
            assert_eq!(hash(body, Form::Simple, None), Some((of(simple), true)), "{body:?}");
            assert_eq!(hash(body, Form::Relaxed, None), Some((of(relaxed), true)), "{body:?}");
        }
        let long = "line of some length\r\n".repeat(5_000);
        assert_eq!(hash(&long, Form::Relaxed, None), Some((of(&long), true)));
        assert_eq!(hash(&long, Form::Simple, None), Some((of(&long), true)));
    }

    #[test]
    fn bodies_are_hashed_alike_however_they_are_cut() {
        let text = " a \t b\r\n\r\n \t\r\n\rc\r\r\n\nd \r \r\n\r\n \r\n\r";
        for end in 0..=text.len() {
            let body = &text[..end];
            for form in [Form::Simple, Form::Relaxed] {
                let in_pieces = |step: usize| {
                    let (mut canonical, mut out) = (Body::default(), Vec::new());
                    let mut write = |octets: &[u8]| out.extend_from_slice(octets);
                    for piece in body.as_bytes().chunks(step) {
                        match form {
                            Form::Simple => canonical.simple(piece, &mut write),
                            Form::Relaxed => canonical.relaxed(piece, &mut write),
                        }
                    }
                    canonical.end(form, &mut write);
                    String::from_utf8(out).unwrap()
                };
                let whole = in_pieces(usize::MAX);
                for step in 1..=body.len().max(1) {
                    assert_eq!(in_pieces(step), whole, "{body:?} {form:?} {step}");
                }
                assert_eq!(hash(body, form, None), Some((of(&whole), true)));
            }
        }
    }

    #[test]
    fn parts_of_bodies() {
        assert_eq!(hash("abc\r\n", Form::Simple, Some(2)), Some((of("ab"), false)));
        assert_eq!(hash("abc\r\n", Form::Simple, Some(5)), Some((of("abc\r\n"), true)));
        assert_eq!(hash("abc\r\n", Form::Simple, Some(6)), None);
        assert_eq!(hash("abc\r\n", Form::Relaxed, Some(0)), Some((of(""), false)));
    }

    #[test]
    fn headers() {
        let message = b"A: X \r\nB : Y\t\r\n\tZ  \r\nb: 2\r\n\r\n";
        let header = Header::parse(message);
        let selection = Selection::new(&header);
        let written = |names: &[&str], form| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let mut out = Vec::new();
            selection.write(&names, form, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(&["a", "b", "b", "b", "c"], Form::Relaxed), "a:X\r\nb:2\r\nb:Y Z\r\n");
        assert_eq!(written(&["b", "a"], Form::Simple), "b: 2\r\nA: X \r\n");
    }

    #[test]
    fn the_signature_is_not_signed() {
        let raw = b"DKIM-Signature: v=1; bh=b=; b = A\r\n B ;\tx=1\r\n\r\n";
        let header = Header::parse(raw);
        let field = header.fields().first().unwrap();
        let written = |form| {
            let mut out = Vec::new();
            write_unsigned(field, form, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(Form::Simple), "DKIM-Signature: v=1; bh=b=; b =;\tx=1");
        assert_eq!(written(Form::Relaxed), "dkim-signature:v=1; bh=b=; b =; x=1");
        assert_eq!(without_signature(b" a=1; b=xyz"), b" a=1; b=");
    }
}
