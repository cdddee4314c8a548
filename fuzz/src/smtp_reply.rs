//! What a server answers: replies, and a whole session with a peer that says anything.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use relay::{
    Action, Envelope, FailureKind, Form, Patience, Protocol, Recipient, ReplyReader, Session, SessionConfig,
    Tls, Transaction,
};

/// More than a reply may have, with what is read at once.
const HELD: usize = 32 << 10;

pub fn run(data: &[u8]) {
    let (&choice, said) = data.split_first().unwrap_or((&0, b""));
    replies(said, 1 + usize::from(choice));
    session(choice, said);
}

/// However it is cut, it is read the same.
fn replies(said: &[u8], step: usize) {
    let read = |step: usize| {
        let (mut reader, mut input, mut found) = (ReplyReader::default(), BytesMut::new(), Vec::new());
        for piece in said.chunks(step) {
            input.extend_from_slice(piece);
            assert!(input.len() <= HELD, "the input grows");
            loop {
                match reader.read(&mut input) {
                    Ok(Some(reply)) => {
                        let shown = reply.to_string();
                        assert!(!shown.chars().any(char::is_control), "{shown:?}");
                        found.push(shown);
                    }
                    Ok(None) => break,
                    Err(_) => return (found, true),
                }
            }
        }
        (found, false)
    };
    assert_eq!(read(step).0, read(1).0);
}

/// Every recipient has one outcome, whatever is said.
fn session(choice: u8, said: &[u8]) {
    let protocol = if choice & 1 == 0 { Protocol::Smtp } else { Protocol::Lmtp };
    let config = SessionConfig {
        hello: "here.test".to_owned(),
        protocol,
        tls: if choice & 2 == 0 { Tls::IfOffered } else { Tls::Never },
        credentials: None,
        plaintext_login: false,
        patience: Patience::default(),
    };
    let mut session = Session::new(Arc::new(config), "nonce".to_owned());
    let recipient = |address: &str| Recipient { address: address.to_owned(), ..Recipient::default() };
    let recipients = vec![recipient("b@x.test"), recipient("c@x.test")];
    let envelope = Arc::new(Envelope { sender: "a@x.test".to_owned(), recipients, ..Envelope::default() });
    let (mut begun, mut finished, mut body) = (0, 0, false);
    let mut pieces = said.chunks(1 + usize::from(choice >> 2));
    loop {
        match session.advance() {
            Action::Send(bytes) => {
                let bare = bytes.windows(2).any(|pair| (pair[1] == b'\n') != (pair[0] == b'\r'));
                assert!(!bare, "a lone CR or LF");
            }
            Action::NeedInput => match pieces.next() {
                Some(piece) => session.input().extend_from_slice(piece),
                None => session.lost(FailureKind::TimedOut),
            },
            Action::StartTls => session.tls_started(),
            Action::NeedBody if body => session.body_end(),
            Action::NeedBody => {
                body = true;
                session.body(&Bytes::from_static(b"Subject: x\r\n\r\n.\r\n"));
            }
            Action::Ready if begun < 20 => {
                (begun, body) = (begun + 1, false);
                let chunked = session.capabilities().chunking;
                let form = Form { chunked, ..Form::default() };
                session.begin(Transaction { envelope: envelope.clone(), form, size: Some(15) });
            }
            Action::Ready => session.quit(),
            Action::Finished(outcomes) => {
                finished += 1;
                assert_eq!(outcomes.len(), 2, "each recipient has one outcome");
            }
            Action::Close(_) => break,
        }
    }
    assert_eq!(begun, finished, "every transaction has its end");
}
