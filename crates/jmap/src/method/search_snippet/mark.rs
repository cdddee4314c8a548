//! Text with what was found in it marked, as HTML (RFC 8621 §5).

use std::ops::Range;

use mail::search::{Needle, occurrences};

/// The longest preview, in octets.
const LONGEST: usize = 255;
/// Characters that are shown before what was found.
const BEFORE: usize = 40;
/// Occurrences that are marked in one text.
const MARKS: usize = 100;
const OPEN: &str = "<mark>";
const CLOSE: &str = "</mark>";

/// The whole text, if something is found in it.
pub(super) fn whole(text: &str, needles: &[&Needle]) -> Option<String> {
    let found = occurrences(text, needles, MARKS);
    (!found.is_empty()).then(|| marked(text, &found, usize::MAX))
}

/// The part of a text around what is found in it first.
pub(super) fn part(text: &str, needles: &[&Needle]) -> Option<String> {
    let line = one_line(text);
    let found = occurrences(&line, needles, MARKS);
    let first = found.first()?.start;
    let before = line.get(..first)?.char_indices().rev().take(BEFORE).last().map_or(first, |(at, _)| at);
    // At the beginning of a word, if there is one.
    let space = line.get(before..first).and_then(|lead| lead.find(' ')).filter(|_| before > 0);
    let start = space.map_or(before, |space| before + space + 1);
    let shift = |range: &Range<usize>| range.start.saturating_sub(start)..range.end.saturating_sub(start);
    let found: Vec<Range<usize>> = found.iter().map(shift).collect();
    Some(marked(line.get(start..)?, &found, LONGEST))
}

/// At most `most` octets of a text with ranges of it marked, cut between characters.
fn marked(text: &str, found: &[Range<usize>], most: usize) -> String {
    let mut out = String::new();
    let mut ranges = found.iter().peekable();
    let mut open = false;
    for (at, c) in text.char_indices() {
        while ranges.peek().is_some_and(|range| range.end <= at) {
            ranges.next();
        }
        let inside = ranges.peek().is_some_and(|range| range.contains(&at));
        let escaped = match c {
            '&' => Some("&amp;"),
            '<' => Some("&lt;"),
            '>' => Some("&gt;"),
            _ => None,
        };
        let needed = escaped.map_or(c.len_utf8(), str::len)
            + if inside && !open { OPEN.len() } else { 0 }
            + if inside || open { CLOSE.len() } else { 0 };
        if out.len() + needed > most {
            break;
        }
        if inside != open {
            out.push_str(if inside { OPEN } else { CLOSE });
            open = inside;
        }
        match escaped {
            Some(escaped) => out.push_str(escaped),
            None => out.push(c),
        }
    }
    if open {
        out.push_str(CLOSE);
    }
    out
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_marked() {
        let needles = [&Needle::new("foo"), &Needle::new("한글")];
        for (text, shown) in [
            ("Foo & <bar> fOO", Some("<mark>Foo</mark> &amp; &lt;bar&gt; <mark>fOO</mark>")),
            ("foofoo", Some("<mark>foofoo</mark>")),
            ("이 한글이", Some("이 <mark>한글</mark>이")),
            ("ＦＯＯ", Some("<mark>ＦＯＯ</mark>")),
            ("nothing", None),
        ] {
            assert_eq!(whole(text, &needles).as_deref(), shown, "{text}");
        }
    }

    #[test]
    fn a_part_is_short_and_whole() {
        let needle = Needle::new("needle");
        let text = format!("{} a needle & more {}", "word ".repeat(1000), "<tag> needle ".repeat(1000));
        let shown = part(&text, &[&needle]).unwrap();
        assert!(shown.len() <= LONGEST && shown.len() > LONGEST - 20, "{shown}");
        assert!(shown.contains("a <mark>needle</mark> &amp; more") && shown.starts_with("word"), "{shown}");
        assert_eq!(shown.matches(OPEN).count(), shown.matches(CLOSE).count());
        assert_eq!(part("no", &[&needle]), None);
        assert_eq!(part("needle", &[&needle]).unwrap(), "<mark>needle</mark>");
    }
}
