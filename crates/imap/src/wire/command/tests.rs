use proptest::prelude::*;

use super::*;
use crate::wire::{Flag, Framed, Framer, Limits, MessageSet, Partial, SectionText};

fn good(text: &str) -> Command {
    match parse(&Frame::line(text.to_owned())) {
        Ok(tagged) => tagged.command,
        Err(e) => panic!("{text}: {}", e.error),
    }
}

fn bad(text: &str) -> String {
    match parse(&Frame::line(text.to_owned())) {
        Ok(tagged) => panic!("{text}: {tagged:?}"),
        Err(malformed) => malformed.error.to_string(),
    }
}

#[test]
fn commands_without_arguments() {
    assert_eq!(good("a capability"), Command::Capability);
    assert_eq!(good("a IDLE"), Command::Idle);
    for line in
        ["a NOOP ", "a NOOP x", "a  NOOP", " NOOP", "", "+ NOOP", "a", "a ", "a FOO", "a UID", "a UID NOOP"]
    {
        bad(line);
    }
}

#[test]
fn a_command_keeps_its_tag_when_it_is_malformed() {
    let malformed = parse(&Frame::line("a1 LOGIN x")).unwrap_err();
    assert_eq!(malformed.tag.unwrap().as_bytes(), b"a1");
    assert_eq!(malformed.error.to_string(), "expected a space at byte 10");
}

#[test]
fn deep_nesting_is_refused() {
    for deep in ["(".repeat(100_000), "OR ".repeat(100_000), "NOT ".repeat(100_000)] {
        assert!(bad(&format!("a SEARCH {deep}")).contains("nesting"));
    }
    let fine = format!("a SEARCH {}ALL{}", "(".repeat(40), ")".repeat(40));
    assert!(matches!(good(&fine), Command::Search(_)));
}

#[test]
fn fetch_forms() {
    let Command::Fetch(fetch) = good("a UID FETCH 1:*,7 FLAGS") else { panic!() };
    assert_eq!(fetch.items[0], FetchItem::Uid);
    let Command::Fetch(fetch) =
        good("a FETCH 1 (BODY[1.HEADER.FIELDS (From)]<0.10> BINARY.PEEK[2] BINARY.SIZE[1] BODY)")
    else {
        panic!()
    };
    assert!(fetch.items.iter().any(FetchItem::marks_seen));
    assert_eq!(fetch.items.len(), 4);
    assert!(matches!(
        &fetch.items[0],
        FetchItem::Section { section, partial: Some(Partial { origin: 0, length: 10 }), peek: false }
            if section.part == [1] && matches!(section.text, SectionText::Fields(_))
    ));
    let Command::Fetch(fetch) = good("a FETCH $ FULL") else { panic!() };
    assert_eq!((fetch.items.len(), fetch.messages), (5, MessageSet::Saved));
    for line in [
        "a FETCH 1 ()",
        "a FETCH 1 (ALL)",
        "a FETCH 1 FLAGS UID",
        "a FETCH 1 BODY[]<0>",
        "a FETCH 1 BODY[]<0.0>",
        "a FETCH 1 BODY.PEEK",
        "a FETCH",
    ] {
        bad(line);
    }
}

#[test]
fn search_forms() {
    let Command::Search(search) =
        good("a UID SEARCH RETURN (MIN COUNT) CHARSET utf-8 OR SEEN (UNKEYWORD x 1:3) NOT SUBJECT \"hi\"")
    else {
        panic!()
    };
    assert_eq!(search.charset.as_deref(), Some("UTF-8"));
    let returns = search.returns.unwrap();
    assert!(returns.min && returns.count && !returns.all);
    assert!(matches!(search.key, SearchKey::And(keys) if keys.len() == 2));
    let Command::Search(search) = good("a SEARCH RETURN () HEADER X-A \"\"") else { panic!() };
    assert!(search.returns.unwrap().all);
    assert_eq!(search.key, SearchKey::Header("x-a".into(), Bytes::new()));
    for line in [
        "a SEARCH",
        "a SEARCH RETURN ALL",
        "a SEARCH FOO",
        "a SEARCH KEYWORD \\Seen",
        "a SEARCH ()",
        "a SEARCH OR ALL",
        "a SEARCH SINCE x",
        "a SEARCH LARGER -1",
    ] {
        bad(line);
    }
}

#[test]
fn list_forms() {
    let Command::List(list) = good("a LIST \"\" %") else { panic!() };
    assert!(!list.extended);
    let Command::List(list) = good(
        "a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (INBOX \"a*\") RETURN (CHILDREN STATUS (MESSAGES SIZE) SPECIAL-USE)",
    ) else {
        panic!()
    };
    assert!(list.extended && list.select.subscribed && list.returns.children && list.returns.special_use);
    assert_eq!(list.patterns.len(), 2);
    assert_eq!(list.returns.status.unwrap(), [StatusItem::Messages, StatusItem::Size]);
    for line in [
        "a LIST \"\"",
        "a LIST (RECURSIVEMATCH) \"\" *",
        "a LIST (RECURSIVEMATCH REMOTE) \"\" *",
        "a LIST (X) \"\" *",
        "a LIST \"\" ()",
        "a LIST \"\" * RETURN",
        "a LIST \"\" * RETURN (X)",
    ] {
        bad(line);
    }
}

#[test]
fn store_and_append_forms() {
    let Command::Store(store) = good("a STORE 1 +flags.silent \\Seen x") else { panic!() };
    assert_eq!((store.action, store.silent, store.flags.len()), (StoreAction::Add, true, 2));
    let Command::Store(store) = good("a STORE 1 FLAGS ()") else { panic!() };
    assert!(store.flags.is_empty());
    let Command::Append(append) = good("a APPEND x (\\Deleted) \"01-Jan-1971 00:00:00 +0000\" ") else {
        panic!()
    };
    assert_eq!(
        (append.message.flags, append.message.received.unwrap().secs()),
        (vec![Flag::Deleted], 365 * 86_400)
    );
    for line in [
        "a STORE 1 FLAGS",
        "a STORE 1 FLAGS (\\Recent)",
        "a STORE 1 FLAGS.LOUD ()",
        "a APPEND",
        "a APPEND x",
        "a APPEND x \"now\"",
    ] {
        bad(line);
    }
}

#[test]
fn what_stands_between_two_messages() {
    let next = |text: &'static str| AppendMessage::parse_next(&Frame::line(text), AppendForm::Plain);
    assert_eq!(next(" "), Ok(AppendMessage::default()));
    let flagged = next(" (\\Deleted) \"01-Jan-1971 00:00:00 +0000\" ").unwrap();
    assert_eq!((flagged.flags, flagged.received.unwrap().secs()), (vec![Flag::Deleted], 365 * 86_400));
    for wrong in ["", "x", " (\\Deleted)", " x ", " () () ", "  "] {
        assert!(next(wrong).is_err(), "{wrong:?}");
    }
    assert_eq!(AppendForm::Plain.parse_end(&Frame::line("")), Ok(()));
    assert!(AppendForm::Plain.parse_end(&Frame::line(" ")).is_err());
}

#[test]
fn id_and_create_forms() {
    assert_eq!(good("a ID NIL"), Command::Id(Id::default()));
    assert_eq!(good("a ID ()"), Command::Id(Id::default()));
    let Command::Id(id) = good("a ID (\"name\" \"x\" \"version\" NIL)") else { panic!() };
    assert_eq!(id.fields, [("name".into(), Some("x".into())), ("version".into(), None)]);
    let many = |n: usize| format!("a ID ({})", vec!["\"n\" \"v\""; n].join(" "));
    assert!(matches!(good(&many(30)), Command::Id(id) if id.fields.len() == 30));
    let long =
        |name: usize, value: usize| format!("a ID (\"{}\" \"{}\")", "n".repeat(name), "v".repeat(value));
    good(&long(30, 1024));
    for line in [&many(31), &long(31, 1), &long(1, 1025), "a ID", "a ID (\"x\")", "a ID x", "a ID (\"x\" y)"]
    {
        bad(line);
    }
    let Command::Create(create) = good("a CREATE x (USE (\\Drafts \\SENT))") else { panic!() };
    assert_eq!(create.special_use, ["drafts", "sent"]);
    for line in ["a CREATE x ()", "a CREATE x (USE)", "a CREATE x (USE (Drafts))", "a CREATE x (X (y))"] {
        bad(line);
    }
}

#[test]
fn secrets_stay_out_of_debug_output() {
    let login = format!("{:?}", good("a LOGIN bob hunter2"));
    let authenticate = format!("{:?}", good("a AUTHENTICATE PLAIN aHVudGVyMg=="));
    assert!(!login.contains("hunter2") && !authenticate.contains("104, 117"));
    bad("a AUTHENTICATE PLAIN !!!");
    bad("a AUTHENTICATE PLAIN ");
}

/// Everything the framer and the parser make of a stream; must end, and must not depend on how it is cut.
fn outcome(stream: &[u8], step: usize) -> Vec<String> {
    let mut framer = Framer::new(Limits { line: 200, ..Limits::default() });
    framer.logged_in();
    let mut input = bytes::BytesMut::new();
    let mut seen: Vec<String> = Vec::new();
    let mut data = 0;
    for chunk in stream.chunks(step.max(1)) {
        input.extend_from_slice(chunk);
        loop {
            match framer.next(&mut input) {
                Framed::NeedInput => break,
                Framed::Data(bytes) => data += bytes.len(),
                Framed::Command(frame) => seen.push(format!("{:?}", parse(&frame))),
                Framed::Append { head, size, .. } => {
                    seen.push(format!("{:?} {size}", parse(&head)));
                    framer.accept_append();
                }
                Framed::Fatal(error) => {
                    seen.push(error.to_string());
                    return seen;
                }
                other => seen.push(format!("{other:?} after {data}")),
            }
        }
    }
    seen
}

proptest! {
    #[test]
    fn random_bytes_never_panic(stream in prop::collection::vec(any::<u8>(), 0..600), step in 1_usize..40) {
        prop_assert_eq!(outcome(&stream, 1), outcome(&stream, step));
    }

    #[test]
    fn random_words_never_panic(words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..60), step in 1_usize..40) {
        let stream = words.concat().into_bytes();
        prop_assert_eq!(outcome(&stream, 1), outcome(&stream, step));
    }
}

const WORDS: &[&str] = &[
    "\r\n",
    "\r\n",
    "a ",
    "b ",
    "UID ",
    "FETCH ",
    "SEARCH ",
    "STORE ",
    "APPEND ",
    "LIST ",
    "COPY ",
    "1",
    ":",
    "*",
    ",",
    "$",
    "(",
    ")",
    " ",
    " ",
    " ",
    "\"",
    "\\",
    "{3}\r\n",
    "{2+}\r\n",
    "~{1+}\r\n",
    "{9999999999+}\r\n",
    "BODY",
    "[",
    "]",
    "HEADER.FIELDS ",
    "<0.5>",
    "FLAGS",
    "OR ",
    "NOT ",
    "ALL",
    "SUBJECT ",
    "RETURN ",
    "INBOX",
    "xyz",
    "1-Jan-2000",
    "\u{fc}",
    "\0",
    "\n",
    "+",
    "}",
];
