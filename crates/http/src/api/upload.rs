//! Uploads (RFC 8620 §6.1). A file goes to whoever keeps it piece by piece as it comes: nobody holds all of it in memory.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use directory::Authenticated;

use super::body::{BodyError, Pieces};
use super::media_type::{OCTETS, is_media_type};
use super::places::Kind;
use super::{Refused, Shared, answer, typed_problem};

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
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.filter(|text| is_media_type(text)).unwrap_or(OCTETS);
    match take(&shared, &user, &account, media_type, &headers, content).await {
        Ok(created) => created,
        Err(Failure::Body(error)) => error.response("maxSizeUpload"),
        Err(Failure::Refused(refused)) => refused.into_response(),
    }
}

/// Why a file was not taken.
enum Failure {
    /// Of what the client did.
    Body(BodyError),
    /// Of what whoever keeps it says.
    Refused(Refused),
}

async fn take(
    shared: &Shared,
    user: &Authenticated,
    account: &str,
    media_type: &str,
    headers: &HeaderMap,
    content: Body,
) -> Result<Response, Failure> {
    let limits = &shared.api.limits;
    let mut pieces = Pieces::new(headers, content, limits.upload, limits.upload_time)?;
    let mut upload = shared.api.service.upload(user, account, media_type)?;
    while let Some(piece) = pieces.next().await? {
        upload.write(piece).await?;
    }
    let mut created = answer(upload.finish().await?);
    *created.status_mut() = StatusCode::CREATED;
    Ok(created)
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}
