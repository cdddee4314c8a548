//! STARTTLS and TLS from the first byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use world::{PASSWORD, Server, message};

/// Fault 3: whoever sits in between could have put there what follows STARTTLS in the same packet.
#[test]
fn smtp_commands_behind_starttls_are_never_run() {
    let server = Server::start();
    let mut smtp = server.smtp();
    smtp.reply();
    smtp.command("EHLO client.example.com");
    smtp.send("STARTTLS\r\nMAIL FROM:<sender@example.com>\r\nRCPT TO:<alice@example.test>\r\n");
    let rest = smtp.rest();
    assert!(!rest.contains("250") && !rest.contains("220 "), "{rest}");
}

#[test]
fn imap_commands_behind_starttls_are_never_run() {
    let server = Server::start();
    let mut imap = server.imap();
    imap.line();
    imap.send(&format!("a STARTTLS\r\nb LOGIN alice {PASSWORD}\r\n"));
    let rest = imap.rest();
    assert!(!rest.contains("b OK") && !rest.contains("a OK"), "{rest}");
}

/// Sends `input` through `curl`-independent OpenSSL, and returns what the server said inside TLS.
fn inside_tls(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_quiet"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    let mut output = String::new();
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    drop(stdin);
    child.wait().unwrap();
    output
}

#[test]
fn mail_travels_inside_tls() {
    if Command::new("openssl").arg("version").output().is_err() {
        // The black-box tests do the same with Python's TLS.
        return;
    }
    let server = Server::start();
    let input = format!(
        "EHLO client.example.com\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n{}\r\n.\r\nQUIT\r\n",
        message("tls")
    );
    let address = format!("127.0.0.1:{}", server.base + 25);
    let said = inside_tls(&["-starttls", "smtp", "-connect", &address], &input);
    assert!(said.contains("250 2.0.0"), "{said}");
    assert!(!said.contains("STARTTLS"), "not offered again: {said}");
    let inbox = server.inbox("alice");
    assert!(inbox[0].contains(" with ESMTPS (TLSv1.3)\r\n"), "{}", inbox[0]);
    let address = format!("127.0.0.1:{}", server.base + 993);
    let input = format!("a LOGIN alice {PASSWORD}\r\nb SELECT INBOX\r\nc LOGOUT\r\n");
    let said = inside_tls(&["-connect", &address], &input);
    assert!(said.contains("* 1 EXISTS") && said.contains("c OK"), "{said}");
}
