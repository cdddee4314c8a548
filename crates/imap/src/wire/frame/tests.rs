use super::*;

fn framer(logged_in: bool) -> Framer {
    let mut framer = Framer::new(Limits::default());
    if logged_in {
        framer.logged_in();
    }
    framer
}

fn text(s: &'static str) -> Piece {
    Piece::Text(Bytes::from_static(s.as_bytes()))
}

fn literal(s: &'static str) -> Piece {
    Piece::Literal(Bytes::from_static(s.as_bytes()))
}

fn command(framed: Framed) -> Vec<Piece> {
    match framed {
        Framed::Command(frame) => frame.pieces,
        other => panic!("{other:?}"),
    }
}

#[test]
fn lines_and_literals_come_apart() {
    let mut framer = framer(false);
    let mut input = BytesMut::from(&b"a NOOP\r\na LOGIN {3}\r\nbob {4+}\r\np\r\nw x\r\n"[..]);
    assert_eq!(command(framer.next(&mut input)), [text("a NOOP")]);
    assert_eq!(framer.next(&mut input), Framed::Continue);
    let whole = [text("a LOGIN "), literal("bob"), text(" "), literal("p\r\nw"), text(" x")];
    assert_eq!(command(framer.next(&mut input)), whole);
    assert_eq!(framer.next(&mut input), Framed::NeedInput);
}

#[test]
fn byte_by_byte_is_the_same() {
    let mut framer = framer(false);
    let mut input = BytesMut::new();
    let mut seen = Vec::new();
    for byte in b"a LOGIN {3+}\r\nbob ~{4+}\r\np\r\nw\r\nb NOOP\r\n" {
        input.extend_from_slice(&[*byte]);
        match framer.next(&mut input) {
            Framed::NeedInput => {}
            framed => seen.push(framed),
        }
    }
    assert_eq!(seen.len(), 2);
    let eight = Piece::Literal8(Bytes::from_static(b"p\r\nw"));
    assert_eq!(command(seen.remove(0)), [text("a LOGIN "), literal("bob"), text(" "), eight, text("")]);
}

#[test]
fn a_huge_literal_before_login_is_fatal_without_allocation() {
    let mut framer = framer(false);
    let mut input = BytesMut::from(&b"a LOGIN {4294967295+}\r\n"[..]);
    assert!(matches!(framer.next(&mut input), Framed::Fatal(FrameError::LiteralTooLarge(8192))));
    let mut input = BytesMut::from(&b"a LOGIN {99999999999999999999999999999999+}\r\n"[..]);
    assert!(matches!(framer.next(&mut input), Framed::Fatal(_)));
}

#[test]
fn a_refused_literal_never_becomes_a_command() {
    let mut framer = framer(false);
    let mut input = BytesMut::from(&b"a LOGIN {8194+}\r\n"[..]);
    input.extend_from_slice(&b"\r\nx LOGOUT\r\n".repeat(1000)[..8194]);
    input.extend_from_slice(b" {6+}\r\nb NO\r\nOP\r\nc NOOP\r\n");
    let refused = framer.next(&mut input);
    assert_eq!(
        refused,
        Framed::Refused { tag: Some(Bytes::from_static(b"a")), error: FrameError::LiteralTooLarge(8192) }
    );
    assert_eq!(command(framer.next(&mut input)), [text("c NOOP")]);
}

#[test]
fn a_refused_synchronising_literal_ends_the_command() {
    let mut framer = framer(true);
    let mut input = BytesMut::from(&b"a SELECT {131073}\r\nb NOOP\r\n"[..]);
    assert!(matches!(framer.next(&mut input), Framed::Refused { error: FrameError::LiteralTooLarge(_), .. }));
    assert_eq!(command(framer.next(&mut input)), [text("b NOOP")]);
}

#[test]
fn an_overlong_line_is_swallowed_with_its_literals() {
    let mut framer = framer(true);
    let mut input = BytesMut::from(&b"tag7 SEARCH "[..]);
    let mut refused = None;
    for _ in 0..1000 {
        input.extend_from_slice(&[b'x'; 1000]);
        assert_eq!(framer.next(&mut input), Framed::NeedInput);
        assert!(input.len() <= 9000);
    }
    input.extend_from_slice(b" {9+}\r\nb LOGOUT\r\nc NOOP\r\nd NOOP\r\n");
    while refused.is_none() {
        match framer.next(&mut input) {
            Framed::Refused { tag, error } => refused = Some((tag, error)),
            other => panic!("{other:?}"),
        }
    }
    let tag = Some(Bytes::from_static(b"tag7"));
    assert_eq!(refused, Some((tag, FrameError::LineTooLong(8192))));
    assert_eq!(command(framer.next(&mut input)), [text("c NOOP")]);
}

#[test]
fn a_size_hidden_by_an_overlong_line_is_fatal() {
    let mut framer = framer(true);
    let mut input = BytesMut::from(&b"a SEARCH {"[..]);
    input.extend_from_slice(&[b'0'; 9000]);
    input.extend_from_slice(b"5+}\r\n");
    assert_eq!(framer.next(&mut input), Framed::Fatal(FrameError::LineTooLong(8192)));
}

#[test]
fn bare_lf_is_refused_and_over() {
    let mut framer = framer(true);
    let mut input = BytesMut::from(&b"a NOOP\nb NOOP\r\n"[..]);
    assert!(matches!(framer.next(&mut input), Framed::Refused { error: FrameError::BareLf, .. }));
    assert_eq!(command(framer.next(&mut input)), [text("b NOOP")]);
}

#[test]
fn append_streams_its_message() {
    let mut framer = framer(true);
    let mut input = BytesMut::from(&b"a APPEND {5}\r\nINBOX (\\Seen) {10}\r\n"[..]);
    assert_eq!(framer.next(&mut input), Framed::Continue);
    let Framed::Append { head, size: 10, eight: false } = framer.next(&mut input) else { panic!() };
    assert_eq!(head.pieces, [text("a APPEND "), literal("INBOX"), text(" (\\Seen) ")]);
    assert!(framer.accept_append());
    input.extend_from_slice(b"01234");
    assert_eq!(framer.next(&mut input), Framed::Data(Bytes::from_static(b"01234")));
    assert_eq!(framer.next(&mut input), Framed::NeedInput);
    input.extend_from_slice(b"56789\r\nb NOOP\r\n");
    assert_eq!(framer.next(&mut input), Framed::Data(Bytes::from_static(b"56789")));
    assert!(matches!(framer.next(&mut input), Framed::Tail(frame) if frame.is_empty()));
    assert_eq!(command(framer.next(&mut input)), [text("b NOOP")]);
}

#[test]
fn a_refused_append_is_swallowed() {
    let mut framer = framer(true);
    let mut input = BytesMut::from(&b"a APPEND nowhere {10+}\r\nx LOGOUT\r\n\r\nb NOOP\r\n"[..]);
    assert!(matches!(framer.next(&mut input), Framed::Append { size: 10, .. }));
    assert!(framer.refuse_append());
    while let Framed::Data(_) = framer.next(&mut input) {}
    assert_eq!(command(framer.next(&mut input)), [text("b NOOP")]);
}

#[test]
fn an_append_too_large_says_so() {
    let mut framer = framer(true);
    let mut input = BytesMut::from(&b"a APPEND INBOX {52428801}\r\n"[..]);
    assert!(matches!(framer.next(&mut input), Framed::Refused { error: FrameError::MessageTooLarge(_), .. }));
    let mut input = BytesMut::from(&b"a APPEND INBOX {4294967295+}\r\n"[..]);
    assert!(matches!(framer.next(&mut input), Framed::Fatal(FrameError::MessageTooLarge(_))));
}

#[test]
fn a_thousand_literals_are_enough() {
    let mut framer = framer(true);
    let mut input = BytesMut::from(&b"a SEARCH SUBJECT"[..]);
    for _ in 0..1001 {
        input.extend_from_slice(b" {1+}\r\nx");
    }
    input.extend_from_slice(b"\r\n");
    assert!(matches!(
        framer.next(&mut input),
        Framed::Refused { error: FrameError::TooManyLiterals(1000), .. }
    ));
}

#[test]
fn several_messages_in_one_command() {
    let mut framer = framer(true);
    let mut input = BytesMut::from(&b"a APPEND INBOX {3+}\r\nabc (\\Seen) ~{2}\r\n"[..]);
    assert!(matches!(framer.next(&mut input), Framed::Append { size: 3, eight: false, .. }));
    assert!(!framer.accept_append());
    assert_eq!(framer.next(&mut input), Framed::Data(Bytes::from_static(b"abc")));
    let Framed::Append { head, size: 2, eight: true } = framer.next(&mut input) else { panic!() };
    assert_eq!(head.pieces, [text(" (\\Seen) ")]);
    assert!(framer.accept_append());
    input.extend_from_slice(b"de\r\nb NOOP\r\n");
    assert_eq!(framer.next(&mut input), Framed::Data(Bytes::from_static(b"de")));
    assert!(matches!(framer.next(&mut input), Framed::Tail(frame) if frame.is_empty()));
    assert_eq!(command(framer.next(&mut input)), [text("b NOOP")]);
}

/// The client has its NO: neither the messages that it goes on to send nor the rest get another answer.
#[test]
fn what_follows_a_refused_message_is_swallowed() {
    let mut framer = framer(true);
    let mut input =
        BytesMut::from(&b"a APPEND x {2+}\r\nab () {11+}\r\nx1 LOGOUT\r\n {1+}\r\nz\r\nb NOOP\r\n"[..]);
    assert!(matches!(framer.next(&mut input), Framed::Append { .. }));
    assert!(framer.refuse_append());
    let mut framed = framer.next(&mut input);
    while matches!(framed, Framed::Data(_)) {
        framed = framer.next(&mut input);
    }
    assert_eq!(framed, Framed::Tail(Frame::default()));
    assert_eq!(command(framer.next(&mut input)), [text("b NOOP")]);
    // The next one waits for a continuation that it does not get: the command is over.
    let mut input = BytesMut::from(&b"a APPEND x {2+}\r\nab {1}\r\nb NOOP\r\n"[..]);
    assert!(matches!(framer.next(&mut input), Framed::Append { .. }));
    assert!(framer.refuse_append());
    while let Framed::Data(_) = framer.next(&mut input) {}
    assert_eq!(command(framer.next(&mut input)), [text("b NOOP")]);
}

#[test]
fn messages_have_a_limit_together() {
    let limits = Limits { append: 10, append_together: 15, ..Limits::default() };
    let mut framer = Framer::new(limits);
    framer.logged_in();
    let mut input = BytesMut::from(&b"a APPEND x {10+}\r\n0123456789 {6+}\r\n012345\r\nb NOOP\r\n"[..]);
    assert!(matches!(framer.next(&mut input), Framed::Append { .. }));
    framer.accept_append();
    assert!(matches!(framer.next(&mut input), Framed::Data(_)));
    let refused = framer.next(&mut input);
    assert!(matches!(refused, Framed::Refused { tag: Some(_), error: FrameError::MessagesTooLarge(15) }));
    assert_eq!(command(framer.next(&mut input)), [text("b NOOP")]);
}

#[test]
fn after_logout_the_small_limits_hold() {
    let mut framer = framer(true);
    framer.logged_out();
    let mut input = BytesMut::from(&b"a APPEND x {9000+}\r\n"[..]);
    input.extend_from_slice(&[b'x'; 9000]);
    input.extend_from_slice(b"\r\n");
    assert!(matches!(
        framer.next(&mut input),
        Framed::Refused { error: FrameError::LiteralTooLarge(8192), .. }
    ));
}

/// A line that is only thrown away still has an end.
#[test]
fn a_line_without_end_ends_the_session() {
    let mut framer = framer(true);
    let mut input = BytesMut::new();
    let chunk = [b'x'; 64 * 1024];
    let chunks = (0..1_000).take_while(|_| {
        input.extend_from_slice(&chunk);
        match framer.next(&mut input) {
            Framed::NeedInput => true,
            Framed::Fatal(FrameError::LineTooLong(_)) => false,
            other => panic!("{other:?}"),
        }
    });
    let megabytes = chunks.count() / 16;
    assert!((50..56).contains(&megabytes), "{megabytes}");
}

#[test]
fn replace_has_a_message_too() {
    let heads = [
        &b"a REPLACE 4 INBOX {3+}\r\n"[..],
        b"a UID REPLACE 4 INBOX (\\Seen) {3+}\r\n",
        b"a uid replace 4 {5+}\r\nINBOX {3+}\r\n",
    ];
    for head in heads {
        let mut framer = framer(true);
        let mut input = BytesMut::from(head);
        assert!(matches!(framer.next(&mut input), Framed::Append { size: 3, .. }), "{head:?}");
    }
}
