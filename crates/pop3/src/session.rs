//! One client's session: bytes in, answers out, no socket.
//!
//! The driver owns the connection; [`conversation`] says what the two expect of each other.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use conversation::{Conversation, Step, Waiting, WaitingFor};
use directory::sasl::{ChannelBindings, Exchange};

use crate::command::{Outcome, Verb};
use crate::conduct::Conduct;
use crate::config::{Config, Peer, Services};
use crate::error::Error;
use crate::line::{Framed, Lines};
use crate::listing::Listing;
use crate::meters;
use crate::output::Output;
use crate::reply::{Code, Reply};
use crate::sending::Sending;
use crate::user::User;

/// The state machine of one connection.
pub struct Session {
    pub(crate) config: Arc<Config>,
    pub(crate) services: Services,
    pub(crate) peer: Peer,
    pub(crate) state: State,
    pub(crate) out: Output,
    pub(crate) conduct: Conduct,
    /// Whether the client has said UTF8.
    pub(crate) utf8: bool,
    lines: Lines,
    doing: Doing,
    /// The command that is answered next; none if nobody knows it.
    pub(crate) verb: Option<Verb>,
    /// Lines since the login.
    commands: u64,
    /// The server stops: the answer that is under way is the last.
    leaving: bool,
}

/// The states of RFC 1939 §3. UPDATE is the end of QUIT.
pub(crate) enum State {
    /// Nobody has logged in; this is the name that USER gave.
    Authorization(Option<Bytes>),
    /// Somebody has.
    Transaction(Box<User>),
}

/// What the session is in the middle of.
enum Doing {
    /// Waiting for a command.
    Nothing,
    /// AUTH, waiting for the client's answer to a challenge.
    Exchange(Exchange),
    /// LIST or UIDL of all messages.
    Listing(Listing),
    /// RETR or TOP.
    Sending(Box<Sending>),
    /// STLS was answered.
    StartTls,
    /// A step is being taken. If this is seen outside of it, the step was dropped half-way.
    Stepping,
    /// Nothing more but closing.
    Closing,
}

/// Whether [`Session::turn`] can go on.
enum Turn {
    More,
    Wait,
    Done(Step),
}

impl Conversation for Session {
    const PROTOCOL: &'static str = "pop3";

    async fn advance(&mut self, input: &mut BytesMut) -> Step {
        loop {
            if self.out.len() >= self.config.limits.chunk {
                return Step::Send(self.out.take());
            }
            let step = match self.turn(input).await {
                Turn::More => continue,
                Turn::Wait => Step::NeedInput,
                Turn::Done(step) => step,
            };
            return if self.out.len() == 0 { step } else { Step::Send(self.out.take()) };
        }
    }

    fn waiting(&self, _reads: u64) -> Waiting {
        let timeouts = &self.config.timeouts;
        match self.state {
            State::Authorization(_) => Waiting { on: WaitingFor::Login, timeout: timeouts.login },
            State::Transaction(_) => Waiting { on: WaitingFor::Next(self.commands), timeout: timeouts.idle },
        }
    }

    /// Whatever was said before does not count (RFC 2595 §4).
    fn secured(&mut self, bindings: ChannelBindings) {
        self.peer.tls = Some(bindings);
        self.lines = Lines::default();
        self.state = State::Authorization(None);
        self.utf8 = false;
        self.doing = Doing::Nothing;
    }

    /// The connection is closed without a word, and nothing is removed (RFC 1939 §3).
    fn timed_out(&mut self) {
        self.doing = Doing::Closing;
    }

    /// An answer that is under way is finished; commands that wait are not begun, and nothing is removed.
    fn shutdown(&mut self) {
        match self.doing {
            // Whatever the client says next, this is the answer to it.
            Doing::Nothing | Doing::Exchange(_) => {
                let text = "the server is going down, connect again";
                Reply::err(Some(Code::SysTemp), text).write(&mut self.out);
                self.doing = Doing::Closing;
            }
            Doing::Listing(_) | Doing::Sending(_) => self.leaving = true,
            Doing::StartTls | Doing::Stepping | Doing::Closing => self.doing = Doing::Closing,
        }
    }

    /// What was fetched is marked as seen; nothing is removed that was not removed by QUIT.
    async fn end(mut self) {
        if let State::Transaction(user) = &mut self.state {
            user.mark_seen().await;
        }
    }
}

impl Session {
    /// A session with a new client. Its greeting is the first thing that [`Self::advance`] sends.
    pub fn new(config: Arc<Config>, services: Services, peer: Peer) -> Self {
        let mut out = Output::default();
        // Without anything in angle brackets, which would offer APOP.
        Reply::ok(format!("{} ready", config.hostname)).write(&mut out);
        Self {
            config,
            services,
            peer,
            state: State::Authorization(None),
            out,
            conduct: Conduct::default(),
            utf8: false,
            lines: Lines::default(),
            doing: Doing::Nothing,
            verb: None,
            commands: 0,
            leaving: false,
        }
    }

    /// Whether somebody has logged in.
    pub const fn logged_in(&self) -> bool {
        matches!(self.state, State::Transaction(_))
    }

    async fn turn(&mut self, input: &mut BytesMut) -> Turn {
        let doing = std::mem::replace(&mut self.doing, Doing::Stepping);
        let turn = self.go_on(doing, input).await;
        if matches!(self.doing, Doing::Stepping) {
            self.doing = if self.leaving { Doing::Closing } else { Doing::Nothing };
        }
        turn
    }

    async fn go_on(&mut self, doing: Doing, input: &mut BytesMut) -> Turn {
        match doing {
            Doing::Nothing | Doing::Exchange(_) => {
                let framed = self.lines.next(input, self.config.limits.line);
                if framed == Framed::Incomplete {
                    self.doing = doing;
                    return Turn::Wait;
                }
                self.commands += 1;
                let outcome = match (framed, doing) {
                    (Framed::Line(line), Doing::Exchange(exchange)) => self.respond(exchange, &line).await,
                    (Framed::Line(line), _) => self.run(&line, input).await,
                    (Framed::Bad(bad), _) => {
                        self.verb = None;
                        Err(Error::Line(bad))
                    }
                    (Framed::Incomplete, _) => return Turn::Wait,
                };
                self.settle(outcome);
                Turn::More
            }
            Doing::Listing(listing) => self.list_on(listing),
            Doing::Sending(sending) => self.send_on(sending).await,
            Doing::StartTls => {
                self.doing = Doing::StartTls;
                Turn::Done(Step::StartTls)
            }
            Doing::Stepping | Doing::Closing => {
                self.doing = Doing::Closing;
                Turn::Done(Step::Close)
            }
        }
    }

    /// What a line came to.
    fn settle(&mut self, outcome: Result<Outcome, Error>) {
        if !matches!(outcome, Ok(Outcome::Exchange(_))) {
            meters::count(self.verb, outcome.is_ok());
        }
        match (outcome, self.conduct.verdict(&self.config.limits)) {
            (Err(error), _) => self.refuse(&error),
            (Ok(_), Some(farewell)) => self.close(&Reply::err(None, farewell)),
            (Ok(outcome), None) => self.answer_with(outcome),
        }
    }

    fn answer_with(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Done(reply) => reply.write(&mut self.out),
            Outcome::Lines(reply, lines) => {
                reply.write(&mut self.out);
                lines.iter().for_each(|line| self.out.print(format_args!("{line}\r\n")));
                self.out.put(b".\r\n");
            }
            Outcome::Listing(reply, listing) => {
                reply.write(&mut self.out);
                self.doing = Doing::Listing(listing);
            }
            Outcome::Sending(reply, sending) => {
                reply.write(&mut self.out);
                self.conduct.progress();
                self.doing = Doing::Sending(sending);
            }
            Outcome::Exchange(exchange) => {
                self.out.print(format_args!("+ {}\r\n", exchange.challenge()));
                self.doing = Doing::Exchange(exchange);
            }
            Outcome::StartTls(reply) => {
                reply.write(&mut self.out);
                self.doing = Doing::StartTls;
            }
            Outcome::Close(reply) => self.close(&reply),
        }
    }

    /// Every refusal goes through here.
    fn refuse(&mut self, error: &Error) {
        if let Some(why) = error.ours() {
            let account = match &self.state {
                State::Transaction(user) => Some(user.account.0),
                State::Authorization(_) => None,
            };
            tracing::warn!(peer = %self.peer.address, account, %why, "pop3 command failed: {error}");
        }
        if error.counts() {
            self.conduct.error();
        }
        match self.conduct.verdict(&self.config.limits) {
            Some(farewell) => self.close(&error.reply().and(farewell)),
            None if error.is_fatal() => self.close(&error.reply()),
            None => error.reply().write(&mut self.out),
        }
    }

    fn close(&mut self, reply: &Reply) {
        reply.write(&mut self.out);
        self.doing = Doing::Closing;
    }

    fn list_on(&mut self, mut listing: Listing) -> Turn {
        if let State::Transaction(user) = &self.state
            && !listing.step(&user.maildrop, self.config.limits.chunk, &mut self.out)
        {
            self.doing = Doing::Listing(listing);
        }
        Turn::More
    }

    async fn send_on(&mut self, mut sending: Box<Sending>) -> Turn {
        // Reads that are answered from memory never wait, and a client that pipelines many RETR would keep its worker
        // thread for itself. To give it away after each message would cost more than the message.
        tokio::task::coop::consume_budget().await;
        let State::Transaction(user) = &mut self.state else { return Turn::More };
        match sending.step(user, &mut self.out).await {
            Ok(true) => {}
            Ok(false) => self.doing = Doing::Sending(sending),
            Err(error) => {
                // The client waits for the rest: nothing that could be said would be heard.
                tracing::error!(peer = %self.peer.address, account = user.account.0, %error, "message cut short, closing");
                self.doing = Doing::Closing;
            }
        }
        Turn::More
    }
}
