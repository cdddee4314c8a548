//! What `magpie dev` says when it is up: where everything is, and how to send and read the first mail.

use super::accounts::Accounts;
use super::{DOMAIN, Ports};
use crate::data_dir::DataDir;
use crate::text::Columns;

/// The whole screen.
pub(super) fn welcome(data: &DataDir, ports: Ports, accounts: &Accounts, way_out: &str) -> String {
    let (smtp, lmtp, http, https) = (ports.of(25), ports.of(24), ports.of(80), ports.of(443));
    let (submission, submissions) = (ports.of(587), ports.of(465));
    let (imap, imaps, pop3, pop3s) = (ports.of(143), ports.of(993), ports.of(110), ports.of(995));
    let password = shell(&accounts.password);
    let mut overview = Columns::pairs();
    overview.row(["Accounts", &names(accounts.users)]);
    overview.row(["Password", &accounts.password]);
    overview.row(["Data", &data.path().display().to_string()]);
    overview.row(["", ""]);
    overview.row(["smtp", &format!("127.0.0.1:{smtp}   STARTTLS offered")]);
    overview
        .row(["submission", &format!("127.0.0.1:{submission}   STARTTLS offered, login without it allowed")]);
    overview.row(["submissions", &format!("127.0.0.1:{submissions}   TLS")]);
    overview.row(["lmtp", &format!("127.0.0.1:{lmtp}   STARTTLS offered")]);
    overview.row(["imap", &format!("127.0.0.1:{imap}   STARTTLS offered, login without it allowed")]);
    overview.row(["imaps", &format!("127.0.0.1:{imaps}   TLS")]);
    overview.row(["pop3", &format!("127.0.0.1:{pop3}   STLS offered, login without it allowed")]);
    overview.row(["pop3s", &format!("127.0.0.1:{pop3s}   TLS")]);
    overview.row(["http", &format!("http://127.0.0.1:{http}/healthz/ready")]);
    overview.row(["jmap", &format!("https://127.0.0.1:{https}/jmap/session   or http, port {http}")]);
    overview.row(["oauth", &format!("http://127.0.0.1:{http}/.well-known/oauth-authorization-server")]);
    overview.row(["certificate", &data.tls().join("cert.pem").display().to_string()]);
    let send = [
        format!(
            "swaks --server 127.0.0.1:{smtp} --from you@example.com --to alice@{DOMAIN} --header 'Subject: Hello'"
        ),
        format!(
            "printf 'Subject: Hello\\r\\n\\r\\nFirst light.\\r\\n' | curl -sS smtp://127.0.0.1:{smtp} \\\n       \
             --mail-from you@example.com --mail-rcpt alice@{DOMAIN} --upload-file -"
        ),
    ];
    let read = format!("curl -sS --user alice:{password} 'imap://127.0.0.1:{imap}/INBOX;MAILINDEX=*'");
    let administer = format!("magpie --data {} account list", shell(&data.path().display().to_string()));
    format!(
        "\n  Magpie is up for {DOMAIN}, on this machine only.\n\n{}\n  Mail for other domains {way_out}.\n\n  Send a mail, either way:\n\n     {}\n\n     {}\n\n  \
         Read the newest one:\n\n     {read}\n\n  \
         Look after it, from another terminal:\n\n     {administer}\n\n  \
         Stop with Ctrl-C. The mail stays for the next run.\n\n",
        indented(&overview.to_string()),
        send[0],
        send[1],
    )
}

fn names(users: u32) -> String {
    let named = "alice, bob, carol";
    let numbered = match users {
        0 => String::new(),
        1 => ", user1".to_owned(),
        2 => ", user1, user2".to_owned(),
        many => format!(", user1 … user{many}"),
    };
    format!("{named}{numbered} @{DOMAIN}")
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}").trim_end().to_owned() + "\n").collect()
}

/// A word as a shell takes it literally.
fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,/:@%+=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_the_shell() {
        assert_eq!(shell("magpie"), "magpie");
        assert_eq!(shell("it's $5"), "'it'\\''s $5'");
        assert_eq!(shell(""), "''");
    }

    #[test]
    fn accounts_in_words() {
        assert_eq!(names(0), "alice, bob, carol @example.test");
        assert_eq!(names(9), "alice, bob, carol, user1 … user9 @example.test");
    }
}
