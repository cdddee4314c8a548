//! Any message at all: what goes over the wire is what was meant.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::BytesMut;
use mail_parser::{MessageParser, PartType};
use proptest::prelude::*;
use relay::{Converter, LineEncoder, Survey, Surveyor};

/// Octets in which line ends and dots are likely.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a'), any::<u8>()];
    prop::collection::vec(octet, 0..200)
}

/// What a receiver makes of it (RFC 5321 §4.5.2): the lines up to the dot, and what is left.
fn receive(wire: &[u8]) -> (Vec<u8>, &[u8]) {
    let (mut body, mut rest) = (Vec::new(), wire);
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").expect("a line ends") + 2;
        let (line, after) = rest.split_at(end);
        rest = after;
        if line == b".\r\n" {
            return (body, rest);
        }
        body.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
}

/// Lines of text, in whatever way they end.
fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    let text =
        String::from_utf8(text.iter().map(|b| if b.is_ascii() { *b } else { b'x' }).collect()).unwrap();
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.strip_suffix('\n').unwrap_or(&text).split('\n').map(|line| line.as_bytes().to_vec()).collect()
}

fn survey(message: &[u8]) -> Survey {
    let mut surveyor = Surveyor::default();
    surveyor.read(message);
    surveyor.finish()
}

fn convert(message: &[u8], step: usize) -> Vec<u8> {
    let mut converter = Converter::new(&survey(message));
    let mut out: Vec<u8> = message.chunks(step).flat_map(|piece| converter.convert(piece)).collect();
    out.extend(converter.finish());
    out
}

proptest! {
    #[test]
    fn lines_arrive_as_they_were(body in octets(), step in 1..50_usize) {
        let (mut encoder, mut wire) = (LineEncoder::stuffed(), BytesMut::new());
        body.chunks(step).for_each(|piece| encoder.encode(piece, &mut wire));
        encoder.finish(&mut wire);
        let bare = |pair: &[u8]| (pair[1] == b'\n') != (pair[0] == b'\r');
        prop_assert!(!wire.windows(2).any(bare), "a lone CR or LF");
        let (received, rest) = receive(&wire);
        prop_assert!(rest.is_empty(), "what follows the dot would be a command");
        if !body.is_empty() {
            prop_assert_eq!(lines(&received), lines(&body));
        }
        prop_assert_eq!(survey(&body).size, received.len() as u64, "the size that was announced");
    }

    #[test]
    fn a_conversion_changes_nothing_that_is_read(
        texts in prop::collection::vec("[a-zöß한= \t\r\n.-]{0,120}", 1..4),
        data in prop::collection::vec(any::<u8>(), 0..200),
        step in 1..90_usize,
    ) {
        let mut message = b"From: a@b.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=b=\"\r\n\r\nbefore\r\n".to_vec();
        for text in &texts {
            let text = text.replace(['\r', '\n'], "\r\n");
            message.extend_from_slice(
                format!("--=b=\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n").as_bytes(),
            );
        }
        message.extend_from_slice(b"--=b=\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n");
        message.extend_from_slice(&data);
        message.extend_from_slice(b"\r\n--=b=--\r\nafter\r\n");

        let converted = convert(&message, step);
        prop_assert!(converted.is_ascii());
        let found = survey(&converted);
        prop_assert!(!found.eight_bit && !found.header && !found.binary);
        prop_assert_eq!(&convert(&converted, 7), &converted, "nothing is left to convert");
        let limit = converted.split(|b| *b == b'\n').map(<[u8]>::len).max().unwrap();
        prop_assert!(limit <= 998);

        let (before, after) = (MessageParser::new().parse(&message).unwrap(), MessageParser::new().parse(&converted).unwrap());
        prop_assert_eq!(before.parts.len(), after.parts.len());
        for (one, other) in before.parts.iter().zip(&after.parts) {
            match (&one.body, &other.body) {
                (PartType::Text(one), PartType::Text(other)) => prop_assert_eq!(one, other),
                (PartType::Binary(one), PartType::Binary(other))
                | (PartType::InlineBinary(one), PartType::InlineBinary(other)) => prop_assert_eq!(one, other),
                (PartType::Multipart(one), PartType::Multipart(other)) => prop_assert_eq!(one, other),
                (one, other) => prop_assert!(false, "{:?} became {:?}", one, other),
            }
        }
    }

    #[test]
    fn anything_can_be_surveyed_and_converted(message in octets(), step in 1..50_usize) {
        let mut surveyor = Surveyor::default();
        message.chunks(step).for_each(|piece| surveyor.read(piece));
        prop_assert_eq!(surveyor.finish(), survey(&message));
        prop_assert_eq!(convert(&message, step), convert(&message, 1000));
    }
}

#[test]
fn a_message_without_mime_becomes_one_with() {
    let converted = convert("Subject: x\r\n\r\nköln\r\n".as_bytes(), 9);
    assert_eq!(
        String::from_utf8(converted).unwrap(),
        "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\nk=C3=B6ln\r\n"
    );
}
