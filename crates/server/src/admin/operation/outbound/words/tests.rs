use queue::{Origin, Plan};

use super::*;

/// Sunday, 22 November 2026, 14:58:00 UTC.
const NOW: Timestamp = Timestamp(1_795_359_480_000);
const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

fn after(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn before(seconds: u64) -> Timestamp {
    NOW.minus(Duration::from_secs(seconds))
}

fn pending(address: &str) -> Recipient {
    Recipient { address: address.into(), ..Recipient::default() }
}

fn said(address: &str, said: &str, facts: Option<Facts>) -> Recipient {
    Recipient { said: Some(said.into()), facts, ..pending(address) }
}

fn facts(host: &str, reply: u16, status: &str, at: Timestamp) -> Option<Facts> {
    Some(Facts { status: Some(status.into()), reply: Some(reply), host: Some(host.into()), at: Some(at) })
}

fn event(at: Timestamp, kind: EventKind, text: &str) -> Event {
    Event { at, kind, text: text.into() }
}

/// A leg that waits, and whose time is not nearly over.
fn leg() -> Leg {
    Leg {
        destination: "there.example".into(),
        recipients: vec![pending("bob@there.example")],
        state: LegState::Waiting,
        due: NOW,
        attempts: 0,
        holder: None,
        released: false,
        history: vec![event(before(2 * HOUR), EventKind::Entered, "alice has submitted it")],
        forgotten: 0,
        plan: Plan {
            in_line: false,
            next: Some(NOW),
            warn: Some(after(2 * HOUR)),
            warned: None,
            expires: Some(after(4 * DAY + 22 * HOUR)),
            begins: None,
        },
    }
}

fn in_line() -> Leg {
    Leg { plan: Plan { in_line: true, next: None, ..leg().plan }, ..leg() }
}

fn line(why: Standstill, depth: u64) -> Line {
    Line {
        destination: "there.example".into(),
        why,
        since: before(70 * MINUTE),
        cause: (why == Standstill::Failing).then_some(Cause::Connection),
        attempts: if why == Standstill::Failing { 7 } else { 0 },
        next: (why != Standstill::Held).then(|| after(12 * MINUTE)),
        said: match why {
            Standstill::Failing => "mx.there.example refuses connections".into(),
            Standstill::Busy => String::new(),
            Standstill::Held => "by carol: they are moving.".into(),
        },
        facts: None,
        depth,
        oldest: None,
    }
}

fn explained(sender: &str, leg: Leg, line: Option<Line>) -> Explanation {
    let entry = Entry {
        id: queue::EntryId([1; 8]),
        origin: Origin { sender: sender.into(), ..Origin::default() },
        size: 1,
        received: before(2 * HOUR),
        legs: vec![leg],
    };
    let lines = line.into_iter().map(|line| (line.destination.clone(), line)).collect();
    let keep_failed = Some(Duration::from_secs(30 * DAY));
    explain(&Scene { entry: &entry, lines: &lines, keep_failed, now: NOW })
}

/// What is said of a leg and its line must be exactly that.
fn check(sender: &str, leg: Leg, line: Option<Line>, wanted: &[&str]) {
    let explanation = explained(sender, leg, line);
    assert_eq!(explanation.parts[0].sentences, wanted);
}

const ALICE: &str = "alice@example.test";
const HEARS: &str = "Its sender hears of the delay in 2 h, at 16:58 UTC; it is given up in 4 d 22 h, on 27 Nov at 12:58 \
                     UTC, and its sender is told.";

#[test]
fn the_summary_says_what_is_left_of_which_message() {
    let two = Leg { recipients: vec![pending("a@there.example"), pending("b@there.example")], ..leg() };
    for (sender, leg, text) in [
        (
            ALICE,
            leg(),
            "Message 0101010101010101 from alice@example.test came 2 h ago, at 12:58 UTC. 1 recipient does not have it.",
        ),
        (
            "",
            two,
            "Message 0101010101010101 from <> came 2 h ago, at 12:58 UTC. 2 recipients do not have it.",
        ),
    ] {
        assert_eq!(explained(sender, leg, None).summary, text);
    }
}

#[test]
fn who_waits_for_its_own_time_says_when_that_is() {
    let greylisted = "greylisted, come back later";
    let waits = |attempts, seconds| Leg {
        attempts,
        plan: Plan { next: Some(after(seconds)), ..leg().plan },
        recipients: if attempts > 0 {
            vec![said("bob@there.example", greylisted, facts("mx.there.example", 450, "4.7.1", before(300)))]
        } else {
            leg().recipients
        },
        ..leg()
    };
    let answer =
        "Last attempt: greylisted, come back later (450, 4.7.1, mx.there.example), 5 min ago, at 14:53 UTC.";
    for (leg, wanted) in [
        (
            waits(0, 0),
            vec!["It is due now: it is tried as soon as a worker is free, and the server runs.", HEARS],
        ),
        (
            waits(0, DAY),
            vec!["It is not to be tried before its time: in 1 d, on 23 Nov at 14:58 UTC.", HEARS],
        ),
        (
            waits(1, 300),
            vec![
                "It was tried once, and refused for now. It is tried again in 5 min, at 15:03 UTC.",
                answer,
                HEARS,
            ],
        ),
        (
            waits(4, 30),
            vec![
                "It was tried 4 times, and refused for now. It is tried again in 30 s, at 14:58 UTC.",
                answer,
                HEARS,
            ],
        ),
    ] {
        check(ALICE, leg, None, &wanted);
    }
}

#[test]
fn who_stands_in_line_says_what_the_line_waits_for() {
    let failing = "It stands in line: there.example has not taken mail for 1 h 10 min, since 13:48 UTC (no connection to \
                   any of its servers works).";
    let refuses = "Last attempt: mx.there.example refuses connections.";
    let held = "It stands in line: there.example has been held for 1 h 10 min, since 13:48 UTC, by carol: they are moving.";
    for (line, wanted) in [
        (
            Some(line(Standstill::Failing, 1)),
            vec![failing, "After 7 failures in a row, it is tried in 12 min, at 15:10 UTC.", refuses, HEARS],
        ),
        (
            Some(line(Standstill::Failing, 1_041)),
            vec![
                failing,
                "After 7 failures in a row, one of the 1,041 messages in that line is tried in 12 min, at 15:10 UTC; as \
                 soon as one gets through, the others follow.",
                refuses,
                HEARS,
            ],
        ),
        (
            Some(line(Standstill::Busy, 12)),
            vec![
                "It stands in line: there.example has had no room for more at a time for 1 h 10 min, since 13:48 UTC.",
                "The 12 messages in that line go in turn, as connections become free.",
                HEARS,
            ],
        ),
        (
            Some(line(Standstill::Held, 3)),
            vec![
                held,
                "Nothing is sent there until an operator releases there.example.",
                "Its sender hears of the delay in 2 h, at 16:58 UTC; it is not given up while its destination is held.",
            ],
        ),
        (
            None,
            vec![
                "there.example takes mail again: it is sent as soon as a worker is free, and the server runs.",
                HEARS,
            ],
        ),
    ] {
        check(ALICE, in_line(), line, &wanted);
    }
}

#[test]
fn who_is_sent_held_or_failed_says_so() {
    let held = event(before(HOUR), EventKind::Held, "by carol: is this spam?");
    let failed = event(before(DAY), EventKind::Failed, "given up after 9 attempts in 5 days: no connection");
    let lost = event(before(DAY), EventKind::Failed, "8 workers in a row have ended while they had it");
    for (sender, leg, wanted) in [
        (
            ALICE,
            Leg {
                state: LegState::Leased,
                attempts: 3,
                due: after(5 * MINUTE),
                holder: Some("mx1, worker 4".into()),
                ..leg()
            },
            vec![
                "It is being sent now, in attempt 3, by mx1, worker 4. If that is not heard of again, another worker takes \
                 it in 5 min, at 15:03 UTC.",
                HEARS,
            ],
        ),
        (
            ALICE,
            Leg { state: LegState::Held, history: vec![held], ..leg() },
            vec![
                "It has been held for 1 h, since 13:58 UTC, by carol: is this spam?",
                "Until it is released it is not tried, it is not given up, and its sender hears nothing.",
            ],
        ),
        (
            "",
            Leg { state: LegState::Failed, due: before(DAY), history: vec![failed], ..leg() },
            vec![
                "It has been in the error queue for 1 d, since 21 Nov at 14:58 UTC, and is not tried any more: given up \
                 after 9 attempts in 5 days: no connection. It has no sender who could be told. It is kept for an operator \
                 to decide, and dropped in 29 d, on 21 Dec at 14:58 UTC.",
            ],
        ),
        (
            ALICE,
            Leg { state: LegState::Failed, due: before(DAY), history: vec![lost], ..leg() },
            vec![
                "It has been in the error queue for 1 d, since 21 Nov at 14:58 UTC, and is not tried any more: 8 workers in \
                 a row have ended while they had it. Its sender has not been told. It is kept for an operator to decide, \
                 and dropped in 29 d, on 21 Dec at 14:58 UTC.",
            ],
        ),
    ] {
        check(sender, leg, None, &wanted);
    }
}

#[test]
fn when_its_sender_hears_of_it() {
    let plan = leg().plan;
    let notify = |notify| vec![Recipient { notify: Some(notify), ..pending("bob@there.example") }];
    for (sender, recipients, plan, wanted) in [
        (
            ALICE,
            notify(0),
            plan,
            "Its sender does not want to hear of delays; it is given up in 4 d 22 h, on 27 Nov at 12:58 UTC, and its sender \
             does not want to hear of that.",
        ),
        (
            ALICE,
            notify(2),
            plan,
            "Its sender does not want to hear of delays; it is given up in 4 d 22 h, on 27 Nov at 12:58 UTC, and its sender \
             is told.",
        ),
        (
            ALICE,
            notify(6),
            Plan { warn: None, warned: Some(before(HOUR)), ..plan },
            "Its sender heard of the delay 1 h ago, at 13:58 UTC; it is given up in 4 d 22 h, on 27 Nov at 12:58 UTC, and \
             its sender is told.",
        ),
        (
            ALICE,
            leg().recipients,
            Plan { warn: None, expires: Some(before(1)), ..plan },
            "Its sender does not hear of delays; it is tried for the last time now, and its sender is told.",
        ),
        (
            "",
            leg().recipients,
            plan,
            "It has no sender who could be told (<>). It is given up in 4 d 22 h, on 27 Nov at 12:58 UTC; then it goes to \
             the error queue.",
        ),
    ] {
        let explanation = explained(sender, Leg { recipients, plan, ..leg() }, None);
        assert_eq!(explanation.parts[0].sentences.last().unwrap(), wanted);
    }
}

#[test]
fn recipients_with_different_fates_are_told_apart() {
    let recipients = vec![
        Recipient { state: RecipientState::Done, ..pending("a@there.example") },
        Recipient {
            state: RecipientState::Failed,
            reported: true,
            ..said("b@there.example", "550 no such user.", None)
        },
        said("c@there.example", "452 the mailbox is full", None),
        said("d@there.example", "450 not now", None),
    ];
    let plan = Plan { next: Some(after(300)), ..leg().plan };
    let explanation = explained(ALICE, Leg { recipients, plan, attempts: 2, ..leg() }, None);
    let part = &explanation.parts[0];
    assert_eq!(part.heading, "For b@there.example, c@there.example and d@there.example");
    assert_eq!(
        part.sentences[1..5],
        [
            "About c@there.example: 452 the mailbox is full.",
            "About d@there.example: 450 not now.",
            "b@there.example cannot get it: 550 no such user; its sender has been told.",
            "1 recipient for it here has it already.",
        ]
    );
}

#[test]
fn a_detour_is_named() {
    let detour = Leg { destination: "relay.example".into(), ..leg() };
    let explanation = explained(ALICE, detour, None);
    assert_eq!(explanation.parts[0].heading, "For bob@there.example, by way of relay.example");
}

#[test]
fn what_happened_again_and_again_is_told_once() {
    let tried = |seconds| event(before(seconds), EventKind::Tried, "no connection");
    let history = vec![
        event(before(HOUR), EventKind::Entered, "alice has submitted it"),
        tried(3_500),
        tried(900),
        tried(600),
        tried(300),
        event(before(200), EventKind::Retried, ", by way of \"b.example\" instead of \"a.example\""),
        event(before(100), EventKind::Held, "by carol"),
    ];
    let explanation = explained(ALICE, Leg { history, forgotten: 84, ..leg() }, None);
    let told: Vec<(&str, u64)> =
        explanation.parts[0].history.iter().map(|one| (one.what.as_str(), one.times)).collect();
    assert_eq!(
        told,
        [
            ("queued: alice has submitted it", 1),
            ("tried: no connection", 1),
            ("84 events that are not kept", 84),
            ("tried: no connection", 3),
            ("an operator had it tried by way of \"b.example\" instead of \"a.example\"", 1),
            ("held by carol", 1),
        ]
    );
    let again = &explanation.parts[0].history[3];
    assert_eq!((again.first.as_str(), again.last.as_str()), ("2026-11-22T14:43:00Z", "2026-11-22T14:53:00Z"));
}

#[test]
fn what_can_be_done_depends_on_what_it_waits_for() {
    let commands = |leg: Leg, line: Option<Line>| -> Vec<String> {
        let advice = explained(ALICE, leg, line).advice.into_iter();
        advice.map(|one| one.command.replace("magpie queue ", "").replace("0101010101010101", "ID")).collect()
    };
    let state = |state| Leg { state, ..leg() };
    let later = || Leg { plan: Plan { begins: Some(after(DAY)), ..leg().plan }, ..leg() };
    for (leg, line, wanted) in [
        (leg(), None, vec!["retry ID", "hold ID", "drop ID"]),
        (later(), None, vec!["release ID", "hold ID", "drop ID"]),
        (later(), Some(line(Standstill::Failing, 2)), vec!["release ID", "hold ID", "drop ID"]),
        (
            in_line(),
            Some(line(Standstill::Failing, 2)),
            vec!["retry --destination there.example", "retry ID", "reroute ID --to HOST", "drop ID"],
        ),
        (
            in_line(),
            Some(line(Standstill::Held, 2)),
            vec!["release --destination there.example", "release ID", "drop ID"],
        ),
        (in_line(), Some(line(Standstill::Busy, 2)), vec!["retry ID", "hold ID", "drop ID"]),
        (state(LegState::Held), None, vec!["release ID", "drop ID"]),
        (state(LegState::Leased), None, vec!["hold ID", "drop ID"]),
        (state(LegState::Failed), None, vec!["retry ID", "reroute ID --to HOST", "drop ID"]),
    ] {
        assert_eq!(commands(leg, line), wanted);
    }
}
