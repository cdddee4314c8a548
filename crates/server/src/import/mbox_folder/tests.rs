use std::fs;

use super::*;

const SEP: &str = "From alice@example.test Wed Jun 30 21:49:08 1993\n";

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn found(root: &Path) -> (Vec<String>, Vec<Item>, Vec<Unreadable>) {
    let (mut folders, mut items, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    read(root, Format::Auto, 1000, &mut |found| {
        match found {
            Found::Folder(folder) => folders.push(folder.to_string()),
            Found::Message(item) => items.push(*item),
            Found::Failed(unreadable) => failed.push(unreadable),
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    (folders, items, failed)
}

#[test]
fn folders_of_several_mail_programs() {
    let root = tempfile::tempdir().unwrap();
    let message = format!("{SEP}A: 1\n\none\n");
    for path in [
        "Inbox",
        "Inbox.sbd/Lists",
        "Inbox.sbd/Lists.sbd/rust",
        "Archive.mbox/mbox",
        "Entw&APw-rfe",
        "Work/2024.mbox",
        "한글",
    ] {
        write(root.path(), path, &message);
    }
    write(root.path(), "Empty", "");
    write(root.path(), "Inbox.msf", "// <!-- <mdb:mork:z v=\"1.4\"/> -->");
    write(root.path(), "filterlist.html", "");
    write(root.path(), ".subscriptions", &message);
    let (folders, items, failed) = found(root.path());
    let expected =
        ["Archive", "Empty", "Entwürfe", "Inbox", "Inbox/Lists", "Inbox/Lists/rust", "Work/2024", "한글"];
    assert_eq!(folders, expected);
    assert_eq!((items.len(), failed.len()), (7, 0));
    let Extent::Bytes(total) = extent(root.path()).unwrap() else { panic!("an mbox is measured in bytes") };
    assert_eq!(total, 7 * message.len() as u64);
    assert_eq!(items.last().unwrap().progress, total);
}

#[test]
fn a_file_is_the_inbox() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "mail", &format!("{SEP}Status: R\n\none\n"));
    let (folders, items, _) = found(&root.path().join("mail"));
    assert_eq!(folders, ["INBOX"]);
    assert!(!items[0].flags.keywords.unread());
    assert_eq!(items[0].received.secs(), 741_476_948);
}

#[test]
fn keys_survive_reading_compacting_and_copies() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("mail");
    let two = format!("{SEP}A: 2\n\ntwo\n\n");
    write(root.path(), "mail", &format!("{SEP}A: 1\n\none\n\n{two}{two}"));
    let before: Vec<_> = found(&path).1.iter().map(|item| item.key).collect();
    assert_ne!(before[1], before[2], "two equal messages are two");
    let read = two.replacen("A: 2", "A: 2\nStatus: RO\nX-Mozilla-Status: 0001", 1);
    write(root.path(), "mail", &format!("{read}{two}{SEP}A: 3\n\nthree\n"));
    let after: Vec<_> = found(&path).1.iter().map(|item| item.key).collect();
    assert_eq!(after[..2], before[1..]);
    assert!(!before.contains(&after[2]));
}

#[test]
fn dates_come_from_where_they_are() {
    let root = tempfile::tempdir().unwrap();
    let received = "Received: from a\n\tby b; Mon, 1 Jan 2024 00:00:00 +0000\nReceived: x; Tue, 2 Jan 2024 00:00:00 +0000\n";
    let date = "Date: Wed, 3 Jan 2024 00:00:00 +0900\n";
    for (separator, header, secs) in [
        (SEP, received, Some(741_476_948)),
        ("From nobody\n", &*format!("{received}{date}"), Some(1_704_067_200)),
        ("From nobody\n", date, Some(1_704_207_600)),
        ("From nobody\n", "A: 1\n", None),
    ] {
        write(root.path(), "mail", &format!("{separator}{header}\nbody\n"));
        let items = found(&root.path().join("mail")).1;
        match secs {
            Some(secs) => assert_eq!(items[0].received.secs(), secs, "{separator}{header}"),
            None => assert!(items[0].received.secs() > 1_700_000_000, "the file's own"),
        }
    }
}

#[test]
fn what_cannot_be_imported_is_named() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "mail", &format!("{SEP}A: 1\n\n{}\n\n{SEP}A: 2\n\ntwo\n", "x".repeat(2000)));
    let (_, items, failed) = found(&root.path().join("mail"));
    assert_eq!((items.len(), failed.len()), (1, 1));
    assert!(failed[0].place.ends_with("mail, message 1") && failed[0].reason.contains("larger"));
    write(root.path(), "letter", "Dear Alice,\n");
    let (_, _, failed) = found(&root.path().join("letter"));
    assert!(failed[0].reason.contains("no mbox file"), "{failed:?}");
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(extent(empty.path()), Err(SourceError::NoMbox(_))));
}

#[test]
fn folder_data_of_mail_servers_is_no_message() {
    let root = tempfile::tempdir().unwrap();
    let data = "From MAILER-DAEMON Wed Jun 30 21:49:08 1993\nFrom: Mail System Internal Data <MAILER-DAEMON@x>\n\
                Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\nThis text is part\n\n";
    write(root.path(), "mail", &format!("{data}{SEP}A: 1\n\none\n"));
    assert_eq!(found(&root.path().join("mail")).1.len(), 1);
}
