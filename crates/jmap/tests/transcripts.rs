//! Every file under `transcripts/` is a conversation: JSON in, JSON out. Each begins with the sections of the RFC that it
//! is about.
//!
//! ```text
//! # a comment
//! ! mail 1 $seen,$flagged 2026-01-01T00:00:00Z NAME     alice gets the message that follows, up to a line `.`; $NAME is
//!                                                       its id
//! ! quota 2000 -                                        whoever asks may hold 2000 octets, and any number of emails
//! ! bob                                                 bob asks from here on; `! alice`: alice again
//! > [["Core/echo", {"a": 1}, "c"]]                      a request: its calls, or all of the object; may have many lines
//! < [["Core/echo", {"a": 1}, "c"]]                      what it must be answered with: its responses, or all of it
//! ```
//!
//! In what is expected, an object may have further members than are told; a member that begins with `!` must not be
//! there. `"*"` is anything. `"$x"` is kept the first time and the same from then on; in requests it stands for what was
//! kept. `$alice` and `$bob` are the accounts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use directory::Quota;
use jmap::Limits;
use jmap::wire::date;
use serde_json::{Value, json};
use world::World;

#[tokio::test]
async fn transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    let mut failed = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if let Err(what) = play(&fs::read_to_string(&path).unwrap()).await {
            failed.push(format!("{name}:{what}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

async fn play(script: &str) -> Result<(), String> {
    let limits = Limits {
        calls_in_request: 16,
        objects_in_get: 20,
        objects_in_set: 20,
        data_sources: 64,
        blobs: 10_000,
        size_request: 100_000,
        values: 1 << 20,
        ..Limits::default()
    };
    let world = World::new(limits).await;
    let mut user = world.alice.clone();
    let mut kept: BTreeMap<String, Value> = BTreeMap::new();
    kept.insert("$alice".to_owned(), format!("A{}", world.alice.account()).into());
    kept.insert("$bob".to_owned(), format!("A{}", world.bob.account()).into());
    let mut lines = script.lines().enumerate().peekable();
    let mut answer = Value::Null;
    while let Some((number, line)) = lines.next() {
        let at = |what: String| format!("{}: {what}", number + 1);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (mark, rest) = line.split_at(1);
        let mut text = rest.to_owned();
        if mark != "!" {
            // What goes on is indented.
            while let Some((_, more)) = lines.next_if(|(_, line)| line.starts_with(' ')) {
                text.push_str(more);
            }
        }
        match mark {
            "!" => {
                let words: Vec<&str> = rest.split_whitespace().collect();
                match words.as_slice() {
                    ["alice"] => user = world.alice.clone(),
                    ["bob"] => user = world.bob.clone(),
                    ["quota", bytes, messages] => {
                        let quota = Quota { bytes: bytes.parse().ok(), messages: messages.parse().ok() };
                        world.directory.set_quota(user.account(), quota).await.unwrap();
                    }
                    ["mail", mailbox, keywords, received, name] => {
                        let mut message = String::new();
                        for (_, line) in lines.by_ref().take_while(|(_, line)| *line != ".") {
                            message.push_str(line);
                            message.push('\n');
                        }
                        let keywords: Vec<&str> = keywords.split(',').filter(|k| *k != "-").collect();
                        let received = date::parse_utc(received).unwrap().0;
                        let id = world.append(mailbox.parse().unwrap(), &keywords, received, &message).await;
                        kept.insert(format!("${name}"), id.into());
                    }
                    _ => return Err(at(format!("what is {rest:?}?"))),
                }
            }
            ">" => {
                let request: Value = serde_json::from_str(&text).map_err(|error| at(error.to_string()))?;
                let request = with_kept(request, &kept);
                let using = ["core", "mail", "submission", "vacationresponse", "blob", "quota", "mdn"]
                    .map(|name| format!("urn:ietf:params:jmap:{name}"));
                answer = match request {
                    Value::Array(_) => {
                        let request = json!({"using": using, "methodCalls": request});
                        world.ask(&user, &request).await
                    }
                    request => world.ask(&user, &request).await,
                };
            }
            "<" => {
                let expected: Value = serde_json::from_str(&text).map_err(|error| at(error.to_string()))?;
                let answer = match expected {
                    Value::Array(_) => answer.get("methodResponses").unwrap_or(&answer),
                    _ => &answer,
                };
                if let Err(what) = matches(&expected, answer, &mut kept) {
                    let pretty = serde_json::to_string_pretty(answer).unwrap();
                    return Err(at(format!("{what}, in\n{pretty}")));
                }
            }
            _ => return Err(at(format!("what is {line:?}?"))),
        }
    }
    Ok(())
}

/// A request with what was kept put in, in names of members too.
fn with_kept(value: Value, kept: &BTreeMap<String, Value>) -> Value {
    match value {
        Value::String(text) => kept.get(&text).cloned().unwrap_or(Value::String(text)),
        Value::Array(items) => items.into_iter().map(|item| with_kept(item, kept)).collect(),
        Value::Object(members) => {
            // The paths of a patch may name what was kept, too.
            let step = |step: &str| kept.get(step).and_then(Value::as_str).unwrap_or(step).to_owned();
            let name = |name: String| name.split('/').map(step).collect::<Vec<_>>().join("/");
            members.into_iter().map(|(key, value)| (name(key), with_kept(value, kept))).collect()
        }
        other => other,
    }
}

fn matches(expected: &Value, found: &Value, kept: &mut BTreeMap<String, Value>) -> Result<(), String> {
    match (expected, found) {
        (Value::String(any), _) if any == "*" => Ok(()),
        (Value::String(name), _) if name.starts_with('$') && name.len() > 1 => match kept.get(name) {
            Some(known) if known == found => Ok(()),
            Some(known) => Err(format!("{found} is not {name}, which is {known}")),
            None => {
                kept.insert(name.clone(), found.clone());
                Ok(())
            }
        },
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            expected.iter().zip(found).try_for_each(|(expected, found)| matches(expected, found, kept))
        }
        (Value::Object(expected), Value::Object(members)) => {
            for (name, value) in expected {
                if let Some(absent) = name.strip_prefix('!') {
                    if members.contains_key(absent) {
                        return Err(format!("{absent} is there"));
                    }
                    continue;
                }
                let real = kept.get(name).and_then(Value::as_str).unwrap_or(name).to_owned();
                let Some(found) = members.get(&real) else { return Err(format!("{real} is missing")) };
                matches(value, found, kept).map_err(|what| format!("{real}: {what}"))?;
            }
            Ok(())
        }
        (expected, found) if expected == found => Ok(()),
        (expected, found) => Err(format!("{expected} was expected, not {found}")),
    }
}
