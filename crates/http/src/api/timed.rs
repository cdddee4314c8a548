//! The octets of a WebSocket with an eye on when its messages end.
//!
//! A message may come in fragments, and between them may come frames that show that the client is there (RFC 6455 §5.4). Who
//! reads messages sees those frames, and nothing of the fragments that pile up meanwhile: here they are seen.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// The last frame of a message.
const LAST: u8 = 0x80;
/// A frame that is no part of a message.
const CONTROL: u8 = 0x08;
/// A frame whose content comes behind a key.
const MASKED: u8 = 0x80;

/// A stream of frames whose messages may take so long and no longer, from their first octet to their last.
pub(super) struct Timed<S> {
    stream: S,
    time: Duration,
    position: Position,
    /// Runs while a message is not all there.
    waiting: Option<Pin<Box<Sleep>>>,
}

/// A position in a stream of frames (RFC 6455 §5.2).
#[derive(Default)]
struct Position {
    next: Next,
    /// Whether the message goes on after this frame.
    goes_on: bool,
}

/// What comes next of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Next {
    #[default]
    Kind,
    Length,
    /// So many octets of a length that begins like this, and before the content so many of a key.
    Longer(u8, u64, u64),
    /// So many octets of key and content. It is never none.
    Rest(u64),
}

impl<S> Timed<S> {
    pub(super) fn new(stream: S, time: Duration) -> Self {
        Self { stream, time, position: Position::default(), waiting: None }
    }
}

impl Position {
    /// Moves on behind these octets. Says whether a message ended among them, or a frame where there was none.
    fn pass(&mut self, mut octets: &[u8]) -> bool {
        let mut ended = false;
        while let Some((&octet, rest)) = octets.split_first() {
            octets = rest;
            self.next = match self.next {
                Next::Kind => {
                    if octet & CONTROL == 0 {
                        self.goes_on = octet & LAST == 0;
                    }
                    Next::Length
                }
                Next::Length => {
                    let key = if octet & MASKED == 0 { 0 } else { 4 };
                    match octet & !MASKED {
                        126 => Next::Longer(2, 0, key),
                        127 => Next::Longer(8, 0, key),
                        length => Next::Rest(key + u64::from(length)),
                    }
                }
                Next::Longer(left, length, key) => {
                    let length = (length << 8) | u64::from(octet);
                    match left.saturating_sub(1) {
                        0 => Next::Rest(length.saturating_add(key)),
                        left => Next::Longer(left, length, key),
                    }
                }
                Next::Rest(left) => {
                    let left = left.saturating_sub(1);
                    let more = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    octets = rest.get(more..).unwrap_or_default();
                    Next::Rest(left - more as u64)
                }
            };
            if self.next == Next::Rest(0) {
                self.next = Next::Kind;
                ended |= !self.goes_on;
            }
        }
        ended
    }

    /// Whether nothing has begun that is not at its end.
    fn is_between(&self) -> bool {
        self.next == Next::Kind && !self.goes_on
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let poll = Pin::new(&mut this.stream).poll_read(cx, buf);
        if this.position.pass(buf.filled().get(before..).unwrap_or_default()) {
            this.waiting = None;
        }
        if this.position.is_between() {
            return poll;
        }
        let until = Instant::now() + this.time;
        let waiting = this.waiting.get_or_insert_with(|| Box::pin(sleep_until(until)));
        // Also when there is something to read: who sends an octet now and then does not get more time for it.
        match waiting.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut))),
            Poll::Pending => poll,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [1, 2, 3, 4];

    fn frame(first: u8, length: &[u8], content: usize) -> Vec<u8> {
        [&[first][..], length, &KEY[..], &vec![0xff; content][..]].concat()
    }

    #[test]
    fn where_a_message_ends() {
        let (begin, more, end) = (0x01, 0x00, 0x80);
        let (text, ping) = (0x81, 0x89);
        let messages = [
            frame(text, &[0x80], 0),
            frame(text, &[0x85], 5),
            frame(text, &[0xfe, 0x01, 0x02], 0x102),
            frame(text, &[0xff, 0, 0, 0, 0, 0, 1, 0, 3], 0x1_0003),
            frame(ping, &[0x83], 3),
            [
                frame(begin, &[0x82], 2),
                frame(ping, &[0x83], 3),
                frame(more, &[0x80], 0),
                frame(ping, &[0x80], 0),
                frame(end, &[0x81], 1),
            ]
            .concat(),
            // Not masked, and empty.
            vec![text, 0],
        ];
        for message in &messages {
            let (last, others) = message.split_last().unwrap();
            let mut position = Position::default();
            for octet in others {
                assert!(!position.pass(&[*octet]) && !position.is_between(), "{others:?}");
            }
            assert!(position.pass(&[*last]) && position.is_between(), "{message:?}");
            // All at once, with the beginning of the next.
            let mut position = Position::default();
            assert!(!position.pass(others));
            assert!(position.pass(&[&[*last][..], others].concat()) && !position.is_between());
            assert!(position.pass(&[*last]) && position.is_between());
        }
        let mut position = Position::default();
        assert!(position.pass(&messages.concat()) && position.is_between());
    }

    #[test]
    fn a_length_without_end() {
        let mut position = Position::default();
        assert!(!position.pass(&frame(0x81, &[0xff; 9], 100)));
        assert_eq!(position.next, Next::Rest(u64::MAX - 104));
    }
}
