use bytes::Bytes;
use types::{Keyword, Keywords, Timestamp, Uid, UidValidity};

use super::super::command::{Rfc822, StatusItem, Tagged, parse};
use super::super::{Dialect, Frame, Section, SequenceSet, Unit};
use super::*;

fn written(write: impl FnOnce(&mut Output)) -> String {
    let mut out = Output::new();
    write(&mut out);
    let chunks = out.take();
    String::from_utf8(chunks.concat()).unwrap()
}

#[test]
fn strings_choose_their_form() {
    let string = |s: &[u8], dialect| {
        let s = s.to_vec();
        written(move |o| o.string(&s, dialect))
    };
    assert_eq!(string(b"a \"b\\", Dialect::Rev1), r#""a \"b\\""#);
    assert_eq!(string("ü".as_bytes(), Dialect::Rev1), "{2}\r\nü");
    assert_eq!(string("ü".as_bytes(), Dialect::Rev2), "\"ü\"");
    assert_eq!(string(b"a\r\nb", Dialect::Rev2), "{4}\r\na\r\nb");
    assert_eq!(string(b"a\0b", Dialect::Rev2), "\"ab\"");
    assert_eq!(string(&[b'x'; 2000], Dialect::Rev2).len(), 2008);
}

#[test]
fn bodies_go_by_reference() {
    let body = Bytes::from(vec![b'x'; 10_000]);
    let mut out = Output::new();
    let mut line = FetchLine::begin(3, &mut out);
    line.uid(Uid(7), &mut out);
    line.section(&Section::default(), Some(5), Some(10_000), &mut out);
    out.body(body.clone());
    line.end(&mut out);
    assert_eq!(out.len(), 10_000 + 39);
    let chunks = out.take();
    assert_eq!(chunks[0], "* 3 FETCH (UID 7 BODY[]<5> {10000}\r\n");
    assert_eq!(chunks[1].as_ptr(), body.as_ptr());
    assert_eq!(chunks[2], ")\r\n");
}

#[test]
fn fetch_items() {
    let keywords: Keywords = ["$seen", "$forwarded", "x"].iter().map(|k| Keyword::new(k).unwrap()).collect();
    let text = written(|o| {
        let mut line = FetchLine::begin(1, o);
        line.flags(&keywords, true, o);
        line.internal_date(Timestamp(0), o);
        line.size(12, o);
        line.binary(&[1, 2], None, Some(2), o);
        o.body(Bytes::from_static(b"\x01\x02"));
        line.binary(&[9], Some(4), None, o);
        line.binary_size(&[1], 2, o);
        line.rfc822(Rfc822::Header, 0, o);
        line.end(o);
    });
    let expected = "* 1 FETCH (FLAGS (\\Seen $Forwarded x \\Deleted) INTERNALDATE \"01-Jan-1970 00:00:00 +0000\" \
                    RFC822.SIZE 12 BINARY[1.2] ~{2}\r\n\x01\x02 BINARY[9]<4> NIL BINARY.SIZE[1] 2 RFC822.HEADER {0}\r\n)\r\n";
    assert_eq!(text, expected);
}

#[test]
fn status_lines_never_break() {
    let Tagged { tag, .. } = parse(&Frame::line("a1 NOOP")).unwrap();
    let reply = Reply::no("no mailbox \r\n* BYE \u{1}x").code(Code::NonExistent);
    assert_eq!(written(|o| reply.write_tagged(&tag, o)), "a1 NO [NONEXISTENT] no mailbox   * BYE  x\r\n");
    assert_eq!(written(|o| Reply::bad("").write_untagged(o)), "* BAD -\r\n");
    let code = Code::CopyUid(
        UidValidity(3),
        SequenceSet::from_ascending([1, 2, 5]),
        SequenceSet::from_ascending([7, 8, 9]),
    );
    assert_eq!(code.to_string(), "COPYUID 3 1:2,5 7:9");
}

#[test]
fn mailbox_data() {
    let listed = Listed {
        name: "Entwürfe",
        attributes: &[Attribute::HasNoChildren, Attribute::Drafts],
        subscribed_child: true,
        special_use_child: false,
    };
    assert_eq!(
        written(|o| list(&listed, Dialect::Rev1, o)),
        "* LIST (\\HasNoChildren \\Drafts) \"/\" \"Entw&APw-rfe\" (CHILDINFO (\"SUBSCRIBED\"))\r\n"
    );
    assert_eq!(
        written(|o| status("INBOX", &[(StatusItem::Messages, 3), (StatusItem::Size, 9)], Dialect::Rev2, o)),
        "* STATUS INBOX (MESSAGES 3 SIZE 9)\r\n"
    );
    assert_eq!(written(|o| search("SEARCH", [2, 84], None, o)), "* SEARCH 2 84\r\n");
    let Tagged { tag, .. } = parse(&Frame::line("a1 NOOP")).unwrap();
    let result = EsearchResult {
        min: Some(2),
        max: Some(84),
        all: Some([2, 3, 84].into_iter().collect()),
        partial: None,
        count: Some(3),
        modseq: Some(types::ModSeq(9)),
    };
    assert_eq!(
        written(|o| esearch(&tag, Unit::Uid, &result, o)),
        "* ESEARCH (TAG \"a1\") UID MIN 2 MAX 84 ALL 2:3,84 COUNT 3 MODSEQ 9\r\n"
    );
}
