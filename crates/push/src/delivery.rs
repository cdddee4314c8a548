//! One message to one push service: what it says is made elsewhere, how it gets there is somebody else's, and what the
//! answer means is decided here.

use std::error::Error as StdError;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use store::bus;
use thiserror::Error as ThisError;
use tokio::time::timeout;
use types::{AccountId, ModSeq, Timestamp};

use crate::meter::{Fate, count};
use crate::table::{Place, SubscriptionRow};
use crate::{Endpoint, Error, Keys, Push, SubscriptionId, seal};

/// How long a push service keeps a message for an app that cannot be reached: after that, the app asks anyway.
const TIME_TO_LIVE: Duration = Duration::from_hours(24);
/// The longest pause that a push service can ask for.
const LONGEST_WISH: Duration = Duration::from_hours(24);

/// What an account is told of.
#[async_trait]
pub trait Source: Send + Sync {
    /// Words that something in an account may have changed. They may be lost or doubled.
    fn follow(&self, account: AccountId) -> bus::Subscription;

    /// What has changed in an account since it stood there.
    ///
    /// # Errors
    /// If the stores are out of reach.
    async fn changed(
        &self,
        account: AccountId,
        since: ModSeq,
    ) -> Result<Changed, Box<dyn StdError + Send + Sync>>;

    /// The text that says when each of these types changed last.
    fn state_change(&self, account: AccountId, states: &[(String, ModSeq)]) -> String;

    /// The text by which an app learns the code of its subscription.
    fn verification(&self, id: SubscriptionId, code: &str) -> String;
}

/// What has changed in an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Changed {
    /// Where the account stands now.
    pub to: ModSeq,
    /// The names of the types that have changed.
    pub types: Vec<&'static str>,
}

/// Brings requests to push services.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Makes a POST request with these fields, over a connection whose other end has proved that it is the host of the URL and
    /// has a public address. Follows no redirection.
    ///
    /// # Errors
    /// [`Unreached`] if there was no answer.
    async fn post(
        &self,
        to: &Endpoint,
        fields: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Answer, Unreached>;
}

/// What a push service has answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `Retry-After`, if it is a number of seconds.
    pub retry_after: Option<Duration>,
}

/// Why there was no answer.
#[derive(Clone, PartialEq, Eq, Debug, ThisError)]
pub enum Unreached {
    /// The address is none that may be connected to.
    #[error("{0}")]
    Forbidden(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// The fields of a request, and its body.
type Message = (Vec<(&'static str, String)>, Vec<u8>);

/// What an app is told.
pub(crate) enum Saying {
    /// The code of its subscription.
    Code(String),
    /// What has changed.
    News(String),
}

impl Saying {
    /// The topic among the messages that a push service keeps (RFC 8030 §5.4): of those with the same one for the same URL
    /// only the newest counts. News hold what older news of the subscription held; they stand for no code, and not for those
    /// of another subscription, which may have the same URL: that of a second account in the same browser. The number
    /// of a subscription is chance, and tells a push service nothing.
    fn topic(&self, id: SubscriptionId) -> String {
        let kind = match self {
            Self::Code(_) => b'c',
            Self::News(_) => b'n',
        };
        // Nine octets are twelve characters: of 32 that there may be, and none of them is padding.
        URL_SAFE_NO_PAD.encode([id.0.to_be_bytes().as_slice(), &[kind]].concat())
    }

    fn into_text(self) -> String {
        match self {
            Self::Code(text) | Self::News(text) => text,
        }
    }
}

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    /// The push service has it.
    Taken,
    /// The push service does not know the app any more.
    Gone,
    /// It may not be sent there.
    Forbidden,
    /// Not now, and if the push service says so, not before so long.
    Later(Option<Duration>),
}

impl Push {
    /// Says something to the app of a subscription, in time and in turn.
    pub(crate) async fn send(
        &self,
        transport: &dyn Transport,
        (account, id): Place,
        row: &SubscriptionRow,
        saying: Saying,
    ) -> Result<Sent, Error> {
        let Ok(endpoint) = Endpoint::parse(&row.url) else { return Ok(Sent::Gone) };
        let (fields, body) = match self.message(&endpoint, id, row, saying)? {
            Some(message) => message,
            None => return Ok(Sent::Gone),
        };
        let _turn = self.turns().take(account).await;
        let answer = timeout(self.options().patience, transport.post(&endpoint, &fields, body)).await;
        let sent = match &answer {
            Ok(Ok(answer)) => judge(*answer),
            Ok(Err(Unreached::Forbidden(why))) => {
                tracing::warn!(%endpoint, why, "a push service has an address that is not connected to");
                Sent::Forbidden
            }
            Ok(Err(Unreached::Failed(why))) => {
                tracing::debug!(%endpoint, why, "a push service could not be reached");
                Sent::Later(None)
            }
            Err(_late) => {
                tracing::debug!(%endpoint, "a push service did not answer in time");
                Sent::Later(None)
            }
        };
        if let (Sent::Later(_), Ok(Ok(Answer { status, .. }))) = (sent, &answer) {
            tracing::info!(%endpoint, status, "a push service did not take a message; it is tried again");
        }
        count(match sent {
            Sent::Taken => Fate::Sent,
            Sent::Gone => Fate::Gone,
            Sent::Forbidden => Fate::Forbidden,
            Sent::Later(_) => Fate::Deferred,
        });
        Ok(sent)
    }

    /// The fields and the body (RFC 8620 §7.2, RFC 8030 §5); none if the app's keys cannot be used.
    fn message(
        &self,
        endpoint: &Endpoint,
        id: SubscriptionId,
        row: &SubscriptionRow,
        saying: Saying,
    ) -> Result<Option<Message>, Error> {
        let now: Timestamp = self.clock().now();
        let authorization = self.vapid().authorization(&endpoint.origin(), &self.options().contact, now)?;
        let mut fields = vec![
            ("content-type", "application/json".to_owned()),
            ("ttl", TIME_TO_LIVE.as_secs().to_string()),
            ("urgency", "normal".to_owned()),
            ("topic", saying.topic(id)),
            ("authorization", authorization),
        ];
        let text = saying.into_text();
        let body = match &row.keys {
            None => text.into_bytes(),
            Some(keys) => {
                let sealed =
                    Keys::new(&keys.p256dh, &keys.auth).and_then(|keys| seal(&keys, text.as_bytes()));
                let Ok(sealed) = sealed else { return Ok(None) };
                fields.push(("content-encoding", "aes128gcm".to_owned()));
                sealed
            }
        };
        Ok(Some((fields, body)))
    }
}

fn judge(answer: Answer) -> Sent {
    match answer.status {
        200..=299 => Sent::Taken,
        // RFC 8030 §7.3: it is over.
        404 | 410 => Sent::Gone,
        // Where a redirection leads is somebody else's choice: it is not followed.
        _ => Sent::Later(answer.retry_after.map(|wish| wish.min(LONGEST_WISH))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_of_one_subscription_and_one_kind() {
        let (one, other) = (SubscriptionId(7), SubscriptionId(u64::MAX));
        let (code, news) = (Saying::Code("code".to_owned()), Saying::News("news".to_owned()));
        assert_eq!(news.topic(one), Saying::News("newer".to_owned()).topic(one));
        let mut topics = vec![code.topic(one), news.topic(one), code.topic(other), news.topic(other)];
        for topic in &topics {
            let fits = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
            assert!(topic.len() <= 32 && topic.bytes().all(fits), "{topic}");
        }
        topics.sort();
        topics.dedup();
        assert_eq!(topics.len(), 4);
    }

    #[test]
    fn what_answers_mean() {
        let judge = |status, seconds| {
            judge(Answer { status, retry_after: Option::map(seconds, Duration::from_secs) })
        };
        for status in [200, 201, 202, 204] {
            assert_eq!(judge(status, None), Sent::Taken);
        }
        for status in [404, 410] {
            assert_eq!(judge(status, Some(5)), Sent::Gone);
        }
        for status in [301, 307, 400, 401, 403, 413, 429, 500, 503] {
            assert_eq!(judge(status, Some(5)), Sent::Later(Some(Duration::from_secs(5))));
        }
        assert_eq!(judge(429, Some(u64::MAX)), Sent::Later(Some(LONGEST_WISH)));
    }
}
