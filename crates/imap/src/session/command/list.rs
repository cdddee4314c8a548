//! LIST (RFC 9051 §6.3.9).

use mail::{MailboxInfo, Role};

use super::super::error::Error;
use super::super::user::User;
use super::{Outcome, status};
use crate::wire::command::{List, ListReturn, ListSelect};
use crate::wire::response::{self, Attribute, Listed, Output};
use crate::wire::{Dialect, MailboxName};

pub(super) use pattern::Pattern;

mod pattern;

/// How many patterns one LIST may have.
const PATTERNS: usize = 50;

pub(super) async fn run(command: List, user: &mut User, out: &mut Output) -> Result<Outcome, Error> {
    let List { select, reference, patterns, returns, extended } = command;
    if !extended && patterns.first().is_some_and(|p| p.as_bytes().is_empty()) {
        // An empty pattern asks for the separator and the root (RFC 9051 §6.3.9).
        let root = Listed {
            name: "",
            attributes: &[Attribute::NoSelect],
            subscribed_child: false,
            special_use_child: false,
        };
        response::list(&root, user.dialect, out);
        return Ok(Outcome::ok("listed"));
    }
    if patterns.len() > PATTERNS {
        return Err(Error::Limit("LIST takes at most 50 patterns"));
    }
    status::notice(returns.status.as_deref().unwrap_or_default(), user, out);
    let patterns: Vec<Pattern> =
        patterns.iter().map(|p| compile(&reference, p, user.dialect)).collect::<Result<_, _>>()?;
    let mut mailboxes = user.mail.mailboxes(user.account).await?;
    mailboxes.sort_by_cached_key(order);
    let tree = Tree::new(&mailboxes, select);
    for (i, mailbox) in mailboxes.iter().enumerate() {
        if patterns.iter().any(|p| p.matches(&tree.path(i))) {
            tell(mailbox, i, &tree, select, &returns, user, out).await?;
        }
    }
    if select.subscribed && !select.special_use {
        tell_lost(&patterns, user, out).await?;
    }
    Ok(Outcome::ok("listed"))
}

/// Subscribed names that no mailbox has any more (RFC 9051 §6.3.9.7).
async fn tell_lost(patterns: &[Pattern], user: &User, out: &mut Output) -> Result<(), Error> {
    for path in user.mail.lost_subscriptions(user.account).await? {
        let path = path.to_string();
        if patterns.iter().any(|p| p.matches(&path)) {
            let attributes = &[Attribute::NonExistent, Attribute::Subscribed];
            let listed =
                Listed { name: &path, attributes, subscribed_child: false, special_use_child: false };
            response::list(&listed, user.dialect, out);
        }
    }
    Ok(())
}

/// Reference and pattern put together, in Unicode.
pub(super) fn compile(
    reference: &MailboxName,
    pattern: &MailboxName,
    dialect: Dialect,
) -> Result<Pattern, Error> {
    let whole = [reference.as_bytes(), pattern.as_bytes()].concat();
    let text = MailboxName::new(whole).decode(dialect)?;
    Pattern::new(&text).ok_or(Error::Limit("the pattern is too long"))
}

async fn tell(
    mailbox: &MailboxInfo,
    index: usize,
    tree: &Tree,
    select: ListSelect,
    returns: &ListReturn,
    user: &User,
    out: &mut Output,
) -> Result<(), Error> {
    let child = select.recursive_match && tree.below(index);
    let selected = tree.selected(index);
    if !selected && !child {
        return Ok(());
    }
    let mut attributes =
        vec![if tree.has_children(index) { Attribute::HasChildren } else { Attribute::HasNoChildren }];
    if mailbox.subscribed && (returns.subscribed || select.subscribed) {
        attributes.push(Attribute::Subscribed);
    }
    attributes.extend(mailbox.role.and_then(special_use));
    let listed = Listed {
        name: &tree.path(index),
        attributes: &attributes,
        subscribed_child: child && select.subscribed,
        special_use_child: child && select.special_use,
    };
    response::list(&listed, user.dialect, out);
    if let Some(items) = returns.status.as_ref().filter(|_| selected) {
        status::write(mailbox, items, user, out).await?;
    }
    Ok(())
}

/// The order in which people look for mailboxes: the INBOX, then by name, each with those below it.
pub(super) fn order(mailbox: &MailboxInfo) -> (bool, String) {
    let path = mailbox.path.to_string();
    let is_inbox = path.split('/').next() == Some("INBOX");
    // What sorts before any other character ends a name: "a/b" comes before "a b".
    (!is_inbox, path.to_lowercase().replace('/', "\u{1}"))
}

/// The mailboxes with what is known of those below each.
struct Tree {
    paths: Vec<String>,
    selected: Vec<bool>,
    /// A mailbox below matches the selection.
    below: Vec<bool>,
    children: Vec<bool>,
}

impl Tree {
    /// `mailboxes` names parents before children.
    fn new(mailboxes: &[MailboxInfo], select: ListSelect) -> Self {
        let is = |m: &MailboxInfo| {
            (!select.subscribed || m.subscribed)
                && (!select.special_use || m.role.and_then(special_use).is_some())
        };
        let index: std::collections::HashMap<_, _> =
            mailboxes.iter().enumerate().map(|(i, m)| (m.id, i)).collect();
        let mut tree = Self {
            paths: mailboxes.iter().map(|m| m.path.to_string()).collect(),
            selected: mailboxes.iter().map(is).collect(),
            below: vec![false; mailboxes.len()],
            children: vec![false; mailboxes.len()],
        };
        for (i, mailbox) in mailboxes.iter().enumerate().rev() {
            let Some(parent) = mailbox.parent.and_then(|p| index.get(&p)).copied() else { continue };
            let matters = tree.selected(i) || tree.below(i);
            if let Some(below) = tree.below.get_mut(parent) {
                *below |= matters;
            }
            if let Some(children) = tree.children.get_mut(parent) {
                *children = true;
            }
        }
        tree
    }

    fn path(&self, index: usize) -> std::borrow::Cow<'_, str> {
        self.paths.get(index).map(String::as_str).unwrap_or_default().into()
    }

    fn selected(&self, index: usize) -> bool {
        self.selected.get(index).copied().unwrap_or_default()
    }

    fn below(&self, index: usize) -> bool {
        self.below.get(index).copied().unwrap_or_default()
    }

    fn has_children(&self, index: usize) -> bool {
        self.children.get(index).copied().unwrap_or_default()
    }
}

/// What RFC 6154 calls a role. INBOX has none there: its name says it all.
pub(in super::super) const fn special_use(role: Role) -> Option<Attribute> {
    Some(match role {
        Role::Archive => Attribute::Archive,
        Role::Drafts => Attribute::Drafts,
        Role::Flagged => Attribute::Flagged,
        Role::Important => Attribute::Important,
        Role::Junk => Attribute::Junk,
        Role::Sent => Attribute::Sent,
        Role::Trash => Attribute::Trash,
        Role::All => Attribute::All,
        _ => return None,
    })
}
