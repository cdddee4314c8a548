//! Threads as trees, and the two ways in which RFC 5256 §3 grows them. Trees are as deep as a sender wants, so
//! nothing here recurses.

use std::collections::HashMap;

use crate::wire::response::Output;

/// How far up a tree is looked for a loop. A chain of answers that is longer is cut.
const DEPTH: usize = 10_000;

/// What threading looks at in a message.
pub(super) struct Letter {
    /// Sequence number or UID.
    pub(super) name: u32,
    /// When it was sent, in seconds.
    pub(super) sent: i64,
    /// The base subject as it is compared.
    pub(super) subject: Box<str>,
    /// Whether the subject says that it is a reply or was forwarded.
    pub(super) is_reply: bool,
    pub(super) id: Option<Box<[u8]>>,
    /// The ids of its ancestors, the oldest first.
    pub(super) references: Vec<Box<[u8]>>,
}

/// A message, or a place for one that is not there.
#[derive(Default)]
struct Node {
    letter: Option<usize>,
    parent: Option<usize>,
    /// How many nodes have this one as their parent, while the tree grows.
    below: usize,
    children: Vec<usize>,
}

/// All threads.
pub(super) struct Forest {
    letters: Vec<Letter>,
    nodes: Vec<Node>,
    roots: Vec<usize>,
}

impl Forest {
    /// ORDEREDSUBJECT: one level of answers below the oldest message of each subject.
    pub(super) fn by_subject(mut letters: Vec<Letter>) -> Self {
        letters.sort_by(|a, b| (&a.subject, a.sent, a.name).cmp(&(&b.subject, b.sent, b.name)));
        let mut forest = Self { nodes: Vec::new(), roots: Vec::new(), letters };
        for at in 0..forest.letters.len() {
            let node = forest.add(Some(at));
            let same = |root: &usize| forest.subject(*root) == forest.letter(at).map(|l| &*l.subject);
            match forest.roots.last().copied().filter(same) {
                Some(root) => forest.link(root, node),
                None => forest.roots.push(node),
            }
        }
        let mut roots = std::mem::take(&mut forest.roots);
        roots.sort_by_key(|root| forest.when(*root));
        forest.roots = roots;
        forest
    }

    /// REFERENCES, step by step as the RFC numbers them.
    pub(super) fn by_references(letters: Vec<Letter>) -> Self {
        let mut forest = Self { letters, nodes: Vec::new(), roots: Vec::new() };
        forest.link_ancestors();
        for node in 0..forest.nodes.len() {
            match forest.parent(node) {
                Some(parent) => forest.link(parent, node),
                None => forest.roots.push(node),
            }
        }
        forest.prune();
        forest.sort_siblings();
        forest.gather_subjects();
        forest.sort_siblings();
        forest
    }

    /// ` (1 (2)(3 4))`, nothing if there are no threads.
    pub(super) fn write(&self, out: &mut Output) {
        enum Next {
            Thread(usize),
            Close,
        }
        if !self.roots.is_empty() {
            out.put(b" ");
        }
        let mut stack: Vec<Next> = self.roots.iter().rev().map(|root| Next::Thread(*root)).collect();
        while let Some(next) = stack.pop() {
            let Next::Thread(root) = next else {
                out.put(b")");
                continue;
            };
            out.put(b"(");
            let (mut node, mut space) = (root, "");
            loop {
                if let Some(letter) = self.node(node).letter.and_then(|at| self.letter(at)) {
                    out.print(format_args!("{space}{}", letter.name));
                    space = " ";
                }
                match self.node(node).children.as_slice() {
                    [] => {
                        out.put(b")");
                        break;
                    }
                    [only] => node = *only,
                    children => {
                        out.put(space.as_bytes());
                        stack.push(Next::Close);
                        stack.extend(children.iter().rev().map(|child| Next::Thread(*child)));
                        break;
                    }
                }
            }
        }
    }

    fn add(&mut self, letter: Option<usize>) -> usize {
        self.nodes.push(Node { letter, ..Node::default() });
        self.nodes.len() - 1
    }

    fn node(&self, node: usize) -> &Node {
        static NOBODY: Node = Node { letter: None, parent: None, below: 0, children: Vec::new() };
        self.nodes.get(node).unwrap_or(&NOBODY)
    }

    fn letter(&self, at: usize) -> Option<&Letter> {
        self.letters.get(at)
    }

    fn parent(&self, node: usize) -> Option<usize> {
        self.node(node).parent
    }

    fn link(&mut self, parent: usize, child: usize) {
        if let Some(node) = self.nodes.get_mut(child) {
            node.parent = Some(parent);
        }
        if let Some(node) = self.nodes.get_mut(parent) {
            node.children.push(child);
        }
    }

    fn take_children(&mut self, node: usize) -> Vec<usize> {
        self.nodes.get_mut(node).map(|node| std::mem::take(&mut node.children)).unwrap_or_default()
    }

    fn set_parent(&mut self, child: usize, parent: Option<usize>) {
        let before = self.nodes.get_mut(child).and_then(|node| std::mem::replace(&mut node.parent, parent));
        if let Some(node) = before.and_then(|before| self.nodes.get_mut(before)) {
            node.below -= 1;
        }
        if let Some(node) = parent.and_then(|parent| self.nodes.get_mut(parent)) {
            node.below += 1;
        }
    }

    /// Whether a child may hang below a parent without closing a loop.
    fn may_link(&self, parent: usize, child: usize) -> bool {
        if parent == child {
            return false;
        }
        if self.node(child).below == 0 {
            return true;
        }
        let mut above = Some(parent);
        for _ in 0..DEPTH {
            match above {
                None => return true,
                Some(node) if node == child => return false,
                Some(node) => above = self.parent(node),
            }
        }
        false
    }

    /// Step 1: what says whom it answers hangs below it.
    fn link_ancestors(&mut self) {
        let mut by_id: HashMap<Box<[u8]>, usize> = HashMap::new();
        for at in 0..self.letters.len() {
            let letter = self.letters.get_mut(at);
            let taken = letter.map(|l| (l.id.clone(), std::mem::take(&mut l.references)));
            let (id, references) = taken.unwrap_or_default();
            let mut above = None;
            for reference in references {
                let node = match by_id.get(&reference) {
                    Some(node) => *node,
                    None => {
                        let node = self.add(None);
                        by_id.insert(reference, node);
                        node
                    }
                };
                if let Some(above) = above
                    && self.parent(node).is_none()
                    && self.may_link(above, node)
                {
                    self.set_parent(node, Some(above));
                }
                above = Some(node);
            }
            let node = self.place(at, id, &mut by_id);
            if let Some(above) = above.filter(|above| self.may_link(*above, node)) {
                self.set_parent(node, Some(above));
            }
        }
    }

    /// The node of a message: the one that waits for its id, or one of its own where that is taken or missing.
    fn place(&mut self, at: usize, id: Option<Box<[u8]>>, by_id: &mut HashMap<Box<[u8]>, usize>) -> usize {
        let Some(id) = id else { return self.add(Some(at)) };
        match by_id.get(&id).copied() {
            Some(node) if self.node(node).letter.is_none() => {
                if let Some(node) = self.nodes.get_mut(node) {
                    node.letter = Some(at);
                }
                node
            }
            Some(_) => self.add(Some(at)),
            None => {
                let node = self.add(Some(at));
                by_id.insert(id, node);
                node
            }
        }
    }

    /// Step 3: places without a message go; their children move up, but not to the root unless there is one only.
    fn prune(&mut self) {
        for node in self.bottom_up() {
            let mut kept = Vec::new();
            for child in self.take_children(node) {
                if self.is_dummy(child) {
                    kept.extend(self.take_children(child));
                } else {
                    kept.push(child);
                }
            }
            for child in kept {
                self.link(node, child);
            }
        }
        for root in std::mem::take(&mut self.roots) {
            match self.node(root).children.as_slice() {
                [] if self.is_dummy(root) => {}
                [only] if self.is_dummy(root) => {
                    let only = *only;
                    self.roots.push(only);
                }
                _ => self.roots.push(root),
            }
        }
        for root in self.roots.clone() {
            if let Some(root) = self.nodes.get_mut(root) {
                root.parent = None;
            }
        }
    }

    /// All nodes, each after its children.
    fn bottom_up(&self) -> Vec<usize> {
        let mut order = self.roots.clone();
        let mut at = 0;
        while let Some(node) = order.get(at).copied() {
            order.extend(&self.node(node).children);
            at += 1;
        }
        order.reverse();
        order
    }

    /// Steps 4 and 6: siblings by the time at which they were sent; the root's children too.
    fn sort_siblings(&mut self) {
        for node in self.bottom_up() {
            let mut children = self.take_children(node);
            children.sort_by_key(|child| self.when(*child));
            if let Some(node) = self.nodes.get_mut(node) {
                node.children = children;
            }
        }
        let mut roots = std::mem::take(&mut self.roots);
        roots.sort_by_key(|root| self.when(*root));
        self.roots = roots;
    }

    /// The message of a node, or of its first child where it has none.
    fn first_letter(&self, node: usize) -> Option<&Letter> {
        let own = self.node(node).letter;
        let child = || self.node(node).children.first().and_then(|child| self.node(*child).letter);
        own.or_else(child).and_then(|at| self.letter(at))
    }

    fn when(&self, node: usize) -> (i64, u32) {
        self.first_letter(node).map(|letter| (letter.sent, letter.name)).unwrap_or_default()
    }

    fn subject(&self, node: usize) -> Option<&str> {
        self.first_letter(node).map(|letter| &*letter.subject)
    }

    fn is_dummy(&self, node: usize) -> bool {
        self.node(node).letter.is_none()
    }

    fn is_reply(&self, node: usize) -> bool {
        self.first_letter(node).is_some_and(|letter| letter.is_reply)
    }

    /// Step 5: threads of the same subject become one.
    fn gather_subjects(&mut self) {
        let mut table: HashMap<Box<str>, usize> = HashMap::new();
        for root in self.roots.clone() {
            let Some(subject) = self.subject(root).filter(|subject| !subject.is_empty()) else { continue };
            let better = |old: usize| {
                (self.is_dummy(root) && !self.is_dummy(old)) || (self.is_reply(old) && !self.is_reply(root))
            };
            if table.get(subject).is_none_or(|old| better(*old)) {
                table.insert(subject.into(), root);
            }
        }
        let mut roots = Vec::with_capacity(self.roots.len());
        for root in std::mem::take(&mut self.roots) {
            let subject: Option<Box<str>> = self.subject(root).map(Into::into);
            let first = subject.as_ref().and_then(|subject| table.get(subject).copied());
            match (first, subject) {
                (Some(first), Some(subject)) if first != root => {
                    if let Some(dummy) = self.merge(first, root) {
                        table.insert(subject, dummy);
                        roots.push(dummy);
                    }
                }
                _ => roots.push(root),
            }
        }
        roots.retain(|root| self.parent(*root).is_none());
        self.roots = roots;
    }

    /// Step 5C: `root` joins the thread that stands for its subject; a new place above both is returned.
    fn merge(&mut self, first: usize, root: usize) -> Option<usize> {
        match (self.is_dummy(first), self.is_dummy(root)) {
            (true, true) => {
                for child in self.take_children(root) {
                    self.link(first, child);
                }
                None
            }
            (true, false) => {
                self.link(first, root);
                None
            }
            (false, _) if self.is_reply(root) && !self.is_reply(first) => {
                self.link(first, root);
                None
            }
            _ => {
                let dummy = self.add(None);
                self.link(dummy, first);
                self.link(dummy, root);
                Some(dummy)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(name: u32, subject: &str, references: &[&str]) -> Letter {
        Letter {
            name,
            sent: i64::from(name),
            subject: subject.trim_start_matches("Re: ").into(),
            is_reply: subject.starts_with("Re: "),
            id: Some(name.to_string().into_bytes().into()),
            references: references.iter().map(|id| id.as_bytes().into()).collect(),
        }
    }

    fn written(forest: &Forest) -> String {
        let mut out = Output::new();
        forest.write(&mut out);
        String::from_utf8(out.take().concat()).unwrap()
    }

    fn references(letters: Vec<Letter>) -> String {
        written(&Forest::by_references(letters))
    }

    #[test]
    fn chains_forks_and_what_is_missing() {
        assert_eq!(references(vec![]), "");
        let chain = vec![letter(1, "a", &[]), letter(2, "Re: a", &["1"]), letter(3, "Re: a", &["1", "2"])];
        assert_eq!(references(chain), " (1 2 3)");
        let fork = vec![letter(1, "a", &[]), letter(2, "b", &["1"]), letter(3, "c", &["1"])];
        assert_eq!(references(fork), " (1 (2)(3))");
        // The parent is not in the mailbox: siblings without it.
        let orphans = vec![letter(2, "b", &["x"]), letter(3, "c", &["x"]), letter(4, "d", &["x", "3"])];
        assert_eq!(references(orphans), " ((2)(3 4))");
        let only = vec![letter(2, "b", &["x", "y"])];
        assert_eq!(references(only), " (2)");
        // In any order, the answer before what it answers.
        let backwards = vec![letter(3, "a", &["1", "2"]), letter(2, "a", &["1"]), letter(1, "a", &[])];
        assert_eq!(references(backwards), " (1 2 3)");
    }

    #[test]
    fn the_subject_joins_what_nothing_else_does() {
        let reply = vec![letter(1, "a", &[]), letter(2, "Re: a", &[]), letter(3, "other", &[])];
        assert_eq!(references(reply), " (1 2)(3)");
        let equals = vec![letter(1, "a", &[]), letter(2, "a", &[])];
        assert_eq!(references(equals), " ((1)(2))");
        let three = vec![letter(1, "a", &[]), letter(2, "a", &[]), letter(3, "Re: a", &[])];
        assert_eq!(references(three), " ((1)(2)(3))");
        let late = vec![letter(1, "Re: a", &[]), letter(2, "a", &[])];
        assert_eq!(references(late), " (2 1)");
        let nameless = vec![letter(1, "", &[]), letter(2, "", &[])];
        assert_eq!(references(nameless), " (1)(2)");
    }

    #[test]
    fn loops_and_doubles_do_no_harm() {
        let circle = vec![letter(1, "a", &["2"]), letter(2, "b", &["1"])];
        assert_eq!(references(circle).matches(|c: char| c.is_ascii_digit()).count(), 2);
        let itself = vec![letter(1, "a", &["1"])];
        assert_eq!(references(itself), " (1)");
        let mut double = letter(2, "b", &[]);
        double.id = Some(b"1".as_slice().into());
        assert_eq!(references(vec![letter(1, "a", &[]), double]), " (1)(2)");
    }

    /// Ten thousand answers to each other, in both orders.
    #[test]
    fn depth_is_no_danger() {
        let count = 10_000_u32;
        let chain = || (1..=count).map(|n| letter(n, "a", &[&(n - 1).to_string()]));
        for letters in [chain().collect::<Vec<_>>(), chain().rev().collect()] {
            let text = references(letters);
            assert!(text.starts_with(" (1 2 3 ") || text.starts_with(" ("), "{}", text.len());
            let words = text.split([' ', '(', ')']).filter(|w| !w.is_empty());
            assert_eq!(words.count(), count as usize);
        }
    }

    #[test]
    fn subjects_in_order() {
        let letters = vec![
            letter(1, "b", &[]),
            letter(2, "a", &[]),
            letter(3, "Re: b", &[]),
            letter(4, "Re: a", &[]),
            letter(5, "Re: a", &[]),
        ];
        assert_eq!(written(&Forest::by_subject(letters)), " (1 3)(2 (4)(5))");
    }
}
