//! How a server begins and ends, and what outlives it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use world::{Server, message};

#[test]
fn sessions_are_told_when_the_server_goes_down() {
    let mut server = Server::start();
    let mut smtp = server.smtp();
    smtp.reply();
    smtp.command("EHLO client.example.com");
    let mut imap = server.imap();
    imap.line();
    imap.imap("LOGIN alice correct-horse-battery");
    let mut idling = server.imap();
    idling.line();
    idling.imap("LOGIN bob correct-horse-battery");
    idling.imap("SELECT INBOX");
    idling.send("i IDLE\r\n");
    assert!(idling.line().starts_with('+'));
    server.signal("TERM");
    assert!(smtp.reply().starts_with("421 4.3.2"));
    assert!(imap.rest().starts_with("* BYE"));
    assert!(idling.rest().starts_with("* BYE"));
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn a_message_on_its_way_in_is_finished() {
    let mut server = Server::start();
    let mut smtp = server.smtp();
    smtp.begin("alice@example.test");
    smtp.send("Subject: cut\r\n\r\nfirst half, ");
    server.signal("TERM");
    let refuses = || std::net::TcpStream::connect(("127.0.0.1", server.base + 25)).is_err();
    let patience = Instant::now() + Duration::from_secs(30);
    let mut refused = refuses();
    while !refused && Instant::now() < patience {
        std::thread::yield_now();
        refused = refuses();
    }
    smtp.send("second half\r\n.\r\n");
    assert!(smtp.reply().starts_with("250"));
    assert!(smtp.reply().starts_with("421 4.3.2"));
    assert_eq!(server.wait(), Some(0));
    assert!(refused, "no new connections are taken meanwhile");
    server.restart();
    assert!(server.inbox("alice")[0].ends_with("first half, second half\r\n"));
}

#[test]
fn killed_and_started_again_it_keeps_the_mail() {
    let mut server = Server::start();
    for number in 0..5 {
        assert!(server.deliver("alice@example.test", &message(&format!("m{number}"))).starts_with("250"));
    }
    server.kill();
    server.restart();
    let inbox = server.inbox("alice");
    assert_eq!(inbox.len(), 5);
    for (number, source) in inbox.iter().enumerate() {
        assert!(source.ends_with(&format!("{}\r\n", message(&format!("m{number}")))));
    }
    assert!(server.run(&["verify"]).status.success());
}

#[test]
fn a_second_process_is_refused() {
    let server = Server::start();
    let output = server.dev().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("is in use by another process") && error.starts_with("magpie: "), "{error}");
}

#[test]
fn a_port_in_use_is_named() {
    let mut server = Server::start();
    server.signal("TERM");
    server.wait();
    let _taken = TcpListener::bind(("127.0.0.1", server.base + 143)).unwrap();
    let output = server.dev().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains(&format!("port {} ", server.base + 143)) && error.contains("--port-base"),
        "{error}"
    );
}

#[test]
fn a_damaged_store_is_told_in_plain_words() {
    let mut server = Server::start();
    server.signal("TERM");
    server.wait();
    let rows = server.data().join("kv").join("rows");
    for entry in walk(&rows) {
        if std::fs::metadata(&entry).unwrap().len() > 0 {
            std::fs::write(&entry, b"rubbish").unwrap();
        }
    }
    let output = server.dev().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("damaged") || error.contains("lost commits"), "{error}");
    assert!(error.contains("backup"), "{error}");
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn the_password_and_the_certificate_stay() {
    let mut server = Server::start();
    let certificate = std::fs::read(server.data().join("tls/cert.pem")).unwrap();
    server.deliver("alice@example.test", &message("kept"));
    server.signal("INT");
    assert_eq!(server.wait(), Some(0));
    server.restart();
    assert_eq!(std::fs::read(server.data().join("tls/cert.pem")).unwrap(), certificate);
    assert_eq!(server.inbox("alice").len(), 1);
}

/// A socket's address holds a hundred bytes; a data directory may lie deeper.
#[test]
fn a_data_directory_may_have_a_long_name() {
    let server = Server::start_in(&"deep/".repeat(40));
    assert_eq!(server.json(&["account", "list"]).as_array().unwrap().len(), 3);
}
