//! The service: a request in, its answer out.

use std::sync::Arc;

use bytes::Bytes;
use directory::Directory;
use mail::Mail;
use serde_json::{Value, json};
use types::Clock;

use crate::context::Context;
use crate::departures::Departures;
use crate::download::{self, Download, Room};
use crate::error::MethodError;
use crate::method::Method;
use crate::push::{Watch, poll, socket};
use crate::upload::Upload;
use crate::wire::{Arguments, Call, Object, Pointer, Request, Using};
use crate::{
    EventRequest, Events, Limits, Message, PollRequest, Problem, Refusal, TransferError, User, meter, session,
};

/// What JMAP stands on.
#[derive(Clone)]
pub struct Services {
    /// Mailboxes and emails.
    pub mail: Mail,
    /// Accounts and their limits.
    pub directory: Directory,
    /// Push services, if they are used.
    pub push: Option<push::Push>,
    /// What time it is.
    pub clock: Clock,
    /// Sends mail.
    pub departures: Arc<dyn Departures>,
}

/// JMAP. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Jmap {
    inner: Arc<Inner>,
}

struct Inner {
    services: Services,
    limits: Limits,
    room: Room,
}

impl Jmap {
    /// JMAP on these services.
    pub fn new(services: Services, limits: Limits) -> Self {
        Self { inner: Arc::new(Inner { services, limits, room: Room::default() }) }
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// The Session object (RFC 8620 §2). `base` is where the client has found it: scheme and authority, such as
    /// `https://mail.example.com`. All URLs in it are absolute.
    pub fn session(&self, user: &User, base: &str) -> Bytes {
        to_bytes(&session::session(user, &self.inner.offer(), base))
    }

    /// Answers a request (RFC 8620 §3): a Response object, or why the whole request was refused.
    pub async fn request(&self, user: &User, octets: &[u8]) -> Result<Bytes, Problem> {
        let request = Request::parse(octets, &self.inner.limits)?;
        Ok(to_bytes(&Value::Object(self.answer(user, request).await)))
    }

    /// Reads a message of a WebSocket (RFC 8887 §4.3).
    ///
    /// # Errors
    /// [`Refusal`], for the client.
    pub fn read(&self, octets: &[u8]) -> Result<Message, Refusal> {
        Message::parse(octets, &self.inner.limits)
    }

    /// Answers a request of a WebSocket: with a message.
    pub async fn answer_message(&self, user: &User, id: Option<String>, request: Request) -> Bytes {
        to_bytes(&socket::response(self.answer(user, request).await, id))
    }

    async fn answer(&self, user: &User, request: Request) -> Object {
        let Inner { services, limits, .. } = &*self.inner;
        let Request { using, calls, created_ids } = request;
        let tells_created = created_ids.is_some();
        let created = created_ids.unwrap_or_default();
        let (room, blob_room) = (limits.answer, limits.blobs);
        let mut context = Context { services, limits, user, using: &using, created, room, blob_room };
        let mut answered = Answered { responses: Vec::new(), room: limits.values };
        for Call { method, arguments, id } in calls {
            let result = answered.run(&mut context, &using, &method, arguments).await;
            meter::count(&method, result.is_err());
            match result {
                Ok(responses) => {
                    answered.responses.extend(responses.into_iter().map(|(name, arguments)| Invocation {
                        name: name.into(),
                        arguments: Value::Object(arguments),
                        id: id.clone(),
                    }));
                }
                Err(error) => answered.responses.push(Invocation {
                    name: "error".into(),
                    arguments: Value::Object(error.to_json()),
                    id,
                }),
            }
        }
        let responses = answered.responses.into_iter().map(Invocation::into_json).collect();
        let mut response = Object::new();
        response.insert("methodResponses".to_owned(), Value::Array(responses));
        if tells_created {
            response.insert("createdIds".to_owned(), json!(context.created));
        }
        response.insert("sessionState".to_owned(), session::state(user, &self.inner.offer()).into());
        response
    }

    /// Begins to take a file of the user's (RFC 8620 §6.1), of which nothing has been read so far.
    pub fn upload(&self, user: &User, account: &str, media_type: &str) -> Result<Upload, TransferError> {
        let account = user.open(account).map_err(|_| TransferError::NotFound)?;
        Ok(Upload::new(&self.inner.services.mail, account, media_type, self.inner.limits.size_upload))
    }

    /// Begins to tell of changes in the user's account (RFC 8620 §7.3).
    pub async fn events(
        &self,
        user: &User,
        request: EventRequest,
        last: Option<&str>,
    ) -> Result<Events, TransferError> {
        Ok(Events::begin(self.inner.services.mail.clone(), user.account(), request, last).await?)
    }

    /// Waits for a change in the user's account, until there is one, or the time is up, or `leaving` resolves.
    pub async fn poll(
        &self,
        user: &User,
        request: PollRequest,
        leaving: impl Future<Output = ()>,
    ) -> Result<Bytes, TransferError> {
        let mail = self.inner.services.mail.clone();
        Ok(to_bytes(&poll::poll(mail, user.account(), request, leaving).await?))
    }

    /// Begins to tell of changes in the user's account over a WebSocket: each is a message (RFC 8887 §4.3.5).
    pub async fn changes(
        &self,
        user: &User,
        types: Option<Vec<String>>,
        since: Option<&str>,
    ) -> Result<Changes, TransferError> {
        Ok(Changes(Watch::begin(self.inner.services.mail.clone(), user.account(), types, since).await?))
    }

    /// Finds a blob for its reader (RFC 8620 §6.2). Whoever may not see the account, and whoever asks for a blob that
    /// the account does not have, hears the same.
    pub async fn download(&self, user: &User, account: &str, blob: &str) -> Result<Download, TransferError> {
        let account = user.open(account).map_err(|_| TransferError::NotFound)?;
        download::open(&self.inner.services.mail, &self.inner.room, account, blob).await
    }
}

impl Inner {
    fn offer(&self) -> session::Offer<'_> {
        let key = self.services.push.as_ref().map(push::Push::application_server_key);
        session::Offer {
            limits: &self.limits,
            terms: self.services.departures.terms(),
            application_server_key: key,
        }
    }
}

/// Changes as a WebSocket tells of them.
pub struct Changes(Watch);

impl Changes {
    /// The next StateChange; what changes meanwhile is told together. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// If the stores are out of reach.
    pub async fn next(&mut self) -> Result<Bytes, TransferError> {
        let change = self.0.next().await?;
        let changed = change.changed;
        Ok(to_bytes(&json!({"@type": "StateChange", "changed": changed, "pushState": change.state})))
    }
}

/// A response to a method call.
struct Invocation {
    name: Box<str>,
    arguments: Value,
    id: String,
}

impl Invocation {
    /// As it stands in a response. It is moved: `json!` would copy what may be megabytes.
    fn into_json(self) -> Value {
        Value::Array(vec![String::from(self.name).into(), self.arguments, self.id.into()])
    }
}

/// What has been answered so far, which later calls may refer to.
struct Answered {
    responses: Vec<Invocation>,
    /// Memory that references may still bring in: each is a copy, and copies of copies grow quickly.
    room: usize,
}

impl Answered {
    async fn run(
        &mut self,
        context: &mut Context<'_>,
        using: &Using,
        name: &str,
        arguments: Object,
    ) -> Result<Vec<(&'static str, Object)>, MethodError> {
        let method = Method::named(name).filter(|method| using.contains(method.capability));
        let method = method.ok_or(MethodError::UnknownMethod)?;
        let arguments = Arguments::new(self.resolve(arguments)?);
        let responses = (method.run)(context, arguments).await?;
        Ok(responses)
    }

    /// Puts in what the arguments refer to (RFC 8620 §3.7).
    fn resolve(&mut self, arguments: Object) -> Result<Object, MethodError> {
        if !arguments.keys().any(|name| name.starts_with('#')) {
            return Ok(arguments);
        }
        let mut resolved = Object::new();
        for (name, value) in arguments {
            let (name, value) = match name.strip_prefix('#') {
                Some(plain) => (plain.to_owned(), self.referred(&name, &value)?),
                None => (name, value),
            };
            if resolved.contains_key(&name) {
                return Err(MethodError::InvalidArguments(format!("both {name} and #{name} are there")));
            }
            resolved.insert(name, value);
        }
        Ok(resolved)
    }

    fn referred(&mut self, name: &str, reference: &Value) -> Result<Value, MethodError> {
        let fails = |what: &str| MethodError::InvalidResultReference(format!("{name}: {what}"));
        let part = |part: &str| reference.get(part).and_then(Value::as_str);
        let (Some(result_of), Some(method), Some(path)) = (part("resultOf"), part("name"), part("path"))
        else {
            return Err(fails("it must be an object with resultOf, name and path"));
        };
        let response = self.responses.iter().find(|response| response.id == result_of);
        let response = response.ok_or_else(|| fails("no call before this one has that id"))?;
        if &*response.name != method {
            return Err(fails("the call with that id was answered with another name"));
        }
        let pointer = Pointer::parse(path).ok_or_else(|| fails("path is no JSON pointer"))?;
        let found = pointer.resolve(&response.arguments, &mut self.room);
        found.ok_or_else(|| fails("path leads nowhere, or to more than a request may refer to"))
    }
}

/// JSON as octets. Nothing that is made here can fail to be written.
pub(crate) fn to_bytes(value: &Value) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}
