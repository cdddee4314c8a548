//! A TOML document as a tree in which everything knows its line.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A table: its keys, each with the line that it stands on.
pub(super) type Table = BTreeMap<String, Entry>;

/// What a key has.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) node: Node,
}

/// A value.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Node {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Entry>),
    Table(Table),
    /// What no setting has: a fraction, a date.
    Other,
}

impl Node {
    /// What it is, in words.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other => "something else",
        }
    }
}

/// Reads a document; else the line where it breaks off, and why.
pub(super) fn parse(text: &str) -> Result<Table, (usize, String)> {
    let lines = Lines::of(text);
    match DeTable::parse(text) {
        Ok(document) => Ok(table(document.into_inner(), &lines)),
        Err(error) => {
            let line = error.span().map_or(1, |span| lines.at(&span));
            Err((line, error.message().to_owned()))
        }
    }
}

fn table(table: DeTable<'_>, lines: &Lines) -> Table {
    let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'_>>)| {
        let line = lines.at(&key.span());
        let key: std::borrow::Cow<'_, str> = key.into_inner();
        (key.into_owned(), Entry { line, node: node(value.into_inner(), lines) })
    };
    table.into_iter().map(entry).collect()
}

fn node(value: DeValue<'_>, lines: &Lines) -> Node {
    match value {
        DeValue::String(text) => Node::Text(text.into_owned()),
        DeValue::Boolean(boolean) => Node::Boolean(boolean),
        DeValue::Integer(integer) => {
            i64::from_str_radix(integer.as_str(), integer.radix()).map_or(Node::Other, Node::Integer)
        }
        DeValue::Array(array) => {
            let entry = |value: Spanned<DeValue<'_>>| Entry {
                line: lines.at(&value.span()),
                node: node(value.into_inner(), lines),
            };
            Node::List(array.into_iter().map(entry).collect())
        }
        DeValue::Table(inner) => Node::Table(table(inner, lines)),
        DeValue::Float(_) | DeValue::Datetime(_) => Node::Other,
    }
}

/// Where lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect())
    }

    /// The line that a place is on, counted from 1.
    fn at(&self, span: &Range<usize>) -> usize {
        self.0.partition_point(|end| *end < span.start) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_knows_its_line() {
        let tree = parse("a = 1\n\n[b]\nc = [\"x\",\n  true]\n").unwrap();
        assert_eq!(tree["a"], Entry { line: 1, node: Node::Integer(1) });
        let Node::Table(b) = &tree["b"].node else { panic!("b is a table") };
        let Node::List(list) = &b["c"].node else { panic!("c is a list") };
        assert_eq!(b["c"].line, 4);
        assert_eq!(list[1], Entry { line: 5, node: Node::Boolean(true) });
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line() {
        assert_eq!(parse("a = 1\nb = = 2\n").unwrap_err().0, 2);
        assert_eq!(parse("a = 1\na = 2\n").unwrap_err().0, 2, "a key that comes twice");
    }
}
