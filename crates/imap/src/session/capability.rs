//! What this server can do, in the words of CAPABILITY.

use directory::sasl::Mechanism;

use super::config::Config;

/// IMAP4rev2 contains the first of these; rev1 clients look for the names (RFC 9051 appendix E).
const EXTENSIONS: &str = "ENABLE IDLE NAMESPACE UNSELECT UIDPLUS ESEARCH SEARCHRES LIST-EXTENDED LIST-STATUS MOVE \
                          SPECIAL-USE CHILDREN STATUS=SIZE ID CREATE-SPECIAL-USE MULTIAPPEND INPROGRESS \
                          CONDSTORE QRESYNC OBJECTID WITHIN SAVEDATE PREVIEW PARTIAL SORT SORT=DISPLAY ESORT \
                          THREAD=ORDEREDSUBJECT THREAD=REFERENCES BINARY REPLACE UTF8=ACCEPT NOTIFY";

/// Before login. `mechanisms` are those that may be used on this connection; none: nobody logs in before TLS.
pub(crate) fn before_login(config: &Config, tls: bool, mechanisms: &[Mechanism]) -> String {
    let mut words = "IMAP4rev1 IMAP4rev2 SASL-IR LITERAL+ LITERAL-".to_owned();
    if config.starttls && !tls {
        words.push_str(" STARTTLS");
    }
    if mechanisms.is_empty() {
        words.push_str(" LOGINDISABLED");
    }
    for mechanism in mechanisms {
        words.push_str(" AUTH=");
        words.push_str(mechanism.name());
    }
    words.push(' ');
    words.push_str(EXTENSIONS);
    words
}

/// After login. `append_limit` is the largest message that may be appended, in bytes; a connection is compressed once.
pub(crate) fn after_login(append_limit: u64, compressed: bool) -> String {
    let compress = if compressed { "" } else { " COMPRESS=DEFLATE" };
    format!(
        "IMAP4rev1 IMAP4rev2 LITERAL+ LITERAL- {EXTENSIONS} UNAUTHENTICATE{compress} QUOTA \
         QUOTA=RES-STORAGE QUOTA=RES-MESSAGE METADATA APPENDLIMIT={append_limit}"
    )
}
