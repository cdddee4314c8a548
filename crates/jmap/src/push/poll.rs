//! Push for clients that can do nothing but ask: a request that is answered when there is something to say, or when its
//! time is up. It is no part of JMAP; [`URN`] announces it.

use std::time::Duration;

use mail::Mail;
use serde_json::{Value, json};
use tokio::time::timeout;
use types::AccountId;

use super::{Change, Watch, types};

/// The capability.
pub const URN: &str = "urn:magpie:params:jmap:long-poll";
/// How long a request waits if nobody says, and at most: proxies lose patience with those that say nothing.
const WAITS: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(300)];

/// What a client waits for, and for how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PollRequest {
    types: Option<Vec<String>>,
    since: Option<String>,
    time: Duration,
}

impl PollRequest {
    /// The longest time that a request waits, in seconds.
    pub const LONGEST: u64 = WAITS[1].as_secs();

    /// Reads the variables of the URL: `since` is a state, `types` is `*` or a list, `timeout` a number of seconds.
    pub fn read(since: Option<&str>, wanted: &str, time: Option<&str>) -> Option<Self> {
        let time = match time {
            None => WAITS[0],
            Some(seconds) => Duration::from_secs(seconds.parse().ok()?).min(WAITS[1]),
        };
        Some(Self { types: types(wanted), since: since.map(str::to_owned), time })
    }
}

/// Waits for a change, until the time is up or `leaving` resolves. Who knows no state learns the present one at once.
pub(crate) async fn poll(
    mail: Mail,
    account: AccountId,
    request: PollRequest,
    leaving: impl Future<Output = ()>,
) -> Result<Value, mail::Error> {
    let PollRequest { types, since, time } = request;
    let time = if since.is_some() { time } else { Duration::ZERO };
    let mut watch = Watch::begin(mail, account, types, since.as_deref()).await?;
    // What has changed already is told without waiting, however short the time is.
    let change = match watch.change().await? {
        Some(change) => Some(change),
        None => tokio::select! {
            next = timeout(time, watch.next()) => next.ok().transpose()?,
            () = leaving => None,
        },
    };
    let Change { state, changed } =
        change.unwrap_or_else(|| Change { state: watch.state(), changed: json!({}) });
    Ok(json!({"@type": "StateChange", "changed": changed, "pushState": state}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_ask_for() {
        let read = |time| PollRequest::read(Some("s1"), "Email", time).map(|request| request.time.as_secs());
        assert_eq!([read(None), read(Some("0")), read(Some("90000"))], [Some(60), Some(0), Some(300)]);
        for bad in ["", "-1", "x", "1.5"] {
            assert_eq!(read(Some(bad)), None);
        }
    }
}
