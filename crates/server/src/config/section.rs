//! Reading settings out of a tree: every mistake is noted with its line, and a key that nobody asked for is one.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::tree::{self, Entry, Node, Table};
use super::value::Value;
use crate::problem::Problem;

/// A file that is being read.
struct Reading {
    /// Where paths in it begin.
    folder: PathBuf,
    mistakes: RefCell<Vec<(usize, String)>>,
    /// Every key that was asked for, whether it was there or not.
    known: RefCell<BTreeSet<String>>,
}

/// A table of the file, or what would be one if it were there.
pub(super) struct Section<'r> {
    reading: &'r Reading,
    /// What stands between brackets: `smtp`, `tls.certificate`; empty for the file itself.
    name: String,
    /// The same, with a star for what the operator has chosen.
    pattern: String,
    line: usize,
    table: Table,
    asked: Vec<&'static str>,
}

/// Reads a file whose text is given. Returns what `read` makes of it, and all keys that there are; all mistakes at
/// once if there are any.
pub(super) fn read<T>(
    path: &Path,
    text: &str,
    read: impl FnOnce(&mut Section<'_>) -> T,
) -> Result<(T, BTreeSet<String>), Problem> {
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let reading = Reading { folder, mistakes: RefCell::default(), known: RefCell::default() };
    let table = tree::parse(text).unwrap_or_else(|(line, why)| {
        reading.mistakes.borrow_mut().push((line, why));
        Table::new()
    });
    let broken = !reading.mistakes.borrow().is_empty();
    let mut root = Section::new(&reading, String::new(), String::new(), (1, table));
    let settings = read(&mut root);
    root.close();
    let mut mistakes = reading.mistakes.into_inner();
    if broken {
        // What the rest of the file would have said is not known.
        mistakes.truncate(1);
    }
    if mistakes.is_empty() {
        return Ok((settings, reading.known.into_inner()));
    }
    mistakes.sort();
    let lines: Vec<String> =
        mistakes.iter().map(|(line, why)| format!("{}:{line}: {why}", path.display())).collect();
    Err(Problem::invalid(lines.join("\n")))
}

impl<'r> Section<'r> {
    fn new(reading: &'r Reading, name: String, pattern: String, (line, table): (usize, Table)) -> Self {
        Self { reading, name, pattern, line, table, asked: Vec::new() }
    }

    /// The value of a key, or what it is without one.
    pub(super) fn value<T: Value>(&mut self, key: &'static str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// The value of a key that must lie within bounds.
    pub(super) fn within<T: Value + PartialOrd + Display>(
        &mut self,
        key: &'static str,
        default: T,
        bounds: RangeInclusive<T>,
    ) -> T {
        let Some((line, value)) = self.located::<T>(key) else { return default };
        if !bounds.contains(&value) {
            let (least, most) = bounds.into_inner();
            self.mistake(line, format!("{key} is {value}, but must be between {least} and {most}"));
            return default;
        }
        value
    }

    /// The value of a key, if there is one.
    pub(super) fn optional<T: Value>(&mut self, key: &'static str) -> Option<T> {
        self.located(key).map(|(_, value)| value)
    }

    /// The value of a key and its line, if there is one.
    pub(super) fn located<T: Value>(&mut self, key: &'static str) -> Option<(usize, T)> {
        let Entry { line, node } = self.take(key)?;
        match T::read(&node, &self.reading.folder) {
            Ok(value) => Some((line, value)),
            Err(why) => {
                self.mistake(line, format!("{key} {why}"));
                None
            }
        }
    }

    /// A table of settings. One that is not there has all defaults.
    pub(super) fn section<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let found = self.take(key);
        let content = found.map_or((self.line, Table::new()), |entry| self.table_of(key, entry));
        self.inner(key, key, content, read)
    }

    /// Tables that the operator names, as in `[listener.smtp]`; with their names. `None` if there are none.
    pub(super) fn named<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&str, &mut Section<'_>) -> T,
    ) -> Option<Vec<T>> {
        let entry = self.take(key)?;
        let (_, tables) = self.table_of(key, entry);
        let mut all: Vec<_> = tables.into_iter().collect();
        all.sort_by_key(|(_, entry)| entry.line);
        let all = all.into_iter().map(|(name, entry)| {
            let content = self.table_of(&name, entry);
            self.inner(&format!("{key}.{name}"), &format!("{key}.*"), content, |section| read(&name, section))
        });
        Some(all.collect())
    }

    /// Tables in a list, as in `[[tls.certificate]]`.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Section<'_>) -> T,
    ) -> Vec<T> {
        let entries = match self.take(key) {
            None => Vec::new(),
            Some(Entry { node: Node::List(entries), .. }) => entries,
            Some(Entry { line, .. }) => {
                self.mistake(line, format!("write [[{}]] for each {key}", self.full(key)));
                Vec::new()
            }
        };
        let all = entries.into_iter().map(|entry| {
            let content = self.table_of(key, entry);
            self.inner(key, key, content, &mut read)
        });
        all.collect()
    }

    /// Notes what is wrong with this section as a whole.
    pub(super) fn missing(&self, why: impl Into<String>) {
        self.mistake(self.line, why);
    }

    /// Notes a mistake on a line.
    pub(super) fn mistake(&self, line: usize, why: impl Into<String>) {
        self.reading.mistakes.borrow_mut().push((line, why.into()));
    }

    fn inner<T>(
        &self,
        name: &str,
        pattern: &str,
        content: (usize, Table),
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let mut section = Section::new(self.reading, self.full(name), join(&self.pattern, pattern), content);
        let value = read(&mut section);
        section.close();
        value
    }

    fn table_of(&self, key: &str, entry: Entry) -> (usize, Table) {
        match entry.node {
            Node::Table(table) => (entry.line, table),
            other => {
                let why = format!("{key} is {}, but must be a table: [{}]", other.kind(), self.full(key));
                self.mistake(entry.line, why);
                (entry.line, Table::new())
            }
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Entry> {
        self.asked.push(key);
        self.reading.known.borrow_mut().insert(join(&self.pattern, key));
        self.table.remove(key)
    }

    fn full(&self, key: &str) -> String {
        join(&self.name, key)
    }

    /// What nobody has asked for is a mistake.
    fn close(self) {
        for (key, entry) in &self.table {
            let place = match self.name.as_str() {
                "" => "at the top of the file".to_owned(),
                name => format!("in [{name}]"),
            };
            let mut why = format!("there is no key {key:?} {place}");
            match nearest(key, &self.asked) {
                Some(near) => why += &format!("; did you mean {near:?}?"),
                None => why += &format!("; there are: {}", self.asked.join(", ")),
            }
            self.mistake(entry.line, why);
        }
    }
}

fn join(name: &str, key: &str) -> String {
    if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") }
}

/// The word that was probably meant.
fn nearest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    let distance = |other: &str| strsim::osa_distance(&word.to_lowercase(), other);
    let (near, away) = words.iter().map(|other| (*other, distance(other))).min_by_key(|(_, away)| *away)?;
    let part_of = near.contains(word) || word.contains(near);
    (away <= (near.len() / 3).max(1) || part_of && word.len() >= 3).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        let read = |root: &mut Section<'_>| {
            root.section("smtp", |smtp| {
                smtp.within("recipients", 1000_u32, 100..=10_000);
                smtp.value("message_size", String::new());
            });
            root.named("listener", |_, listener| listener.value("tls", false));
            root.list("certificate", |certificate| certificate.value("chain", String::new()));
        };
        super::read(Path::new("/etc/m.toml"), text, read)
            .map(|_| ())
            .map_or_else(|p| p.message, |()| String::new())
    }

    #[test]
    fn a_key_that_is_not_there_is_told_with_the_nearest() {
        assert_eq!(
            problems("[smtp]\nrecipients = 100\nmesage_size = \"x\"\n"),
            "/etc/m.toml:3: there is no key \"mesage_size\" in [smtp]; did you mean \"message_size\"?"
        );
        assert_eq!(
            problems("[stmp]\n"),
            "/etc/m.toml:1: there is no key \"stmp\" at the top of the file; did you mean \"smtp\"?"
        );
        assert!(problems("colour = 1").ends_with("there are: smtp, listener, certificate"));
        assert!(problems("[listener.x]\ntsl = true").contains("in [listener.x]; did you mean \"tls\"?"));
    }

    #[test]
    fn all_mistakes_are_told_at_once_in_order() {
        let told = problems("[listener]\na = 1\n[smtp]\nrecipients = 5\nmessage_size = 7\n");
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 3, "{told}");
        assert!(lines[0].starts_with("/etc/m.toml:2: a is a number, but must be a table"));
        assert!(lines[1].ends_with(":4: recipients is 5, but must be between 100 and 10000"));
        assert!(lines[2].contains(":5: message_size must be a text"));
    }

    #[test]
    fn what_is_no_toml_hides_nothing_else() {
        assert_eq!(problems("[smtp\nrecipients = 5\n").lines().count(), 1);
        assert_eq!(problems("[smtp]\nrecipients = 500\n[[certificate]]\nchain = \"a\"\n"), "");
    }
}
