//! Domains.

use bytes::Bytes;
use directory::{Domain, DomainName, DomainSettings, Separator};
use serde::{Deserialize, Serialize};

use super::{Part, address, domain_name, page_request};
use crate::admin::Operation;
use crate::node::Node;
use crate::problem::Problem;
use crate::text::date_time;

/// A domain, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct View {
    pub(crate) name: String,
    pub(crate) catch_all: Option<String>,
    pub(crate) separator: Option<char>,
    pub(crate) created: String,
}

impl From<Domain> for View {
    fn from(domain: Domain) -> Self {
        Self {
            name: domain.name.to_string(),
            catch_all: domain.catch_all.map(|address| address.to_string()),
            separator: domain.settings.separator.map(Separator::char),
            created: date_time(domain.created),
        }
    }
}

/// Makes the server responsible for a domain.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Create {
    pub(crate) name: String,
}

impl Operation for Create {
    const NAME: &'static str = "domain.create";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        let name = domain_name(&self.name)?;
        Ok(node.directory.create_domain(&name, DomainSettings::default()).await?.into())
    }
}

/// Lists all domains.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct List {
    pub(crate) after: Option<String>,
}

impl Operation for List {
    const NAME: &'static str = "domain.list";
    type Answer = Part<View>;

    async fn run(self, node: &Node, _: Bytes) -> Result<Part<View>, Problem> {
        let page = node.directory.domains(&page_request(self.after.as_deref())?).await?;
        Ok(Part::of(page, View::from))
    }
}

/// Shows one domain.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Show {
    pub(crate) name: String,
}

impl Operation for Show {
    const NAME: &'static str = "domain.show";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        find(node, &self.name).await.map(View::from)
    }
}

/// Changes what may be chosen about a domain.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) name: String,
    /// Who gets mail for unknown users: an address, or an empty text for nobody.
    pub(crate) catch_all: Option<String>,
    /// One character, or an empty text for none.
    pub(crate) separator: Option<String>,
}

impl Operation for Change {
    const NAME: &'static str = "domain.change";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        let domain = find(node, &self.name).await?;
        let mut settings = domain.settings;
        if let Some(separator) = &self.separator {
            let mut characters = separator.chars();
            settings.separator = match (characters.next(), characters.next()) {
                (None, _) => None,
                (Some(character), None) => Some(Separator::new(character)?),
                _ => return Err(Problem::invalid("the separator is one character, such as +")),
            };
        }
        if settings != domain.settings {
            node.directory.set_domain(&domain.name, settings).await?;
        }
        match self.catch_all.as_deref() {
            None => {}
            Some("") => drop(node.directory.set_catch_all(&domain.name, None).await?),
            Some(target) => drop(node.directory.set_catch_all(&domain.name, Some(&address(target)?)).await?),
        }
        find(node, &self.name).await.map(View::from)
    }
}

/// Ends the responsibility for a domain that nothing is in.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Delete {
    pub(crate) name: String,
}

impl Operation for Delete {
    const NAME: &'static str = "domain.delete";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        let domain = find(node, &self.name).await?;
        node.directory.delete_domain(&domain.name).await?;
        Ok(domain.into())
    }
}

/// The domain that a list is limited to. One that is not here is told: its list would be empty for another reason.
pub(super) async fn filter(node: &Node, name: Option<&str>) -> Result<Option<DomainName>, Problem> {
    match name {
        Some(name) => Ok(Some(find(node, name).await?.name)),
        None => Ok(None),
    }
}

async fn find(node: &Node, name: &str) -> Result<Domain, Problem> {
    let found = node.directory.domain(&domain_name(name)?).await?;
    found.ok_or_else(|| {
        Problem::not_found(format!(
            "there is no domain {name}: `magpie domain list` shows those that there are"
        ))
    })
}
