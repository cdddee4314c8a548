//! Where mail goes, from tables of records.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;
use std::sync::Arc;

use dns::{Name, Zone};
use rand::SeedableRng;
use rand::rngs::StdRng;
use relay::{Addresses, Host, NextHop, Route, RouteTable, Router, Target};

fn router(zone: &str) -> Router {
    let addresses = Addresses { own: vec!["93.184.216.1".parse().unwrap()], ..Addresses::default() };
    let own = vec![Name::parse("mx.here.test").unwrap()];
    Router::new(Arc::new(Zone::parse(zone).unwrap()), RouteTable::default(), addresses, own)
}

async fn hosts(router: &Router, destination: &str, seed: u64) -> String {
    match router.plan(destination, &mut StdRng::seed_from_u64(seed)).await {
        Ok(plan) => {
            let names: Vec<String> = plan.hosts.iter().map(|host| host.target.to_string()).collect();
            names.join(" ")
        }
        Err(error) => error.outcome().status.to_string(),
    }
}

#[tokio::test]
async fn who_takes_mail_for_a_domain() {
    let table = [
        ("x.test MX 20 b.test\nx.test MX 10 a.test", "x.test", "a.test b.test"),
        ("x.test MX 10 a.test\nx.test MX 20 a.test", "x.test", "a.test"),
        ("x.test A 93.184.216.34", "x.test", "x.test"),
        ("mail.x.test A 93.184.216.34", "x.test", "x.test"),
        ("x.test MX 0 .", "x.test", "5.1.10"),
        ("x.test MX 0 .\nx.test MX 10 a.test", "x.test", "a.test"),
        ("y.test A 93.184.216.34", "x.test", "5.1.2"),
        ("x.test SERVFAIL", "x.test", "4.4.3"),
        ("x.test BOGUS", "x.test", "4.4.3"),
        // We are in the list: only those preferred to us.
        (
            "x.test MX 10 a.test\nx.test MX 20 mx.here.test\nx.test MX 20 b.test\nx.test MX 30 c.test",
            "x.test",
            "a.test",
        ),
        ("x.test MX 10 mx.here.test\nx.test MX 20 b.test", "x.test", "5.4.6"),
        ("mx.here.test A 93.184.216.1", "mx.here.test", "5.4.6"),
        ("", "[93.184.216.34]", "[93.184.216.34]"),
        ("", "[IPv6:2a00:1450::1]", "[2a00:1450::1]"),
        ("", "[127.0.0.1]", "5.4.4"),
        ("", "[IPv6:::ffff:127.0.0.1]", "5.4.4"),
        ("", "[93.184.216.1]", "5.4.6"),
        ("", "[93.184.216.34", "5.1.2"),
        ("", "a..test", "5.1.2"),
    ];
    for (zone, destination, wanted) in table {
        assert_eq!(hosts(&router(zone), destination, 1).await, wanted, "{destination} in {zone}");
    }
}

#[tokio::test]
async fn equals_share_the_load() {
    let router = router("x.test MX 10 a.test\nx.test MX 10 b.test\nx.test MX 10 c.test\nx.test MX 20 d.test");
    let mut orders = HashSet::new();
    for seed in 0..100 {
        let order = hosts(&router, "x.test", seed).await;
        assert!(order.ends_with(" d.test"), "{order}");
        orders.insert(order);
    }
    assert_eq!(orders.len(), 6);
}

#[tokio::test]
async fn where_a_host_is() {
    let table = [
        (
            "a.test A 93.184.216.34\na.test AAAA 2a00:1450::1\na.test AAAA 2a00:1450::2",
            "2a00:1450::1 93.184.216.34 2a00:1450::2",
        ),
        ("a.test CNAME b.test\nb.test A 93.184.216.34", "93.184.216.34 = b.test"),
        ("a.test SIGNED\na.test A 93.184.216.34", "93.184.216.34 secure"),
        ("a.test A 127.0.0.1", "5.4.4"),
        ("a.test A 93.184.216.1", "5.4.6"),
        ("a.test A 10.0.0.1\na.test A 93.184.216.34", "93.184.216.34"),
        ("b.test A 93.184.216.34", "5.4.4"),
        ("a.test MX 10 b.test", "5.4.4"),
        ("a.test SERVFAIL", "4.4.3"),
    ];
    for (zone, wanted) in table {
        let host = Host { target: Target::Name(Name::parse("a.test").unwrap()), port: 25 };
        let found = match router(zone).reach(&host, &Route::default()).await {
            Ok(reach) => {
                let mut words: Vec<String> = reach.addresses.iter().map(ToString::to_string).collect();
                words.extend(reach.alias_of.map(|name| format!("= {name}")));
                words.extend((reach.security == dns::Security::Secure).then(|| "secure".to_owned()));
                words.join(" ")
            }
            Err(error) => error.outcome().status.to_string(),
        };
        assert_eq!(found, wanted, "{zone}");
    }
}

#[tokio::test]
async fn a_smarthost_may_be_next_door() {
    let host = Host { target: Target::Address("127.0.0.1".parse().unwrap()), port: 2525 };
    let route = Route { next_hop: NextHop::Hosts(vec![host.clone()]), ..Route::default() };
    let table = RouteTable { default: Arc::new(route), ..RouteTable::default() };
    let zone = Arc::new(Zone::default());
    let router = Router::new(zone.clone(), table, Addresses::default(), Vec::new());
    let plan = router.plan("x.test", &mut StdRng::seed_from_u64(1)).await.unwrap();
    assert!(plan.hosts.len() == 1 && plan.hosts[0] == host);
    assert_eq!(
        router.reach(&host, &plan.route).await.unwrap().addresses,
        ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!(zone.asked(), [], "nobody was asked");
}
