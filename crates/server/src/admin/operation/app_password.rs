//! App passwords.

use bytes::Bytes;
use directory::{AppPasswordId, Protocol, Scopes};
use serde::{Deserialize, Serialize};

use super::account_named;
use crate::admin::Operation;
use crate::node::Node;
use crate::problem::Problem;
use crate::text::date_time;

/// An app password, as it is shown; the password itself only when it is made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct View {
    pub(crate) id: u32,
    pub(crate) label: String,
    pub(crate) protocols: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<String>,
    pub(crate) created: Option<String>,
    pub(crate) last_used: Option<String>,
}

/// Makes an app password.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Create {
    pub(crate) account: String,
    pub(crate) label: String,
    /// What it is good for; empty for all that a mail app needs.
    pub(crate) protocols: Vec<String>,
}

impl Operation for Create {
    const NAME: &'static str = "app_password.create";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        let account = account_named(node, &self.account).await?;
        let scopes = scopes(&self.protocols)?;
        let made = node.directory.create_app_password(account.id, &self.label, scopes).await?;
        let listed = list(node, account.id).await?;
        let view = listed.into_iter().find(|view| view.id == made.id.0);
        let view = view.ok_or_else(|| Problem::not_found("the app password was revoked in the meantime"))?;
        Ok(View { password: Some(made.password), ..view })
    }
}

/// Lists an account's app passwords.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct List {
    pub(crate) account: String,
}

impl Operation for List {
    const NAME: &'static str = "app_password.list";
    type Answer = Vec<View>;

    async fn run(self, node: &Node, _: Bytes) -> Result<Vec<View>, Problem> {
        let account = account_named(node, &self.account).await?;
        list(node, account.id).await
    }
}

/// Takes an app password back.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Revoke {
    pub(crate) account: String,
    pub(crate) id: u32,
}

impl Operation for Revoke {
    const NAME: &'static str = "app_password.revoke";
    type Answer = ();

    async fn run(self, node: &Node, _: Bytes) -> Result<(), Problem> {
        let account = account_named(node, &self.account).await?;
        Ok(node.directory.revoke_app_password(account.id, AppPasswordId(self.id)).await?)
    }
}

async fn list(node: &Node, account: types::AccountId) -> Result<Vec<View>, Problem> {
    let listed = node.directory.app_passwords(account).await?;
    let view = |app: directory::AppPassword| View {
        id: app.id.0,
        label: app.label,
        protocols: app.scopes.iter().map(|protocol| protocol.name().to_owned()).collect(),
        password: None,
        created: Some(date_time(app.created)),
        last_used: app.last_used.map(date_time),
    };
    Ok(listed.into_iter().map(view).collect())
}

fn scopes(names: &[String]) -> Result<Scopes, Problem> {
    if names.is_empty() {
        return Ok(Scopes::MAIL_APP);
    }
    let protocol = |name: &String| {
        Protocol::named(name).ok_or_else(|| {
            let known: Vec<_> = Protocol::ALL.iter().map(|protocol| protocol.name()).collect();
            Problem::invalid(format!("{name:?} is no protocol: choose among {}", known.join(", ")))
        })
    };
    names.iter().map(protocol).collect()
}
