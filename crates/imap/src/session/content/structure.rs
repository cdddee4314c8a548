//! BODYSTRUCTURE from the MIME tree (RFC 9051 §7.5.2).

use mail::record::metadata::Raw;
use mail::record::metadata_parts::{Param, Part, Structure as Tree};

use super::envelope::envelope;
use crate::wire::response::{Disposition, Envelope, Structure, StructureKind};

/// No tree is deeper than this; the guard is for records that lie.
const DEPTH: usize = 200;

/// The structure of a whole message.
pub(in super::super) fn structure(tree: &Tree) -> Structure<'_> {
    part(tree, 0, 0)
}

fn part(tree: &Tree, index: usize, depth: usize) -> Structure<'_> {
    let Some(part) = tree.part(index).filter(|_| depth <= DEPTH) else { return Structure::opaque(0) };
    let (media, subtype) = part.media_type.split_once('/').unwrap_or(("application", "octet-stream"));
    Structure {
        subtype: subtype.as_bytes().to_vec(),
        parameters: with_charset(part, parameters(&part.params)),
        disposition: part
            .disposition
            .as_ref()
            .map(|d| Disposition { kind: d.kind.as_bytes().to_vec(), parameters: parameters(&d.params) }),
        language: part.language.as_ref().map(languages).unwrap_or_default(),
        location: part.location.as_ref().map(|raw| raw.0.clone()),
        kind: match part.is_multipart() {
            true => StructureKind::Multipart(
                tree.children(index).map(|child| self::part(tree, child, depth + 1)).collect(),
            ),
            false => leaf(tree, part, index, media, depth),
        },
    }
}

fn leaf<'t>(tree: &'t Tree, part: &'t Part, index: usize, media: &str, depth: usize) -> StructureKind<'t> {
    let text = |raw: &Option<Raw>| raw.as_ref().map(|raw| raw.0.clone());
    let embedded = matches!(part.media_type.as_str(), "message/rfc822" | "message/global");
    let message = embedded.then(|| Box::new(message(tree, part, index, depth)));
    let encoding = if part.encoding.is_empty() { "7bit" } else { &part.encoding };
    StructureKind::Leaf {
        media: media.as_bytes().to_vec(),
        id: text(&part.id),
        description: text(&part.description),
        encoding: encoding.as_bytes().to_vec(),
        size: part.size(),
        md5: text(&part.md5),
        lines: (embedded || media == "text").then_some(part.lines),
        message,
    }
}

/// The grammar wants an envelope and a body of every embedded message, also of one that was not looked into.
fn message<'t>(tree: &'t Tree, part: &'t Part, index: usize, depth: usize) -> (Envelope<'t>, Structure<'t>) {
    let fields = part.envelope.as_ref().map(|raw| raw.0.as_slice()).unwrap_or_default();
    let body = match tree.children(index).next() {
        Some(child) if part.is_message() => self::part(tree, child, depth + 1),
        _ => Structure::opaque(part.size()),
    };
    (envelope(fields), body)
}

/// Text without a charset is in US-ASCII (RFC 2045 §5.2); saying so spares clients from guessing.
fn with_charset(part: &Part, mut parameters: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let names_charset = |param: &Param| param.name == "charset" || param.name.starts_with("charset*");
    if part.media_type.starts_with("text/") && !part.params.iter().any(names_charset) {
        parameters.push((b"charset".to_vec(), b"us-ascii".to_vec()));
    }
    parameters
}

fn parameters(params: &[Param]) -> Vec<(Vec<u8>, Vec<u8>)> {
    params.iter().map(|p| (p.name.as_bytes().to_vec(), p.value.0.clone())).collect()
}

fn languages(raw: &Raw) -> Vec<Vec<u8>> {
    let tags = raw.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|tag| !tag.is_empty());
    tags.map(<[u8]>::to_vec).collect()
}
