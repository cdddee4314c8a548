//! ID (RFC 2971): who is at either end.

use super::super::Session;
use super::Outcome;
use crate::wire::command::Id;

impl Session {
    pub(super) fn id(&mut self, command: &Id) -> Outcome {
        let account = self.user.as_ref().map(|user| user.account.0);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let client: Vec<(String, Option<String>)> =
            command.fields.iter().map(|(name, value)| (text(name), value.as_deref().map(text))).collect();
        tracing::debug!(peer = %self.peer.address, account, ?client, "imap client");
        self.out.put(b"* ID (\"name\" \"Magpie\")\r\n");
        Outcome::ok("nice to meet you")
    }
}
