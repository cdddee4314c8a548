//! Groups.

use bytes::Bytes;
use directory::{Address, Group};
use serde::{Deserialize, Serialize};

use super::{Part, address, domain, page_request};
use crate::admin::Operation;
use crate::node::Node;
use crate::problem::Problem;
use crate::text::date_time;

/// A group, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct View {
    pub(crate) address: String,
    pub(crate) description: Option<String>,
    pub(crate) member_count: u32,
    /// Only where one group is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) members: Option<Vec<String>>,
    /// Those of them that have been deleted since, or belong to somebody else now: no mail goes there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) gone: Vec<String>,
    /// Those of them that are at other servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) elsewhere: Vec<String>,
    pub(crate) created: String,
}

impl From<Group> for View {
    fn from(group: Group) -> Self {
        Self {
            address: group.address.to_string(),
            description: group.description,
            member_count: group.members,
            members: None,
            gone: Vec::new(),
            elsewhere: Vec::new(),
            created: date_time(group.created),
        }
    }
}

/// Creates a group.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Create {
    pub(crate) address: String,
    pub(crate) description: Option<String>,
    pub(crate) members: Vec<String>,
}

impl Operation for Create {
    const NAME: &'static str = "group.create";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        let name = address(&self.address)?;
        let members = self.members.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()?;
        node.directory.create_group(&name, self.description.as_deref(), &members).await?;
        show(node, &name).await
    }
}

/// Lists groups.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct List {
    pub(crate) domain: Option<String>,
    pub(crate) after: Option<String>,
}

impl Operation for List {
    const NAME: &'static str = "group.list";
    type Answer = Part<View>;

    async fn run(self, node: &Node, _: Bytes) -> Result<Part<View>, Problem> {
        let domain = domain::filter(node, self.domain.as_deref()).await?;
        let page = node.directory.groups(domain.as_ref(), &page_request(self.after.as_deref())?).await?;
        Ok(Part::of(page, View::from))
    }
}

/// Shows one group and its members.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Show {
    pub(crate) address: String,
}

impl Operation for Show {
    const NAME: &'static str = "group.show";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        show(node, &address(&self.address)?).await
    }
}

/// Adds members to a group, and removes others.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) address: String,
    pub(crate) add: Vec<String>,
    pub(crate) remove: Vec<String>,
}

impl Operation for Change {
    const NAME: &'static str = "group.change";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        let name = address(&self.address)?;
        let add = self.add.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()?;
        if !add.is_empty() {
            node.directory.add_members(&name, &add).await?;
        }
        for member in &self.remove {
            if !node.directory.remove_member(&name, &address(member)?).await? {
                return Err(Problem::not_found(format!("{member} is no member of {name}")));
            }
        }
        show(node, &name).await
    }
}

/// Deletes a group. Its members stay.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Delete {
    pub(crate) address: String,
}

impl Operation for Delete {
    const NAME: &'static str = "group.delete";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        let name = address(&self.address)?;
        let view = show(node, &name).await?;
        node.directory.delete_group(&name).await?;
        Ok(view)
    }
}

async fn show(node: &Node, name: &Address) -> Result<View, Problem> {
    let group = node.directory.group(name).await?;
    let mut view = View::from(group.ok_or_else(|| directory::Error::NoSuchGroup(name.clone()))?);
    let mut members = Vec::new();
    let mut request = page_request(None)?;
    loop {
        let page = node.directory.members(name, &request).await?;
        members.extend(page.items.iter().map(|member| member.address.to_string()));
        let gone = page.items.iter().filter(|member| !member.exists);
        view.gone.extend(gone.map(|member| member.address.to_string()));
        let elsewhere = page.items.iter().filter(|member| member.elsewhere);
        view.elsewhere.extend(elsewhere.map(|member| member.address.to_string()));
        if page.next.is_none() {
            break;
        }
        request.after = page.next;
    }
    view.members = Some(members);
    Ok(view)
}
