//! JMAP's routes: who is heard, from where, and how much; over connections in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::sync::Arc;

use http_api::Traffic;
use metrics::Counter;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::sync::Notify;
use world::{World, basic, request, status};

const JSON: &str = "Content-Type: application/json";

#[tokio::test]
async fn who_has_logged_in_is_heard() {
    let world = World::new(|_| {}).await;
    for path in ["/.well-known/jmap", "/jmap/session"] {
        let answer = world.ask(&format!("GET {path}"), &[], "").await;
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(answer.contains("\"username\":\"alice@example.test\""), "{answer}");
        assert!(answer.contains("\"apiUrl\":\"https://mail.example.test/jmap/api\""), "{answer}");
        assert!(answer.contains("cache-control: no-cache, no-store, must-revalidate"), "{answer}");
    }
    let [for_jmap, for_mail_apps] = &world.app_passwords;
    for (who, told) in [
        (basic("alice@example.test", for_jmap), 200),
        (basic("alice@example.test", for_mail_apps), 401),
        (basic("alice@example.test", "wrong"), 401),
        (basic("nobody@example.test", "secret"), 401),
        ("Authorization: Bearer secret".to_owned(), 401),
        ("Authorization:".to_owned(), 401),
    ] {
        let answer = world.ask("GET /jmap/session", &[&who], "").await;
        assert_eq!(status(&answer), told, "{who} {answer}");
        assert_eq!(told == 401, answer.contains("www-authenticate: Basic realm="), "{answer}");
    }
    assert_eq!(status(&world.ask("GET /jmap/api", &[], "").await), 405);
    assert_eq!(status(&world.ask("GET /jmap/nothing", &[], "").await), 404);
}

#[tokio::test]
async fn passwords_in_the_clear_are_not_taken() {
    let world = World::new(|api| api.encrypted = false).await;
    assert_eq!(status(&world.ask("GET /jmap/session", &[], "").await), 403);
    let world = World::new(|api| (api.encrypted, api.plaintext_login) = (false, true)).await;
    assert!(world.ask("GET /jmap/session", &[], "").await.contains("\"http://mail.example.test/jmap/api\""));
    let world = World::new(|api| api.base = Some("https://other.example".to_owned())).await;
    assert!(world.ask("GET /jmap/session", &[], "").await.contains("\"https://other.example/jmap/api\""));
}

#[tokio::test]
async fn fault_51_pages_of_others_are_not_heard() {
    let world = World::new(|_| {}).await;
    for (fields, told) in [
        (&[JSON][..], 200),
        (&[JSON, "Origin: https://mail.example.test"], 200),
        (&[JSON, "Origin: https://app.example"], 200),
        (&[JSON, "Origin: https://evil.example"], 403),
        (&[JSON, "Origin: http://mail.example.test"], 403),
        (&[JSON, "Origin: null"], 403),
        (&["Content-Type: text/plain", "Origin: https://evil.example"], 403),
        (&["Content-Type: text/plain", "Sec-Fetch-Site: cross-site"], 403),
        (&["Content-Type: text/plain", "Sec-Fetch-Site: same-origin"], 400),
        (&["Content-Type: application/json; charset=utf-8", "Sec-Fetch-Site: none"], 200),
    ] {
        let answer = world.ask("POST /jmap/api", fields, "{}").await;
        assert_eq!(status(&answer), told, "{fields:?} {answer}");
        assert_eq!(told == 400, answer.contains("urn:ietf:params:jmap:error:notJSON"), "{answer}");
        let known = told == 200 && fields.iter().any(|field| field.starts_with("Origin"));
        assert_eq!(known, answer.contains("access-control-allow-origin: https://"), "{answer}");
        assert!(!answer.contains("allow-credentials") && !answer.contains("set-cookie"), "{answer}");
    }
    let asks = |origin: &'static str| [origin, "Access-Control-Request-Method: POST", "Authorization:"];
    let allowed = world.ask("OPTIONS /jmap/api", &asks("Origin: https://app.example"), "").await;
    assert_eq!(status(&allowed), 204);
    assert!(allowed.contains("access-control-allow-headers: Authorization, Content-Type,"), "{allowed}");
    let refused = world.ask("OPTIONS /jmap/api", &asks("Origin: https://evil.example"), "").await;
    assert_eq!(status(&refused), 403);
}

#[tokio::test]
async fn no_more_than_was_announced() {
    let world = World::new(|_| {}).await;
    assert!(world.ask("POST /jmap/api", &[JSON], &"x".repeat(1000)).await.ends_with("1000 octets"));
    let long = world.ask("POST /jmap/api", &[JSON], &"x".repeat(1001)).await;
    assert!(status(&long) == 413 && long.contains("\"limit\":\"maxSizeRequest\""), "{long}");
    let bad = world.ask("POST /jmap/api", &[JSON], "bad").await;
    assert!(status(&bad) == 400 && bad.contains("application/problem+json"), "{bad}");
    let upload = world.ask("POST /jmap/upload/A1/", &["Content-Type: image/png"], &"x".repeat(1500)).await;
    assert!(status(&upload) == 201 && upload.ends_with("A1 image/png 1500"), "{upload}");
    let long = world.ask("POST /jmap/upload/A1/", &[], &"x".repeat(2001)).await;
    assert!(status(&long) == 413 && long.contains("\"limit\":\"maxSizeUpload\""), "{long}");
    assert_eq!(status(&world.ask("POST /jmap/upload/A9/", &[], "x").await), 404);
}

#[tokio::test]
async fn no_more_at_once_than_was_announced() {
    let world = World::new(|_| {}).await;
    let mut first = world.connect();
    first.write_all(request("POST /jmap/api", &[JSON], "wait").as_bytes()).await.unwrap();
    // The first has its place when the second is refused.
    let second = loop {
        let second = world.ask("POST /jmap/api", &[JSON], "{}").await;
        if status(&second) != 200 {
            break second;
        }
        tokio::task::yield_now().await;
    };
    assert!(status(&second) == 429 && second.contains("\"limit\":\"maxConcurrentRequests\""), "{second}");
    world.go_on.notify_one();
    let mut answer = String::new();
    first.read_to_string(&mut answer).await.unwrap();
    assert_eq!(status(&answer), 200);
    assert_eq!(status(&world.ask("POST /jmap/api", &[JSON], "{}").await), 200);
}

#[tokio::test]
async fn events_go_on_until_the_server_goes_down() {
    let world = World::new(|_| {}).await;
    let stop = Arc::new(Notify::new());
    let told = stop.clone();
    let mut stream = world.connect_until(async move { told.notified().await });
    let line = "GET /jmap/events?types=Email%2CThread&closeafter=no&ping=30";
    let asked = request(line, &["Last-Event-ID: s0"], "").replace("Connection: close\r\n", "");
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let mut piece = [0; 4096];
    while !answer.contains("\n\n\r\n") {
        let read = stream.read(&mut piece).await.unwrap();
        answer.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    assert!(answer.contains("content-type: text/event-stream"), "{answer}");
    assert!(answer.contains("event: state\nid: s1\ndata: EventQuestion"), "{answer}");
    for told in ["types: \"Email,Thread\"", "ping: \"30\"", "last: Some(\"s0\")"] {
        assert!(answer.contains(told), "{told} {answer}");
    }
    assert_eq!(status(&world.ask("GET /jmap/events", &[], "").await), 429);
    stop.notify_one();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("0\r\n\r\n"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn fault_9_a_body_that_never_ends_is_not_waited_for() {
    let world = World::new(|_| {}).await;
    let mut stream = world.connect();
    let request =
        request("POST /jmap/api", &[JSON], "{}").replace("Content-Length: 2", "Content-Length: 900");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(status(&String::from_utf8(answer).unwrap()), 408);
}

#[tokio::test]
async fn fault_52_what_is_downloaded_is_a_file_and_nothing_else() {
    let world = World::new(|_| {}).await;
    let answer = world.ask("GET /jmap/download/A1/B1-2/a%20%22b%22.html?type=text%2Fhtml", &[], "").await;
    assert_eq!(status(&answer), 200, "{answer}");
    for told in [
        "content-type: text/html\r\n",
        "content-disposition: attachment; filename=\"a _b_.html\"; filename*=UTF-8''a%20_b_.html\r\n",
        "content-security-policy: sandbox; default-src 'none'\r\n",
        "x-content-type-options: nosniff\r\n",
        "cache-control: private, immutable, max-age=31536000\r\n",
        "content-length: 7\r\n",
        "\r\n\r\nA1 B1-2",
    ] {
        assert!(answer.contains(told), "{told} {answer}");
    }
    // Without a name, as some clients ask who know none.
    let answer = world.ask("GET /jmap/download/A1/B1-2/?type=text%2Fhtml", &[], "").await;
    assert!(status(&answer) == 200 && answer.contains("content-disposition: attachment\r\n"), "{answer}");
    let answer = world.ask("GET /jmap/download/A1/B1/x?type=bad", &[], "").await;
    assert!(answer.contains("content-type: application/octet-stream\r\n"), "{answer}");
    assert_eq!(status(&world.ask("GET /jmap/download/A1/B1/x", &["Authorization:"], "").await), 401);
}

#[tokio::test]
async fn an_upload_is_never_held_whole() {
    let world = World::new(|api| api.limits.upload = 64 << 20).await;
    let answer = world.ask("POST /jmap/upload/A1/", &[], &"x".repeat(20 << 20)).await;
    assert!(status(&answer) == 201 && answer.ends_with("A1 application/octet-stream 20971520"), "{answer}");
}

#[tokio::test]
async fn what_is_compressed_is_not_taken() {
    let world = World::new(|_| {}).await;
    for (line, told) in [("POST /jmap/api", 200), ("POST /jmap/upload/A1/", 201)] {
        for coding in ["gzip", "identity, br", "deflate", "x"] {
            let refused = world.ask(line, &[JSON, &format!("Content-Encoding: {coding}")], "{}").await;
            assert!(
                status(&refused) == 415 && refused.contains("accept-encoding: identity\r\n"),
                "{refused}"
            );
        }
        assert_eq!(status(&world.ask(line, &[JSON, "Content-Encoding: identity"], "{}").await), told);
    }
}

const FILE: &str = "GET /jmap/download/A1/B1-2/a.txt?type=text%2Fplain";

#[tokio::test]
async fn ranges_of_a_download() {
    let world = World::new(|_| {}).await;
    for (field, told, range, body) in [
        ("Range: bytes=3-4", 206, Some("bytes 3-4/7"), "B1"),
        ("Range: bytes=-2", 206, Some("bytes 5-6/7"), "-2"),
        ("Range: bytes=5-99", 206, Some("bytes 5-6/7"), "-2"),
        ("Range: bytes=0-0,2-3", 200, None, "A1 B1-2"),
        ("Range: lines=1-2", 200, None, "A1 B1-2"),
        ("Accept: text/plain", 200, None, "A1 B1-2"),
    ] {
        let answer = world.ask(FILE, &[field], "").await;
        assert!(status(&answer) == told && answer.ends_with(&format!("\r\n\r\n{body}")), "{field} {answer}");
        assert!(answer.contains(&format!("content-length: {}\r\n", body.len())), "{field} {answer}");
        assert_eq!(range.is_some(), answer.contains("content-range:"), "{field} {answer}");
        assert!(
            range.is_none_or(|range| answer.contains(&format!("content-range: {range}\r\n"))),
            "{answer}"
        );
        for always in ["etag: \"B1-2\"\r\n", "content-security-policy: sandbox", "nosniff", "attachment"] {
            assert!(answer.contains(always), "{always} {answer}");
        }
    }
    let beyond = world.ask(FILE, &["Range: bytes=7-"], "").await;
    assert!(status(&beyond) == 416 && beyond.contains("content-range: bytes */7\r\n"), "{beyond}");
    let head = world.ask(&FILE.replace("GET", "HEAD"), &["Range: bytes=3-4"], "").await;
    assert!(status(&head) == 200 && head.contains("content-length: 7\r\n"), "{head}");
    assert!(head.contains("accept-ranges: bytes\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn conditions_on_a_download() {
    let world = World::new(|_| {}).await;
    for (fields, told) in [
        (&["If-None-Match: \"B1-2\""][..], 304),
        (&["If-None-Match: W/\"B1-2\", \"x\"", "Range: bytes=0-1"], 304),
        (&["If-None-Match: \"B1-3\""], 200),
        (&["If-Match: \"B1-3\""], 412),
        (&["If-Match: \"B1-2\"", "Range: bytes=0-1"], 206),
        (&["If-Range: \"B1-2\"", "Range: bytes=0-1"], 206),
        (&["If-Range: \"B1-3\"", "Range: bytes=0-1"], 200),
        (&["If-Modified-Since: Sat, 28 Nov 2026 09:00:00 GMT"], 200),
    ] {
        let answer = world.ask(FILE, fields, "").await;
        assert_eq!(status(&answer), told, "{fields:?} {answer}");
        if told == 304 {
            assert!(answer.contains("etag: \"B1-2\"\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
            assert!(answer.contains("cache-control: private, immutable"), "{answer}");
        }
    }
    let nobody = world.ask(FILE, &["If-None-Match: *", "Authorization:"], "").await;
    assert_eq!(status(&nobody), 401, "{nobody}");
}

#[tokio::test]
async fn text_is_compressed_for_those_who_like_it() {
    let world = World::new(|_| {}).await;
    let long = "GET /jmap/download/A1/B9/a.txt?type=";
    for (coding, media_type, told) in [
        ("gzip", "text/plain", Some("gzip")),
        ("gzip, zstd", "message/rfc822", Some("zstd")),
        ("br", "text/plain", None),
        ("gzip", "image/png", None),
    ] {
        let accept = format!("Accept-Encoding: {coding}");
        let mut stream = world.connect();
        let asked = request(&format!("{long}{media_type}"), &[&accept], "");
        stream.write_all(asked.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let head =
            String::from_utf8_lossy(&answer[..answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap()]);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(told.is_some(), answer.len() < 10_000, "{head} {}", answer.len());
        assert!(told.is_none_or(|told| head.contains(&format!("content-encoding: {told}\r\n"))), "{head}");
        // What is compressed has a tag that is good for recognising it, and not for parts of it.
        assert_eq!(told.is_some(), head.contains("etag: W/\"B9\"\r\n"), "{head}");
        assert_eq!(told.is_none(), head.contains("accept-ranges: bytes"), "{head}");
        assert_eq!(media_type != "image/png", head.contains("vary: Accept-Encoding"), "{head}");
    }
    // Ranges are of what is stored.
    let range =
        world.ask(&format!("{long}text/plain"), &["Accept-Encoding: gzip", "Range: bytes=0-7"], "").await;
    assert!(status(&range) == 206 && range.ends_with("\r\n\r\nall work"), "{range}");
    // Short ones, and answers to requests, are left as they are.
    let short = world.ask(FILE, &["Accept-Encoding: gzip"], "").await;
    assert!(short.ends_with("\r\n\r\nA1 B1-2") && !short.contains("content-encoding"), "{short}");
    let answer = world.ask("POST /jmap/api", &[JSON, "Accept-Encoding: gzip"], "{}").await;
    assert!(answer.ends_with("2 octets") && !answer.contains("content-encoding"), "{answer}");
}

/// An answer over HTTP/2: its status and its body.
async fn ask_http2(world: &World, method: &str, url: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let (near, far) = duplex(1 << 20);
    let server = world.server.clone();
    let traffic = Traffic { received: Counter::noop(), sent: Counter::noop() };
    let client = "192.0.2.1".parse().unwrap();
    tokio::spawn(async move { server.serve_http2(far, client, traffic, std::future::pending()).await.ok() });
    let io = hyper_util::rt::TokioIo::new(near);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let login = basic("alice@example.test", "secret");
    let mut asked = hyper::Request::builder().method(method).uri(url);
    asked = asked.header("authorization", login.split_once(": ").unwrap().1);
    for (name, value) in fields {
        asked = asked.header(*name, *value);
    }
    let answer = sender.send_request(asked.body(axum::body::Body::empty()).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(axum::body::Body::new(answer.into_body()), 10_000).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn http2_names_the_server_as_a_field_would() {
    let world = World::new(|_| {}).await;
    // What the connection is for counts, and not what a field says (RFC 9113 §8.3.1).
    let url = "https://other.example.test:8443/jmap/session";
    let (status, body) = ask_http2(&world, "GET", url, &[]).await;
    assert!(status == 200 && body.contains("\"https://other.example.test:8443/jmap/api\""), "{body}");
}

#[tokio::test]
async fn fault_51_nowhere_and_in_no_version() {
    let world = World::new(|_| {}).await;
    for (method, path) in [
        ("GET", "/jmap/session"),
        ("GET", "/.well-known/jmap"),
        ("POST", "/jmap/api"),
        ("POST", "/jmap/upload/A1/"),
        ("GET", "/jmap/events"),
        ("GET", "/jmap/download/A1/B1/x"),
        ("HEAD", "/jmap/download/A1/B1/x"),
        ("OPTIONS", "/jmap/api"),
    ] {
        let from = [
            "Origin: https://evil.example",
            "Origin: null",
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Site: same-site",
        ];
        for field in from {
            // With the password, which a browser may add by itself when it knows it.
            let answer = world.ask(&format!("{method} {path}"), &[field], "").await;
            assert_eq!(status(&answer), 403, "{method} {path} {field} {answer}");
            assert!(!answer.contains("access-control-allow"), "{answer}");
            let (name, value) = field.split_once(": ").unwrap();
            let url = format!("https://mail.example.test{path}");
            let (status, _) = ask_http2(&world, method, &url, &[(name, value)]).await;
            assert_eq!(status, 403, "{method} {path} {field}");
        }
    }
    let own = [("origin", "https://mail.example.test")];
    assert_eq!(ask_http2(&world, "GET", "https://mail.example.test/jmap/session", &own).await.0, 200);
    assert_eq!(ask_http2(&world, "GET", "https://evil.example/jmap/session", &own).await.0, 403);
}
