//! Which apps may ask for access by OAuth, and what the owners of accounts have granted them.

use bytes::Bytes;
use directory::{Grant, GrantId, NewOAuthClient, OAuthClient, PageRequest, RedirectUri};
use serde::{Deserialize, Serialize};

use super::account_named;
use crate::admin::Operation;
use crate::node::Node;
use crate::problem::Problem;
use crate::text::date_time;

/// A client, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct ClientView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) redirects: Vec<String>,
    pub(crate) device: bool,
    /// Whether it has registered itself.
    pub(crate) stranger: bool,
    pub(crate) created: String,
}

impl From<OAuthClient> for ClientView {
    fn from(client: OAuthClient) -> Self {
        Self {
            redirects: client.redirects.iter().map(ToString::to_string).collect(),
            id: client.id,
            name: client.name,
            device: client.device,
            stranger: client.stranger,
            created: date_time(client.created),
        }
    }
}

/// Registers a client.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AddClient {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) redirects: Vec<String>,
    pub(crate) device: bool,
}

impl Operation for AddClient {
    const NAME: &'static str = "oauth.client_add";
    type Answer = ClientView;

    async fn run(self, node: &Node, _: Bytes) -> Result<ClientView, Problem> {
        let redirects: Result<_, _> = self.redirects.iter().map(|uri| RedirectUri::parse(uri)).collect();
        let redirects = redirects.map_err(directory::Error::from)?;
        let new = NewOAuthClient { id: self.id, name: self.name, redirects, device: self.device };
        Ok(node.directory.create_oauth_client(new).await?.into())
    }
}

/// Lists the clients.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ListClients {}

impl Operation for ListClients {
    const NAME: &'static str = "oauth.client_list";
    type Answer = Vec<ClientView>;

    async fn run(self, node: &Node, _: Bytes) -> Result<Vec<ClientView>, Problem> {
        let mut request = PageRequest::first(PageRequest::MAX);
        let mut clients = Vec::new();
        loop {
            let page = node.directory.oauth_clients(&request).await?;
            clients.extend(page.items.into_iter().map(ClientView::from));
            match page.next {
                Some(next) => request.after = Some(next),
                None => return Ok(clients),
            }
        }
    }
}

/// Removes a client.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RemoveClient {
    pub(crate) id: String,
}

impl Operation for RemoveClient {
    const NAME: &'static str = "oauth.client_remove";
    type Answer = ClientView;

    async fn run(self, node: &Node, _: Bytes) -> Result<ClientView, Problem> {
        Ok(node.directory.remove_oauth_client(&self.id).await?.into())
    }
}

/// A grant, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct GrantView {
    pub(crate) id: String,
    pub(crate) client: String,
    /// None if the client was removed: then the grant is worth nothing.
    pub(crate) client_name: Option<String>,
    pub(crate) created: String,
    pub(crate) refreshed: String,
    pub(crate) expires: String,
}

impl From<Grant> for GrantView {
    fn from(grant: Grant) -> Self {
        Self {
            id: grant.id.to_string(),
            client: grant.client,
            client_name: grant.client_name,
            created: date_time(grant.created),
            refreshed: date_time(grant.refreshed),
            expires: date_time(grant.expires),
        }
    }
}

/// Lists what an account's owner has granted.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ListGrants {
    pub(crate) account: String,
}

impl Operation for ListGrants {
    const NAME: &'static str = "oauth.grant_list";
    type Answer = Vec<GrantView>;

    async fn run(self, node: &Node, _: Bytes) -> Result<Vec<GrantView>, Problem> {
        let account = account_named(node, &self.account).await?;
        let grants = node.directory.grants(account.id).await?;
        Ok(grants.into_iter().map(GrantView::from).collect())
    }
}

/// Takes a grant back.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RevokeGrant {
    pub(crate) account: String,
    pub(crate) id: String,
}

impl Operation for RevokeGrant {
    const NAME: &'static str = "oauth.grant_revoke";
    type Answer = ();

    async fn run(self, node: &Node, _: Bytes) -> Result<(), Problem> {
        let account = account_named(node, &self.account).await?;
        let id: GrantId = self.id.parse()?;
        Ok(node.directory.revoke_grant(account.id, id).await?)
    }
}
