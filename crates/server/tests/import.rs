//! Import from Maildir and mbox: everything arrives once, whatever happens in between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use world::{PASSWORD, Server};

fn maildir(root: &Path, folder: &str, messages: &[(&str, &str)]) -> PathBuf {
    let path = root.join(folder);
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(path.join(part)).unwrap();
    }
    for (name, content) in messages {
        fs::write(path.join(name), content).unwrap();
    }
    path
}

#[test]
fn a_maildir_arrives_with_folders_flags_and_dates() {
    let mut server = Server::start();
    let root = server.data().with_file_name("maildir");
    maildir(
        &root,
        "",
        &[
            ("cur/1600000000.a:2,FS", "Subject: one\n\nbare\n"),
            ("cur/1600000001.b:2,Ta", "Subject: two\r\n\r\nwire\r\n"),
            ("new/1600000002.c", "Subject: three\n\nnew\n"),
            ("cur/1600000003.d:2,", ""),
        ],
    );
    fs::write(root.join("dovecot-keywords"), "0 Project\n").unwrap();
    maildir(&root, ".Sent Items", &[("cur/1600000004.e:2,S", "Subject: sent\n\n.\n")]);
    maildir(&root, ".&vPSwuNO4ycDVaA-.2024", &[("cur/1600000005.f:2,S", "Subject: Korean\n\n.\n")]);
    maildir(&root, ".Lists.rust", &[("cur/1600000006.g:2,", "Subject: list\n\n.\n")]);
    let source = format!("maildir:{}", root.display());

    let first = server.run(&["import", "--account", "alice", &source, "--json"]);
    assert_eq!(first.status.code(), Some(4), "one file is empty: {first:?}");
    let summary: serde_json::Value = serde_json::from_slice(&first.stdout).unwrap();
    assert_eq!((&summary["imported"], &summary["known"]), (&6.into(), &0.into()));
    assert!(summary["failed"][0]["place"].as_str().unwrap().ends_with("cur/1600000003.d:2,"));
    assert_eq!(summary["failed"][0]["reason"], "is empty");

    let mut imap = server.imap();
    imap.line();
    imap.imap(&format!("LOGIN alice {PASSWORD}"));
    imap.imap("SELECT INBOX");
    let mut fetched = imap.imap("FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)");
    fetched.retain(|line| line.contains(" FETCH "));
    assert_eq!(fetched.len(), 3, "{fetched:?}");
    assert!(fetched[0].contains("\\Seen") && fetched[0].contains("\\Flagged"), "{}", fetched[0]);
    assert!(fetched[0].contains("13-Sep-2020 12:26:40 +0000") && fetched[0].contains("RFC822.SIZE 22"));
    assert!(fetched[1].contains("\\Deleted") && fetched[1].contains("project"), "{}", fetched[1]);
    assert!(!fetched[2].contains("\\Seen"));
    for (mailbox, count) in [("Sent", 1), ("Sent/2024", 1), ("Lists/rust", 1)] {
        let status = imap.imap(&format!("STATUS \"{mailbox}\" (MESSAGES)"));
        assert!(status[0].ends_with(&format!("(MESSAGES {count})")), "{}", status[0]);
    }

    // Again, without a server: nothing new; with one more message, only that.
    server.signal("TERM");
    server.wait();
    fs::write(root.join("new/1600000009.n"), "Subject: late\n\n.\n").unwrap();
    fs::remove_file(root.join("cur/1600000003.d:2,")).unwrap();
    fs::rename(root.join("new/1600000002.c"), root.join("cur/1600000002.c:2,S")).unwrap();
    let again = server.json(&["import", "--account", "alice", &source]);
    assert_eq!((&again["imported"], &again["known"]), (&1.into(), &6.into()));
    let forced = server.json(&["import", "--account", "alice", &source, "--again", "--into", "Old/Copy"]);
    assert_eq!(forced["imported"], 7);
    server.json(&["verify"]);
}

#[test]
fn an_mbox_arrives_unquoted_and_flagged() {
    let server = Server::start();
    let file = server.data().with_file_name("archive.mbox");
    fs::write(
        &file,
        "From a@example.com Wed Jun 30 21:49:08 1993\nSubject: one\nStatus: RO\n\n>From the start\n\n\
         From b@example.com Thu Jul  1 00:00:00 1993\nSubject: two\n\nbody\n",
    )
    .unwrap();
    let source = format!("mbox:{}", file.display());
    assert_eq!(server.json(&["import", "--account", "bob", &source])["imported"], 2);
    let inbox = server.inbox("bob");
    assert_eq!(inbox[0], "Subject: one\r\nStatus: RO\r\n\r\nFrom the start\r\n");
    assert_eq!(inbox[1], "Subject: two\r\n\r\nbody\r\n");
    let mut imap = server.imap();
    imap.line();
    imap.imap(&format!("LOGIN bob {PASSWORD}"));
    imap.imap("SELECT INBOX");
    let fetched = imap.imap("FETCH 1 (FLAGS INTERNALDATE)");
    assert!(
        fetched[0].contains("\\Seen") && fetched[0].contains("30-Jun-1993 21:49:08 +0000"),
        "{}",
        fetched[0]
    );
}

/// Killed in the middle again and again, then left alone: no message is missing, none is there twice.
#[test]
fn a_killed_import_is_resumed() {
    let mut server = Server::start();
    server.signal("TERM");
    server.wait();
    let root = server.data().with_file_name("maildir");
    let total = 1_500;
    maildir(&root, "", &[]);
    for number in 0..total {
        let text =
            format!("Message-ID: <{number}@example.com>\nSubject: {number}\n\n{}\n", "text ".repeat(200));
        fs::write(root.join(format!("cur/{}.x:2,S", 1_600_000_000 + number)), text).unwrap();
    }
    let source = format!("maildir:{}", root.display());
    let mut killed = 0;
    for round in 0..4 {
        let words = ["import", "--account", "alice", &source];
        let mut child = server.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(80 + round * 60));
        killed += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(killed > 0, "the import was over before it could be killed");
    let done = server.json(&["import", "--account", "alice", &source]);
    let sum = done["imported"].as_u64().unwrap() + done["known"].as_u64().unwrap();
    assert_eq!(sum, total);
    assert_eq!(server.json(&["account", "show", "alice"])["usage"]["messages"], total);
    server.json(&["verify"]);
}

#[test]
fn what_is_no_source_is_refused_in_plain_words() {
    let server = Server::start();
    for (source, code, hint) in [
        ("maildir:/nonexistent", 1, "/nonexistent"),
        ("/var/mail/x", 1, "maildir:PATH"),
        ("maildir:/etc", 5, "no Maildir"),
        ("mbox:/etc/passwd", 1, "/etc/passwd is not an mbox"),
    ] {
        let output = server.run(&["import", "--account", "alice", source]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{source}: {error}");
        assert!(error.contains(hint), "{error}");
    }
}
