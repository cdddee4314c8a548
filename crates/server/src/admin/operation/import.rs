//! Importing: the store's side. The reader of the other mail store sends what it finds in batches; each message has a
//! key that names it in its source, so that a batch which is sent again stores nothing twice.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use mail::{ImportId, ImportItem, Imported, MailboxPath, Quota, Role};
use serde::{Deserialize, Serialize};
use types::{AccountId, Keyword, Keywords, MailboxId, Timestamp};

use super::account_named;
use crate::admin::Operation;
use crate::import::FolderPath;
use crate::node::Node;
use crate::problem::{Kind, Problem};

/// Messages that are parsed at once.
const AT_ONCE: usize = 4;

/// Begins or resumes an import from a source.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Begin {
    pub(crate) account: String,
    pub(crate) source: SourceId,
    /// Forget what was imported from this source before: everything is imported again.
    pub(crate) again: bool,
}

/// The account that messages go to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) account: u64,
    pub(crate) address: String,
}

/// Names a source, or a message in one: 16 bytes, in hexadecimal digits on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct SourceId(pub(crate) [u8; 16]);

impl From<SourceId> for String {
    fn from(id: SourceId) -> Self {
        id.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl TryFrom<String> for SourceId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = u128::from_str_radix(&text, 16).ok().filter(|_| text.len() == 32);
        number
            .map(|number| Self(number.to_be_bytes()))
            .ok_or_else(|| format!("{text:?} is no id of 32 digits"))
    }
}

impl Operation for Begin {
    const NAME: &'static str = "import.begin";
    type Answer = Target;

    async fn run(self, node: &Node, _: Bytes) -> Result<Target, Problem> {
        let account = account_named(node, &self.account).await?;
        if self.again {
            node.mail.forget_import(account.id, self.source.0).await?;
        }
        Ok(Target { account: account.id.0, address: account.address.to_string() })
    }
}

/// Finds or makes the mailbox that a folder's messages go to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Folder {
    pub(crate) account: u64,
    pub(crate) folder: FolderPath,
    pub(crate) into: Option<String>,
}

/// A mailbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) mailbox: u32,
    pub(crate) path: String,
}

impl Operation for Folder {
    const NAME: &'static str = "import.folder";
    type Answer = Place;

    async fn run(self, node: &Node, _: Bytes) -> Result<Place, Problem> {
        let account = AccountId(self.account);
        let into = self.into.as_deref().map(MailboxPath::parse).transpose()?;
        let mailboxes = node.mail.mailboxes(account).await?;
        let with_role = |role: Role| mailboxes.iter().find(|m| m.role == Some(role)).map(|m| m.path.clone());
        let path = self.folder.destination(into.as_ref(), with_role)?;
        let mailbox = find_or_make(node, account, &path).await?;
        Ok(Place { mailbox: mailbox.0, path: path.to_string() })
    }
}

async fn find_or_make(node: &Node, account: AccountId, path: &MailboxPath) -> Result<MailboxId, Problem> {
    if let Some(found) = node.mail.find_mailbox(account, path).await? {
        return Ok(found.id);
    }
    match node.mail.create_path(account, path, None).await {
        Ok(made) => {
            node.mail.set_subscribed(account, made.id, true).await?;
            Ok(made.id)
        }
        // Somebody else was quicker.
        Err(mail::Error::Exists) => {
            let found = node.mail.find_mailbox(account, path).await?;
            Ok(found.ok_or(mail::Error::NoSuchMailbox)?.id)
        }
        Err(error) => Err(error.into()),
    }
}

/// Asks which messages are in already.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) account: u64,
    pub(crate) source: SourceId,
    pub(crate) keys: Vec<SourceId>,
}

impl Operation for Known {
    const NAME: &'static str = "import.known";
    type Answer = Vec<bool>;

    async fn run(self, node: &Node, _: Bytes) -> Result<Vec<bool>, Problem> {
        let ids: Vec<_> =
            self.keys.iter().map(|key| ImportId { source: self.source.0, item: key.0 }).collect();
        Ok(node.mail.known_imports(AccountId(self.account), &ids).await?)
    }
}

/// Stores messages. Their bytes come along, one behind the other.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Store {
    pub(crate) account: u64,
    pub(crate) source: SourceId,
    pub(crate) messages: Vec<Message>,
}

/// A message to be stored.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) key: SourceId,
    pub(crate) size: usize,
    pub(crate) mailbox: u32,
    pub(crate) keywords: Vec<String>,
    pub(crate) deleted: bool,
    /// Milliseconds since 1970.
    pub(crate) received: u64,
}

/// What became of a message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    Stored,
    Known,
    Failed(String),
}

impl Operation for Store {
    const NAME: &'static str = "import.store";
    type Answer = Vec<Fate>;

    async fn run(self, node: &Node, payload: Bytes) -> Result<Vec<Fate>, Problem> {
        let account = AccountId(self.account);
        let limits = node.directory.limits(account).await?;
        let limits = limits.ok_or_else(|| Problem::not_found("the account was deleted in the meantime"))?;
        let quota = Quota { bytes: limits.bytes, emails: limits.messages };
        let prepared = self.prepare(node, payload).await?;
        // What cannot be parsed or stored fails alone; the others go into the mailbox in their order.
        let items: Vec<ImportItem> = prepared.iter().filter_map(|item| item.as_ref().ok()).cloned().collect();
        let mut results = node.mail.import(account, &items, quota).await?.into_iter();
        let mut fates = Vec::with_capacity(prepared.len());
        for item in prepared {
            fates.push(match item {
                Err(error) => fate_of(error)?,
                Ok(_) => match results.next() {
                    Some(Ok(Imported::Stored(_))) => Fate::Stored,
                    Some(Ok(Imported::Known)) => Fate::Known,
                    Some(Err(error)) => fate_of(error)?,
                    None => return Err(Problem::new(Kind::Internal, "a message of the batch has no result")),
                },
            });
        }
        Ok(fates)
    }
}

impl Store {
    async fn prepare(
        self,
        node: &Node,
        mut payload: Bytes,
    ) -> Result<Vec<Result<ImportItem, mail::Error>>, Problem> {
        let mut parts = Vec::with_capacity(self.messages.len());
        for message in self.messages {
            if message.size > payload.len() {
                return Err(Problem::invalid("fewer bytes came along than the messages have"));
            }
            parts.push((payload.split_to(message.size), message));
        }
        let source = self.source.0;
        let ingested = stream::iter(parts).map(|(raw, message)| async move {
            let keywords: Result<Keywords, _> =
                message.keywords.iter().map(|word| Keyword::new(word)).collect();
            let keywords = keywords.map_err(|error| Problem::invalid(error.to_string()))?;
            // A task each, so that parsing uses all processors.
            let mail = node.mail.clone();
            let content = tokio::spawn(async move { mail.ingest(raw).await }).await;
            let content =
                content.map_err(|error| Problem::new(Kind::Internal, format!("parsing failed: {error}")))?;
            Ok::<_, Problem>(content.map(|content| ImportItem {
                message: content,
                mailbox: MailboxId(message.mailbox),
                keywords,
                deleted: message.deleted,
                received: Timestamp(message.received),
                id: ImportId { source, item: message.key.0 },
            }))
        });
        ingested.buffered(AT_ONCE).try_collect().await
    }
}

/// A failure of one message, unless it is one of the store: that ends the import, to be resumed later.
fn fate_of(error: mail::Error) -> Result<Fate, Problem> {
    match error {
        error @ mail::Error::Corrupt { .. } => Err(error.into()),
        error if error.is_temporary() => Err(error.into()),
        refused => Ok(Fate::Failed(refused.to_string())),
    }
}
