//! The keys with which a domain's mail is signed.

use bytes::Bytes;
use checks::{KeyKind, SigningError, SigningKey};
use directory::{DkimAlgorithm, DkimKey, DkimState, DomainName, NewDkimKey, Selector};
use serde::{Deserialize, Serialize};

use super::domain_name;
use crate::admin::Operation;
use crate::node::Node;
use crate::problem::{Kind, Problem};
use crate::text::date_time;

/// A key, as it is shown: what everybody may know of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct View {
    pub(crate) domain: String,
    pub(crate) selector: String,
    pub(crate) algorithm: String,
    /// `published`, `active` or `retired`.
    pub(crate) state: String,
    pub(crate) created: String,
    pub(crate) activated: Option<String>,
    pub(crate) retired: Option<String>,
    /// Where the record belongs.
    pub(crate) name: String,
    /// The TXT record.
    pub(crate) record: String,
}

impl View {
    fn new(domain: &DomainName, key: &DkimKey) -> Self {
        let kind = kind(key.algorithm);
        Self {
            domain: domain.to_string(),
            selector: key.selector.to_string(),
            algorithm: kind.as_str().to_owned(),
            state: match key.state {
                DkimState::Published => "published",
                DkimState::Active => "active",
                DkimState::Retired => "retired",
            }
            .to_owned(),
            created: date_time(key.created),
            activated: key.activated.map(date_time),
            retired: key.retired.map(date_time),
            name: format!("{}._domainkey.{domain}", key.selector),
            record: kind.record(&key.public),
        }
    }
}

/// Makes keys, which sign nothing yet.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Create {
    pub(crate) domain: String,
    /// One of them; none for one made of the month and the algorithm.
    pub(crate) selector: Option<String>,
    /// `rsa`, `ed25519`; empty for one of each.
    pub(crate) algorithms: Vec<String>,
}

impl Operation for Create {
    const NAME: &'static str = "dkim.create";
    type Answer = Vec<View>;

    async fn run(self, node: &Node, _: Bytes) -> Result<Vec<View>, Problem> {
        let domain = domain_name(&self.domain)?;
        let there = node.directory.dkim_keys(&domain).await?;
        let mut kinds = Vec::new();
        for name in &self.algorithms {
            let kind = KeyKind::named(name).ok_or_else(|| {
                Problem::invalid(format!("{name:?} is no algorithm: choose rsa or ed25519"))
            })?;
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        if kinds.is_empty() {
            kinds = vec![KeyKind::Rsa, KeyKind::Ed25519];
        }
        if self.selector.is_some() && kinds.len() > 1 {
            return Err(Problem::invalid(
                "one selector is the name of one key: give --algorithm rsa or ed25519 too",
            ));
        }
        let month: String =
            date_time(node.clock.now()).chars().filter(char::is_ascii_digit).take(6).collect();
        let mut new = Vec::new();
        for kind in kinds {
            let selector = match &self.selector {
                Some(selector) => Selector::parse(selector)?,
                None => free_selector(&format!("{month}-{}", kind.as_str()), &there)?,
            };
            new.push(make(selector, kind).await?);
        }
        let made = node.directory.create_dkim_keys(&domain, &new).await?;
        Ok(made.iter().map(|key| View::new(&domain, key)).collect())
    }
}

/// Lists a domain's keys.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct List {
    pub(crate) domain: String,
}

impl Operation for List {
    const NAME: &'static str = "dkim.list";
    type Answer = Vec<View>;

    async fn run(self, node: &Node, _: Bytes) -> Result<Vec<View>, Problem> {
        let domain = domain_name(&self.domain)?;
        let keys = node.directory.dkim_keys(&domain).await?;
        Ok(keys.iter().map(|key| View::new(&domain, key)).collect())
    }
}

/// Takes one key a step further in its life.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) domain: String,
    pub(crate) selector: String,
    pub(crate) step: Step,
}

/// What becomes of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// It signs, and the one of its algorithm that did so far is retired.
    Activate,
    /// It signs no more; its private half is erased.
    Retire,
    /// It is forgotten.
    Remove,
}

impl Operation for Change {
    const NAME: &'static str = "dkim.change";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        let (domain, selector) = (domain_name(&self.domain)?, Selector::parse(&self.selector)?);
        let key = match self.step {
            Step::Activate => node.directory.activate_dkim_key(&domain, &selector).await?,
            Step::Retire => node.directory.retire_dkim_key(&domain, &selector).await?,
            Step::Remove => node.directory.remove_dkim_key(&domain, &selector).await?,
        };
        Ok(View::new(&domain, &key))
    }
}

const fn kind(algorithm: DkimAlgorithm) -> KeyKind {
    match algorithm {
        DkimAlgorithm::Rsa => KeyKind::Rsa,
        DkimAlgorithm::Ed25519 => KeyKind::Ed25519,
    }
}

/// A selector that is not taken: the wanted one, or that with a number.
fn free_selector(wanted: &str, there: &[DkimKey]) -> Result<Selector, Problem> {
    let taken = |name: &str| there.iter().any(|key| key.selector.as_str() == name);
    let numbered = (2..100).map(|number| format!("{wanted}-{number}"));
    let free = std::iter::once(wanted.to_owned()).chain(numbered).find(|name| !taken(name));
    let free =
        free.ok_or_else(|| Problem::invalid("too many keys this month: remove some, or give --selector"))?;
    Ok(Selector::parse(&free)?)
}

/// Makes a key away from the threads that serve connections: RSA takes its time.
async fn make(selector: Selector, kind: KeyKind) -> Result<NewDkimKey, Problem> {
    let broken = |error: SigningError| Problem::new(Kind::Internal, error.to_string());
    let key = tokio::task::spawn_blocking(move || SigningKey::generate(kind)).await;
    let key = key.map_err(|error| Problem::new(Kind::Internal, error.to_string()))?.map_err(broken)?;
    let algorithm = match kind {
        KeyKind::Rsa => DkimAlgorithm::Rsa,
        KeyKind::Ed25519 => DkimAlgorithm::Ed25519,
    };
    let (public, private) = (key.public().map_err(broken)?, key.pkcs8().map_err(broken)?);
    Ok(NewDkimKey { selector, algorithm, public, private })
}
