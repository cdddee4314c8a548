//! IMAP's framer, the commands, and the small grammars in them.

use bytes::BytesMut;
use imap::wire::command::{Tagged, parse};
use imap::wire::{Cursor, Frame, Framed, Framer, Limits, MessageSet, Section, decode_utf7, encode_utf7};

/// What a stream comes to: what the framer hands out, and what the commands mean.
#[derive(PartialEq, Debug, Default)]
struct Heard {
    framed: Vec<Framed>,
    commands: Vec<Option<Tagged>>,
    /// APPEND's messages, whatever pieces they came in.
    data: Vec<u8>,
}

pub fn run(data: &[u8]) {
    let (&choice, stream) = data.split_first().unwrap_or((&0, b""));
    let (accepts, logged_in) = (choice & 1 != 0, choice & 2 != 0);
    let whole = listen(stream, usize::MAX, accepts, logged_in);
    for piece in [1, 2 + usize::from(choice >> 2)] {
        assert_eq!(whole, listen(stream, piece, accepts, logged_in), "in pieces of {piece}");
    }
    small_grammars(stream);
}

fn listen(stream: &[u8], piece: usize, accepts: bool, logged_in: bool) -> Heard {
    let limits = Limits {
        line: 200,
        literal_before_login: 100,
        literal: 300,
        append: 500,
        literals: 5,
        command: 1000,
        command_before_login: 400,
        ..Limits::default()
    };
    let mut framer = Framer::new(limits);
    if logged_in {
        framer.logged_in();
    }
    let (mut heard, mut input) = (Heard::default(), BytesMut::new());
    for packet in stream.chunks(piece.min(stream.len().max(1))) {
        input.extend_from_slice(packet);
        loop {
            let framed = framer.next(&mut input);
            match &framed {
                Framed::NeedInput => break,
                Framed::Data(bytes) => {
                    assert!(!bytes.is_empty());
                    heard.data.extend_from_slice(bytes);
                    continue;
                }
                Framed::Append { head, .. } => {
                    heard.commands.push(read(head));
                    let _ = if accepts { framer.accept_append() } else { framer.refuse_append() };
                }
                Framed::Command(frame) | Framed::Tail(frame) => heard.commands.push(read(frame)),
                Framed::Fatal(_) => {
                    heard.framed.push(framed);
                    return heard;
                }
                Framed::Continue | Framed::Refused { .. } => {}
            }
            heard.framed.push(framed);
        }
        assert!(input.len() <= 1200, "{} bytes are held", input.len());
    }
    heard
}

fn read(frame: &Frame) -> Option<Tagged> {
    let tagged = parse(frame).ok();
    // The same command in the same words once more: parsing has no memory.
    assert_eq!(tagged, parse(frame).ok());
    tagged
}

fn small_grammars(bytes: &[u8]) {
    if let Ok(name) = decode_utf7(bytes) {
        assert_eq!(decode_utf7(encode_utf7(&name).as_bytes()).as_deref(), Ok(name.as_str()));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(decode_utf7(encode_utf7(text).as_bytes()).as_deref(), Ok(text));
    }
    let frame = Frame::line(bytes.to_vec());
    if let Ok(MessageSet::Numbers(set)) = MessageSet::parse(&mut Cursor::new(&frame)) {
        for largest in [1, 77, u32::MAX] {
            let ranges = set.resolve(largest);
            assert!(ranges.iter().all(|(first, last)| first <= last && *first > 0));
            assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0), "{ranges:?}");
        }
    }
    let _either = Section::parse(&mut Cursor::new(&frame));
}
