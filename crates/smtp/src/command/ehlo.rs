//! EHLO (RFC 5321 §4.1.1.1), and what it has in common with HELO and LHLO.

use crate::config::{Config, Protocol};
use crate::core::Core;
use crate::hello::{Greeting, Hello};
use crate::phase::{Phase, Rest};
use crate::reply::Reply;

pub(crate) fn run(arguments: &str, rest: Rest, core: &mut Core) -> Phase {
    match core.config.protocol {
        Protocol::Smtp => greet(Greeting::Ehlo, arguments, rest, core),
        Protocol::Lmtp => refuse_in_lmtp(rest, core),
    }
}

/// Takes the client's name, resets the session as RSET does (RFC 5321 §4.1.4), and says what is on offer.
pub(super) fn greet(greeting: Greeting, name: &str, rest: Rest, core: &mut Core) -> Phase {
    let Some(hello) = Hello::new(greeting, name) else {
        let text = "After EHLO, HELO or LHLO comes this client's host name or [address], and nothing else";
        return core.fail(&Reply::new(501, (5, 4), text), rest);
    };
    let extensions =
        if hello.extended() { extensions(&core.config, core.peer.tls.is_some()) } else { Vec::new() };
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
