//! EHLO (RFC 5321 §4.1.1.1), and what it has in common with HELO and LHLO.

use crate::config::{Config, Protocol};
use crate::core::Core;
use crate::extension::{deliver_by, future_release, priority, require_tls};
use crate::hello::{Greeting, Hello};
use crate::phase::{Phase, Rest};
use crate::reply::Reply;

pub(crate) fn run(arguments: &str, rest: Rest, core: &mut Core) -> Phase {
    match core.config.protocol {
        Protocol::Smtp | Protocol::Submission => greet(Greeting::Ehlo, arguments, rest, core),
        Protocol::Lmtp => refuse_in_lmtp(rest, core),
    }
}

/// Takes the client's name, resets the session as RSET does (RFC 5321 §4.1.4), and says what is on offer.
pub(super) fn greet(greeting: Greeting, name: &str, rest: Rest, core: &mut Core) -> Phase {
    let Some(hello) = Hello::new(greeting, name) else {
        let text = "After EHLO, HELO or LHLO comes this client's host name or [address], and nothing else";
        return core.fail(&Reply::new(501, (5, 4), text), rest);
    };
    let mut extensions =
        if hello.extended() { extensions(&core.config, core.peer.tls.is_some()) } else { Vec::new() };
    if hello.extended() && core.config.protocol == Protocol::Submission {
        extensions.extend(of_submission(core));
    }
    let mut text = format!("{} greets {hello}", core.config.hostname);
    for extension in extensions {
        text.push('\n');
        text.push_str(&extension);
    }
    core.hello = Some(hello);
    let rest = core.reset(rest.into_message());
    core.done(&Reply::plain(250, text), rest)
}

/// HELO and EHLO in LMTP (RFC 2033 §4.1).
pub(super) fn refuse_in_lmtp(rest: Rest, core: &mut Core) -> Phase {
    core.fail(&Reply::new(500, (5, 1), "This is LMTP; begin with LHLO"), rest)
}

/// What is on offer to those who submit. Who has logged in cannot do so again (RFC 4954 §4).
fn of_submission(core: &Core) -> Vec<String> {
    let mut list = Vec::new();
    let mechanisms: Vec<&str> = core.mechanisms().collect();
    if core.submitter.is_none() && !mechanisms.is_empty() {
        list.push(format!("AUTH {}", mechanisms.join(" ")));
    }
    let offered = &core.config.extensions;
    list.extend(offered.future_release.map(|longest| future_release::announce(longest, core.now)));
    list.extend(offered.priority.then(|| priority::KEYWORD.to_owned()));
    list.extend(offered.deliver_by.map(deliver_by::announce));
    list.extend((offered.require_tls && core.peer.tls.is_some()).then(|| require_tls::KEYWORD.to_owned()));
    list
}

/// What is on offer, in the words of EHLO's reply. Nothing stands here that is not whole.
fn extensions(config: &Config, encrypted: bool) -> Vec<String> {
    let mut list =
        vec!["PIPELINING".to_owned(), format!("SIZE {}", config.limits.message), "8BITMIME".to_owned()];
    let mut offer = |on: bool, keyword: &str| {
        if on {
            list.push(keyword.to_owned());
        }
    };
    offer(config.starttls && !encrypted, "STARTTLS");
    offer(config.smtputf8, "SMTPUTF8");
    offer(true, "ENHANCEDSTATUSCODES");
    offer(true, "CHUNKING");
    offer(config.binarymime, "BINARYMIME");
    offer(config.dsn, "DSN");
    // RFC 9422
    list.push(format!("LIMITS RCPTMAX={}", config.limits.recipients));
    list
}
