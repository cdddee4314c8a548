//! Uploads and downloads (RFC 8620 §6).
//!
//! What somebody has sent by mail is never shown as a page of this server (fault 52): it is a file to keep, of the type
//! that the client asks for, and may do nothing if a browser opens it all the same.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use directory::Authenticated;

use super::places::Kind;
use super::{Shared, answer, body, typed_problem};

/// What a file is whose type nobody has told.
const OCTETS: &str = "application/octet-stream";
/// The longest media type.
const LONGEST_TYPE: usize = 255;
/// The longest file name, in octets.
const LONGEST_NAME: usize = 255;

pub(super) async fn upload(
    State(shared): State<Shared>,
    Extension(user): Extension<Authenticated>,
    Path(account): Path<String>,
    headers: HeaderMap,
    content: Body,
) -> Response {
    let limits = &shared.api.limits;
    let Some(_place) = shared.places.take(user.account(), Kind::Upload, limits.uploads_at_once) else {
        let detail = format!("{} uploads are under way", limits.uploads_at_once);
        let status = StatusCode::TOO_MANY_REQUESTS;
        return typed_problem(status, "limit", &detail, Some("maxConcurrentUpload"));
    };
    let content = match body::read(&headers, content, limits.upload, limits.upload_time).await {
        Ok(content) => content,
        Err(error) => return error.response("maxSizeUpload"),
    };
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.filter(|text| is_media_type(text)).unwrap_or(OCTETS);
    match shared.api.service.upload(&user, &account, media_type, content).await {
        Ok(uploaded) => {
            let mut response = answer(uploaded);
            *response.status_mut() = StatusCode::CREATED;
            response
        }
        Err(refused) => refused.into_response(),
    }
}

pub(super) async fn download(
    State(shared): State<Shared>,
    Extension(user): Extension<Authenticated>,
    Path((account, blob, name)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let download = match shared.api.service.download(&user, &account, &blob).await {
        Ok(download) => download,
        Err(refused) => return refused.into_response(),
    };
    let mut response = Body::from_stream(download.content).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, download.size.into());
    let wanted = query.as_deref().and_then(wanted_type);
    let media_type = wanted.and_then(|text| HeaderValue::from_str(&text).ok());
    headers.insert(CONTENT_TYPE, media_type.unwrap_or(HeaderValue::from_static(OCTETS)));
    let disposition = HeaderValue::from_str(&attachment(&name));
    headers.insert(CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment")));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    // A blob never changes (RFC 8620 §6.2), but it is nobody else's.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, immutable, max-age=31536000"));
    response
}

/// The parameter `type` of a query, decoded, if it is a media type.
fn wanted_type(query: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("type="))?;
    let decoded = unescaped(value)?;
    is_media_type(&decoded).then_some(decoded)
}

/// `%XX` undone; nothing for what is no UTF-8 then.
pub(super) fn unescaped(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((octet, behind)) = rest.split_first() {
        rest = behind;
        match octet {
            b'%' => {
                let (digits, behind) = rest.split_at_checked(2)?;
                octets.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
                rest = behind;
            }
            b'+' => octets.push(b' '),
            octet => octets.push(*octet),
        }
    }
    String::from_utf8(octets).ok()
}

/// A type and a subtype, and parameters if there are any: nothing that could end the field.
fn is_media_type(text: &str) -> bool {
    let token = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    let mut words = text.splitn(2, ';');
    let essence = words.next().and_then(|word| word.trim().split_once('/'));
    let parameters = words.next().unwrap_or_default();
    text.len() <= LONGEST_TYPE
        && essence.is_some_and(|(kind, subtype)| token(kind) && token(subtype))
        && parameters.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// A file to keep, under a name (RFC 6266, RFC 8187).
fn attachment(name: &str) -> String {
    let end =
        name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= LONGEST_NAME).last();
    let name = name.get(..end.unwrap_or(0)).unwrap_or_default();
    // A path is nothing that the client should follow.
    let is_odd = |c: char| c.is_control() || matches!(c, '/' | '\\' | '"' | '%');
    let plain: String = name.chars().map(|c| if c.is_ascii() && !is_odd(c) { c } else { '_' }).collect();
    let mut encoded = String::new();
    for octet in name.chars().map(|c| if is_odd(c) { '_' } else { c }).collect::<String>().bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            encoded.push(char::from(octet));
        } else {
            encoded.push_str(&format!("%{octet:02X}"));
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_are_asked_for() {
        for (query, wanted) in [
            ("type=image%2Fpng", Some("image/png")),
            ("accept=x&type=text/plain;%20charset=utf-8", Some("text/plain; charset=utf-8")),
            ("type=image/svg%2Bxml", Some("image/svg+xml")),
            ("type=", None),
            ("type=text", None),
            ("type=text/plain%0d%0aX:%20y", None),
            ("type=text/%ff", None),
            ("type=%2", None),
            ("", None),
        ] {
            assert_eq!(wanted_type(query).as_deref(), wanted, "{query}");
        }
    }

    #[test]
    fn fault_52_names_of_files() {
        for (name, field) in [
            ("menu.pdf", "attachment; filename=\"menu.pdf\"; filename*=UTF-8''menu.pdf"),
            ("한 글", "attachment; filename=\"_ _\"; filename*=UTF-8''%ED%95%9C%20%EA%B8%80"),
            ("../a\"\r\nX: y", "attachment; filename=\".._a___X: y\"; filename*=UTF-8''.._a___X%3A%20y"),
            ("", "attachment; filename=\"\"; filename*=UTF-8''"),
        ] {
            assert_eq!(attachment(name), field, "{name}");
        }
        assert!(attachment(&"é".repeat(1000)).len() < 1200);
    }
}
