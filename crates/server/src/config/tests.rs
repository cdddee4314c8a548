use std::collections::BTreeSet;

use super::*;
use crate::net::TlsMode;

fn load(text: &str) -> Result<Settings, Problem> {
    Ok(section::read(Path::new("/etc/magpie/magpie.toml"), text, Settings::read)?.0)
}

/// The example with its defaults switched on: every line like `#key = value` without the mark.
fn spelled_out() -> String {
    let uncommented = EXAMPLE.lines().map(|line| {
        let setting = line
            .strip_prefix('#')
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['));
        setting.unwrap_or(line)
    });
    uncommented.collect::<Vec<_>>().join("\n")
}

/// Keys of a file as the reader names them.
fn keys(text: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut section = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            let name = name.trim_matches(['[', ']']);
            let parts: Vec<&str> = name.split('.').collect();
            section = match parts.as_slice() {
                ["listener", _] => "listener.*".to_owned(),
                ["relay", "route", _] => "relay.route.*".to_owned(),
                _ => name.to_owned(),
            };
            keys.insert(parts.first().map_or(String::new(), |first| (*first).to_owned()));
            keys.insert(section.replace(".*", ""));
        } else if let Some((key, _)) = line.split_once(" = ")
            && line.starts_with(|c: char| c.is_ascii_lowercase())
        {
            keys.insert(if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") });
        }
    }
    keys
}

#[test]
fn the_example_shows_every_key_with_its_default() {
    let text = spelled_out();
    let (shown, known) = section::read(Path::new("/etc/magpie/magpie.toml"), &text, Settings::read).unwrap();
    assert_eq!(keys(&text), known, "resources/magpie.toml and the reader know different keys");
    let plain = load("hostname = \"mail.example.com\"\n").unwrap();
    // What has no default is shown with an example.
    let shown = Settings {
        tls: TlsSettings { certificates: Vec::new(), ..shown.tls },
        node: NodeOptions {
            directory: directory::Options {
                default_domain: None,
                hashes_at_once: plain.node.directory.hashes_at_once,
                oauth: None,
                ..shown.node.directory
            },
            ..shown.node
        },
        jmap: JmapSettings { url: None, ..shown.jmap },
        oauth: OAuthSettings { issuer: None, ..shown.oauth },
        relay: RelaySettings { routes: Vec::new(), dns_anchor: None, dnssec: false, ..shown.relay },
        listeners: shown.listeners.into_iter().filter(|l| l.name != "lmtp" && l.name != "https").collect(),
        ..shown
    };
    assert_eq!(format!("{shown:#?}"), format!("{plain:#?}"));
}

#[test]
fn the_example_as_it_is_says_what_to_do_first() {
    let settings = load(EXAMPLE).unwrap();
    assert_eq!(settings.hostname, "mail.example.com");
}

#[test]
fn mistakes_in_a_real_file() {
    let problem = load(
        "hostnam = \"mail.example.com\"\n[listener.imap]\naddresses = \"*:imap\"\n[listener.extra]\n\n\
         [smtp]\nrecipients = 10\n[log]\nformat = \"xml\"\nfilter = \"a=b=c\"\n",
    )
    .unwrap_err();
    for told in [
        "magpie.toml:1: hostname is missing",
        "magpie.toml:1: there is no key \"hostnam\" at the top of the file; did you mean \"hostname\"?",
        "magpie.toml:3: addresses must hold addresses such as",
        "magpie.toml:4: [listener.extra] needs a protocol and addresses",
        "magpie.toml:7: recipients is 10, but must be between 100 and 100000",
        "magpie.toml:9: format must be one of \"text\", \"json\"",
        "magpie.toml:10: filter \"a=b=c\" cannot be understood",
    ] {
        assert!(problem.message.contains(told), "{told}\nis not in\n{}", problem.message);
    }
}

#[test]
fn policies_of_single_domains() {
    let load = |value: &str| {
        let text = format!("hostname = \"a.example\"\n[checks]\ndmarc_overrides = {value}\n");
        load(&text).map(|settings| settings.checks.options.dmarc_overrides)
    };
    let overrides = load("{ \"lists.example\" = \"observe\", \"Bank.example\" = \"full\" }").unwrap();
    let words: Vec<String> = overrides.iter().map(|(name, how)| format!("{name} {how:?}")).collect();
    assert_eq!(words, ["bank.example Full", "lists.example Observe"]);
    assert!(load("{}").unwrap().is_empty());
    for (bad, told) in [
        ("\"observe\"", "dmarc_overrides must be a table such as"),
        ("{ \"a.example\" = \"ignore\" }", "for \"a.example\" must be one of"),
        ("{ \"not a domain\" = \"full\" }", "must name domains"),
    ] {
        let problem = load(bad).unwrap_err();
        assert!(problem.message.contains(told), "{told}\nis not in\n{}", problem.message);
    }
}

#[test]
fn tokens_are_handed_out_where_it_is_known_where_and_nobody_reads_along() {
    let load = |text: &str| load(&format!("hostname = \"a.example\"\n{text}\n"));
    for (text, issuer) in [
        ("", None),
        ("[jmap]\nurl = \"https://a.example\"", Some("https://a.example")),
        ("[jmap]\nurl = \"http://a.example\"", None),
        ("[jmap]\nurl = \"https://a.example\"\n[oauth]\nenabled = false", None),
        (
            "[jmap]\nurl = \"https://a.example\"\n[oauth]\nissuer = \"https://b.example:8443\"",
            Some("https://b.example:8443"),
        ),
        ("[oauth]\nissuer = \"http://127.0.0.1:8080\"", Some("http://127.0.0.1:8080")),
    ] {
        let settings = load(text).unwrap();
        assert_eq!(settings.issuer(), issuer, "{text}");
        let metadata = settings.node.directory.oauth.and_then(|oauth| oauth.metadata);
        assert_eq!(metadata, issuer.map(|issuer| format!("{issuer}/.well-known/openid-configuration")));
    }
    for bad in ["http://a.example", "https://a.example/", "http://127.0.0.1.evil.example", "a.example"] {
        assert!(load(&format!("[oauth]\nissuer = \"{bad}\"")).is_err(), "{bad}");
    }
}

#[test]
fn origins_are_hosts() {
    let load = |line: &str| load(&format!("hostname = \"a.example\"\n[jmap]\n{line}\n")).map(|s| s.jmap);
    assert_eq!(load("url = \"https://a.example:8443\"").unwrap().url.unwrap(), "https://a.example:8443");
    assert_eq!(load("origins = [\"http://[::1]:80\"]").unwrap().origins, ["http://[::1]:80"]);
    for bad in ["url = \"a.example\"", "url = \"https://a.example/\"", "origins = [\"https://A.example\"]"] {
        assert!(load(bad).unwrap_err().message.contains("must hold a scheme and a host"), "{bad}");
    }
}

#[test]
fn in_whose_name_reports_are_sent() {
    let load = |lines: &str| {
        load(&format!("hostname = \"a.example\"\n[reports]\n{lines}\n")).map(|settings| settings.reports)
    };
    let usual = load("enabled = true").unwrap();
    assert_eq!((usual.sender.address.as_str(), usual.sender.domain()), ("postmaster@a.example", "a.example"));
    let own = load("from = \"dmarc@b.example\"\nlocal_part = \"Reports\"").unwrap();
    assert_eq!((own.sender.contact.as_str(), own.local_part.as_str()), ("dmarc@b.example", "reports"));
    for bad in [
        "from = \"nobody\"",
        "contact = \"한@b.example\"",
        "from = \"\\\"a b\\\"@b.example\"",
        "local_part = \"a@b\"",
    ] {
        assert!(load(bad).is_err(), "{bad}");
    }
}

#[test]
fn listeners_by_name() {
    let settings = load(
        "hostname = \"mail.example.com\"\n[listener.imaps]\n[listener.inside]\nprotocol = \"smtp\"\n\
         addresses = [\"10.0.0.1:25\", \"[fd00::1]:25\"]\ntls = \"off\"\nproxies = \"10.0.0.0/8\"\n\
         connections_per_address = 7\n",
    )
    .unwrap();
    let [imaps, inside] = settings.listeners.as_slice() else { panic!("two listeners") };
    assert_eq!((imaps.protocol, imaps.tls), (Protocol::Imap, TlsMode::Implicit));
    assert_eq!((inside.protocol, inside.tls, inside.addresses.len()), (Protocol::Smtp, TlsMode::Off, 2));
    assert_eq!((inside.admission.per_address, inside.proxies.len()), (7, 1));
    let twice = load(
        "hostname = \"a.example\"\n[listener.imap]\naddresses = \"*:99\"\n[listener.smtp]\naddresses = \"*:99\"\n",
    );
    assert!(twice.unwrap_err().message.contains("both have the address *:99"));
    let http = load("hostname = \"a.example\"\n[listener.http]\ntls = \"starttls\"\n");
    assert!(http.unwrap_err().message.contains(":3: tls must be"));
}

#[test]
fn ways_to_other_servers() {
    let settings = load(
        "hostname = \"a.example\"\n[relay]\nconnections = 8\nallow = \"10.0.0.0/8\"\n\
         [relay.route.provider]\ndomains = \"*\"\nhosts = [\"smtp.example.net:587\", \"192.0.2.7\"]\n\
         username = \"me\"\npassword = \"secret\"\n\
         [relay.route.archive]\ndomains = [\"Archive.example\", \".archive.example\"]\nhosts = \"[::1]:24\"\n\
         protocol = \"lmtp\"\ntls = \"never\"\nbalanced = true\n\
         [outbound]\nfirst_retry = \"1m\"\nwarn_after = \"0s\"\nworkers = 3\n",
    )
    .unwrap();
    let [provider, archive] = settings.relay.routes.as_slice() else { panic!("two routes") };
    assert_eq!((provider.tls, provider.hosts.len()), (::relay::RouteTls::Verify, 2), "with a password");
    let (login, password) = provider.login.as_ref().unwrap();
    assert_eq!((login.as_str(), password), ("me", &Material::File("/etc/magpie/secret".into())));
    assert_eq!(archive.domains, ["archive.example", ".archive.example"]);
    assert_eq!((archive.protocol, archive.balanced), (::relay::Protocol::Lmtp, true));
    let queue = &settings.node.outbound;
    assert_eq!((queue.schedule.first.as_secs(), queue.schedule.warn), (60, None));
    assert_eq!((settings.outbound.workers, settings.relay.connections), (3, 8));
    let mistakes = load(
        "hostname = \"a.example\"\n[relay.route.a]\nhosts = \"b:x\"\nusername = \"me\"\n\
         [relay.route.c]\ndomains = \"*\"\n[relay.route.d]\ndomains = \"*\"\ntls = \"maybe\"\n",
    )
    .unwrap_err();
    for told in [
        ":2: [relay.route.a] needs domains",
        ":2: [relay.route.a] needs both username and password",
        ":3: hosts must be a host such as",
        "[relay.route.c] and [relay.route.d] are both for \"*\"",
        ":9: tls must be one of \"policy\", \"never\"",
    ] {
        assert!(mistakes.message.contains(told), "{told}\nis not in\n{}", mistakes.message);
    }
}
