//! The operations, one room per kind of thing that they are about.

pub(crate) mod account;
pub(crate) mod alias;
pub(crate) mod app_password;
pub(crate) mod dkim;
pub(crate) mod domain;
pub(crate) mod group;
pub(crate) mod import;
pub(crate) mod oauth;
pub(crate) mod outbound;
pub(crate) mod queue;
pub(crate) mod report;
pub(crate) mod verify;

use bytes::Bytes;
use directory::{Account, Address, DomainName, Page, PageRequest};
use serde::{Deserialize, Serialize};

use super::Operation;
use super::counter::run;
use crate::node::Node;
use crate::problem::{Kind, Problem};

/// Finds an operation by its name, and does it.
pub(super) async fn dispatch(
    name: &str,
    arguments: serde_json::Value,
    payload: Bytes,
    node: &Node,
) -> Result<serde_json::Value, Problem> {
    match name {
        domain::Create::NAME => run::<domain::Create>(arguments, payload, node).await,
        domain::List::NAME => run::<domain::List>(arguments, payload, node).await,
        domain::Show::NAME => run::<domain::Show>(arguments, payload, node).await,
        domain::Change::NAME => run::<domain::Change>(arguments, payload, node).await,
        domain::Delete::NAME => run::<domain::Delete>(arguments, payload, node).await,
        dkim::Create::NAME => run::<dkim::Create>(arguments, payload, node).await,
        dkim::List::NAME => run::<dkim::List>(arguments, payload, node).await,
        dkim::Change::NAME => run::<dkim::Change>(arguments, payload, node).await,
        account::Create::NAME => run::<account::Create>(arguments, payload, node).await,
        account::List::NAME => run::<account::List>(arguments, payload, node).await,
        account::Show::NAME => run::<account::Show>(arguments, payload, node).await,
        account::Change::NAME => run::<account::Change>(arguments, payload, node).await,
        account::Delete::NAME => run::<account::Delete>(arguments, payload, node).await,
        alias::Create::NAME => run::<alias::Create>(arguments, payload, node).await,
        alias::List::NAME => run::<alias::List>(arguments, payload, node).await,
        alias::Show::NAME => run::<alias::Show>(arguments, payload, node).await,
        alias::Change::NAME => run::<alias::Change>(arguments, payload, node).await,
        alias::Delete::NAME => run::<alias::Delete>(arguments, payload, node).await,
        group::Create::NAME => run::<group::Create>(arguments, payload, node).await,
        group::List::NAME => run::<group::List>(arguments, payload, node).await,
        group::Show::NAME => run::<group::Show>(arguments, payload, node).await,
        group::Change::NAME => run::<group::Change>(arguments, payload, node).await,
        group::Delete::NAME => run::<group::Delete>(arguments, payload, node).await,
        app_password::Create::NAME => run::<app_password::Create>(arguments, payload, node).await,
        app_password::List::NAME => run::<app_password::List>(arguments, payload, node).await,
        app_password::Revoke::NAME => run::<app_password::Revoke>(arguments, payload, node).await,
        import::Begin::NAME => run::<import::Begin>(arguments, payload, node).await,
        import::Folder::NAME => run::<import::Folder>(arguments, payload, node).await,
        import::Known::NAME => run::<import::Known>(arguments, payload, node).await,
        import::Store::NAME => run::<import::Store>(arguments, payload, node).await,
        oauth::AddClient::NAME => run::<oauth::AddClient>(arguments, payload, node).await,
        oauth::ListClients::NAME => run::<oauth::ListClients>(arguments, payload, node).await,
        oauth::RemoveClient::NAME => run::<oauth::RemoveClient>(arguments, payload, node).await,
        oauth::ListGrants::NAME => run::<oauth::ListGrants>(arguments, payload, node).await,
        oauth::RevokeGrant::NAME => run::<oauth::RevokeGrant>(arguments, payload, node).await,
        queue::List::NAME => run::<queue::List>(arguments, payload, node).await,
        queue::Show::NAME => run::<queue::Show>(arguments, payload, node).await,
        queue::Retry::NAME => run::<queue::Retry>(arguments, payload, node).await,
        queue::Release::NAME => run::<queue::Release>(arguments, payload, node).await,
        queue::Drop::NAME => run::<queue::Drop>(arguments, payload, node).await,
        outbound::List::NAME => run::<outbound::List>(arguments, payload, node).await,
        outbound::Show::NAME => run::<outbound::Show>(arguments, payload, node).await,
        outbound::Explain::NAME => run::<outbound::Explain>(arguments, payload, node).await,
        outbound::Lines::NAME => run::<outbound::Lines>(arguments, payload, node).await,
        outbound::Survey::NAME => run::<outbound::Survey>(arguments, payload, node).await,
        outbound::Decide::NAME => run::<outbound::Decide>(arguments, payload, node).await,
        report::List::NAME => run::<report::List>(arguments, payload, node).await,
        report::Show::NAME => run::<report::Show>(arguments, payload, node).await,
        verify::Account::NAME => run::<verify::Account>(arguments, payload, node).await,
        verify::Blobs::NAME => run::<verify::Blobs>(arguments, payload, node).await,
        verify::Queue::NAME => run::<verify::Queue>(arguments, payload, node).await,
        unknown => Err(Problem::new(
            Kind::Version,
            format!("this server does not know {unknown}: it may be older than this command"),
        )),
    }
}

/// How much of a list one answer holds.
const PAGE: usize = 500;

/// Part of a list.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Part<T> {
    pub(crate) items: Vec<T>,
    /// Where the next part begins, if there may be one.
    pub(crate) next: Option<String>,
}

/// Limits; none means no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct QuotaView {
    pub(crate) bytes: Option<u64>,
    pub(crate) messages: Option<u64>,
}

impl From<directory::Quota> for QuotaView {
    fn from(quota: directory::Quota) -> Self {
        Self { bytes: quota.bytes, messages: quota.messages }
    }
}

/// A change of one limit: left alone, removed, or set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LimitChange {
    #[default]
    Keep,
    Remove,
    Set(u64),
}

impl LimitChange {
    fn apply(self, limit: &mut Option<u64>) {
        match self {
            Self::Keep => {}
            Self::Remove => *limit = None,
            Self::Set(value) => *limit = Some(value),
        }
    }
}

fn page_request(after: Option<&str>) -> Result<PageRequest, Problem> {
    Ok(PageRequest { after: after.map(str::parse).transpose()?, limit: PAGE })
}

impl<T> Part<T> {
    fn of<I>(page: Page<I>, view: impl FnMut(I) -> T) -> Self {
        Self { items: page.items.into_iter().map(view).collect(), next: page.next.map(|c| c.to_string()) }
    }
}

fn domain_name(text: &str) -> Result<DomainName, Problem> {
    Ok(DomainName::parse(text)?)
}

/// An address as an operator writes it.
fn address(text: &str) -> Result<Address, Problem> {
    Address::parse(text).map_err(|error| Problem::invalid(format!("{text:?} is no address: {error}")))
}

/// The account of a name: an address, or the part before the `@` where there is only one domain.
async fn account_named(node: &Node, name: &str) -> Result<Account, Problem> {
    let found = node.directory.account_by_login(name).await?;
    found.ok_or_else(|| {
        let hint =
            if name.contains('@') { "" } else { "; write the whole address if there are several domains" };
        Problem::not_found(format!(
            "there is no account {name}: `magpie account list` shows those that there are{hint}"
        ))
    })
}
