//! Media types that clients name (RFC 9110 §8.3.1).

/// What a file is whose type nobody has told.
pub(super) const OCTETS: &str = "application/octet-stream";
/// The longest media type.
const LONGEST: usize = 255;

/// A type and a subtype, and parameters if there are any: nothing that could end the field.
pub(super) fn is_media_type(text: &str) -> bool {
    let token = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    let mut words = text.splitn(2, ';');
    let essence = words.next().and_then(|word| word.trim().split_once('/'));
    let parameters = words.next().unwrap_or_default();
    text.len() <= LONGEST
        && essence.is_some_and(|(kind, subtype)| token(kind) && token(subtype))
        && parameters.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Whether what is of this type gets shorter when it is compressed.
pub(super) fn is_text(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let names = ["application/json", "application/xml", "application/javascript", "message/rfc822"];
    let suffixes = ["+json", "+xml"];
    essence.starts_with("text/")
        || names.contains(&essence.as_str())
        || suffixes.iter().any(|suffix| essence.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_text() {
        for text in
            ["text/plain", "TEXT/HTML; charset=x", "message/rfc822", "image/svg+xml", "application/json"]
        {
            assert!(is_text(text) && is_media_type(text), "{text}");
        }
        for other in ["image/png", OCTETS, "application/zip", "message/partial"] {
            assert!(!is_text(other) && is_media_type(other), "{other}");
        }
    }
}
