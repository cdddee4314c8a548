//! What a client wants to hear of without asking (RFC 5465), and how it is told.
//!
//! Of the selected mailbox the view tells, as it does otherwise. Of all others a client hears by STATUS, LIST and
//! METADATA. What happened is read from the account's change log: nothing about the mailboxes that are watched is kept
//! but what the client has said of them.

use std::collections::BTreeSet;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;

use mail::{MailboxEvent, MailboxPath, News, Placed, Stirred, Subscription};
use types::{MailboxId, ModSeq, Uid};

use super::command::{special_use, status};
use super::error::Error;
use super::user::User;
use crate::wire::command::{EventGroup, EventKinds, FetchItem, MailboxFilter, StatusItem};
use crate::wire::response::{self, Attribute, Code, Listed, Output, Reply};

/// Rows of the change log that one step reads.
const ROWS: usize = 500;
/// A client that is further behind is told to look for itself.
const MOST_BEHIND: u64 = 10_000;

/// What a client wants to hear of. By default nothing, as after `NOTIFY NONE`.
#[derive(Default)]
pub(crate) struct Watching {
    /// What of the selected mailbox.
    pub(crate) selected: SelectedEvents,
    /// A command has changed the selected mailbox: what it has done is told, wanted or not.
    pub(crate) due: bool,
    groups: Vec<Group>,
    /// Tells when to look for changes; none if nothing but the selected mailbox is watched.
    news: Option<Subscription>,
    /// Up to where the change log has been read.
    read: ModSeq,
    own: Own,
}

/// What to tell of the selected mailbox.
#[derive(Default)]
pub(crate) struct SelectedEvents {
    /// Messages that come and go.
    pub(crate) messages: bool,
    /// Flags.
    pub(crate) flags: bool,
    /// Also that messages have left, even between commands.
    pub(crate) immediately: bool,
    /// What of new messages.
    pub(crate) fetch: Vec<FetchItem>,
}

struct Group {
    filter: Filter,
    events: EventKinds,
}

enum Filter {
    All,
    Subscribed,
    Subtree(Vec<String>),
    Names(Vec<String>),
}

/// What this session has done itself since the log was read: its client knows.
#[derive(Default)]
struct Own {
    places: BTreeSet<(MailboxId, Uid)>,
    deeds: Vec<Deed>,
}

/// Something that a command has done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Deed {
    /// A mailbox was made, with those above it.
    Created(MailboxPath),
    /// A mailbox was deleted.
    Deleted(MailboxPath),
    /// A mailbox was renamed.
    Renamed(MailboxId),
    /// A name was subscribed to, or no longer.
    Subscription(MailboxPath),
    /// Annotations of a mailbox, or of the server, were written.
    Annotated(Option<MailboxId>),
}

impl Watching {
    /// What the client has asked for.
    pub(crate) async fn new(groups: Vec<EventGroup>, user: &User) -> Result<Self, Error> {
        let mut watching = Self { due: true, ..Self::default() };
        for EventGroup { mailboxes, events, fetch } in groups {
            if mailboxes.is_selected() {
                watching.selected = SelectedEvents {
                    messages: events.any(EventKinds::MESSAGES),
                    flags: events.any(EventKinds::FLAG_CHANGE),
                    immediately: mailboxes == MailboxFilter::Selected,
                    fetch,
                };
            } else if !events.is_empty() {
                let filter = Filter::new(mailboxes, user);
                watching.groups.push(Group { filter, events });
            }
        }
        if !watching.groups.is_empty() {
            let (news, modseq) = user.mail.follow(user.account).await?;
            (watching.news, watching.read) = (Some(news), modseq);
        }
        Ok(watching)
    }

    /// What is wanted of a mailbox other than the selected one; where several groups have it, all that they say.
    pub(crate) fn wanted(&self, name: &str, subscribed: bool) -> EventKinds {
        let matching = self.groups.iter().filter(|group| group.filter.matches(name, subscribed));
        matching.fold(EventKinds::default(), |events, group| events.with(group.events))
    }

    /// What is wanted of anything.
    fn wanted_anywhere(&self) -> EventKinds {
        self.groups.iter().fold(EventKinds::default(), |events, group| events.with(group.events))
    }
}

impl Filter {
    fn new(mailboxes: MailboxFilter, user: &User) -> Self {
        // What is no name names nothing, now and later.
        let names = |names: Vec<_>| -> Vec<String> {
            names.iter().filter_map(|name| user.path(name).ok()).map(|path| path.to_string()).collect()
        };
        match mailboxes {
            MailboxFilter::Subscribed => Self::Subscribed,
            MailboxFilter::Subtree(roots) => Self::Subtree(names(roots)),
            MailboxFilter::Mailboxes(listed) => Self::Names(names(listed)),
            // Rules may deliver into any mailbox (RFC 5465 §6.3).
            _ => Self::All,
        }
    }

    fn matches(&self, name: &str, subscribed: bool) -> bool {
        let below = |root: &String| name.strip_prefix(&**root).is_some_and(|rest| rest.starts_with('/'));
        match self {
            Self::All => true,
            Self::Subscribed => subscribed,
            Self::Subtree(roots) => roots.iter().any(|root| name == root || below(root)),
            Self::Names(names) => names.iter().any(|other| name == other),
        }
    }
}

impl Own {
    fn has(&self, deed: &Deed) -> bool {
        self.deeds.contains(deed)
    }

    /// Whether the mailbox was made on the way to one that was asked for.
    fn made(&self, path: &MailboxPath) -> bool {
        self.deeds.iter().any(|deed| match deed {
            Deed::Created(made) => made == path || made.is_below(path),
            _ => false,
        })
    }
}

impl User {
    /// Waits until there is something to tell of that the client wants to hear without asking; while it idles, also
    /// if it has said nothing of what it wants. Nothing is lost if this is dropped.
    pub(crate) async fn stirred(&mut self, idles: bool) {
        async fn next(news: Option<&mut Subscription>) {
            match news {
                Some(news) => {
                    news.next().await;
                }
                None => pending().await,
            }
        }
        let wanted = self.watching.as_ref().map_or(idles, |watching| watching.selected.messages);
        let mut selected = pin!(next(self.view.as_mut().filter(|_| wanted).map(|view| &mut view.news)));
        let mut others = pin!(next(self.watching.as_mut().and_then(|watching| watching.news.as_mut())));
        poll_fn(|cx| match (selected.as_mut().poll(cx), others.as_mut().poll(cx)) {
            (Poll::Pending, Poll::Pending) => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
    }

    /// The client has done this itself.
    pub(crate) fn did(&mut self, deed: Deed) {
        if let Some(watching) = self.watching.as_mut() {
            watching.own.deeds.push(deed);
        }
    }

    /// The client has put messages there itself.
    pub(crate) fn put(&mut self, mailbox: MailboxId, uids: impl IntoIterator<Item = Uid>) {
        let selected = self.view.as_ref().is_some_and(|view| view.mailbox == mailbox);
        if let Some(watching) = self.watching.as_mut() {
            watching.own.places.extend(uids.into_iter().map(|uid| (mailbox, uid)));
            watching.due |= selected;
        }
    }

    /// Whether the client has put this message there itself.
    pub(crate) fn has_put(&self, mailbox: MailboxId, uid: Uid) -> bool {
        self.watching.as_ref().is_some_and(|watching| watching.own.places.contains(&(mailbox, uid)))
    }

    /// Tells what happened elsewhere than in the selected mailbox; true when everything is told.
    pub(crate) async fn tell_watched(&mut self, out: &mut Output) -> Result<bool, Error> {
        let Some(watching) = self.watching.as_mut() else { return Ok(true) };
        if watching.news.is_none() {
            watching.own = Own::default();
            return Ok(true);
        }
        let news = self.mail.news(self.account, watching.read, &watching.own.places, ROWS).await;
        let news = match news {
            Err(mail::Error::CannotCalculateChanges) => None,
            news => Some(news?).filter(|news| news.behind <= MOST_BEHIND && !news.untold),
        };
        let Some(news) = news else {
            self.watching = Some(Box::default());
            Reply::ok("too much has happened: look for yourself, and ask again")
                .code(Code::NotificationOverflow)
                .write_untagged(out);
            return Ok(true);
        };
        self.tell_news(&news, out).await?;
        let Some(watching) = self.watching.as_mut() else { return Ok(true) };
        watching.read = news.to;
        if news.behind == 0 {
            watching.own = Own::default();
        }
        Ok(news.behind == 0)
    }

    async fn tell_news(&self, news: &News, out: &mut Output) -> Result<(), Error> {
        let Some(watching) = self.watching.as_ref() else { return Ok(()) };
        let selected = self.view.as_ref().map(|view| view.mailbox);
        let mut mailboxes: BTreeSet<MailboxId> = news.events.iter().filter_map(subject).collect();
        if watching.wanted_anywhere().any(EventKinds::MESSAGES) {
            mailboxes.extend(news.stirred.keys().copied().filter(|mailbox| Some(*mailbox) != selected));
        }
        if mailboxes.is_empty() && news.events.is_empty() {
            return Ok(());
        }
        let now = self.mail.mailboxes_at(self.account, &mailboxes).await?;
        let mut fresh = BTreeSet::new();
        for event in &news.events {
            let mailbox = subject(event);
            let placed = mailbox.and_then(|mailbox| now.get(&mailbox));
            let told = self.tell_event(event, placed, watching, out).await?;
            fresh.extend(mailbox.filter(|_| told));
        }
        for (mailbox, placed) in now.iter().filter(|(mailbox, _)| Some(**mailbox) != selected) {
            let stirred = news.stirred.get(mailbox).copied().unwrap_or_default();
            let events = watching.wanted(&placed.info.path.to_string(), placed.info.subscribed);
            let items = figures(stirred, fresh.contains(mailbox), events, self.condstore());
            if !items.is_empty() {
                status::write(&placed.info, &items, self, out).await?;
            }
        }
        Ok(())
    }

    /// True if the mailbox's name means another mailbox than before.
    async fn tell_event(
        &self,
        event: &MailboxEvent,
        placed: Option<&Placed>,
        watching: &Watching,
        out: &mut Output,
    ) -> Result<bool, Error> {
        let wants = |path: &MailboxPath, subscribed: bool, kind: EventKinds| {
            watching.wanted(&path.to_string(), subscribed).any(kind)
        };
        match (event, placed) {
            (MailboxEvent::Created(_), Some(Placed { info, .. })) => {
                if watching.own.made(&info.path) {
                    return Ok(false);
                }
                if wants(&info.path, info.subscribed, EventKinds::MAILBOX_NAME) {
                    self.list(placed, &info.path, out);
                }
                self.list_parent(&info.path, watching, out).await?;
                return Ok(true);
            }
            (MailboxEvent::Deleted { path, subscribed }, _) => {
                if !watching.own.has(&Deed::Deleted(path.clone())) {
                    if wants(path, *subscribed, EventKinds::MAILBOX_NAME) {
                        // Another may have been made in its place.
                        let placed = self.mail.place(self.account, path).await?;
                        match &placed {
                            None if *subscribed => {
                                let attributes = [Attribute::NonExistent, Attribute::Subscribed];
                                response::list(&listed(&path.to_string(), &attributes), self.dialect, out);
                            }
                            placed => self.list(placed.as_ref(), path, out),
                        }
                    }
                    self.list_parent(path, watching, out).await?;
                }
            }
            (MailboxEvent::Renamed { mailbox, from }, placed) => {
                let info = placed.map(|placed| &placed.info);
                let wanted = wants(from, info.is_some_and(|info| info.subscribed), EventKinds::MAILBOX_NAME)
                    || info.is_some_and(|i| wants(&i.path, i.subscribed, EventKinds::MAILBOX_NAME));
                if watching.own.has(&Deed::Renamed(*mailbox)) {
                    return Ok(false);
                }
                match placed.filter(|_| wanted) {
                    Some(placed) => {
                        let (name, old) = (placed.info.path.to_string(), from.to_string());
                        response::renamed(&listed(&name, &attributes(placed)), &old, self.dialect, out);
                    }
                    None if wanted => self.list(None, from, out),
                    None => {}
                }
                return Ok(true);
            }
            (MailboxEvent::Subscription(_), Some(Placed { info, .. })) => {
                let own = watching.own.has(&Deed::Subscription(info.path.clone()));
                // Whoever watches what is subscribed to hears that one is not any more.
                if !own && wants(&info.path, true, EventKinds::SUBSCRIPTION_CHANGE) {
                    self.list(placed, &info.path, out);
                }
            }
            (MailboxEvent::Unsubscribed(path), _) => {
                let own = watching.own.has(&Deed::Subscription(path.clone()));
                if !own && wants(path, true, EventKinds::SUBSCRIPTION_CHANGE) {
                    self.list(None, path, out);
                }
            }
            (MailboxEvent::Annotated { mailbox, names }, placed) => {
                let events = match (mailbox, placed) {
                    (Some(_), Some(Placed { info, .. })) => {
                        watching.wanted(&info.path.to_string(), info.subscribed)
                    }
                    (Some(_), None) => EventKinds::default(),
                    (None, _) => watching.wanted_anywhere(),
                };
                let kind = match mailbox {
                    Some(_) => EventKinds::MAILBOX_METADATA_CHANGE,
                    None => EventKinds::SERVER_METADATA_CHANGE,
                };
                if events.any(kind) && !watching.own.has(&Deed::Annotated(*mailbox)) {
                    let name = placed.map(|placed| placed.info.path.to_string()).unwrap_or_default();
                    response::metadata_changed(&name, names, self.dialect, out);
                }
            }
            (MailboxEvent::Created(_) | MailboxEvent::Subscription(_), None) => {}
        }
        Ok(false)
    }

    /// A mailbox that was made or deleted changes what lies above it (RFC 5465 §5.4).
    async fn list_parent(
        &self,
        path: &MailboxPath,
        watching: &Watching,
        out: &mut Output,
    ) -> Result<(), Error> {
        let Some((_, above)) = path.names().split_last() else { return Ok(()) };
        let Ok(above) = MailboxPath::new(above.to_vec()) else { return Ok(()) };
        let placed = self.mail.place(self.account, &above).await?;
        let subscribed = placed.as_ref().is_some_and(|placed| placed.info.subscribed);
        if watching.wanted(&above.to_string(), subscribed).any(EventKinds::MAILBOX_NAME) {
            self.list(placed.as_ref(), &above, out);
        }
        Ok(())
    }

    /// LIST for a mailbox, or for a name that none has.
    fn list(&self, placed: Option<&Placed>, path: &MailboxPath, out: &mut Output) {
        let attributes = placed.map_or_else(|| vec![Attribute::NonExistent], attributes);
        response::list(&listed(&path.to_string(), &attributes), self.dialect, out);
    }
}

/// The mailbox that an event is about, as long as it is there.
const fn subject(event: &MailboxEvent) -> Option<MailboxId> {
    match event {
        MailboxEvent::Created(mailbox)
        | MailboxEvent::Renamed { mailbox, .. }
        | MailboxEvent::Subscription(mailbox) => Some(*mailbox),
        MailboxEvent::Annotated { mailbox, .. } => *mailbox,
        MailboxEvent::Deleted { .. } | MailboxEvent::Unsubscribed(_) => None,
    }
}

const fn listed<'l>(name: &'l str, attributes: &'l [Attribute]) -> Listed<'l> {
    Listed { name, attributes, subscribed_child: false, special_use_child: false }
}

fn attributes(placed: &Placed) -> Vec<Attribute> {
    let children = if placed.has_children { Attribute::HasChildren } else { Attribute::HasNoChildren };
    let subscribed = placed.info.subscribed.then_some(Attribute::Subscribed);
    [Some(children), subscribed, placed.info.role.and_then(special_use)].into_iter().flatten().collect()
}

/// What STATUS tells of a mailbox after something has happened in it (RFC 5465 §§5.1–5.3).
fn figures(stirred: Stirred, fresh: bool, events: EventKinds, condstore: bool) -> Vec<StatusItem> {
    let moved = (stirred.moved || fresh) && events.any(EventKinds::MESSAGES);
    let changed = (stirred.changed || stirred.moved) && events.any(EventKinds::FLAG_CHANGE);
    let mut items = Vec::new();
    if fresh && moved || changed {
        items.push(StatusItem::UidValidity);
    }
    if moved {
        items.extend([StatusItem::UidNext, StatusItem::Messages]);
    }
    if changed {
        items.push(StatusItem::Unseen);
    }
    if condstore && !items.is_empty() {
        items.push(StatusItem::HighestModSeq);
    }
    items
}

/// What STATUS tells of a mailbox that is watched from now on (RFC 5465 §3.1).
pub(crate) fn first_figures(events: EventKinds) -> Vec<StatusItem> {
    let mut items = Vec::new();
    if events.any(EventKinds::MESSAGES) {
        items.extend([StatusItem::Messages, StatusItem::UidNext, StatusItem::UidValidity]);
    }
    if events.any(EventKinds::FLAG_CHANGE) {
        items.extend([StatusItem::Unseen, StatusItem::HighestModSeq]);
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_match() {
        let subtree = Filter::Subtree(vec!["Lists".to_owned()]);
        let matching = |name| subtree.matches(name, false);
        assert!(matching("Lists") && matching("Lists/a/b"));
        assert!(!matching("Listserv") && !matching("Other/Lists") && !matching("List"));
        let names = Filter::Names(vec!["a/b".to_owned()]);
        assert!(names.matches("a/b", false) && !names.matches("a", false) && !names.matches("a/b/c", false));
        assert!(Filter::Subscribed.matches("x", true) && !Filter::Subscribed.matches("x", false));
    }
}
