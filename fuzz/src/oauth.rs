//! Somebody who sends to the routes of OAuth what they like: one request after the other, with what earlier answers told
//! where they want it. Nobody is sent to a place that no app was registered with, no page says what it was told as it was
//! told it, and nobody gets a token without that the owner of an account has said yes.

use std::time::Duration;

use http_api::{HttpServer, OAuth};
use serde_json::Value;

use crate::web::{Answer, exchange, server};
use crate::world::{World, block_on};

/// Where the app that every world knows may be answered to.
pub const PLACES: [&str; 2] = ["https://app.example/cb?keep=1", "http://127.0.0.1/"];
const ISSUER: &str = "https://mail.example.test";

/// Ends a request, whose first octet is the route.
const NEXT: u8 = 0xff;
/// Stand for what earlier answers have told last: these and the octets below, in the order of [`Told`].
const FIRST: u8 = 0xfe;
const LAST: u8 = FIRST - 6;

/// What a client remembers.
#[derive(Default)]
struct Told {
    seal: String,
    code: String,
    device: String,
    user: String,
    refresh: String,
    access: String,
    client: String,
    cookie: String,
    /// Where clients may be answered to that have registered themselves.
    places: Vec<String>,
    /// Whether the owner of an account has let somebody in.
    consent: bool,
}

pub fn run(data: &[u8]) {
    block_on(async {
        let world = World::new();
        let server = serving(&world);
        let mut told = Told::default();
        for request in data.split(|octet| *octet == NEXT).take(12) {
            let Some((&route, content)) = request.split_first() else { continue };
            let octets = exchange(&server, &told.request(route, &told.fill(content))).await;
            told.hear(route, &Answer::read(&octets));
        }
        world.check().await;
    });
}

fn serving(world: &World) -> HttpServer {
    server().with_oauth(OAuth {
        directory: world.directory.clone(),
        clock: world.clock.clone(),
        issuer: ISSUER.to_owned(),
        name: "mail.example.test".to_owned(),
        encrypted: true,
        plaintext_login: false,
        origins: Vec::new(),
        registration: true,
        jmap: true,
        body_time: Duration::from_mins(1),
    })
}

const PAGE: u8 = b'a';
const DECISION: u8 = b'A';
const DEVICE_PAGE: u8 = b'd';
const DEVICE_DECISION: u8 = b'D';

impl Told {
    /// The content of a request with what is remembered in its places.
    fn fill(&self, content: &[u8]) -> Vec<u8> {
        let remembered =
            [&self.seal, &self.code, &self.device, &self.user, &self.refresh, &self.access, &self.client];
        let mut filled = Vec::new();
        for octet in content {
            match octet {
                LAST..=FIRST => filled.extend(remembered[usize::from(FIRST - octet)].bytes()),
                octet => filled.push(*octet),
            }
        }
        filled
    }

    fn request(&self, route: u8, content: &[u8]) -> Vec<u8> {
        let (line, media_type) = match route {
            PAGE => return self.page("/oauth/authorize", content),
            DEVICE_PAGE => return self.page("/device", content),
            DECISION => ("POST /oauth/authorize", FORM),
            DEVICE_DECISION => ("POST /device", FORM),
            b't' => ("POST /oauth/token", FORM),
            b'v' => ("POST /oauth/revoke", FORM),
            b'r' => ("POST /oauth/register", "application/json"),
            _ => ("POST /oauth/device", FORM),
        };
        let cookie = &self.cookie;
        let head = format!(
            "{line} HTTP/1.1\r\nHost: mail.example.test\r\nOrigin: {ISSUER}\r\nConnection: close\r\n\
             Cookie: {cookie}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n",
            content.len()
        );
        [head.as_bytes(), content].concat()
    }

    /// A query is what may stand in a line; other octets are another test's.
    fn page(&self, path: &str, query: &[u8]) -> Vec<u8> {
        let query: String =
            query.iter().filter(|octet| octet.is_ascii_graphic()).map(|o| char::from(*o)).collect();
        let cookie = &self.cookie;
        format!(
            "GET {path}?{query} HTTP/1.1\r\nHost: mail.example.test\r\nConnection: close\r\nCookie: {cookie}\r\n\r\n"
        )
        .into_bytes()
    }

    /// Takes an answer: what it must be, and what is worth remembering.
    fn hear(&mut self, route: u8, answer: &Answer) {
        assert!(answer.status < 500, "{}: {}", answer.status, String::from_utf8_lossy(answer.body));
        if answer.status == 400 && answer.body.is_empty() {
            // No request for HTTP itself: nobody has read it.
            return;
        }
        assert_eq!(answer.field("cache-control"), Some("no-store"));
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
        if let Some(cookie) = answer.field("set-cookie") {
            self.cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        }
        if let Some(place) = answer.field("location") {
            self.hear_place(route, place);
        } else if matches!(route, PAGE | DECISION | DEVICE_PAGE | DEVICE_DECISION) {
            self.hear_page(route, answer);
        } else if let Ok(said) = serde_json::from_slice::<Value>(answer.body) {
            self.hear_json(route, answer.status, &said);
        } else {
            assert!(answer.body.is_empty() || answer.status == 413, "neither a page nor JSON");
        }
    }

    fn hear_place(&mut self, route: u8, place: &str) {
        let known = PLACES.iter().copied().chain(self.places.iter().map(String::as_str));
        assert!(known.clone().any(|known| leads_to(known, place)), "{place} is nobody's");
        if let Some((_, code)) = place.rsplit_once("code=").filter(|_| !place.contains("error=")) {
            assert_eq!(route, DECISION, "a code without a decision");
            self.code = code.split('&').next().unwrap_or_default().to_owned();
            self.consent = true;
        }
    }

    fn hear_page(&mut self, route: u8, answer: &Answer) {
        let page = std::str::from_utf8(answer.body).expect("a page is UTF-8");
        assert_eq!(answer.field("x-frame-options"), Some("DENY"));
        let policy = answer.field("content-security-policy").expect("a policy");
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert_eq!(policy.matches(';').count(), 4, "{policy}");
        for tag in page.split('<').skip(1) {
            let name = tag
                .trim_start_matches('/')
                .split(|letter: char| !letter.is_alphanumeric() && letter != '!')
                .next();
            assert!(name.is_some_and(|name| TAGS.contains(&name)), "<{tag}");
        }
        if let Some((_, rest)) = page.split_once("name=\"seal\" value=\"") {
            self.seal = rest.split('"').next().unwrap_or_default().to_owned();
        }
        if route == DEVICE_DECISION && answer.status == 200 && page.contains("connected") {
            self.consent = true;
        }
    }

    fn hear_json(&mut self, route: u8, status: u16, said: &Value) {
        let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
        if said["access_token"].is_string() {
            assert!(self.consent && route == b't', "a token, and nobody has said yes");
            (self.access, self.refresh) = (text("access_token"), text("refresh_token"));
        }
        if said["device_code"].is_string() {
            (self.device, self.user) = (text("device_code"), text("user_code"));
        }
        if status == 201 {
            self.client = text("client_id");
            let places = said["redirect_uris"].as_array().into_iter().flatten();
            self.places.extend(places.filter_map(Value::as_str).map(str::to_owned));
        }
        assert!(status < 300 || said["error"].is_string(), "{said}");
    }
}

/// What pages are made of: no script, no picture, nothing from elsewhere.
const TAGS: [&str; 16] = [
    "!DOCTYPE", "body", "button", "form", "h1", "head", "html", "input", "label", "link", "main", "meta",
    "p", "small", "strong", "title",
];
const FORM: &str = "application/x-www-form-urlencoded";

/// Whether somebody who goes to `place` comes to `known`, with something added to the query: the same text, but that the port
/// makes no difference on this machine.
fn leads_to(known: &str, place: &str) -> bool {
    let (known, place) = (without_port(known), without_port(place));
    place.strip_prefix(&*known).is_some_and(|more| more.starts_with(['?', '&']))
}

fn without_port(place: &str) -> String {
    for host in ["http://127.0.0.1", "http://[::1]", "http://localhost"] {
        if let Some(rest) = place.strip_prefix(host)
            && let Some(port) = rest.strip_prefix(':')
        {
            return format!("{host}{}", port.trim_start_matches(|digit: char| digit.is_ascii_digit()));
        }
    }
    place.to_owned()
}
