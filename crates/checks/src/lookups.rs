//! The questions that one message may cause.
//!
//! What a message says decides what is asked, so its sender could make us ask anything, any number of times. Here is
//! the end of that: a number of questions for each check, and a moment for all of them. A question that comes too late
//! is answered like one that DNS did not answer. The same question is asked once.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use dns::{DnsError, Name, Question, Record, Resolver};
use parking_lot::Mutex;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

type Answer = Result<Arc<[Record]>, LookupError>;

/// Why a check has no answer.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(crate) enum LookupError {
    /// The name does not exist at all.
    #[error("the name does not exist")]
    NoSuchName,
    /// Nobody could say, or not in time: ask again later.
    #[error("DNS did not answer: {0}")]
    Temporary(String),
    /// The message has caused as many questions as a message may.
    #[error("the message causes too many questions")]
    TooMany,
}

impl From<DnsError> for LookupError {
    fn from(error: DnsError) -> Self {
        match error {
            DnsError::NoSuchName => Self::NoSuchName,
            DnsError::Temporary(_) | DnsError::Bogus => Self::Temporary(error.to_string()),
        }
    }
}

/// One check's way to DNS. Cheap to clone; all clones share the same budget.
#[derive(Clone)]
pub(crate) struct Lookups {
    resolver: Arc<dyn Resolver>,
    until: Instant,
    state: Arc<Mutex<State>>,
}

struct State {
    left: usize,
    known: HashMap<Question, Answer>,
}

impl Lookups {
    /// Up to `questions` questions, until a moment.
    pub(crate) fn new(resolver: Arc<dyn Resolver>, questions: usize, until: Instant) -> Self {
        Self {
            resolver,
            until,
            state: Arc::new(Mutex::new(State { left: questions, known: HashMap::new() })),
        }
    }

    pub(crate) async fn txt(&self, name: Name) -> Result<Vec<Vec<u8>>, LookupError> {
        let wanted = |record: &Record| match record {
            Record::Txt(text) => Some(text.clone()),
            _ => None,
        };
        self.records(Question::Txt(name), wanted).await
    }

    pub(crate) async fn ipv4(&self, name: Name) -> Result<Vec<Ipv4Addr>, LookupError> {
        let wanted = |record: &Record| match record {
            Record::Ipv4(address) => Some(*address),
            _ => None,
        };
        self.records(Question::Ipv4(name), wanted).await
    }

    pub(crate) async fn ipv6(&self, name: Name) -> Result<Vec<Ipv6Addr>, LookupError> {
        let wanted = |record: &Record| match record {
            Record::Ipv6(address) => Some(*address),
            _ => None,
        };
        self.records(Question::Ipv6(name), wanted).await
    }

    /// The addresses of a name, of the family that `like` is of.
    pub(crate) async fn addresses(&self, name: Name, like: IpAddr) -> Result<Vec<IpAddr>, LookupError> {
        Ok(match like {
            IpAddr::V4(_) => self.ipv4(name).await?.into_iter().map(IpAddr::V4).collect(),
            IpAddr::V6(_) => self.ipv6(name).await?.into_iter().map(IpAddr::V6).collect(),
        })
    }

    /// The hosts of a name's mail exchangers, the preferred first.
    pub(crate) async fn mx(&self, name: Name) -> Result<Vec<Name>, LookupError> {
        let wanted = |record: &Record| match record {
            Record::Mx(preference, host) => Some((*preference, host.clone()?)),
            _ => None,
        };
        let mut hosts = self.records(Question::Mx(name), wanted).await?;
        hosts.sort_by_key(|(preference, _)| *preference);
        Ok(hosts.into_iter().map(|(_, host)| host).collect())
    }

    pub(crate) async fn ptr(&self, address: IpAddr) -> Result<Vec<Name>, LookupError> {
        let wanted = |record: &Record| match record {
            Record::Ptr(name) => Some(name.clone()),
            _ => None,
        };
        self.records(Question::Ptr(address), wanted).await
    }

    async fn records<T>(
        &self,
        question: Question,
        wanted: impl Fn(&Record) -> Option<T>,
    ) -> Result<Vec<T>, LookupError> {
        Ok(self.ask(question).await?.iter().filter_map(wanted).collect())
    }

    async fn ask(&self, question: Question) -> Answer {
        {
            let mut state = self.state.lock();
            if let Some(answer) = state.known.get(&question) {
                return answer.clone();
            }
            let Some(left) = state.left.checked_sub(1) else {
                return Err(LookupError::TooMany);
            };
            state.left = left;
        }
        let answer = match timeout_at(self.until, self.resolver.ask(&question)).await {
            Ok(answer) => answer.map(|answer| Arc::from(answer.records)).map_err(LookupError::from),
            Err(_late) => Err(LookupError::Temporary("it took too long".to_owned())),
        };
        self.state.lock().known.insert(question, answer.clone());
        answer
    }
}
