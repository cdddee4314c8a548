//! How connections must be protected, from tables of records and policies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dns::{Answer, DnsError, Name, Question, Resolver, Zone};
use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::StdRng;
use relay::{
    Addresses, Demand, Fetched, NextHop, PolicyFetcher, Protection, Route, RouteTable, RouteTls, Router,
    StsPolicies, StsState, TlsPolicies, Watched,
};
use types::{Clock, Timestamp};

/// A web server with one policy, or none.
#[derive(Default)]
struct Web {
    policy: Mutex<Option<String>>,
    fetches: AtomicUsize,
}

#[async_trait]
impl PolicyFetcher for Web {
    async fn fetch(&self, _domain: &Name, _limit: usize) -> Result<Vec<u8>, String> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        self.policy.lock().clone().map(String::into_bytes).ok_or_else(|| "404".to_owned())
    }
}

fn sts(zone: &str, web: &Arc<Web>, cache: &Arc<Mutex<HashMap<Name, Fetched>>>, clock: &Clock) -> StsPolicies {
    StsPolicies::new(Arc::new(Zone::parse(zone).unwrap()), web.clone(), cache.clone(), clock.clone())
}

fn policy(mode: &str, mx: &str) -> String {
    format!("version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 3600\n")
}

/// The policies for the first host of `x.test`.
async fn demand(zone: &str, sts_policy: Option<String>, tls: RouteTls, protection: Protection) -> String {
    demand_by(Arc::new(Zone::parse(zone).unwrap()), sts_policy, tls, protection).await
}

async fn demand_by(
    resolver: Arc<dyn Resolver>,
    sts_policy: Option<String>,
    tls: RouteTls,
    protection: Protection,
) -> String {
    let web = Arc::new(Web::default());
    *web.policy.lock() = sts_policy;
    let sts = StsPolicies::new(resolver.clone(), web, Arc::new(Mutex::new(HashMap::new())), Clock::system());
    let policies = TlsPolicies::new(resolver.clone(), Some(sts), true);
    let route = Route { next_hop: NextHop::Mx { port: 25 }, tls, ..Route::default() };
    let table = RouteTable { default: Arc::new(route), ..RouteTable::default() };
    let router = Router::new(resolver, table, Addresses::default(), Vec::new());
    let plan = router.plan("x.test", &mut StdRng::seed_from_u64(1)).await.unwrap();
    let reach = router.reach(&plan.hosts[0], &plan.route).await.unwrap();
    let state = policies.domain(&plan).await;
    match policies.host(&plan, &plan.hosts[0].target, &reach, &state, protection).await {
        Err(error) => {
            format!("{} {}", error.outcome().status, error.problem().map_or("-", |one| one.reason.as_str()))
        }
        Ok(policy) => {
            let watched = match policy.watched {
                Some(Watched::Named(_)) => " watched",
                Some(Watched::Unnamed(_)) => " not named",
                None => "",
            };
            let demand = match policy.demand {
                Demand::Never => "never".to_owned(),
                Demand::IfOffered => "if offered".to_owned(),
                Demand::Encrypted => "encrypted".to_owned(),
                Demand::WebPki(name) => format!("webpki {name}"),
                Demand::Dane(records) => {
                    let names: Vec<&str> = records.names().iter().map(Name::as_str).collect();
                    format!("dane {}", names.join(" "))
                }
            };
            demand + watched
        }
    }
}

/// Answers all but one question.
struct Lacking(Zone, Question);

#[async_trait]
impl Resolver for Lacking {
    async fn ask(&self, question: &Question) -> Result<Answer, DnsError> {
        if *question == self.1 {
            return Err(DnsError::Temporary("SERVFAIL".to_owned()));
        }
        self.0.ask(question).await
    }
}

const HASH: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[tokio::test]
async fn dane_holds_where_all_is_proved() {
    let secure = "x.test SIGNED\nx.test MX 10 a.y.test\ny.test SIGNED\na.y.test A 93.184.216.34\n";
    let plain = "x.test MX 10 a.y.test\na.y.test A 93.184.216.34\n";
    let record = format!("_25._tcp.a.y.test TLSA 3 1 1 {HASH}\n");
    let alias = format!(
        "x.test SIGNED\nx.test MX 10 a.y.test\ny.test SIGNED\na.y.test CNAME b.y.test\nb.y.test A 93.184.216.34\n\
         _25._tcp.b.y.test TLSA 3 1 1 {HASH}"
    );
    let table = [
        (format!("{secure}{record}"), "dane a.y.test x.test"),
        (alias, "dane b.y.test a.y.test x.test"),
        (secure.to_owned(), "if offered"),
        (format!("{plain}{record}"), "if offered"),
        // The MX is proved, the host is not.
        (format!("x.test SIGNED\n{plain}{record}"), "if offered"),
        // The host is proved, the MX is not: who says that it is the domain's?
        (format!("y.test SIGNED\n{plain}{record}"), "if offered"),
        // Records that say nothing for mail: TLS all the same.
        (format!("{secure}_25._tcp.a.y.test TLSA 1 1 1 {HASH}"), "encrypted"),
        (format!("{secure}_25._tcp.a.y.test BOGUS"), "4.7.5 dnssec-invalid"),
        (format!("{secure}_25._tcp.a.y.test SERVFAIL"), "4.7.5 -"),
    ];
    for (zone, wanted) in table {
        assert_eq!(demand(&zone, None, RouteTls::Policy, Protection::Usual).await, wanted, "{zone}");
    }
}

#[tokio::test]
async fn fault_70_an_answer_kept_back_takes_no_proof_with_it() {
    let zone = format!(
        "x.test SIGNED\nx.test MX 10 a.y.test\ny.test SIGNED\na.y.test A 93.184.216.34\n\
         a.y.test AAAA 2a00:1450::1\n_25._tcp.a.y.test TLSA 3 1 1 {HASH}"
    );
    let host = Name::parse("a.y.test").unwrap();
    for lacking in [Question::Ipv4(host.clone()), Question::Ipv6(host)] {
        let resolver = Arc::new(Lacking(Zone::parse(&zone).unwrap(), lacking.clone()));
        let found = demand_by(resolver, None, RouteTls::Policy, Protection::Usual).await;
        assert_eq!(found, "dane a.y.test x.test", "without {lacking:?}");
    }
}

#[tokio::test]
async fn mta_sts_names_the_hosts() {
    let zone = "x.test MX 10 a.y.test\na.y.test A 93.184.216.34\n_mta-sts.x.test TXT v=STSv1; id=1;\n";
    let dane = format!(
        "{zone}x.test SIGNED\ny.test SIGNED\n_25._tcp.a.y.test TLSA 3 1 1 {HASH}\n_25._tcp.b.y.test BOGUS"
    );
    let unusable = format!("{zone}x.test SIGNED\ny.test SIGNED\n_25._tcp.a.y.test TLSA 1 1 1 {HASH}");
    let table = [
        (zone, Some(policy("enforce", "a.y.test")), "webpki a.y.test"),
        (zone, Some(policy("enforce", "*.y.test")), "webpki a.y.test"),
        (zone, Some(policy("enforce", "b.y.test")), "4.7.5 sts-webpki-invalid"),
        (zone, Some(policy("testing", "a.y.test")), "if offered watched"),
        (zone, Some(policy("testing", "b.y.test")), "if offered not named"),
        (zone, Some("version: STSv1\nmode: none\nmax_age: 1".to_owned()), "if offered"),
        (zone, Some("<html>".to_owned()), "if offered"),
        (zone, None, "if offered"),
        (&dane, Some(policy("enforce", "a.y.test")), "dane a.y.test x.test"),
        // Records that say nothing for mail switch off nothing.
        (&unusable, Some(policy("enforce", "a.y.test")), "webpki a.y.test"),
        (&unusable, Some(policy("enforce", "b.y.test")), "4.7.5 sts-webpki-invalid"),
        (&unusable, Some(policy("testing", "a.y.test")), "encrypted watched"),
        (&unusable, Some(policy("testing", "b.y.test")), "encrypted not named"),
        (&unusable, None, "encrypted"),
    ];
    for (zone, policy, wanted) in table {
        assert_eq!(
            demand(zone, policy.clone(), RouteTls::Policy, Protection::Usual).await,
            wanted,
            "{policy:?}"
        );
    }
}

#[tokio::test]
async fn the_sender_and_the_configuration_have_a_say() {
    let plain = "x.test MX 10 a.y.test\na.y.test A 93.184.216.34\n".to_owned();
    let sts = format!("{plain}_mta-sts.x.test TXT v=STSv1; id=1;\n");
    let silent = format!("{plain}_mta-sts.x.test SERVFAIL");
    let signed = format!("{plain}x.test SIGNED");
    let dane = format!("{plain}x.test SIGNED\ny.test SIGNED\n_25._tcp.a.y.test TLSA 3 1 1 {HASH}");
    let unusable = format!("{sts}x.test SIGNED\ny.test SIGNED\n_25._tcp.a.y.test TLSA 1 1 1 {HASH}");
    let enforced = || Some(policy("enforce", "a.y.test"));
    let testing = || Some(policy("testing", "a.y.test"));
    let elsewhere = |mode: &str| Some(policy(mode, "b.y.test"));
    let table = [
        (&plain, None, RouteTls::Policy, Protection::Required, "5.7.30 -"),
        (&signed, None, RouteTls::Policy, Protection::Required, "webpki a.y.test"),
        // Whether there is a proof nobody can say now.
        (&sts, None, RouteTls::Policy, Protection::Required, "4.7.5 -"),
        (&silent, None, RouteTls::Policy, Protection::Required, "4.7.5 -"),
        (&silent, None, RouteTls::Policy, Protection::Usual, "if offered"),
        (&sts, enforced(), RouteTls::Policy, Protection::Required, "webpki a.y.test"),
        (&sts, testing(), RouteTls::Policy, Protection::Required, "webpki a.y.test"),
        (&dane, None, RouteTls::Policy, Protection::Required, "dane a.y.test x.test"),
        (&unusable, None, RouteTls::Policy, Protection::Required, "webpki a.y.test"),
        (&unusable, elsewhere("enforce"), RouteTls::Policy, Protection::Required, "4.7.5 sts-webpki-invalid"),
        (&unusable, elsewhere("testing"), RouteTls::Policy, Protection::Required, "webpki a.y.test"),
        (&sts, enforced(), RouteTls::Policy, Protection::Dispensable, "if offered"),
        (&dane, None, RouteTls::Policy, Protection::Dispensable, "if offered"),
        (&dane, None, RouteTls::Never, Protection::Usual, "never"),
        (&dane, None, RouteTls::Never, Protection::Required, "5.7.30 -"),
        (&plain, None, RouteTls::Require, Protection::Usual, "encrypted"),
        (&plain, None, RouteTls::Verify, Protection::Usual, "webpki a.y.test"),
        (&plain, None, RouteTls::Verify, Protection::Dispensable, "webpki a.y.test"),
    ];
    for (zone, policy, tls, protection, wanted) in table {
        assert_eq!(demand(zone, policy, tls, protection).await, wanted, "{tls:?} {protection:?} {zone}");
    }
}

#[tokio::test]
async fn fault_71_a_known_policy_holds_until_its_time_is_over() {
    let (web, cache) = (Arc::new(Web::default()), Arc::new(Mutex::new(HashMap::new())));
    let (clock, hand) = Clock::manual(Timestamp(1_795_359_480_000));
    let domain = Name::parse("x.test").unwrap();
    let record = |id: u32| format!("_mta-sts.x.test TXT v=STSv1; id={id};");
    let mx = |state: StsState| match state {
        StsState::Policy(policy) => policy.mx.join(" "),
        StsState::None => "none".to_owned(),
        StsState::Unknown(why) => format!("unknown: {why}"),
        StsState::Silent(why) => format!("silent: {why}"),
    };
    let fetches = || web.fetches.load(Ordering::SeqCst);

    assert_eq!(mx(sts("", &web, &cache, &clock).of(&domain).await), "none");
    assert_eq!(fetches(), 0, "nobody has announced anything");
    *web.policy.lock() = Some(policy("enforce", "a.test"));
    assert_eq!(mx(sts(&record(1), &web, &cache, &clock).of(&domain).await), "a.test");
    // The same id: nothing is fetched. No record, or no DNS: the policy holds.
    *web.policy.lock() = None;
    for zone in [record(1), String::new(), "_mta-sts.x.test SERVFAIL".to_owned()] {
        assert_eq!(mx(sts(&zone, &web, &cache, &clock).of(&domain).await), "a.test", "{zone}");
    }
    assert_eq!(fetches(), 1);
    // A new id, but nothing to fetch, and it is not tried again at once.
    let renewed = sts(&record(2), &web, &cache, &clock);
    assert_eq!(mx(renewed.of(&domain).await), "a.test");
    assert_eq!(mx(renewed.of(&domain).await), "a.test");
    assert_eq!(fetches(), 2);
    hand.advance(Duration::from_secs(301));
    *web.policy.lock() = Some(policy("enforce", "b.test"));
    assert_eq!(mx(renewed.of(&domain).await), "b.test");
    // Its time is over, and there is no other.
    *web.policy.lock() = None;
    hand.advance(Duration::from_secs(3601));
    assert_eq!(mx(sts("", &web, &cache, &clock).of(&domain).await), "none");
    assert_eq!(mx(sts(&record(3), &web, &cache, &clock).of(&domain).await), "unknown: 404");
}

#[tokio::test]
async fn fault_71_a_policy_that_stays_is_fetched_again_before_its_time_is_over() {
    let (web, cache) = (Arc::new(Web::default()), Arc::new(Mutex::new(HashMap::new())));
    let (clock, hand) = Clock::manual(Timestamp(1_795_359_480_000));
    let domain = Name::parse("x.test").unwrap();
    let policies = sts("_mta-sts.x.test TXT v=STSv1; id=1;", &web, &cache, &clock);
    let holds = async || matches!(policies.of(&domain).await, StsState::Policy(_));
    let fetches = || web.fetches.load(Ordering::SeqCst);
    *web.policy.lock() = Some(policy("enforce", "a.test"));
    assert!(holds().await);
    hand.advance(Duration::from_secs(1799));
    assert!(holds().await);
    assert_eq!(fetches(), 1);
    // Half of its hour is over, and there is nothing to fetch.
    *web.policy.lock() = None;
    hand.advance(Duration::from_secs(1));
    assert!(holds().await);
    assert_eq!(fetches(), 2);
    hand.advance(Duration::from_secs(301));
    *web.policy.lock() = Some(policy("enforce", "a.test"));
    assert!(holds().await);
    assert_eq!(fetches(), 3);
    // It has its hour anew.
    hand.advance(Duration::from_secs(1790));
    assert!(holds().await);
    assert_eq!(fetches(), 3);
}
