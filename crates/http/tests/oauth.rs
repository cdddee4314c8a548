//! OAuth's routes: the pages, the tokens, and what is refused; over connections in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use directory::{
    AccountSpec, Address, Cost, Directory, DomainName, DomainSettings, NewOAuthClient, NewPassword,
    OAuthOptions, Options, Protocol, RedirectUri,
};
use futures::FutureExt;
use http_api::{Exporter, HttpLimits, HttpServer, OAuth, Services, Traffic};
use metrics::Counter;
use serde_json::Value;
use store::bus::Bus;
use store::kv::{Embedded, EmbeddedOptions, Kv};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use types::{Clock, ManualClock, Timestamp};

const ISSUER: &str = "https://mail.example.test";
const CALLBACK: &str = "https://app.example/cb?keep=1";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const AUTHORIZE: [(&str, &str); 7] = [
    ("response_type", "code"),
    ("client_id", "app"),
    ("redirect_uri", CALLBACK),
    ("scope", "urn:ietf:params:oauth:scope:mail offline_access"),
    ("state", "s & t"),
    ("code_challenge", CHALLENGE),
    ("code_challenge_method", "S256"),
];

struct World {
    server: Arc<HttpServer>,
    directory: Directory,
    hand: ManualClock,
    _files: TempDir,
}

/// An answer.
struct Heard {
    status: u16,
    fields: Vec<(String, String)>,
    body: String,
}

impl Heard {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} {}", self.status, self.body))
    }

    fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }

    /// What the fields of the form hold that nobody sees.
    fn hidden(&self) -> HashMap<String, String> {
        let tags = self.body.split("<input type=\"hidden\" ").skip(1);
        let value = |tag: &str, name: &str| {
            let rest = tag.split_once(&format!("{name}=\"")).unwrap().1;
            rest.split_once('"').unwrap().0.replace("&amp;", "&").replace("&#39;", "'")
        };
        tags.map(|tag| (value(tag, "name"), value(tag, "value"))).collect()
    }

    fn cookie(&self) -> String {
        let cookie = self.field("set-cookie").unwrap();
        format!("Cookie: {}", cookie.split(';').next().unwrap())
    }

    /// What the redirection tells the app.
    fn told(&self) -> HashMap<String, String> {
        assert_eq!(self.status, 303, "{}", self.body);
        let place = self.field("location").unwrap();
        assert!(place.starts_with(CALLBACK), "{place}");
        let query = place.split_once('?').unwrap().1;
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap());
        pairs.map(|(name, value)| (name.to_owned(), value.replace("%20", " ").replace("%26", "&"))).collect()
    }
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut OAuth)) -> Self {
        let files = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::manual(Timestamp::from_secs(1_767_323_045));
        let engine = Arc::new(Embedded::open(files.path(), EmbeddedOptions::default()).unwrap());
        let kv = Kv::new(engine, clock.clone());
        let options = Options {
            cost: Cost::new(8, 1, 1).unwrap(),
            hashes_at_once: NonZeroUsize::new(2).unwrap(),
            password_min_chars: 4,
            oauth: Some(OAuthOptions { registration: true, ..OAuthOptions::default() }),
            ..Options::default()
        };
        let directory = Directory::new(kv, Bus::in_process(clock.clone()), clock.clone(), options);
        let domain = DomainName::parse("example.test").unwrap();
        directory.create_domain(&domain, DomainSettings::default()).await.unwrap();
        let password = Some(NewPassword::Clear("secret".to_owned()));
        let spec = AccountSpec::new(Address::parse("alice@example.test").unwrap(), password);
        directory.create_account(spec).await.unwrap();
        let new = NewOAuthClient {
            id: Some("app".to_owned()),
            name: "An <App> & more".to_owned(),
            redirects: vec![
                RedirectUri::parse(CALLBACK).unwrap(),
                RedirectUri::parse("http://127.0.0.1/").unwrap(),
            ],
            device: true,
        };
        directory.create_oauth_client(new).await.unwrap();
        let mut oauth = OAuth {
            directory: directory.clone(),
            clock,
            issuer: ISSUER.to_owned(),
            name: "mail.example.test".to_owned(),
            encrypted: true,
            plaintext_login: false,
            origins: vec!["https://app.example".to_owned()],
            registration: false,
            jmap: true,
            body_time: Duration::from_secs(30),
        };
        change(&mut oauth);
        let services = Services {
            readiness: Arc::new(Vec::new),
            exporter: Exporter::default(),
            collect: Arc::new(|| async {}.boxed()),
            access: Arc::new(|_| false),
        };
        let second = Duration::from_secs(1);
        let limits = HttpLimits { header_size: 16 << 10, header_time: second * 15, stall: second * 60 };
        let server = Arc::new(HttpServer::new(services, limits).with_oauth(oauth));
        Self { server, directory, hand, _files: files }
    }

    async fn ask(&self, line: &str, fields: &[&str], body: &str) -> Heard {
        let (mut near, far) = duplex(1 << 20);
        let server = self.server.clone();
        let traffic = Traffic { received: Counter::noop(), sent: Counter::noop() };
        let client = "192.0.2.1".parse().unwrap();
        tokio::spawn(async move { server.serve(far, client, traffic, std::future::pending()).await.ok() });
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let length = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nHost: mail.example.test\r\nConnection: close\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
        );
        near.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let fields = lines.map(|line| line.split_once(": ").unwrap());
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Heard { status, fields, body: body.to_owned() }
    }

    async fn open(&self, variables: &[(&str, &str)]) -> Heard {
        self.ask(&format!("GET /oauth/authorize?{}", query(variables)), &[], "").await
    }

    /// Sends the form of a page, as a browser does.
    async fn send(&self, page: &Heard, place: &str, typed: &[(&str, &str)], fields: &[&str]) -> Heard {
        let hidden = page.hidden();
        let hidden = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let form = query(&hidden.chain(typed.iter().copied()).collect::<Vec<_>>());
        self.ask(&format!("POST {place}"), &[&[FORM], fields].concat(), &form).await
    }

    async fn allow(&self) -> Heard {
        let page = self.open(&AUTHORIZE).await;
        self.send(&page, "/oauth/authorize", &ALICE, &[&page.cookie(), OWN]).await
    }

    async fn token(&self, variables: &[(&str, &str)]) -> Heard {
        self.ask("POST /oauth/token", &[FORM], &query(variables)).await
    }

    async fn redeem(&self, code: &str) -> Heard {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("client_id", "app"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ])
        .await
    }

    async fn lets_in(&self, token: &str) -> bool {
        let peer = "192.0.2.1".parse().unwrap();
        self.directory.authenticate_bearer(token, peer, Protocol::Jmap).await.is_ok()
    }
}

const OWN: &str = "Origin: https://mail.example.test";
const ALICE: [(&str, &str); 3] =
    [("name", "alice@example.test"), ("password", "secret"), ("decision", "allow")];

fn query(variables: &[(&str, &str)]) -> String {
    let escaped = |text: &str| -> String {
        text.bytes()
            .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02x}") })
            .collect()
    };
    let pairs = variables.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// The usual question, with one of its variables changed, or left out.
fn but<'v>(name: &'v str, value: Option<&'v str>) -> Vec<(&'v str, &'v str)> {
    let others = AUTHORIZE.iter().copied().filter(|(other, _)| *other != name);
    others.chain(value.map(|value| (name, value))).collect()
}

#[tokio::test]
async fn from_the_page_to_the_token_and_back() {
    let world = World::new().await;
    let page = world.open(&AUTHORIZE).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("Let “An &lt;App&gt; &amp; more” use your mail?"), "{}", page.body);
    assert!(page.body.contains("app.example") && !page.body.contains("<script"), "{}", page.body);
    let told = world.send(&page, "/oauth/authorize", &ALICE, &[&page.cookie(), OWN]).await.told();
    assert_eq!((told["keep"].as_str(), told["state"].as_str()), ("1", "s & t"));
    assert_eq!(told["iss"], "https%3A%2F%2Fmail.example.test");
    let handed = world.redeem(&told["code"]).await;
    assert_eq!((handed.status, handed.field("cache-control")), (200, Some("no-store")));
    let tokens = handed.json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(
        (&tokens["expires_in"], &tokens["scope"]),
        (&3600.into(), &"urn:ietf:params:oauth:scope:mail".into())
    );
    let (access, refresh) =
        (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    assert!(world.lets_in(access).await);
    let renew = [("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", refresh)];
    let renewed = world.token(&renew).await.json();
    let next = renewed["access_token"].as_str().unwrap();
    assert!(world.lets_in(next).await);
    let revoked =
        world.ask("POST /oauth/revoke", &[FORM], &query(&[("client_id", "app"), ("token", next)])).await;
    assert_eq!(revoked.status, 200);
    assert!(!world.lets_in(access).await && !world.lets_in(next).await);
    assert_eq!(world.token(&renew).await.error(), "invalid_grant");
}

#[tokio::test]
async fn fault_51_nobody_is_sent_where_the_app_is_not() {
    let world = World::new().await;
    for variables in [
        but("client_id", None),
        but("client_id", Some("nobody")),
        but("redirect_uri", None),
        but("redirect_uri", Some("https://evil.example/cb")),
        but("redirect_uri", Some("https://app.example/cb")),
        but("redirect_uri", Some("https://app.example/cb?keep=1&x")),
        but("redirect_uri", Some("javascript:alert(1)")),
        [AUTHORIZE.to_vec(), vec![("redirect_uri", "https://evil.example/")]].concat(),
        [AUTHORIZE.to_vec(), vec![("state", "other")]].concat(),
    ] {
        let heard = world.open(&variables).await;
        assert_eq!((heard.status, heard.field("location")), (400, None), "{variables:?}");
        assert!(heard.field("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    }
    let loopback = world.open(&but("redirect_uri", Some("http://127.0.0.1:49152/"))).await;
    assert_eq!(loopback.status, 200);
    assert!(
        loopback
            .field("content-security-policy")
            .unwrap()
            .contains("form-action 'self' http://127.0.0.1:49152;")
    );
}

#[tokio::test]
async fn an_app_hears_what_is_wrong_with_its_question() {
    let world = World::new().await;
    for (variables, error) in [
        (but("response_type", None), "invalid_request"),
        (but("response_type", Some("token")), "unsupported_response_type"),
        (but("response_mode", Some("fragment")), "invalid_request"),
        (but("code_challenge", None), "invalid_request"),
        (but("code_challenge", Some("short")), "invalid_request"),
        (but("code_challenge_method", None), "invalid_request"),
        (but("code_challenge_method", Some("plain")), "invalid_request"),
        (but("scope", Some("openid profile")), "invalid_scope"),
    ] {
        let told = world.open(&variables).await.told();
        assert_eq!((told["error"].as_str(), told["state"].as_str()), (error, "s & t"), "{variables:?}");
        assert!(told.contains_key("iss"));
    }
    let page = world.open(&AUTHORIZE).await;
    let denied = world.send(&page, "/oauth/authorize", &[("decision", "deny")], &[&page.cookie(), OWN]).await;
    assert_eq!(denied.told()["error"], "access_denied");
}

#[tokio::test]
async fn fault_51_forms_come_from_our_pages_and_from_the_same_browser() {
    let world = World::new().await;
    let page = world.open(&AUTHORIZE).await;
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(page.field(name), Some(value));
    }
    let set = page.field("set-cookie").unwrap();
    assert!(
        set.starts_with("__Host-magpie-form=") && set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"),
        "{set}"
    );
    let cookie = page.cookie();
    let other = world.open(&AUTHORIZE).await.cookie();
    assert_ne!(cookie, other);
    for fields in [
        &[cookie.as_str(), "Origin: https://evil.example"][..],
        &[&cookie, "Origin: null"],
        &[&cookie, "Origin: https://app.example"],
        &[&cookie, "Sec-Fetch-Site: cross-site"],
        &[&cookie, "Sec-Fetch-Site: same-site"],
        &[OWN],
        &[&other, OWN],
        &["Cookie: __Host-magpie-form=x", OWN],
    ] {
        let heard = world.send(&page, "/oauth/authorize", &ALICE, fields).await;
        assert_eq!((heard.status, heard.field("location")), (403, None), "{fields:?}");
    }
    // What was shown is what is granted.
    let mut changed = world.open(&AUTHORIZE).await;
    let fields = [changed.cookie(), OWN.to_owned()];
    changed.body = changed.body.replace(CHALLENGE, &CHALLENGE.replace("E9", "F9"));
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    assert_eq!(world.send(&changed, "/oauth/authorize", &ALICE, &fields).await.status, 403);
    world.hand.advance(Duration::from_hours(1));
    assert_eq!(world.send(&page, "/oauth/authorize", &ALICE, &[&cookie, OWN]).await.status, 403);
    let fresh = world.ask(&format!("GET /oauth/authorize?{}", query(&AUTHORIZE)), &[&cookie], "").await;
    assert_eq!(fresh.field("set-cookie"), None);
    assert_eq!(world.send(&fresh, "/oauth/authorize", &ALICE, &[&cookie, OWN]).await.status, 303);
}

#[tokio::test]
async fn wrong_passwords_are_told_and_counted() {
    let world = World::new().await;
    let page = world.open(&AUTHORIZE).await;
    let cookie = page.cookie();
    let wrong = [("name", "<alice>"), ("password", "wrong"), ("decision", "allow")];
    let heard = world.send(&page, "/oauth/authorize", &wrong, &[&cookie, OWN]).await;
    assert_eq!(heard.status, 403);
    assert!(
        heard.body.contains("role=\"alert\"") && heard.body.contains("value=\"&lt;alice&gt;\""),
        "{}",
        heard.body
    );
    assert!(!heard.body.contains("wrong\""), "{}", heard.body);
    let wrong = [("name", "alice@example.test"), ("password", "wrong"), ("decision", "allow")];
    for _ in 0..20 {
        assert_eq!(world.send(&page, "/oauth/authorize", &wrong, &[&cookie, OWN]).await.status, 403);
    }
    let limited = world.send(&page, "/oauth/authorize", &ALICE, &[&cookie, OWN]).await;
    assert_eq!(limited.status, 429);
    assert!(limited.field("retry-after").is_some());
}

#[tokio::test]
async fn what_the_token_endpoint_refuses() {
    let world = World::new().await;
    let code = || async { world.allow().await.told()["code"].clone() };
    let redeem = |code: &str, changed: (&'static str, &'static str)| {
        let usual = [
            ("grant_type", "authorization_code"),
            ("client_id", "app"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        query(&usual.map(|pair| if pair.0 == changed.0 { changed } else { pair }))
    };
    for (changed, error) in [
        (("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl"), "invalid_grant"),
        (("redirect_uri", "http://127.0.0.1/"), "invalid_grant"),
        (("code", "mac_x"), "invalid_grant"),
        (("client_id", "nobody"), "invalid_client"),
        (("code_verifier", ""), "invalid_request"),
        (("redirect_uri", ""), "invalid_request"),
        (("client_id", ""), "invalid_client"),
        (("grant_type", ""), "invalid_request"),
        (("grant_type", "password"), "unsupported_grant_type"),
        (("grant_type", "client_credentials"), "unsupported_grant_type"),
    ] {
        let form = redeem(&code().await, changed);
        let heard = world.ask("POST /oauth/token", &[FORM], &form).await;
        assert_eq!((heard.status, heard.error().as_str()), (400, error), "{changed:?}");
    }
    let replayed = code().await;
    let tokens = world.redeem(&replayed).await.json();
    assert_eq!(world.redeem(&replayed).await.error(), "invalid_grant");
    assert!(!world.lets_in(tokens["access_token"].as_str().unwrap()).await);

    let form = redeem(&code().await, ("", ""));
    for (fields, body, status) in [
        (&["Content-Type: application/json"][..], form.clone(), 415),
        (&[FORM], format!("{form}&code=x"), 400),
        (&[FORM, "Authorization: Basic YXBwOng="], form.clone(), 401),
        (&[FORM, "Origin: https://evil.example"], form.clone(), 403),
        (&[FORM], format!("{form}&client_secret=x"), 400),
        (&[FORM], "x".repeat(65 << 10), 413),
    ] {
        let heard = world.ask("POST /oauth/token", fields, &body).await;
        assert_eq!(heard.status, status, "{fields:?}");
        assert!(heard.json()["error"].is_string());
    }
    assert_eq!(world.ask("GET /oauth/token", &[], "").await.status, 405);
    let known = world.ask("POST /oauth/token", &[FORM, "Origin: https://app.example"], &form).await;
    assert_eq!(
        (known.status, known.field("access-control-allow-origin")),
        (200, Some("https://app.example"))
    );
    let asks = ["Origin: https://app.example", "Access-Control-Request-Method: POST"];
    assert_eq!(world.ask("OPTIONS /oauth/token", &asks, "").await.status, 204);
}

#[tokio::test]
async fn a_device_is_let_in_on_its_page() {
    let world = World::new().await;
    let begin = || world.ask("POST /oauth/device", &[FORM], "client_id=app");
    let codes = begin().await.json();
    let (device, user) = (codes["device_code"].as_str().unwrap(), codes["user_code"].as_str().unwrap());
    assert_eq!(codes["verification_uri"], format!("{ISSUER}/device"));
    assert_eq!((&codes["interval"], &codes["expires_in"]), (&5.into(), &600.into()));
    let poll = |device: &str| {
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let form = query(&[("grant_type", grant), ("client_id", "app"), ("device_code", device)]);
        let world = &world;
        async move { world.ask("POST /oauth/token", &[FORM], &form).await }
    };
    assert_eq!(poll(device).await.error(), "authorization_pending");
    assert_eq!(poll(device).await.error(), "slow_down");
    let entry = world.ask("GET /device", &[], "").await;
    assert!(entry.status == 200 && entry.body.contains("name=\"user_code\""), "{}", entry.body);
    assert_eq!(world.ask("GET /device?user_code=BCDF-GHJK", &[], "").await.status, 404);
    let page = world.ask(&format!("GET /device?user_code={user}"), &[], "").await;
    assert!(page.status == 200 && page.body.contains(user), "{}", page.body);
    let cookie = page.cookie();
    let foreign = world.send(&page, "/device", &ALICE, &[&cookie, "Origin: https://evil.example"]).await;
    assert_eq!(foreign.status, 403);
    assert_eq!(world.send(&page, "/device", &ALICE, &[OWN]).await.status, 403);
    let done = world.send(&page, "/device", &ALICE, &[&cookie, OWN]).await;
    assert!(done.status == 200 && done.body.contains("connected"), "{}", done.body);
    assert_eq!(world.send(&page, "/device", &ALICE, &[&cookie, OWN]).await.status, 404);
    let tokens = poll(device).await.json();
    assert!(world.lets_in(tokens["access_token"].as_str().unwrap()).await);

    let codes = begin().await.json();
    let user = codes["user_code"].as_str().unwrap();
    let page = world.ask(&format!("GET /device?user_code={user}"), &[], "").await;
    world.send(&page, "/device", &[("decision", "deny")], &[&page.cookie(), OWN]).await;
    assert_eq!(poll(codes["device_code"].as_str().unwrap()).await.error(), "access_denied");
}

#[tokio::test]
async fn pages_elsewhere_guess_no_codes_of_devices() {
    let world = World::new().await;
    let codes = world.ask("POST /oauth/device", &[FORM], "client_id=app").await.json();
    let right = format!("GET /device?user_code={}", codes["user_code"].as_str().unwrap());
    let wrong = "GET /device?user_code=BCDF-GHJK";
    for part in ["image", "iframe", "script", "empty"] {
        let destination = format!("Sec-Fetch-Dest: {part}");
        for line in [right.as_str(), wrong] {
            assert_eq!(world.ask(line, &[&destination], "").await.status, 403, "{part}");
        }
        // More than may be guessed from one address.
        for _ in 0..20 {
            world.ask(wrong, &[&destination], "").await;
        }
    }
    let opened = ["Sec-Fetch-Dest: document", "Sec-Fetch-Site: cross-site"];
    assert_eq!(world.ask(wrong, &opened, "").await.status, 404);
    assert_eq!(world.ask(&right, &opened, "").await.status, 200);
}

#[tokio::test]
async fn what_anybody_may_know() {
    let world = World::new().await;
    let mut told = Vec::new();
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let heard = world.ask(&format!("GET {path}"), &["Origin: https://evil.example"], "").await;
        assert_eq!((heard.status, heard.field("access-control-allow-origin")), (200, Some("*")));
        told.push(heard.json());
    }
    assert_eq!(told[0], told[1]);
    let metadata = &told[0];
    assert_eq!(metadata["issuer"], ISSUER);
    assert_eq!(metadata["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    assert!(!metadata.to_string().contains("openid") && metadata.get("jwks_uri").is_none());
    for (path, resource) in
        [("", ""), ("/jmap/session", "/jmap/session"), ("/.well-known/jmap", "/.well-known/jmap")]
    {
        let heard = world.ask(&format!("GET /.well-known/oauth-protected-resource{path}"), &[], "").await;
        assert_eq!(heard.json()["resource"], format!("{ISSUER}{resource}"));
        assert_eq!(heard.json()["authorization_servers"], serde_json::json!([ISSUER]));
    }
    assert_eq!(world.ask("GET /.well-known/oauth-protected-resource/x", &[], "").await.status, 404);
    let style = world.ask("GET /oauth/style.css", &[], "").await;
    assert_eq!((style.status, style.field("content-type")), (200, Some("text/css; charset=utf-8")));
}

#[tokio::test]
async fn neither_passwords_nor_tokens_in_the_clear() {
    let world = World::with(|oauth| oauth.encrypted = false).await;
    for line in [
        "GET /oauth/authorize",
        "GET /device",
        "POST /oauth/token",
        "POST /oauth/revoke",
        "POST /oauth/device",
    ] {
        assert_eq!(world.ask(line, &[FORM], "").await.status, 403, "{line}");
    }
    assert_eq!(world.ask("GET /.well-known/oauth-authorization-server", &[], "").await.status, 200);
    let change = |oauth: &mut OAuth| {
        (oauth.encrypted, oauth.plaintext_login) = (false, true);
        oauth.issuer = "http://mail.example.test".to_owned();
    };
    let world = World::with(change).await;
    let page = world.open(&AUTHORIZE).await;
    let set = page.field("set-cookie").unwrap();
    assert!(set.starts_with("magpie-form=") && !set.contains("Secure"), "{set}");
    let own = "Origin: http://mail.example.test";
    assert_eq!(world.send(&page, "/oauth/authorize", &ALICE, &[&page.cookie(), own]).await.status, 303);
}

#[tokio::test]
async fn an_app_registers_itself_where_that_is_allowed() {
    let json = "Content-Type: application/json";
    let world = World::new().await;
    assert_eq!(world.ask("POST /oauth/register", &[json], "{}").await.status, 404);
    let world = World::with(|oauth| oauth.registration = true).await;
    let metadata = world.ask("GET /.well-known/oauth-authorization-server", &[], "").await.json();
    assert_eq!(metadata["registration_endpoint"], format!("{ISSUER}/oauth/register"));
    for (body, error) in [
        ("[]", "invalid_client_metadata"),
        ("{\"client_name\":\"x\"}", "invalid_redirect_uri"),
        ("{\"client_name\":\"x\",\"redirect_uris\":[\"http://evil.example/\"]}", "invalid_redirect_uri"),
        ("{\"redirect_uris\":[\"https://a.example/\"]}", "invalid_client_metadata"),
        (
            "{\"client_name\":\"x\",\"redirect_uris\":[\"https://a.example/\"],\"token_endpoint_auth_method\":\"client_secret_basic\"}",
            "invalid_client_metadata",
        ),
        (
            "{\"client_name\":\"x\",\"redirect_uris\":[\"https://a.example/\"],\"grant_types\":[\"password\"]}",
            "invalid_client_metadata",
        ),
    ] {
        let heard = world.ask("POST /oauth/register", &[json], body).await;
        assert_eq!((heard.status, heard.error().as_str()), (400, error), "{body}");
    }
    let body = "{\"client_name\":\"A <stranger>\",\"redirect_uris\":[\"https://app.example/cb?keep=1\"],\"software_id\":\"x\"}";
    assert_eq!(world.ask("POST /oauth/register", &[FORM], body).await.status, 415);
    assert_eq!(
        world.ask("POST /oauth/register", &[json, "Origin: https://evil.example"], body).await.status,
        403
    );
    let heard = world.ask("POST /oauth/register", &[json], body).await;
    let client = heard.json();
    assert_eq!((heard.status, &client["token_endpoint_auth_method"]), (201, &"none".into()));
    assert!(client.get("client_secret").is_none());
    let page = world.open(&but("client_id", client["client_id"].as_str())).await;
    assert!(
        page.body.contains("A &lt;stranger&gt;") && page.body.contains("Nobody here has checked"),
        "{}",
        page.body
    );
    assert!(!world.open(&AUTHORIZE).await.body.contains("Nobody here has checked"));
    // A page of ours sends nobody to an app that nobody here knows, only because it asks for nonsense.
    let nonsense = [but("client_id", client["client_id"].as_str()), vec![("response_type", "x")]].concat();
    let nonsense: Vec<_> = nonsense.into_iter().filter(|pair| *pair != ("response_type", "code")).collect();
    let refused = world.open(&nonsense).await;
    assert_eq!((refused.status, refused.field("location")), (400, None));
}
