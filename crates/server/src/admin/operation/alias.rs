//! Aliases.

use bytes::Bytes;
use directory::{Address, Alias, AliasTarget};
use serde::{Deserialize, Serialize};

use super::{Part, address, domain, page_request};
use crate::admin::Operation;
use crate::node::Node;
use crate::problem::Problem;
use crate::text::date_time;

/// An alias, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct View {
    pub(crate) address: String,
    pub(crate) targets: Vec<String>,
    /// Those of them that have been deleted since, or belong to somebody else now: no mail goes there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) gone: Vec<String>,
    /// Those of them that are at other servers. Not where aliases are listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) elsewhere: Vec<String>,
    pub(crate) created: String,
}

impl From<Alias> for View {
    fn from(alias: Alias) -> Self {
        Self {
            address: alias.address.to_string(),
            targets: alias.targets.iter().map(Address::to_string).collect(),
            gone: Vec::new(),
            elsewhere: Vec::new(),
            created: date_time(alias.created),
        }
    }
}

/// Creates an alias.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Create {
    pub(crate) address: String,
    pub(crate) targets: Vec<String>,
}

impl Operation for Create {
    const NAME: &'static str = "alias.create";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        let targets = self.targets.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()?;
        shown(node, node.directory.create_alias(&address(&self.address)?, &targets).await?).await
    }
}

/// Lists aliases.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct List {
    pub(crate) domain: Option<String>,
    pub(crate) after: Option<String>,
}

impl Operation for List {
    const NAME: &'static str = "alias.list";
    type Answer = Part<View>;

    async fn run(self, node: &Node, _: Bytes) -> Result<Part<View>, Problem> {
        let domain = domain::filter(node, self.domain.as_deref()).await?;
        let page = node.directory.aliases(domain.as_ref(), &page_request(self.after.as_deref())?).await?;
        Ok(Part::of(page, View::from))
    }
}

/// Shows one alias, and which of its targets are gone or elsewhere.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Show {
    pub(crate) address: String,
}

impl Operation for Show {
    const NAME: &'static str = "alias.show";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        shown(node, find(node, &address(&self.address)?).await?).await
    }
}

/// Gives an alias other targets.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) address: String,
    pub(crate) targets: Vec<String>,
}

impl Operation for Change {
    const NAME: &'static str = "alias.change";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        let targets = self.targets.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()?;
        shown(node, node.directory.set_alias(&address(&self.address)?, &targets).await?).await
    }
}

/// Deletes an alias.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Delete {
    pub(crate) address: String,
}

impl Operation for Delete {
    const NAME: &'static str = "alias.delete";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        let address = address(&self.address)?;
        let view = View::from(find(node, &address).await?);
        node.directory.delete_alias(&address).await?;
        Ok(view)
    }
}

/// An alias with what is known of its targets.
async fn shown(node: &Node, alias: Alias) -> Result<View, Problem> {
    let targets = node.directory.alias_targets(&alias.address).await?;
    let those = |wanted: fn(&AliasTarget) -> bool| {
        targets.iter().filter(|target| wanted(target)).map(|target| target.address.to_string()).collect()
    };
    let (gone, elsewhere) = (those(|target| !target.exists), those(|target| target.elsewhere));
    Ok(View { gone, elsewhere, ..View::from(alias) })
}

async fn find(node: &Node, address: &Address) -> Result<Alias, Problem> {
    let found = node.directory.alias(address).await?;
    Ok(found.ok_or_else(|| directory::Error::NoSuchAlias(address.clone()))?)
}
