//! BODYSTRUCTURE and BODY (RFC 9051 §7.5.2).

use super::super::name::Dialect;
use super::envelope::Envelope;
use super::output::Output;

/// Parts nest no deeper than this in an answer; what is below is shown as opaque bytes.
const DEPTH: usize = 100;

/// A part of a message, with the parts below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure<'a> {
    /// The media subtype.
    pub subtype: Vec<u8>,
    /// The media type's parameters.
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
    /// `Content-Disposition`
    pub disposition: Option<Disposition>,
    /// `Content-Language`
    pub language: Vec<Vec<u8>>,
    /// `Content-Location`
    pub location: Option<Vec<u8>>,
    /// What kind of part.
    pub kind: StructureKind<'a>,
}

/// `Content-Disposition`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposition {
    /// `inline`, `attachment`, …
    pub kind: Vec<u8>,
    /// Its parameters.
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A multipart or a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StructureKind<'a> {
    /// `multipart/*`
    Multipart(Vec<Structure<'a>>),
    /// Anything else.
    Leaf {
        /// The media type.
        media: Vec<u8>,
        /// `Content-ID`
        id: Option<Vec<u8>>,
        /// `Content-Description`
        description: Option<Vec<u8>>,
        /// `Content-Transfer-Encoding`
        encoding: Vec<u8>,
        /// Bytes as they are transferred.
        size: u64,
        /// `Content-MD5`
        md5: Option<Vec<u8>>,
        /// For `text/*` and messages.
        lines: Option<u64>,
        /// For `message/rfc822` and `message/global`.
        message: Option<Box<(Envelope<'a>, Structure<'a>)>>,
    },
}

impl Structure<'_> {
    /// A part about which nothing is known but its size.
    pub fn opaque(size: u64) -> Self {
        Self {
            subtype: b"octet-stream".to_vec(),
            parameters: Vec::new(),
            disposition: None,
            language: Vec::new(),
            location: None,
            kind: StructureKind::Leaf {
                media: b"application".to_vec(),
                id: None,
                description: None,
                encoding: b"8bit".to_vec(),
                size,
                md5: None,
                lines: None,
                message: None,
            },
        }
    }

    /// Writes the parenthesised list; `extended` for BODYSTRUCTURE.
    pub fn write(&self, extended: bool, dialect: Dialect, out: &mut Output) {
        Writer { extended, dialect, out }.part(self, 0);
    }

    fn size(&self) -> u64 {
        match &self.kind {
            StructureKind::Leaf { size, .. } => *size,
            StructureKind::Multipart(_) => 0,
        }
    }
}

struct Writer<'o> {
    extended: bool,
    dialect: Dialect,
    out: &'o mut Output,
}

impl Writer<'_> {
    fn part(&mut self, part: &Structure<'_>, depth: usize) {
        if depth > DEPTH {
            return self.part(&Structure::opaque(part.size()), 0);
        }
        self.out.put(b"(");
        match &part.kind {
            StructureKind::Multipart(parts) => self.multipart(part, parts, depth),
            StructureKind::Leaf { .. } => self.leaf(part, depth),
        }
        if self.extended {
            self.extension(part);
        }
        self.out.put(b")");
    }

    fn multipart(&mut self, part: &Structure<'_>, parts: &[Structure<'_>], depth: usize) {
        // The grammar wants at least one part; a multipart without any holds one empty text.
        if parts.is_empty() {
            self.out.put(b"(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0)");
        }
        for below in parts {
            self.part(below, depth + 1);
        }
        self.out.put(b" ");
        self.out.string(&part.subtype, self.dialect);
        if self.extended {
            self.out.put(b" ");
            self.parameters(&part.parameters);
        }
    }

    fn leaf(&mut self, part: &Structure<'_>, depth: usize) {
        let StructureKind::Leaf { media, id, description, encoding, size, md5, lines, message } = &part.kind
        else {
            return;
        };
        self.out.string(media, self.dialect);
        self.out.put(b" ");
        self.out.string(&part.subtype, self.dialect);
        self.out.put(b" ");
        self.parameters(&part.parameters);
        self.out.put(b" ");
        self.out.nstring(id.as_deref(), self.dialect);
        self.out.put(b" ");
        self.out.nstring(description.as_deref(), self.dialect);
        self.out.put(b" ");
        self.out.string(encoding, self.dialect);
        self.out.print(format_args!(" {size}"));
        if let Some((envelope, body)) = message.as_deref() {
            self.out.put(b" ");
            envelope.write(self.dialect, self.out);
            self.out.put(b" ");
            self.part(body, depth + 1);
        }
        if let Some(lines) = lines {
            self.out.print(format_args!(" {lines}"));
        }
        if self.extended {
            self.out.put(b" ");
            self.out.nstring(md5.as_deref(), self.dialect);
        }
    }

    /// What stands after a part's own data: disposition, language, location.
    fn extension(&mut self, part: &Structure<'_>) {
        match &part.disposition {
            Some(disposition) => {
                self.out.put(b" (");
                self.out.string(&disposition.kind, self.dialect);
                self.out.put(b" ");
                self.parameters(&disposition.parameters);
                self.out.put(b")");
            }
            None => self.out.put(b" NIL"),
        }
        match &part.language[..] {
            [] => self.out.put(b" NIL"),
            [one] => {
                self.out.put(b" ");
                self.out.string(one, self.dialect);
            }
            several => {
                for (i, language) in several.iter().enumerate() {
                    self.out.put(if i == 0 { b" (" } else { b" " });
                    self.out.string(language, self.dialect);
                }
                self.out.put(b")");
            }
        }
        self.out.put(b" ");
        self.out.nstring(part.location.as_deref(), self.dialect);
    }

    fn parameters(&mut self, parameters: &[(Vec<u8>, Vec<u8>)]) {
        if parameters.is_empty() {
            return self.out.put(b"NIL");
        }
        for (i, (name, value)) in parameters.iter().enumerate() {
            self.out.put(if i == 0 { b"(" } else { b" " });
            self.out.string(name, self.dialect);
            self.out.put(b" ");
            self.out.string(value, self.dialect);
        }
        self.out.put(b")");
    }
}
