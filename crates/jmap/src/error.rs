//! Everything that can go wrong, on the four levels that JMAP knows: a request, a method call, one object of a `/set`,
//! and a transfer of octets.

use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::wire::json::Refusal;

/// Why a whole request was refused, as problem details (RFC 8620 §3.6.1, RFC 7807).
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Problem {
    /// The request wants to use something that is not here.
    #[error("the capability {0:?} is not offered; the session object lists all that are")]
    UnknownCapability(String),
    /// Not I-JSON.
    #[error("the request is not I-JSON: {0}")]
    NotJson(String),
    /// JSON, but no Request object.
    #[error("the request is no Request object: {0}")]
    NotRequest(String),
    /// More than may be asked for.
    #[error("{what}")]
    Limit {
        /// The limit's name in the session object.
        limit: &'static str,
        /// What there was too much of.
        what: String,
    },
}

impl Problem {
    /// What is the matter with octets that were not read.
    pub(crate) fn of_json(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Syntax(what) => Self::NotJson(what),
            Refusal::Deep(_) => Self::NotRequest(refusal.to_string()),
            Refusal::Large(_) => Self::Limit { limit: "maxSizeRequest", what: refusal.to_string() },
        }
    }

    /// The status of the HTTP answer.
    pub const fn status(&self) -> u16 {
        400
    }

    /// The problem details.
    pub fn to_json(&self) -> Value {
        let name = match self {
            Self::UnknownCapability(_) => "unknownCapability",
            Self::NotJson(_) => "notJSON",
            Self::NotRequest(_) => "notRequest",
            Self::Limit { .. } => "limit",
        };
        let mut problem = json!({
            "type": format!("urn:ietf:params:jmap:error:{name}"),
            "status": self.status(),
            "detail": self.to_string(),
        });
        if let (Self::Limit { limit, .. }, Some(problem)) = (self, problem.as_object_mut()) {
            problem.insert("limit".to_owned(), (*limit).into());
        }
        problem
    }
}

/// Why a method call failed (RFC 8620 §3.6.2).
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(crate) enum MethodError {
    /// The stores are out of reach; later it may work.
    #[error("the server cannot do this at the moment; try again later")]
    ServerUnavailable,
    /// Something of ours is broken.
    #[error("{0}")]
    ServerFail(String),
    /// Something failed after something had been done.
    #[error("{0}; some of it was done before: look what there is now")]
    ServerPartialFail(String),
    /// No such method, or its capability is not used.
    #[error("there is no such method among those that the request uses")]
    UnknownMethod,
    /// An argument is missing, wrong or not known.
    #[error("{0}")]
    InvalidArguments(String),
    /// It may not be done, or not be told.
    #[error("{0}")]
    Forbidden(String),
    /// A reference to an earlier result leads nowhere.
    #[error("{0}")]
    InvalidResultReference(String),
    /// No such account, or none that the user may see.
    #[error("there is no such account")]
    AccountNotFound,
    /// More than one call may do.
    #[error("{0}")]
    RequestTooLarge(String),
    /// The log does not reach back that far, or the state is none of ours.
    #[error("changes since that state cannot be calculated: fetch the current state instead")]
    CannotCalculateChanges,
    /// `ifInState` is not the state any more.
    #[error("the account is in another state by now")]
    StateMismatch,
    /// The account to copy from is not there.
    #[error("there is no such account to copy from")]
    FromAccountNotFound,
    /// More changes than the client takes.
    #[error("there are more changes than maxChanges allows: query anew")]
    TooManyChanges,
    /// The anchor is not among the results.
    #[error("the anchor is not among the results")]
    AnchorNotFound,
    /// A sort that is not known.
    #[error("{0}")]
    UnsupportedSort(String),
    /// A filter that is not known.
    #[error("{0}")]
    UnsupportedFilter(String),
    /// A type that blobs cannot be looked up in, or whose capability is not used (RFC 9404 §4.3).
    #[error(
        "blobs cannot be looked up in {0:?}; the account's capability lists the types, and the request must use theirs"
    )]
    UnknownDataType(String),
}

impl MethodError {
    /// Says which argument is wrong, and how.
    pub(crate) fn argument(name: &str, what: impl std::fmt::Display) -> Self {
        Self::InvalidArguments(format!("{name} {what}"))
    }

    /// What a failure is if something was done before: the client has to look what has become of the rest (RFC 8620 §3.6.2).
    pub(crate) fn after(self, something: bool) -> Self {
        if something { Self::ServerPartialFail(self.to_string()) } else { self }
    }

    /// The arguments of the `error` response.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let name = match self {
            Self::ServerUnavailable => "serverUnavailable",
            Self::ServerFail(_) => "serverFail",
            Self::ServerPartialFail(_) => "serverPartialFail",
            Self::UnknownMethod => "unknownMethod",
            Self::InvalidArguments(_) => "invalidArguments",
            Self::Forbidden(_) => "forbidden",
            Self::InvalidResultReference(_) => "invalidResultReference",
            Self::AccountNotFound => "accountNotFound",
            Self::RequestTooLarge(_) => "requestTooLarge",
            Self::CannotCalculateChanges => "cannotCalculateChanges",
            Self::StateMismatch => "stateMismatch",
            Self::FromAccountNotFound => "fromAccountNotFound",
            Self::TooManyChanges => "tooManyChanges",
            Self::AnchorNotFound => "anchorNotFound",
            Self::UnsupportedSort(_) => "unsupportedSort",
            Self::UnsupportedFilter(_) => "unsupportedFilter",
            Self::UnknownDataType(_) => "unknownDataType",
        };
        let mut error = Map::new();
        error.insert("type".to_owned(), name.into());
        error.insert("description".to_owned(), self.to_string().into());
        error
    }
}

impl From<mail::Error> for MethodError {
    fn from(error: mail::Error) -> Self {
        match error {
            mail::Error::CannotCalculateChanges => Self::CannotCalculateChanges,
            mail::Error::Changed => Self::StateMismatch,
            mail::Error::TooMuch(_) | mail::Error::TooMany { .. } => Self::RequestTooLarge(error.to_string()),
            error if error.is_temporary() => {
                tracing::warn!(%error, "a method call failed");
                Self::ServerUnavailable
            }
            error => {
                tracing::error!(%error, "a method call failed");
                Self::ServerFail(
                    "what is stored could not be read; the operator finds the reason in the log".into(),
                )
            }
        }
    }
}

impl From<directory::Error> for MethodError {
    fn from(error: directory::Error) -> Self {
        tracing::warn!(%error, "a method call failed");
        Self::ServerUnavailable
    }
}

impl From<push::Error> for MethodError {
    fn from(error: push::Error) -> Self {
        tracing::warn!(%error, "a method call failed");
        Self::ServerUnavailable
    }
}

/// Properties that one error names, where there are more.
const MOST_PROPERTIES: usize = 20;

/// Why one object of a `/set` was not created, updated or destroyed (RFC 8620 §5.3, RFC 8621 §2.5 and §4.6).
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct SetError {
    kind: &'static str,
    description: String,
    properties: Vec<String>,
    further: Map<String, Value>,
}

impl SetError {
    /// An error of a kind that needs no more than words.
    pub(crate) fn new(kind: &'static str, description: impl Into<String>) -> Self {
        Self { kind, description: description.into(), properties: Vec::new(), further: Map::new() }
    }

    /// There is no such object.
    pub(crate) fn not_found() -> Self {
        Self::new("notFound", "there is no such object")
    }

    /// These properties cannot be so.
    pub(crate) fn properties(names: &[&str], description: impl Into<String>) -> Self {
        let properties = names.iter().map(|name| (*name).to_owned()).collect();
        Self { properties, ..Self::new("invalidProperties", description) }
    }

    /// This one, and another of the same object: where both are about properties, all of these are named.
    pub(crate) fn and(mut self, other: Self) -> Self {
        // Enough to go on with; each one more is said with all that were before.
        if self.kind != "invalidProperties" || self.properties.len() >= MOST_PROPERTIES {
            return self;
        }
        if other.kind != self.kind {
            return other;
        }
        self.description = format!("{}; {}", self.description, other.description);
        self.properties.extend(other.properties);
        self.properties.sort();
        self.properties.dedup();
        self
    }

    /// With a further member.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.further.insert(name.to_owned(), value.into());
        self
    }

    /// As it stands in a response.
    pub(crate) fn to_json(&self) -> Value {
        let mut error = self.further.clone();
        error.insert("type".to_owned(), self.kind.into());
        error.insert("description".to_owned(), self.description.as_str().into());
        if !self.properties.is_empty() {
            error.insert("properties".to_owned(), self.properties.clone().into());
        }
        Value::Object(error)
    }

    /// What `mail` has refused, of one object; what has nothing to do with it fails the whole call.
    pub(crate) fn of(error: mail::Error) -> Result<Self, MethodError> {
        use mail::Error as E;
        let text = error.to_string();
        Ok(match error {
            E::NoSuchEmail | E::NoSuchObject => Self::not_found(),
            E::NoSuchMailbox | E::Nowhere => Self::properties(&["mailboxIds"], text),
            E::Exists | E::Name(_) => Self::properties(&["name"], text),
            E::RoleTaken => Self::properties(&["role"], text),
            E::Loop => Self::properties(&["parentId"], text),
            E::HasChildren => Self::new("mailboxHasChild", text),
            E::HasEmails => Self::new("mailboxHasEmail", text),
            E::Inbox => Self::new("forbidden", text),
            E::OverQuota { .. } | E::TooManyMailboxes { .. } => Self::new("overQuota", text),
            E::TooLarge { .. } | E::ObjectTooLarge { .. } => Self::new("tooLarge", text),
            E::TooManyKeywords { .. } => Self::new("tooManyKeywords", text),
            E::TooManyPlaces { .. } => Self::new("tooManyMailboxes", text),
            E::TooMany { .. } | E::OutOfUids => Self::new("forbidden", text),
            E::Empty => Self::new("invalidEmail", text),
            error => return Err(error.into()),
        })
    }
}

/// Why octets were neither taken nor given.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TransferError {
    /// No such account or blob, or none that the user may see.
    #[error("there is no such blob")]
    NotFound,
    /// The stores are out of reach.
    #[error("the server cannot do this at the moment; try again later")]
    Unavailable,
    /// What is stored is damaged.
    #[error("what is stored could not be read")]
    Damaged,
    /// A file that is larger than files may be.
    #[error("a file may have {0} octets")]
    TooLarge(u64),
}

impl TransferError {
    /// The status of the HTTP answer.
    pub const fn status(&self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::Unavailable => 503,
            Self::Damaged => 500,
            Self::TooLarge(_) => 413,
        }
    }

    /// The problem details (RFC 7807).
    pub fn to_json(&self) -> Value {
        let (name, limit) = match self {
            Self::TooLarge(_) => ("urn:ietf:params:jmap:error:limit", Some("maxSizeUpload")),
            _ => ("about:blank", None),
        };
        let mut problem = json!({"type": name, "status": self.status(), "detail": self.to_string()});
        if let (Some(limit), Some(problem)) = (limit, problem.as_object_mut()) {
            problem.insert("limit".to_owned(), limit.into());
        }
        problem
    }
}

impl From<mail::Error> for TransferError {
    fn from(error: mail::Error) -> Self {
        match error {
            mail::Error::NoSuchEmail => Self::NotFound,
            mail::Error::TooLarge { limit, .. } => Self::TooLarge(limit),
            error if error.is_temporary() => {
                tracing::warn!(%error, "a blob could not be read");
                Self::Unavailable
            }
            error => {
                tracing::error!(%error, "a blob could not be read");
                Self::Damaged
            }
        }
    }
}

impl From<TransferError> for MethodError {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::NotFound | TransferError::TooLarge(_) => Self::InvalidArguments(error.to_string()),
            TransferError::Unavailable => Self::ServerUnavailable,
            TransferError::Damaged => Self::ServerFail(error.to_string()),
        }
    }
}
