//! What a part's own header says of the part: the `Content-*` fields (RFC 2045, 2183, 3282).

use super::fields::{Fields, unfold};
use super::params::{Structured, media_type, parse, raw_value};
use crate::record::metadata_parts::{Disposition, Part, PartFlags};

/// The longest Content-ID, -Description, -Location, -Language or -MD5 that is kept, in octets.
const MAX_TEXT: usize = 1000;
const MAX_WORD: usize = 64;

/// Fills in what `header` says of `part`. Of fields that are there twice the first counts, as it does for
/// most readers; `default_type` is what a part without a valid type is.
pub(super) fn read_content(header: &[u8], default_type: &str, part: &mut Part) {
    let mut seen = Seen::default();
    for field in Fields::new(header) {
        let Some(name) = content_name(field.name) else { continue };
        let mut cut = false;
        let mut text = |slot: &mut Option<_>| {
            if slot.is_none() {
                *slot = raw_value(field.value, MAX_TEXT, &mut cut);
            }
        };
        match name {
            Name::Type if first(&mut seen.media_type) => {
                let parsed = parse(field.value);
                cut = parsed.cut;
                set_type(parsed, default_type, part);
            }
            Name::Encoding if first(&mut seen.encoding) => part.encoding = encoding(field.value),
            Name::Disposition if part.disposition.is_none() => {
                let parsed = parse(field.value);
                cut = parsed.cut;
                if !parsed.word.is_empty() || !parsed.params.is_empty() {
                    part.disposition = Some(Disposition { kind: parsed.word, params: parsed.params });
                }
            }
            Name::Id => text(&mut part.id),
            Name::Description => text(&mut part.description),
            Name::Language => text(&mut part.language),
            Name::Location => text(&mut part.location),
            Name::Md5 => text(&mut part.md5),
            _ => {}
        }
        if cut {
            part.flags.insert(PartFlags::CUT);
        }
    }
    if part.media_type.is_empty() {
        default_type.clone_into(&mut part.media_type);
    }
}

#[derive(Default)]
struct Seen {
    media_type: bool,
    encoding: bool,
}

fn first(seen: &mut bool) -> bool {
    !std::mem::replace(seen, true)
}

#[derive(Clone, Copy)]
enum Name {
    Type,
    Encoding,
    Disposition,
    Id,
    Description,
    Language,
    Location,
    Md5,
}

fn content_name(name: &[u8]) -> Option<Name> {
    const NAMES: [(&[u8], Name); 8] = [
        (b"type", Name::Type),
        (b"transfer-encoding", Name::Encoding),
        (b"disposition", Name::Disposition),
        (b"id", Name::Id),
        (b"description", Name::Description),
        (b"language", Name::Language),
        (b"location", Name::Location),
        (b"md5", Name::Md5),
    ];
    let (prefix, rest) = name.split_at_checked(8)?;
    if !prefix.eq_ignore_ascii_case(b"content-") {
        return None;
    }
    NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(rest)).map(|(_, name)| *name)
}

fn set_type(parsed: Structured, default_type: &str, part: &mut Part) {
    let has_boundary = parsed.params.iter().any(|param| param.name == "boundary");
    part.media_type = match media_type(&parsed.word) {
        Some(_) => parsed.word,
        None if parsed.word == "multipart" && has_boundary => "multipart/mixed".into(),
        // RFC 2045 §5.2: what cannot be understood is plain text.
        None => default_type.into(),
    };
    part.params = parsed.params;
}

fn encoding(value: &[u8]) -> String {
    let value = value.get(..MAX_TEXT).unwrap_or(value);
    let word = parse(&unfold(value)).word;
    word.chars().take(MAX_WORD).collect()
}
