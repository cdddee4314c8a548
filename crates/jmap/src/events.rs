//! Push by events (RFC 8620 §7.3): what has changed, as soon as it has. What an event says is read from the change log, so
//! that one that was lost, or announced twice, does no harm; a client that comes back says where it stands.

use std::time::Duration;

use mail::{Mail, ObjectKind, Standing, Subscription};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use types::{AccountId, ModSeq};

use crate::wire::{Object, id, state};

/// The shortest and the longest time between two pings.
const PINGS: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(900)];
/// Emails that are looked at to see which types have changed; with more, all of them are taken to have.
const LOOKED_AT: usize = 1_000;

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
    mail: Mail,
    account: AccountId,
    request: EventRequest,
    news: Subscription,
    /// What the client has been told of.
    told: ModSeq,
    next_ping: Option<Instant>,
    over: bool,
}

/// The types that are told of.
const TYPES: [&str; 7] =
    ["Email", "EmailDelivery", "EmailSubmission", "Identity", "Mailbox", "Thread", "VacationResponse"];

impl EventRequest {
    /// Reads the variables of the event source's URL: `types` is `*` or a list, `closeafter` is `state` or `no`, `ping` a
    /// number of seconds.
    pub fn read(types: &str, close_after: &str, ping: &str) -> Option<Self> {
        let types = match types {
            "*" => None,
            names => Some(names.split(',').map(str::to_owned).collect()),
        };
        let close_after_state = match close_after {
            "state" => true,
            "no" => false,
            _ => return None,
        };
        let ping = match ping.parse::<u64>().ok()? {
            0 => None,
            seconds => Some(Duration::from_secs(seconds).clamp(PINGS[0], PINGS[1])),
        };
        Some(Self { types, close_after_state, ping })
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
        // Before the state is read: what changes from then on is heard.
        let news = mail.subscribe(account);
        let now = mail.modseq(account).await?;
        // An id that is none of ours says that the client does not know how things are: it hears it at once.
        let last = last.map(|last| state::parse(last).map_or(ModSeq(0), |standing| standing.modseq));
        let told = last.map_or(now, |last| last.min(now));
        let next_ping = request.ping.map(|every| Instant::now() + every);
        Ok(Self { mail, account, request, news, told, next_ping, over: false })
    }

    /// The next event; `None` at the end, or if the stores are out of reach: the client comes back and goes on from where
    /// it stands.
    pub async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        loop {
            match self.change().await {
                Ok(Some(event)) => {
                    self.over = self.request.close_after_state;
                    return Some(event);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "events ended");
                    self.over = true;
                    return None;
                }
            }
            let ping = async {
                match self.next_ping {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = self.news.next() => {}
                () = ping => return Some(self.ping()),
            }
        }
    }

    fn ping(&mut self) -> Event {
        self.next_ping = self.request.ping.map(|every| Instant::now() + every);
        let interval = self.request.ping.unwrap_or_default().as_secs();
        Event { name: "ping", id: None, data: json!({"interval": interval}).to_string() }
    }

    /// What the client has not been told of, if it wants to hear of it.
    async fn change(&mut self) -> Result<Option<Event>, mail::Error> {
        let now = self.mail.modseq(self.account).await?;
        if now <= self.told {
            return Ok(None);
        }
        let changed = self.changed().await?;
        self.told = now;
        let wanted = |name: &&&str| match &self.request.types {
            None => true,
            Some(types) => types.iter().any(|wanted| wanted == **name),
        };
        let text = state::to_text(Standing::from(now));
        let states: Object =
            changed.iter().filter(wanted).map(|name| ((*name).to_owned(), text.as_str().into())).collect();
        if states.is_empty() {
            return Ok(None);
        }
        let account = id::of_account(self.account);
        let data = json!({"@type": "StateChange", "changed": {account: Value::Object(states)}}).to_string();
        Ok(Some(Event { name: "state", id: Some(text), data }))
    }

    /// The types of what has changed since the client was told.
    async fn changed(&self) -> Result<Vec<&'static str>, mail::Error> {
        let changes = match self.mail.changes(self.account, self.told, LOOKED_AT).await {
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
        let of = [
            emails.iter().any(|list| !list.is_empty()),
            !changes.created.is_empty(),
            objects(ObjectKind::Submission),
            objects(ObjectKind::Identity),
            mailboxes,
            threads.iter().any(|list| !list.is_empty()),
            objects(ObjectKind::VacationResponse),
        ];
        Ok(TYPES.into_iter().zip(of).filter(|(_, has)| *has).map(|(name, _)| name).collect())
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
