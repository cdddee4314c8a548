//! States (RFC 8620 §1.6.2): where a client stands in an account's change log. One counter orders all changes of an
//! account, so that the states of all types are made of it.

use mail::Standing;
use types::ModSeq;

/// A standing as clients keep it.
pub fn to_text(standing: Standing) -> String {
    match standing.part {
        0 => format!("s{}", standing.modseq),
        part => format!("s{}-{part}", standing.modseq),
    }
}

/// Reads a state of ours.
pub fn parse(text: &str) -> Option<Standing> {
    let (modseq, part) = match text.strip_prefix('s')?.split_once('-') {
        Some((modseq, part)) => (modseq, part.parse().ok()?),
        None => (text.strip_prefix('s')?, 0),
    };
    let standing = Standing { modseq: ModSeq(modseq.parse().ok()?), part };
    // There is one form of each.
    (to_text(standing) == text).then_some(standing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_come_back() {
        for text in ["s0", "s12", "s12-3"] {
            assert_eq!(to_text(parse(text).unwrap()), text);
        }
        for text in ["", "s", "12", "s01", "s1-0", "s-1", "s1-", "s1-1-1", "s99999999999999999999"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
