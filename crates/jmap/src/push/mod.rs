//! Push (RFC 8620 §7): clients hear that something has changed, and ask what.
//!
//! ```text
//!   the change log ──> watch ──┬─> events        EventSource (RFC 8620 §7.3)
//!        ^                     ├─> poll          one answer, when there is something to say
//!        └── a word on the bus ├─> socket        WebSocket (RFC 8887)
//!                              └─> subscription  Web Push (RFC 8620 §7.2), sent by the crate `push`
//! ```
//!
//! All channels are readers of the change log. A word on the bus says that it is worth looking, and no more: one that is lost,
//! or comes twice, does no harm, and a client that comes back goes on from the state that it knows.

pub(crate) mod events;
pub(crate) mod poll;
pub(crate) mod socket;
pub(crate) mod subscription;

use mail::{Mail, ObjectKind, Quota, Standing, Subscription};
use serde_json::{Value, json};
use types::{AccountId, ModSeq};

use crate::wire::{Object, id, state};

/// Emails that are looked at to see which types have changed; with more, all of them are taken to have.
const LOOKED_AT: usize = 1_000;

/// The types that are told of.
const TYPES: [&str; 8] = [
    "Email",
    "EmailDelivery",
    "EmailSubmission",
    "Identity",
    "Mailbox",
    "Quota",
    "Thread",
    "VacationResponse",
];

/// The types of what has changed in an account between two of its states.
pub(crate) async fn changed(
    mail: &Mail,
    account: AccountId,
    since: ModSeq,
) -> Result<Vec<&'static str>, mail::Error> {
    let changes = match mail.changes(account, since, LOOKED_AT).await {
        Ok(changes) if !changes.more => changes,
        Ok(_) | Err(mail::Error::CannotCalculateChanges) => return Ok(TYPES.to_vec()),
        Err(error) => return Err(error),
    };
    let emails = [&changes.created, &changes.updated, &changes.destroyed];
    let threads = [&changes.threads_created, &changes.threads_updated, &changes.threads_destroyed];
    let mailboxes = !changes.mailboxes_created.is_empty()
        || !changes.mailboxes_updated.is_empty()
        || !changes.mailboxes_destroyed.is_empty();
    let objects = |kind| changes.objects.contains_key(&kind);
    // What an account holds is nothing to tell of where it may hold as much as it likes.
    let used = changes.counted && mail.quotas(account).await?.2 != Quota::default();
    let of = [
        emails.iter().any(|list| !list.is_empty()),
        !changes.created.is_empty(),
        objects(ObjectKind::Submission),
        objects(ObjectKind::Identity),
        mailboxes,
        used || objects(ObjectKind::Quota),
        threads.iter().any(|list| !list.is_empty()),
        objects(ObjectKind::VacationResponse),
    ];
    Ok(TYPES.into_iter().zip(of).filter(|(_, has)| *has).map(|(name, _)| name).collect())
}

/// A change that a client hears of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Change {
    /// Where the account stands after it.
    pub(crate) state: String,
    /// `changed` of a StateChange object (RFC 8620 §7.1).
    pub(crate) changed: Value,
}

/// What a client waits for.
pub(crate) struct Watch {
    mail: Mail,
    account: AccountId,
    /// Types by their names; none for all.
    types: Option<Vec<String>>,
    news: Subscription,
    /// What the client has been told of.
    told: ModSeq,
}

impl Watch {
    /// Begins to watch. `since` is the state that the client knows; without one it is taken to know how things are now.
    pub(crate) async fn begin(
        mail: Mail,
        account: AccountId,
        types: Option<Vec<String>>,
        since: Option<&str>,
    ) -> Result<Self, mail::Error> {
        // Before the state is read: what changes from then on is heard.
        let news = mail.subscribe(account);
        let now = mail.modseq(account).await?;
        // A state that is none of ours says that the client does not know how things are: it hears it at once.
        let since = since.map(|since| state::parse(since).map_or(ModSeq(0), |standing| standing.modseq));
        let told = since.map_or(now, |since| since.min(now));
        Ok(Self { mail, account, types, news, told })
    }

    /// The next change. Nothing is lost if the future is dropped before it is done.
    pub(crate) async fn next(&mut self) -> Result<Change, mail::Error> {
        loop {
            if let Some(change) = self.change().await? {
                return Ok(change);
            }
            let _worth_looking = self.news.next().await;
        }
    }

    /// Where the client stands.
    pub(crate) fn state(&self) -> String {
        state::to_text(Standing::from(self.told))
    }

    /// What the client has not been told of, if it wants to hear of it.
    pub(crate) async fn change(&mut self) -> Result<Option<Change>, mail::Error> {
        let now = self.mail.modseq(self.account).await?;
        if now <= self.told {
            return Ok(None);
        }
        let changed = changed(&self.mail, self.account, self.told).await?;
        self.told = now;
        let wanted = |name: &&&str| match &self.types {
            None => true,
            Some(types) => types.iter().any(|wanted| wanted == **name),
        };
        let state = self.state();
        let states: Object =
            changed.iter().filter(wanted).map(|name| ((*name).to_owned(), state.as_str().into())).collect();
        if states.is_empty() {
            return Ok(None);
        }
        let account = id::of_account(self.account);
        Ok(Some(Change { state, changed: json!({account: Value::Object(states)}) }))
    }
}

/// The names in a variable of a URL: `*`, or a list with commas.
fn types(text: &str) -> Option<Vec<String>> {
    (text != "*").then(|| text.split(',').map(str::to_owned).collect())
}
