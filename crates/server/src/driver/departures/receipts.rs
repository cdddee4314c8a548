//! Receipts for JMAP (RFC 9007): whoever has asked for it is told what became of an email. All that is sent enters its queues in the
//! transaction that gives the email the keyword `$mdnsent`: what says that it was sent and what is sent are one.

use compose::Receipt;
use directory::{AccountState, Authenticated, DomainName};
use jmap::NotAcknowledged;
use mail::{Companion, Delivered, EmailChanged};
use queue::{EntryId, Handover};
use store::kv::Transaction;
use types::{AccountId, Keyword, Randomness};

use super::Sender;
use crate::notice::{Letter, Name, Post};

/// Puts letters into their queues, each once under its name.
struct Posting(Vec<(Letter, Handover)>);

impl Companion for Posting {
    async fn join(
        &self,
        tx: &Transaction,
        _: &[(AccountId, Result<Delivered, mail::Error>)],
    ) -> Result<(), mail::Error> {
        for (letter, name) in &self.0 {
            match letter.join(tx, *name).await {
                Ok(()) => {}
                Err(queue::Error::Kv(error)) => return Err(error.into()),
                Err(error) => return Err(mail::Error::Withdrawn(error.to_string())),
            }
        }
        Ok(())
    }
}

impl Sender {
    /// Sends a receipt for an email, once.
    pub(super) async fn tell(
        &self,
        user: &Authenticated,
        email: EmailChanged,
        receipt: &Receipt,
    ) -> Result<(), NotAcknowledged> {
        let account = user.account();
        self.carrier.kv.health().map_err(unavailable)?;
        let found = self.carrier.directory.account(account).await.map_err(unavailable)?;
        if found.is_none_or(|account| account.state != AccountState::Active) {
            let text = "this account may not send mail any more; ask the postmaster";
            return Err(NotAcknowledged::Forbidden(text.to_owned()));
        }
        self.count(account, receipt.to.len()).await.map_err(NotAcknowledged::TooOften)?;
        let posting = self.posting(account, email, receipt).await?;
        let keyword = Keyword::new(Keyword::MDN_SENT).map_err(unavailable)?;
        match self.carrier.mail.mark(account, email, &keyword, &posting).await {
            Ok(true) => {
                let (to, what) = (receipt.to.join(", "), receipt.disposition.to_string());
                tracing::info!(%account, email = %email.email, to, what, "a receipt is on its way");
                Ok(())
            }
            Ok(false) => Err(NotAcknowledged::Already),
            Err(mail::Error::Withdrawn(why)) => Err(unavailable(why)),
            Err(error) => Err(error.into()),
        }
    }

    /// The receipt for each who has asked for it. Those who cannot be reached get none.
    async fn posting(
        &self,
        account: AccountId,
        email: EmailChanged,
        receipt: &Receipt,
    ) -> Result<Posting, NotAcknowledged> {
        let rendered = receipt.render();
        let limit = self.config.limits.message;
        if rendered.size() as u64 > limit {
            return Err(NotAcknowledged::TooLarge(limit));
        }
        let (_, address) = &receipt.from;
        let domain = address.rsplit_once('@').and_then(|(_, domain)| DomainName::parse(domain).ok());
        let domain = domain.ok_or_else(|| NotAcknowledged::Forbidden(format!("{address} is no address")))?;
        let (mut letters, mut lost) = (Vec::new(), Vec::new());
        for to in &receipt.to {
            let id = EntryId(Randomness::bytes());
            let why = format!("it tells what became of email {}", email.email);
            let post = Post { id, to, rendered: &rendered, name: Name::Author(domain.clone()), why };
            match self.carrier.notifier.post(post).await.map_err(unavailable)? {
                Ok(letter) => letters.push((letter, name_of(account, email, to))),
                Err(why) => lost.push(format!("{to}: {why}")),
            }
        }
        if letters.is_empty() { Err(NotAcknowledged::Nowhere(lost.join("; "))) } else { Ok(Posting(letters)) }
    }
}

/// The name of the receipt for an email to somebody: there is one.
fn name_of(account: AccountId, email: EmailChanged, to: &str) -> Handover {
    let mut name = [0; 16];
    let mut hasher = blake3::Hasher::new_derive_key("magpie 2026-11 receipt for an email");
    hasher.update(&account.0.to_be_bytes()).update(&email.email.0.to_be_bytes());
    hasher.update(to.to_lowercase().as_bytes());
    hasher.finalize_xof().fill(&mut name);
    Handover(name)
}

fn unavailable(error: impl std::fmt::Display) -> NotAcknowledged {
    tracing::error!(%error, "a receipt cannot be sent");
    NotAcknowledged::Unavailable("the stores cannot be reached now; try again later".to_owned())
}
