//! What is granted, in the words of OAuth. The scopes are those of the *OAuth Profile for Open Public Clients*
//! (draft-ietf-mailmaint-oauth-public), which mean the same on every server: mail is one of them, whatever protocol it is
//! read and sent with.

use crate::password::{Protocol, Scopes};

/// Everything that the owner may do with mail: IMAP, POP3, submission, ManageSieve and JMAP.
pub const SCOPE_MAIL: &str = "urn:ietf:params:oauth:scope:mail";
/// Asks for a refresh token. There always is one; so this is taken, and means nothing.
pub const OFFLINE_ACCESS: &str = "offline_access";

const MAIL: Scopes = Scopes::MAIL_APP.with(Protocol::Jmap);

/// What a client asks for: known words count, and others are passed over (RFC 6749 §3.3). Nothing at all means mail; words
/// of which none grants anything are `None`.
pub fn scopes_named(text: Option<&str>) -> Option<Scopes> {
    let text = text.unwrap_or_default();
    let mut words = text.split(' ').filter(|word| !word.is_empty()).peekable();
    if words.peek().is_none() || words.any(|word| word == SCOPE_MAIL) {
        return Some(MAIL);
    }
    None
}

/// The words for what is granted.
pub fn scope_text(scopes: Scopes) -> &'static str {
    if MAIL.iter().all(|protocol| scopes.contains(protocol)) { SCOPE_MAIL } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_count() {
        for text in
            [None, Some(""), Some(" "), Some(SCOPE_MAIL), Some("openid urn:ietf:params:oauth:scope:mail x")]
        {
            assert_eq!(scopes_named(text), Some(MAIL), "{text:?}");
        }
        for text in ["openid", "offline_access", "URN:IETF:PARAMS:OAUTH:SCOPE:MAIL", "mail"] {
            assert_eq!(scopes_named(Some(text)), None, "{text:?}");
        }
        assert_eq!(scope_text(MAIL), SCOPE_MAIL);
    }
}
