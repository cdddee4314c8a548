//! Conversations from text: `tests/transcripts/README.md` says how they are written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use relay::{
    Action, Credentials, Envelope, FailureKind, Form, Outcome, Patience, Protection, Protocol, Recipient,
    Return, Session, SessionConfig, Standing, Surveyor, Tls, Transaction,
};

struct Play {
    session: Session,
    messages: VecDeque<(Arc<Envelope>, Bytes)>,
    body: Option<Bytes>,
    /// What the session did, as the script should say it.
    done: VecDeque<String>,
    sent: String,
}

fn play(script: &str) -> Result<(), String> {
    let (head, lines) = script.split_once("\n\n").ok_or("there is no empty line after the head")?;
    let mut play = Play::new(head);
    play.run();
    for (number, line) in
        lines.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
    {
        let at = |text: String| format!("line {}: {text}", number + head.lines().count() + 2);
        if line.starts_with("C:") || line.starts_with('=') {
            let done = play.done.pop_front().unwrap_or_else(|| "nothing".to_owned());
            if done != line {
                return Err(at(format!("wanted {line:?}, got {done:?}, then {:?}", play.done)));
            }
            continue;
        }
        if let Some(done) = play.done.front() {
            return Err(at(format!("{done:?} comes before {line:?}")));
        }
        match line.split_once(' ').unwrap_or((line, "")) {
            ("S:", text) => {
                play.session.input().extend_from_slice(text.as_bytes());
                play.session.input().extend_from_slice(b"\r\n");
            }
            ("S+", text) => {
                play.session.input().extend_from_slice(text.replace("\\r\\n", "\r\n").as_bytes());
                continue;
            }
            ("!", "tls") => play.session.tls_started(),
            ("!", "lost") => play.session.lost(FailureKind::Lost("reset".to_owned())),
            ("!", "late") => play.session.lost(FailureKind::TimedOut),
            ("!", "quit") => play.session.quit(),
            _ => return Err(at(format!("what is {line:?}?"))),
        }
        play.run();
    }
    match play.done.pop_front() {
        Some(done) => Err(format!("in the end: {done:?}")),
        None => Ok(()),
    }
}

impl Play {
    fn new(head: &str) -> Self {
        let mut config = SessionConfig {
            hello: "here.test".to_owned(),
            protocol: Protocol::Smtp,
            tls: Tls::IfOffered,
            credentials: None,
            plaintext_login: false,
            patience: Patience::default(),
        };
        let mut messages = VecDeque::new();
        for line in head.lines().filter(|line| !line.starts_with('#')) {
            let (key, value) = line.split_once(": ").expect(line);
            match key {
                "tls" => {
                    config.tls = match value {
                        "never" => Tls::Never,
                        "required" => Tls::Required,
                        "immediate" => Tls::Immediate,
                        _ => panic!("{value}"),
                    }
                }
                "protocol" => config.protocol = Protocol::Lmtp,
                "login" => {
                    let (login, password) = value.split_once(' ').unwrap();
                    config.credentials =
                        Some(Credentials { login: login.to_owned(), password: password.to_owned() });
                }
                "message" => messages.push_back(message(value)),
                _ => panic!("{line}"),
            }
        }
        let session = Session::new(Arc::new(config), "nonce".to_owned());
        Self { session, messages, body: None, done: VecDeque::new(), sent: String::new() }
    }

    fn run(&mut self) {
        loop {
            match self.session.advance() {
                Action::Send(bytes) => self.sent.push_str(&String::from_utf8_lossy(&bytes)),
                Action::NeedInput => return self.say(),
                Action::StartTls => {
                    self.say();
                    self.done.push_back("= handshake".to_owned());
                    return;
                }
                Action::NeedBody => match self.body.take() {
                    Some(body) => self.session.body(&body),
                    None => self.session.body_end(),
                },
                Action::Ready => {
                    self.say();
                    if !self.begin() {
                        if self.done.back().is_none_or(|done| done != "= ready") {
                            self.done.push_back("= ready".to_owned());
                        }
                        return;
                    }
                }
                Action::Finished(outcomes) => {
                    self.say();
                    self.done.extend(outcomes.iter().map(describe));
                }
                Action::Close(failure) => {
                    self.say();
                    self.done.push_back(
                        failure.map_or("= closed".to_owned(), |failure| format!("= failed: {failure}")),
                    );
                    return;
                }
            }
        }
    }

    fn begin(&mut self) -> bool {
        let Some((envelope, body)) = self.messages.pop_front() else { return false };
        let mut surveyor = Surveyor::default();
        surveyor.read(&body);
        let survey = surveyor.finish();
        match Form::choose(&survey, &envelope, self.session.capabilities(), self.session.is_secured()) {
            Ok(form) => {
                self.body = Some(body);
                let size = (!form.converted).then_some(survey.size);
                self.session.begin(Transaction { envelope, form, size });
            }
            Err(outcome) => self.done.push_back(describe(&outcome)),
        }
        true
    }

    /// What was sent, line by line.
    fn say(&mut self) {
        let sent = std::mem::take(&mut self.sent);
        self.done
            .extend(sent.split_terminator("\r\n").map(|line| format!("C: {line}").trim_end().to_owned()));
    }
}

fn describe(outcome: &Outcome) -> String {
    let standing = match outcome.standing {
        Standing::Delivered { notifies: true } => "delivered, notifies",
        Standing::Delivered { notifies: false } => "delivered",
        Standing::Temporary => "temporary",
        Standing::NextTransaction => "next transaction",
        Standing::Unknown => "unknown",
        Standing::Permanent => "permanent",
    };
    format!("= {standing} {}", outcome.status)
}

/// `SENDER RECIPIENT… | BODY`; words with `=` are options.
fn message(value: &str) -> (Arc<Envelope>, Bytes) {
    let (words, body) = value.split_once(" | ").unwrap_or((value, "Subject: x\\n\\nhello\\n"));
    let mut envelope = Envelope::default();
    let mut addresses = Vec::new();
    for word in words.split(' ') {
        match word {
            "smtputf8" => envelope.smtputf8 = true,
            "requiretls" => envelope.protection = Protection::Required,
            "ret=hdrs" => envelope.ret = Some(Return::Headers),
            _ => addresses.push(word),
        }
    }
    envelope.sender = addresses[0].replace("<>", "");
    let recipient = |text: &&str| {
        let (address, notify) = text.split_once(",notify=").unwrap_or((text, ""));
        Recipient { address: address.to_owned(), notify: notify.parse().ok(), orcpt: None }
    };
    envelope.recipients = addresses[1..].iter().map(recipient).collect();
    let body = body.replace("\\n", "\r\n").replace("\\0", "\0");
    (Arc::new(envelope), Bytes::from(body))
}

#[test]
fn every_transcript_is_followed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut count = 0;
    let mut failures = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            count += 1;
            if let Err(why) = play(&std::fs::read_to_string(&path).unwrap()) {
                failures.push(format!("{}: {why}", path.file_name().unwrap().display()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(count > 20, "{count}");
}
