//! The checks of one message from beginning to end.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use dns::{Name, Resolver};
use futures::future::{join, join_all, join3};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;
use types::{Clock, Timestamp};

use crate::arc::{ArcCheck, Chain};
use crate::dkim::{self, DkimCheck, KeyAnswer, Signed, Signer, SigningError};
use crate::dmarc::{self, DmarcCheck, Evidence};
use crate::header::{Header, author_domains};
use crate::iprev::{self, IprevCheck};
use crate::lookups::Lookups;
use crate::policy::{Action, Options, Refused, decide};
use crate::results::{Results, forged};
use crate::spf::{self, SpfResult, Subject};

/// A message up to this size is hashed where it is: handing it over would take longer.
const AT_ONCE: usize = 64 << 10;

/// Checks messages from outside. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Checks {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    our_names: Vec<String>,
    resolver: Arc<dyn Resolver>,
    clock: Clock,
}

/// Who hands a message over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Client {
    /// The client's address.
    pub address: IpAddr,
    /// The name that it gave itself in HELO or EHLO.
    pub hello: String,
    /// The envelope's sender, `local@domain` without brackets; none for `<>`.
    pub sender: Option<String>,
}

/// The outcome of the checks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// What is to become of the message.
    pub action: Action,
    /// Fields to put on top of the message, with their CRLF, above its `Received:`. Empty for exempt clients.
    pub fields: String,
    /// Where in the message fields stand that others have written in our name, in ascending order: to be cut out.
    pub forged: Vec<Range<usize>>,
    /// The client's own name, confirmed.
    pub client_name: Option<String>,
    /// What was found out; nothing for exempt clients.
    pub results: Option<Results>,
}

impl Checks {
    /// Checks that ask this resolver.
    pub fn new(resolver: Arc<dyn Resolver>, clock: Clock, options: Options) -> Self {
        let our_names = options.our_names();
        Self { inner: Arc::new(Inner { options, our_names, resolver, clock }) }
    }

    /// Begins with what can be found out before the message is there; it goes on in the background until the
    /// message comes, or [`Pending`] is dropped.
    pub fn begin(&self, client: Client) -> Pending {
        let mut asked = JoinSet::new();
        let exempt = self.inner.options.exempt.iter().any(|network| network.contains(client.address));
        if !exempt {
            let inner = self.inner.clone();
            asked.spawn(async move { inner.ask_about(client).await });
        }
        Pending { inner: self.inner.clone(), exempt, asked, origin: None }
    }

    /// Seals a message that was checked before it is sent on: see [`Results::seal`].
    pub fn seal(
        &self,
        results: &Results,
        message: &[u8],
        signer: &Signer,
        at: Timestamp,
    ) -> Result<Option<String>, SigningError> {
        results.seal(&self.inner.options.authserv_id, message, signer, at)
    }

    /// Checks a message that is there already.
    pub async fn check(&self, client: Client, message: Bytes) -> Verdict {
        self.begin(client).message(message).await
    }
}

/// Checks that have begun.
pub struct Pending {
    inner: Arc<Inner>,
    exempt: bool,
    asked: JoinSet<Origin>,
    origin: Option<Origin>,
}

/// What is known before the message.
struct Origin {
    address: IpAddr,
    iprev: IprevCheck,
    spf_hello: Option<(Name, SpfResult)>,
    spf_sender: Option<(Name, SpfResult)>,
}

impl Pending {
    /// Waits until all is found out that needs no message. Who holds something dear while the message is checked, such
    /// as memory for it, waits here first.
    pub async fn settled(&mut self) {
        if let Some(Ok(origin)) = self.asked.join_next().await {
            self.origin = Some(origin);
        }
    }

    /// Checks the message, as it came, and says what is to become of it. It takes as long as the options allow, and
    /// no longer.
    pub async fn message(mut self, message: Bytes) -> Verdict {
        let header = Header::parse(&message);
        let forged = forged(&header, &self.inner.our_names);
        let unchecked = |action| Verdict {
            action,
            fields: String::new(),
            forged: forged.clone(),
            client_name: None,
            results: None,
        };
        if self.exempt {
            return unchecked(Action::Accept);
        }
        self.settled().await;
        let judged = match self.origin.take() {
            Some(origin) => self.inner.judge(origin, &message, &header).await,
            None => None,
        };
        let Some(results) = judged else { return unchecked(Action::Defer(lost())) };
        let options = &self.inner.options;
        let authors = author_domains(&header).len();
        Verdict {
            action: decide(options, &results.dmarc, authors, &results.arc),
            fields: results.field(&options.authserv_id),
            forged,
            client_name: results.iprev.name.as_ref().map(Name::to_string),
            results: Some(results),
        }
    }
}

impl Inner {
    fn lookups(&self, until: Instant) -> Lookups {
        Lookups::new(self.resolver.clone(), self.options.questions, until)
    }

    async fn ask_about(&self, client: Client) -> Origin {
        let until = Instant::now() + self.options.time;
        let address = client.address.to_canonical();
        let hello =
            Name::parse(&client.hello).filter(|name| name.is_qualified() && !is_address(&client.hello));
        let sender = client.sender.as_deref().and_then(|sender| sender.rsplit_once('@'));
        let sender = sender.and_then(|(local, domain)| Some((local, Name::parse(domain)?)));
        let asked_hello = async {
            let domain = hello?;
            let subject = Subject { address, hello: &client.hello, local: "postmaster", domain: &domain };
            let result = spf::check_host(subject, &self.lookups(until)).await;
            Some((domain, result))
        };
        let asked_sender = async {
            let (local, domain) = sender?;
            let local = if local.is_empty() { "postmaster" } else { local };
            let subject = Subject { address, hello: &client.hello, local, domain: &domain };
            let result = spf::check_host(subject, &self.lookups(until)).await;
            Some((domain, result))
        };
        let lookups = self.lookups(until);
        let (iprev, spf_hello, spf_sender) =
            join3(iprev::check(address, &lookups), asked_hello, asked_sender).await;
        Origin { address, iprev, spf_hello, spf_sender }
    }

    /// All results; none if the work was lost.
    async fn judge(&self, origin: Origin, message: &Bytes, header: &Header<'_>) -> Option<Results> {
        let until = Instant::now() + self.options.time;
        let (dkim, arc) = self.verify(message, header, until).await?;
        let dmarc = self.ask_authors(&origin, message, header, &dkim, until).await;
        let Origin { address, iprev, spf_hello, spf_sender } = origin;
        Some(Results { address, iprev, spf_hello, spf_sender, dkim, arc, dmarc })
    }

    /// Signatures and seals.
    async fn verify(
        &self,
        message: &Bytes,
        header: &Header<'_>,
        until: Instant,
    ) -> Option<(Vec<DkimCheck>, ArcCheck)> {
        let most = self.options.signatures;
        let lookups = self.lookups(until);
        let wanted = Signed::new(message, header, most).keys();
        let chain = Chain::read(header).map(|chain| chain.keys());
        let ask = async |name: Option<Name>| match name {
            Some(name) => Some(dkim::key(name, &lookups).await),
            None => None,
        };
        let signature_keys = join_all(wanted.into_iter().map(ask));
        let (signature_keys, chain) = match chain {
            Ok(names) => {
                let seal_keys = join_all(names.into_iter().map(|name| dkim::key(name, &lookups)));
                let (signature_keys, seal_keys) = join(signature_keys, seal_keys).await;
                (signature_keys, Ok(seal_keys))
            }
            Err(known) => (signature_keys.await, Err(known)),
        };
        if signature_keys.is_empty()
            && let Err(known) = chain
        {
            return Some((Vec::new(), known));
        }
        let now = self.clock.now().secs();
        if message.len() <= AT_ONCE {
            return Some(verify(message, most, &signature_keys, chain, now));
        }
        let message = message.clone();
        let work = spawn_blocking(move || verify(&message, most, &signature_keys, chain, now));
        work.await.ok()
    }

    async fn ask_authors(
        &self,
        origin: &Origin,
        message: &[u8],
        header: &Header<'_>,
        dkim: &[DkimCheck],
        until: Instant,
    ) -> Vec<DmarcCheck> {
        // A message without a sender is that of the client itself (RFC 7208 §2.4).
        let spf = origin.spf_sender.as_ref().or(origin.spf_hello.as_ref());
        let evidence =
            Evidence { spf: spf.map(|(name, result)| (name, *result)), dkim, lot: lot(message, header) };
        let authors = author_domains(header).into_iter().take(self.options.authors);
        let asked = authors.map(|domain| {
            let lookups = self.lookups(until);
            async move { dmarc::check(domain, evidence, &lookups).await }
        });
        join_all(asked).await
    }
}

/// Only a server that goes down, or a mistake of ours, loses work; neither may let a message pass unchecked.
fn lost() -> Refused {
    let text = "The message could not be checked; try again later".to_owned();
    Refused { code: 451, status: (3, 0), text }
}

fn verify(
    message: &[u8],
    most: usize,
    keys: &[Option<KeyAnswer>],
    chain: Result<Vec<KeyAnswer>, ArcCheck>,
    now: u64,
) -> (Vec<DkimCheck>, ArcCheck) {
    let header = Header::parse(message);
    let dkim = Signed::new(message, &header, most).verify(keys, now);
    let arc = match chain {
        Ok(keys) => match Chain::read(&header) {
            Ok(chain) => chain.verify(message, &header, &keys, now),
            Err(known) => known,
        },
        Err(known) => known,
    };
    (dkim, arc)
}

/// A number under 100 that the message keeps when it is sent again: what was refused once is refused again.
fn lot(message: &[u8], header: &Header<'_>) -> u8 {
    let hash = digest(&SHA256, message.get(..header.body).unwrap_or_default());
    let number = hash.as_ref().iter().take(4).fold(0u32, |sum, byte| sum << 8 | u32::from(*byte));
    u8::try_from(number % 100).unwrap_or(0)
}

/// Whether a client names itself by its address, with or without the brackets that should be there.
fn is_address(hello: &str) -> bool {
    hello.starts_with('[') || hello.parse::<IpAddr>().is_ok()
}
