//! Cuts the byte stream into commands: lines, and the literals that they announce (RFC 9051 §4.3, RFC 7888).
//!
//! The framer looks at nothing but line ends and `{n}` before them. That is what keeps the stream in step
//! when a command is refused: the bytes of a non-synchronising literal are swallowed before anything else
//! is read, whatever the parser thinks of the command, and a literal too large to swallow ends the session.
//!
//! Memory is bounded before it is spent: a literal's size is checked when it is announced, and nothing is
//! reserved for it. The messages of APPEND and REPLACE are handed on as they arrive.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use super::limits::Limits;

/// How much of the end of an overlong line is kept, to see whether a literal follows it.
const TAIL: usize = 32;

/// One command: text and the literals between. Starts and ends with a text, which may be empty; texts carry
/// neither the `{n}` of the literal that follows nor the CRLF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    pieces: Vec<Piece>,
}

/// A part of a [`Frame`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// What stands on a line.
    Text(Bytes),
    /// `{n}`: any bytes.
    Literal(Bytes),
    /// `~{n}`: any bytes, NUL included (RFC 9051 §4.3).
    Literal8(Bytes),
}

/// What [`Framer::next`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framed {
    /// Nothing whole yet; read more and call again.
    NeedInput,
    /// A synchronising literal is welcome: send a `+` continuation and call again.
    Continue,
    /// A whole command.
    Command(Frame),
    /// APPEND or REPLACE up to a message. Answer with [`Framer::accept_append`] or [`Framer::refuse_append`].
    Append {
        /// What stands before the message: the command, or whatever follows the message before.
        head: Frame,
        /// The message's size in bytes.
        size: u64,
        /// `~{n}`: it may hold NUL.
        eight: bool,
    },
    /// The next bytes of a message.
    Data(Bytes),
    /// What follows the last message; empty in most commands.
    Tail(Frame),
    /// A command that was refused and is out of the way.
    Refused {
        /// The command's tag, if it could be told.
        tag: Option<Bytes>,
        /// Why.
        error: FrameError,
    },
    /// The stream cannot be kept in step; say BYE and close.
    Fatal(FrameError),
}

/// Why the framer refused a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// A line longer than [`Limits::line`].
    #[error("the line is longer than {0} bytes")]
    LineTooLong(usize),
    /// A line that ends with LF alone.
    #[error("a line must end with CRLF")]
    BareLf,
    /// A literal above its limit.
    #[error("the literal is larger than {0} bytes")]
    LiteralTooLarge(u64),
    /// A message is larger than [`Limits::append`].
    #[error("the message is larger than {0} bytes")]
    MessageTooLarge(u64),
    /// The messages of one command are larger than [`Limits::append_together`].
    #[error("the messages of one command are larger than {0} bytes together")]
    MessagesTooLarge(u64),
    /// More literals than [`Limits::literals`].
    #[error("the command has more than {0} literals")]
    TooManyLiterals(usize),
    /// More text and literals than [`Limits::command`].
    #[error("the command is larger than {0} bytes")]
    CommandTooLarge(usize),
}

/// The incremental reader of one connection.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    logged_in: bool,
    state: State,
    frame: Frame,
    /// Bytes held in `frame`.
    held: usize,
    literals: usize,
    /// How much of the input was searched for LF without success.
    searched: usize,
    /// Bytes of an overlong line that were thrown away.
    dropped: u64,
    /// Bytes of messages that this command has announced so far.
    messages: u64,
    tag: Option<Bytes>,
    refusal: Option<FrameError>,
    /// The client has its answer already: what is left of the command is swallowed without a word.
    answered: bool,
    /// How many more bytes of a refused command are swallowed before the session is given up.
    patience: u64,
    tail: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Line,
    /// Dropping the rest of an overlong line.
    LongLine,
    Literal {
        size: usize,
        eight: bool,
    },
    /// Handed out what stands before a message; the session has not decided yet.
    Deciding {
        size: u64,
        synchronising: bool,
    },
    Append {
        left: u64,
    },
    AppendTail,
    Discard {
        left: u64,
    },
}

/// `{n}` at the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Announcement {
    /// Where the text before it ends.
    text: usize,
    /// `None` if the number is beyond all reason.
    size: Option<u64>,
    synchronising: bool,
    eight: bool,
}

impl Frame {
    /// The texts and literals in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// A command on one line, for tests and for clients.
    pub fn line(text: impl Into<Bytes>) -> Self {
        Self { pieces: vec![Piece::Text(text.into())] }
    }

    /// Whether there is neither text nor literal.
    pub fn is_empty(&self) -> bool {
        self.pieces.iter().all(|p| matches!(p, Piece::Text(t) if t.is_empty()))
    }
}

impl Framer {
    /// A framer for a connection on which nobody has logged in.
    pub fn new(limits: Limits) -> Self {
        let patience = limits.command_before_login as u64;
        Self {
            limits,
            logged_in: false,
            state: State::Line,
            frame: Frame::default(),
            held: 0,
            literals: 0,
            searched: 0,
            dropped: 0,
            messages: 0,
            tag: None,
            refusal: None,
            answered: false,
            patience,
            tail: Vec::new(),
        }
    }

    /// From now on the limits after login hold.
    pub fn logged_in(&mut self) {
        self.logged_in = true;
        self.patience = self.full_patience();
    }

    /// From now on the limits before login hold again.
    pub fn logged_out(&mut self) {
        self.logged_in = false;
        self.patience = self.full_patience();
    }

    /// Takes from `input` what it can.
    pub fn next(&mut self, input: &mut BytesMut) -> Framed {
        loop {
            match self.state {
                State::LongLine if self.dropped > self.most_dropped() => {
                    let error = FrameError::LineTooLong(self.limits.line);
                    self.reset();
                    return Framed::Fatal(error);
                }
                State::Line | State::LongLine | State::AppendTail => match self.line(input) {
                    Some(line) => {
                        if let Some(framed) = self.end_of_line(line) {
                            return framed;
                        }
                    }
                    None if self.dropped > self.most_dropped() => {}
                    None => return Framed::NeedInput,
                },
                State::Literal { size, eight } => {
                    if input.len() < size {
                        return Framed::NeedInput;
                    }
                    let bytes = input.split_to(size).freeze();
                    self.frame.pieces.push(if eight {
                        Piece::Literal8(bytes)
                    } else {
                        Piece::Literal(bytes)
                    });
                    self.state = State::Line;
                }
                State::Deciding { .. } => return Framed::NeedInput,
                State::Append { left: 0 } => self.state = State::AppendTail,
                State::Append { left } => {
                    let now = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    if now == 0 {
                        return Framed::NeedInput;
                    }
                    self.state = State::Append { left: left - now as u64 };
                    return Framed::Data(input.split_to(now).freeze());
                }
                State::Discard { left: 0 } => self.state = State::Line,
                State::Discard { left } => {
                    let now = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    if now == 0 {
                        return Framed::NeedInput;
                    }
                    input.advance(now);
                    self.state = State::Discard { left: left - now as u64 };
                }
            }
        }
    }

    /// Takes one line that is not a command: an answer to a SASL challenge, or IDLE's `DONE`. Literals have
    /// no meaning here. Yields [`Framed::Command`] with one text, or a refusal.
    pub fn next_line(&mut self, input: &mut BytesMut) -> Framed {
        let Some(line) = self.line(input) else { return Framed::NeedInput };
        match self.refusal {
            Some(error) => {
                self.reset();
                Framed::Refused { tag: None, error }
            }
            None => {
                self.reset();
                Framed::Command(Frame::line(line))
            }
        }
    }

    /// Lets a message come. True if the client waits for a `+` continuation.
    pub fn accept_append(&mut self) -> bool {
        match self.state {
            State::Deciding { size, synchronising } => {
                self.state = State::Append { left: size };
                synchronising
            }
            _ => false,
        }
    }

    /// Refuses a message, or what is left of it: whatever the client sends of it, and what follows to the end
    /// of the command, further messages included, is swallowed and then reported as [`Framed::Tail`]. True if
    /// that is still to come; false if the command is over, because it has ended or because the client waits for a
    /// continuation that it does not get.
    pub fn refuse_append(&mut self) -> bool {
        self.answered = true;
        match self.state {
            State::Deciding { size: left, synchronising: false } | State::Append { left } => {
                self.state = State::Append { left };
                true
            }
            State::AppendTail => true,
            _ => {
                self.reset();
                false
            }
        }
    }

    fn full_patience(&self) -> u64 {
        let held = if self.logged_in { self.limits.command } else { self.limits.command_before_login } as u64;
        if self.logged_in { self.limits.append.saturating_add(held) } else { held }
    }

    /// How much of an overlong line is thrown away before the session is given up.
    fn most_dropped(&self) -> u64 {
        self.full_patience().max(1 << 20)
    }

    fn reset(&mut self) {
        self.state = State::Line;
        self.frame = Frame::default();
        self.held = 0;
        self.literals = 0;
        self.dropped = 0;
        self.messages = 0;
        self.tag = None;
        self.refusal = None;
        self.answered = false;
        self.patience = self.full_patience();
        self.tail.clear();
    }

    /// The next line without its end, or `None` if it is not here yet. Of an overlong line only the end.
    fn line(&mut self, input: &mut BytesMut) -> Option<Bytes> {
        let fresh = input.get(self.searched..).unwrap_or_default();
        let Some(at) = fresh.iter().position(|b| *b == b'\n') else {
            self.searched = input.len();
            if self.searched > self.limits.line + 1 || self.state == State::LongLine {
                self.begin_long_line(input);
                self.keep_tail(input);
                self.dropped += input.len() as u64;
                input.clear();
                self.searched = 0;
            }
            return None;
        };
        let end = self.searched + at;
        self.searched = 0;
        let mut line = input.split_to(end + 1);
        line.truncate(end);
        let overlong = self.state == State::LongLine || end > self.limits.line + 1;
        if overlong {
            self.begin_long_line(&line);
            self.keep_tail(&line);
            line.clear();
            line.extend_from_slice(&self.tail);
            self.tail.clear();
            self.state = State::Line;
        }
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        } else {
            self.refusal.get_or_insert(FrameError::BareLf);
        }
        Some(line.freeze())
    }

    fn begin_long_line(&mut self, so_far: &[u8]) {
        if self.state != State::LongLine {
            self.learn_tag(so_far);
            self.refusal.get_or_insert(FrameError::LineTooLong(self.limits.line));
            self.state = State::LongLine;
        }
    }

    fn keep_tail(&mut self, more: &[u8]) {
        let new = more.get(more.len().saturating_sub(TAIL)..).unwrap_or_default();
        self.tail.extend_from_slice(new);
        let excess = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..excess);
    }

    fn learn_tag(&mut self, line: &[u8]) {
        if self.tag.is_none() && self.frame.pieces.is_empty() {
            let end = line.iter().position(|b| *b == b' ').unwrap_or(0);
            let tag = line.get(..end).unwrap_or_default();
            if !tag.is_empty() && tag.len() <= 64 && tag.iter().all(|b| super::cursor::is_tag_char(*b)) {
                self.tag = Some(Bytes::copy_from_slice(tag));
            }
        }
    }

    fn end_of_line(&mut self, line: Bytes) -> Option<Framed> {
        self.learn_tag(&line);
        let Some(announced) = announcement(&line) else { return Some(self.end_of_command(line)) };
        let message = self.state == State::AppendTail || self.is_message(&line, announced);
        let error = self.refusal.or_else(|| self.objection(announced, message));
        if let Some(error) = error {
            return self.refuse(announced, error);
        }
        self.held += line.len();
        self.literals += 1;
        self.frame.pieces.push(Piece::Text(line.slice(..announced.text)));
        let size = announced.size.unwrap_or(0);
        if message && self.answered {
            // Further messages of a command that was refused.
            if announced.synchronising {
                self.reset();
                return Some(Framed::Tail(Frame::default()));
            }
            self.frame = Frame::default();
            self.state = State::Append { left: size };
            self.messages += size;
            return None;
        }
        if message {
            self.messages += size;
            self.state = State::Deciding { size, synchronising: announced.synchronising };
            return Some(Framed::Append {
                head: std::mem::take(&mut self.frame),
                size,
                eight: announced.eight,
            });
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.held += size;
        self.state = State::Literal { size, eight: announced.eight };
        announced.synchronising.then_some(Framed::Continue)
    }

    fn end_of_command(&mut self, line: Bytes) -> Framed {
        if self.answered {
            self.reset();
            return Framed::Tail(Frame::default());
        }
        if let Some(error) = self.refusal {
            let tag = self.tag.take();
            self.reset();
            return Framed::Refused { tag, error };
        }
        let tail = self.state == State::AppendTail;
        let too_large = self.held + line.len() > self.command_limit();
        let mut frame = std::mem::take(&mut self.frame);
        frame.pieces.push(Piece::Text(line));
        let tag = self.tag.take();
        self.reset();
        if too_large {
            Framed::Refused { tag, error: FrameError::CommandTooLarge(self.command_limit()) }
        } else if tail {
            Framed::Tail(frame)
        } else {
            Framed::Command(frame)
        }
    }

    /// A refused command with a literal to come: swallow it, or end the command, or end the session.
    fn refuse(&mut self, announced: Announcement, error: FrameError) -> Option<Framed> {
        self.frame = Frame::default();
        if announced.synchronising {
            let (tag, answered) = (self.tag.take(), self.answered);
            self.reset();
            return Some(if answered {
                Framed::Tail(Frame::default())
            } else {
                Framed::Refused { tag, error }
            });
        }
        match announced.size.and_then(|size| Some((size, self.patience.checked_sub(size)?))) {
            Some((left, patience)) => {
                self.patience = patience;
                self.refusal = Some(error);
                self.state = State::Discard { left };
                None
            }
            None => {
                self.reset();
                Some(Framed::Fatal(error))
            }
        }
    }

    fn command_limit(&self) -> usize {
        if self.logged_in { self.limits.command } else { self.limits.command_before_login }
    }

    fn objection(&self, announced: Announcement, message: bool) -> Option<FrameError> {
        let literal =
            if self.logged_in { self.limits.literal } else { self.limits.literal_before_login } as u64;
        let limit = if message { self.limits.append } else { literal };
        let size = announced.size.unwrap_or(u64::MAX);
        let command = self.command_limit();
        let together = self.limits.append_together;
        if size > limit && message {
            Some(FrameError::MessageTooLarge(limit))
        } else if message && self.messages.saturating_add(size) > together {
            Some(FrameError::MessagesTooLarge(together))
        } else if size > limit {
            Some(FrameError::LiteralTooLarge(limit))
        } else if self.literals >= self.limits.literals {
            Some(FrameError::TooManyLiterals(self.limits.literals))
        } else if !message && self.held as u64 + announced.text as u64 + size > command as u64 {
            Some(FrameError::CommandTooLarge(command))
        } else {
            None
        }
    }

    /// Whether a literal is a message. The only other literal in APPEND and REPLACE is the mailbox's name, and that
    /// stands in a fixed place.
    fn is_message(&self, line: &[u8], announced: Announcement) -> bool {
        let first = match self.frame.pieces.first() {
            Some(Piece::Text(text)) => text,
            _ => line.get(..announced.text).unwrap_or_default(),
        };
        let Some(place) = mailbox_place(first).filter(|_| self.logged_in) else { return false };
        let in_first_line = self.frame.pieces.is_empty();
        let named = first.splitn(place + 1, |b| *b == b' ').nth(place).is_some_and(|word| !word.is_empty());
        !in_first_line || named
    }
}

/// Which word of a command that carries messages is its mailbox.
fn mailbox_place(line: &[u8]) -> Option<usize> {
    let mut words = line.split(|b| *b == b' ').skip(1);
    let verb = words.next()?;
    if verb.eq_ignore_ascii_case(b"APPEND") {
        Some(2)
    } else if verb.eq_ignore_ascii_case(b"REPLACE") {
        Some(3)
    } else {
        let by_uid = verb.eq_ignore_ascii_case(b"UID") && words.next()?.eq_ignore_ascii_case(b"REPLACE");
        by_uid.then_some(4)
    }
}

/// `{n}`, `{n+}`, `~{n}` or `~{n+}` at the end of a line. Where an overlong line was cut and shows only the end of the
/// number, the size is `None`.
fn announcement(line: &[u8]) -> Option<Announcement> {
    let inner = line.strip_suffix(b"}")?;
    let (inner, synchronising) = match inner.strip_suffix(b"+") {
        Some(inner) => (inner, false),
        None => (inner, true),
    };
    let digits = inner.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (before, number) = inner.split_at(inner.len() - digits);
    if digits == 0 {
        return None;
    }
    let Some(before) = before.strip_suffix(b"{") else {
        let cut = before.is_empty();
        return cut.then_some(Announcement { text: 0, size: None, synchronising, eight: false });
    };
    let size = number.iter().try_fold(0_u64, |sum, b| sum.checked_mul(10)?.checked_add(u64::from(b - b'0')));
    let size = size.filter(|n| *n <= u64::from(u32::MAX) << 16);
    let (text, eight) = match before.strip_suffix(b"~") {
        Some(text) => (text.len(), true),
        None => (before.len(), false),
    };
    Some(Announcement { text, size, synchronising, eight })
}

#[cfg(test)]
mod tests;
