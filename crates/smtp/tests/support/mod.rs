//! Reads transcripts and plays them to a session; transcripts/README.md has the format.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use smtp::{
    Action, AuthRefusal, AuthStep, AuthVerdict, BeginVerdict, Config, DeliveryVerdict, Envelope,
    HeaderVerdict, Peer, Protocol, Receipt, RecipientVerdict, Refusal, RefusalCode, SenderVerdict, Session,
    Submitter, Tls,
};
use types::Timestamp;

/// A parsed transcript.
pub struct Transcript {
    config: Config,
    tls: bool,
    hello: bool,
    login: bool,
    steps: Vec<Step>,
}

/// What goes in, and what must come out of it.
#[derive(Default)]
struct Step {
    line: usize,
    directives: Vec<String>,
    octets: Vec<u8>,
    packet: bool,
    replies: Vec<String>,
    effects: Vec<String>,
}

impl Transcript {
    pub fn parse(text: &str) -> Self {
        let mut transcript = Self {
            config: Config::new("mx.example.test", Protocol::Smtp),
            tls: false,
            hello: false,
            login: false,
            steps: vec![Step { line: 1, ..Step::default() }],
        };
        for (number, line) in text.lines().enumerate() {
            if !line.is_empty() && !line.starts_with('#') {
                transcript.line(number + 1, line);
            }
        }
        transcript
    }

    fn line(&mut self, number: usize, line: &str) {
        let at = line.find([' ', ':', '|', '*']).unwrap();
        let (kind, rest) = line.split_at(at);
        let (times, rest) = match rest.strip_prefix('*') {
            Some(rest) => {
                let end = rest.find([':', '|']).unwrap();
                (rest[..end].parse().unwrap(), &rest[end..])
            }
            None => (1, rest),
        };
        let raw = rest.starts_with('|');
        let text = rest[1..].strip_prefix(' ').unwrap_or(&rest[1..]);
        match kind {
            "@" => self.setting(text),
            "C" | "P" | "D" => {
                let step = self.step_for_input(number, kind == "D");
                match kind {
                    "D" => step.directives.push(text.to_owned()),
                    _ => {
                        let ending: &[u8] = if raw { b"" } else { b"\r\n" };
                        step.octets.extend([unescape(text), ending.to_vec()].concat().repeat(times));
                        step.packet |= kind == "P";
                    }
                }
            }
            "S" => self.steps.last_mut().unwrap().replies.extend(std::iter::repeat_n(text.to_owned(), times)),
            "E" => self.steps.last_mut().unwrap().effects.push(text.to_owned()),
            other => panic!("line {number}: what is {other:?}?"),
        }
    }

    /// The step that a line belongs to: what the driver does comes before what the client sends.
    fn step_for_input(&mut self, line: usize, directive: bool) -> &mut Step {
        let last = self.steps.last().unwrap();
        let answered = !last.replies.is_empty() || !last.effects.is_empty();
        if answered || self.steps.len() == 1 || directive && !last.octets.is_empty() {
            self.steps.push(Step { line, ..Step::default() });
        }
        self.steps.last_mut().unwrap()
    }

    fn setting(&mut self, text: &str) {
        let words: Vec<_> = text.split(' ').collect();
        let limits = &mut self.config.limits;
        match words[..] {
            ["protocol", "lmtp"] => self.config.protocol = Protocol::Lmtp,
            ["protocol", "submission"] => {
                self.config.protocol = Protocol::Submission;
                self.config.login.mechanisms = vec!["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"];
            }
            ["tokens"] => self.config.login.mechanisms.extend(["OAUTHBEARER", "XOAUTH2"]),
            ["login"] => self.login = true,
            ["extensions"] => {
                let extensions = &mut self.config.extensions;
                extensions.future_release = Some(Duration::from_secs(86_400));
                extensions.deliver_by = Some(Duration::from_secs(60));
                (extensions.priority, extensions.require_tls) = (true, true);
            }
            ["hello"] => self.hello = true,
            ["limit", name, value] => match name {
                "message" => limits.message = value.parse().unwrap(),
                "header" => limits.header = value.parse().unwrap(),
                "received" => limits.received = value.parse().unwrap(),
                "recipients" => limits.recipients = value.parse().unwrap(),
                "line" => limits.line = value.parse().unwrap(),
                "errors" => limits.errors = value.parse().unwrap(),
                "junk" => limits.junk = value.parse().unwrap(),
                "refused" => limits.refused_recipients = value.parse().unwrap(),
                "drain" => limits.drain = value.parse().unwrap(),
                other => panic!("no limit {other:?}"),
            },
            [name, value] => {
                let on = value == "on";
                match name {
                    "starttls" => self.config.starttls = on,
                    "smtputf8" => self.config.smtputf8 = on,
                    "dsn" => self.config.dsn = on,
                    "binarymime" => self.config.binarymime = on,
                    "tls" => self.tls = on,
                    "plaintext" => self.config.login.plaintext = on,
                    other => panic!("no setting {other:?}"),
                }
            }
            _ => panic!("what is {text:?}?"),
        }
    }

    /// Plays the transcript with the client's octets in pieces of `piece`, and says what is different.
    pub fn play(&self, piece: usize) -> Result<(), String> {
        let mut driver = Driver::new(self.config.clone(), self.tls);
        if self.hello {
            driver.run();
            let hello = if self.config.protocol == Protocol::Lmtp { "LHLO" } else { "EHLO" };
            driver.give(format!("{hello} client.test\r\n").as_bytes(), piece);
            driver.replies.clear();
        }
        if self.login {
            driver.give(b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", piece);
            assert_eq!(driver.take_replies(), ["235 2.7.0 Logged in"]);
        }
        for step in &self.steps {
            for directive in &step.directives {
                driver.direct(directive);
            }
            driver.run();
            driver.give(&step.octets, if step.packet { usize::MAX } else { piece });
            let wrong = |what: &str, want: &dyn std::fmt::Debug, got: &dyn std::fmt::Debug| {
                Err(format!(
                    "line {}, in pieces of {piece}: {what}\n  want {want:?}\n  got  {got:?}",
                    step.line
                ))
            };
            let got = driver.take_replies();
            let same = step.replies.len() == got.len()
                && step.replies.iter().zip(&got).all(|(want, got)| matches(want, got));
            if !same {
                return wrong("replies", &step.replies, &got);
            }
            let got = std::mem::take(&mut driver.effects);
            if step.effects != got {
                return wrong("effects", &step.effects, &got);
            }
        }
        Ok(())
    }
}

fn matches(want: &str, got: &str) -> bool {
    want.strip_suffix("...").map_or(want == got, |start| got.starts_with(start))
}

/// A driver without sockets: answers from a script, and remembers what happened.
pub struct Driver {
    pub session: Session,
    pub replies: Vec<u8>,
    pub effects: Vec<String>,
    pub closed: bool,
    now: Timestamp,
    /// The largest batch of replies.
    pub largest: usize,
    body: Vec<u8>,
    begun: bool,
    accepted: u32,
    answers: HashMap<String, String>,
}

impl Driver {
    pub fn new(config: Config, tls: bool) -> Self {
        let tls = tls.then(|| Tls::new("TLSv1.3", "TLS_AES_256_GCM_SHA384").bindable(true));
        let since = Timestamp(1_795_359_480_000);
        let peer = Peer { address: "192.0.2.1".parse().ok(), name: None, tls, since };
        Self {
            session: Session::new(Arc::new(config), peer),
            replies: Vec::new(),
            effects: Vec::new(),
            closed: false,
            now: since,
            largest: 0,
            body: Vec::new(),
            begun: false,
            accepted: 0,
            answers: HashMap::new(),
        }
    }

    /// Gives octets in pieces, and runs after each.
    pub fn give(&mut self, octets: &[u8], piece: usize) {
        let mut pieces: VecDeque<_> = octets.chunks(piece.min(octets.len().max(1))).collect();
        while let Some(piece) = pieces.pop_front()
            && !self.closed
        {
            self.session.input().extend_from_slice(piece);
            self.run();
        }
    }

    /// Runs until the session needs input or is over.
    pub fn run(&mut self) {
        while !self.closed {
            match self.session.next() {
                Action::NeedInput => return,
                Action::Send(replies) => {
                    assert!(!replies.is_empty(), "an empty batch of replies");
                    self.largest = self.largest.max(replies.len());
                    self.replies.extend_from_slice(&replies);
                }
                action => self.act(action),
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::NeedInput | Action::Send(_) => {}
            Action::VerifySender(_) => {
                let verdict = match self.answer("sender") {
                    "refuse" => SenderVerdict::Refuse(spam()),
                    _ => SenderVerdict::Accept,
                };
                self.session.sender(verdict).unwrap();
            }
            Action::VerifyRecipient(_, recipient) => {
                let verdict = match self.answer(&format!("recipient {}", recipient.path)) {
                    "unknown" => RecipientVerdict::Unknown,
                    "disabled" => RecipientVerdict::Disabled,
                    "relay" => RecipientVerdict::RelayDenied,
                    "full" => RecipientVerdict::OverQuota,
                    "down" => RecipientVerdict::Unavailable,
                    _ => RecipientVerdict::Accept,
                };
                self.session.recipient(verdict).unwrap();
            }
            Action::Authenticate(step) => {
                let verdict = self.look_at(&step);
                self.session.authenticated(verdict).unwrap();
            }
            Action::VerifyHeader(envelope, header) => {
                assert!(self.begun && self.body.is_empty() && envelope.origin.submission.submitter.is_some());
                self.effects.push(format!("authors {}", header.authors().join(" ")));
                let verdict = match self.answer("header") {
                    "foreign" => HeaderVerdict::NotYours,
                    "down" => HeaderVerdict::Unavailable,
                    "refuse" => HeaderVerdict::Refuse(spam()),
                    _ => HeaderVerdict::Accept,
                };
                self.session.header(verdict).unwrap();
            }
            Action::Begin(envelope) => {
                assert!(!envelope.recipients.is_empty(), "a message for nobody");
                let verdict = match self.answer("begin") {
                    "full" => BeginVerdict::InsufficientStorage,
                    "down" => BeginVerdict::Unavailable,
                    _ => BeginVerdict::Proceed,
                };
                assert!(!self.begun && self.body.is_empty(), "begun twice");
                self.begun = matches!(verdict, BeginVerdict::Proceed);
                self.session.begin(verdict).unwrap();
            }
            Action::Body(chunk) => {
                assert!(self.begun && !chunk.is_empty(), "octets of no message");
                self.body.extend_from_slice(&chunk);
            }
            Action::End(envelope) => self.end(&envelope),
            Action::Abandon => {
                assert!(std::mem::take(&mut self.begun), "nothing to abandon");
                self.body.clear();
                self.effects.push("abandon".into());
            }
            Action::StartTls => {
                self.effects.push("starttls".into());
                self.session
                    .tls_started(Tls::new("TLSv1.3", "TLS_AES_256_GCM_SHA384").bindable(true))
                    .unwrap();
            }
            Action::Close => {
                assert!(!self.begun, "closed with a message in mid-air");
                self.closed = true;
                self.effects.push("close".into());
            }
        }
    }

    /// Who knows the password comes in; with LOGIN after two questions.
    fn look_at(&mut self, step: &AuthStep) -> AuthVerdict {
        let told = match step {
            AuthStep::Begin("LOGIN", None) => return AuthVerdict::Challenge("VXNlcm5hbWU6".into()),
            AuthStep::Begin(_, None) => return AuthVerdict::Challenge(String::new()),
            AuthStep::Begin(_, Some(told)) | AuthStep::Respond(told) => told.as_str(),
        };
        match (self.answer("login"), told) {
            ("blocked", _) => AuthVerdict::Refuse(AuthRefusal::SendingBlocked),
            ("many", _) => AuthVerdict::Refuse(AuthRefusal::TooMany),
            ("down", _) => AuthVerdict::Refuse(AuthRefusal::Unavailable),
            (_, "YWxpY2U=") => AuthVerdict::Challenge("UGFzc3dvcmQ6".into()),
            (_, "AGFsaWNlAHNlY3JldA==" | "c2VjcmV0") => {
                AuthVerdict::Admitted(Submitter::proven(1, "alice@example.test"))
            }
            // No access token that holds: why is told, and has to be answered.
            (_, "bWF0X3g=") => AuthVerdict::Challenge("e30=".into()),
            (_, "bWF0X3k=") => AuthVerdict::Admitted(Submitter::proven(1, "alice@example.test")),
            (_, "rubbish") => AuthVerdict::Refuse(AuthRefusal::Malformed),
            _ => AuthVerdict::Refuse(AuthRefusal::Wrong),
        }
    }

    fn end(&mut self, envelope: &Envelope) {
        assert!(std::mem::take(&mut self.begun), "the end of no message");
        let body = escape(&std::mem::take(&mut self.body));
        let to: Vec<_> = envelope.recipients.iter().map(|one| one.path.to_string()).collect();
        let wishes = wishes(&envelope.origin.submission);
        self.effects.push(format!("end {} -> {}{wishes} \"{body}\"", envelope.origin.sender, to.join(" ")));
        self.accepted += 1;
        let id = self.accepted.to_string();
        let verdicts = to.iter().filter_map(|path| match self.answer(&format!("deliver {path}")) {
            "silence" => None,
            "full" => Some(DeliveryVerdict::Refuse(full())),
            "spam" => Some(DeliveryVerdict::Refuse(spam())),
            _ => Some(DeliveryVerdict::Durable(Receipt::durable(id.as_str()))),
        });
        let verdicts = verdicts.collect();
        self.session.delivered(verdicts).unwrap();
    }

    fn answer(&self, question: &str) -> &str {
        self.answers.get(question).map_or("", String::as_str)
    }

    fn direct(&mut self, directive: &str) {
        match directive {
            "timeout" => self.session.timed_out(),
            "slow" => self.session.too_slow(),
            "shutdown" => self.session.shutdown(),
            "fail" => self.session.fail_body(full()).unwrap(),
            scripted => {
                let (question, answer) = scripted.rsplit_once(' ').unwrap();
                if question == "later" {
                    self.now = self.now.plus(Duration::from_secs(answer.parse().unwrap()));
                    self.session.at(self.now);
                } else {
                    self.answers.insert(question.to_owned(), answer.to_owned());
                }
            }
        }
    }

    fn take_replies(&mut self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut self.replies)).unwrap();
        assert!(text.is_empty() || text.ends_with("\r\n"), "half a line: {text:?}");
        text.split_terminator("\r\n").map(str::to_owned).collect()
    }
}

/// What a submitting client wants, in words; nothing if that is nothing.
fn wishes(submission: &smtp::Submission) -> String {
    let mut words = String::new();
    if let Some(at) = submission.hold_until {
        words += &format!(" held until {}", at.rfc5322());
    }
    if let Some(priority) = submission.priority {
        words += &format!(" priority {priority}");
    }
    if let Some(by) = submission.deliver_by {
        words += &format!(" by {} {:?}{}", by.seconds, by.late, if by.trace { " traced" } else { "" });
    }
    if submission.require_tls {
        words += " over TLS";
    }
    if let Some(claimed) = &submission.claimed {
        words += &format!(" for {claimed}");
    }
    words
}

fn full() -> Refusal {
    Refusal::new(RefusalCode::InsufficientStorage, 3, 1, "no space")
}

fn spam() -> Refusal {
    Refusal::new(RefusalCode::MailboxUnavailable, 7, 1, "not wanted")
}

fn unescape(text: &str) -> Vec<u8> {
    let (mut octets, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        octets.push(match byte {
            b'\\' => match rest.next().unwrap() {
                b'r' => b'\r',
                b'n' => b'\n',
                b'0' => 0,
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other,
            },
            other => other,
        });
    }
    octets
}

/// Octets as transcripts write them.
pub fn escape(octets: &[u8]) -> String {
    let one = |byte: &u8| match byte {
        b'\r' => "\\r".into(),
        b'\n' => "\\n".into(),
        b'\\' => "\\\\".into(),
        0 => "\\0".into(),
        b' '..=b'~' => char::from(*byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    octets.iter().map(one).collect()
}
