//! The sections of the file, one function for each.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use checks::{Enforcement, WhenUnavailable};
use directory::{Address, Cost, DomainName, LocalPart, Rate, ScramIterations};
use dns::{DnsServers, Name};
use pop3::InternationalMail;

use super::listener::choice;
use super::section::Section;
use super::tree::Node;
use super::value::{Size, Time, Value};
use super::{
    CertificateSettings, CheckSettings, ConnectionSettings, HttpSettings, JmapSettings, LogSettings,
    OAuthSettings, PushSettings, ShutdownSettings, SmtpSettings, SubmissionSettings, TlsSettings,
};
use crate::budget::BudgetLimits;
use crate::inbound::InboundOptions;
use crate::log::LogFormat;
use crate::node::NodeOptions;
use crate::public::{StsMode, StsPolicy};
use crate::reporting::ReportOptions;

const DAY: Duration = Duration::from_hours(24);
const SECOND: Duration = Duration::from_secs(1);

pub(super) fn log(section: &mut Section<'_>, log: &mut LogSettings) {
    if let Some((line, filter)) = section.located::<String>("filter") {
        match crate::log::filter(&filter) {
            Ok(_) => log.filter = filter,
            Err(why) => section.mistake(line, format!("filter {filter:?} cannot be understood: {why}")),
        }
    }
    log.format = section.value("format", log.format);
}

pub(super) fn tls(section: &mut Section<'_>, tls: &mut TlsSettings) {
    let certificates = section.list("certificate", |certificate| {
        let (chain, key) = (certificate.optional("chain"), certificate.optional("key"));
        if chain.is_none() || key.is_none() {
            certificate.missing("[[tls.certificate]] needs chain and key: the PEM files of a certificate");
        }
        Some(CertificateSettings { chain: chain?, key: key? })
    });
    tls.certificates = certificates.into_iter().flatten().collect();
    time(section, "check_every", &mut tls.check_every, SECOND..=DAY);
    time(section, "warn_before", &mut tls.warn_before, Duration::ZERO..=DAY * 365);
}

pub(super) fn connections(section: &mut Section<'_>, connections: &mut ConnectionSettings) {
    connections.total = section.within("total", connections.total, 1..=1_000_000);
    time(section, "stall", &mut connections.times.stall, SECOND..=DAY);
    time(section, "handshake", &mut connections.times.handshake, SECOND..=DAY);
    time(section, "proxy_header", &mut connections.proxy_header, SECOND..=DAY);
}

pub(super) fn shutdown(section: &mut Section<'_>, shutdown: &mut ShutdownSettings) {
    time(section, "announce", &mut shutdown.announce, Duration::ZERO..=DAY);
    time(section, "drain", &mut shutdown.drain, Duration::ZERO..=DAY);
}

pub(super) fn login(section: &mut Section<'_>, options: &mut directory::Options) {
    if let Some((line, name)) = section.located::<String>("default_domain") {
        match DomainName::parse(&name) {
            Ok(domain) => options.default_domain = Some(domain),
            Err(error) => section.mistake(line, format!("default_domain {name:?} is no domain: {error}")),
        }
    }
    options.password_min_chars = section.within("password_min_chars", options.password_min_chars, 1..=200);
    let limits = &mut options.login_limits;
    let usual = limits.per_name.or(limits.per_peer);
    let mut window = usual.map_or(Duration::from_mins(10), |rate| rate.window);
    time(section, "failures_window", &mut window, SECOND..=DAY);
    for (key, limit) in
        [("failures_per_name", &mut limits.per_name), ("failures_per_address", &mut limits.per_peer)]
    {
        let failures = section.value(key, limit.map_or(0, |rate| rate.failures));
        *limit = (failures > 0).then_some(Rate { failures, window });
    }
    time(section, "remember", &mut options.proof_lifetime, Duration::ZERO..=DAY);
    options.proofs = section.within("remembered", options.proofs, 1..=100_000_000);
    let at_once = options.hashes_at_once.get();
    let at_once = section.within("hashes_at_once", at_once, 1..=1024);
    options.hashes_at_once = NonZeroUsize::new(at_once).unwrap_or(NonZeroUsize::MIN);
    options.hashes_waiting = section.within("hashes_waiting", options.hashes_waiting, 1..=1_000_000);
    let iterations = section.value("scram_iterations", options.scram.map_or(0, |i| i.count().get()));
    match (iterations, ScramIterations::new(iterations)) {
        (0, _) => options.scram = None,
        (_, Ok(iterations)) => options.scram = Some(iterations),
        (_, Err(error)) => {
            section.missing(format!("scram_iterations = {iterations} cannot be: {error}, or 0 for off"))
        }
    }
    let memory = section.value("hash_memory", Size(u64::from(options.cost.memory_kib()) << 10));
    let passes = section.value("hash_passes", options.cost.passes());
    let cost = u32::try_from(memory.0 >> 10).ok().and_then(|kib| Cost::new(kib, passes, 1).ok());
    match cost {
        Some(cost) => options.cost = cost,
        None => section.missing(format!(
            "hash_memory = {memory} with hash_passes = {passes} is no cost that a password hash can have"
        )),
    }
}

pub(super) fn directory(section: &mut Section<'_>, options: &mut directory::Options) {
    options.group_members = section.within("group_members", options.group_members, 1..=100_000);
    options.recipients = section.within("recipients", options.recipients, 1..=100_000);
    options.nesting = section.within("nesting", options.nesting, 1..=50);
}

pub(super) fn mail(section: &mut Section<'_>, node: &mut NodeOptions) {
    size(section, "message_size", &mut node.message_size, 64 << 10, 1 << 30);
    let mail = &mut node.mail;
    octets(section, "inline_size", &mut mail.inline_size, 0, 64 << 10);
    octets(section, "attachment_size", &mut mail.attachment_size, 4 << 10, 1 << 30);
    mail.mailboxes = section.within("mailboxes", mail.mailboxes, 10..=1_000_000);
    octets(section, "mailbox_cache", &mut mail.mailbox_cache, 0, 1 << 40);
    time(section, "retention", &mut mail.retention, Duration::ZERO..=DAY * 3650);
    time(section, "change_log", &mut mail.change_log, DAY..=DAY * 3650);
    mail.ingest.depth = section.within("mime_depth", mail.ingest.depth, 10..=1_000);
    mail.ingest.parts = section.within("mime_parts", mail.ingest.parts, 100..=100_000);
}

pub(super) fn store(section: &mut Section<'_>, node: &mut NodeOptions) {
    size(section, "cache", &mut node.kv.cache_bytes, 1 << 20, 1 << 40);
    let mut reserve = node.kv.reserve_bytes;
    size(section, "reserve", &mut reserve, 0, 1 << 40);
    (node.kv.reserve_bytes, node.segments.reserve_bytes) = (reserve, reserve);
    size(section, "segment_size", &mut node.segments.segment_bytes, 1 << 20, 1 << 34);
    time(section, "blob_grace", &mut node.blob_grace, Duration::from_mins(10)..=DAY * 30);
}

pub(super) fn memory(section: &mut Section<'_>, memory: &mut BudgetLimits) {
    octets(section, "receiving", &mut memory.receiving, 1 << 20, 1 << 40);
    octets(section, "storing", &mut memory.storing, 1 << 20, 1 << 40);
    time(section, "storing_wait", &mut memory.patience, SECOND..=DAY);
}

pub(super) fn inbound(section: &mut Section<'_>, inbound: &mut InboundOptions) {
    inbound.deliveries = section.within("deliveries", inbound.deliveries, 0..=1_000_000);
    time(section, "latency", &mut inbound.latency, Duration::from_millis(1)..=DAY);
    time(section, "slow_checks", &mut inbound.slow_checks, Duration::ZERO..=Duration::from_mins(4));
    inbound.workers = section.within("workers", inbound.workers, 1..=1_000);
}

pub(super) fn checks(section: &mut Section<'_>, checks: &mut CheckSettings) {
    checks.enabled = section.value("enabled", checks.enabled);
    let servers: Vec<SocketAddr> = section.value("dns", Vec::new());
    if !servers.is_empty() {
        checks.servers = DnsServers::Addresses(servers);
    }
    let options = &mut checks.options;
    options.exempt = section.value("exempt", std::mem::take(&mut options.exempt));
    options.also_ours = section.value("also_ours", Vec::new());
    options.dmarc = section.value("dmarc", options.dmarc);
    options.dmarc_overrides = section.value("dmarc_overrides", Overrides::default()).0;
    options.trusted_sealers = section.value("trusted_sealers", Vec::new());
    options.unavailable = section.value("unavailable", options.unavailable);
    time(section, "time", &mut options.time, SECOND..=Duration::from_mins(2));
    options.questions = section.within("questions", options.questions, 20..=1_000);
    options.signatures = section.within("signatures", options.signatures, 1..=100);
}

pub(super) fn reports(section: &mut Section<'_>, reports: &mut ReportOptions) {
    reports.enabled = section.value("enabled", reports.enabled);
    let sender = &mut reports.sender;
    let address = |section: &mut Section<'_>, key, into: &mut String| {
        if let Some((line, text)) = section.located::<String>(key) {
            // It becomes part of a header and of an envelope, neither of which may need UTF-8.
            match Address::parse(&text) {
                Ok(_) if text.is_ascii() && !text.contains('"') => *into = text,
                _ => section.mistake(
                    line,
                    format!("{key} {text:?} is no plain address such as \"reports@example.com\""),
                ),
            }
        }
    };
    address(section, "from", &mut sender.address);
    sender.contact.clone_from(&sender.address);
    address(section, "contact", &mut sender.contact);
    sender.organization = section.value("organization", std::mem::take(&mut sender.organization));
    if let Some((line, text)) = section.located::<String>("local_part") {
        match LocalPart::parse(&text) {
            // It stands in a URI in DNS, which says nothing of what would have to be quoted or escaped.
            Ok(_) if text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._=~".contains(&b)) => {
                reports.local_part = text.to_ascii_lowercase();
            }
            _ => {
                section.mistake(line, format!("local_part {text:?} cannot stand before the @ of an address"))
            }
        }
    }
}

pub(super) fn smtp(section: &mut Section<'_>, smtp: &mut SmtpSettings) {
    smtp.smtputf8 = section.value("smtputf8", smtp.smtputf8);
    let limits = &mut smtp.limits;
    size(section, "header_size", &mut limits.header, 16 << 10, 64 << 20);
    limits.received = section.within("received_hops", limits.received, 10..=1_000);
    limits.recipients = section.within("recipients", limits.recipients, 100..=100_000);
    octets(section, "line", &mut limits.line, 512, 1 << 20);
    limits.errors = section.within("errors", limits.errors, 1..=1_000_000);
    limits.junk = section.within("junk", limits.junk, 1..=1_000_000);
    limits.refused_recipients =
        section.within("refused_recipients", limits.refused_recipients, 1..=1_000_000);
    size(section, "drain", &mut limits.drain, 0, 1 << 40);
    let timeouts = &mut smtp.timeouts;
    time(section, "command_timeout", &mut timeouts.command, SECOND..=DAY);
    time(section, "body_timeout", &mut timeouts.body, SECOND..=DAY);
    timeouts.minimum_rate = section.value("minimum_rate", timeouts.minimum_rate);
    time(section, "verdict_timeout", &mut timeouts.verdict, SECOND..=Duration::from_mins(10));
}

pub(super) fn submission(section: &mut Section<'_>, submission: &mut SubmissionSettings) {
    let limits = &mut submission.limits;
    for (key, limit) in [
        ("messages_per_hour", &mut limits.messages_per_hour),
        ("recipients_per_hour", &mut limits.recipients_per_hour),
        ("recipients_per_day", &mut limits.recipients_per_day),
    ] {
        let most = section.value(key, limit.unwrap_or(0));
        *limit = (most > 0).then_some(most);
    }
    time(section, "longest_hold", &mut submission.longest_hold, Duration::ZERO..=DAY * 365);
}

pub(super) fn imap(section: &mut Section<'_>, imap: &mut imap::Config) {
    let limits = &mut imap.limits;
    octets(section, "line", &mut limits.line, 8 << 10, 1 << 20);
    octets(section, "literal_before_login", &mut limits.literal_before_login, 1 << 10, 1 << 20);
    octets(section, "literal", &mut limits.literal, 8 << 10, 64 << 20);
    limits.literals = section.within("literals", limits.literals, 10..=100_000);
    octets(section, "command", &mut limits.command, 32 << 10, 64 << 20);
    octets(section, "command_before_login", &mut limits.command_before_login, 8 << 10, 64 << 20);
    imap.errors_before_login = section.within("errors_before_login", imap.errors_before_login, 1..=1_000_000);
    imap.errors = section.within("errors", imap.errors, 1..=1_000_000);
    time(section, "login_timeout", &mut imap.timeouts.login, SECOND..=DAY);
    time(section, "idle_timeout", &mut imap.timeouts.idle, SECOND..=DAY);
}

pub(super) fn pop3(section: &mut Section<'_>, pop3: &mut pop3::Config) {
    pop3.marks_seen = section.value("marks_seen", pop3.marks_seen);
    pop3.international = section.value("international", pop3.international);
    octets(section, "line", &mut pop3.limits.line, 255, 1 << 20);
    pop3.limits.errors = section.within("errors", pop3.limits.errors, 1..=1_000_000);
    pop3.limits.junk = section.within("junk", pop3.limits.junk, 1..=1_000_000);
    time(section, "login_timeout", &mut pop3.timeouts.login, SECOND..=DAY);
    time(section, "idle_timeout", &mut pop3.timeouts.idle, SECOND..=DAY);
}

pub(super) fn http(section: &mut Section<'_>, http: &mut HttpSettings) {
    time(section, "header_timeout", &mut http.header_time, SECOND..=DAY);
    octets(section, "header_size", &mut http.header_size, 8 << 10, 1 << 20);
    http.metrics_from = section.value("metrics_from", std::mem::take(&mut http.metrics_from));
}

pub(super) fn jmap(section: &mut Section<'_>, jmap: &mut JmapSettings) {
    jmap.enabled = section.value("enabled", jmap.enabled);
    if let Some((line, url)) = section.located::<String>("url") {
        match origin(&url) {
            true => jmap.url = Some(url),
            false => section.mistake(line, NO_ORIGIN.replace("{}", "url").replace("[]", &url)),
        }
    }
    if let Some((line, origins)) = section.located::<Vec<String>>("origins") {
        if let Some(bad) = origins.iter().find(|text| !origin(text)) {
            section.mistake(line, NO_ORIGIN.replace("{}", "origins").replace("[]", bad));
        }
        jmap.origins = origins;
    }
}

pub(super) fn mta_sts(section: &mut Section<'_>, policy: &mut StsPolicy) {
    policy.mode = section.value("mode", policy.mode);
    time(section, "max_age", &mut policy.max_age, DAY..=DAY * 365);
}

pub(super) fn oauth(section: &mut Section<'_>, oauth: &mut OAuthSettings) {
    oauth.enabled = section.value("enabled", oauth.enabled);
    if let Some((line, issuer)) = section.located::<String>("issuer") {
        match origin(&issuer) {
            true if is_private(&issuer) => oauth.issuer = Some(issuer),
            true => section.mistake(line, "issuer must begin with https://: tokens are secrets"),
            false => section.mistake(line, NO_ORIGIN.replace("{}", "issuer").replace("[]", &issuer)),
        }
    }
    time(section, "access_lifetime", &mut oauth.access_lifetime, Duration::from_mins(1)..=DAY);
    time(section, "refresh_lifetime", &mut oauth.refresh_lifetime, DAY..=DAY * 3650);
    oauth.registration = section.value("registration", oauth.registration);
}

/// Whether nobody reads along on the way to an origin: it is reached by TLS, or on this machine.
pub(super) fn is_private(origin: &str) -> bool {
    let local = |rest: &str| {
        ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| {
            rest.strip_prefix(host).is_some_and(|behind| behind.is_empty() || behind.starts_with(':'))
        })
    };
    origin.starts_with("https://") || origin.strip_prefix("http://").is_some_and(local)
}

pub(super) fn push(section: &mut Section<'_>, push: &mut PushSettings) {
    push.enabled = section.value("enabled", push.enabled);
    if let Some((line, contact)) = section.located::<String>("contact") {
        let is_uri = contact.starts_with("mailto:") || contact.starts_with("https://");
        match is_uri && contact.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => push.contact = contact,
            false => section
                .mistake(line, format!("contact {contact:?} must begin with \"mailto:\" or \"https://\"")),
        }
    }
    push.at_once = section.within("at_once", push.at_once, 1..=10_000);
    push.allow = section.value("allow", Vec::new());
}

const NO_ORIGIN: &str = "{} must hold a scheme and a host such as \"https://mail.example.com\", not \"[]\"";

/// A scheme, a host and perhaps a port, as browsers write them: no path, not even a slash.
fn origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
    host.is_some_and(|host| !host.is_empty() && host.bytes().all(fits))
}

impl Value for StsMode {
    fn read(node: &Node, _: &Path) -> Result<Self, String> {
        choice(node, &[("enforce", Self::Enforce), ("testing", Self::Testing), ("none", Self::None)])
    }
}

impl Value for Enforcement {
    fn read(node: &Node, _: &Path) -> Result<Self, String> {
        choice(node, &[("full", Self::Full), ("quarantine", Self::Quarantine), ("observe", Self::Observe)])
    }
}

/// `{ "example.com" = "observe" }`: what holds for the mail of some authors' domains.
#[derive(Default)]
struct Overrides(Vec<(Name, Enforcement)>);

impl Value for Overrides {
    fn read(node: &Node, folder: &Path) -> Result<Self, String> {
        let Node::Table(table) = node else {
            return Err(format!(
                "must be a table such as {{ \"example.com\" = \"observe\" }}, not {}",
                node.kind()
            ));
        };
        let mut overrides = Vec::with_capacity(table.len());
        for (domain, entry) in table {
            let name = Name::parse(domain).ok_or_else(|| format!("must name domains, not {domain:?}"))?;
            let enforcement = Enforcement::read(&entry.node, folder);
            overrides.push((name, enforcement.map_err(|why| format!("for {domain:?} {why}"))?));
        }
        overrides.sort_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
        Ok(Self(overrides))
    }
}

impl Value for WhenUnavailable {
    fn read(node: &Node, _: &Path) -> Result<Self, String> {
        choice(node, &[("accept", Self::Accept), ("defer", Self::Defer)])
    }
}

impl Value for Name {
    fn read(node: &Node, folder: &Path) -> Result<Self, String> {
        let text = String::read(node, folder)?;
        Self::parse(&text).ok_or_else(|| format!("must be a domain, not {text:?}"))
    }
}

impl Value for checks::Network {
    fn read(node: &Node, folder: &Path) -> Result<Self, String> {
        let text = String::read(node, folder)?;
        text.parse().map_err(|_| format!("must be a network such as \"192.0.2.0/24\", not {text:?}"))
    }
}

impl Value for SocketAddr {
    fn read(node: &Node, folder: &Path) -> Result<Self, String> {
        let text = String::read(node, folder)?;
        let whole = text.parse().or_else(|_| text.parse().map(|address: IpAddr| Self::new(address, 53)));
        whole.map_err(|_| format!("must be an address such as \"127.0.0.1\" or \"[::1]:5353\", not {text:?}"))
    }
}

impl Value for LogFormat {
    fn read(node: &Node, _: &Path) -> Result<Self, String> {
        choice(node, &[("text", Self::Text), ("json", Self::Json)])
    }
}

impl Value for InternationalMail {
    fn read(node: &Node, _: &Path) -> Result<Self, String> {
        choice(node, &[("as-it-is", Self::AsItIs), ("refused", Self::Refused)])
    }
}

pub(super) fn time(
    section: &mut Section<'_>,
    key: &'static str,
    setting: &mut Duration,
    bounds: std::ops::RangeInclusive<Duration>,
) {
    let (least, most) = bounds.into_inner();
    *setting = section.within(key, Time(*setting), Time(least)..=Time(most)).0;
}

fn size(section: &mut Section<'_>, key: &'static str, setting: &mut u64, least: u64, most: u64) {
    *setting = section.within(key, Size(*setting), Size(least)..=Size(most)).0;
}

/// A size of what is held in memory.
fn octets(section: &mut Section<'_>, key: &'static str, setting: &mut usize, least: u64, most: u64) {
    let mut bytes = *setting as u64;
    size(section, key, &mut bytes, least, most);
    *setting = usize::try_from(bytes).unwrap_or(usize::MAX);
}
