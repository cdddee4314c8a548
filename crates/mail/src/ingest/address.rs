//! Address lists (RFC 5322 §3.4 with the obsolete forms), as IMAP wants them: undecoded, groups kept. The
//! readable name is decoded on demand. What stands in the field as it is meant is not copied, and most does.

use std::borrow::Cow;

use super::words::decode_text;

/// One element of an address list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry<'a> {
    /// An address.
    Mailbox(Mailbox<'a>),
    /// A group begins; what follows up to [`Entry::GroupEnd`] is in it. The name is undecoded.
    GroupStart(Cow<'a, [u8]>),
    /// The group ends.
    GroupEnd,
}

/// One address. Nothing is decoded; quoting, folding and comments are gone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mailbox<'a> {
    /// Display name, or the comment that stands for one.
    pub name: Option<Cow<'a, [u8]>>,
    /// Source route (`@a,@b`), obsolete since 1989.
    pub route: Option<Cow<'a, [u8]>>,
    /// What is left of the last `@`; may be empty in broken mail.
    pub local: Cow<'a, [u8]>,
    /// What is right of it; empty where there is no `@`.
    pub domain: Cow<'a, [u8]>,
}

impl Mailbox<'_> {
    /// The display name decoded.
    pub fn display_name(&self, fallback: Option<&str>) -> Option<String> {
        let name = decode_text(self.name.as_deref()?, fallback);
        (!name.is_empty()).then(|| name.into_owned())
    }

    /// `local@domain`, the local part in quotes where it needs them.
    pub fn address(&self) -> String {
        let mut address = String::new();
        let text = String::from_utf8_lossy(&self.local);
        let atom = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c) || !c.is_ascii();
        if !text.is_empty() && text.chars().all(atom) {
            address.push_str(&text);
        } else if !self.local.is_empty() {
            address.push('"');
            for c in text.chars() {
                if matches!(c, '"' | '\\') {
                    address.push('\\');
                }
                address.push(c);
            }
            address.push('"');
        }
        if !self.domain.is_empty() {
            address.push('@');
            address.push_str(&String::from_utf8_lossy(&self.domain));
        }
        address
    }
}

/// The entries of an address field's value, at most about `max` of them. Anything is read as well as it can
/// be; linear in the length of `value`.
pub fn addresses(value: &[u8], max: usize) -> Vec<Entry<'_>> {
    let mut parser = Parser { entries: Vec::new(), in_group: false, current: Current::default() };
    let (mut rest, mut element_begins) = (value, true);
    while let [byte, tail @ ..] = rest {
        if parser.entries.len() >= max {
            break;
        }
        if std::mem::take(&mut element_begins)
            && let Some((mailbox, behind)) = plain(rest)
        {
            parser.entries.push(Entry::Mailbox(mailbox));
            (rest, element_begins) = (behind, true);
            continue;
        }
        rest = parser.step(*byte, tail);
        element_begins = *byte == b',';
    }
    parser.finish();
    parser.entries
}

/// Reads an element in which there is nothing to be undone, and the comma behind it: `local@domain` or
/// `Name <local@domain>`, on one line, with a name that is a quoted string without escapes or words with one space
/// between them. Most addresses are like that. [`Parser`] reads these too, and says the same of them.
fn plain(value: &[u8]) -> Option<(Mailbox<'_>, &[u8])> {
    let start = without_blanks(value);
    let (name, rest) = match start {
        [b'"', tail @ ..] => {
            let end = tail.iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\r' | b'\n'))?;
            let (text, [b'"', rest @ ..]) = tail.split_at(end) else { return None };
            (text, rest)
        }
        _ => words(start),
    };
    // Then what was read is the local part.
    let bare = rest.starts_with(b"@") && !start.starts_with(b"\"") && !name.contains(&b' ');
    let (local, rest) = if bare { (name, rest) } else { word(without_blanks(rest).strip_prefix(b"<")?) };
    let (domain, rest) = word(rest.strip_prefix(b"@")?);
    if local.is_empty() || domain.is_empty() {
        return None;
    }
    let rest = if bare { rest } else { rest.strip_prefix(b">")? };
    let rest = match without_blanks(rest) {
        [] => &[],
        rest => rest.strip_prefix(b",")?,
    };
    let name = Some(name).filter(|name| !bare && !name.is_empty()).map(Cow::Borrowed);
    Some((Mailbox { name, route: None, local: local.into(), domain: domain.into() }, rest))
}

/// The characters of one word, and what follows.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| SEPARATES[usize::from(*byte)]).unwrap_or(text.len());
    text.split_at(end)
}

/// Words with one space between them, and what follows the last.
fn words(text: &[u8]) -> (&[u8], &[u8]) {
    let mut end = word(text).0.len();
    while let Some([b' ', more @ ..]) = text.get(end..)
        && let (next @ [_, ..], _) = word(more)
    {
        end += 1 + next.len();
    }
    text.split_at(end)
}

fn without_blanks(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    text.get(start.unwrap_or(text.len())..).unwrap_or_default()
}

/// What is more than a character of a word: see [`Parser::step`] and [`Current::angle`].
const SEPARATES: [bool; 256] = {
    let mut separates = [false; 256];
    let mut rest: &[u8] = b" \t\r\n\"(<[,:;>@\\";
    while let [byte, tail @ ..] = rest {
        separates[*byte as usize] = true;
        rest = tail;
    }
    separates
};

struct Parser<'a> {
    entries: Vec<Entry<'a>>,
    in_group: bool,
    current: Current,
}

/// What has been read since the last separator.
#[derive(Default)]
struct Current {
    /// The words, one space between them: a display name or a group's name.
    phrase: Vec<u8>,
    /// The same without spaces: an address without angle brackets.
    spec: Spec,
    comment: Option<Vec<u8>>,
    angle: Option<Spec>,
    /// A space is due before the next word.
    space: bool,
}

/// Text of an address and where its last unquoted `@` is.
#[derive(Default)]
struct Spec {
    text: Vec<u8>,
    at: Option<usize>,
}

impl Spec {
    fn split(self) -> (Vec<u8>, Vec<u8>) {
        let mut local = self.text;
        let Some(at) = self.at else { return (local, Vec::new()) };
        let domain = local.get(at + 1..).unwrap_or_default().to_vec();
        local.truncate(at);
        (local, domain)
    }
}

impl Parser<'_> {
    fn step<'t>(&mut self, byte: u8, tail: &'t [u8]) -> &'t [u8] {
        let current = &mut self.current;
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => current.space = true,
            b'"' => {
                let mut text = Vec::new();
                let rest = quoted(tail, &mut text);
                current.word(&text);
                return rest;
            }
            b'(' => {
                let mut text = Vec::new();
                let rest = comment(tail, &mut text);
                current.comment = Some(text);
                current.space = true;
                return rest;
            }
            b'<' => return current.angle(tail),
            b'[' => {
                let len = tail
                    .iter()
                    .position(|byte| matches!(byte, b']' | b',' | b'>'))
                    .map_or(tail.len(), |at| at + usize::from(tail.get(at) == Some(&b']')));
                let (literal, rest) = tail.split_at_checked(len).unwrap_or((tail, b""));
                current.append(&[b"[", literal].concat());
                return rest;
            }
            b',' => self.end_mailbox(),
            b':' if !self.in_group && current.angle.is_none() && current.spec.at.is_none() => {
                let name = std::mem::take(current).phrase;
                self.entries.push(Entry::GroupStart(name.into()));
                self.in_group = true;
            }
            b';' => {
                self.end_mailbox();
                self.end_group();
            }
            b'>' => {}
            b'@' => {
                current.spec.at = Some(current.spec.text.len());
                current.append(b"@");
            }
            b'\\' => {
                let (escaped, rest) = tail.split_at_checked(1).unwrap_or((b"", b""));
                current.append(escaped);
                return rest;
            }
            _ => {
                let run = tail.iter().position(|byte| SEPARATES[usize::from(*byte)]).unwrap_or(tail.len());
                let (run, rest) = tail.split_at(run);
                current.append_run(byte, run);
                return rest;
            }
        }
        tail
    }

    fn end_mailbox(&mut self) {
        let Current { phrase, spec, comment, angle, .. } = std::mem::take(&mut self.current);
        let comment = comment.filter(|text| !text.is_empty());
        let mailbox = match angle {
            Some(mut angle) => {
                let route = angle.take_route();
                let (local, domain) = angle.split();
                let name = Some(phrase).filter(|name| !name.is_empty()).or(comment);
                Mailbox {
                    name: name.map(Cow::Owned),
                    route: route.map(Cow::Owned),
                    local: local.into(),
                    domain: domain.into(),
                }
            }
            None if spec.text.is_empty() => match comment {
                Some(comment) => Mailbox { name: Some(comment.into()), ..Mailbox::default() },
                None => return,
            },
            // Words without an address: a name is more use to a reader than a local part made of it.
            None if spec.at.is_none() && phrase.contains(&b' ') => {
                Mailbox { name: Some(phrase.into()), ..Mailbox::default() }
            }
            None => {
                let (local, domain) = spec.split();
                Mailbox {
                    name: comment.map(Cow::Owned),
                    route: None,
                    local: local.into(),
                    domain: domain.into(),
                }
            }
        };
        self.entries.push(Entry::Mailbox(mailbox));
    }

    fn end_group(&mut self) {
        if std::mem::take(&mut self.in_group) {
            self.entries.push(Entry::GroupEnd);
        }
    }

    fn finish(&mut self) {
        self.end_mailbox();
        self.end_group();
    }
}

impl Current {
    /// Adds a word that stands by itself.
    fn word(&mut self, text: &[u8]) {
        self.append(text);
    }

    /// Appends characters of one word.
    fn append_run(&mut self, first: u8, more: &[u8]) {
        self.append(&[first]);
        self.phrase.extend_from_slice(more);
        self.spec.text.extend_from_slice(more);
    }

    fn append(&mut self, text: &[u8]) {
        if std::mem::take(&mut self.space) && !self.phrase.is_empty() {
            self.phrase.push(b' ');
        }
        self.phrase.extend_from_slice(text);
        self.spec.text.extend_from_slice(text);
    }

    /// Reads what is between angle brackets, up to and with the closing one.
    fn angle<'a>(&mut self, mut rest: &'a [u8]) -> &'a [u8] {
        let mut spec = Spec::default();
        while let [byte, tail @ ..] = rest {
            rest = tail;
            match byte {
                b'>' => break,
                b'"' => rest = quoted(tail, &mut spec.text),
                b'(' => rest = comment(tail, &mut Vec::new()),
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'@' => {
                    spec.at = Some(spec.text.len());
                    spec.text.push(b'@');
                }
                _ => {
                    let run =
                        tail.iter().position(|byte| SEPARATES[usize::from(*byte)]).unwrap_or(tail.len());
                    let (run, behind) = tail.split_at(run);
                    spec.text.push(*byte);
                    spec.text.extend_from_slice(run);
                    rest = behind;
                }
            }
        }
        // The first brackets count: `<a@x> <b@y>` is broken, and its name ends before them.
        if self.angle.is_none() {
            self.angle = Some(spec);
        }
        rest
    }
}

impl Spec {
    fn take_route(&mut self) -> Option<Vec<u8>> {
        if self.text.first() != Some(&b'@') {
            return None;
        }
        let colon = self.text.iter().position(|byte| *byte == b':')?;
        let spec = self.text.split_off(colon + 1);
        let mut route = std::mem::replace(&mut self.text, spec);
        route.pop();
        self.at = self.at.and_then(|at| at.checked_sub(colon + 1));
        Some(route)
    }
}

/// Reads a quoted string behind its opening quote.
fn quoted<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> &'a [u8] {
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b'"' => break,
            b'\\' => {
                if let [escaped, tail @ ..] = tail {
                    text.push(*escaped);
                    rest = tail;
                }
            }
            b'\r' | b'\n' => {}
            _ => text.push(*byte),
        }
    }
    rest
}

/// Reads a comment behind its opening parenthesis; inner ones are part of the text.
fn comment<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> &'a [u8] {
    let mut depth = 0_usize;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b')' if depth == 0 => break,
            b')' => depth -= 1,
            b'(' => depth += 1,
            b'\\' => {
                if let [escaped, tail @ ..] = tail {
                    text.push(*escaped);
                    rest = tail;
                }
                continue;
            }
            b'\r' | b'\n' => continue,
            _ => {}
        }
        text.push(*byte);
    }
    rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `name|route|local|domain`, groups as `name{` and `}`.
    fn shown(entries: Vec<Entry<'_>>) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        entries
            .into_iter()
            .map(|entry| match entry {
                Entry::GroupStart(name) => format!("{}{{", text(&name)),
                Entry::GroupEnd => "}".into(),
                Entry::Mailbox(m) => [m.name, m.route, Some(m.local), Some(m.domain)]
                    .map(|part| part.map_or("-".into(), |part| text(&part)))
                    .join("|"),
            })
            .collect()
    }

    fn read(value: &[u8]) -> Vec<String> {
        shown(addresses(value, 1000))
    }

    /// Without [`plain`].
    fn read_by_steps(value: &[u8]) -> Vec<String> {
        let mut parser = Parser { entries: Vec::new(), in_group: false, current: Current::default() };
        let mut rest = value;
        while let [byte, tail @ ..] = rest {
            rest = parser.step(*byte, tail);
        }
        parser.finish();
        shown(parser.entries)
    }

    #[test]
    fn reads_what_senders_write() {
        let cases: &[(&[u8], &[&str])] = &[
            (b" a@x.test", &["-|-|a|x.test"]),
            (b"Ann B. <a@x.test>, \"B, C\" <b@y.test>", &["Ann B.|-|a|x.test", "B, C|-|b|y.test"]),
            (b"a@x.test (Ann (the) B\\))", &["Ann (the) B)|-|a|x.test"]),
            (b"=?utf-8?q?A_B?=\r\n =?utf-8?q?C?= <a@x>", &["=?utf-8?q?A_B?= =?utf-8?q?C?=|-|a|x"]),
            (b"G: a@x, B <b@y>;, c@z", &["G{", "-|-|a|x", "B|-|b|y", "}", "-|-|c|z"]),
            (b"undisclosed-recipients:;", &["undisclosed-recipients{", "}"]),
            (b"open: a@x", &["open{", "-|-|a|x", "}"]),
            (b"<@r1,@r2:a@x>", &["-|@r1,@r2|a|x"]),
            (b"\"john doe\"@x", &["-|-|john doe|x"]),
            (b"\"a@b\" <c@d>", &["a@b|-|c|d"]),
            (b"a @ x . test", &["-|-|a|x.test"]),
            (b"a@[192.0.2.1], b@[IPv6:::1]", &["-|-|a|[192.0.2.1]", "-|-|b|[IPv6:::1]"]),
            (b"<>", &["-|-||"]),
            (b"Only Name", &["Only Name|-||"]),
            (b"root", &["-|-|root|"]),
            (b"a@b@c", &["-|-|a@b|c"]),
            (b"\"A\\\"B\" <a@x>", &["A\"B|-|a|x"]),
            (b"A <a@x", &["A|-|a|x"]),
            (b"<a@x> <b@y>", &["-|-|a|x"]),
            (b"(c\\", &["c|-||"]),
            (b"\"q\\", &["-|-|q|"]),
            (b",,;:,", &["{", "}"]),
            (b"", &[]),
        ];
        for (value, entries) in cases {
            assert_eq!(read(value), *entries, "{}", value.escape_ascii());
            assert_eq!(read_by_steps(value), *entries, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn what_is_plain_is_not_copied() {
        let value = b" a@x.test, Ann B. <b@y.test>,\r\n \"C, D\" <c@z.test> , =?utf-8?q?E?= <e@z.test>";
        let entries = addresses(value, 1000);
        assert_eq!(
            shown(entries.clone()),
            ["-|-|a|x.test", "Ann B.|-|b|y.test", "C, D|-|c|z.test", "=?utf-8?q?E?=|-|e|z.test"]
        );
        let borrowed = |text: &Cow<'_, [u8]>| matches!(text, Cow::Borrowed(_));
        assert!(entries.iter().all(|entry| match entry {
            Entry::Mailbox(m) => m.name.iter().chain([&m.local, &m.domain]).all(borrowed),
            _ => false,
        }));
    }

    proptest! {
        #[test]
        fn plain_or_by_steps_is_the_same(value in LIST) {
            prop_assert_eq!(read(value.as_bytes()), read_by_steps(value.as_bytes()));
        }
    }

    /// What lists are made of, in any order.
    const LIST: &str = r#"(a|b\.c|@|x\.test|<a@x>|<b@y>|a@x|[<>,:;" \\\t]|, |  |\r\n |"q"|"p, q" |\(c\)|\[1\]|é|\x0c){0,24}"#;

    #[test]
    fn renders_addresses() {
        fn first(value: &[u8]) -> Mailbox<'_> {
            match addresses(value, 1).pop() {
                Some(Entry::Mailbox(mailbox)) => mailbox,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(first(b"\"john \\\"x\"@y").address(), "\"john \\\"x\"@y");
        assert_eq!(first("\u{d55c}@x".as_bytes()).address(), "\u{d55c}@x");
        assert_eq!(first(b"root").address(), "root");
        let named = first(b"\"=?euc-kr?B?x9GxuQ==?=\" <a@x>");
        assert_eq!(named.display_name(None).as_deref(), Some("한국"));
        assert_eq!(first(b"\xc7\xd1\xb1\xb9 <a@x>").display_name(Some("euc-kr")).as_deref(), Some("한국"));
    }

    #[test]
    fn stops_at_the_limit() {
        let flood = b"a@x, ".repeat(1_000_000);
        assert_eq!(addresses(&flood, 100).len(), 100);
        assert_eq!(addresses(&flood, usize::MAX).len(), 1_000_000);
        for flood in ["(", "\"", "<", "[", "a:", ";", "\\", "("] {
            addresses(flood.repeat(1_000_000).as_bytes(), usize::MAX);
        }
    }
}
