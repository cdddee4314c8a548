//! JMAP, as a webmail speaks it.

use std::io;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::Common;
use crate::http::{Http, path_of};
use crate::line::{Connection, unexpected};
use crate::measure::{Done, Worker};

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Asked {
    /// The first page of the inbox.
    Page,
    /// What has changed after one change; the change itself is not timed.
    Changes,
    /// The same after one change, asked again and again: what it costs without the changes.
    Changed,
    /// One flag of many emails set, or taken off again.
    Flags,
    /// What a list shows of many emails.
    Emails,
}

/// What a list of emails shows.
const SHOWN: [&str; 9] = [
    "threadId",
    "mailboxIds",
    "keywords",
    "hasAttachment",
    "from",
    "subject",
    "receivedAt",
    "size",
    "preview",
];
/// Emails on a page.
const PAGE: usize = 50;

/// A client that has found the server's API and its own inbox.
struct Client {
    http: Http,
    api: String,
    account: String,
    inbox: String,
    most_in_get: usize,
    most_in_set: usize,
}

impl Client {
    fn open(common: &Common, place: usize) -> io::Result<Self> {
        let connection = Connection::connect(common.address)?;
        let mut http = Http::over(connection, common.address, &common.account(place), &common.password);
        let session: Value = serde_json::from_slice(http.get("/.well-known/jmap")?)?;
        let text = |pointer: &str| session.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let limit = |name: &str| {
            let limit = session["capabilities"]["urn:ietf:params:jmap:core"][name].as_u64();
            usize::try_from(limit.unwrap_or(500)).unwrap_or(500)
        };
        let mut client = Self {
            api: path_of(text("/apiUrl")).to_owned(),
            account: text("/primaryAccounts/urn:ietf:params:jmap:mail").to_owned(),
            inbox: String::new(),
            most_in_get: limit("maxObjectsInGet"),
            most_in_set: limit("maxObjectsInSet"),
            http,
        };
        let found = client.ask(&json!([["Mailbox/get", {"accountId": client.account, "ids": null}, "0"]]))?;
        let mailboxes = found.pointer("/0/1/list").and_then(Value::as_array);
        let inbox = mailboxes.into_iter().flatten().find(|mailbox| mailbox["role"] == "inbox");
        let inbox = inbox.and_then(|mailbox| mailbox["id"].as_str());
        client.inbox = inbox.ok_or_else(|| io::Error::other("there is no inbox"))?.to_owned();
        Ok(client)
    }

    /// The responses to method calls, none of which may be an error.
    fn ask(&mut self, calls: &Value) -> io::Result<Value> {
        let request = request(calls);
        let answer = self.http.post(&self.api, &request)?;
        let mut parsed: Value = serde_json::from_slice(answer)?;
        let responses = parsed["methodResponses"].take();
        match responses.as_array() {
            Some(list) if list.iter().all(|response| response[0] != "error") => Ok(responses),
            _ => Err(unexpected("asking by JMAP", responses.to_string().as_bytes())),
        }
    }

    /// The ids of the newest emails of the inbox.
    fn newest(&mut self, count: usize) -> io::Result<Vec<String>> {
        let mut ids: Vec<String> = Vec::with_capacity(count);
        while ids.len() < count {
            let query = json!({
                "accountId": self.account, "filter": {"inMailbox": self.inbox}, "sort": newest_first(),
                "position": ids.len(), "limit": (count - ids.len()).min(1000),
            });
            let found = self.ask(&json!([["Email/query", query, "0"]]))?;
            let page = found.pointer("/0/1/ids").and_then(Value::as_array).cloned().unwrap_or_default();
            if page.is_empty() {
                return Err(io::Error::other(format!("{} of {count} emails are there", ids.len())));
            }
            ids.extend(page.iter().filter_map(Value::as_str).map(str::to_owned));
        }
        Ok(ids)
    }
}

fn newest_first() -> Value {
    json!([{"property": "receivedAt", "isAscending": false}])
}

fn request(calls: &Value) -> Vec<u8> {
    let using = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"];
    json!({"using": using, "methodCalls": calls}).to_string().into_bytes()
}

/// One connection's worth of any of them.
pub(crate) enum Asking {
    Page(Paging),
    Changes(Following),
    Flags(Flagging),
    Emails(Getting),
}

impl Asking {
    /// Begins. Everything is asked once before it counts.
    pub(crate) fn new(common: &Common, asked: Asked, emails: usize, place: usize) -> io::Result<Self> {
        let client = Client::open(common, place)?;
        let mut asking = match asked {
            Asked::Page => Self::Page(Paging::new(client)?),
            Asked::Changes => Self::Changes(Following::new(client, false)?),
            Asked::Changed => Self::Changes(Following::new(client, true)?),
            Asked::Flags => Self::Flags(Flagging::new(client, emails)?),
            Asked::Emails => Self::Emails(Getting::new(client, emails)?),
        };
        asking.once()?;
        Ok(asking)
    }
}

impl Worker for Asking {
    fn once(&mut self) -> io::Result<Done> {
        match self {
            Self::Page(worker) => worker.once(),
            Self::Changes(worker) => worker.once(),
            Self::Flags(worker) => worker.once(),
            Self::Emails(worker) => worker.once(),
        }
    }
}

/// The first page of the inbox: the newest emails of 50 threads, what a list shows of them, and their threads.
pub(crate) struct Paging {
    client: Client,
    request: Vec<u8>,
    octets: usize,
}

impl Paging {
    fn new(mut client: Client) -> io::Result<Self> {
        let account = &client.account;
        let refer = |to: &str, name: &str, path: &str| json!({"resultOf": to, "name": name, "path": path});
        let calls = json!([
            ["Email/query", {
                "accountId": account, "filter": {"inMailbox": client.inbox}, "sort": newest_first(),
                "collapseThreads": true, "limit": PAGE,
            }, "query"],
            ["Email/get", {
                "accountId": account, "#ids": refer("query", "Email/query", "/ids"), "properties": SHOWN,
            }, "emails"],
            ["Thread/get", {
                "accountId": account, "#ids": refer("emails", "Email/get", "/list/*/threadId"),
            }, "threads"],
        ]);
        let responses = client.ask(&calls)?;
        let whole = |at: usize| responses[at][1]["list"].as_array().is_some_and(|list| list.len() == PAGE);
        if !(whole(1) && whole(2)) {
            return Err(unexpected("reading a page", responses.to_string().as_bytes()));
        }
        let emails = responses[1][1]["list"].as_array().into_iter().flatten();
        if let Some(email) = emails.clone().find(|email| SHOWN.iter().any(|name| email.get(name).is_none())) {
            return Err(unexpected("reading a page", email.to_string().as_bytes()));
        }
        let octets = client.http.post(&client.api, &request(&calls))?.len();
        Ok(Self { client, request: request(&calls), octets })
    }
}

impl Worker for Paging {
    /// Nothing changes meanwhile, so that all answers are alike.
    fn once(&mut self) -> io::Result<Done> {
        let answer = self.client.http.post(&self.client.api, &self.request)?;
        if answer.len().abs_diff(self.octets) > self.octets / 10 {
            return Err(unexpected("reading a page", answer));
        }
        Ok(Done { octets: answer.len() as u64, took: None })
    }
}

/// `Email/changes` after one email has changed.
pub(crate) struct Following {
    client: Client,
    emails: Vec<String>,
    turn: usize,
    /// Whether one change is enough, and the same is asked after it again and again.
    once: bool,
    /// What was changed last, and the request that asks for it.
    question: Option<(String, Vec<u8>)>,
}

impl Following {
    fn new(mut client: Client, once: bool) -> io::Result<Self> {
        let emails = client.newest(PAGE)?;
        // From here on every change changes something.
        let update: serde_json::Map<String, Value> =
            emails.iter().map(|email| (email.clone(), json!({"keywords/$flagged": null}))).collect();
        client.ask(&json!([["Email/set", {"accountId": client.account, "update": update}, "0"]]))?;
        Ok(Self { client, emails, turn: 0, once, question: None })
    }

    /// Changes the next email.
    fn change(&mut self) -> io::Result<(String, Vec<u8>)> {
        let email = self.emails.get(self.turn % PAGE).cloned().unwrap_or_default();
        let is_set = if (self.turn / PAGE).is_multiple_of(2) { json!(true) } else { Value::Null };
        self.turn += 1;
        let account = &self.client.account;
        let set = json!({"accountId": account, "update": {email.clone(): {"keywords/$flagged": is_set}}});
        let changed = self.client.ask(&json!([["Email/set", set, "0"]]))?;
        let since = &changed[0][1]["oldState"];
        let calls = json!([["Email/changes", {"accountId": self.client.account, "sinceState": since}, "0"]]);
        Ok((email, request(&calls)))
    }
}

impl Worker for Following {
    fn once(&mut self) -> io::Result<Done> {
        let (email, request) = match self.question.take().filter(|_| self.once) {
            Some(question) => question,
            None => self.change()?,
        };
        let begun = std::time::Instant::now();
        let answer = self.client.http.post(&self.client.api, &request)?;
        let took = begun.elapsed();
        let octets = answer.len() as u64;
        let told: Value = serde_json::from_slice(answer)?;
        if told["methodResponses"][0][1]["updated"] != json!([email]) {
            return Err(unexpected("following", answer));
        }
        self.question = Some((email, request));
        Ok(Done { octets, took: Some(took) })
    }
}

/// `Email/set` of one flag of many emails, in one request of as many calls as the server's limit makes of it.
pub(crate) struct Flagging {
    client: Client,
    /// Sets them, and takes them off.
    requests: [Vec<u8>; 2],
    emails: usize,
    turn: usize,
}

impl Flagging {
    fn new(mut client: Client, emails: usize) -> io::Result<Self> {
        let ids = client.newest(emails)?;
        let calls = |value: &Value| -> Vec<u8> {
            let call = |(number, ids): (usize, &[String])| {
                let patch = |id: &String| (id.clone(), json!({"keywords/$flagged": value}));
                let update: serde_json::Map<String, Value> = ids.iter().map(patch).collect();
                json!(["Email/set", {"accountId": client.account, "update": update}, number.to_string()])
            };
            request(&ids.chunks(client.most_in_set.max(1)).enumerate().map(call).collect())
        };
        let requests = [calls(&json!(true)), calls(&Value::Null)];
        Ok(Self { client, requests, emails, turn: 0 })
    }
}

impl Worker for Flagging {
    fn once(&mut self) -> io::Result<Done> {
        let request = self.requests.get(self.turn % 2).map_or(&[][..], Vec::as_slice);
        self.turn += 1;
        let answer = self.client.http.post(&self.client.api, request)?;
        let told: Value = serde_json::from_slice(answer)?;
        let responses = told["methodResponses"].as_array().into_iter().flatten();
        let updated: usize =
            responses.filter_map(|response| Some(response[1]["updated"].as_object()?.len())).sum();
        if updated != self.emails {
            return Err(io::Error::other(format!("{updated} of {} emails were changed", self.emails)));
        }
        Ok(Done { octets: answer.len() as u64, took: None })
    }
}

/// `Email/get` of many emails, as many in a request as the server's limit allows.
pub(crate) struct Getting {
    client: Client,
    requests: Vec<Vec<u8>>,
    octets: Option<u64>,
}

impl Getting {
    fn new(mut client: Client, emails: usize) -> io::Result<Self> {
        let ids = client.newest(emails)?;
        let call = |ids: &[String]| {
            let arguments = json!({"accountId": client.account, "ids": ids, "properties": SHOWN});
            request(&json!([["Email/get", arguments, "0"]]))
        };
        let requests: Vec<Vec<u8>> = ids.chunks(client.most_in_get.max(1)).map(call).collect();
        for (request, ids) in requests.iter().zip(ids.chunks(client.most_in_get.max(1))) {
            let answer: Value = serde_json::from_slice(client.http.post(&client.api, request)?)?;
            let got = answer["methodResponses"][0][1]["list"].as_array().map_or(0, Vec::len);
            if got != ids.len() {
                return Err(io::Error::other(format!("{got} of {} emails were got", ids.len())));
            }
        }
        Ok(Self { client, requests, octets: None })
    }
}

impl Worker for Getting {
    /// Nothing changes meanwhile, so that all answers are as long.
    fn once(&mut self) -> io::Result<Done> {
        let mut octets = 0;
        for request in &self.requests {
            octets += self.client.http.post(&self.client.api, request)?.len() as u64;
        }
        let usual = *self.octets.get_or_insert(octets);
        if octets.abs_diff(usual) > usual / 10 {
            return Err(io::Error::other(format!("{octets} octets came instead of {usual}")));
        }
        Ok(Done { octets, took: None })
    }
}
