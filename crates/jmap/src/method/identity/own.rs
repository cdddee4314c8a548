//! The identities of an account. There is one for each address of its own, the account's and those of aliases that lead to
//! it: whoever looks finds them, and the change log tells of new ones. With its address an identity loses its use, not
//! what was written into it.

use mail::Identity;
use types::{AccountId, ModSeq, ObjectId};

use crate::context::Context;
use crate::error::MethodError;

/// The identities of an account, and its own addresses.
pub(crate) struct Identities {
    /// The modseq at which they are so.
    pub(crate) at: ModSeq,
    /// The oldest first.
    pub(crate) list: Vec<(ObjectId, Identity)>,
    addresses: Vec<String>,
}

impl Identities {
    /// Reads them, and adds those that are missing.
    pub(crate) async fn of(context: &Context<'_>, account: AccountId) -> Result<Self, MethodError> {
        let directory = &context.services.directory;
        let found = directory.account(account).await?;
        let name = found.and_then(|account| account.display_name).unwrap_or_default();
        let addresses = directory.addresses_of(account).await?;
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let (mut at, mut list) = context.mail().identities(account).await?;
        let missing: Vec<&String> = addresses
            .iter()
            .filter(|address| !list.iter().any(|(_, known)| known.is_own && known.email == **address))
            .collect();
        if !missing.is_empty() {
            context.standing(account).await?;
            for email in missing {
                let identity = Identity { name: name.clone(), email: email.clone(), ..Identity::default() };
                match context.mail().own_identity(account, &identity).await {
                    // There are as many as there may be: this address has none.
                    Ok(()) | Err(mail::Error::TooMany { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            (at, list) = context.mail().identities(account).await?;
        }
        Ok(Self { at, list, addresses })
    }

    /// Whether an identity may be destroyed: the server makes those of its own addresses, and would again.
    pub(crate) fn may_delete(&self, identity: &Identity) -> bool {
        !(identity.is_own && self.addresses.contains(&identity.email))
    }
}
