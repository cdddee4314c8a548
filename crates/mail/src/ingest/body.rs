//! Which parts a reader shows and which it offers as files (RFC 8621 §4.1.4).

use crate::record::metadata_parts::{Part, Structure};

/// The parts of a message by their use; indexes into the [`Structure`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bodies {
    /// `textBody`: to be shown where plain text is preferred.
    pub text: Vec<usize>,
    /// `htmlBody`: to be shown where HTML is preferred.
    pub html: Vec<usize>,
    /// `attachments`.
    pub attachments: Vec<usize>,
}

/// A multipart that is being walked.
#[derive(Clone, Copy)]
struct Frame {
    kind: Kind,
    /// Whether it is an alternative, or inside one.
    in_alternative: bool,
    /// Its first child, and where its subtree ends.
    first: usize,
    end: usize,
    /// Whether what comes goes to the text list, and whether to the HTML list.
    to_text: bool,
    to_html: bool,
    /// How long the two lists were when it began.
    text_len: usize,
    html_len: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Alternative,
    Related,
    Other,
}

impl Structure {
    /// Sorts the parts by their use, as the algorithm of RFC 8621 §4.1.4 does, without its recursion.
    pub fn bodies(&self) -> Bodies {
        let mut bodies = Bodies::default();
        let root = Frame {
            kind: Kind::Other,
            in_alternative: false,
            first: 0,
            end: self.0.len(),
            to_text: true,
            to_html: true,
            text_len: 0,
            html_len: 0,
        };
        let mut frame = root;
        let mut outer: Vec<Frame> = Vec::new();
        let mut index = 0;
        while let Some(part) = self.part(index) {
            while frame.end <= index {
                bodies.end(frame);
                frame = outer.pop().unwrap_or(root);
            }
            let end = self.subtree(index).end;
            if part.is_multipart() && end > index + 1 {
                outer.push(frame);
                frame = frame.inner(part, index, end, &bodies);
                index += 1;
            } else {
                bodies.leaf(part, index, &mut frame);
                index = end;
            }
        }
        while let Some(next) = outer.pop() {
            bodies.end(frame);
            frame = next;
        }
        bodies
    }

    /// Whether a reader would call some part an attachment: one that is neither shown inline, nor a picture
    /// that an HTML body refers to, nor machinery such as signatures, reports and further renderings.
    pub fn has_attachment(&self, bodies: &Bodies) -> bool {
        bodies.attachments.iter().filter_map(|index| self.part(*index)).any(is_file)
    }
}

impl Frame {
    fn inner(self, part: &Part, index: usize, end: usize, bodies: &Bodies) -> Self {
        let kind = match part.media_type.as_str() {
            "multipart/alternative" => Kind::Alternative,
            "multipart/related" => Kind::Related,
            _ => Kind::Other,
        };
        Self {
            kind,
            in_alternative: self.in_alternative || kind == Kind::Alternative,
            first: index + 1,
            end,
            text_len: bodies.text.len(),
            html_len: bodies.html.len(),
            ..self
        }
    }
}

impl Bodies {
    fn leaf(&mut self, part: &Part, index: usize, frame: &mut Frame) {
        let plain = part.media_type == "text/plain";
        let html = part.media_type == "text/html";
        let media = is_media(part);
        let inline = part.disposition() != Some("attachment")
            && (plain || html || media)
            && (index == frame.first || (frame.kind != Kind::Related && (media || !is_named(part))));
        if !inline || (frame.kind == Kind::Alternative && media) {
            self.attachments.push(index);
            return;
        }
        if frame.kind == Kind::Alternative {
            let list = if plain { &mut self.text } else { &mut self.html };
            list.push(index);
            return;
        }
        if frame.in_alternative {
            // One rendering of several: it belongs to its own kind, and so does what follows it.
            frame.to_html &= !plain;
            frame.to_text &= !html;
        }
        if frame.to_text {
            self.text.push(index);
        }
        if frame.to_html {
            self.html.push(index);
        }
        if media && !(frame.to_text && frame.to_html) {
            self.attachments.push(index);
        }
    }

    /// An alternative that offered only one of the two forms serves both lists with it.
    fn end(&mut self, frame: Frame) {
        if frame.kind != Kind::Alternative || !frame.to_text || !frame.to_html {
            return;
        }
        if self.text.len() == frame.text_len {
            self.text.extend(self.html.iter().skip(frame.html_len));
        } else if self.html.len() == frame.html_len {
            self.html.extend(self.text.iter().skip(frame.text_len));
        }
    }
}

fn is_media(part: &Part) -> bool {
    ["image/", "audio/", "video/"].iter().any(|kind| part.media_type.starts_with(kind))
}

fn is_named(part: &Part) -> bool {
    let disposition = part.disposition.iter().flat_map(|disposition| &disposition.params);
    disposition.chain(&part.params).any(|param| {
        let name = param.name.split('*').next().unwrap_or_default();
        matches!(name, "filename" | "name")
    })
}

fn is_file(part: &Part) -> bool {
    let attached = part.disposition() == Some("attachment");
    match part.media_type.as_str() {
        "application/pgp-signature"
        | "application/pkcs7-signature"
        | "application/x-pkcs7-signature"
        | "application/pgp-encrypted"
        | "message/delivery-status"
        | "message/disposition-notification" => false,
        _ if attached => true,
        _ if part.disposition() == Some("inline") => false,
        _ if is_media(part) => part.id.is_none(),
        // Calendar invitations, AMP pages, enriched text, returned headers: renderings, unless they are named.
        kind if kind.starts_with("text/") => is_named(part),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::metadata::Raw;
    use crate::record::metadata_parts::{Disposition, Param};

    /// `type` with flags: `@` named, `!` attachment, `~` inline, `#` content id.
    fn tree(parts: &[(&str, u32)]) -> Structure {
        let part = |(text, descendants): &(&str, u32)| {
            let kind =
                ["attachment", "inline"].into_iter().zip(['!', '~']).find(|(_, flag)| text.contains(*flag));
            Part {
                media_type: text.trim_end_matches(['@', '!', '~', '#']).into(),
                descendants: *descendants,
                id: text.contains('#').then(|| Raw::from(&b"<x>"[..])),
                disposition: kind.map(|(kind, _)| Disposition { kind: kind.into(), params: vec![] }),
                params: text
                    .contains('@')
                    .then(|| Param { name: "name".into(), value: Raw::default() })
                    .into_iter()
                    .collect(),
                ..Part::default()
            }
        };
        Structure(parts.iter().map(part).collect())
    }

    #[test]
    fn sorts_parts_as_rfc_8621_does() {
        type Case<'a> = (&'a [(&'a str, u32)], &'a [usize], &'a [usize], &'a [usize], bool);
        let cases: &[Case<'_>] = &[
            (&[("text/plain", 0)], &[0], &[0], &[], false),
            (&[("application/pdf", 0)], &[], &[], &[0], true),
            (&[("multipart/alternative", 2), ("text/plain", 0), ("text/html", 0)], &[1], &[2], &[], false),
            (&[("multipart/alternative", 1), ("text/html", 0)], &[1], &[1], &[], false),
            (&[("multipart/mixed", 2), ("text/plain", 0), ("text/plain@", 0)], &[1], &[1], &[2], true),
            (
                // The example of RFC 8621 §4.1.4.
                &[
                    ("multipart/mixed", 15),
                    ("text/plain~", 0),
                    ("multipart/mixed", 10),
                    ("multipart/alternative", 7),
                    ("multipart/mixed", 4),
                    ("text/plain~", 0),
                    ("image/jpeg~", 0),
                    ("text/plain~", 0),
                    ("image/jpeg~", 0),
                    ("multipart/related", 2),
                    ("text/html", 0),
                    ("image/jpeg#", 0),
                    ("image/jpeg!", 0),
                    ("application/x-excel", 0),
                    ("message/rfc822", 1),
                    ("text/plain", 0),
                ],
                &[1, 5, 6, 7, 8],
                &[1, 10],
                &[6, 8, 11, 12, 13, 14],
                true,
            ),
            (
                &[("multipart/signed", 2), ("text/plain", 0), ("application/pgp-signature", 0)],
                &[1],
                &[1],
                &[2],
                false,
            ),
            (&[("multipart/related", 2), ("text/html", 0), ("image/png#", 0)], &[1], &[1], &[2], false),
            (
                &[("multipart/alternative", 2), ("text/html", 0), ("text/calendar", 0)],
                &[1],
                &[1],
                &[2],
                false,
            ),
        ];
        for (parts, text, html, attachments, has) in cases {
            let tree = tree(parts);
            let bodies = tree.bodies();
            assert_eq!(
                (&*bodies.text, &*bodies.html, &*bodies.attachments),
                (*text, *html, *attachments),
                "{parts:?}"
            );
            assert_eq!(tree.has_attachment(&bodies), *has, "{parts:?}");
        }
    }
}
