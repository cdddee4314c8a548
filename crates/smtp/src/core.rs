//! What a session keeps from one command to the next, whatever phase it is in.

use std::sync::Arc;

use bytes::Bytes;
use types::Timestamp;

use crate::auth::Submitter;
use crate::command::Verb;
use crate::conduct::Conduct;
use crate::config::{Config, Protocol};
use crate::hello::Hello;
use crate::message::Message;
use crate::meters;
use crate::peer::{Client, Peer, Tls};
use crate::phase::{Phase, Rest};
use crate::reply::{Replies, Reply};

/// What the next reply answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answering {
    /// A command; none is one that nobody knows.
    Command(Option<Verb>),
    /// Nothing that the client has said.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Arc<Config>,
    pub(crate) peer: Peer,
    /// The time that it was when something came last: what FUTURERELEASE reckons from. A connection may be old.
    pub(crate) now: Timestamp,
    /// How the client introduced itself; none before, and none again after STARTTLS.
    pub(crate) hello: Option<Hello>,
    /// Who has logged in; nobody again after STARTTLS.
    pub(crate) submitter: Option<Submitter>,
    pub(crate) replies: Replies,
    pub(crate) conduct: Conduct,
    /// Lines run so far.
    pub(crate) lines: u64,
    /// The driver holds octets of a message that will not be completed, and does not know yet.
    pub(crate) abandoned: bool,
    /// Octets of a body that came together with the end of its header, and go to the driver now that the header was
    /// judged.
    pub(crate) released: Option<Bytes>,
    pub(crate) answering: Answering,
}

impl Core {
    /// Ready to greet.
    pub(crate) fn new(config: Arc<Config>, peer: Peer) -> Self {
        let mut replies = Replies::default();
        let dialect = match config.protocol {
            Protocol::Smtp | Protocol::Submission => "ESMTP",
            Protocol::Lmtp => "LMTP",
        };
        replies.push(&Reply::plain(220, format!("{} {dialect} Magpie", config.hostname)));
        Self {
            config,
            now: peer.since,
            peer,
            hello: None,
            submitter: None,
            replies,
            conduct: Conduct::default(),
            lines: 0,
            abandoned: false,
            released: None,
            answering: Answering::Nothing,
        }
    }

    /// Whether a password may be sent now. SCRAM sends none, but who overhears it can try passwords at leisure, and could
    /// go on with the connection.
    pub(crate) fn may_send_password(&self) -> bool {
        self.peer.tls.is_some() || self.config.login.plaintext
    }

    /// The mechanisms that are on offer while nobody has logged in.
    pub(crate) fn mechanisms(&self) -> impl Iterator<Item = &'static str> {
        let offered = self.config.protocol == Protocol::Submission && self.may_send_password();
        let bound = self.peer.tls.as_ref().is_some_and(Tls::is_bindable);
        let mechanisms = self.config.login.mechanisms.iter().copied();
        mechanisms.filter(move |name| offered && (bound || !name.ends_with("-PLUS")))
    }

    pub(crate) fn reply(&mut self, reply: &Reply) {
        if let Answering::Command(verb) = self.answering
            && !reply.is_intermediate()
        {
            meters::count(self.config.protocol, verb, reply);
        }
        self.replies.push(reply);
    }

    /// Answers a command that did what it should.
    pub(crate) fn done(&mut self, reply: &Reply, rest: Rest) -> Phase {
        self.reply(reply);
        Phase::Command(rest)
    }

    /// Answers a command that is wrong, and leaves everything as it was.
    pub(crate) fn fail(&mut self, reply: &Reply, rest: Rest) -> Phase {
        self.conduct.error();
        self.done(reply, rest)
    }

    /// Answers with what is to be the last reply.
    pub(crate) fn close(&mut self, reply: &Reply, phase: Phase) -> Phase {
        if let Phase::Closed = phase {
            return phase;
        }
        self.reply(reply);
        self.reset(phase.into_message());
        Phase::Closed
    }

    /// Ends a mail transaction that did not succeed: every refusal of a message, every RSET, EHLO and closing goes
    /// through here. Nothing of the transaction survives, and the driver hears of it if it holds a part.
    pub(crate) fn reset(&mut self, message: Option<Message>) -> Rest {
        self.abandoned |= message.is_some_and(|message| message.is_with_driver());
        Rest::Idle
    }

    /// The client as it stands now, if it has introduced itself.
    pub(crate) fn client(&self) -> Option<Client> {
        Some(Client {
            address: self.peer.address,
            name: self.peer.name.clone(),
            hello: self.hello.clone()?,
            tls: self.peer.tls.clone(),
        })
    }
}
