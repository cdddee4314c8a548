//! When nobody may answer by itself (RFC 3834 §2, RFC 5230 §4.6): what was written by a machine, or to many, is not answered
//! by one. Whoever gets this wrong makes loops, or writes to whole lists.

use types::Header;

use crate::ingest::fields::unfold;

/// Local parts that belong to programs, in lower case.
const PROGRAMS: [&str; 9] = [
    "mailer-daemon",
    "listserv",
    "majordomo",
    "noreply",
    "no-reply",
    "donotreply",
    "do-not-reply",
    "bounce",
    "bounces",
];

/// Beginnings and ends of such.
const BEGINNINGS: [&str; 4] = ["owner-", "bounce-", "bounces-", "bounce+"];
const ENDS: [&str; 4] = ["-request", "-owner", "-bounces", "-bounce"];

/// Whether a sender, as the envelope names it, may be answered at all.
pub(super) fn is_somebody(sender: &str) -> bool {
    let Some((local, _)) = sender.rsplit_once('@') else { return false };
    let local = local.to_lowercase();
    // What comes behind a separator names a list or a message, not somebody else.
    let name = local.split(['+', '=']).next().unwrap_or_default();
    !name.is_empty()
        && !PROGRAMS.contains(&name)
        && !BEGINNINGS.iter().any(|beginning| local.starts_with(beginning))
        && !ENDS.iter().any(|end| local.ends_with(end) || name.ends_with(end))
}

/// Whether a message, by its header, may be answered by itself.
pub(super) fn may_be_answered(message: &[u8]) -> bool {
    let header = Header::parse(message);
    !header.fields().iter().any(|field| {
        let name = String::from_utf8_lossy(field.name).to_ascii_lowercase();
        let value = unfold(field.value());
        let value = String::from_utf8_lossy(&value).to_ascii_lowercase();
        match name.as_str() {
            // RFC 3834 §5: anything but `no` was not written by a person.
            "auto-submitted" => word(&value) != "no",
            "precedence" => matches!(word(&value), "bulk" | "junk" | "list"),
            // As Exchange asks for it.
            "x-auto-response-suppress" => {
                value.split(',').any(|what| matches!(what.trim(), "all" | "oof" | "autoreply"))
            }
            "content-type" => word(&value) == "multipart/report",
            // RFC 2369, RFC 2919
            name => name.starts_with("list-"),
        }
    })
}

/// The first word of a value, before parameters and comments.
fn word(value: &str) -> &str {
    value.split([';', '(', ' ', '\t']).find(|word| !word.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_that_are_somebody() {
        for yes in [
            "ann@x.test",
            "ann+shop@x.test",
            "\"a b\"@x.test",
            "owner@x.test",
            "requests@x.test",
            "한@x.test",
        ] {
            assert!(is_somebody(yes), "{yes}");
        }
        for no in [
            "",
            "postmaster",
            "@x.test",
            "MAILER-DAEMON@x.test",
            "owner-list@x.test",
            "list-request@x.test",
            "list-bounces@x.test",
            "list-bounces+ann=x.test@y.test",
            "bounces+5@x.test",
            "No-Reply@x.test",
        ] {
            assert!(!is_somebody(no), "{no}");
        }
    }

    #[test]
    fn fault_18_what_machines_and_lists_write_is_not_answered() {
        for yes in [
            "Subject: hi\r\n\r\nList-Id: in the body\r\n",
            "Auto-Submitted: no\r\n\r\n",
            "Auto-Submitted:\r\n (a person) no; x=y\r\n\r\n",
            "Precedence: first-class\r\n\r\n",
            "Content-Type: multipart/mixed; boundary=x\r\n\r\n",
            "X-Auto-Response-Suppress: DR, RN\r\n\r\n",
            "Listen: to me\r\n\r\n",
            "",
        ] {
            let commented = yes.contains("(a person)");
            // A comment may come first; what is not understood is not answered.
            assert_eq!(may_be_answered(yes.as_bytes()), !commented, "{yes}");
        }
        for no in [
            "Auto-Submitted: auto-replied\r\n\r\n",
            "auto-submitted: Auto-Generated (vacation)\r\n\r\n",
            "Auto-Submitted:\r\n\r\n",
            "Precedence: BULK\r\n\r\n",
            "Subject: a\r\nprecedence:\r\n\tlist\r\n\r\n",
            "List-Id: <a.b>\r\n\r\n",
            "List-Unsubscribe: <mailto:x@y>\r\n\r\n",
            "X-Auto-Response-Suppress: DR, OOF\r\n\r\n",
            "X-Auto-Response-Suppress: All\r\n\r\n",
            "Content-Type: Multipart/Report; report-type=delivery-status\r\n\r\n",
        ] {
            assert!(!may_be_answered(no.as_bytes()), "{no}");
        }
    }
}
