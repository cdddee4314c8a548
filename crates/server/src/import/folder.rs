//! Folders of other mail stores: their names in our form, and what they are for.

use mail::{MailboxName, MailboxPath, NameError, Role};
use serde::{Deserialize, Serialize};

/// The names from the root down to a folder; none for the inbox itself.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct FolderPath(Vec<String>);

impl FolderPath {
    /// A folder below this one.
    pub(super) fn child(&self, name: String) -> Self {
        let mut names = self.0.clone();
        names.push(name);
        Self(names)
    }

    /// Where the folder's messages go: below `into` if that is given; else a folder with a well-known name goes to
    /// the mailbox that has its role. `roles` says where that is.
    pub(crate) fn destination(
        &self,
        into: Option<&MailboxPath>,
        roles: impl Fn(Role) -> Option<MailboxPath>,
    ) -> Result<MailboxPath, NameError> {
        let (start, rest) = match (into, self.0.split_first()) {
            (Some(into), _) => (Some(into.clone()), &self.0[..]),
            (None, None) => return MailboxPath::parse("INBOX"),
            (None, Some((first, below))) => match role_of(first).and_then(roles) {
                Some(path) => (Some(path), below),
                None => (None, &self.0[..]),
            },
        };
        let mut names = start.map(|path| path.names().to_vec()).unwrap_or_default();
        let room = MailboxPath::MAX_DEPTH.saturating_sub(names.len());
        let (kept, deeper) = rest.split_at(rest.len().min(room));
        for name in kept {
            names.push(acceptable(name)?);
        }
        // What is nested too deeply is put together in the deepest mailbox that there can be.
        if let (Some(last), [_, ..]) = (names.last_mut(), deeper) {
            *last = acceptable(&format!("{last} {}", deeper.join(" ")))?;
        }
        MailboxPath::new(names)
    }
}

impl std::fmt::Display for FolderPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { f.write_str("INBOX") } else { f.write_str(&self.0.join("/")) }
    }
}

/// The name as it is, or the nearest one that a mailbox can have.
fn acceptable(name: &str) -> Result<MailboxName, NameError> {
    let replaced: String =
        name.chars().map(|c| MailboxName::new(c.encode_utf8(&mut [0; 4])).map_or('_', |_| c)).collect();
    let mut shortened = replaced.as_str();
    loop {
        match MailboxName::new(shortened) {
            Err(NameError::Long) => {
                let last = shortened.char_indices().next_back().map_or(0, |(at, _)| at);
                shortened = shortened.get(..last).unwrap_or_default();
            }
            Err(NameError::Empty) => return MailboxName::new("_"),
            done => return done,
        }
    }
}

/// What folders of these names are for, in the mail programs that make them.
fn role_of(name: &str) -> Option<Role> {
    const NAMES: [(Role, &[&str]); 6] = [
        (
            Role::Inbox,
            &[
                "inbox",
                "받은편지함",
                "받은 편지함",
                "受信トレイ",
                "收件箱",
                "posteingang",
                "boîte de réception",
            ],
        ),
        (
            Role::Sent,
            &[
                "sent",
                "sent items",
                "sent messages",
                "sent mail",
                "sent-mail",
                "sentmail",
                "outbox.sent",
                "gesendet",
                "gesendete elemente",
                "gesendete objekte",
                "envoyés",
                "éléments envoyés",
                "enviados",
                "elementos enviados",
                "posta inviata",
                "보낸편지함",
                "보낸 편지함",
                "보낸메일함",
                "보낸 메일함",
                "送信済み",
                "送信済みアイテム",
                "送信済みトレイ",
                "已发送",
                "已发送邮件",
                "寄件備份",
            ],
        ),
        (
            Role::Drafts,
            &[
                "drafts",
                "draft",
                "entwürfe",
                "brouillons",
                "borradores",
                "rascunhos",
                "bozze",
                "임시보관함",
                "임시 보관함",
                "下書き",
                "草稿",
                "草稿箱",
            ],
        ),
        (
            Role::Trash,
            &[
                "trash",
                "deleted items",
                "deleted messages",
                "deleted",
                "bin",
                "wastebasket",
                "papierkorb",
                "gelöschte elemente",
                "corbeille",
                "éléments supprimés",
                "papelera",
                "elementos eliminados",
                "lixeira",
                "cestino",
                "휴지통",
                "지운편지함",
                "지운 편지함",
                "ゴミ箱",
                "ごみ箱",
                "削除済みアイテム",
                "已删除",
                "已删除邮件",
                "垃圾桶",
            ],
        ),
        (
            Role::Junk,
            &[
                "junk",
                "spam",
                "junk e-mail",
                "junk email",
                "junk mail",
                "bulk mail",
                "unerwünscht",
                "junk-e-mail",
                "indésirables",
                "courrier indésirable",
                "correo no deseado",
                "스팸",
                "스팸편지함",
                "스팸메일함",
                "스팸 메일함",
                "정크 메일",
                "迷惑メール",
                "垃圾邮件",
                "垃圾郵件",
            ],
        ),
        (
            Role::Archive,
            &["archive", "archives", "archiv", "archivo", "archivio", "보관함", "アーカイブ", "存档", "封存"],
        ),
    ];
    // Names that were written apart, as some systems do with accents and Hangul, are compared in one form.
    let name = MailboxName::new(name).ok()?.as_str().to_lowercase();
    NAMES.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(role, _)| *role)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(names: &[&str]) -> FolderPath {
        FolderPath(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn to(names: &[&str]) -> String {
        let roles = |role: Role| match role {
            Role::Sent => MailboxPath::parse("Sent").ok(),
            Role::Inbox => MailboxPath::parse("INBOX").ok(),
            _ => None,
        };
        path(names).destination(None, roles).unwrap().to_string()
    }

    fn into(folder: &str, names: &[&str]) -> String {
        path(names).destination(Some(&MailboxPath::parse(folder).unwrap()), |_| None).unwrap().to_string()
    }

    #[test]
    fn well_known_names_go_to_their_role() {
        assert_eq!(to(&[]), "INBOX");
        assert_eq!(to(&["inbox"]), "INBOX");
        assert_eq!(to(&["Sent Items"]), "Sent");
        assert_eq!(to(&["보낸편지함", "2024"]), "Sent/2024");
        assert_eq!(to(&["送信済みアイテム"]), "Sent");
        assert_eq!(to(&["Trash"]), "Trash", "no mailbox has the role");
        assert_eq!(to(&["Work", "Sent"]), "Work/Sent", "only at the root");
        assert_eq!(to(&["INBOX", "Lists"]), "INBOX/Lists");
    }

    #[test]
    fn into_keeps_names() {
        assert_eq!(into("Old/Mail", &[]), "Old/Mail");
        assert_eq!(into("Old", &["Sent Items"]), "Old/Sent Items");
    }

    #[test]
    fn names_that_cannot_be_are_made_to_fit() {
        assert_eq!(to(&["a/b", "c\u{7}d", ""]), "a_b/c_d/_");
        let long = to(&[&"가".repeat(200)]);
        assert_eq!(long.chars().count(), 85);
        let deep = path(&["x"; 40]).destination(None, |_| None).unwrap();
        assert_eq!(deep.names().len(), MailboxPath::MAX_DEPTH);
        assert_eq!(deep.names()[31].as_str(), "x x x x x x x x x");
    }
}
