//! Answers for those who are away (RFC 8621 §8). A delivery writes down that one is due, and goes on; here it is written,
//! signed and put into a queue, in the transaction that says so. So an answer is given once, whoever gives it, and also
//! where a server stopped in between.
//!
//! What only a look at the header tells, `mail` has decided in the delivery. Here is decided what takes the directory: whether
//! the message was sent to whoever is away, and not to them among others by a list or a group.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use compose::Answer;
use directory::{Account, AccountState, Directory, DomainName};
use mail::{Companion, Delivered, Due, Mail, Metadata, Vacation, ingest};
use queue::{EntryId, Handover};
use store::kv::Transaction;
use tokio::time::sleep;
use types::{AccountId, Clock, EmailId, Header, Randomness, addresses};

use crate::meters;
use crate::net::Lifecycle;
use crate::node::Node;
use crate::notice::{Letter, Name, Notifier, Post};

/// How often it is looked for answers that a stopped server, or another node, has left.
const EVERY: Duration = Duration::from_secs(60);
/// Answers that are looked at in one go.
const AT_ONCE: usize = 100;
/// How much of a message is read to answer it, in octets: more has no header that somebody wrote.
const HEADER: u64 = 256 << 10;
/// The most addresses of a header that are looked up.
const NAMED: usize = 50;
/// An answer that could not be given for so long is not given any more: it would surprise its reader.
const LATEST: Duration = Duration::from_hours(48);

/// Gives answers. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub(crate) struct Responder {
    inner: Arc<Inner>,
}

struct Inner {
    mail: Mail,
    directory: Directory,
    notifier: Notifier,
    clock: Clock,
    /// The name in `Authentication-Results:` that is ours.
    host: String,
}

/// What became of an answer that was due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Sent,
    /// It was given already.
    Given,
    /// There is to be none, and why.
    Withheld(&'static str),
}

/// Why an answer cannot be given now.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Mail(#[from] mail::Error),
    #[error(transparent)]
    Directory(#[from] directory::Error),
    #[error(transparent)]
    Queue(#[from] queue::Error),
}

/// What of a message an answer has to know.
struct Question {
    header: Bytes,
    metadata: Metadata,
}

impl Responder {
    /// Answers of a node, which goes by the name of a host.
    pub(crate) fn new(node: &Node, notifier: Notifier, host: &str) -> Self {
        let inner = Inner {
            mail: node.mail.clone(),
            directory: node.directory.clone(),
            notifier,
            clock: node.clock.clone(),
            host: host.to_owned(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Starts the worker of this process; it ends with the server.
    pub(crate) fn start(&self, lifecycle: &Lifecycle) {
        let (responder, stopping) = (self.clone(), lifecycle.clone());
        lifecycle.spawn(async move {
            loop {
                // Between two transactions nothing is in anybody's hands.
                tokio::select! {
                    () = stopping.stopping() => return,
                    () = responder.round() => {}
                }
            }
        });
    }

    /// Gives all answers that are due, and waits until there are others.
    async fn round(&self) {
        if let Err(error) = self.answer_all().await {
            tracing::warn!(%error, "answers of those who are away wait: they cannot be looked for now");
        }
        tokio::select! {
            () = self.inner.mail.answer_wanted() => {}
            () = sleep(EVERY) => {}
        }
    }

    async fn answer_all(&self) -> Result<(), mail::Error> {
        let mut last: Option<(AccountId, EmailId)> = None;
        loop {
            let due = self.inner.mail.answers_due(last, AT_ONCE).await?;
            for due in &due {
                self.settle(due).await;
            }
            last = due.last().map(|due| (due.account, due.email));
            if due.len() < AT_ONCE {
                return Ok(());
            }
        }
    }

    async fn settle(&self, due: &Due) {
        let Due { account, email, sender, .. } = due;
        match self.inner.answer(due).await {
            Ok(Fate::Sent) => {
                meters::answered(true);
                tracing::info!(%account, %email, sender, "answered for somebody who is away");
            }
            Ok(Fate::Given) => {}
            Ok(Fate::Withheld(why)) => {
                meters::answered(false);
                tracing::debug!(%account, %email, sender, why, "not answered");
            }
            Err(error) => {
                tracing::warn!(%account, %email, sender, %error, "an answer cannot be given now; it is tried again");
            }
        }
    }
}

impl Inner {
    async fn answer(&self, due: &Due) -> Result<Fate, Failure> {
        let letter = match self.write(due).await? {
            Ok(letter) => letter,
            Err(why) => {
                self.mail.leave_unanswered(due).await?;
                return Ok(Fate::Withheld(why));
            }
        };
        let given = self.mail.answer(due, &Sending { letter: &letter, name: name_of(due) }).await?;
        Ok(if given { Fate::Sent } else { Fate::Given })
    }

    /// Writes an answer; or says why there is to be none.
    async fn write(&self, due: &Due) -> Result<Result<Letter, &'static str>, Failure> {
        if self.clock.now().since(due.received) > LATEST {
            return Ok(Err("it is too late for it"));
        }
        let (_, vacation) = self.mail.vacation(due.account).await?;
        if !vacation.is_on(due.received) {
            return Ok(Err("nobody is away any more"));
        }
        let account = self.directory.account(due.account).await?;
        let Some(account) = account.filter(|account| account.state == AccountState::Active) else {
            return Ok(Err("the account may not send"));
        };
        let Some(question) = self.question(due).await? else {
            return Ok(Err("the message is gone"));
        };
        if question.is_forged(&self.host) {
            return Ok(Err("its author's domain does not stand behind it (DMARC)"));
        }
        if self.directory.is_address_of(account.id, &due.sender).await? {
            return Ok(Err("it is from whoever is away"));
        }
        let Some(address) = self.addressed(account.id, &question).await? else {
            return Ok(Err("it names no address of whoever is away"));
        };
        if !self.mail.may_answer(account.id).await {
            return Ok(Err("the account has given as many answers as it may in a day"));
        }
        let Some(domain) = address.rsplit_once('@').and_then(|(_, domain)| DomainName::parse(domain).ok())
        else {
            return Ok(Err("its domain is none"));
        };
        let id = EntryId(Randomness::bytes());
        let rendered = self.rendered(id, due, vacation, account, address, question).render();
        let why = format!("it answers email {} for somebody who is away", due.email);
        let post = Post { id, to: &due.sender, rendered: &rendered, name: Name::Author(domain), why };
        Ok(self.notifier.post(post).await?)
    }

    fn rendered(
        &self,
        id: EntryId,
        due: &Due,
        vacation: Vacation,
        account: Account,
        address: String,
        Question { metadata, .. }: Question,
    ) -> Answer {
        let Vacation { subject, mut text, html, .. } = vacation;
        // RFC 8621 §8: who cannot read HTML is told as well.
        if let (None, Some(html)) = (&text, &html) {
            text = Some(ingest::html::text(html, Mail::VACATION_SIZE).trim().to_owned());
        }
        let filled = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        Answer {
            from: (account.display_name, address),
            to: due.sender.clone(),
            subject: filled(subject),
            text: filled(text),
            html: filled(html),
            answered_subject: filled(metadata.subject()),
            answered_id: metadata.message_ids("message-id").into_iter().next(),
            references: metadata.message_ids("references"),
            at: self.clock.now(),
            id: id.to_string(),
        }
    }

    /// The message's header; none if it is gone, or cannot be read.
    async fn question(&self, due: &Due) -> Result<Option<Question>, mail::Error> {
        let read = async {
            let source = self.mail.source(due.account, due.email).await?;
            source.read(0..HEADER.min(source.size())).await
        };
        let beginning = match read.await {
            Ok(beginning) => beginning,
            Err(error) if error.is_temporary() => return Err(error),
            Err(_gone) => return Ok(None),
        };
        let body = Header::parse(&beginning).body;
        let header = beginning.slice(..body.min(beginning.len()));
        let metadata = ingest::metadata(&header, &ingest::Limits::default());
        Ok(Some(Question { header, metadata }))
    }

    /// The address of the account's that the message names.
    async fn addressed(&self, account: AccountId, question: &Question) -> Result<Option<String>, Failure> {
        for address in question.recipients() {
            if self.directory.is_address_of(account, &address).await? {
                return Ok(Some(address));
            }
        }
        Ok(None)
    }
}

impl Question {
    /// The first [`NAMED`] addresses that the message says it is for (RFC 5230 §4.5), each once.
    fn recipients(&self) -> Vec<String> {
        const FIELDS: [&str; 6] = ["to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc"];
        let header = Header::parse(&self.header);
        let mut found: Vec<String> = Vec::new();
        for field in header.fields().iter().filter(|field| FIELDS.iter().any(|name| field.is(name))) {
            for address in addresses(&String::from_utf8_lossy(field.value())) {
                if !found.iter().any(|other| other.eq_ignore_ascii_case(&address)) {
                    found.push(address);
                }
                if found.len() == NAMED {
                    return found;
                }
            }
        }
        found
    }

    /// Whether our checks have found that nobody stands behind its author. Fields in our name are ours: those of others were
    /// cut out.
    fn is_forged(&self, host: &str) -> bool {
        let header = Header::parse(&self.header);
        header.named("authentication-results").any(|field| {
            let value = String::from_utf8_lossy(field.value()).to_ascii_lowercase();
            let ours = value.trim_start().strip_prefix(&host.to_ascii_lowercase());
            ours.is_some_and(|rest| rest.starts_with(';') && rest.contains("dmarc=fail"))
        })
    }
}

/// Puts an answer into its queue, in the transaction that says that it is given.
struct Sending<'a> {
    letter: &'a Letter,
    name: Handover,
}

impl Companion for Sending<'_> {
    async fn join(
        &self,
        tx: &Transaction,
        _: &[(AccountId, Result<Delivered, mail::Error>)],
    ) -> Result<(), mail::Error> {
        match self.letter.join(tx, self.name).await {
            Ok(()) => Ok(()),
            Err(queue::Error::Kv(error)) => Err(error.into()),
            Err(error) => Err(mail::Error::Withdrawn(error.to_string())),
        }
    }
}

/// The name of the answer to an email: there is one.
fn name_of(due: &Due) -> Handover {
    let mut name = [0; 16];
    let mut hasher = blake3::Hasher::new_derive_key("magpie 2026-11 answer of somebody away");
    hasher.update(&due.account.0.to_be_bytes()).update(&due.email.0.to_be_bytes());
    hasher.finalize_xof().fill(&mut name);
    Handover(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(header: &'static str) -> Question {
        let header = Bytes::from_static(header.as_bytes());
        let metadata = ingest::metadata(&header, &ingest::Limits::default());
        Question { header, metadata }
    }

    #[test]
    fn whom_a_message_is_for() {
        let question = question(
            "To: Team: Alice <alice@x.test>,\r\n bob@x.test;\r\nCC: ALICE@x.test\r\nReply-To: no@x.test\r\n\
             Resent-To: \"a, b\" <carol@x.test>\r\n\r\n",
        );
        assert_eq!(question.recipients(), ["alice@x.test", "bob@x.test", "carol@x.test"]);
    }

    #[test]
    fn only_our_own_results_count() {
        for (forged, header) in [
            (
                true,
                "Authentication-Results: MX.x.test;\r\n\tspf=pass;\r\n\tdmarc=fail (p=none) header.from=y\r\n\r\n",
            ),
            (false, "Authentication-Results: mx.x.test; dmarc=pass\r\n\r\n"),
            (false, "Authentication-Results: mx.x.test.evil; dmarc=fail\r\n\r\n"),
            (false, "Authentication-Results: other; dmarc=fail\r\n\r\n"),
            (false, "Subject: dmarc=fail\r\n\r\n"),
        ] {
            assert_eq!(question(header).is_forged("mx.x.test"), forged, "{header}");
        }
    }
}
