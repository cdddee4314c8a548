//! Everything that can go wrong, on the four levels that JMAP knows: a request, a method call, one object of a `/set`,
//! and a transfer of octets.

use serde_json::{Map, Value, json};
use thiserror::Error;

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
    /// No such method, or its capability is not used.
    #[error("there is no such method among those that the request uses")]
    UnknownMethod,
    /// An argument is missing, wrong or not known.
    #[error("{0}")]
    InvalidArguments(String),
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
}

impl MethodError {
    /// Says which argument is wrong, and how.
    pub(crate) fn argument(name: &str, what: impl std::fmt::Display) -> Self {
        Self::InvalidArguments(format!("{name} {what}"))
    }

    /// The arguments of the `error` response.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let name = match self {
            Self::ServerUnavailable => "serverUnavailable",
            Self::ServerFail(_) => "serverFail",
            Self::UnknownMethod => "unknownMethod",
            Self::InvalidArguments(_) => "invalidArguments",
            Self::InvalidResultReference(_) => "invalidResultReference",
            Self::AccountNotFound => "accountNotFound",
            Self::RequestTooLarge(_) => "requestTooLarge",
            Self::CannotCalculateChanges => "cannotCalculateChanges",
            Self::TooManyChanges => "tooManyChanges",
            Self::AnchorNotFound => "anchorNotFound",
            Self::UnsupportedSort(_) => "unsupportedSort",
            Self::UnsupportedFilter(_) => "unsupportedFilter",
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
}

impl From<mail::Error> for TransferError {
    fn from(error: mail::Error) -> Self {
        match error {
            mail::Error::NoSuchEmail => Self::NotFound,
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
            TransferError::NotFound => Self::InvalidArguments(error.to_string()),
            TransferError::Unavailable => Self::ServerUnavailable,
            TransferError::Damaged => Self::ServerFail(error.to_string()),
        }
    }
}
