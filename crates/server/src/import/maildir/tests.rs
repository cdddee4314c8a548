use std::fs;
use std::time::{Duration, SystemTime};

use super::*;

struct Tree(tempfile::TempDir);

impl Tree {
    fn new(maildirs: &[&str]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for maildir in maildirs {
            for part in ["cur", "new", "tmp"] {
                fs::create_dir_all(tree.0.path().join(maildir).join(part)).unwrap();
            }
        }
        tree
    }

    fn write(&self, path: &str, content: &str) -> &Self {
        fs::write(self.0.path().join(path), content).unwrap();
        self
    }

    fn read(&self) -> (Vec<String>, Vec<Item>) {
        let (mut folders, mut items) = (Vec::new(), Vec::new());
        read(self.0.path(), &mut |found| {
            match found {
                Found::Folder(folder) => folders.push(folder.to_string()),
                Found::Message(item) => items.push(*item),
                Found::Failed(failed) => panic!("{failed:?}"),
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        (folders, items)
    }
}

#[test]
fn maildir_plus_plus_and_plain_folders() {
    let tree = Tree::new(&["", ".Sent", ".Work.2024.&1WzO4A-", ".&2D3eAA-", "Plain/Inner", ".R&D", "tmp"]);
    tree.write("cur/1600000000.a", "x").write(".Work.2024.&1WzO4A-/new/1600000001.b", "y");
    tree.write("maildirfolder", "").write(".subscriptions", "");
    let (folders, items) = tree.read();
    assert_eq!(folders, ["INBOX", "Plain/Inner", "R&D", "Sent", "Work/2024/\u{d56c}\u{cee0}", "😀"]);
    assert_eq!(
        items.iter().map(|i| i.folder.to_string()).collect::<Vec<_>>(),
        ["INBOX", "Work/2024/\u{d56c}\u{cee0}"]
    );
    assert_eq!(extent(tree.0.path()).unwrap(), Extent::Messages(2));
}

#[test]
fn flags_come_from_the_name() {
    let tree = Tree::new(&[""]);
    tree.write("dovecot-keywords", "0 $Label1\n");
    tree.write("cur/1600000000.a:2,FSa", "x")
        .write("cur/1600000001.b!2,T", "x")
        .write("cur/1600000002.c", "x");
    tree.write("new/1600000003.d:2,S", "x").write("cur/.hidden", "x");
    let (_, items) = tree.read();
    let flags: Vec<_> = items
        .iter()
        .map(|i| (i.flags.keywords.iter().collect::<Vec<_>>().join(" "), i.flags.deleted))
        .collect();
    let expected = [("$seen $flagged $label1", false), ("", true), ("", false), ("", false)];
    assert_eq!(flags, expected.map(|(words, deleted)| (words.to_owned(), deleted)));
}

#[test]
fn a_message_keeps_its_key_when_it_is_read_and_flagged() {
    let tree = Tree::new(&["", ".Other"]);
    tree.write("new/1600000000.a", "x").write(".Other/cur/1600000000.a:2,", "x");
    let before = tree.read().1;
    fs::rename(tree.0.path().join("new/1600000000.a"), tree.0.path().join("cur/1600000000.a:2,RS")).unwrap();
    let after = tree.read().1;
    assert_eq!(before[0].key, after[0].key);
    assert_ne!(before[0].key, before[1].key, "another folder, another message");
}

#[test]
fn the_earlier_of_two_times_is_right() {
    let tree = Tree::new(&[""]);
    tree.write("cur/1600000005.copied", "x").write("cur/1600000009.appended", "x").write("cur/odd-name", "x");
    let set = |name: &str, secs| {
        let file = fs::File::options().append(true).open(tree.0.path().join("cur").join(name)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(secs)).unwrap();
    };
    set("1600000009.appended", 1_000_000_000);
    set("odd-name", 1_100_000_000);
    let items = tree.read().1;
    let times: Vec<_> = items.iter().map(|item| item.received.secs()).collect();
    assert_eq!(times, [1_000_000_000, 1_100_000_000, 1_600_000_005], "in the order in which they came");
}

#[test]
fn content_becomes_wire_form_and_failures_have_reasons() {
    let tree = Tree::new(&[""]);
    tree.write("cur/1600000000.a", "A: 1\n\nx\n").write("cur/1600000001.b", "");
    tree.write("cur/1600000002.c", "\u{1f}").write("cur/1600000003.d", &"x".repeat(100));
    fs::write(tree.0.path().join("cur/1600000002.c"), b"\x1f\x8b\x08rest").unwrap();
    let mut items = tree.read().1;
    assert_eq!(items[0].load(99).unwrap(), b"A: 1\r\n\r\nx\r\n");
    assert_eq!(items[1].load(99).unwrap_err(), "is empty");
    assert!(items[2].load(99).unwrap_err().contains("gzip"));
    assert!(items[3].load(99).unwrap_err().contains("larger"));
}

#[test]
fn links_in_a_circle_end() {
    let tree = Tree::new(&["", "Plain"]);
    std::os::unix::fs::symlink(tree.0.path(), tree.0.path().join("Plain/again")).unwrap();
    assert_eq!(tree.read().0, ["INBOX", "Plain"]);
}

#[test]
fn what_is_no_maildir_is_refused() {
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(extent(empty.path()), Err(SourceError::NoMaildir(_))));
    assert!(matches!(extent(&empty.path().join("none")), Err(SourceError::Io { .. })));
}
