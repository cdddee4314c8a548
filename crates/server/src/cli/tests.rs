use clap::CommandFactory;

use super::*;

fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from([&["magpie"], words].concat())
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn common_options_stand_anywhere() {
    for words in [
        &["--data", "/x", "--json", "account", "list"][..],
        &["account", "--data", "/x", "list", "--json"],
        &["account", "list", "--json", "--data", "/x"],
    ] {
        let cli = parse(words).unwrap();
        assert!(cli.common.json);
        assert_eq!(cli.common.data, Some("/x".into()));
    }
}

#[test]
fn every_command_has_its_form() {
    for words in [
        &["dev"][..],
        &["dev", "--port-base", "20000", "--password", "x", "--users", "5"],
        &["domain", "create", "example.test"],
        &["domain", "change", "example.test", "--catch-all", "a@example.test", "--separator", "-"],
        &["domain", "dns", "example.test", "--host", "mail.example.test", "--json"],
        &["dkim", "create", "example.test"],
        &["dkim", "create", "example.test", "--selector", "s1", "--algorithm", "rsa"],
        &["dkim", "create", "example.test", "--algorithm", "rsa,ed25519"],
        &["dkim", "list", "example.test"],
        &["dkim", "activate", "example.test", "s1"],
        &["dkim", "retire", "example.test", "s1"],
        &["dkim", "remove", "example.test", "s1"],
        &["dkim", "dns", "example.test"],
        &["account", "create", "a@example.test", "--password-file", "-", "--bytes", "1G"],
        &["account", "password", "alice", "--password", "secret"],
        &["account", "quota", "alice", "--messages", "none"],
        &["account", "change", "alice", "--state", "receive-only"],
        &["account", "delete", "alice", "--yes"],
        &["alias", "create", "info@example.test", "a@example.test", "b@example.test"],
        &["group", "add", "all@example.test", "a@example.test"],
        &["app-password", "create", "alice", "--label", "phone", "--for", "imap,submission"],
        &["app-password", "revoke", "alice", "3"],
        &[
            "oauth",
            "client",
            "add",
            "My app",
            "--redirect",
            "https://a.example/cb",
            "--redirect",
            "http://127.0.0.1/",
        ],
        &["oauth", "client", "add", "TV", "--id", "tv", "--device"],
        &["oauth", "client", "list", "--json"],
        &["oauth", "client", "remove", "tv"],
        &["oauth", "grant", "list", "alice"],
        &["oauth", "grant", "revoke", "alice", "0123456789abcdef0123456789abcdef"],
        &["import", "--account", "alice", "maildir:/x", "--into", "Old/Mail", "--again"],
        &["verify", "--account", "alice"],
        &["queue", "list"],
        &[
            "queue",
            "list",
            "--sender",
            "a@example.test",
            "--destination",
            "example.com",
            "--failed",
            "--held",
        ],
        &["queue", "show", "0123456789abcdef", "--json"],
        &["queue", "explain", "0123456789abcdef"],
        &["queue", "retry", "0123456789abcdef", "0123456789abcdee"],
        &["queue", "retry", "--destination", "example.com"],
        &["queue", "hold", "--destination", "example.com", "--why", "they are moving"],
        &["queue", "release", "--sender", "<>"],
        &["queue", "drop", "--failed", "--yes"],
        &["queue", "reroute", "--destination", "example.com", "--to", "relay.example.com"],
        &["queue", "reroute", "0123456789abcdef", "--from", "a.example", "--to", "b.example"],
        &["queue", "destinations", "--json"],
        &["queue", "inbound", "list", "--failed", "--json"],
        &["queue", "inbound", "show", "0123456789abcdef"],
        &["queue", "inbound", "retry", "0123456789abcdef", "0123456789abcdee"],
        &["queue", "inbound", "release", "--failed"],
        &["queue", "inbound", "drop", "0123456789abcdef", "--yes"],
    ] {
        parse(words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    }
}

#[test]
fn nonsense_is_refused() {
    for words in [
        &[][..],
        &["serve", "--check", "--example"],
        &["dev", "--port-base", "65000"],
        &["dev", "--users", "-1"],
        &["account", "create"],
        &["account", "create", "a@b", "--password", "x", "--password-file", "y"],
        &["alias", "create", "a@b"],
        &["account", "change", "alice", "--state", "happy"],
        &["account", "quota", "alice", "--bytes", "many"],
        &["account", "quota", "alice", "--messages", "1.5"],
        &["account", "create", "a@example.test", "--bytes", ""],
        // What the accounts of a domain hold together is not counted yet.
        &["domain", "change", "example.test", "--messages", "2"],
        &["import", "maildir:/x"],
        &["dkim", "activate", "example.test"],
        &["dkim", "create", "example.test", "--selector", "s1"],
        &["oauth"],
        &["oauth", "client", "add"],
        &["oauth", "grant", "revoke", "alice"],
        &["queue"],
        &["queue", "show"],
        &["queue", "retry"],
        &["queue", "hold", "0123456789abcdef", "--destination", "example.com"],
        &["queue", "drop", "--sender", "a@example.test", "--failed"],
        &["queue", "reroute", "0123456789abcdef"],
        &["queue", "reroute", "--failed", "--from", "a.example", "--to", "b.example"],
        &["queue", "inbound", "retry"],
        &["queue", "inbound", "drop", "0123456789abcdef", "--failed"],
    ] {
        assert!(parse(words).is_err(), "{words:?}");
    }
}
