use super::FetchItem;
use crate::wire::{Cursor, MailboxName, Syntax};

/// `NOTIFY` (RFC 5465).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notify {
    /// `NONE`
    Nothing,
    /// `SET`
    Set {
        /// `STATUS`: tell how the mailboxes are now.
        status: bool,
        /// What to tell of which mailboxes.
        groups: Vec<EventGroup>,
    },
}

/// What to tell of some mailboxes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventGroup {
    /// Which mailboxes.
    pub mailboxes: MailboxFilter,
    /// What.
    pub events: EventKinds,
    /// What to tell of each new message, besides that it is there.
    pub fetch: Vec<FetchItem>,
}

/// Which mailboxes (RFC 5465 §6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxFilter {
    /// `selected`: the selected one, at once.
    Selected,
    /// `selected-delayed`: the selected one, what has left it only when a command allows that.
    SelectedDelayed,
    /// `inboxes`: where mail is delivered to.
    Inboxes,
    /// `personal`: the user's own.
    Personal,
    /// `subscribed`
    Subscribed,
    /// `subtree`: these and all below them.
    Subtree(Vec<MailboxName>),
    /// `mailboxes`: these.
    Mailboxes(Vec<MailboxName>),
}

/// A set of events (RFC 5465 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct EventKinds(u16);

impl EventKinds {
    /// `MessageNew`
    pub const MESSAGE_NEW: Self = Self(1);
    /// `MessageExpunge`
    pub const MESSAGE_EXPUNGE: Self = Self(1 << 1);
    /// `FlagChange`
    pub const FLAG_CHANGE: Self = Self(1 << 2);
    /// `AnnotationChange`
    pub const ANNOTATION_CHANGE: Self = Self(1 << 3);
    /// `MailboxName`
    pub const MAILBOX_NAME: Self = Self(1 << 4);
    /// `SubscriptionChange`
    pub const SUBSCRIPTION_CHANGE: Self = Self(1 << 5);
    /// `MailboxMetadataChange`
    pub const MAILBOX_METADATA_CHANGE: Self = Self(1 << 6);
    /// `ServerMetadataChange`
    pub const SERVER_METADATA_CHANGE: Self = Self(1 << 7);
    /// Events that nobody knows here.
    pub const UNKNOWN: Self = Self(1 << 8);

    const BOTH: Self = Self(Self::MESSAGE_NEW.0 | Self::MESSAGE_EXPUNGE.0);
    /// Those about messages.
    pub const MESSAGES: Self = Self(Self::BOTH.0 | Self::FLAG_CHANGE.0 | Self::ANNOTATION_CHANGE.0);

    /// Whether one of `others` is in the set.
    pub const fn any(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// Whether nothing is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set with those of another.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        Ok(match cursor.atom("the name of an event")?.to_ascii_lowercase().as_str() {
            "messagenew" => Self::MESSAGE_NEW,
            "messageexpunge" => Self::MESSAGE_EXPUNGE,
            "flagchange" => Self::FLAG_CHANGE,
            "annotationchange" => Self::ANNOTATION_CHANGE,
            "mailboxname" => Self::MAILBOX_NAME,
            "subscriptionchange" => Self::SUBSCRIPTION_CHANGE,
            "mailboxmetadatachange" => Self::MAILBOX_METADATA_CHANGE,
            "servermetadatachange" => Self::SERVER_METADATA_CHANGE,
            _ => Self::UNKNOWN,
        })
    }
}

impl Notify {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        if cursor.take_word("NONE") {
            return Ok(Self::Nothing);
        }
        if !cursor.take_word("SET ") {
            return Err(cursor.expected("SET or NONE"));
        }
        let status = cursor.take_word("STATUS ");
        let mut groups = vec![EventGroup::parse(cursor)?];
        while cursor.take(b' ') {
            groups.push(EventGroup::parse(cursor)?);
        }
        if groups.iter().filter(|group| group.mailboxes.is_selected()).count() > 1 {
            return Err(cursor.expected("the selected mailbox once"));
        }
        Ok(Self::Set { status, groups })
    }
}

impl EventGroup {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.demand(b'(', "an opening parenthesis")?;
        let mailboxes = MailboxFilter::parse(cursor)?;
        cursor.space()?;
        let mut group = Self { mailboxes, events: EventKinds::default(), fetch: Vec::new() };
        if !cursor.take_word("NONE") {
            group.events(cursor)?;
        }
        cursor.demand(b')', "a closing parenthesis")?;
        group.check(cursor)?;
        Ok(group)
    }

    /// A list; the RFC's own examples have it without its parentheses.
    fn events(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Syntax> {
        let listed = cursor.take(b'(');
        loop {
            let event = EventKinds::parse(cursor)?;
            self.events = self.events.with(event);
            if event == EventKinds::MESSAGE_NEW && cursor.take_word(" (") {
                self.fetch = vec![FetchItem::parse(cursor)?];
                while cursor.take(b' ') {
                    let item = FetchItem::parse(cursor)?;
                    if !self.fetch.contains(&item) {
                        self.fetch.push(item);
                    }
                }
                cursor.demand(b')', "a closing parenthesis")?;
            }
            if !cursor.take(b' ') {
                break;
            }
        }
        if listed { cursor.demand(b')', "an event or a closing parenthesis") } else { Ok(()) }
    }

    fn check(&self, cursor: &Cursor<'_>) -> Result<(), Syntax> {
        let events = self.events;
        let selected = self.mailboxes.is_selected();
        let both = events.any(EventKinds::MESSAGE_NEW) && events.any(EventKinds::MESSAGE_EXPUNGE);
        if events.any(EventKinds::MESSAGES) && !both {
            return Err(cursor.expected("MessageNew and MessageExpunge with the events of messages"));
        }
        let known = EventKinds::MESSAGES.with(EventKinds::UNKNOWN);
        if selected && events.with(known) != known {
            return Err(cursor.expected("only events of messages for the selected mailbox"));
        }
        if !selected && !self.fetch.is_empty() {
            return Err(cursor.expected("data items only for the selected mailbox"));
        }
        Ok(())
    }
}

impl MailboxFilter {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        let filter = cursor.atom("which mailboxes")?.to_ascii_lowercase();
        Ok(match filter.as_str() {
            "selected" => Self::Selected,
            "selected-delayed" => Self::SelectedDelayed,
            "inboxes" => Self::Inboxes,
            "personal" => Self::Personal,
            "subscribed" => Self::Subscribed,
            "subtree" => Self::Subtree(names(cursor)?),
            "mailboxes" => Self::Mailboxes(names(cursor)?),
            _ => {
                let known = "selected, selected-delayed, inboxes, personal, subscribed, subtree or mailboxes";
                return Err(cursor.expected(known));
            }
        })
    }

    /// Whether it is the selected mailbox.
    pub const fn is_selected(&self) -> bool {
        matches!(self, Self::Selected | Self::SelectedDelayed)
    }
}

/// `one-or-more-mailbox`
fn names(cursor: &mut Cursor<'_>) -> Result<Vec<MailboxName>, Syntax> {
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        cursor.list1(MailboxName::parse)
    } else {
        MailboxName::parse(cursor).map(|name| vec![name])
    }
}
