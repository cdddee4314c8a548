//! Web Push on this node: set up as the configuration asks for it, and its requests brought to push services as MTA-STS
//! policies are fetched.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dns::Name;
use jmap::PushSource;
use push::{Answer, Endpoint, Options, Push, Transport, Unreached};
use relay::{HttpsClient, HttpsError, HttpsRequest};

use crate::config::Settings;
use crate::net::Lifecycle;
use crate::node::Node;
use crate::outbound;
use crate::problem::Problem;

/// Web Push, and the way to push services.
#[derive(Clone)]
pub(crate) struct Pushing {
    push: Push,
    https: Arc<Https>,
    source: PushSource,
}

impl Pushing {
    /// Sets up what the configuration asks for; none where JMAP is off, or push services are not to be used.
    ///
    /// # Errors
    /// What of it cannot be had: a resolver, authorities to trust, the store.
    pub(crate) async fn open(settings: &Settings, node: &Node) -> Result<Option<Self>, Problem> {
        let wanted = &settings.push;
        if !(settings.jmap.enabled && wanted.enabled) {
            return Ok(None);
        }
        let https = Arc::new(Https(outbound::https(settings, wanted.allow.clone())?));
        let options = Options { at_once: wanted.at_once, ..Options::new(wanted.contact.clone()) };
        let (kv, bus, clock) = (node.kv.clone(), node.bus.clone(), node.clock.clone());
        let push = Push::open(kv, bus, clock, node.directory.clone(), options).await?;
        Ok(Some(Self { push, https, source: PushSource(node.mail.clone()) }))
    }

    /// What JMAP makes subscriptions with.
    pub(crate) const fn push(&self) -> &Push {
        &self.push
    }

    /// Begins to send; it ends with the server.
    pub(crate) fn start(&self, lifecycle: &Lifecycle) {
        let (this, stopping) = (self.clone(), lifecycle.clone());
        lifecycle.spawn(async move {
            // This process has the store for itself: whoever had the leases is gone.
            if let Err(error) = this.push.reclaim().await {
                tracing::warn!(%error, "push waits until the leases of the last run are over");
            }
            this.push.run(Arc::new(this.source), this.https, stopping.stopping()).await;
        });
    }
}

/// The way to push services.
struct Https(HttpsClient);

#[async_trait]
impl Transport for Https {
    async fn post(
        &self,
        to: &Endpoint,
        fields: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Answer, Unreached> {
        let Some(host) = Name::parse(to.host()) else {
            return Err(Unreached::Failed(format!("{} is no name that DNS can have", to.host())));
        };
        let request = HttpsRequest::post(&host, to.port(), to.path(), fields, body);
        let response = self.0.send(request).await.map_err(|error| match error {
            HttpsError::Forbidden(error) => Unreached::Forbidden(error.to_string()),
            HttpsError::Failed(why) => Unreached::Failed(why),
        })?;
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Ok(Answer { status: response.status().as_u16(), retry_after: retry_after.map(Duration::from_secs) })
    }
}

impl From<push::Error> for Problem {
    fn from(error: push::Error) -> Self {
        Self::unavailable(error.to_string())
    }
}
