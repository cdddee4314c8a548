//! One message's way through a connection.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{Expect, FailureKind, Outcome, Protocol, Session, Standing};
use crate::body::LineEncoder;
use crate::envelope::{Envelope, Written, write_address};
use crate::form::Form;
use crate::reply::Reply;

/// How much of a message goes into one BDAT.
const CHUNK: usize = 1 << 20;

/// A message that is to be sent over a connection.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// From whom to whom.
    pub envelope: Arc<Envelope>,
    /// In which form; it was chosen for this connection.
    pub form: Form,
    /// Octets of the message in that form, if they are known before it is converted.
    pub size: Option<u64>,
}

/// A transaction under way.
pub(super) struct Open {
    transaction: Transaction,
    /// Commands that wait for their turn.
    commands: VecDeque<(String, Expect)>,
    fates: Vec<Fate>,
    body: Body,
}

#[derive(Clone)]
enum Fate {
    /// No answer yet.
    Open,
    /// The peer will take the message for it.
    Accepted,
    Decided(Outcome),
}

enum Body {
    /// Not yet, or over.
    None,
    /// As lines, up to the dot.
    Lines(LineEncoder),
    /// In chunks.
    Chunks { encoder: Option<LineEncoder>, waiting: BytesMut },
}

impl Open {
    pub(super) const fn wants_body(&self) -> bool {
        !matches!(self.body, Body::None)
    }

    /// All outcomes, where this is that of everybody whose fate was open.
    pub(super) fn ended_by(self, outcome: &Outcome) -> Vec<Outcome> {
        let decide = |fate| match fate {
            Fate::Decided(outcome) => outcome,
            Fate::Open | Fate::Accepted => outcome.clone(),
        };
        self.fates.into_iter().map(decide).collect()
    }

    fn any_accepted(&self) -> bool {
        self.fates.iter().any(|fate| matches!(fate, Fate::Accepted))
    }

    /// Decides about all whose fate is open.
    fn decide_all(&mut self, outcome: &Outcome) {
        for fate in &mut self.fates {
            if !matches!(fate, Fate::Decided(_)) {
                *fate = Fate::Decided(outcome.clone());
            }
        }
    }

    fn decide(&mut self, number: usize, fate: Fate) {
        if let Some(open) = self.fates.get_mut(number)
            && !matches!(open, Fate::Decided(_))
        {
            *open = fate;
        }
    }

    /// The peer's answer about a recipient.
    fn recipient(&mut self, number: usize, reply: &Reply) {
        if reply.is_positive() {
            return self.decide(number, Fate::Accepted);
        }
        let mut outcome = Outcome::refused(reply, "the recipient");
        // Too many recipients: RFC 5321 §4.5.3.1.10 says 452, and that 552 means the same here. 552 with a status that
        // says otherwise, as of a full mailbox, is what it says.
        let is_count = match reply.code() {
            452 => true,
            552 => reply.status().is_none_or(|status| status.to_string() == "5.5.3"),
            _ => false,
        };
        if is_count && self.any_accepted() {
            outcome.standing = Standing::NextTransaction;
        } else if is_count {
            outcome.standing = Standing::Temporary;
        }
        self.decide(number, Fate::Decided(outcome));
    }
}

impl Session {
    /// Begins a transaction, and sends what can be sent of it.
    pub(super) fn start(&mut self, transaction: Transaction) {
        let utf8 = transaction.form.smtputf8;
        let envelope = transaction.envelope.clone();
        let mut open = Open {
            commands: VecDeque::new(),
            fates: vec![Fate::Open; envelope.recipients.len()],
            body: Body::None,
            transaction,
        };
        if std::mem::take(&mut self.dirty) {
            open.commands.push_back(("RSET".to_owned(), Expect::Reset));
        }
        match write_address(&envelope.sender, utf8) {
            Written::As(sender) => {
                open.commands.push_back((self.mail(&sender, &open.transaction), Expect::Mail))
            }
            Written::International => open.decide_all(&international("the sender's address")),
            Written::Malformed => {
                open.decide_all(&Outcome::permanent(1, 7, "the sender's address cannot be written"))
            }
        }
        for (number, recipient) in envelope.recipients.iter().enumerate() {
            match write_address(&recipient.address, utf8) {
                Written::As(address) => {
                    let command = format!("RCPT TO:<{address}>{}", recipient.parameters(&self.peer, utf8));
                    open.commands.push_back((command, Expect::Recipient(number)));
                }
                Written::International => open.decide(number, Fate::Decided(international("the address"))),
                Written::Malformed => {
                    let outcome = Outcome::permanent(1, 3, "the address cannot be written");
                    open.decide(number, Fate::Decided(outcome));
                }
            }
        }
        if !open.transaction.form.chunked {
            open.commands.push_back(("DATA".to_owned(), Expect::Data));
        }
        if open.fates.iter().all(|fate| matches!(fate, Fate::Decided(_))) {
            open.commands.clear();
        }
        self.open = Some(Box::new(open));
        self.pump();
    }

    fn mail(&self, sender: &str, transaction: &Transaction) -> String {
        let mut line = format!("MAIL FROM:<{sender}>");
        if let Some(size) = transaction.size.filter(|_| self.peer.sized) {
            line.push_str(&format!(" SIZE={size}"));
        }
        if let Some(kind) = transaction.form.body {
            line.push_str(" BODY=");
            line.push_str(kind);
        }
        if transaction.form.smtputf8 {
            line.push_str(" SMTPUTF8");
        }
        line.push_str(&transaction.envelope.mail_parameters(&self.peer));
        line
    }

    /// Sends the commands whose turn it is: all, if the peer takes them in a batch, else one. DATA ends a batch, so that
    /// nothing of the message is sent before the peer has said yes (RFC 2920 §3.1).
    fn pump(&mut self) {
        loop {
            let Some(open) = &mut self.open else { return };
            if !self.peer.pipelining && !self.expected.is_empty() {
                return;
            }
            // Whoever waits for each answer knows by now that there is nobody to send it to.
            if self.expected.is_empty()
                && open.commands.front().is_some_and(|(_, expect)| *expect == Expect::Data)
                && !open.any_accepted()
            {
                open.commands.clear();
            }
            match open.commands.pop_front() {
                Some((line, expect)) => self.command(&line, expect),
                None => return self.settle(),
            }
        }
    }

    /// All commands are sent. Where all are answered, too, the body follows or the transaction ends.
    fn settle(&mut self) {
        let Some(open) = &mut self.open else { return };
        if !self.expected.is_empty() || open.wants_body() {
            return;
        }
        if open.transaction.form.chunked && open.any_accepted() {
            let encoder = (open.transaction.form.body != Some("BINARYMIME")).then(LineEncoder::plain);
            open.body = Body::Chunks { encoder, waiting: BytesMut::new() };
            return;
        }
        self.finish(true);
    }

    fn finish(&mut self, dirty: bool) {
        if let Some(open) = self.open.take() {
            let unsaid = Outcome::temporary(5, 0, "the other side did not say what becomes of the recipient");
            self.dirty = dirty;
            self.finished = Some(open.ended_by(&unsaid));
        }
    }

    /// An answer to a command of the transaction.
    pub(super) fn carried(&mut self, expect: Expect, reply: &Reply) {
        let Some(open) = &mut self.open else { return };
        let refused = reply.is_temporary() || reply.is_permanent();
        let positive = reply.is_positive();
        match expect {
            Expect::Reset if positive => {}
            Expect::Mail if positive => {}
            Expect::Mail if refused => {
                open.decide_all(&Outcome::refused(reply, "the sender"));
                open.commands.clear();
            }
            Expect::Recipient(number) if positive || refused => open.recipient(number, reply),
            Expect::Data if reply.is_intermediate() => {
                if open.any_accepted() {
                    open.body = Body::Lines(LineEncoder::stuffed());
                } else {
                    self.line(".", Expect::EmptyEnd);
                }
            }
            Expect::Data if refused => {
                open.decide_all(&Outcome::refused(reply, "the message before it was sent"))
            }
            Expect::Chunk if positive => {}
            Expect::Chunk if refused => {
                open.decide_all(&Outcome::refused(reply, "a part of the message"));
                open.body = Body::None;
            }
            Expect::EmptyEnd => {}
            Expect::End(number) if positive || refused => return self.ended(number, reply),
            _ => return self.lost(FailureKind::OutOfTurn(reply.to_string())),
        }
        self.pump();
    }

    /// The answer to the whole message.
    fn ended(&mut self, number: Option<usize>, reply: &Reply) {
        let Some(open) = &mut self.open else { return };
        let outcome = match reply.is_positive() {
            false => Outcome::refused(reply, "the message"),
            true => Outcome {
                standing: Standing::Delivered { notifies: self.peer.dsn },
                status: reply.status().unwrap_or(crate::Status::OK),
                reply: Some(reply.to_string()),
                text: format!("the other side has taken the message: {reply}"),
            },
        };
        match number {
            Some(number) => open.decide(number, Fate::Decided(outcome)),
            None => open.decide_all(&outcome),
        }
        if self.expected.is_empty() {
            self.finish(false);
        }
    }

    /// The next piece of the message.
    pub fn body(&mut self, piece: &Bytes) {
        let Some(open) = &mut self.open else { return };
        match &mut open.body {
            Body::None => {}
            Body::Lines(encoder) => encoder.encode(piece, &mut self.output),
            Body::Chunks { encoder, waiting } => {
                match encoder {
                    Some(encoder) => encoder.encode(piece, waiting),
                    None => waiting.extend_from_slice(piece),
                }
                if waiting.len() >= CHUNK {
                    let chunk = waiting.split();
                    self.chunk(&chunk, false);
                }
            }
        }
    }

    /// The message is complete.
    pub fn body_end(&mut self) {
        let Some(open) = &mut self.open else { return };
        match std::mem::replace(&mut open.body, Body::None) {
            Body::None => return,
            Body::Lines(encoder) => encoder.finish(&mut self.output),
            Body::Chunks { encoder, mut waiting } => {
                if let Some(encoder) = encoder {
                    encoder.finish(&mut waiting);
                }
                self.chunk(&waiting, true);
            }
        }
        self.transcript.notes("the message");
        let Some(open) = &self.open else { return };
        let accepted = open.fates.iter().enumerate().filter(|(_, fate)| matches!(fate, Fate::Accepted));
        match self.config.protocol {
            Protocol::Smtp => self.expected.push_back(Expect::End(None)),
            Protocol::Lmtp => self.expected.extend(accepted.map(|(number, _)| Expect::End(Some(number)))),
        }
    }

    /// The message cannot be read on. There is no way to take back half of it but to break off.
    pub fn body_failed(&mut self, why: &str) {
        if self.open.as_ref().is_some_and(|open| open.wants_body()) {
            self.lost(FailureKind::Source(why.to_owned()));
        }
    }

    fn chunk(&mut self, chunk: &[u8], last: bool) {
        let line = format!("BDAT {}{}", chunk.len(), if last { " LAST" } else { "" });
        self.transcript.says(&line);
        self.output.extend_from_slice(line.as_bytes());
        self.output.extend_from_slice(b"\r\n");
        self.output.extend_from_slice(chunk);
        if !last {
            self.expected.push_back(Expect::Chunk);
        }
    }
}

fn international(what: &str) -> Outcome {
    let text = format!("{what} needs SMTPUTF8, which the other side does not have");
    Outcome::permanent(6, 7, text)
}
