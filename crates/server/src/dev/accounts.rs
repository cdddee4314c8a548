//! The test accounts: there from the first start on, whatever has become of them since stays.

use directory::{AccountSpec, Address, DomainName, DomainSettings, Error, LocalPart, NewPassword};
use futures::{StreamExt, TryStreamExt, stream};

use super::{DOMAIN, Plan};
use crate::data_dir::{DataDir, write_secret};
use crate::node::Node;
use crate::problem::{Kind, Problem};

const NAMED: [&str; 3] = ["alice", "bob", "carol"];
/// Accounts that are made at once; each costs a password hash.
const AT_ONCE: usize = 8;

/// The test accounts and their password.
pub(super) struct Accounts {
    pub(super) password: String,
    pub(super) users: u32,
}

impl Accounts {
    /// Makes the domain and the accounts that are missing. A password that is given becomes that of all of them; else
    /// it stays what it was.
    pub(super) async fn ensure(node: &Node, plan: &Plan) -> Result<Self, Problem> {
        let kept = kept_password(&plan.data)?;
        let password = plan.password.clone().or_else(|| kept.clone()).unwrap_or_else(plan.make_password);
        let changed = kept.as_ref() != Some(&password);
        match node.directory.create_domain(&DomainName::parse(DOMAIN)?, DomainSettings::default()).await {
            Ok(_) | Err(Error::DomainExists(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let users = (1..=plan.users).map(|number| format!("user{number}"));
        let names = NAMED.into_iter().map(str::to_owned).chain(users);
        let ensured = stream::iter(names).map(|name| {
            let password = &password;
            async move { ensure(node, &name, password, changed).await }
        });
        ensured.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        ensure_postmaster(node).await?;
        // Only now: whoever was cut off before begins with the same question again.
        if changed {
            write_secret(&plan.data.dev_password(), format!("{password}\n").as_bytes())?;
        }
        Ok(Self { password, users: plan.users })
    }
}

async fn ensure(node: &Node, name: &str, password: &str, changed: bool) -> Result<(), Problem> {
    let address = Address::new(LocalPart::parse(name)?, DomainName::parse(DOMAIN)?);
    let password = NewPassword::Clear(password.to_owned());
    match node.directory.account_by_login(&address.to_string()).await? {
        Some(account) if changed => Ok(node.directory.set_password(account.id, &password).await?),
        Some(_) => Ok(()),
        None => match node.directory.create_account(AccountSpec::new(address, Some(password))).await {
            // Somebody has made an alias or a group of this name: it is theirs.
            Ok(_) | Err(Error::NameTaken(_)) => Ok(()),
            Err(error) => Err(error.into()),
        },
    }
}

/// RFC 5321 §4.5.1: mail to the postmaster is always taken. Whoever has made somebody else the postmaster keeps that.
async fn ensure_postmaster(node: &Node) -> Result<(), Problem> {
    let named = |name| Ok::<_, Problem>(Address::new(LocalPart::parse(name)?, DomainName::parse(DOMAIN)?));
    let (postmaster, alice) = (named("postmaster")?, [named("alice")?]);
    match node.directory.create_alias(&postmaster, &alice).await {
        Ok(_) => return Ok(()),
        // Somebody has removed the name of alice in this moment: it is made again with the next start.
        Err(Error::NoSuchTarget(_)) => return Ok(()),
        Err(Error::NameTaken(_)) => {}
        Err(error) => return Err(error.into()),
    }
    match node.directory.alias_targets(&postmaster).await {
        // Whom it led to was deleted: alice is somebody else by now.
        Ok(targets) if targets.iter().all(|target| !target.exists) => {
            match node.directory.set_alias(&postmaster, &alice).await {
                // The name of alice is an alias that somebody has made, and leads back or nowhere: it is theirs.
                Ok(_) | Err(Error::NoSuchTarget(_) | Error::Circle { .. } | Error::TooLarge(_)) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
        // An account or a group.
        Ok(_) | Err(Error::NoSuchAlias(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn kept_password(data: &DataDir) -> Result<Option<String>, Problem> {
    let path = data.dev_password();
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim_end().to_owned()).filter(|password| !password.is_empty())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(Problem::new(Kind::Unavailable, format!("cannot read {}: {error}", path.display())))
        }
    }
}
