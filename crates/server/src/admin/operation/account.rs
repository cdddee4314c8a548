//! Accounts.

use bytes::Bytes;
use directory::{AccountSpec, AccountState, NewPassword, Quota};
use serde::{Deserialize, Serialize};
use types::AccountId;

use super::{LimitChange, Part, QuotaView, account_named, address, domain, page_request};
use crate::admin::Operation;
use crate::node::Node;
use crate::problem::Problem;
use crate::text::date_time;

/// An account, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct View {
    pub(crate) address: String,
    pub(crate) id: u64,
    pub(crate) display_name: Option<String>,
    pub(crate) state: State,
    pub(crate) usage: Usage,
    pub(crate) quota: QuotaView,
    pub(crate) created: String,
}

/// What an account may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Everything: mail comes in and goes out
    Active,
    /// Nothing: no mail comes in and nobody logs in, but what is there stays
    Disabled,
    /// Receive and read mail, but not send
    ReceiveOnly,
}

/// What an account holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) bytes: u64,
    pub(crate) messages: u64,
}

impl From<AccountState> for State {
    fn from(state: AccountState) -> Self {
        match state {
            AccountState::Active => Self::Active,
            AccountState::Disabled => Self::Disabled,
            AccountState::ReceiveOnly => Self::ReceiveOnly,
        }
    }
}

impl From<State> for AccountState {
    fn from(state: State) -> Self {
        match state {
            State::Active => Self::Active,
            State::Disabled => Self::Disabled,
            State::ReceiveOnly => Self::ReceiveOnly,
        }
    }
}

/// Creates an account.
#[derive(Serialize, Deserialize)]
pub(crate) struct Create {
    pub(crate) address: String,
    pub(crate) password: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) quota: QuotaView,
}

impl Operation for Create {
    const NAME: &'static str = "account.create";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        let spec = AccountSpec {
            address: address(&self.address)?,
            password: self.password.map(NewPassword::Clear),
            display_name: self.display_name,
            quota: Quota { bytes: self.quota.bytes, messages: self.quota.messages },
        };
        let id = node.directory.create_account(spec).await?;
        view_of(node, id).await
    }
}

/// Lists accounts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct List {
    pub(crate) domain: Option<String>,
    pub(crate) after: Option<String>,
}

impl Operation for List {
    const NAME: &'static str = "account.list";
    type Answer = Part<View>;

    async fn run(self, node: &Node, _: Bytes) -> Result<Part<View>, Problem> {
        let domain = domain::filter(node, self.domain.as_deref()).await?;
        let page = node.directory.accounts(domain.as_ref(), &page_request(self.after.as_deref())?).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for account in page.items {
            items.push(view(node, account).await?);
        }
        Ok(Part { items, next: page.next.map(|cursor| cursor.to_string()) })
    }
}

/// Shows one account.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Show {
    pub(crate) name: String,
}

impl Operation for Show {
    const NAME: &'static str = "account.show";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        let account = account_named(node, &self.name).await?;
        view(node, account).await
    }
}

/// Changes what may be chosen about an account.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) name: String,
    pub(crate) password: Option<String>,
    /// An empty text removes it.
    pub(crate) display_name: Option<String>,
    pub(crate) state: Option<State>,
    pub(crate) bytes: LimitChange,
    pub(crate) messages: LimitChange,
}

impl Operation for Change {
    const NAME: &'static str = "account.change";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        let account = account_named(node, &self.name).await?;
        if let Some(password) = self.password {
            node.directory.set_password(account.id, &NewPassword::Clear(password)).await?;
        }
        if let Some(name) = &self.display_name {
            let name = Some(name.as_str()).filter(|name| !name.is_empty());
            node.directory.set_display_name(account.id, name).await?;
        }
        if let Some(state) = self.state {
            node.directory.set_state(account.id, state.into()).await?;
        }
        let mut quota = account.quota;
        self.bytes.apply(&mut quota.bytes);
        self.messages.apply(&mut quota.messages);
        if quota != account.quota {
            node.directory.set_quota(account.id, quota).await?;
            let limits = mail::Quota { bytes: quota.bytes, emails: quota.messages };
            if let Err(error) = node.mail.note_limits(account.id, limits).await {
                tracing::warn!(account = %account.address, %error, "clients hear of new limits at the next upkeep");
            }
        }
        view_of(node, account.id).await
    }
}

/// Deletes an account and all of its mail.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Delete {
    pub(crate) name: String,
}

impl Operation for Delete {
    const NAME: &'static str = "account.delete";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        let account = account_named(node, &self.name).await?;
        let id = account.id;
        let view = view(node, account).await?;
        // Disabled first: no mail comes in behind the erasure. Whoever is cut off here runs it again.
        node.directory.set_state(id, AccountState::Disabled).await?;
        node.mail.erase_account(id).await?;
        node.directory.delete_account(id).await?;
        Ok(view)
    }
}

async fn view_of(node: &Node, id: AccountId) -> Result<View, Problem> {
    let account = node.directory.account(id).await?;
    view(node, account.ok_or_else(|| Problem::not_found("the account was deleted in the meantime"))?).await
}

async fn view(node: &Node, account: directory::Account) -> Result<View, Problem> {
    let usage = node.mail.usage(account.id).await?;
    Ok(View {
        address: account.address.to_string(),
        id: account.id.0,
        display_name: account.display_name,
        state: account.state.into(),
        usage: Usage { bytes: usage.bytes, messages: usage.emails },
        quota: account.quota.into(),
        created: date_time(account.created),
    })
}
