//! Downloads (RFC 8620 §6.2): all of a file, a range of it, or that it is the one that the client has.
//!
//! What somebody has sent by mail is never shown as a page of this server (fault 52): it is a file to keep, of the type
//! that the client asks for, and may do nothing if a browser opens it all the same.

use std::io;
use std::ops::Range;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, RETRY_AFTER, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use directory::Authenticated;
use futures::StreamExt;
use futures::stream::BoxStream;

use super::coding::{Coding, WORTH_IT};
use super::disposition::attachment;
use super::media_type::{OCTETS, is_media_type, is_text};
use super::places::{Kind, Place};
use super::range::{Asked, asked};
use super::{Download, Shared, problem};

pub(super) async fn download(
    State(shared): State<Shared>,
    Extension(user): Extension<Authenticated>,
    Path((account, blob, name)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let most = shared.api.limits.downloads_at_once;
    let Some(place) = shared.places.take(user.account(), Kind::Download, most) else {
        let mut response = problem(StatusCode::TOO_MANY_REQUESTS, &format!("{most} downloads are under way"));
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        return response;
    };
    let download = match shared.api.service.download(&user, &account, &blob).await {
        Ok(download) => download,
        Err(refused) => return refused.into_response(),
    };
    let media_type = query.as_deref().and_then(wanted_type).unwrap_or_else(|| OCTETS.to_owned());
    let tag = format!("\"{blob}\"");
    let mut response = match asked(&method, &headers, &tag, download.size) {
        Asked::Another => problem(StatusCode::PRECONDITION_FAILED, "the file is another one"),
        Asked::Beyond => beyond(download.size),
        Asked::Known => StatusCode::NOT_MODIFIED.into_response(),
        Asked::Part(range) => part(download, range, place),
        Asked::Whole => {
            let coding = Coding::wanted(&headers).filter(|_| is_worth_coding(&media_type, download.size));
            whole(download, coding, method == Method::HEAD, place)
        }
    };
    if response.status().is_success() {
        describe(response.headers_mut(), &media_type, &name);
    }
    if response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED {
        remember(response.headers_mut(), &tag, is_text(&media_type));
    }
    response
}

/// The same for clients that know no name for it and leave it empty in the URL.
pub(super) async fn nameless(
    state: State<Shared>,
    user: Extension<Authenticated>,
    Path((account, blob)): Path<(String, String)>,
    query: RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Response {
    download(state, user, Path((account, blob, String::new())), query, method, headers).await
}

/// There are no such octets (RFC 9110 §15.5.17).
fn beyond(size: u64) -> Response {
    let mut response = problem(StatusCode::RANGE_NOT_SATISFIABLE, "the file has no octets in this range");
    insert(response.headers_mut(), CONTENT_RANGE, &format!("bytes */{size}"));
    response
}

/// Sets a field to a value that has been put together.
fn insert(headers: &mut HeaderMap, field: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(field, value);
    }
}

fn is_worth_coding(media_type: &str, size: u64) -> bool {
    is_text(media_type) && size >= WORTH_IT
}

/// All octets, as they are or compressed; none if only the header is wanted.
fn whole(download: Download, coding: Option<Coding>, bare: bool, place: Place) -> Response {
    let size = download.size;
    let mut response = match (bare, coding) {
        (true, _) => StatusCode::OK.into_response(),
        (false, None) => content(download, 0..size, None, place),
        (false, Some(coding)) => content(download, 0..size, Some(coding), place),
    };
    let headers = response.headers_mut();
    match coding {
        Some(coding) => {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        }
        None => {
            headers.insert(CONTENT_LENGTH, size.into());
            headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
    }
    response
}

/// Octets of a range that is not empty (RFC 9110 §15.3.7).
fn part(download: Download, range: Range<u64>, place: Place) -> Response {
    let size = download.size;
    let told = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
    let length = range.end - range.start;
    let mut response = content(download, range, None, place);
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length.into());
    insert(headers, CONTENT_RANGE, &told);
    response
}

fn content(download: Download, range: Range<u64>, coding: Option<Coding>, place: Place) -> Response {
    let octets: BoxStream<'static, io::Result<Bytes>> = (download.content)(range);
    let octets = match coding {
        Some(coding) => coding.encode(octets),
        None => octets,
    };
    // The place is taken for as long as the octets go on.
    let held = octets.map(move |piece| {
        let _place = &place;
        piece
    });
    Body::from_stream(held).into_response()
}

/// What a file is, and what may be done with it.
fn describe(headers: &mut HeaderMap, media_type: &str, name: &str) {
    let media_type = HeaderValue::from_str(media_type);
    headers.insert(CONTENT_TYPE, media_type.unwrap_or(HeaderValue::from_static(OCTETS)));
    let disposition = HeaderValue::from_str(&attachment(name));
    headers.insert(CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment")));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
}

/// How long the client may keep it, and how it says that it has it. What is compressed has the same tag, but as a weak one:
/// its octets are others, and no ranges of them are served.
fn remember(headers: &mut HeaderMap, tag: &str, varies: bool) {
    let strength = if headers.contains_key(CONTENT_ENCODING) { "W/" } else { "" };
    insert(headers, ETAG, &format!("{strength}{tag}"));
    // A blob never changes (RFC 8620 §6.2), but it is nobody else's.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, immutable, max-age=31536000"));
    if varies {
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

/// The parameter `type` of a query, decoded, if it is a media type.
fn wanted_type(query: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("type="))?;
    let decoded = unescaped(value)?;
    is_media_type(&decoded).then_some(decoded)
}

/// `%XX` undone; nothing for what is no UTF-8 then.
pub(crate) fn unescaped(text: &str) -> Option<String> {
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
}
