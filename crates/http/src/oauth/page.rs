//! The pages: HTML without script, for any browser and any reader of screens.

use std::fmt::Write;

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// How they look.
const STYLE: &str = include_str!("style.css");

/// A page whose form asks whether an app may use somebody's mail.
pub(super) struct Consent<'p> {
    /// What the server calls itself.
    pub(super) server: &'p str,
    /// What the app calls itself.
    pub(super) client: &'p str,
    /// Whether nobody here knows it.
    pub(super) stranger: bool,
    /// Where the form goes.
    pub(super) action: &'p str,
    /// Where the answer goes, in words.
    pub(super) afterwards: String,
    /// Where the answer goes, for the browser; none if it stays here.
    pub(super) target: Option<&'p str>,
    /// What went wrong before.
    pub(super) alert: Option<&'p str>,
    /// What the field of the name holds.
    pub(super) name: &'p str,
    /// What goes back with the form, unseen.
    pub(super) hidden: &'p [(&'p str, &'p str)],
}

impl Consent<'_> {
    pub(super) fn render(&self, status: StatusCode) -> Response {
        let client = text(self.client);
        let mut body = format!(
            "<h1>Let “{client}” use your mail?</h1>\n<p><strong>{client}</strong> could read, send, change and delete \
             everything in your account at <strong>{}</strong>. It does not learn your password.</p>\n<p>{}</p>\n",
            text(self.server),
            self.afterwards
        );
        if self.stranger {
            body += "<p><strong>This app has named itself. Nobody here has checked who it is.</strong> Go on only if you \
                     have just asked it to use your mail.</p>\n";
        }
        body += &alert(self.alert);
        let _infallible = writeln!(body, "<form method=\"post\" action=\"{}\">", text(self.action));
        for (name, value) in self.hidden {
            let _infallible =
                writeln!(body, "<input type=\"hidden\" name=\"{}\" value=\"{}\">", text(name), text(value));
        }
        let _infallible = write!(
            body,
            "<label for=\"name\">Your address</label>\n<input id=\"name\" name=\"name\" value=\"{}\" \
             autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" required>\n\
             <label for=\"password\">Your password</label>\n<input id=\"password\" name=\"password\" \
             type=\"password\" autocomplete=\"current-password\" required>\n\
             <p><button name=\"decision\" value=\"allow\">Allow</button>\n\
             <button name=\"decision\" value=\"deny\" formnovalidate>Do not allow</button></p>\n</form>\n",
            text(self.name)
        );
        page(status, self.server, "Allow access", &body, self.target)
    }
}

/// The page that asks for the code which a device shows.
pub(super) fn code_entry(status: StatusCode, server: &str, wrong: Option<&str>) -> Response {
    let body = format!(
        "<h1>Which code does your device show?</h1>\n{}<form method=\"get\" action=\"/device\">\n\
         <label for=\"user_code\">Code</label>\n<input id=\"user_code\" name=\"user_code\" autocomplete=\"off\" \
         autocapitalize=\"characters\" spellcheck=\"false\" required>\n<p><button>Go on</button></p>\n</form>\n",
        alert(wrong)
    );
    page(status, server, "Connect a device", &body, None)
}

/// A page that says something.
pub(super) fn message(status: StatusCode, server: &str, says: &str) -> Response {
    page(status, server, "Access to mail", &format!("<h1>{}</h1>\n", text(says)), None)
}

pub(super) async fn style() -> Response {
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "public, max-age=3600")];
    (headers, STYLE).into_response()
}

/// A text within HTML, in elements and in values.
pub(super) fn text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

fn alert(says: Option<&str>) -> String {
    says.map(|says| format!("<p role=\"alert\">{}</p>\n", text(says))).unwrap_or_default()
}

fn page(status: StatusCode, server: &str, title: &str, body: &str, target: Option<&str>) -> Response {
    let (title, server) = (text(title), text(server));
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{title} – {server}</title>\n\
         <link rel=\"stylesheet\" href=\"/oauth/style.css\">\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    );
    let mut response = (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response();
    let policy = policy(target);
    let policy =
        HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'; sandbox"));
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    response
}

/// What a page may do. Browsers count what a form leads to in the end as where it goes, so that must be named too.
fn policy(target: Option<&str>) -> String {
    let target = target.and_then(source).map(|source| format!(" {source}")).unwrap_or_default();
    format!(
        "default-src 'none'; style-src 'self'; form-action 'self'{target}; frame-ancestors 'none'; base-uri 'none'"
    )
}

/// A URI as a source of such a policy (CSP3 §2.3.1): its scheme, host and port, or its scheme where that is all it can be.
fn source(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
        return None;
    }
    let authority = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next());
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.:".contains(&b);
    match authority {
        Some(host) if matches!(scheme, "http" | "https") && !host.is_empty() && host.bytes().all(plain) => {
            Some(format!("{scheme}://{host}"))
        }
        _ => Some(format!("{scheme}:")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_no_markup() {
        assert_eq!(text("<b a=\"'\">&"), "&lt;b a=&quot;&#39;&quot;&gt;&amp;");
    }

    #[test]
    fn where_a_form_may_lead() {
        for (uri, told) in [
            ("https://app.example/cb?x", Some("https://app.example")),
            ("http://127.0.0.1:8000/cb", Some("http://127.0.0.1:8000")),
            ("http://[::1]:8000/cb", Some("http:")),
            ("com.example.app:/cb", Some("com.example.app:")),
            ("com.example.app://cb", Some("com.example.app:")),
            ("https://a;script-src *", Some("https:")),
            ("x y:z", None),
        ] {
            assert_eq!(source(uri).as_deref(), told, "{uri}");
        }
        assert!(policy(None).contains("form-action 'self'; frame-ancestors 'none'"));
    }
}
