//! The Request object (RFC 8620 §3.3), and the capabilities that it says it uses.

use std::collections::BTreeMap;

use serde_json::Value;

use super::json::{self, Bounds};
use super::{Object, id};
use crate::Limits;
use crate::error::Problem;

/// What a request may use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Capability {
    /// RFC 8620.
    Core,
    /// RFC 8621 §1.3.1.
    Mail,
    /// RFC 8621 §1.3.2.
    Submission,
    /// RFC 8621 §1.3.3.
    VacationResponse,
    /// RFC 9404.
    Blob,
    /// RFC 9425.
    Quota,
    /// RFC 9007.
    Mdn,
    /// RFC 8887: no method needs it.
    WebSocket,
    /// RFC 9749: no method needs it.
    WebPushVapid,
    /// Our own, for clients that can only ask: no method needs it.
    LongPoll,
}

/// The capabilities that a request uses.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Using(Vec<Capability>);

/// A request.
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    /// What it uses.
    pub using: Using,
    /// Its method calls, in their order.
    pub calls: Vec<Call>,
    /// What the client has created before (RFC 8620 §3.3): the answer carries it on if the request has it.
    pub created_ids: Option<BTreeMap<String, String>>,
}

/// A method call (RFC 8620 §3.2).
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    /// The method's name.
    pub method: String,
    /// Its arguments; references are not resolved yet.
    pub arguments: Object,
    /// What the client calls it.
    pub id: String,
}

impl Capability {
    const ALL: [Self; 10] = [
        Self::Core,
        Self::Mail,
        Self::Submission,
        Self::VacationResponse,
        Self::Blob,
        Self::Quota,
        Self::Mdn,
        Self::WebSocket,
        Self::WebPushVapid,
        Self::LongPoll,
    ];

    /// Its name.
    pub const fn urn(self) -> &'static str {
        match self {
            Self::Core => "urn:ietf:params:jmap:core",
            Self::Mail => "urn:ietf:params:jmap:mail",
            Self::Submission => "urn:ietf:params:jmap:submission",
            Self::VacationResponse => "urn:ietf:params:jmap:vacationresponse",
            Self::Blob => "urn:ietf:params:jmap:blob",
            Self::Quota => "urn:ietf:params:jmap:quota",
            Self::Mdn => "urn:ietf:params:jmap:mdn",
            Self::WebSocket => crate::push::socket::URN,
            Self::WebPushVapid => crate::push::subscription::URN,
            Self::LongPoll => crate::push::poll::URN,
        }
    }

    /// The capability of that name.
    pub fn named(urn: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.urn() == urn)
    }
}

impl Using {
    /// Whether the request uses it.
    pub fn contains(&self, capability: Capability) -> bool {
        self.0.contains(&capability)
    }
}

impl Request {
    /// Reads a request. What is too large, too deep or too many is refused before anything is made of it.
    pub fn parse(octets: &[u8], limits: &Limits) -> Result<Self, Problem> {
        if octets.len() > limits.size_request {
            let what = format!("a request may have {} octets", limits.size_request);
            return Err(Problem::Limit { limit: "maxSizeRequest", what });
        }
        let bounds = Bounds { depth: limits.depth, memory: limits.values };
        match json::parse(octets, bounds).map_err(Problem::of_json)? {
            Value::Object(request) => Self::from_object(request, limits),
            _ => Err(not("it is no object")),
        }
    }

    /// The request that an object is.
    pub(crate) fn from_object(mut request: Object, limits: &Limits) -> Result<Self, Problem> {
        let using = match request.remove("using") {
            Some(Value::Array(names)) => using(&names)?,
            _ => return Err(not("using must be an array of names")),
        };
        let Some(Value::Array(calls)) = request.remove("methodCalls") else {
            return Err(not("methodCalls must be an array of method calls"));
        };
        if calls.len() > limits.calls_in_request {
            let what = format!("a request may have {} method calls", limits.calls_in_request);
            return Err(Problem::Limit { limit: "maxCallsInRequest", what });
        }
        let calls = calls.into_iter().map(Call::read).collect::<Result<_, _>>()?;
        let created_ids = request.remove("createdIds").map(created_ids).transpose()?;
        Ok(Self { using, calls, created_ids })
    }
}

impl Call {
    fn read(value: Value) -> Result<Self, Problem> {
        let parts = match value {
            Value::Array(parts) => <[Value; 3]>::try_from(parts).ok(),
            _ => None,
        };
        match parts {
            Some([Value::String(method), Value::Object(arguments), Value::String(id)]) => {
                Ok(Self { method, arguments, id })
            }
            _ => Err(not("a method call must be an array of a name, an object of arguments and an id")),
        }
    }
}

fn using(names: &[Value]) -> Result<Using, Problem> {
    let mut using = Using::default();
    for name in names {
        let name = name.as_str().ok_or_else(|| not("using must be an array of names"))?;
        let known = Capability::named(name).ok_or_else(|| Problem::UnknownCapability(name.to_owned()))?;
        if !using.contains(known) {
            using.0.push(known);
        }
    }
    Ok(using)
}

fn created_ids(value: Value) -> Result<BTreeMap<String, String>, Problem> {
    let bad = || not("createdIds must be an object of ids");
    let Value::Object(ids) = value else { return Err(bad()) };
    let entry = |(name, value): (String, Value)| match value {
        Value::String(given) if id::is_id(&name) && id::is_id(&given) => Ok((name, given)),
        _ => Err(bad()),
    };
    ids.into_iter().map(entry).collect()
}

fn not(what: &str) -> Problem {
    Problem::NotRequest(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        let limits = Limits { calls_in_request: 2, size_request: 2000, ..Limits::default() };
        let problem = Request::parse(text.as_bytes(), &limits).unwrap_err().to_json();
        let name = problem["type"].as_str().unwrap().rsplit(':').next().unwrap();
        match problem.get("limit") {
            Some(limit) => format!("{name} {}", limit.as_str().unwrap()),
            None => name.to_owned(),
        }
    }

    #[test]
    fn a_request_is_read() {
        let text = r#"{"using":["urn:ietf:params:jmap:core","urn:ietf:params:jmap:core"],"extra":1,
                       "methodCalls":[["Core/echo",{"a":1},"c1"]],"createdIds":{"k1":"M1"}}"#;
        let request = Request::parse(text.as_bytes(), &Limits::default()).unwrap();
        assert!(request.using.contains(Capability::Core) && !request.using.contains(Capability::Mail));
        assert_eq!((request.calls[0].method.as_str(), request.calls[0].id.as_str()), ("Core/echo", "c1"));
        assert_eq!(request.created_ids.unwrap()["k1"], "M1");
    }

    /// RFC 8620 §3.6.1
    #[test]
    fn fault_49_requests_that_are_refused_whole() {
        let many = format!(r#"{{"using":[],"methodCalls":[{}1]}}"#, r#"["a",{},"b"],"#.repeat(10));
        for (text, told) in [
            ("", "notJSON"),
            ("{\"using\":[],\"using\":[],\"methodCalls\":[]}", "notJSON"),
            ("[]", "notRequest"),
            (&"[".repeat(1000), "notRequest"),
            ("{}", "notRequest"),
            (r#"{"using":{},"methodCalls":[]}"#, "notRequest"),
            (r#"{"using":[1],"methodCalls":[]}"#, "notRequest"),
            (r#"{"using":[]}"#, "notRequest"),
            (r#"{"using":[],"methodCalls":[["a",{}]]}"#, "notRequest"),
            (r#"{"using":[],"methodCalls":[["a",[],"b"]]}"#, "notRequest"),
            (r#"{"using":[],"methodCalls":[["a",{},1]]}"#, "notRequest"),
            (r#"{"using":[],"methodCalls":[],"createdIds":{"a b":"c"}}"#, "notRequest"),
            (r#"{"using":["urn:x"],"methodCalls":[]}"#, "unknownCapability"),
            (&many, "limit maxCallsInRequest"),
            (&" ".repeat(2001), "limit maxSizeRequest"),
        ] {
            assert_eq!(problem(text), told, "{text}");
        }
    }
}
