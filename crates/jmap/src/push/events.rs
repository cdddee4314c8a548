//! Push by events (RFC 8620 §7.3): what has changed, as soon as it has, for as long as the client listens.

use std::time::Duration;

use mail::Mail;
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use types::AccountId;

use super::{Watch, types};

/// The shortest and the longest time between two pings.
const PINGS: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(900)];

/// What a client wants to hear.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventRequest {
    /// Types by their names; none for all.
    types: Option<Vec<String>>,
    /// Whether the first change ends it.
    close_after_state: bool,
    /// How often the client hears that it is still connected.
    ping: Option<Duration>,
}

/// One event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Its type: `state` or `ping`.
    pub name: &'static str,
    /// Where the client stands after it.
    pub id: Option<String>,
    /// JSON on one line.
    pub data: String,
}

/// Events as they come.
pub struct Events {
    request: EventRequest,
    watch: Watch,
    next_ping: Option<Instant>,
    over: bool,
}

impl EventRequest {
    /// Reads the variables of the event source's URL: `types` is `*` or a list, `closeafter` is `state` or `no`, `ping` a
    /// number of seconds.
    pub fn read(wanted: &str, close_after: &str, ping: &str) -> Option<Self> {
        let close_after_state = match close_after {
            "state" => true,
            "no" => false,
            _ => return None,
        };
        let ping = match ping.parse::<u64>().ok()? {
            0 => None,
            seconds => Some(Duration::from_secs(seconds).clamp(PINGS[0], PINGS[1])),
        };
        Some(Self { types: types(wanted), close_after_state, ping })
    }
}

impl Events {
    /// Begins to listen. `last` is the id of the last event that the client has seen, if it comes back.
    pub(crate) async fn begin(
        mail: Mail,
        account: AccountId,
        request: EventRequest,
        last: Option<&str>,
    ) -> Result<Self, mail::Error> {
        let watch = Watch::begin(mail, account, request.types.clone(), last).await?;
        let next_ping = request.ping.map(|every| Instant::now() + every);
        Ok(Self { request, watch, next_ping, over: false })
    }

    /// The next event; `None` at the end, or if the stores are out of reach: the client comes back and goes on from where
    /// it stands.
    pub async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        let next_ping = self.next_ping;
        let ping = async {
            match next_ping {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let change = tokio::select! {
            biased;
            change = self.watch.next() => change,
            () = ping => return Some(self.ping()),
        };
        match change {
            Ok(change) => {
                self.over = self.request.close_after_state;
                let data = json!({"@type": "StateChange", "changed": change.changed}).to_string();
                Some(Event { name: "state", id: Some(change.state), data })
            }
            Err(error) => {
                tracing::warn!(%error, "events ended");
                self.over = true;
                None
            }
        }
    }

    fn ping(&mut self) -> Event {
        self.next_ping = self.request.ping.map(|every| Instant::now() + every);
        let interval = self.request.ping.unwrap_or_default().as_secs();
        Event { name: "ping", id: None, data: json!({"interval": interval}).to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_ask_for() {
        let read = EventRequest::read;
        assert_eq!(
            read("Email,Thread", "state", "1"),
            Some(EventRequest {
                types: Some(vec!["Email".into(), "Thread".into()]),
                close_after_state: true,
                ping: Some(PINGS[0]),
            })
        );
        assert_eq!(read("*", "no", "0").unwrap().ping, None);
        assert_eq!(read("*", "no", "99999").unwrap().ping, Some(PINGS[1]));
        for (types, close_after, ping) in
            [("*", "never", "0"), ("*", "no", ""), ("*", "no", "-1"), ("*", "no", "x")]
        {
            assert_eq!(read(types, close_after, ping), None);
        }
    }
}
