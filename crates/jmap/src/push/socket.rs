//! Messages of a WebSocket (RFC 8887): requests and their answers under names of the client's, and push that is turned on and
//! off. Frames, and how many requests run at once, are the business of whoever has the connection.

use serde_json::{Value, json};

use crate::error::Problem;
use crate::wire::{Object, Request, json as reader};
use crate::{Limits, wire::Bounds};

/// The capability (RFC 8887 §3.1).
pub const URN: &str = "urn:ietf:params:jmap:websocket";

/// What a message says.
#[derive(Debug)]
pub enum Message {
    /// A request, and what the client calls it.
    Request(Option<String>, Request),
    /// Push is wanted, of these types, and from this state on.
    Enable(Option<Vec<String>>, Option<String>),
    /// Push is not wanted any more.
    Disable,
}

/// A message that was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// What the client calls its request, if it has said that much.
    pub id: Option<String>,
    /// Why.
    pub problem: Problem,
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Refusal`] is told to the client; the connection goes on.
    pub fn parse(octets: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        let mut message = read(octets, limits).map_err(|problem| Refusal { id: None, problem })?;
        let kind = message.remove("@type");
        let id = match message.remove("id") {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) => Some(id),
            Some(_) => return Err(Refusal { id: None, problem: not("id must be a string") }),
        };
        match kind.as_ref().and_then(Value::as_str) {
            Some("Request") => match Request::from_object(message, limits) {
                Ok(request) => Ok(Self::Request(id, request)),
                Err(problem) => Err(Refusal { id, problem }),
            },
            Some("WebSocketPushEnable") => enable(message).map_err(|problem| Refusal { id, problem }),
            Some("WebSocketPushDisable") => Ok(Self::Disable),
            _ => {
                let what = "@type must be Request, WebSocketPushEnable or WebSocketPushDisable";
                Err(Refusal { id, problem: not(what) })
            }
        }
    }
}

impl Refusal {
    /// A RequestError (RFC 8887 §4.3.4).
    pub fn to_json(&self) -> Value {
        let mut error = self.problem.to_json();
        if let Some(error) = error.as_object_mut() {
            error.insert("@type".to_owned(), "RequestError".into());
            error.insert("requestId".to_owned(), json!(self.id));
        }
        error
    }
}

/// Makes a Response object a message (RFC 8887 §4.3.3).
pub(crate) fn response(mut response: Object, id: Option<String>) -> Value {
    response.insert("@type".to_owned(), "Response".into());
    if let Some(id) = id {
        response.insert("requestId".to_owned(), id.into());
    }
    Value::Object(response)
}

fn read(octets: &[u8], limits: &Limits) -> Result<Object, Problem> {
    let bounds = Bounds { depth: limits.depth, memory: limits.values };
    match reader::parse(octets, bounds).map_err(Problem::of_json)? {
        Value::Object(message) => Ok(message),
        _ => Err(not("it is no object")),
    }
}

fn enable(mut message: Object) -> Result<Message, Problem> {
    let types = match message.remove("dataTypes") {
        None | Some(Value::Null) => None,
        Some(Value::Array(names)) => {
            let names = names.into_iter().map(|name| match name {
                Value::String(name) => Some(name),
                _ => None,
            });
            Some(names.collect::<Option<_>>().ok_or_else(|| not("dataTypes must be names of types"))?)
        }
        Some(_) => return Err(not("dataTypes must be names of types, or null")),
    };
    let state = match message.remove("pushState") {
        None | Some(Value::Null) => None,
        Some(Value::String(state)) => Some(state),
        Some(_) => return Err(not("pushState must be a string")),
    };
    Ok(Message::Enable(types, state))
}

fn not(what: &str) -> Problem {
    Problem::NotRequest(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Value {
        Message::parse(text.as_bytes(), &Limits::default()).unwrap_err().to_json()
    }

    #[test]
    fn messages() {
        let read = |text: &str| Message::parse(text.as_bytes(), &Limits::default()).unwrap();
        let request = r#"{"@type":"Request","id":"R1","using":[],"methodCalls":[["Core/echo",{},"c"]]}"#;
        assert!(
            matches!(read(request), Message::Request(Some(id), request) if id == "R1" && request.calls.len() == 1)
        );
        let nameless = r#"{"@type":"Request","using":[],"methodCalls":[]}"#;
        assert!(matches!(read(nameless), Message::Request(None, _)));
        let all = r#"{"@type":"WebSocketPushEnable","dataTypes":null}"#;
        assert!(matches!(read(all), Message::Enable(None, None)));
        let some = r#"{"@type":"WebSocketPushEnable","dataTypes":["Email"],"pushState":"s1"}"#;
        assert!(matches!(
            read(some),
            Message::Enable(Some(types), Some(state)) if types == ["Email"] && state == "s1"
        ));
        assert!(matches!(read(r#"{"@type":"WebSocketPushDisable"}"#), Message::Disable));
    }

    #[test]
    fn what_is_no_message() {
        for (text, id, kind) in [
            ("{", Value::Null, "notJSON"),
            ("[]", Value::Null, "notRequest"),
            ("{}", Value::Null, "notRequest"),
            (r#"{"@type":"Request","id":7}"#, Value::Null, "notRequest"),
            (r#"{"@type":"Request","id":"a","methodCalls":[]}"#, "a".into(), "notRequest"),
            (
                r#"{"@type":"Request","id":"b","using":["x"],"methodCalls":[]}"#,
                "b".into(),
                "unknownCapability",
            ),
            (r#"{"@type":"Push","id":"c"}"#, "c".into(), "notRequest"),
            (r#"{"@type":"WebSocketPushEnable","dataTypes":[1]}"#, Value::Null, "notRequest"),
            (r#"{"@type":"WebSocketPushEnable","pushState":1}"#, Value::Null, "notRequest"),
            (r#"{"@type":"Request","@type":"Request"}"#, Value::Null, "notJSON"),
        ] {
            let error = refused(text);
            assert_eq!((&error["@type"], &error["requestId"]), (&"RequestError".into(), &id), "{text}");
            assert_eq!(error["type"], format!("urn:ietf:params:jmap:error:{kind}"), "{text}");
        }
        assert_eq!(refused(&"[".repeat(1_000_000))["type"], "urn:ietf:params:jmap:error:notRequest");
    }
}
