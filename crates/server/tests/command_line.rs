//! The commands, with a server and without one: the answers are the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use world::{Server, message};

fn error(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_directory_is_kept_with_and_without_a_server() {
    let mut server = Server::start();
    tour(&server, "online.test");
    server.signal("TERM");
    server.wait();
    tour(&server, "offline.test");
    server.restart();
    let domains = server.json(&["domain", "list"]);
    let names: Vec<_> =
        domains.as_array().unwrap().iter().map(|domain| domain["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["example.test", "offline.test", "online.test"]);
}

fn tour(server: &Server, domain: &str) {
    let at = |name: &str| format!("{name}@{domain}");
    let run = |words: &[&str]| server.json(words);
    assert_eq!(run(&["domain", "create", domain])["name"], *domain);
    assert_eq!(server.run(&["domain", "create", domain]).status.code(), Some(6));
    let made = run(&["account", "create", &at("dora"), "--name", "Dora", "--bytes", "1.5G"]);
    assert_eq!(made["quota"]["bytes"], 1_610_612_736_u64);
    assert!(made["password"].as_str().unwrap().len() >= 16, "made and shown");
    let given = run(&["account", "create", &at("emil"), "--password", "emils-password"]);
    assert!(given.get("password").is_none());
    run(&["account", "password", &at("emil"), "--password", "another-password"]);
    assert_eq!(run(&["account", "quota", &at("emil"), "--messages", "10"])["quota"]["messages"], 10);
    assert_eq!(run(&["account", "change", &at("emil"), "--state", "disabled"])["state"], "disabled");
    assert_eq!(run(&["account", "list", "--domain", domain]).as_array().unwrap().len(), 2);

    run(&["alias", "create", &at("info"), &at("dora")]);
    run(&["alias", "change", &at("info"), &at("dora"), &at("emil")]);
    assert_eq!(run(&["alias", "show", &at("info")])["targets"].as_array().unwrap().len(), 2);
    assert_eq!(run(&["alias", "list", "--domain", domain]).as_array().unwrap().len(), 1);
    run(&["domain", "change", domain, "--catch-all", &at("dora")]);
    assert_eq!(run(&["domain", "show", domain])["catch_all"], at("dora"));

    run(&["group", "create", &at("all"), &at("dora")]);
    run(&["group", "add", &at("all"), &at("emil")]);
    assert_eq!(
        run(&["group", "remove", &at("all"), &at("dora")])["members"],
        serde_json::json!([at("emil")])
    );

    let app = run(&["app-password", "create", &at("dora"), "--label", "phone", "--for", "imap"]);
    assert_eq!(app["protocols"], serde_json::json!(["imap"]));
    let listed = run(&["app-password", "list", &at("dora")]);
    assert!(listed[0].get("password").is_none());
    run(&["app-password", "revoke", &at("dora"), &app["id"].to_string()]);
    assert_eq!(run(&["app-password", "list", &at("dora")]), serde_json::json!([]));

    let unsure = server.run(&["account", "delete", &at("emil")]);
    assert_eq!(unsure.status.code(), Some(1));
    assert!(error(&unsure).contains("--yes"));
    run(&["account", "delete", &at("emil"), "--yes"]);
    let gone = server.run(&["account", "show", &at("emil")]);
    assert_eq!(gone.status.code(), Some(5));
    assert!(error(&gone).contains("magpie account list"), "{}", error(&gone));
    assert_eq!(server.run(&["domain", "delete", domain]).status.code(), Some(1), "still in use");
    run(&["verify"]);
}

#[test]
fn people_get_tables_and_words() {
    let server = Server::start();
    let output = server.run(&["account", "list"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("ADDRESS"), "{text}");
    assert_eq!(text.lines().count(), 4);
    assert!(text.lines().skip(1).all(|line| line.ends_with("active")), "{text}");
    let output = server.run(&["account", "show", "nobody@example.test", "--json"]);
    let problem: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(problem["error"]["kind"], "not_found");
}

#[test]
fn mail_to_the_postmaster_is_always_taken() {
    let mut server = Server::start();
    let taken = |server: &Server| {
        let mut smtp = server.smtp();
        smtp.reply();
        smtp.command("EHLO client.example.com");
        smtp.command("MAIL FROM:<>");
        for address in ["Postmaster", "POSTMASTER@example.test"] {
            let reply = smtp.command(&format!("RCPT TO:<{address}>"));
            assert!(reply.starts_with("250"), "{address}: {reply}");
        }
    };
    taken(&server);
    server.run(&["account", "delete", "alice@example.test", "--yes"]);
    server.signal("TERM");
    server.wait();
    server.restart();
    taken(&server);
    let told = server.run(&["domain", "create", "new.test"]).stdout;
    assert!(String::from_utf8_lossy(&told).contains("magpie alias create postmaster@new.test"));
}

#[test]
fn what_leads_to_nobody_any_more_is_an_unknown_user() {
    let server = Server::start();
    server.json(&["alias", "create", "sales@example.test", "carol@example.test"]);
    server.json(&["group", "create", "all@example.test", "carol@example.test", "bob@example.test"]);
    server.json(&["group", "create", "none@example.test", "carol@example.test"]);
    server.json(&["domain", "create", "caught.test"]);
    server.json(&["domain", "change", "caught.test", "--catch-all", "sales@example.test"]);
    server.json(&["account", "delete", "carol@example.test", "--yes"]);

    let mut smtp = server.smtp();
    smtp.reply();
    smtp.command("EHLO client.example.com");
    smtp.command("MAIL FROM:<>");
    for address in ["sales@example.test", "none@example.test", "whoever@caught.test"] {
        let reply = smtp.command(&format!("RCPT TO:<{address}>"));
        assert!(reply.starts_with("550 5.1.1"), "{address}: {reply}");
    }
    assert!(smtp.command("RCPT TO:<all@example.test>").starts_with("250"));
    let gone = serde_json::json!(["carol@example.test"]);
    assert_eq!(server.json(&["alias", "show", "sales@example.test"])["gone"], gone);
    assert_eq!(server.json(&["group", "show", "all@example.test"])["gone"], gone);
}

#[test]
fn what_cannot_be_done_is_refused_and_leaves_nothing() {
    let server = Server::start();
    for words in [
        &["group", "create", "g@example.test", "alice@example.test", "nobody@example.test"][..],
        &["account", "list", "--domain", "unknown.test"],
        &["alias", "list", "--domain", "unknown.test"],
        &["group", "list", "--domain", "unknown.test"],
    ] {
        assert_eq!(server.run(words).status.code(), Some(5), "{words:?} a first time");
        assert_eq!(server.run(words).status.code(), Some(5), "{words:?} a second time");
    }
    for words in [
        &["account", "quota", "alice", "--bytes", "many"][..],
        &["domain", "change", "example.test", "--messages", "2"],
    ] {
        assert_eq!(server.run(words).status.code(), Some(2), "{words:?}");
    }
}

#[test]
fn a_directory_without_a_store_is_not_made() {
    let server = Server::start();
    let elsewhere = server.data().join("nothing-here");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_magpie"))
        .args(["account", "list", "--data"])
        .arg(&elsewhere)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(!elsewhere.exists());
}

#[test]
fn a_changed_password_counts_from_the_next_login_on() {
    let server = Server::start();
    server.deliver("alice@example.test", &message("one"));
    assert_eq!(server.inbox("alice").len(), 1);
    server.json(&["account", "password", "alice", "--password", "something else"]);
    let mut imap = server.imap();
    imap.line();
    imap.send(&format!("t LOGIN alice {}\r\n", world::PASSWORD));
    assert!(imap.line().starts_with("t NO"));
    imap.imap("LOGIN alice \"something else\"");
}
